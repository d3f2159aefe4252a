//! The ALTO services: directories, maps, filtered maps, endpoint services.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, LAST_MODIFIED, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::{Extension, routing};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::alto::error::AltoError;
use crate::alto::media;
use crate::ident::{Digest, Tag};
use crate::publish::{Kind, Resource, View, ViewName, answer, directory};

use super::access::Caller;
use super::app::App;
use super::bodies::{Effort, compress, pack};
use super::body;
use super::conditional::{etag, not_modified};
use super::negotiate::{Coding, accepts, coding, has_type, takes_identity};
use super::openapi::{Operation, Parameter, Route, content};
use super::push;
use super::refusal::{Refused, Wording, alto, bare, method_not_allowed, options, refused, respond};
use super::socket::Peer;

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Answers with at most this many costs are worked out where the request is
/// handled, longer ones on the pool.
const SMALL: usize = 20_000;

/// Answers shorter than this are sent as they are.
const WORTH_COMPRESSING: usize = 4 * 1024;

/// The routes of all ALTO services. What a resource takes depends on what it
/// is, so that its methods are judged when it is known.
pub(super) fn routes() -> Vec<Route> {
    let directory = |id| Operation {
        method: Method::GET,
        id,
        summary: "An information resource directory (RFC 7285 section 9)",
        scope: None,
        parameters: Vec::new(),
        request: Vec::new(),
        responses: vec![(
            StatusCode::OK,
            "The directory",
            vec![content::<Value>(media::DIRECTORY)],
        )],
    };
    let replies = [
        media::NETWORK_MAP,
        media::COST_MAP,
        media::ENDPOINT_PROPERTIES,
        media::ENDPOINT_COSTS,
    ];
    let queries = [
        media::NETWORK_MAP_FILTER,
        media::COST_MAP_FILTER,
        media::ENDPOINT_PROPERTY_PARAMS,
        media::ENDPOINT_COST_PARAMS,
    ];
    let resource = |method, id, summary, request: &[&'static str]| Operation {
        method,
        id,
        summary,
        scope: None,
        parameters: vec![VIEW, RESOURCE],
        request: request.iter().copied().map(content::<Value>).collect(),
        responses: vec![
            (
                StatusCode::OK,
                "The resource",
                replies.into_iter().map(content::<Value>).collect(),
            ),
            (
                StatusCode::BAD_REQUEST,
                "An ALTO error (RFC 7285 section 8.5)",
                vec![content::<Value>(media::ERROR)],
            ),
        ],
    };
    vec![
        Route {
            path: "/directory",
            operations: vec![directory("rootDirectory")],
            varied: false,
            handler: routing::any(root_directory),
        },
        Route {
            path: "/views/{view}/directory",
            operations: vec![Operation {
                parameters: vec![VIEW],
                ..directory("viewDirectory")
            }],
            varied: false,
            handler: routing::any(view_directory),
        },
        Route {
            path: "/views/{view}/{resource}",
            operations: vec![
                resource(
                    Method::GET,
                    "getMap",
                    "A full map, as the directory lists it",
                    &[],
                ),
                resource(
                    Method::POST,
                    "query",
                    "A filtered map or an endpoint service, as the directory lists it",
                    &queries,
                ),
            ],
            varied: true,
            handler: routing::any(resource_of_view),
        },
    ]
}

pub(super) const VIEW: Parameter = Parameter {
    place: "path",
    name: "view",
    description: "`merged`, or the label of a domain",
    kind: "string",
};
const RESOURCE: Parameter = Parameter {
    place: "path",
    name: "resource",
    description: "A resource of the view, by the last segment of its URI in the directory",
    kind: "string",
};

async fn root_directory(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let snapshot = app.snapshot();
    let others: Vec<&ViewName> = snapshot
        .views
        .keys()
        .filter(|name| **name != ViewName::Merged)
        .collect();
    match snapshot.view(&ViewName::Merged) {
        Some(view) => serve_directory(&app, &caller, &parts, view, &others),
        None => bare(StatusCode::NOT_FOUND),
    }
}

async fn view_directory(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(view): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let snapshot = app.snapshot();
    match ViewName::parse(&view).and_then(|name| snapshot.view(&name)) {
        Some(view) => serve_directory(&app, &caller, &parts, view, &[]),
        None => bare(StatusCode::NOT_FOUND),
    }
}

/// The directory of a view. Of the views in `delegated` those are named that
/// the caller may read.
fn serve_directory(
    app: &App,
    caller: &Caller,
    parts: &Parts,
    view: &View,
    delegated: &[&ViewName],
) -> Response {
    if let Some(refusal) = refuse_get(app, caller, parts, view, media::DIRECTORY) {
        return refusal;
    }
    let access = app.access();
    let may_read = |name: &&&ViewName| access.may_read(caller.principal(), name.as_str()).is_ok();
    let delegated: Vec<&ViewName> = delegated.iter().filter(may_read).copied().collect();
    let document = directory(
        view,
        &app.base_url,
        &delegated,
        &app.push.followed().offer(),
    );
    let text = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    let digest = Digest::of(&text);
    let Some(coding) = chosen(&parts.headers, text.len()) else {
        return bare(StatusCode::NOT_ACCEPTABLE);
    };
    let marks = Marks {
        tag: digest.into(),
        digest,
        coding,
    };
    if let Some(response) = marks.unchanged(app, view, parts) {
        return response;
    }
    let text = compress(&text, coding, Effort::Each);
    let length = text.len() as u64;
    marks.response(
        app,
        view,
        parts,
        media::DIRECTORY,
        Some(length),
        Body::from(text),
    )
}

/// Any resource of a view but its directory.
async fn resource_of_view(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path((view, resource)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, content) = request.into_parts();
    let snapshot = app.snapshot();
    let Some(view) = ViewName::parse(&view).and_then(|name| snapshot.view(&name)) else {
        return bare(StatusCode::NOT_FOUND);
    };
    let Some(resource) = view.catalog().get(&resource) else {
        return bare(StatusCode::NOT_FOUND);
    };
    match resource.kind.accepts() {
        None => map(&app, &caller, view, resource, &parts).await,
        Some(accepted) => {
            query(
                &app,
                &caller,
                &peer,
                view,
                resource,
                accepted,
                (parts, content),
            )
            .await
        }
    }
}

/// A full map, by GET.
async fn map(
    app: &App,
    caller: &Caller,
    view: &Arc<View>,
    resource: &Resource,
    parts: &Parts,
) -> Response {
    let media_type = resource.kind.media_type();
    if let Some(refusal) = refuse_get(app, caller, parts, view, media_type) {
        return refusal;
    }
    let version = match app.bodies.version(view, resource).await {
        Ok(Some(version)) => version,
        Ok(None) => return bare(StatusCode::NOT_FOUND),
        Err(error) => return failed(&error),
    };
    let wanted = match app.bodies.is_streamed(version) {
        true => Some(Coding::Identity),
        false => chosen(&parts.headers, usize::MAX),
    };
    let Some(coding) = wanted else {
        return bare(StatusCode::NOT_ACCEPTABLE);
    };
    let marks = Marks {
        tag: version.tag.clone(),
        digest: version.digest,
        coding,
    };
    if let Some(response) = marks.unchanged(app, view, parts) {
        return response;
    }
    match app.bodies.body(view, resource, version, coding).await {
        Ok(Some(representation)) => {
            let length = representation.length().unwrap_or(version.length);
            let body = match parts.method == Method::HEAD {
                true => Body::empty(),
                false => representation.into_body(),
            };
            marks.response(app, view, parts, media_type, Some(length), body)
        }
        Ok(None) => bare(StatusCode::NOT_FOUND),
        Err(error) => failed(&error),
    }
}

/// The refusal of a GET that cannot be answered, if it is one.
fn refuse_get(
    app: &App,
    caller: &Caller,
    parts: &Parts,
    view: &View,
    media_type: &str,
) -> Option<Response> {
    if let Err(denied) = app
        .access()
        .may_read(caller.principal(), view.name().as_str())
    {
        return Some(Wording::Alto.denied(&denied));
    }
    match parts.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Some(options(GET)),
        _ => return Some(method_not_allowed(GET)),
    }
    (!accepts(&parts.headers, media_type)).then(|| bare(StatusCode::NOT_ACCEPTABLE))
}

/// The marks that a representation carries.
struct Marks {
    tag: Tag,
    digest: Digest,
    coding: Coding,
}

impl Marks {
    /// The answer 304, if the client has this representation.
    fn unchanged(&self, app: &App, view: &View, parts: &Parts) -> Option<Response> {
        let current = etag(&self.tag, self.coding);
        not_modified(&parts.headers, &current).then(|| {
            let mut response = bare(StatusCode::NOT_MODIFIED);
            self.mark(app, view, response.headers_mut());
            response
        })
    }

    /// The answer 200. `length` is that of the body as it is coded; a response
    /// to HEAD has it without the body.
    fn response(
        &self,
        app: &App,
        view: &View,
        parts: &Parts,
        media_type: &'static str,
        length: Option<u64>,
        content: Body,
    ) -> Response {
        let content = match parts.method == Method::HEAD {
            true => Body::empty(),
            false => content,
        };
        let mut response = respond(StatusCode::OK, media_type, content);
        let headers = response.headers_mut();
        self.mark(app, view, headers);
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    fn mark(&self, app: &App, view: &View, headers: &mut HeaderMap) {
        headers.insert(ETAG, etag(&self.tag, self.coding));
        headers.insert(
            VARY,
            HeaderValue::from_static("accept, accept-encoding, authorization"),
        );
        // A map may change at any moment and is cheap to ask for again: keep
        // it, and ask each time whether it is still the one.
        let cache = match app.access().is_public() {
            true => "public, no-cache",
            false => "private, no-cache",
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        mark_age(view, headers);
        match self.coding.name() {
            Some(coding) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            None => {
                headers.insert(REPR_DIGEST, repr_digest(&self.digest));
            }
        }
    }
}

/// A query, by POST.
async fn query(
    app: &App,
    caller: &Caller,
    peer: &Peer,
    view: &Arc<View>,
    resource: &Resource,
    accepted: &'static str,
    (parts, content): (Parts, Body),
) -> Response {
    let media_type = resource.kind.media_type();
    let accepted = (Some(media_type), accepted);
    let name = view.name();
    let content = match posted(app, caller, (&parts, content), name.as_str(), accepted).await {
        Ok(content) => content,
        Err(refused) => return *refused,
    };
    match resource.kind {
        Kind::UpdateStream => {
            return push::open(app, caller, peer.addr.ip(), name, &content).await;
        }
        Kind::Tips => return push::open_tips(app, peer.addr.ip(), name, &content).await,
        _ => {}
    }
    let work = {
        let (view, kind) = (view.clone(), resource.kind.clone());
        let client = peer.addr.ip();
        move |content: &Bytes| answer(&view, &kind, content, client)
    };
    // A short request can ask for much: the size of its answer decides.
    let answered = match answer_size(view, &resource.kind, content.len()) <= SMALL {
        true => work(&content),
        false => match app.pool.run(move || work(&content)).await {
            Ok(answered) => answered,
            Err(error) => return failed(&error),
        },
    };
    match answered {
        Err(error) => alto(StatusCode::BAD_REQUEST, &error),
        Ok(text) => {
            let mut response = send_answer(app, &parts.headers, media_type, text.into()).await;
            mark_age(view, response.headers_mut());
            response
        }
    }
}

/// The body of a POST, if it is one that the caller may make: of a media type
/// that is `taken`, for an answer of one that is `given` unless none is.
pub(super) async fn posted(
    app: &App,
    caller: &Caller,
    (parts, content): (&Parts, Body),
    view: &str,
    (given, taken): (Option<&str>, &str),
) -> Result<Bytes, Refused> {
    let readable = app.access().may_read(caller.principal(), view);
    readable.map_err(|denied| refused(Wording::Alto.denied(&denied)))?;
    match parts.method {
        Method::POST => {}
        Method::OPTIONS => return Err(refused(options(POST))),
        _ => return Err(refused(method_not_allowed(POST))),
    }
    if given.is_some_and(|given| !accepts(&parts.headers, given)) {
        return Err(refused(bare(StatusCode::NOT_ACCEPTABLE)));
    }
    if !has_type(&parts.headers, taken) {
        let why = format!("the Content-Type of the request must be {taken}");
        let error = AltoError::syntax(why);
        return Err(refused(alto(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error)));
    }
    let content = body::read(content, &app.bodies_taken().query(), &app.clock).await;
    content.map_err(|error| {
        let why = AltoError::syntax(error.to_string());
        refused(alto(error.status(), &why))
    })
}

/// A bound on the cells of an answer.
fn answer_size(view: &View, kind: &Kind, request: usize) -> usize {
    let pids = view.network().pids().len();
    // An endpoint takes at least 12 bytes of a request, as in `"ipv6:::1",`.
    let endpoints = request / 12;
    match kind {
        Kind::FilteredNetworkMap => view.network().prefix_count(),
        Kind::FilteredCostMap => pids * pids,
        Kind::EndpointProperties => endpoints,
        Kind::EndpointCosts => (endpoints / 2) * (endpoints / 2),
        Kind::NetworkMap | Kind::CostMap(_) | Kind::UpdateStream | Kind::Tips => 0,
    }
}

async fn send_answer(
    app: &App,
    headers: &HeaderMap,
    media_type: &'static str,
    text: Bytes,
) -> Response {
    let Some(coding) = chosen(headers, text.len()) else {
        return bare(StatusCode::NOT_ACCEPTABLE);
    };
    let text = match pack(&app.pool, text, coding).await {
        Ok(text) => text,
        Err(error) => return failed(&error),
    };
    let mut response = respond(StatusCode::OK, media_type, text);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(coding) = coding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// The coding for a body of this length; `None` if the client takes none.
pub(super) fn chosen(headers: &HeaderMap, length: usize) -> Option<Coding> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Some(Coding::Identity);
    }
    let best = coding(headers)?;
    let short = length < WORTH_COMPRESSING && takes_identity(headers);
    Some(if short { Coding::Identity } else { best })
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "a request failed");
    bare(StatusCode::INTERNAL_SERVER_ERROR)
}

/// `Repr-Digest` of RFC 9530.
fn repr_digest(digest: &Digest) -> HeaderValue {
    let text = format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Says how old the data behind an answer are (RFC 9439 §6).
fn mark_age(view: &View, headers: &mut HeaderMap) {
    if let Some(value) = http_date(view.origin().received) {
        headers.insert(LAST_MODIFIED, value);
    }
}

fn http_date(time: jiff::Timestamp) -> Option<HeaderValue> {
    let text = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()?;
    HeaderValue::try_from(text).ok()
}
