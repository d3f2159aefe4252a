//! The transport information publication service (RFC 9569): views of answers whose versions,
//! and the patches between them, are fetched as resources.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing;
use bytes::Bytes;

use crate::alto::error::AltoError;
use crate::alto::media;
use crate::alto::tips::{Edge, TipsParams, TipsView};
use crate::follow::{Answer, Follower, Item, NoWhole, Whole};
use crate::http::access::require_view;
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::conditional::not_modified;
use crate::http::limit::Accounted;
use crate::http::negotiate::accepts;
use crate::http::negotiate::chosen;
use crate::http::openapi::{Operation, Parameter, Route, content};
use crate::http::posted::posted;
use crate::http::refusal::{Refused, Wording, alto, bare, refused, respond};
use crate::http::socket::Peer;
use crate::http::unanswered::unanswered;
use crate::http::views::VIEW;
use crate::publish::service::signatures;
use crate::publish::{Form, Patch, View, ViewName};
use crate::render::{self, Coding, Unanswered};

use super::open::{Asked, full, mistaken, read};
use super::substream::summary;

const NAME: Parameter = Parameter {
    place: "path",
    name: "name",
    description: "The TIPS view, as the answer to opening it names it in `tips-view-uri`",
    kind: "string",
};
const FROM: Parameter = Parameter {
    place: "path",
    name: "from",
    description: "The version that the edge leads from; 0 for a snapshot",
    kind: "string",
};
const TO: Parameter = Parameter {
    place: "path",
    name: "to",
    description: "The version that the edge leads to",
    kind: "string",
};

/// Returns the route that recommends the next edge.
pub(in crate::http) fn routes() -> Vec<Route> {
    vec![Route {
        path: "/views/{view}/tips/{name}/ug",
        service: "tips",
        operations: vec![Operation {
            method: Method::POST,
            id: "nextEdge",
            summary: "The edge to go on with from a version (RFC 9569 section 7.4)",
            scope: None,
            parameters: vec![VIEW, NAME],
            request: vec![content::<serde_json::Value>(media::TIPS_PARAMS)],
            responses: vec![(
                StatusCode::OK,
                "A merge patch of the answer to opening the view",
                vec![content::<serde_json::Value>(media::MERGE_PATCH)],
            )],
        }],
        varied: false,
        handler: routing::any(next_edge),
    }]
}

/// Returns the route of the edges, whose requests may wait for the next version.
pub(in crate::http) fn waiting_routes() -> Vec<Route> {
    let patches = [Form::Merge, Form::Json].map(Form::media_type);
    let answers = signatures().flat_map(|signature| signature.media_types);
    let items: BTreeSet<&'static str> = patches.into_iter().chain(answers.copied()).collect();
    vec![Route {
        path: "/views/{view}/tips/{name}/ug/{from}/{to}",
        service: "tips",
        operations: vec![Operation {
            method: Method::GET,
            id: "getEdge",
            summary: "What leads from one version to another; the next one is waited for (RFC 9569 section 7)",
            scope: None,
            parameters: vec![VIEW, NAME, FROM, TO],
            request: Vec::new(),
            responses: vec![
                (
                    StatusCode::OK,
                    "The patch or snapshot, which never changes",
                    items
                        .into_iter()
                        .map(content::<serde_json::Value>)
                        .collect(),
                ),
                (
                    StatusCode::GONE,
                    "The versions are forgotten",
                    vec![content::<serde_json::Value>(media::ERROR)],
                ),
            ],
        }],
        varied: false,
        handler: routing::any(edge),
    }]
}

/// Answers a request for a TIPS view.
pub(in crate::http) async fn open(
    app: &App,
    caller: &Caller,
    peer: &Peer,
    view: &ViewName,
    content: &Bytes,
) -> Result<Response, Refused> {
    let asked = Asked {
        app,
        view,
        client: peer.addr.ip(),
        caller: caller.accounted(peer),
    };
    let params = asked.read(content, TipsParams::read).await?;
    let followed = app.push.followed();
    followed.reach(app.snapshot().generation).await;
    let edition = followed.edition();
    let view = edition.view(view).ok_or_else(gone)?;
    let opened = asked.tips_view(view, &params).await;
    // RFC 9569 §6.3 uses 429 where RFC 8895 uses 503.
    let (follower, uri) = opened.map_err(|refused| match refused.status() {
        StatusCode::SERVICE_UNAVAILABLE => full(StatusCode::TOO_MANY_REQUESTS),
        _ => refused,
    })?;
    let summary = follower.look(|answer| summary(answer, params.tag.as_deref()));
    let view = TipsView::new(&uri, summary.ok_or_else(gone)?);
    let text = serde_json::to_vec(&view).unwrap_or_default();
    Ok(unkept(respond(StatusCode::OK, media::TIPS, text)))
}

async fn next_edge(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path((view, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let follower = find(&app, &caller, &view, &name)?;
    let content = posted(
        &app,
        &caller,
        &parts,
        body,
        &view,
        Some(media::MERGE_PATCH),
        media::TIPS_PARAMS,
    )
    .await?;
    let of_view = follower
        .look(|answer| answer.view.clone())
        .ok_or_else(gone)?;
    let caller = caller.accounted(&peer);
    let params = read(&app, &of_view, &caller, &content, TipsParams::read).await?;
    if params.input.is_some() {
        let why = "the view has its input; leave it out";
        return Err(mistaken(&AltoError::invalid_value("input", why)));
    }
    if params.tag.is_some() {
        app.push.followed().find_tag(follower.id()).await;
    }
    let told = follower.look(|answer| {
        let id = answer.view.resource_id(answer.query.path());
        (id.as_str() == params.resource_id).then(|| summary(answer, params.tag.as_deref()))
    });
    let summary = told.ok_or_else(gone)?.ok_or_else(|| {
        let id = params.resource_id.as_str();
        mistaken(&AltoError::invalid_value("resource-id", id))
    })?;
    let patch = serde_json::json!({"tips-view-summary": {"updates-graph-summary": summary}});
    Ok(unkept(respond(
        StatusCode::OK,
        media::MERGE_PATCH,
        patch.to_string(),
    )))
}

/// The content of an edge, as a request finds it.
enum Found {
    Whole(Arc<View>),
    Patch(Patch),
    /// It is the next edge, which does not exist yet.
    NotYet,
    Refused(StatusCode),
}

impl Found {
    /// Looks up an edge, in the order of RFC 9569 §7.
    fn look(answer: &Answer, edge: Edge) -> Self {
        let history = &answer.history;
        let (start, end) = (history.start(), history.end());
        if answer.ended.is_some() || edge.seq_j <= edge.seq_i {
            return Found::Refused(StatusCode::NOT_FOUND);
        }
        if (edge.seq_i != 0 && edge.seq_i < start) || edge.seq_j < start {
            return Found::Refused(StatusCode::GONE);
        }
        match history.item(edge) {
            Some(Item::Whole(view)) => Found::Whole(view.clone()),
            Some(Item::Patch(patch)) => Found::Patch(patch.clone()),
            None if edge.seq_i == end && edge.seq_j == end + 1 => Found::NotYet,
            None if edge.seq_j > end => Found::Refused(StatusCode::TOO_EARLY),
            None => Found::Refused(StatusCode::NOT_FOUND),
        }
    }
}

async fn edge(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path((view, name, from, to)): Path<(String, String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let follower = find(&app, &caller, &view, &name)?;
    let edge = match (number(&from), number(&to)) {
        (Some(seq_i), Some(seq_j)) => Edge { seq_i, seq_j },
        _ => return Err(no_edge(StatusCode::NOT_FOUND, &from, &to)),
    };
    let item = EdgeItem {
        app: &app,
        caller: caller.accounted(&peer),
        parts: &parts,
        name: &name,
        edge,
    };
    let mut arrived = app.push.followed().arrived();
    let mut access = app.access.clone();
    let mut waiting = None;
    let deadline = app.clock.now() + app.push.followed().settings().poll_timeout;
    loop {
        arrived.mark_unchanged();
        access.mark_unchanged();
        require_view(&app.access(), &caller, &view)?;
        let found =
            follower.look(|answer| (Found::look(answer, edge), answer.signature.media_type()));
        let (found, media_type) = found.ok_or_else(gone)?;
        match found {
            Found::Refused(status) => return Err(no_edge(status, &from, &to)),
            Found::Whole(view) => {
                return item.send(&follower, Content::Whole(view), media_type).await;
            }
            Found::Patch(Patch { form, text }) => {
                let content = Content::Text(text);
                return item.send(&follower, content, form.media_type()).await;
            }
            Found::NotYet => {}
        }
        if waiting.is_none() {
            waiting = app.push.wait(peer.client());
        }
        if waiting.is_none() {
            return Err(full(StatusCode::TOO_MANY_REQUESTS));
        }
        tokio::select! {
            biased;
            arrived = arrived.changed() => arrived.map_err(|_| later())?,
            rules = access.changed() => rules.map_err(|_| later())?,
            _ = app.drain.draining() => return Err(later()),
            () = app.clock.sleep_until(deadline) => return Err(later()),
        }
    }
}

/// Returns the view with a name. The caller must be allowed to read what it shows.
fn find(app: &App, caller: &Caller, view: &str, name: &str) -> Result<Follower, Refused> {
    require_view(&app.access(), caller, view)?;
    let follower = app.push.followed().named(name).ok_or_else(gone)?;
    let here = follower.look(|answer| view.eq_ignore_ascii_case(answer.view.as_str()));
    match here {
        Some(true) => Ok(follower),
        _ => Err(gone()),
    }
}

/// An edge that a request is answered with.
struct EdgeItem<'a> {
    app: &'a App,
    caller: render::Caller,
    parts: &'a Parts,
    /// The name of the view.
    name: &'a str,
    edge: Edge,
}

/// The content of an edge.
enum Content {
    Text(Bytes),
    /// The whole answer, as a version of the view has it.
    Whole(Arc<View>),
}

impl EdgeItem<'_> {
    /// Makes the response, which caches may keep: an edge never changes.
    async fn send(
        self,
        follower: &Follower,
        content: Content,
        media_type: &'static str,
    ) -> Result<Response, Refused> {
        let headers = &self.parts.headers;
        if !accepts(headers, media_type) {
            let why = format!("this edge is {media_type}; accept that too");
            let error = AltoError::invalid_value("Accept", why);
            return Err(refused(alto(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error)));
        }
        let length = match &content {
            Content::Text(text) => text.len(),
            Content::Whole(_) => usize::MAX,
        };
        let coding = chosen(headers, length);
        let coding = coding.ok_or_else(|| refused(bare(StatusCode::NOT_ACCEPTABLE)))?;
        let tag = self.tag(coding);
        let mut response = if not_modified(headers, &tag) {
            bare(StatusCode::NOT_MODIFIED)
        } else {
            let mut response = match content {
                Content::Text(text) => self.text(follower, text, coding).await?,
                Content::Whole(view) => self.whole(follower, &view, coding).await?,
            };
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            if let Some(coding) = coding.name() {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            response
        };
        let cache = if self.app.access().is_public() {
            "public, max-age=31536000, immutable"
        } else {
            "private, max-age=31536000, immutable"
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, tag);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        let vary = "accept, accept-encoding, authorization";
        headers.insert(VARY, HeaderValue::from_static(vary));
        Ok(response)
    }

    fn tag(&self, coding: Coding) -> HeaderValue {
        let Edge { seq_i, seq_j } = self.edge;
        let suffix = coding.name().map(|coding| format!("-{coding}"));
        let suffix = suffix.unwrap_or_default();
        let tag = format!("\"{}-{seq_i}-{seq_j}{suffix}\"", self.name);
        HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
    }

    async fn text(
        &self,
        follower: &Follower,
        text: Bytes,
        coding: Coding,
    ) -> Result<Response, Refused> {
        let view = follower
            .look(|answer| answer.view.clone())
            .ok_or_else(gone)?;
        let packed = self
            .app
            .answers
            .pack(&view, &self.caller, text, coding)
            .await;
        let packed = packed.map_err(|error| self.unanswered(&error.into()))?;
        Ok(Response::new(packed.into()))
    }

    async fn whole(
        &self,
        follower: &Follower,
        view: &Arc<View>,
        coding: Coding,
    ) -> Result<Response, Refused> {
        let query = follower.query().ok_or_else(gone)?;
        let followed = self.app.push.followed();
        let whole = Box::pin(followed.whole(view, &query, &self.caller, coding));
        let mut response = match whole.await {
            Ok(Whole::Text(text)) => return self.text(follower, text, coding).await,
            Ok(Whole::Kept(body)) => Response::new(body.send()),
            Ok(Whole::Rows(rendering, room)) => {
                let answers = &self.app.answers;
                let caller = self.caller.clone();
                Response::new(answers.stream(caller, *rendering, coding, room))
            }
            Err(NoWhole::Query(_)) => return Err(gone()),
            Err(NoWhole::Unanswered(error)) => return Err(self.unanswered(&error)),
        };
        response.extensions_mut().insert(Accounted);
        Ok(response)
    }

    fn unanswered(&self, error: &Unanswered) -> Refused {
        refused(unanswered(error, self.parts))
    }
}

/// Parses a version number in a path.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn no_edge(status: StatusCode, from: &str, to: &str) -> Refused {
    let why = match status {
        StatusCode::GONE => "these versions are forgotten; ask for the next edge",
        StatusCode::TOO_EARLY => "this version is too far ahead; wait for the one before it",
        _ => "there is no such edge; ask for the next one",
    };
    let from: String = from.chars().take(20).collect();
    let to: String = to.chars().take(20).collect();
    let error = AltoError::invalid_value(format!("ug/{from}/{to}"), why);
    refused(alto(status, &error))
}

/// Returns the refusal for a view that does not exist, or not any more.
fn gone() -> Refused {
    let why = "there is no such view; open one again";
    let error = AltoError::invalid_value("tips-view-uri", why);
    refused(alto(StatusCode::NOT_FOUND, &error))
}

/// Returns the refusal of a request that has waited as long as it may.
fn later() -> Refused {
    refused(Wording::Alto.later(StatusCode::SERVICE_UNAVAILABLE, "wait", "", 1))
}

/// Marks a response so that no cache keeps it.
fn unkept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
