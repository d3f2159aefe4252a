//! Reads and writes documents.

use std::io;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use crate::alto::json::Faults;
use crate::alto::media;
use crate::api::n2s::WriteAnswer;
use crate::auth::{Principal, Scope};
use crate::facts::{Description, Document, DocumentPath, EditKind, Reader, Stated};
use crate::http::access::require;
use crate::http::app::App;
use crate::http::body::{self, BodyError};
use crate::http::caller::{Caller, counted_for, room_for};
use crate::http::conditional::{condition, etag};
use crate::http::limit::Accounted;
use crate::http::negotiate::{coding, has_type};
use crate::http::refusal::{
    IDEMPOTENCY_KEY, Refused, Wording, faulty, json, no_room, problem, refused, respond,
};
use crate::ident::Tag;
use crate::ingest::{
    Changes, IdempotencyKey, Operation as Step, OperationKind, Outcome, Write, read_operation,
    read_transaction, union_bytes, union_document,
};
use crate::render::{self, Coding};
use crate::runtime::Threshold;

use super::publication::Publication;
use super::{Query, bad_request, failed, marked, revision_number, unchanged};

/// Answers a request to a document of a kind. `name` is empty for a kind with only one document.
pub(super) async fn document(
    description: &'static Description,
    name: String,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refused> {
    let path = DocumentPath::parse(&description.path_of(&name)).map_err(|reason| {
        let named = description.name.as_ref();
        let what = named.map_or("document", |name| name.parameter);
        refused(problem(
            StatusCode::NOT_FOUND,
            what,
            &reason,
            &Faults::default(),
        ))
    })?;
    let (parts, content) = request.into_parts();
    let kind = match parts.method {
        Method::PUT => Some(OperationKind::Put),
        Method::PATCH => Some(OperationKind::Edit(EditKind::MergePatch)),
        Method::DELETE => Some(OperationKind::Delete),
        _ => None,
    };
    match kind {
        Some(kind) => write_document(&app, &caller, kind, path, &parts, content).await,
        None => read_document(&app, &caller, path, &parts).await,
    }
}

async fn read_document(
    app: &App,
    caller: &Caller,
    path: DocumentPath,
    parts: &Parts,
) -> Result<Response, Refused> {
    let principal = require(&app.access(), caller, Scope::Ingest)?;
    let query = Query::of(parts, &["source"])?;
    let current = app.ledger.durable().borrow().clone();
    let nothing = |whose: &str| {
        let detail = format!("{whose} states no {path}");
        refused(problem(
            StatusCode::NOT_FOUND,
            "document",
            &detail,
            &Faults::default(),
        ))
    };
    let Some(coding) = coding(&parts.headers) else {
        return Err(refused(Wording::Problem.refuse(
            StatusCode::NOT_ACCEPTABLE,
            "coding",
            "no coding is acceptable to the client; ask for identity, gzip or zstd",
        )));
    };
    let caller = counted_for(parts).unwrap_or(render::Caller::Node);
    let beside = render::taken(coding);
    let room = async |bytes: u64| {
        // A document larger than the share of one caller takes all of that share.
        let bytes = (bytes + beside).min(app.intake.largest());
        let room = app.intake.take(&caller, bytes).await;
        room.map_err(|_| refused(no_room(parts)))
    };
    let (tag, document, room) = match query.source.as_deref() {
        Some("*") => {
            let room = room(union_bytes(&current, &path)).await?;
            let (of, current) = (path.clone(), current.clone());
            let union = move || union_document(&current, &of);
            let union = app.documents.run(&caller, union).await;
            let union = union.map_err(|error| failed(&error))?;
            let union = union.ok_or_else(|| nothing("no source"))?;
            let digested = app.documents.digest(&caller, pieces(&union)).await;
            let (digest, _) = digested.map_err(|error| failed(&error))?;
            let tag = Tag::from(digest);
            if let Some(response) = unchanged(&parts.headers, etag(&tag, coding)) {
                return Ok(response);
            }
            (tag, union, room)
        }
        _ => {
            let source = query.source(&principal)?;
            let facts = current.facts.sources.get(&source);
            let stated = facts.and_then(|facts| facts.get(&path)).cloned();
            let Stated { document, tag, .. } = stated.ok_or_else(|| nothing(source.as_str()))?;
            if let Some(response) = unchanged(&parts.headers, etag(&tag, coding)) {
                return Ok(response);
            }
            let room = room(document.bytes_of_rows()).await?;
            (tag, document, room)
        }
    };
    let sent = app.documents.send(caller, pieces(&document), coding, room);
    let body = sent.await.map_err(|error| failed(&error))?;
    let response = respond(StatusCode::OK, media::JSON, body);
    let mut response = marked(response, etag(&tag, coding), coding);
    response.extensions_mut().insert(Accounted);
    Ok(response)
}

/// Returns the text of a document, row by row.
fn pieces(document: &Document) -> impl Iterator<Item = io::Result<Bytes>> + Send + use<> {
    document.rows().map(|row| Ok(row.into()))
}

async fn write_document(
    app: &App,
    caller: &Caller,
    kind: OperationKind,
    path: DocumentPath,
    parts: &Parts,
    content: Body,
) -> Result<Response, Refused> {
    require(&app.access(), caller, Scope::Ingest)?;
    let types: &[&str] = match kind {
        OperationKind::Delete => &[],
        OperationKind::Edit(_) => &[media::MERGE_PATCH],
        OperationKind::Put => path.description().media_types,
    };
    let content = receive(app, parts, content, types).await?;
    let (document, bytes) = (path.clone(), content.clone());
    let read = parsed(app, move |reader| {
        read_operation(reader, kind, document, &bytes)
    })
    .await?;
    let target = path.to_string();
    let request = [kind.as_str().as_bytes(), target.as_bytes(), &content[..]];
    let change = Changes::Document(read);
    write(app, caller, Scope::Ingest, parts, change, &request).await
}

pub(super) async fn transaction(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, content) = request.into_parts();
    require(&app.access(), &caller, Scope::Ingest)?;
    let content = receive(&app, &parts, content, &[media::JSON]).await?;
    let bytes = content.clone();
    let read: Vec<Step> = parsed(&app, move |reader| read_transaction(reader, &bytes)).await?;
    let request = [&b"transaction"[..], &content[..]];
    let change = Changes::Transaction(read);
    write(&app, &caller, Scope::Ingest, &parts, change, &request).await
}

pub(super) async fn restore(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(revision): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    require(&app.access(), &caller, Scope::Operate)?;
    let number = revision_number(&revision)?;
    let request = [&b"restore"[..], revision.as_bytes()];
    let change = Changes::Restore(number);
    write(&app, &caller, Scope::Operate, &parts, change, &request).await
}

/// Reads the body of a request, if it has one of these types. Without types no body is read.
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
    let room = room_for(&app.intake, parts);
    let content = body::read(content, &limits.ingest(), &app.clock, room).await;
    content.map_err(|error| match error {
        BodyError::NoRoom(_) => refused(no_room(parts)),
        error => {
            let detail = error.to_string();
            refused(problem(error.status(), "body", &detail, &Faults::default()))
        }
    })
}

/// Parses a body on the pool.
async fn parsed<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(Reader<'_>) -> Result<T, Faults> + Send + 'static,
) -> Result<T, Refused> {
    let rules = app.ledger.rules();
    let reading = app.facts.run(move || {
        read(Reader {
            domain: &rules.policy.domain,
            limits: &rules.limits,
        })
    });
    let read = reading.await.map_err(|error| failed(&error))?;
    read.map_err(|faults| refused(faulty(&faults)))
}

/// Executes a write, and answers when it is durable and our own view shows it; the answer has a
/// warning if the merged view does not show it yet. The caller must still have the scope, since
/// its body may have taken long. `request` identifies the request that an idempotency key stands
/// for.
async fn write(
    app: &App,
    caller: &Caller,
    scope: Scope,
    parts: &Parts,
    change: Changes,
    request: &[&[u8]],
) -> Result<Response, Refused> {
    let principal = require(&app.access(), caller, scope)?;
    let query = Query::of(parts, &["source", "dry-run", "accept"])?;
    let source = query.source(&principal)?;
    let mut marks: Vec<&[u8]> = vec![source.as_str().as_bytes()];
    marks.extend(request);
    let key = if query.dry_run {
        None
    } else {
        idempotency_key(&principal, parts, &marks)?
    };
    let threshold = parts.extensions.get::<Threshold>();
    let write = Write {
        principal: principal.name.clone(),
        source,
        condition: condition(&parts.headers),
        key,
        dry_run: query.dry_run,
        accepted: query.accept,
        threshold: threshold.cloned().unwrap_or_default(),
        change,
    };
    let outcome = app.ledger.write(write).await?;
    if query.dry_run {
        return Ok(answer(outcome, parts));
    }
    let publication = Publication::of(app, parts, outcome.revision).await?;
    let mut outcome = outcome;
    outcome.warnings.extend(publication.warning.clone());
    let mut response = answer(outcome, parts);
    publication.mark(&mut response);
    Ok(response)
}

fn idempotency_key(
    principal: &Principal,
    parts: &Parts,
    request: &[&[u8]],
) -> Result<Option<IdempotencyKey>, Refused> {
    let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(text) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(bad_request(
            "there is more than one Idempotency-Key; send exactly one",
        ));
    }
    match text.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= 255 => {
            Ok(Some(IdempotencyKey::new(&principal.name, text, request)))
        }
        _ => Err(bad_request(
            "the Idempotency-Key must have 1 to 255 printable ASCII characters",
        )),
    }
}

fn answer(outcome: Outcome, parts: &Parts) -> Response {
    let status = if outcome.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
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
