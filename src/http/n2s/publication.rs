//! Waits until a write is published.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::sync::watch;

use crate::http::app::App;
use crate::http::limit::Deadline;
use crate::http::refusal::{Refused, refused};
use crate::publish::Snapshot;

use super::going_down;
use super::prefer::{PREFERENCE_APPLIED, wait};

/// A write that is published: in our own view, and perhaps in the merged view.
pub(super) struct Publication {
    /// Set if the merged view does not show the write yet.
    pub(super) warning: Option<String>,
    /// How long the client's `Prefer: wait` lets the write be waited for, if it has one.
    applied: Option<Duration>,
}

/// How much time is left to a request when it stops waiting, so that it is answered and not
/// given up.
const SPARE: Duration = Duration::from_millis(200);

impl Publication {
    /// Waits until our own view shows a revision, then for the merged view: as long as the
    /// client or else `merge.patience` says, within the time of the request.
    ///
    /// # Errors
    /// Nothing is published any more: the node is going down.
    pub(super) async fn of(app: &App, parts: &Parts, revision: u64) -> Result<Self, Refused> {
        let mut snapshots = app.snapshots.clone();
        let own = snapshots.wait_for(|snapshot| snapshot.revision >= revision);
        own.await.map_err(|_| refused(going_down()))?;
        let stated = wait(&parts.headers);
        let patience = stated.unwrap_or_else(|| *app.patience.borrow());
        let patience = patience.min(time_left(app, parts));
        let merged = snapshots.wait_for(|snapshot| snapshot.merged_revision() >= Some(revision));
        let is_merged = match app.clock.timeout(patience, merged).await {
            Ok(Ok(_)) => true,
            Ok(Err(_)) => return Err(refused(going_down())),
            Err(_) => false,
        };
        Ok(Self {
            warning: (!is_merged).then(|| warning(&app.snapshots)),
            applied: stated.map(|_| patience),
        })
    }

    /// Says in a response which preference was applied (RFC 7240 §3).
    pub(super) fn mark(&self, response: &mut Response) {
        let Some(applied) = self.applied else { return };
        let text = format!("wait={}", applied.as_secs());
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(PREFERENCE_APPLIED, value);
        }
    }
}

/// Returns how long a request may still wait.
fn time_left(app: &App, parts: &Parts) -> Duration {
    let deadline = parts.extensions.get::<Deadline>();
    deadline.map_or(Duration::MAX, |deadline| {
        let left = deadline.at().since(app.clock.now());
        left.saturating_sub(SPARE.min(left / 10))
    })
}

fn warning(snapshots: &watch::Receiver<Arc<Snapshot>>) -> String {
    let shows = match snapshots.borrow().merged_revision() {
        Some(revision) => format!("shows revision {revision} until then"),
        None => "is still being made since the node has started".to_owned(),
    };
    format!(
        "our own view shows this write; the merged view follows and {shows}. `Prefer: wait=N` \
         waits for it"
    )
}
