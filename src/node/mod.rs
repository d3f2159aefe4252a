//! A node: joins all modules.
//!
//! ```text
//! http (n2s) → ingest::Ledger → store      durable, then
//!                  │ durable facts
//!                  ▼           imports
//!  merger ◄──► pipeline ◄──────────────── federation ◄──── peers
//!                  │ Arc<Snapshot>  ────► │ our domain, signed
//!                  ▼                own   ▼
//!            http (alto, ops)        http (s2s)        answers
//! ```
//!
//! Our domain is compiled and published on its own. The merger joins it with the others
//! concurrently; nothing of our domain waits for it.

mod lanes;
mod merger;
mod own;
mod pipeline;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::config::{Config, FileError};
use crate::federation::{self, Federation, KeyError, SigningKey};
use crate::follow::Followed;
use crate::http::{
    App, ListenError, Metrics, Parts, Push, Reserved, Telemetry, Tls, TlsError, router,
};
use crate::ingest::{Ledger, LoadError};
use crate::publish::{Snapshot, ViewName};
use crate::render::{Answers, Bodies, Documents, Flight};
use crate::runtime::{Clock, Drain, Gate, Live, Measured, Overrun, PoolError, Signal, Task};
use crate::store::{Durability, FreeSpace, Quarantine, Store, StoreError};
use lanes::Lanes;
use status::Modules;

/// A running node. If it is dropped it stops at once; [`Node::shutdown`] lets requests end.
pub struct Node {
    config: Live<Config>,
    address: SocketAddr,
    base_url: String,
    store: Store,
    ledger: Arc<Ledger>,
    federation: Arc<Federation>,
    clock: Clock,
    signal: Signal,
    tls: Option<Tls>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    quarantine: Option<Quarantine>,
    _pipeline: [Task<()>; 2],
    _following: [Task<()>; 3],
    _looking: Task<()>,
    _server: Task<()>,
}

/// What a node needs besides its configuration. Tests replace its defaults.
pub struct Ground {
    /// The clock.
    pub clock: Clock,
    /// How the store makes its writes durable.
    pub durability: Durability,
    /// How much of its disk is free.
    pub free: FreeSpace,
    /// Restoring what peers passed waits here.
    pub restoring: Gate,
    /// Each merge waits here.
    pub merging: Gate,
}

impl Ground {
    /// Returns the defaults, with this clock.
    pub fn at(clock: Clock) -> Self {
        Self {
            clock,
            durability: Durability::Real,
            free: FreeSpace::real(),
            restoring: Gate::default(),
            merging: Gate::default(),
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The keys that manifests are signed with cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is stored of peers cannot be used.
    #[error(transparent)]
    Federation(#[from] federation::StartError),
    /// The node cannot listen at the address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The program failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Why a reload was refused; the former configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A key changed that is only read at the start.
    #[error("{} cannot change while the node runs; restart it, or change that back", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    /// A file that the configuration names cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Node {
    /// Starts a node: opens its store, publishes our own view and listens. What peers passed is
    /// restored after that, and then the merged view is made.
    ///
    /// # Errors
    /// It cannot start; nothing runs then.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        Self::start_on(config, Ground::at(clock)).await
    }

    /// As [`Node::start`], with a replaced clock, store or gates.
    ///
    /// # Errors
    /// It cannot start; nothing runs then.
    pub async fn start_on(config: Config, ground: Ground) -> Result<Self, StartError> {
        let Ground {
            clock,
            durability,
            free,
            restoring,
            merging,
        } = ground;
        let live = Live::new(config);
        let config = live.now();
        let tls = config.node.tls.as_ref().map(Tls::load).transpose()?;
        // Before the store: a node that cannot listen must not touch it.
        let place = Reserved::new(config.node.listen)?;
        let lanes = Lanes::start(config.node.threads)?;
        let pool = lanes.facts.clone();
        let (directory, settings) = (config.node.data_dir.clone(), config.store.clone());
        let opened = tokio::task::spawn_blocking(move || {
            Store::open_with(&directory, &settings, durability, free)
        });
        let mut opened = opened.await.unwrap_or(Err(StoreError::Closed))?;
        let rules = live.part(|config| Arc::new(config.rules()));
        let ledger = Ledger::open(&opened, rules.clone(), pool.clone(), clock.clone()).await?;
        let ledger = Arc::new(ledger);
        let keys = &config.federation.own;
        if keys.make_key && !keys.keys.key.exists() {
            if ledger.durable().borrow().facts.revision > 0 {
                tracing::warn!(
                    "the signing key is missing: a new one is made, and peers hold this domain \
                     until they accept it; put the former file back if you can"
                );
            }
            let saved = SigningKey::generate()?.save(&keys.keys.key);
            saved.map_err(|error| error.of_key("federation.key"))?;
        }
        let mut inputs = pipeline::Inputs {
            durable: ledger.durable(),
            rules,
        };
        let domain = pipeline::domain(&mut inputs, &pool, &clock).await?;
        let (own, own_read) = watch::channel(domain.own());
        let federation = Federation::start(
            // Certificates and keys are read anew at each reload.
            live.every(|config| Arc::new(config.federation.clone())),
            own_read,
            &opened.store,
            lanes.peers.clone(),
            clock.clone(),
            restoring,
        )
        .await?;
        let federation = Arc::new(federation);
        let others = pipeline::Others {
            imports: federation.imported(),
            restoring: federation.restoring(),
            merge: live.part(|config| Arc::new(config.merge.clone())),
        };
        let (pipeline, published) =
            pipeline::start(domain, inputs, others, own, &lanes, merging, clock.clone());

        let listener = place.listen()?;
        let address = listener.local_addr();
        let base_url = config.base_url(address);
        let (signal, drain) = Drain::new();
        let flight = Flight::new(live.part(|c| c.limits.answers()), clock.clone());
        let intake = Flight::new(live.part(|c| c.limits.ingest()), clock.clone());
        let own_view = ViewName::Domain(config.federation.own.domain.clone());
        let (ours, others) = (lanes.ours.clone(), lanes.others.clone());
        let answers = Arc::new(Answers::new(own_view, ours, others, flight));
        let pinning = answers.pins().watch(
            published.snapshots.clone(),
            live.part(|c| c.limits.max_replaced_bytes),
        );
        let rendered = Arc::new(Bodies::new(&config.publish, answers.clone(), clock.clone()));
        let updates = live.part(|config| config.updates.clone());
        let (followed, following) = Followed::start(
            published.snapshots.clone(),
            updates.clone(),
            config.publish.max_rendered,
            rendered.clone(),
            lanes.followed.clone(),
            clock.clone(),
        );
        let push = Push::new(followed);
        let (followed, following_peers) = Followed::start(
            federation.exported(),
            updates,
            config.publish.max_rendered,
            rendered.clone(),
            lanes.peers.clone(),
            clock.clone(),
        );
        let peer_push = Push::new(followed);
        let mut registry = Registry::default();
        let telemetry = Telemetry::new(&mut registry, clock.clone());
        let modules = Modules {
            published: published.clone(),
            clock: clock.clone(),
            federation: federation.clone(),
            ledger: ledger.clone(),
            store: opened.store.clone(),
            bodies: rendered.clone(),
            intake: intake.clone(),
            push: push.clone(),
            peer_push: peer_push.clone(),
            listener: listener.stats(),
        };
        let measured = move || -> Box<dyn Measured> { Box::new(modules.status()) };
        registry.register_collector(Box::new(Metrics(Box::new(measured))));
        let app = App::new(Parts {
            snapshots: published.snapshots.clone(),
            conflicts: published.conflicts,
            merged: published.merged,
            merging: published.merging,
            patience: live.part(|config| config.merge_patience),
            federation: federation.clone(),
            ledger: ledger.clone(),
            access: live.part(|config| Arc::new(config.access_rules())),
            body_settings: live.part(|config| config.bodies.clone()),
            limits: live.part(|config| config.limits.clone()),
            answers,
            intake,
            documents: Documents::new(lanes.documents.clone()),
            bodies: rendered,
            push,
            peer_push,
            base_url: base_url.clone(),
            facts: pool,
            clock: clock.clone(),
            telemetry,
            registry,
            drain: drain.clone(),
        });
        let settings = live.part(|config| config.http.clone());
        let serving = listener.serve(router(app), tls.clone(), settings, clock.clone(), drain);
        let looking = Task::spawn("room", look(opened.store.clone(), clock.clone()));
        Ok(Self {
            address,
            base_url,
            store: opened.store,
            ledger,
            federation,
            clock,
            signal,
            tls,
            snapshots: published.snapshots,
            quarantine: opened.quarantine.take(),
            _pipeline: pipeline,
            _following: [following, following_peers, pinning],
            _looking: looking,
            _server: Task::spawn("server", serving),
            config: live,
        })
    }

    /// Returns the address it listens at, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address it listens at as it is configured: a reload must have the same one.
    pub fn listens_at(&self) -> SocketAddr {
        self.config.now().node.listen
    }

    /// Returns the base of its URIs, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns what was damaged in the store and set aside at the start.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// Returns a channel with the views in force.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Puts another configuration in force, completely or not at all.
    ///
    /// # Errors
    /// The configuration needs a restart, or a file that it names cannot be used.
    pub fn reload(&mut self, config: Config) -> Result<(), ReloadError> {
        let cold = config.needs_restart(self.config.now());
        if !cold.is_empty() {
            return Err(ReloadError::NeedsRestart(cold));
        }
        config.check_files(false)?;
        if let (Some(tls), Some(files)) = (&self.tls, &config.node.tls) {
            tls.reload(files).map_err(FileError::from)?;
        }
        self.config.replace(config);
        Ok(())
    }

    /// Returns when the store has failed: nothing more can be stored, and the node must end.
    pub async fn failed(&self) -> StoreError {
        tokio::select! {
            error = self.store.failed() => error,
            () = self.ledger.stuck() => {
                StoreError::Fatal("the disk does not answer: a write is not durable in time".into())
            }
        }
    }

    /// Stops accepting, lets the requests under way end for at most `within`, and closes the
    /// store.
    ///
    /// # Errors
    /// The store failed when it was closed.
    pub async fn shutdown(self, within: Duration) -> Result<(), StoreError> {
        // Stops first, so that peers that go down together with this node are not reported
        // missing.
        self.federation.stop_reading().await;
        if let Err(Overrun { .. }) = self.signal.drain(&self.clock, within).await {
            tracing::warn!("some requests did not end in time and were cut");
        }
        self.store.close().await
    }
}

/// How often the free space of the disk is checked while nothing is written.
const LOOKED_EVERY: Duration = Duration::from_secs(5);

/// Checks how much room the store has, until it is closed.
async fn look(store: Store, clock: Clock) {
    loop {
        clock.sleep(LOOKED_EVERY).await;
        if store.look().await.is_err() {
            return;
        }
    }
}
