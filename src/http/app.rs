//! What every handler works with.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::sync::watch;

use crate::auth::Access;
use crate::compile::{Conflicts, Merged};
use crate::federation::Federation;
use crate::ingest::Ledger;
use crate::publish::Snapshot;
use crate::render::{Answers, Bodies, Documents, Flight};
use crate::runtime::{Clock, Drain, Pool, duration};

use super::body::BodyLimits;
use super::limit;
use super::merging::Merging;
use super::push::Push;
use super::telemetry::Telemetry;

/// `[bodies]`: what a request's body may be. All are hot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BodySettings {
    /// The bytes of a query's body.
    pub max_query_bytes: usize,
    /// The bytes of a body of the network-to-server API.
    pub max_ingest_bytes: usize,
    /// The depth of JSON in any body.
    pub max_depth: usize,
    /// The time that a body may take whatever its size.
    #[serde(with = "duration::positive")]
    pub patience: Duration,
    /// The slowest pace of a long body: this many bytes buy it a second more.
    pub bytes_per_second: u32,
}

impl Default for BodySettings {
    fn default() -> Self {
        let json = BodyLimits::json(1024 * 1024);
        Self {
            max_query_bytes: json.max_bytes,
            max_ingest_bytes: 256 * 1024 * 1024,
            max_depth: 32,
            patience: json.patience,
            bytes_per_second: json.bytes_per_second,
        }
    }
}

impl BodySettings {
    /// The limits of a query's body. What is read of one, a list of endpoints at worst, takes
    /// some four times its bytes.
    pub(super) fn query(&self) -> BodyLimits {
        BodyLimits {
            max_bytes: self.max_query_bytes,
            max_depth: Some(self.max_depth),
            patience: self.patience,
            bytes_per_second: self.bytes_per_second,
            counted: 4,
        }
    }

    /// The limits of a body of the network-to-server API.
    pub(super) fn ingest(&self) -> BodyLimits {
        BodyLimits {
            max_bytes: self.max_ingest_bytes,
            counted: 1,
            ..self.query()
        }
    }
}

/// What every handler works with; a clone shares it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The views in force.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The facts of our domain that are not used.
    pub conflicts: watch::Receiver<Arc<Conflicts>>,
    /// How the merged view was made; none before it was made once.
    pub merged: watch::Receiver<Option<Arc<Merged>>>,
    /// How it follows what the domains state.
    pub merging: watch::Receiver<Merging>,
    /// How long the answer to a write waits for it.
    pub patience: watch::Receiver<Duration>,
    /// The domains of others.
    pub federation: Arc<Federation>,
    /// The facts of our domain.
    pub ledger: Arc<Ledger>,
    /// Who may do what.
    pub access: watch::Receiver<Arc<Access>>,
    /// What a request's body may be.
    pub body_settings: watch::Receiver<BodySettings>,
    /// How fast requests may come, and how long they may take.
    pub limits: watch::Receiver<limit::Settings>,
    /// What works out large answers.
    pub answers: Arc<Answers>,
    /// The memory of bodies of the network-to-server API.
    pub intake: Flight,
    /// What sends documents as they were stated.
    pub documents: Documents,
    /// The bodies of full maps.
    pub bodies: Arc<Bodies>,
    /// What clients follow.
    pub push: Arc<Push>,
    /// What peers follow.
    pub peer_push: Arc<Push>,
    /// The base of every URI that is handed out, without a slash at its end.
    pub base_url: String,
    /// Threads that read what is written to us; what compiles it waits for them.
    pub facts: Pool,
    /// The time.
    pub clock: Clock,
    /// What is measured of requests.
    pub telemetry: Telemetry,
    /// All that is measured.
    pub registry: Registry,
    /// Whether the node is going down.
    pub drain: Drain,
}

impl App {
    /// An app of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The snapshot in force; a request takes it once.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshots.borrow().clone()
    }

    /// The access rules in force.
    pub(super) fn access(&self) -> Arc<Access> {
        self.0.access.borrow().clone()
    }

    /// What a request's body may be.
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
