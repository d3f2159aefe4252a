//! A node: everything joined.
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
//! Our domain is compiled and published by itself. The merger joins it with the
//! others beside that, and nothing of ours waits for it.

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

/// A running node. Dropped, it stops at once; [`Node::shutdown`] lets requests end.
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

/// What a node stands on beside its configuration: other than by default in tests.
pub struct Ground {
    /// The time.
    pub clock: Clock,
    /// How the store keeps what it is told.
    pub durability: Durability,
    /// How much of its disk is free.
    pub free: FreeSpace,
    /// What is restored of peers waits here,
    pub restoring: Gate,
    /// and here each merge.
    pub merging: Gate,
}

impl Ground {
    /// The ground that nodes stand on, at a time.
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
    /// What is kept of peers cannot be used.
    #[error(transparent)]
    Federation(#[from] federation::StartError),
    /// The address cannot be listened at.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The program failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Why a reload was refused; what ran before runs on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A key changed that is read only at the start.
    #[error("{} cannot change while the node runs; restart it, or change that back", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    /// A file that it names cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Node {
    /// Starts a node: opens its store, publishes our own view, listens. What peers
    /// passed is restored after that, and the merged view is made then.
    ///
    /// # Errors
    /// It cannot start; nothing runs then.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        Self::start_on(config, Ground::at(clock)).await
    }

    /// As [`Node::start`], on other ground.
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
        // Before the store: whoever cannot listen has not touched it.
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
                    "there is no signing key where it was: another one is made, and peers hold \
                     this domain until they accept it; put the former file back if you can"
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

    /// The address it listens at, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its configuration may say that it listens, to mean the same.
    pub fn listens_at(&self) -> SocketAddr {
        self.config.now().node.listen
    }

    /// The base of its URIs, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What of the store was damaged and set aside at the start.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// The views in force, and each later set of them.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Puts another configuration in force: all of it or nothing.
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

    /// Comes back when the store has failed: nothing more can be kept, and the
    /// node must end.
    pub async fn failed(&self) -> StoreError {
        tokio::select! {
            error = self.store.failed() => error,
            () = self.ledger.stuck() => {
                StoreError::Fatal("the disk does not answer: a write is not durable in time".into())
            }
        }
    }

    /// Stops accepting, lets the requests under way end within a time, and
    /// closes the store.
    ///
    /// # Errors
    /// The store failed at the last.
    pub async fn shutdown(self, within: Duration) -> Result<(), StoreError> {
        // Peers that go down with this node are not missed.
        self.federation.stop_reading().await;
        if let Err(Overrun { .. }) = self.signal.drain(&self.clock, within).await {
            tracing::warn!("some requests did not end in time and were cut");
        }
        self.store.close().await
    }
}

/// How often it is looked how much of the disk is free while nothing is written.
const LOOKED_EVERY: Duration = Duration::from_secs(5);

/// Looks how much room the store has, until it is closed.
async fn look(store: Store, clock: Clock) {
    loop {
        clock.sleep(LOOKED_EVERY).await;
        if store.look().await.is_err() {
            return;
        }
    }
}
