//! Follows by TIPS (RFC 9569).

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use super::error::FollowError;
use super::follower::{Driver, End, sleep};
use super::news::{Mode, News};
use super::offered::Offered;
use super::version::Piece;
use crate::alto::media;
use crate::alto::tips::{Edge, TipsParams, TipsView};
use crate::alto::update::Input;
use crate::client::PeerError;
use crate::client::connection::{Call, Connection, shown};
use crate::client::directory::Resource;
use crate::runtime::{Task, back_off};

/// How long to wait for an edge that does not exist yet, before it is asked for again.
const LONG_POLL: Duration = Duration::from_secs(2 * 60);

/// How often an edge is asked for over a broken connection before the view is opened anew.
const MAX_TRIES: u32 = 3;

/// The most bytes of an answer that opens a view.
const MAX_VIEW_BYTES: usize = 64 * 1024;

/// What comes of the view of one resource.
enum Step {
    /// It is open.
    Opened,
    /// The item of its next edge.
    Item(Piece),
}

impl Driver {
    /// Follows each resource in a view of its own.
    pub(super) async fn tips(&mut self, offered: &Offered, service: &Resource) -> End {
        let (tell, mut steps) = mpsc::channel(1);
        let mut views = Vec::new();
        for (index, resource) in offered.resources.iter().enumerate() {
            let tag = self.tag(index);
            if tag.is_none() {
                self.forget(index);
            }
            let input = self
                .wanted
                .get(index)
                .and_then(|wanted| wanted.input.as_ref().map(Input::from));
            let view = View {
                connection: self.connection.clone(),
                service: service.url.clone(),
                params: TipsParams {
                    resource_id: resource.id.clone(),
                    tag,
                    input,
                },
                media_type: resource.entry.media_type.clone(),
                index,
                tell: tell.clone(),
            };
            views.push(Task::spawn("view", view.run()));
        }
        drop(tell);
        let mut opened = 0;
        loop {
            let step = tokio::select! {
                biased;
                step = steps.recv() => step,
                () = sleep(self.patience()) => return Err(self.part()),
            };
            match step {
                Some((_, Ok(Step::Opened))) => {
                    opened += 1;
                    if opened == views.len() {
                        self.news(News::Following(Mode::Tips)).await;
                    }
                }
                Some((index, Ok(Step::Item(piece)))) => self.take(Mode::Tips, index, piece).await?,
                Some((_, Err(error))) => return Err(error),
                // All of them panicked: that is reported, and they are started anew.
                None => {
                    return Err(FollowError::Gone {
                        url: shown(&service.url),
                    });
                }
            }
        }
    }
}

type Tell = mpsc::Sender<(usize, Result<Step, FollowError>)>;

/// The view of one resource.
struct View {
    connection: Connection,
    service: Url,
    params: TipsParams,
    media_type: String,
    index: usize,
    tell: Tell,
}

impl View {
    /// Opens the view and fetches one edge after the other.
    async fn run(self) {
        let Err(error) = self.walk().await;
        self.say(Err(error)).await;
    }

    async fn say(&self, step: Result<Step, FollowError>) {
        // If nobody listens any more, this task ends too.
        let _ = self.tell.send((self.index, step)).await;
    }

    async fn walk(&self) -> Result<std::convert::Infallible, FollowError> {
        let (root, mut edge) = self.open().await?;
        self.say(Ok(Step::Opened)).await;
        loop {
            let piece = self.item(&root, edge).await?;
            // Version 0 is empty, so that there is no change of it.
            if edge.seq_i == 0 && piece.media_type != self.media_type {
                return Err(self.malformed("a snapshot that is a patch"));
            }
            self.say(Ok(Step::Item(piece))).await;
            edge = Edge {
                seq_i: edge.seq_j,
                seq_j: edge.seq_j.saturating_add(1),
            };
        }
    }

    /// Opens the view; returns its root and the first edge.
    async fn open(&self) -> Result<(Url, Edge), FollowError> {
        let params = serde_json::to_value(&self.params).unwrap_or(Value::Null);
        let wanted = [media::TIPS];
        let call = Call {
            max_bytes: Some(MAX_VIEW_BYTES),
            ..Call::post(
                &self.service,
                &wanted,
                media::TIPS_PARAMS,
                params.to_string(),
            )
        };
        let Some(received) = self.connection.fetch(call).await? else {
            return Err(self.malformed("the answer to opening a view is empty"));
        };
        let view: TipsView = serde_json::from_slice(&received.body)
            .map_err(|error| self.malformed(&format!("no TIPS view: {error}")))?;
        let root = Url::parse(&view.tips_view_uri).ok();
        let root = root.filter(|root| matches!(root.scheme(), "http" | "https"));
        let root =
            root.ok_or_else(|| self.malformed("tips-view-uri is no absolute URI of http"))?;
        let edge = view.tips_view_summary.updates_graph_summary.start_edge_rec;
        let known = edge.seq_i == 0 || self.params.tag.is_some();
        if known && edge.seq_i < edge.seq_j {
            Ok((root, edge))
        } else {
            Err(self.malformed("start-edge-rec leads from what we do not have"))
        }
    }

    /// Fetches the item of an edge as soon as there is one (RFC 9569 §7.1).
    async fn item(&self, root: &Url, edge: Edge) -> Result<Piece, FollowError> {
        let mut url = root.clone();
        let path = format!(
            "{}/ug/{}/{}",
            root.path().trim_end_matches('/'),
            edge.seq_i,
            edge.seq_j
        );
        url.set_path(&path);
        let wanted = [
            self.media_type.as_str(),
            media::MERGE_PATCH,
            media::JSON_PATCH,
        ];
        let mut tries = 0;
        loop {
            let call = Call {
                patience: Some(LONG_POLL),
                ..Call::new(&url, &wanted)
            };
            let error = match self.connection.fetch(call).await {
                Ok(Some(received)) => {
                    return Ok(Piece {
                        media_type: received.media_type,
                        data: received.body,
                    });
                }
                Ok(None) => return Err(self.malformed("an edge without an item")),
                Err(PeerError::Timeout { .. }) => continue,
                Err(error) => error,
            };
            tries += 1;
            match &error {
                // The view or the versions are gone (RFC 9569 §7.3).
                PeerError::Status {
                    status: 404 | 410, ..
                } => {
                    return Err(FollowError::Gone { url: shown(&url) });
                }
                // Not yet, or not now.
                PeerError::Status {
                    status: 425 | 429 | 503,
                    ..
                } => {}
                error if !error.is_lasting() && tries < MAX_TRIES => {}
                _ => return Err(error.into()),
            }
            let pause = back_off(tries, error.retry_after());
            self.connection.clock().sleep(pause).await;
        }
    }

    fn malformed(&self, reason: &str) -> FollowError {
        FollowError::Malformed {
            resource_id: self.params.resource_id.clone(),
            reason: reason.to_owned(),
        }
    }
}
