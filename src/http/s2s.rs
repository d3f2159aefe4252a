//! The server-to-server API: what peers get from this node, and the status of peers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::{Extension, routing};
use url::form_urlencoded;

use crate::alto::media;
use crate::api::conflict::MergeConflictKind;
use crate::api::s2s::{ConflictList, Descriptor, ManifestEntry, PeerList, PeerStatus};
use crate::auth::{Access, Scope};
use crate::federation::Blob;
use crate::ident::{Digest, DomainLabel};
use crate::publish::{Resource, View};
use crate::render::{self, Broken, Coding, Representation, Unanswered};
use crate::runtime::Threshold;
use crate::store::{BlobReader, StoreError};

use super::access::require;
use super::announcement::DESCRIPTOR;
use super::app::App;
use super::body::{self, BodyError};
use super::caller::{Caller, room_for};
use super::conditional::{etag, not_modified};
use super::limit::Accounted;
use super::negotiate::has_type;
use super::openapi::{Operation, Parameter, Route, content};
use super::push::open_for_peer;
use super::refusal::{Refused, Wording, bare, json, no_room, refused, respond, store_full};
use super::socket::Peer;
use super::unanswered::unanswered;

const DIGEST: Parameter = Parameter {
    place: "path",
    name: "digest",
    description: "The SHA-256 of the document, in hexadecimal digits",
    kind: "string",
};
const DOMAIN: Parameter = Parameter {
    place: "path",
    name: "domain",
    description: "The label of a domain",
    kind: "string",
};

const PEER: Parameter = Parameter {
    place: "path",
    name: "peer",
    description: "The label of a peer's domain",
    kind: "string",
};

const ONLY: Parameter = Parameter {
    place: "query",
    name: "domain",
    description: "The one domain that is shown of what each peer passes",
    kind: "string",
};

/// How long a request to read a peer waits for the reading.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Returns the routes of the API.
pub(super) fn routes() -> Vec<Route> {
    let get = |id, summary, scope, parameters, response| Operation {
        method: Method::GET,
        id,
        summary,
        scope,
        parameters,
        request: Vec::new(),
        responses: vec![response],
    };
    let route = |path, operation, handler| Route {
        path,
        service: "s2s",
        operations: vec![operation],
        varied: false,
        handler,
    };
    let described = |path, id, summary| {
        let answer = (
            StatusCode::OK,
            "The descriptor",
            vec![content::<Descriptor>(media::JSON)],
        );
        let operation = get(id, summary, None, Vec::new(), answer);
        route(path, operation, routing::any(descriptor))
    };
    vec![
        described(
            "/.well-known/alto-federation",
            "getDescriptor",
            "What this node is, and the keys that it signs with",
        ),
        described(
            DESCRIPTOR,
            "getAnnouncedDescriptor",
            "The same where directories announce it, for a node below a path",
        ),
        Route {
            service: "manifests",
            ..route(
                "/s2s/v1/manifests",
                get(
                    "getManifests",
                    "The domains that this node passes to the caller",
                    Some(Scope::Peer),
                    Vec::new(),
                    (
                        StatusCode::OK,
                        "Their manifests, as their origins signed them",
                        vec![content::<Vec<ManifestEntry>>(media::JSON)],
                    ),
                ),
                routing::any(manifests),
            )
        },
        Route {
            service: "blobs",
            ..route(
                "/s2s/v1/blobs/{digest}",
                get(
                    "getBlob",
                    "A document that a manifest names",
                    Some(Scope::Peer),
                    vec![DIGEST],
                    (
                        StatusCode::OK,
                        "The document, byte for byte",
                        vec![content::<serde_json::Value>(OCTETS)],
                    ),
                ),
                routing::any(blob),
            )
        },
        route(
            "/s2s/v1/updates",
            Operation {
                method: Method::POST,
                request: vec![content::<serde_json::Value>(media::UPDATE_STREAM_PARAMS)],
                ..get(
                    "followDomains",
                    "An update stream of the maps and manifests that the caller gets",
                    Some(Scope::Peer),
                    Vec::new(),
                    (
                        StatusCode::OK,
                        "The events (RFC 8895)",
                        vec![content::<serde_json::Value>(media::EVENT_STREAM)],
                    ),
                )
            },
            routing::any(updates),
        ),
        route(
            "/s2s/v1/peers",
            get(
                "getPeers",
                "The status of the peers",
                Some(Scope::Operate),
                vec![ONLY],
                (
                    StatusCode::OK,
                    "Each peer and the first of the domains it passes to us, and what we said last",
                    vec![content::<PeerList>(media::JSON)],
                ),
            ),
            routing::any(peers),
        ),
        route(
            "/s2s/v1/peers/{peer}/retry",
            Operation {
                method: Method::POST,
                responses: vec![(
                    StatusCode::OK,
                    "Its status after the reading, or while it is still read if that takes over \
                         ten seconds",
                    vec![content::<PeerStatus>(media::JSON)],
                )],
                ..get(
                    "retryPeer",
                    "Read a peer now, whatever was read or refused before",
                    Some(Scope::Operate),
                    vec![PEER],
                    (StatusCode::OK, "", Vec::new()),
                )
            },
            routing::any(retry),
        ),
        route(
            "/s2s/v1/conflicts",
            get(
                "getFederationConflicts",
                "What the merged view could not take as it is",
                Some(Scope::Operate),
                Vec::new(),
                (
                    StatusCode::OK,
                    "The conflicts, a thousand of each kind at most, and how many there are",
                    vec![content::<ConflictList>(media::JSON)],
                ),
            ),
            routing::any(conflicts),
        ),
        route(
            "/s2s/v1/domains/{domain}/forget-key",
            Operation {
                method: Method::POST,
                ..get(
                    "forgetKey",
                    "Forget the key that a domain was first met with, so that its next one is accepted",
                    Some(Scope::Operate),
                    vec![DOMAIN],
                    (StatusCode::NO_CONTENT, "It is forgotten", Vec::new()),
                )
            },
            routing::any(forget_key),
        ),
        route(
            "/s2s/v1/domains/{domain}/accept",
            Operation {
                method: Method::POST,
                ..get(
                    "acceptChange",
                    "Accept the change of a domain that is held, to take it now",
                    Some(Scope::Operate),
                    vec![DOMAIN],
                    (
                        StatusCode::NO_CONTENT,
                        "It is taken as soon as its peers are read, which is begun",
                        Vec::new(),
                    ),
                )
            },
            routing::any(accept),
        ),
    ]
}

/// The media type of blobs in the API description; an answer has the type that the manifest names.
const OCTETS: &str = "application/octet-stream";

async fn descriptor(State(app): State<App>, request: Request) -> Response {
    let descriptor = app.federation.descriptor(&app.base_url);
    tagged(request.headers(), &descriptor, "public, no-cache")
}

async fn manifests(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refused> {
    let principal = require(&app.access(), &caller, Scope::Peer)?;
    let entries = app.federation.exports(principal.peer.as_ref());
    let entries = entries.map_err(|incomplete| refused(starting(&incomplete.to_string())))?;
    Ok(tagged(request.headers(), &entries, "private, no-cache"))
}

/// Refuses a request for what is not available yet since the node has just started.
fn starting(detail: &str) -> Response {
    const RETRY: u64 = 2;
    Wording::Problem.later(StatusCode::SERVICE_UNAVAILABLE, "starting", detail, RETRY)
}

async fn blob(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(client): Extension<Peer>,
    Path(digest): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let principal = require(&app.access(), &caller, Scope::Peer)?;
    let none = || {
        let detail = "no manifest that you get now names it; get the manifests again";
        refused(Wording::Problem.refuse(StatusCode::NOT_FOUND, "blob", detail))
    };
    let digest: Digest = digest.parse().map_err(|_| none())?;
    let accounted = caller.accounted(&client);
    let found = app.federation.blob(principal.peer.as_ref(), &digest).await;
    let found = found.map_err(|error| unread(&error))?;
    let (media_type, mut response) = match found.ok_or_else(none)? {
        Blob::Kept(media_type, reader) => {
            let body = kept(&app, reader, accounted, &parts).await?;
            (
                media_type,
                respond(StatusCode::OK, OCTETS, body.ok_or_else(none)?),
            )
        }
        Blob::Resource(view, resource) => {
            let media_type = resource.media_type().to_owned();
            let body = rendered(&app, &view, &resource, accounted).await;
            let body = body.map_err(|error| refused(unanswered(&error, &parts)))?;
            (
                media_type,
                respond(StatusCode::OK, OCTETS, body.ok_or_else(none)?),
            )
        }
    };
    response.extensions_mut().insert(Accounted);
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::try_from(media_type) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(ETAG, etag(&digest.into(), Coding::Identity));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=31536000, immutable"),
    );
    Ok(response)
}

/// The memory that counts for a blob that is being sent, besides its pieces: an open file, of
/// which a peer must not have many.
const OPEN: u64 = 1024 * 1024;

/// Returns the body of a blob on the disk, which is read while it is sent; none if it is
/// damaged.
async fn kept(
    app: &App,
    reader: BlobReader,
    caller: render::Caller,
    parts: &Parts,
) -> Result<Option<Body>, Refused> {
    let room = OPEN + render::taken(Coding::Identity);
    let room = app.answers.flight().take(&caller, room).await;
    let room = room.map_err(|_| refused(no_room(parts)))?;
    let digested = app.documents.digest(&caller, reader).await;
    let (digest, mut reader) = digested.map_err(|error| unread(&error))?;
    if digest != *reader.digest() {
        let discarded = app.documents.run(&caller, move || reader.discard()).await;
        return match discarded.map_err(Broken::from) {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(unread(&error)),
            Err(error) => Err(unread(&error)),
        };
    }
    reader.rewind().map_err(|error| unread(&error))?;
    let sent = app.documents.send(caller, reader, Coding::Identity, room);
    Ok(Some(sent.await.map_err(|error| unread(&error))?))
}

/// Returns the refusal of a document that the disk cannot deliver.
fn unread(error: &dyn std::error::Error) -> Refused {
    tracing::error!(%error, "a document for a peer could not be read");
    let detail = "the document could not be read; the log says why";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    refused(Wording::Problem.refuse(status, "defect", detail))
}

/// Returns the body of a GET of a resource, which is made as all bodies of full maps are.
async fn rendered(
    app: &App,
    view: &Arc<View>,
    resource: &Resource,
    caller: render::Caller,
) -> Result<Option<Body>, Unanswered> {
    let Some(marks) = app.bodies.marks(view, resource, &caller).await? else {
        return Ok(None);
    };
    let body = app
        .bodies
        .body(view, resource, marks, Coding::Identity, &caller);
    Ok(match body.await? {
        None => None,
        Some(Representation::Kept(body)) => Some(body.send()),
        Some(Representation::Streamed(rendering)) => {
            let work = rendering.work();
            let room = app.answers.room(&caller, &work, Coding::Identity).await?;
            Some(
                app.answers
                    .stream(caller, *rendering, Coding::Identity, room),
            )
        }
    })
}

async fn updates(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(client): Extension<Peer>,
    request: Request,
) -> Result<Response, Refused> {
    let peer = require(&app.access(), &caller, Scope::Peer)?.peer.clone();
    let (parts, content) = request.into_parts();
    if !has_type(&parts.headers, media::UPDATE_STREAM_PARAMS) {
        let detail = format!("the Content-Type must be {}", media::UPDATE_STREAM_PARAMS);
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(refused(Wording::Problem.refuse(status, "type", &detail)));
    }
    let limits = app.bodies_taken().query();
    let room = room_for(app.answers.flight(), &parts);
    let content = body::read(content, &limits, &app.clock, room).await;
    let content = content.map_err(|error| match error {
        BodyError::NoRoom(_) => refused(no_room(&parts)),
        error => {
            let detail = error.to_string();
            refused(Wording::Problem.refuse(error.status(), "body", &detail))
        }
    })?;
    let accounted = caller.accounted(&client);
    let (opener, bound) = (caller.clone(), peer.clone());
    let allowed = move |access: &Access| {
        let now = access.require(opener.principal(), Scope::Peer);
        now.is_ok_and(|now| now.peer == bound)
    };
    let federation = app.federation.clone();
    let may = move || federation.passed(peer.as_ref());
    let (allowed, may) = (Box::new(allowed), Box::new(may));
    open_for_peer(&app, &caller, accounted, &content, allowed, may).await
}

async fn peers(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refused> {
    require(&app.access(), &caller, Scope::Operate)?;
    let only = only(uri.query().unwrap_or_default())?;
    let mut list = app.federation.peers();
    let peers = list.peers.into_iter();
    list.peers = peers.map(|peer| peer.bounded(only.as_ref())).collect();
    Ok(json(StatusCode::OK, &list))
}

/// Returns the one domain that a query asks for, if it does.
fn only(query: &str) -> Result<Option<DomainLabel>, Refused> {
    let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == ONLY.name);
    let label = found.next().map(|(_, label)| DomainLabel::new(&label));
    label.transpose().map_err(|error| {
        let detail = format!("{}: {error}", ONLY.name);
        refused(Wording::Problem.refuse(StatusCode::BAD_REQUEST, "parameter", &detail))
    })
}

async fn retry(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(peer): Path<String>,
) -> Result<Response, Refused> {
    require(&app.access(), &caller, Scope::Operate)?;
    let label = DomainLabel::new(&peer).map_err(|_| no_peer(&peer))?;
    let status = app.federation.retry(&label, READ_WITHIN).await;
    let status = status.ok_or_else(|| no_peer(&peer))?;
    Ok(json(StatusCode::OK, &status.bounded(None)))
}

fn no_peer(label: &str) -> Refused {
    let detail = format!("there is no peer {label:?}");
    refused(Wording::Problem.refuse(StatusCode::NOT_FOUND, "peer", &detail))
}

async fn conflicts(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    require(&app.access(), &caller, Scope::Operate)?;
    let Some(merged) = app.merged.borrow().clone() else {
        let detail = "the domains have not been joined yet since the start";
        return Err(refused(starting(detail)));
    };
    let total = |kind: MergeConflictKind| (kind.as_str().to_owned(), merged.conflicts.count(kind));
    let listed = merged.interconnects.iter();
    let listed = listed.take(ConflictList::INTERCONNECTS);
    let list = ConflictList {
        conflicts: merged.conflicts.listed().to_vec(),
        totals: MergeConflictKind::ALL.into_iter().map(total).collect(),
        interconnects: listed.cloned().collect(),
        interconnect_total: merged.interconnects.len() as u64,
    };
    Ok(json(StatusCode::OK, &list))
}

async fn forget_key(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(threshold): Extension<Threshold>,
    Path(domain): Path<String>,
) -> Result<Response, Refused> {
    let federation = app.federation.clone();
    let forget = async move |domain: &DomainLabel| federation.forget_key(domain).await;
    let none = |domain: &str| format!("no key of a domain {domain:?} is known");
    told(&app, &caller, &threshold, &domain, forget, none).await
}

async fn accept(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(threshold): Extension<Threshold>,
    Path(domain): Path<String>,
) -> Result<Response, Refused> {
    let federation = app.federation.clone();
    let accept = async move |domain: &DomainLabel| federation.accept(domain).await;
    let none = |domain: &str| format!("no change of a domain {domain:?} is held");
    told(&app, &caller, &threshold, &domain, accept, none).await
}

/// Executes what an operator says about a domain. `work` returns whether there was something to
/// do; if not, `none` makes the message.
async fn told(
    app: &App,
    caller: &Caller,
    threshold: &Threshold,
    domain: &str,
    work: impl AsyncFnOnce(&DomainLabel) -> Result<bool, StoreError>,
    none: impl Fn(&str) -> String,
) -> Result<Response, Refused> {
    require(&app.access(), caller, Scope::Operate)?;
    // From here on the change is made, or may be.
    threshold.cross();
    let done = match DomainLabel::new(domain) {
        Ok(domain) => work(&domain).await,
        Err(_) => Ok(false),
    };
    match done {
        Ok(true) => Ok(bare(StatusCode::NO_CONTENT)),
        Ok(false) => {
            let detail = none(domain);
            let response = Wording::Problem.refuse(StatusCode::NOT_FOUND, "domain", &detail);
            Err(refused(response))
        }
        Err(error @ StoreError::NoRoom { .. }) => Err(refused(store_full(&error))),
        Err(error) => {
            tracing::error!(%error, "what an operator ordered cannot be stored");
            let detail = "the node cannot store the change; its log says why";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(refused(Wording::Problem.later(status, "store", detail, 10)))
        }
    }
}

/// Answers with a document and an entity tag of its content, or with 304.
fn tagged(headers: &HeaderMap, document: &impl serde::Serialize, cache: &'static str) -> Response {
    let text = serde_json::to_vec(document).unwrap_or_default();
    let current = etag(&Digest::of(&text).into(), Coding::Identity);
    let mut response = if not_modified(headers, &current) {
        bare(StatusCode::NOT_MODIFIED)
    } else {
        respond(StatusCode::OK, media::JSON, text)
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, current);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    response
}
