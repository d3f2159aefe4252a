//! The network-to-server API over HTTP.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, LOCATION, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::{Extension, routing};
use bytes::Bytes;
use serde::Serialize;
use url::form_urlencoded;

use crate::alto::json::Faults;
use crate::alto::media;
use crate::api::n2s::{
    ConflictList, CostMapDocument, InterconnectsDocument, NetworkMapDocument, PropertiesDocument,
    RevisionDocument, RevisionList, TransactionDocument, WriteAnswer,
};
use crate::auth::{Principal, Scope};
use crate::compile::ConflictKind;
use crate::ident::SourceName;
use crate::ingest::{
    Account, Changes, Document, DocumentPath, IdempotencyKey, Ledger, Operation as Step,
    OperationKind, Outcome, Reader, Refusal, Write, read_operation, read_transaction,
    union_document,
};

use super::access::Caller;
use super::app::App;
use super::bodies::{Effort, compress};
use super::body;
use super::conditional::{condition, etag, not_modified};
use super::negotiate::{Coding, coding, has_type};
use super::openapi::{Content, Operation, Parameter, Route, content};
use super::refusal::{Wording, faulty, problem, respond};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The revisions that one answer lists.
const PAGE: usize = 100;

/// The routes of the API.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        document_route(
            "/n2s/v1/network-map",
            [
                "getNetworkMap",
                "putNetworkMap",
                "patchNetworkMap",
                "deleteNetworkMap",
            ],
            "the PIDs and their prefixes",
            content::<NetworkMapDocument>,
            &[],
            routing::any(|app, caller, request| {
                document(DocumentPath::NetworkMap, app, caller, request)
            }),
        ),
        document_route(
            "/n2s/v1/cost-maps/{metric}",
            ["getCostMap", "putCostMap", "patchCostMap", "deleteCostMap"],
            "the numerical costs in a metric",
            content::<CostMapDocument>,
            &[METRIC],
            routing::any(cost_map),
        ),
        document_route(
            "/n2s/v1/properties",
            [
                "getProperties",
                "putProperties",
                "patchProperties",
                "deleteProperties",
            ],
            "the properties of prefixes and PIDs",
            content::<PropertiesDocument>,
            &[],
            routing::any(|app, caller, request| {
                document(DocumentPath::Properties, app, caller, request)
            }),
        ),
        document_route(
            "/n2s/v1/interconnects",
            [
                "getInterconnects",
                "putInterconnects",
                "patchInterconnects",
                "deleteInterconnects",
            ],
            "the links to other domains",
            content::<InterconnectsDocument>,
            &[],
            routing::any(|app, caller, request| {
                document(DocumentPath::Interconnects, app, caller, request)
            }),
        ),
    ];
    routes.extend([
        Route {
            path: "/n2s/v1/transaction",
            operations: vec![Operation {
                method: Method::POST,
                id: "postTransaction",
                summary: "Change several documents as one revision, all or none",
                scope: Some(Scope::Ingest),
                parameters: vec![SOURCE, DRY_RUN, IF_MATCH, KEY],
                request: vec![content::<TransactionDocument>(media::JSON)],
                responses: written(),
            }],
            varied: false,
            handler: routing::any(transaction),
        },
        Route {
            path: "/n2s/v1/revisions",
            operations: vec![Operation {
                method: Method::GET,
                id: "listRevisions",
                summary: "Who changed what, and when, oldest first",
                scope: Some(Scope::Ingest),
                parameters: vec![AFTER],
                request: Vec::new(),
                responses: found::<RevisionList>("At most 100 revisions; the ETag is of the newest revision, for If-Match on a transaction"),
            }],
            varied: false,
            handler: routing::any(revisions),
        },
        Route {
            path: "/n2s/v1/revisions/{revision}",
            operations: vec![Operation {
                method: Method::GET,
                id: "getRevision",
                summary: "Who changed what, and when, in one revision",
                scope: Some(Scope::Ingest),
                parameters: vec![REVISION],
                request: Vec::new(),
                responses: found::<RevisionDocument>("The revision"),
            }],
            varied: false,
            handler: routing::any(revision),
        },
        Route {
            path: "/n2s/v1/revisions/{revision}/restore",
            operations: vec![Operation {
                method: Method::POST,
                id: "restoreRevision",
                summary: "State the facts of all sources as they were after a revision, as a new revision",
                scope: Some(Scope::Operate),
                parameters: vec![REVISION, DRY_RUN, IF_MATCH, KEY],
                request: Vec::new(),
                responses: written(),
            }],
            varied: false,
            handler: routing::any(restore),
        },
        Route {
            path: "/n2s/v1/conflicts",
            operations: vec![Operation {
                method: Method::GET,
                id: "listConflicts",
                summary: "The facts that are kept and not used, and why",
                scope: Some(Scope::Ingest),
                parameters: Vec::new(),
                request: Vec::new(),
                responses: found::<ConflictList>("The conflicts"),
            }],
            varied: false,
            handler: routing::any(conflicts),
        },
    ]);
    routes
}

const fn query(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter {
        place: "query",
        name,
        description,
        kind,
    }
}

const fn header(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        place: "header",
        name,
        description,
        kind: "string",
    }
}

const METRIC: Parameter = Parameter {
    place: "path",
    name: "metric",
    description: "A cost metric of RFC 7285 or RFC 9439, for example `delay-ow:p95`, or `priv:…`",
    kind: "string",
};
const REVISION: Parameter = Parameter {
    place: "path",
    name: "revision",
    description: "The number of a revision",
    kind: "integer",
};
const SOURCE: Parameter = query(
    "source",
    "string",
    "Whose facts; absent: the token's own. `*` reads what all sources state together",
);
const DRY_RUN: Parameter = query(
    "dry-run",
    "boolean",
    "`true`: the same checks and the same answer, nothing kept",
);
const AFTER: Parameter = query("after", "integer", "List the revisions after this one");
const IF_MATCH: Parameter = header(
    "If-Match",
    "The ETag that the change is based on; 412 if it is stale",
);
const IF_NONE_MATCH: Parameter = header(
    "If-None-Match",
    "`*`: only if there is no such document yet",
);
const KEY: Parameter = header(
    "Idempotency-Key",
    "A repeat with the same key within a day gets the first answer",
);

fn written() -> Vec<(StatusCode, &'static str, Vec<Content>)> {
    let answer = || vec![content::<WriteAnswer>(media::JSON)];
    vec![
        (StatusCode::OK, "Done, durable and published", answer()),
        (
            StatusCode::CREATED,
            "A document is there that was not before",
            answer(),
        ),
    ]
}

fn found<T: schemars::JsonSchema>(
    text: &'static str,
) -> Vec<(StatusCode, &'static str, Vec<Content>)> {
    vec![(StatusCode::OK, text, vec![content::<T>(media::JSON)])]
}

fn document_route(
    path: &'static str,
    ids: [&'static str; 4],
    what: &'static str,
    schema: fn(&'static str) -> Content,
    parameters: &[Parameter],
    handler: routing::MethodRouter<App>,
) -> Route {
    let with = |more: &[Parameter]| [parameters, more].concat();
    let write = [SOURCE, DRY_RUN, IF_MATCH, IF_NONE_MATCH, KEY];
    let [get, put, patch, delete] = ids;
    Route {
        path,
        operations: vec![
            Operation {
                method: Method::GET,
                id: get,
                summary: what,
                scope: Some(Scope::Ingest),
                parameters: with(&[SOURCE]),
                request: Vec::new(),
                responses: vec![(
                    StatusCode::OK,
                    "The document, in canonical form",
                    vec![schema(media::JSON)],
                )],
            },
            Operation {
                method: Method::PUT,
                id: put,
                summary: what,
                scope: Some(Scope::Ingest),
                parameters: with(&write),
                request: vec![schema(media::JSON)],
                responses: written(),
            },
            Operation {
                method: Method::PATCH,
                id: patch,
                summary: what,
                scope: Some(Scope::Ingest),
                parameters: with(&write),
                request: vec![schema(media::MERGE_PATCH)],
                responses: written(),
            },
            Operation {
                method: Method::DELETE,
                id: delete,
                summary: what,
                scope: Some(Scope::Ingest),
                parameters: with(&write),
                request: Vec::new(),
                responses: written(),
            },
        ],
        varied: false,
        handler,
    }
}

async fn cost_map(
    app: State<App>,
    caller: Extension<Caller>,
    Path(metric): Path<String>,
    request: Request,
) -> Response {
    match DocumentPath::parse(&format!("cost-maps/{metric}")) {
        Ok(path) => document(path, app, caller, request).await,
        Err(reason) => problem(StatusCode::NOT_FOUND, "metric", &reason, &Faults::default()),
    }
}

async fn document(
    path: DocumentPath,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, content) = request.into_parts();
    let answered = match parts.method {
        Method::PUT => {
            write_document(&app, &caller, OperationKind::Put, path, &parts, content).await
        }
        Method::PATCH => {
            write_document(
                &app,
                &caller,
                OperationKind::MergePatch,
                path,
                &parts,
                content,
            )
            .await
        }
        Method::DELETE => {
            write_document(&app, &caller, OperationKind::Delete, path, &parts, content).await
        }
        _ => read_document(&app, &caller, path, &parts).await,
    };
    answered.unwrap_or_else(|refused| *refused)
}

/// A response in place of an answer.
type Refused = Box<Response>;

fn refused(response: Response) -> Refused {
    Box::new(response)
}

fn bad_request(detail: &str) -> Refused {
    refused(problem(
        StatusCode::BAD_REQUEST,
        "request",
        detail,
        &Faults::default(),
    ))
}

/// The query of a request.
#[derive(Default)]
struct Query {
    source: Option<String>,
    dry_run: bool,
    after: u64,
}

impl Query {
    /// Reads the query; `allowed` are the names it may have.
    fn of(parts: &Parts, allowed: &[&str]) -> Result<Self, Refused> {
        let mut query = Self::default();
        for (name, value) in
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            match name.as_ref() {
                name if !allowed.contains(&name) => {
                    return Err(bad_request(&format!(
                        "the query parameter {name:?} is unknown here; known are {}",
                        allowed.join(", ")
                    )));
                }
                "source" => query.source = Some(value.into_owned()),
                "dry-run" => {
                    query.dry_run = value
                        .parse()
                        .map_err(|_| bad_request("dry-run must be true or false"))?;
                }
                _ => {
                    query.after = value
                        .parse()
                        .map_err(|_| bad_request("after must be the number of a revision"))?;
                }
            }
        }
        Ok(query)
    }

    /// The source that the caller means: its own, or one that it lists.
    fn source(&self, principal: &Principal) -> Result<SourceName, Refused> {
        let Some(name) = &self.source else {
            return Ok(principal.name.clone());
        };
        let source = SourceName::new(name).map_err(|error| bad_request(&error.to_string()))?;
        if principal.may_write_for(&source) {
            return Ok(source);
        }
        let detail = format!(
            "token {} has no source {source}; add it to the token's `sources`",
            principal.name
        );
        Err(refused(problem(
            StatusCode::FORBIDDEN,
            "source",
            &detail,
            &Faults::default(),
        )))
    }
}

fn require<'c>(app: &App, caller: &'c Caller, scope: Scope) -> Result<&'c Principal, Refused> {
    app.access()
        .require(caller.principal(), scope)
        .map(|principal| &**principal)
        .map_err(|denied| refused(Wording::Problem.denied(&denied)))
}

async fn read_document(
    app: &App,
    caller: &Caller,
    path: DocumentPath,
    parts: &Parts,
) -> Result<Response, Refused> {
    let principal = require(app, caller, Scope::Ingest)?;
    let query = Query::of(parts, &["source"])?;
    let standing = app.ledger.durable().borrow().clone();
    let nothing = |whose: &str| {
        let detail = format!("{whose} states no {path}");
        refused(problem(
            StatusCode::NOT_FOUND,
            "document",
            &detail,
            &Faults::default(),
        ))
    };
    let (known, document) = match query.source.as_deref() {
        Some("*") => {
            let (path, standing) = (path.clone(), standing.clone());
            let union = app.pool.run(move || union_document(&standing, &path));
            (
                None,
                union
                    .await
                    .map_err(|error| failed(&error))?
                    .ok_or_else(|| nothing("no source"))?,
            )
        }
        _ => {
            let source = query.source(principal)?;
            let facts = standing.facts.sources.get(&source);
            let document = facts.and_then(|facts| Document::of(facts, &path));
            let known = facts.and_then(|facts| Document::stated(facts, &path));
            (
                known.map(|(tag, _)| tag),
                document.ok_or_else(|| nothing(source.as_str()))?,
            )
        }
    };
    let Some(coding) = coding(&parts.headers) else {
        return Err(refused(Wording::Problem.refuse(
            StatusCode::NOT_ACCEPTABLE,
            "coding",
            "no coding is acceptable to the client; ask for identity, gzip or zstd",
        )));
    };
    if let Some(tag) = &known
        && let Some(response) = unchanged(&parts.headers, etag(tag, coding))
    {
        return Ok(response);
    }
    let written = app.pool.run(move || {
        let text = document.text();
        let tag = text.tag().clone();
        (
            tag,
            compress(&Bytes::from(text.joined()), coding, Effort::Each),
        )
    });
    let (tag, text) = written.await.map_err(|error| failed(&error))?;
    let current = etag(&tag, coding);
    if let Some(response) = unchanged(&parts.headers, current.clone()) {
        return Ok(response);
    }
    Ok(marked(
        respond(StatusCode::OK, media::JSON, text),
        current,
        coding,
    ))
}

fn unchanged(headers: &HeaderMap, current: HeaderValue) -> Option<Response> {
    not_modified(headers, &current).then(|| {
        marked(
            super::refusal::bare(StatusCode::NOT_MODIFIED),
            current,
            Coding::Identity,
        )
    })
}

fn marked(mut response: Response, etag: HeaderValue, coding: Coding) -> Response {
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(
        VARY,
        HeaderValue::from_static("accept-encoding, authorization"),
    );
    if let Some(name) = coding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

async fn write_document(
    app: &App,
    caller: &Caller,
    kind: OperationKind,
    path: DocumentPath,
    parts: &Parts,
    content: Body,
) -> Result<Response, Refused> {
    let principal = require(app, caller, Scope::Ingest)?;
    let types: &[&str] = match kind {
        OperationKind::Delete => &[],
        OperationKind::MergePatch => &[media::MERGE_PATCH],
        // What a GET of an ALTO map returned can be put as it is.
        _ => &[media::JSON, media::NETWORK_MAP, media::COST_MAP],
    };
    let content = receive(app, parts, content, types).await?;
    let (target, bytes) = (path.clone(), content.clone());
    let read = parsed(app, move |reader| {
        read_operation(reader, kind, target, &bytes)
    })
    .await?;
    let request = [
        kind.as_str().as_bytes(),
        path.to_string().as_bytes(),
        &content,
    ]
    .map(<[u8]>::to_vec);
    write(app, principal, parts, Changes::Document(read), &request).await
}

async fn transaction(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, content) = request.into_parts();
    let answered = async {
        let principal = require(&app, &caller, Scope::Ingest)?;
        let content = receive(&app, &parts, content, &[media::JSON]).await?;
        let bytes = content.clone();
        let read: Vec<Step> = parsed(&app, move |reader| read_transaction(reader, &bytes)).await?;
        let request = [b"transaction".to_vec(), content.to_vec()];
        write(
            &app,
            principal,
            &parts,
            Changes::Transaction(read),
            &request,
        )
        .await
    };
    answered.await.unwrap_or_else(|refused| *refused)
}

async fn restore(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(revision): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answered = async {
        let principal = require(&app, &caller, Scope::Operate)?;
        let number = revision_number(&revision)?;
        let request = [b"restore".to_vec(), revision.into_bytes()];
        write(&app, principal, &parts, Changes::Restore(number), &request).await
    };
    answered.await.unwrap_or_else(|refused| *refused)
}

/// The body of a request, if it is of one of these types; no types: none is
/// wanted.
async fn receive(
    app: &App,
    parts: &Parts,
    content: Body,
    types: &[&str],
) -> Result<Bytes, Refused> {
    if types.is_empty() {
        return Ok(Bytes::new());
    }
    if !types.iter().any(|known| has_type(&parts.headers, known)) {
        let detail = format!(
            "the Content-Type of the request must be {}",
            types.join(" or ")
        );
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(refused(problem(
            status,
            "media-type",
            &detail,
            &Faults::default(),
        )));
    }
    let limits = app.bodies_taken();
    body::read(content, &limits.ingest(), &app.clock)
        .await
        .map_err(|error| {
            let detail = error.to_string();
            refused(problem(error.status(), "body", &detail, &Faults::default()))
        })
}

/// Reads a body on the pool.
async fn parsed<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(Reader<'_>) -> Result<T, Faults> + Send + 'static,
) -> Result<T, Refused> {
    let rules = app.ledger.rules();
    let reading = app.pool.run(move || {
        read(Reader {
            domain: &rules.policy.domain,
            limits: &rules.limits,
        })
    });
    let read = reading.await.map_err(|error| failed(&error))?;
    read.map_err(|faults| refused(faulty(&faults)))
}

/// Does a write, and answers when it is durable and published. `request` is
/// what an idempotency key stands for.
async fn write(
    app: &App,
    principal: &Principal,
    parts: &Parts,
    change: Changes,
    request: &[Vec<u8>],
) -> Result<Response, Refused> {
    let query = Query::of(parts, &["source", "dry-run"])?;
    let source = query.source(principal)?;
    let mut marks: Vec<&[u8]> = vec![source.as_str().as_bytes()];
    marks.extend(request.iter().map(Vec::as_slice));
    let key = match (query.dry_run, parts.headers.get(IDEMPOTENCY_KEY)) {
        (false, Some(text)) => Some(idempotency_key(principal, text, &marks)?),
        _ => None,
    };
    let write = Write {
        principal: principal.name.clone(),
        source,
        condition: condition(&parts.headers),
        key,
        dry_run: query.dry_run,
        change,
    };
    let outcome = app
        .ledger
        .write(write)
        .await
        .map_err(|refusal| refused(refuse(&refusal)))?;
    if !query.dry_run {
        let mut snapshots = app.snapshots.clone();
        let published = snapshots
            .wait_for(|snapshot| snapshot.revision >= outcome.revision)
            .await;
        if published.is_err() {
            return Err(refused(going_down()));
        }
    }
    Ok(answer(outcome, parts))
}

fn idempotency_key(
    principal: &Principal,
    text: &HeaderValue,
    request: &[&[u8]],
) -> Result<IdempotencyKey, Refused> {
    match text.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= 255 => {
            Ok(IdempotencyKey::new(principal.name.as_str(), text, request))
        }
        _ => Err(bad_request(
            "the Idempotency-Key must have 1 to 255 printable ASCII characters",
        )),
    }
}

fn answer(outcome: Outcome, parts: &Parts) -> Response {
    let status = match outcome.created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let document = WriteAnswer {
        revision: outcome.revision,
        changed: outcome.changed,
        warnings: outcome.warnings,
    };
    let mut response = json(status, &document);
    let headers = response.headers_mut();
    if let Some(tag) = &outcome.tag {
        headers.insert(ETAG, etag(tag, Coding::Identity));
    }
    if outcome.created
        && outcome.tag.is_some()
        && let Ok(value) = HeaderValue::try_from(parts.uri.path())
    {
        headers.insert(LOCATION, value);
    }
    response
}

fn json(status: StatusCode, document: &impl Serialize) -> Response {
    respond(
        status,
        media::JSON,
        serde_json::to_vec(document).unwrap_or_default(),
    )
}

fn refuse(refusal: &Refusal) -> Response {
    let (status, kind) = match refusal {
        Refusal::Faulty(faults) => return faulty(faults),
        Refusal::Precondition => (StatusCode::PRECONDITION_FAILED, "precondition"),
        Refusal::KeyReused => (StatusCode::CONFLICT, "idempotency-key"),
        Refusal::NoDocument(..) => (StatusCode::NOT_FOUND, "document"),
        Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "revision"),
        Refusal::Gone(_) => (StatusCode::GONE, "revision"),
        Refusal::KeysFull => {
            let detail = refusal.to_string();
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Wording::Problem.later(status, "idempotency-key", &detail, 3600);
        }
        Refusal::Store(error) => {
            tracing::error!(%error, "a write could not be made durable");
            return going_down();
        }
        Refusal::Pool(_) | Refusal::Panicked(_) => return *failed(refusal),
    };
    problem(status, kind, &refusal.to_string(), &Faults::default())
}

fn going_down() -> Response {
    let detail = "the node cannot keep what it is told and is going down; try again later";
    Wording::Problem.later(StatusCode::SERVICE_UNAVAILABLE, "store", detail, 10)
}

fn failed(error: &dyn std::error::Error) -> Refused {
    tracing::error!(%error, "a request failed");
    let detail = "the node failed to answer; its log says why";
    refused(problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "defect",
        detail,
        &Faults::default(),
    ))
}

fn revision_number(text: &str) -> Result<u64, Refused> {
    text.parse().map_err(|_| {
        let detail = format!("{text:?} is not the number of a revision");
        refused(problem(
            StatusCode::NOT_FOUND,
            "revision",
            &detail,
            &Faults::default(),
        ))
    })
}

async fn revisions(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answered = async {
        require(&app, &caller, Scope::Ingest)?;
        let query = Query::of(&parts, &["after"])?;
        let newest = app.ledger.durable().borrow().facts.revision;
        let listed = app.ledger.revisions(query.after, PAGE).await;
        let listed = listed.map_err(|refusal| refused(refuse(&refusal)))?;
        let list = RevisionList {
            revisions: listed.into_iter().map(revision_document).collect(),
            newest,
        };
        let current = etag(&Ledger::revision_tag(newest), Coding::Identity);
        Ok(marked(
            json(StatusCode::OK, &list),
            current,
            Coding::Identity,
        ))
    };
    answered.await.unwrap_or_else(|refused: Refused| *refused)
}

async fn revision(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(revision): Path<String>,
) -> Response {
    let answered = async {
        require(&app, &caller, Scope::Ingest)?;
        let number = revision_number(&revision)?;
        let account = app.ledger.revision(number).await;
        let account = account.map_err(|refusal| refused(refuse(&refusal)))?;
        Ok(json(StatusCode::OK, &revision_document((number, account))))
    };
    answered.await.unwrap_or_else(|refused: Refused| *refused)
}

fn revision_document((revision, account): (u64, Account)) -> RevisionDocument {
    RevisionDocument {
        revision,
        time: account.time,
        principal: account.principal,
        source: account.source,
        operations: account.operations,
        changed: account.changed,
        restored: account.restored,
    }
}

async fn conflicts(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    if let Err(refused) = require(&app, &caller, Scope::Ingest) {
        return *refused;
    }
    let conflicts = app.conflicts.borrow().clone();
    let total = |kind: ConflictKind| (kind.as_str().to_owned(), conflicts.count(kind));
    let totals: BTreeMap<String, u64> = ConflictKind::ALL.into_iter().map(total).collect();
    let list = ConflictList {
        conflicts: conflicts.listed().to_vec(),
        totals,
    };
    json(StatusCode::OK, &list)
}
