//! The status of the node: that of each module, and what was published.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::conflict::{ConflictKind, MergeConflictKind};
use crate::compile::{Conflicts, Merged};
use crate::federation::{self, Federation};
use crate::http::{self, Counts, ListenerStats, Merging, Push};
use crate::ingest::{self, Ledger};
use crate::publish::Snapshot;
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
    publication: Publication,
    federation: federation::Status,
    ingest: ingest::Status,
    store: store::Status,
}

/// What was published.
struct Publication {
    snapshot: Arc<Snapshot>,
    conflicts: Arc<Conflicts>,
    merged: Option<Arc<Merged>>,
    /// How long the merged view has been behind what is stated; zero if it is not.
    lag: Duration,
    /// How long the last merge took.
    merging_took: Duration,
}

impl Modules {
    /// Returns the present status.
    pub(super) fn status(&self) -> Status {
        Status {
            connections: self.listener.now(),
            push: http::PushStatus::of(&self.push, &self.peer_push),
            render: render::Status::of(&self.bodies, &self.intake),
            publication: Publication::of(&self.published, &self.clock),
            federation: self.federation.status(),
            ingest: self.ledger.status(),
            store: self.store.status(),
        }
    }
}

impl Publication {
    fn of(published: &Published, clock: &Clock) -> Self {
        let Merging { behind_since, took } = published.merging.borrow().clone();
        let lag = behind_since.map(|since| clock.now().since(since));
        Self {
            snapshot: current(&published.snapshots),
            conflicts: current(&published.conflicts),
            merged: current(&published.merged),
            lag: lag.unwrap_or_default(),
            merging_took: took.unwrap_or_default(),
        }
    }
}

fn current<T: Clone>(receiver: &watch::Receiver<T>) -> T {
    receiver.borrow().clone()
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        self.connections.measure(out);
        self.push.measure(out);
        self.render.measure(out);
        self.publication.measure(out);
        self.federation.measure(out);
        self.ingest.measure(out);
        self.store.measure(out);
    }
}

impl Measured for Publication {
    fn measure(&self, out: &mut Measures) {
        let snapshot = &self.snapshot;
        out.gauge(
            "altofed_publish_generation",
            "The snapshot in force",
            snapshot.generation,
        );
        out.gauge(
            "altofed_publish_revision",
            "The revision that is published",
            snapshot.revision,
        );
        out.gauge(
            "altofed_publish_views",
            "Views that are served",
            snapshot.views.len(),
        );
        let pids = snapshot.views.values().map(|v| v.network().pids().len());
        out.gauge(
            "altofed_publish_pids",
            "PIDs of all views",
            pids.sum::<usize>(),
        );
        out.gauges(
            "altofed_compile_conflicts",
            "Facts that are kept and not used, by kind",
            "kind",
            ConflictKind::ALL.map(|kind| (kind.as_str(), self.conflicts.count(kind))),
        );
        out.gauge(
            "altofed_publish_merged_revision",
            "The revision that the merged view shows; 0 before it was made once",
            snapshot.merged_revision().unwrap_or(0),
        );
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
        let merged = self.merged.as_ref().map(|merged| &merged.conflicts);
        let count = |kind| merged.map_or(0, |conflicts| conflicts.count(kind));
        out.gauges(
            "altofed_compile_merge_conflicts",
            "What domains state and the merged view does not use, by kind",
            "kind",
            MergeConflictKind::ALL.map(|kind| (kind.as_str(), count(kind))),
        );
    }
}
