//! The ALTO services: directories, maps, filtered maps, endpoint services.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, LAST_MODIFIED, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, routing};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::alto::media;
use crate::ident::{Digest, Tag};
use crate::publish::service::signatures;
use crate::publish::{
    Parameters, QueryError, Rendering, Resource, Transport, View, ViewName, directory,
};
use crate::render::{self, Coding, Effort, Representation, Room, SMALL, Unanswered, compress};

use super::access::require_view;
use super::announcement::{announced, descriptor_url};
use super::app::App;
use super::caller::Caller;
use super::conditional::{etag, not_modified};
use super::limit::Accounted;
use super::negotiate::{accepts, chosen};
use super::openapi::{Operation, Parameter, Route, content};
use super::posted::posted;
use super::push;
use super::refusal::{
    Refused, Wording, alto, bare, method_not_allowed, no_room, options, refused, respond,
};
use super::socket::Peer;
use super::unanswered::{failed, too_much, unanswered};
use super::views::{self, VIEW};

const GET: &str = "GET, HEAD, OPTIONS";
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Returns the routes of all ALTO services. Which methods a resource has depends on the
/// resource, so its handler checks the method once the resource is known.
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
    let replies = signatures().flat_map(|signature| signature.media_types);
    let replies: BTreeSet<&'static str> = replies.copied().collect();
    let queries = signatures().filter_map(|signature| signature.accepts);
    let queries: Vec<&'static str> = queries.collect();
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
                replies.iter().copied().map(content::<Value>).collect(),
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
            service: "directory",
            operations: vec![directory("rootDirectory")],
            varied: false,
            handler: routing::any(root_directory),
        },
        Route {
            path: "/views/{view}/directory",
            service: "directory",
            operations: vec![Operation {
                parameters: vec![VIEW],
                ..directory("viewDirectory")
            }],
            varied: false,
            handler: routing::any(view_directory),
        },
        Route {
            path: "/views/{view}/{resource}",
            service: "alto",
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
    let answer = root_directory_for(&app, &caller, &parts);
    announced(&app.base_url, answer.into_response())
}

fn root_directory_for(app: &App, caller: &Caller, parts: &Parts) -> Result<Response, Refused> {
    require_view(&app.access(), caller, ViewName::Merged.as_str())?;
    let snapshot = app.snapshot();
    let others: Vec<&ViewName> = snapshot
        .views
        .keys()
        .filter(|name| **name != ViewName::Merged)
        .collect();
    let name = ViewName::Merged;
    let view = views::find(app, &snapshot, &name, Wording::Alto)?;
    let response = serve_directory(app, caller, parts, view, &others).into_response();
    Ok(views::marked(&snapshot, &name, response))
}

async fn view_directory(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(view): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = view_directory_for(&app, &caller, &view, &parts);
    announced(&app.base_url, answer.into_response())
}

fn view_directory_for(
    app: &App,
    caller: &Caller,
    view: &str,
    parts: &Parts,
) -> Result<Response, Refused> {
    require_view(&app.access(), caller, view)?;
    let snapshot = app.snapshot();
    let name = ViewName::parse(view).ok_or_else(not_found)?;
    let view = views::find(app, &snapshot, &name, Wording::Alto)?;
    let response = serve_directory(app, caller, parts, view, &[]).into_response();
    Ok(views::marked(&snapshot, &name, response))
}

/// Answers with the directory of a view. Of the views in `delegated` it lists those that the
/// caller may read.
fn serve_directory(
    app: &App,
    caller: &Caller,
    parts: &Parts,
    view: &View,
    delegated: &[&ViewName],
) -> Result<Response, Refused> {
    check_get(parts, media::DIRECTORY)?;
    let access = app.access();
    let may_read = |name: &&&ViewName| access.may_read(caller.principal(), name.as_str()).is_ok();
    let delegated: Vec<&ViewName> = delegated.iter().filter(may_read).copied().collect();
    let document = directory(
        view,
        &app.base_url,
        descriptor_url(&app.base_url),
        &delegated,
        &app.push.followed().offer(),
    );
    let text = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    let digest = Digest::of(&text);
    let coding = chosen(&parts.headers, text.len()).ok_or_else(not_acceptable)?;
    let marks = Marks {
        tag: digest.into(),
        digest,
        coding,
    };
    if let Some(response) = marks.unchanged(app, view, parts) {
        return Ok(response);
    }
    let text = compress(&text, coding, Effort::Each);
    let length = text.len() as u64;
    Ok(marks.response(
        app,
        view,
        parts,
        media::DIRECTORY,
        Some(length),
        Body::from(text),
    ))
}

/// Answers a request for any resource of a view except its directory.
async fn resource_of_view(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path((view, resource)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, content) = request.into_parts();
    require_view(&app.access(), &caller, &view)?;
    let snapshot = app.snapshot();
    let name = ViewName::parse(&view).ok_or_else(not_found)?;
    let view = views::find(&app, &snapshot, &name, Wording::Alto)?;
    let resource = view.catalog().get(&resource).ok_or_else(not_found)?;
    let answered = match resource.accepts() {
        None => map(&app, &caller, &peer, view, resource, &parts).await,
        Some(accepted) => {
            let asked = Query {
                app: &app,
                view,
                caller: caller.accounted(&peer),
                parts: &parts,
            };
            asked
                .post(&caller, &peer, resource, accepted, content)
                .await
        }
    };
    // A refusal depends on this version of the view, too.
    let response = answered.into_response();
    Ok(views::marked(&snapshot, &name, response))
}

fn not_found() -> Refused {
    refused(bare(StatusCode::NOT_FOUND))
}

/// Answers a GET of a full map.
async fn map(
    app: &App,
    caller: &Caller,
    peer: &Peer,
    view: &Arc<View>,
    resource: &Resource,
    parts: &Parts,
) -> Result<Response, Refused> {
    let media_type = resource.media_type();
    check_get(parts, media_type)?;
    let coding = chosen(&parts.headers, usize::MAX).ok_or_else(not_acceptable)?;
    let caller = caller.accounted(peer);
    let failed = |error: Unanswered| refused(unanswered(&error, parts));
    let marks = app.bodies.marks(view, resource, &caller).await;
    let marks = marks.map_err(failed)?.ok_or_else(not_found)?;
    let coded = Marks {
        tag: marks.tag.clone(),
        digest: marks.digest,
        coding,
    };
    if let Some(response) = coded.unchanged(app, view, parts) {
        return Ok(response);
    }
    let plain = (coding == Coding::Identity).then_some(marks.length);
    if parts.method == Method::HEAD && plain.is_some() {
        return Ok(coded.response(app, view, parts, media_type, plain, Body::empty()));
    }
    let body = app
        .bodies
        .body(view, resource, marks, coding, &caller)
        .await;
    let (length, body) = match body.map_err(failed)?.ok_or_else(not_found)? {
        Representation::Kept(body) => (Some(body.length()), body.send()),
        Representation::Streamed(rendering) => {
            let room = app.answers.room(&caller, &rendering.work(), coding).await;
            let room = room.map_err(failed)?;
            (plain, app.answers.stream(caller, *rendering, coding, room))
        }
    };
    let mut response = coded.response(app, view, parts, media_type, length, body);
    response.extensions_mut().insert(Accounted);
    Ok(response)
}

/// Checks that a request is a GET and accepts this media type.
fn check_get(parts: &Parts, media_type: &str) -> Result<(), Refused> {
    match parts.method {
        Method::GET | Method::HEAD if accepts(&parts.headers, media_type) => Ok(()),
        Method::GET | Method::HEAD => Err(not_acceptable()),
        Method::OPTIONS => Err(refused(options(GET))),
        _ => Err(refused(method_not_allowed(GET))),
    }
}

fn not_acceptable() -> Refused {
    refused(bare(StatusCode::NOT_ACCEPTABLE))
}

/// The headers that identify a representation.
struct Marks {
    tag: Tag,
    digest: Digest,
    coding: Coding,
}

impl Marks {
    /// Returns the answer 304, if the client has this representation.
    fn unchanged(&self, app: &App, view: &View, parts: &Parts) -> Option<Response> {
        let current = etag(&self.tag, self.coding);
        not_modified(&parts.headers, &current).then(|| {
            let mut response = bare(StatusCode::NOT_MODIFIED);
            self.mark(app, view, response.headers_mut());
            response
        })
    }

    /// Makes the answer 200. `length` is that of the body in its coding; a response to HEAD has
    /// this length without the body.
    fn response(
        &self,
        app: &App,
        view: &View,
        parts: &Parts,
        media_type: &'static str,
        length: Option<u64>,
        content: Body,
    ) -> Response {
        let content = match (parts.method == Method::HEAD, length) {
            (false, _) => content,
            (true, Some(_)) => Body::empty(),
            // A body of unknown length: with an empty body the server would state a length of 0.
            (true, None) => {
                Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>())
            }
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
        // A map may change at any moment and is cheap to revalidate: caches may keep it, but
        // must ask each time whether it is still current.
        let cache = if app.access().is_public() {
            "public, no-cache"
        } else {
            "private, no-cache"
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

/// A query that is being answered.
struct Query<'a> {
    app: &'a App,
    view: &'a Arc<View>,
    caller: render::Caller,
    parts: &'a Parts,
}

impl Query<'_> {
    /// Reads the body of the POST, which must be of the type `accepted`, and answers it.
    async fn post(
        self,
        caller: &Caller,
        peer: &Peer,
        resource: &Resource,
        accepted: &str,
        content: Body,
    ) -> Result<Response, Refused> {
        let (app, view) = (self.app, self.view);
        let name = view.name();
        let given = Some(resource.media_type());
        let content = posted(
            app,
            caller,
            self.parts,
            content,
            name.as_str(),
            given,
            accepted,
        )
        .await?;
        match resource.transport() {
            Some(Transport::UpdateStream) => {
                return push::open(app, caller, peer, name, &content).await;
            }
            Some(Transport::Tips) => {
                return push::open_tips(app, caller, peer, name, &content).await;
            }
            None => {}
        }
        let mut response = self.answer(resource, content, peer.addr.ip()).await?;
        mark_age(view, response.headers_mut());
        Ok(response)
    }

    async fn answer(
        self,
        resource: &Resource,
        content: Bytes,
        client: IpAddr,
    ) -> Result<Response, Refused> {
        // The body counts for what was read from it, until the answer has room for that.
        let counted = content.clone();
        let rendering = self.read(resource, content, client).await?;
        let work = rendering.work();
        let limits = self.app.limits.borrow().work();
        if let Some(exceeded) = limits.exceeded(&work) {
            return Err(too_much(&rendering, &exceeded));
        }
        let media_type = resource.media_type();
        if SMALL.exceeded(&work).is_none() {
            let room = self.app.answers.flight();
            let room = room.try_take(&self.caller, work.bytes);
            let room = room.map_err(|_| refused(no_room(self.parts)))?;
            let text = rendering.write().into();
            return self.send_whole(media_type, text, room).await;
        }
        let coding = chosen(&self.parts.headers, usize::MAX).ok_or_else(not_acceptable)?;
        let answers = &self.app.answers;
        let room = answers.room(&self.caller, &work, coding).await;
        let room = room.map_err(|error| refused(unanswered(&error, self.parts)))?;
        drop(counted);
        let body = answers.stream(self.caller, rendering, coding, room);
        let mut response = answer(media_type, body, coding);
        response.extensions_mut().insert(Accounted);
        Ok(response)
    }

    /// Reads the parameters. Returns the answer, of which nothing is computed yet.
    async fn read(
        &self,
        resource: &Resource,
        content: Bytes,
        client: IpAddr,
    ) -> Result<Rendering, Refused> {
        let (answers, name, bytes) = (&self.app.answers, self.view.name(), content.len());
        let (view, resource) = (self.view.clone(), resource.clone());
        let read = move || {
            let input = &content;
            view.answer(&resource, Parameters { input, client })
        };
        let read = answers.read(name, &self.caller, bytes, read).await;
        let read = read.map_err(|error| refused(failed(&error)))?;
        read.map_err(|error| match error {
            QueryError::Refused(error) => refused(alto(StatusCode::BAD_REQUEST, &error)),
            QueryError::Gone => not_found(),
        })
    }

    async fn send_whole(
        self,
        media_type: &'static str,
        text: Bytes,
        room: Room,
    ) -> Result<Response, Refused> {
        let coding = chosen(&self.parts.headers, text.len()).ok_or_else(not_acceptable)?;
        let packed = self
            .app
            .answers
            .pack(self.view.name(), &self.caller, text, coding);
        let packed = packed.await.map_err(|error| refused(failed(&error)))?;
        let room = room.turned_out(packed.len() as u64);
        let mut response = answer(media_type, room.hold(packed.into()), coding);
        response.extensions_mut().insert(Accounted);
        Ok(response)
    }
}

/// Makes an answer to a query, which no cache keeps.
fn answer(media_type: &'static str, body: impl Into<Body>, coding: Coding) -> Response {
    let mut response = respond(StatusCode::OK, media_type, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(coding) = coding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// Returns the `Repr-Digest` of RFC 9530.
fn repr_digest(digest: &Digest) -> HeaderValue {
    let text = format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Marks an answer with the age of the data behind it (RFC 9439 §6).
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
