//! Opens update streams (RFC 8895 §6).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::alto::error::AltoError;
use crate::alto::media;
use crate::alto::tips::TipsParams;
use crate::alto::update::{AddUpdate, ControlUpdate, Input, UpdateStreamParams};
use crate::auth::Access;
use crate::follow::{Follower, Wanted};
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::refusal::{Refused, Wording, alto, bare, refused, respond};
use crate::http::socket::Peer;
use crate::http::unanswered::too_much;
use crate::ident::Client;
use crate::publish::{Query, QueryError, Resource, Transport, View, ViewName, Work};
use crate::render;
use crate::runtime::PoolError;

use super::controlled::{Controlled, Ids};
use super::stream::{Rights, Stream};
use super::streams::Push;
use super::substream::{Source, Substream};

/// A request to follow resources of a view.
pub(super) struct Asked<'a> {
    pub(super) app: &'a App,
    pub(super) view: &'a ViewName,
    pub(super) client: IpAddr,
    /// The caller on whose account it is counted.
    pub(super) caller: render::Caller,
}

/// Returns the refusal of a mistaken request.
pub(super) fn mistaken(error: &AltoError) -> Refused {
    refused(alto(StatusCode::BAD_REQUEST, error))
}

/// Reads a request of a caller about a view. A mistake in it becomes the refusal.
pub(super) async fn read<T: Send + 'static>(
    app: &App,
    view: &ViewName,
    caller: &render::Caller,
    content: &Bytes,
    read: fn(&[u8]) -> Result<T, AltoError>,
) -> Result<T, Refused> {
    let text = content.clone();
    let reading = move || read(&text);
    match app.answers.read(view, caller, content.len(), reading).await {
        Ok(read) => read.map_err(|error| mistaken(&error)),
        Err(error) => Err(failed(&error)),
    }
}

/// Returns the refusal for a defect of the node.
fn failed(error: &PoolError) -> Refused {
    tracing::error!(%error, "a request to follow resources could not be handled");
    refused(bare(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Returns the refusal of a request that there is no room for.
pub(super) fn full(status: StatusCode) -> Refused {
    const RETRY: u64 = 30;
    refused(Wording::Alto.later(status, "limit", "", RETRY))
}

/// Answers a request for an update stream.
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
    asked.open(caller, content).await
}

/// Where a new stream belongs, and for whom it is.
pub(super) struct Opening<'a> {
    pub(super) push: &'a Arc<Push>,
    /// The caller that alone may control it.
    pub(super) opener: Caller,
    /// The client whose share it takes; none if it is a peer.
    pub(super) client: Option<Client>,
    /// The caller on whose account it is counted.
    pub(super) caller: render::Caller,
    pub(super) view: ViewName,
}

/// Makes the response that is a stream of these substreams. `control` returns the URI of the
/// stream's control service, given the stream's name.
pub(super) fn begin(
    app: &App,
    opening: Opening<'_>,
    substreams: Vec<Substream>,
    control: impl Fn(&str) -> Option<String>,
    rights: Rights,
) -> Result<Response, Refused> {
    let Opening {
        push,
        opener,
        client,
        caller,
        view,
    } = opening;
    let active = substreams.iter().map(|s| (s.id.clone(), true));
    let controlled = Arc::new(Controlled {
        view,
        opener,
        ids: Ids {
            ever: active.collect(),
            ..Ids::default()
        }
        .into(),
        woken: Notify::new(),
    });
    let open = push
        .admit(controlled.clone(), client)
        .ok_or_else(|| full(StatusCode::SERVICE_UNAVAILABLE))?;
    let first = ControlUpdate {
        control_uri: Some(control(&open.name)),
        ..ControlUpdate::default()
    };
    let drain = app.drain.clone();
    let stream = Stream::new(open, caller, controlled, substreams, &first, drain, rights);
    let pieces = futures_util::stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, Infallible>(piece), stream))
    });
    let mut response = respond(
        StatusCode::OK,
        media::EVENT_STREAM,
        Body::from_stream(pieces),
    );
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without this header nginx would hold events back until it has some kilobytes of them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Asked<'_> {
    async fn open(&self, caller: &Caller, content: &Bytes) -> Result<Response, Refused> {
        let params = self.read(content, UpdateStreamParams::read).await?;
        if params.add.is_empty() {
            return Err(mistaken(&AltoError::missing_field("add")));
        }
        let push = &self.app.push;
        if params.add.len() > push.followed().settings().max_substreams {
            return Err(full(StatusCode::SERVICE_UNAVAILABLE));
        }
        let substreams = self.substreams(&params.add).await?;
        let (reader, view) = (caller.clone(), self.view.clone());
        let allowed =
            move |access: &Access| access.may_read(reader.principal(), view.as_str()).is_ok();
        let rights = Rights::new(self.app.access.clone(), Box::new(allowed), None);
        let base = &self.app.base_url;
        let control = |name: &str| Some(format!("{base}/views/{}/updates/{name}", self.view));
        let opening = Opening {
            push,
            opener: caller.clone(),
            client: Some(self.client.into()),
            caller: self.caller.clone(),
            view: self.view.clone(),
        };
        begin(self.app, opening, substreams, control, rights)
    }

    /// Reads a request of the caller.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        content: &Bytes,
        by: fn(&[u8]) -> Result<T, AltoError>,
    ) -> Result<T, Refused> {
        read(self.app, self.view, &self.caller, content, by).await
    }

    /// Makes the substreams that are asked for: all of them or none.
    pub(super) async fn substreams(
        &self,
        add: &BTreeMap<String, AddUpdate>,
    ) -> Result<Vec<Substream>, Refused> {
        let generation = self.app.snapshot().generation;
        self.app.push.followed().reach(generation).await;
        let mut substreams = Vec::with_capacity(add.len());
        for (id, update) in add {
            let field = format!("add/{id}/resource-id");
            let edition = self.app.push.followed().edition();
            let view = edition
                .view(self.view)
                .ok_or_else(|| refused(bare(StatusCode::NOT_FOUND)))?;
            let tips = view.catalog().transport(Transport::Tips);
            let tips = tips.filter(|tips| tips.id.as_str() == update.resource_id);
            substreams.push(match tips {
                Some(_) => self.summary(id, update, view).await?,
                None => self.answer(id, update, view, field).await?,
            });
        }
        Ok(substreams)
    }

    async fn answer(
        &self,
        id: &str,
        update: &AddUpdate,
        view: &Arc<View>,
        field: String,
    ) -> Result<Substream, Refused> {
        let follower = self
            .follow(view, &update.resource_id, field, update.input.as_ref())
            .await?;
        let mut at = None;
        if let Some(tag) = &update.tag {
            self.app.push.followed().find_tag(follower.id()).await;
            at = follower.look(|answer| answer.history.tagged(tag)).flatten();
        }
        let source = Source::Answer {
            follower,
            patches: update.incremental_changes,
            at,
        };
        Ok(Substream {
            id: id.to_owned(),
            source,
        })
    }

    /// Makes a substream of the summary of a TIPS view, and opens that view.
    async fn summary(
        &self,
        id: &str,
        update: &AddUpdate,
        view: &Arc<View>,
    ) -> Result<Substream, Refused> {
        let input = update.input.as_ref().map_or(&b""[..], Input::as_bytes);
        let input = Bytes::copy_from_slice(input);
        let params = self.read(&input, TipsParams::read).await?;
        let (follower, uri) = self.tips_view(view, &params).await?;
        let source = Source::Summary {
            follower,
            uri,
            tag: params.tag,
            told: None,
        };
        Ok(Substream {
            id: id.to_owned(),
            source,
        })
    }

    /// Opens a TIPS view.
    pub(super) async fn tips_view(
        &self,
        view: &Arc<View>,
        params: &TipsParams,
    ) -> Result<(Follower, String), Refused> {
        let field = "resource-id".to_owned();
        let follower = self
            .follow(view, &params.resource_id, field, params.input.as_ref())
            .await?;
        let name = self
            .app
            .push
            .followed()
            .name(follower.id())
            .ok_or_else(|| full(StatusCode::SERVICE_UNAVAILABLE))?;
        if params.tag.is_some() {
            self.app.push.followed().find_tag(follower.id()).await;
        }
        let base = &self.app.base_url;
        let uri = format!("{base}/views/{}/tips/{name}", self.view);
        Ok((follower, uri))
    }

    /// Follows a resource with its parameters. `field` names the member of the request that has
    /// the resource's id.
    async fn follow(
        &self,
        view: &Arc<View>,
        resource_id: &str,
        field: String,
        input: Option<&Input>,
    ) -> Result<Follower, Refused> {
        let followed = self.app.push.followed();
        let offer = followed.offer();
        let mut resources = view.catalog().iter();
        let resource = resources
            .find(|resource| resource.id.as_str() == resource_id && offer.has(view, resource))
            .ok_or_else(|| mistaken(&AltoError::invalid_value(field, resource_id)))?;
        let input = input.filter(|_| resource.accepts().is_some());
        let (query, work) = self.work(view, resource, input).await?;
        let follower = followed.follow(Wanted {
            view: self.view,
            query,
            work,
            client: Some(self.client.into()),
        });
        follower.map_err(|_| full(StatusCode::SERVICE_UNAVAILABLE))
    }

    /// Reads the query, and returns it with what its answer takes, if that is not too much.
    /// Parameters are refused as the resource itself would refuse them (RFC 8895 §6.6, RFC 9569
    /// §6.3).
    async fn work(
        &self,
        view: &Arc<View>,
        resource: &Resource,
        input: Option<&Input>,
    ) -> Result<(Query, Work), Refused> {
        let (view, resource) = (view.clone(), resource.clone());
        let (name, is_full_map) = (view.name().clone(), resource.accepts().is_none());
        let input = input.map_or(&b""[..], Input::as_bytes).to_vec();
        let client = self.client;
        let reading = move || {
            let query = Query::new(&resource, input, client);
            let rendering = query.rendering(&view);
            (query, rendering)
        };
        let read = self.app.answers.run(&name, &self.caller, reading).await;
        let (query, rendering) = match read {
            Ok((query, Ok(rendering))) => (query, rendering),
            Ok((_, Err(QueryError::Refused(error)))) => return Err(mistaken(&error)),
            Ok((_, Err(QueryError::Gone))) => return Err(refused(bare(StatusCode::NOT_FOUND))),
            Err(error) => return Err(failed(&error)),
        };
        let work = rendering.work();
        if !is_full_map {
            let settings = self.app.push.followed().settings();
            let mut limits = self.app.limits.borrow().work();
            if settings.max_cells_per_client < limits.cells {
                limits.cells = settings.max_cells_per_client;
                limits.cells_key = "max_cells_per_client";
            }
            if let Some(exceeded) = limits.exceeded(&work) {
                return Err(too_much(&rendering, &exceeded));
            }
        }
        Ok((query, work))
    }
}
