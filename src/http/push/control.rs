//! The stream control service (RFC 8895 §7).

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing;

use crate::alto::error::AltoError;
use crate::alto::media;
use crate::alto::update::UpdateStreamParams;
use crate::follow::Settings;
use crate::http::access::require_view;
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::openapi::{Operation, Parameter, Route, content};
use crate::http::posted::posted;
use crate::http::refusal::{Refused, bare, refused};
use crate::http::socket::Peer;
use crate::http::views::VIEW;

use super::controlled::{Command, Controlled, Ids};
use super::open::{Asked, full, mistaken};
use super::substream::Substream;

const STREAM: Parameter = Parameter {
    place: "path",
    name: "stream",
    description: "The stream, as its first event names it in `control-uri`",
    kind: "string",
};

/// Returns the routes of the service.
pub(in crate::http) fn routes() -> Vec<Route> {
    vec![Route {
        path: "/views/{view}/updates/{stream}",
        service: "updates",
        operations: vec![Operation {
            method: Method::POST,
            id: "controlStream",
            summary: "Add and remove substreams of an update stream (RFC 8895 section 7)",
            scope: None,
            parameters: vec![VIEW, STREAM],
            request: vec![content::<serde_json::Value>(media::UPDATE_STREAM_PARAMS)],
            responses: vec![
                (
                    StatusCode::ACCEPTED,
                    "The stream will say what was done",
                    Vec::new(),
                ),
                (
                    StatusCode::BAD_REQUEST,
                    "An ALTO error; nothing was added or removed",
                    vec![content::<serde_json::Value>(media::ERROR)],
                ),
            ],
        }],
        varied: false,
        handler: routing::any(control),
    }]
}

async fn control(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path((view, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    require_view(&app.access(), &caller, &view)?;
    // The URI identifies the stream (RFC 8895 §7.1); only its opener may use it.
    let gone = || refused(bare(StatusCode::NOT_FOUND));
    let stream = app.push.stream(&name).ok_or_else(gone)?;
    if !view.eq_ignore_ascii_case(stream.view.as_str()) || !stream.opener.is_same(&caller) {
        return Err(gone());
    }
    let content = posted(
        &app,
        &caller,
        &parts,
        body,
        stream.view.as_str(),
        None,
        media::UPDATE_STREAM_PARAMS,
    )
    .await?;
    let asked = Asked {
        app: &app,
        view: &stream.view,
        client: peer.addr.ip(),
        caller: caller.accounted(&peer),
    };
    let params = asked.read(&content, UpdateStreamParams::read).await?;
    stream
        .ids()
        .check(&params, &app.push.followed().settings())?;
    let add = asked.substreams(&params.add).await?;
    stream.command(&app, params, add)?;
    Ok(bare(StatusCode::ACCEPTED))
}

impl Ids {
    /// Checks that a request can be executed.
    fn check(&self, params: &UpdateStreamParams, settings: &Settings) -> Result<(), Refused> {
        if self.closing {
            return Err(refused(bare(StatusCode::NOT_FOUND)));
        }
        if let Some(mistake) = self.mistake(params) {
            return Err(mistaken(&mistake));
        }
        let added = params.add.len();
        let has_room = self.active() + added <= settings.max_substreams
            && self.ever.len() + added <= settings.max_substreams_ever();
        if has_room {
            Ok(())
        } else {
            Err(full(StatusCode::SERVICE_UNAVAILABLE))
        }
    }

    /// Returns the mistake of a request that no stream with these substreams can execute.
    fn mistake(&self, params: &UpdateStreamParams) -> Option<AltoError> {
        let list = |ids: Vec<&String>| serde_json::to_string(&ids).unwrap_or_default();
        let used = params.add.keys().filter(|id| self.ever.contains_key(*id));
        let used: Vec<&String> = used.collect();
        if !used.is_empty() {
            return Some(AltoError::invalid_value("add", list(used)));
        }
        let Some(remove) = &params.remove else {
            let is_empty = params.add.is_empty();
            return is_empty.then(|| AltoError::missing_field("add"));
        };
        if remove.is_empty() && !params.add.is_empty() {
            return Some(AltoError::invalid_value("remove", "[]"));
        }
        let unknown = remove.iter().filter(|id| !self.ever.contains_key(*id));
        let unknown: Vec<&String> = unknown.collect();
        let all_known = unknown.is_empty();
        (!all_known).then(|| AltoError::invalid_value("remove", list(unknown)))
    }

    /// Queues what is to be done. A request that changes nothing is not queued, so that it need
    /// not wait until a slow client takes more.
    fn command(&mut self, params: UpdateStreamParams, add: Vec<Substream>) {
        for substream in &add {
            self.ever.insert(substream.id.clone(), true);
        }
        // An empty list names all (RFC 8895 §7.3).
        let named = match params.remove {
            Some(named) if named.is_empty() => self.ever.keys().cloned().collect(),
            named => named.unwrap_or_default(),
        };
        let mut remove = Vec::new();
        for id in named {
            // Removing a substream again is not a mistake, and does nothing (§7.6).
            if self.ever.insert(id.clone(), false) == Some(true) {
                remove.push(id);
            }
        }
        self.closing = self.active() == 0;
        if !add.is_empty() || !remove.is_empty() {
            self.commands.push_back(Command { add, remove });
        }
    }

    fn active(&self) -> usize {
        self.ever.values().filter(|active| **active).count()
    }
}

impl Controlled {
    /// Makes the stream execute a request, unless another request has made that impossible
    /// meanwhile.
    fn command(
        &self,
        app: &App,
        params: UpdateStreamParams,
        add: Vec<Substream>,
    ) -> Result<(), Refused> {
        let settings = app.push.followed().settings();
        let mut ids = self.ids();
        ids.check(&params, &settings)?;
        ids.command(params, add);
        drop(ids);
        self.woken.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_does_nothing_does_not_wait_for_the_stream() {
        let ids = ["a", "b", "c"].map(|id| (id.to_owned(), true));
        let mut ids = Ids {
            ever: ids.into(),
            ..Ids::default()
        };
        let mut remove = |list: &[&str]| {
            let remove = list.iter().map(|id| (*id).to_owned()).collect();
            let params = UpdateStreamParams {
                remove: Some(remove),
                ..UpdateStreamParams::default()
            };
            ids.command(params, Vec::new());
            (ids.commands.len(), ids.closing)
        };
        assert_eq!(remove(&["a"]), (1, false));
        for _ in 0..100 {
            assert_eq!(remove(&["a"]), (1, false));
        }
        assert_eq!(remove(&[]), (2, true));
    }
}
