//! The status of the node: that of each module, and how far the merged view is behind.

use std::sync::Arc;
use std::time::Duration;

use crate::compile;
use crate::federation::{self, Federation};
use crate::http::{self, Counts, ListenerStats, Merging, Push};
use crate::ingest::{self, Ledger};
use crate::publish;
use crate::render::{self, Bodies, Flight};
use crate::runtime::{Clock, Measured, Measures};
use crate::store::{self, Store};

use super::pipeline::Published;

/// The modules that the status of a node is read from.
pub(super) struct Modules {
    pub(super) published: Published,
    pub(super) clock: Clock,
    pub(super) federation: Arc<Federation>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) store: Store,
    pub(super) bodies: Arc<Bodies>,
    pub(super) intake: Flight,
    pub(super) push: Arc<Push>,
    pub(super) peer_push: Arc<Push>,
    pub(super) listener: ListenerStats,
}

/// The status of a node.
pub(super) struct Status {
    connections: Counts,
    push: http::PushStatus,
    render: render::Status,
    publish: publish::Status,
    compile: compile::Status,
    lag: Lag,
    federation: federation::Status,
    ingest: ingest::Status,
    store: store::Status,
}

/// How far the merged view is behind.
struct Lag {
    /// How long the merged view has been behind what is stated; zero if it is not.
    lag: Duration,
    /// How long the last merge took.
    merging_took: Duration,
}

impl Modules {
    /// Returns the present status.
    pub(super) fn status(&self) -> Status {
        let published = &self.published;
        let merged = published.merged.borrow().clone();
        Status {
            connections: self.listener.now(),
            push: http::PushStatus::of(&self.push, &self.peer_push),
            render: render::Status::of(&self.bodies, &self.intake),
            publish: published.snapshots.borrow().status(),
            compile: compile::Status::of(&published.conflicts.borrow(), merged.as_deref()),
            lag: Lag::of(&published.merging.borrow(), &self.clock),
            federation: self.federation.status(),
            ingest: self.ledger.status(),
            store: self.store.status(),
        }
    }
}

impl Lag {
    fn of(merging: &Merging, clock: &Clock) -> Self {
        let lag = merging.behind_since.map(|since| clock.now().since(since));
        Self {
            lag: lag.unwrap_or_default(),
            merging_took: merging.took.unwrap_or_default(),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        self.connections.measure(out);
        self.push.measure(out);
        self.render.measure(out);
        self.publish.measure(out);
        self.compile.measure(out);
        self.lag.measure(out);
        self.federation.measure(out);
        self.ingest.measure(out);
        self.store.measure(out);
    }
}

impl Measured for Lag {
    fn measure(&self, out: &mut Measures) {
        out.gauge(
            "altofed_publish_merged_lag_seconds",
            "Since when something is stated that the merged view does not have; 0 if nothing",
            self.lag,
        );
        out.gauge(
            "altofed_publish_merge_duration_seconds",
            "How long the merged view took to be made the last time",
            self.merging_took,
        );
    }
}
