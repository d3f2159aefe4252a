//! What all handlers use.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::auth::Access;
use crate::compile::{Conflicts, Merged};
use crate::federation::Federation;
use crate::ingest::Ledger;
use crate::publish::Snapshot;
use crate::render::{Answers, Bodies, Documents, Flight};
use crate::runtime::{Clock, Drain, Pool};

use super::limit;
use super::merging::Merging;
use super::push::Push;
use super::settings::BodySettings;
use super::telemetry::Telemetry;

/// What all handlers use. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The views in force.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The facts of our domain that are kept but not used.
    pub conflicts: watch::Receiver<Arc<Conflicts>>,
    /// How the merged view was made; none before the first merge.
    pub merged: watch::Receiver<Option<Arc<Merged>>>,
    /// How far the merged view is behind what the domains state.
    pub merging: watch::Receiver<Merging>,
    /// How long the answer to a write waits for the merged view.
    pub patience: watch::Receiver<Duration>,
    /// The domains of others.
    pub federation: Arc<Federation>,
    /// The facts of our domain.
    pub ledger: Arc<Ledger>,
    /// The access rules.
    pub access: watch::Receiver<Arc<Access>>,
    /// The limits of request bodies.
    pub body_settings: watch::Receiver<BodySettings>,
    /// The limits on requests.
    pub limits: watch::Receiver<limit::Settings>,
    /// Computes large answers.
    pub answers: Arc<Answers>,
    /// The memory of bodies of the network-to-server API.
    pub intake: Flight,
    /// Sends documents as they were stated.
    pub documents: Documents,
    /// The bodies of full maps.
    pub bodies: Arc<Bodies>,
    /// What clients follow.
    pub push: Arc<Push>,
    /// What peers follow.
    pub peer_push: Arc<Push>,
    /// The base of every URI that is handed out, without a slash at the end.
    pub base_url: String,
    /// The threads that read what is written to this node and compile it.
    pub facts: Pool,
    /// The clock.
    pub clock: Clock,
    /// The measures of requests.
    pub telemetry: Telemetry,
    /// All measures.
    pub registry: Registry,
    /// Tells whether the node is going down.
    pub drain: Drain,
}

impl App {
    /// Joins the parts to an app.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Returns the snapshot in force. A request takes it once.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshots.borrow().clone()
    }

    /// Returns the access rules in force.
    pub(super) fn access(&self) -> Arc<Access> {
        self.0.access.borrow().clone()
    }

    /// Returns the limits of request bodies.
    pub(super) fn bodies_taken(&self) -> BodySettings {
        self.0.body_settings.borrow().clone()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
