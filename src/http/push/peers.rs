//! The update stream for peers: the maps of the domains that a peer gets, each as its manifest
//! names it, and then the manifest.
//!
//! It is an update stream of RFC 8895 whose resources are the maps by their ids,
//! `<domain>:manifest` for a domain's manifest, and `domains` for the list of the domains that
//! the peer gets. It has no control service: a peer that wants other substreams opens another
//! stream.

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;

use crate::alto::error::AltoError;
use crate::alto::update::{AddUpdate, UpdateStreamParams};
use crate::follow::Wanted;
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::refusal::Refused;
use crate::publish::{Query, ViewName, Work};
use crate::render;

use super::open::{Opening, begin, full, mistaken, read};
use super::stream::{Allowed, May, Passed, Rights};
use super::substream::{Source, Substream};

/// The id of the list of the domains that a peer gets.
const DOMAINS: &str = "domains";

/// The part of a manifest's id after the domain.
const MANIFEST: &str = "manifest";

/// Answers a peer's request for its update stream, which `opener` sent and which is counted for
/// `caller`. `allowed` checks that it is still a peer, `may` returns which domains it gets now.
///
/// # Errors
/// The request is mistaken, or there is no room.
pub(in crate::http) async fn open_for_peer(
    app: &App,
    opener: &Caller,
    caller: render::Caller,
    content: &Bytes,
    allowed: Allowed,
    may: May,
) -> Result<Response, Refused> {
    let view = ViewName::Merged;
    let params = read(app, &view, &caller, content, UpdateStreamParams::read).await?;
    if params.add.is_empty() {
        return Err(mistaken(&AltoError::missing_field("add")));
    }
    let passed = may();
    let mut substreams = Vec::with_capacity(params.add.len());
    for (id, update) in &params.add {
        let source = source(app, update, &passed).await?.ok_or_else(|| {
            let field = format!("add/{id}/resource-id");
            mistaken(&AltoError::invalid_value(field, &update.resource_id))
        })?;
        substreams.push(Substream {
            id: id.clone(),
            source,
        });
    }
    let rights = Rights::new(app.access.clone(), allowed, Some(may));
    let opening = Opening {
        push: &app.peer_push,
        opener: opener.clone(),
        client: None,
        caller,
        view,
    };
    begin(app, opening, substreams, |_| None, rights)
}

/// Returns what a peer is sent of a resource; none if it does not get a resource with this id.
async fn source(app: &App, update: &AddUpdate, passed: &Passed) -> Result<Option<Source>, Refused> {
    let id = update.resource_id.as_str();
    if id == DOMAINS {
        return Ok(Some(Source::Domains { told: None }));
    }
    let Some((ViewName::Domain(domain), path)) = ViewName::split(id) else {
        return Ok(None);
    };
    if !passed.contains(&domain) {
        return Ok(None);
    }
    let followed = app.peer_push.followed();
    let edition = followed.edition();
    if !edition.documents.contains_key(&domain) {
        return Ok(None);
    }
    if path == MANIFEST {
        return Ok(Some(Source::Manifest { domain, told: None }));
    }
    let name = ViewName::Domain(domain);
    let resource = edition.view(&name).and_then(|view| {
        let resource = view.catalog().get(path)?;
        let is_map = resource.accepts().is_none() && followed.offer().has(view, resource);
        is_map.then_some(resource)
    });
    let Some(resource) = resource else {
        return Ok(None);
    };
    let nobody = std::net::Ipv4Addr::UNSPECIFIED.into();
    let query = Query::new(resource, Vec::new(), nobody);
    let work = edition
        .view(&name)
        .and_then(|view| query.rendering(view).ok())
        .map_or_else(Work::default, |rendering| rendering.work());
    let follower = followed.follow(Wanted {
        view: &name,
        query,
        work,
        client: None,
    });
    let follower = follower.map_err(|_| full(StatusCode::SERVICE_UNAVAILABLE))?;
    let mut at = None;
    if let Some(tag) = &update.tag {
        followed.find_tag(follower.id()).await;
        at = follower.look(|answer| answer.history.tagged(tag)).flatten();
    }
    Ok(Some(Source::Answer {
        follower,
        patches: update.incremental_changes,
        at,
    }))
}
