//! Runs the federation: its tasks, and the interface that the node uses.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::api::s2s::{
    Descriptor, KeyDocument, ManifestEntry, OwnStatus, PeerList, PeerStatus, UPDATES,
};
use crate::follow::Edition;
use crate::ident::{Digest, DomainLabel};
use crate::runtime::{Clock, DateWatch, Gate, Pool, PoolError, Task};
use crate::store::{Store, StoreError};

use super::copies::{Archive, Copies, Imports, Kept, Restoring};
use super::export::{Blob, Exports, Passed};
use super::import_error::ImportError;
use super::manifest::{IssuedManifests, KeyError, Keyring, Marks, OwnDomain, Publisher};
use super::peer::{Nudge, Nudges, Pending, supervise};
use super::restore::restore;
use super::settings::{PeerSettings, Settings};
use super::shared::{Shared, Trust};

/// The path of the server-to-server API.
const S2S: &str = "/s2s/v1/";

/// The features that our descriptor lists.
const FEATURES: [&str; 1] = [UPDATES];

/// Our part in the federation: reads the peers, signs what our domain states, and decides who
/// may see what.
pub struct Federation {
    pub(super) shared: Arc<Shared>,
    issued: watch::Receiver<IssuedManifests>,
    exports: Arc<Exports>,
    exported: watch::Receiver<Edition>,
    restoring: watch::Receiver<Restoring>,
    /// The keys that counted at the start, for the descriptor until there is a manifest.
    keys: Vec<KeyDocument>,
    /// The task that reads the peers, until the node shuts down.
    reading: Mutex<Option<Task<()>>>,
    _tasks: [Task<()>; 3],
}

/// Why the federation did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A computation failed: a defect of the program.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Error: some of the manifests that a caller gets are not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has just started and does not have all that it passes yet")]
pub struct Incomplete;

impl Federation {
    /// Starts the federation: signs what `own` states, restores what peers passed on last, and
    /// then reads the peers. Returns before anything is restored; a test can hold the restoring
    /// with `gate`.
    ///
    /// # Errors
    /// The signing key or the store cannot be read.
    pub async fn start(
        settings: watch::Receiver<Arc<Settings>>,
        own: watch::Receiver<OwnDomain>,
        store: &Store,
        pool: Pool,
        clock: Clock,
        gate: Gate,
    ) -> Result<Self, StartError> {
        let first = settings.borrow().clone();
        let files = first.own.keys.clone();
        let keys = pool.run(move || Keyring::load(&files)).await??;
        let (archive, facts) = Archive::open(store).await?;
        let archive = Arc::new(archive);
        let Kept {
            serial,
            marks: kept_marks,
            keys: known,
            peers,
            held,
        } = facts;
        let mut marks = Marks::default();
        for (name, mark) in kept_marks {
            marks.insert(name, mark);
        }
        let shared = Arc::new(Shared {
            copies: Copies::new(clock.clone()),
            pending: Arc::new(Pending::new(first.max_pending, first.peers.len())),
            clock: clock.clone(),
            pool: pool.clone(),
            archive: archive.clone(),
            settings: settings.clone(),
            trust: Mutex::new(Trust { keys: known, marks }),
            nudges: Nudges::default(),
        });
        shared.copies.set_budget(first.budget);
        shared.copies.set_peers(configured(&first).into_values());
        for (label, row) in &peers {
            shared.copies.restore(label, row.synced, row.protocol);
        }
        for (name, row) in held {
            shared.copies.restore_held(&name, row);
        }
        let kept = shared.archive.takes().await.into_keys();
        let kept = kept.filter(|name| first.peers.contains_key(&name.sender));
        let restoring = Restoring::new(kept.collect());
        let (restoring, restoring_read) = watch::channel(restoring);
        let shown = keys.documents(clock.wall());
        let (issuing, issued) = watch::channel(IssuedManifests::default());
        let publisher = Publisher {
            archive,
            keys,
            keys_under: first,
            pool,
            clock,
            settings: settings.clone(),
            own,
            issued: issuing,
            serial,
        };
        let (exporting, exported) = watch::channel(Edition::default());
        let reading = Task::spawn("peers", {
            let shared = shared.clone();
            async move {
                gate.pass().await;
                // A peer that is read meanwhile would not find its last copies.
                if let Err(error) = restore(&shared, &peers, &restoring).await {
                    tracing::error!(reason = %error, "what peers passed is not restored");
                }
                restoring.send_modify(Restoring::end);
                tokio::join!(follow(shared.clone()), look_after(shared));
            }
        });
        let exports = Exports::new(settings, issued.clone(), shared.copies.used());
        let exports = Arc::new(exports);
        let tasks = [
            Task::spawn("exports", exports.clone().publish(exporting)),
            Task::spawn("publisher", publisher.run()),
            Task::spawn("ageing", age(shared.clone())),
        ];
        Ok(Self {
            shared,
            issued,
            exports,
            exported,
            restoring: restoring_read,
            keys: shown,
            reading: Mutex::new(Some(reading)),
            _tasks: tasks,
        })
    }

    /// Watches the domains of others that are used. The set also changes when a domain was only
    /// signed again or came by another path; the content of a domain changes with its `digest`.
    pub fn imported(&self) -> watch::Receiver<Arc<Imports>> {
        self.shared.copies.used()
    }

    /// Watches our last manifests, the newest first.
    pub fn issued(&self) -> watch::Receiver<IssuedManifests> {
        self.issued.clone()
    }

    /// Returns our descriptor, for a caller that asks at `base_url`, which has no slash at its
    /// end.
    pub fn descriptor(&self, base_url: &str) -> Descriptor {
        let own = &self.shared.settings().own;
        let issued = self.issued.borrow();
        let keys = issued.first().map(|issued| issued.manifest.keys.clone());
        Descriptor {
            domain: own.domain.clone(),
            name: own.name.clone(),
            asns: own.asns.clone(),
            directory: format!("{base_url}/directory"),
            s2s: format!("{base_url}{S2S}"),
            keys: keys.unwrap_or_else(|| self.keys.clone()),
            features: FEATURES.map(str::to_owned).into(),
        }
    }

    /// Watches how much of what peers passed on before the start is restored.
    pub fn restoring(&self) -> watch::Receiver<Restoring> {
        self.restoring.clone()
    }

    /// Returns the manifests that a caller gets, given the label of the peer that it is bound
    /// to, if any. Returns all of them or none, because a reader drops the domains that are not
    /// listed.
    ///
    /// # Errors
    /// Some are still missing, because the node has just started.
    pub fn exports(&self, caller: Option<&DomainLabel>) -> Result<Vec<ManifestEntry>, Incomplete> {
        // Read before the exports: if the restoring is over by then, all of them are there.
        let restoring = self.restoring.borrow().clone();
        let export = self.exports.now();
        if export.is_complete(caller, &restoring) {
            Ok(export.entries(caller))
        } else {
            Err(Incomplete)
        }
    }

    /// Returns the domains that a caller gets, given the label of the peer that it is bound to,
    /// if any.
    pub fn passed(&self, caller: Option<&DomainLabel>) -> Passed {
        self.exports.now().passed(caller).clone()
    }

    /// Watches all that any peer may get: each domain as its manifest describes it.
    pub fn exported(&self) -> watch::Receiver<Edition> {
        self.exported.clone()
    }

    /// Returns the representation with a digest, if the caller may see it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn blob(
        &self,
        caller: Option<&DomainLabel>,
        digest: &Digest,
    ) -> Result<Option<Blob>, ImportError> {
        let (archive, pool) = (&self.shared.archive, &self.shared.pool);
        let export = self.exports.now();
        export.blob(caller, digest, archive, pool).await
    }

    /// Returns the status of the peers, and of our last manifest.
    pub fn peers(&self) -> PeerList {
        let last = self.issued.borrow().first().cloned();
        PeerList {
            own: last.map(|issued| OwnStatus {
                domain: issued.manifest.domain.clone(),
                serial: issued.manifest.serial,
                fingerprint: issued.fingerprint,
            }),
            peers: self.shared.copies.status(),
        }
    }

    /// Watches a counter of the changes of [`peers`](Self::peers).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.copies.changes()
    }

    /// Stops reading peers. What they passed on stays as it is.
    pub async fn stop_reading(&self) {
        if let Some(reading) = self.reading.lock().await.take() {
            reading.cancel().await;
        }
    }

    /// Reads a peer now, whatever was read or refused before; returns false if no peer has this
    /// label.
    pub fn refresh(&self, peer: &DomainLabel) -> bool {
        let is_peer = self.shared.settings().peers.contains_key(peer);
        if let Some(nudge) = self.shared.nudges.of(peer).filter(|_| is_peer) {
            nudge.read();
        }
        is_peer
    }

    /// Reads a peer now, and returns its status when it was read or `patience` is over; returns
    /// `None` if no peer has this label.
    pub async fn retry(&self, peer: &DomainLabel, patience: Duration) -> Option<PeerStatus> {
        let nudge = self.shared.nudges.of(peer);
        if let Some(nudge) = nudge {
            let number = nudge.read();
            let reading = nudge.until_done(number);
            // If it takes longer, the status is that of before.
            let _over = self.shared.clock.timeout(patience, reading).await;
        }
        let peers = self.peers().peers.into_iter();
        peers.into_iter().find(|status| status.domain == *peer)
    }

    /// Accepts the held changes of a domain, whoever passed them on, and reads those peers now.
    /// A change is taken then, unless it has become much larger meanwhile. Returns whether any
    /// changes were held.
    ///
    /// # Errors
    /// The store failed.
    pub async fn accept(&self, domain: &DomainLabel) -> Result<bool, StoreError> {
        let accepted = self.shared.copies.accept(domain);
        for (name, row) in &accepted {
            self.shared.archive.keep_held(name, row).await?;
            self.refresh(&name.sender);
        }
        Ok(!accepted.is_empty())
    }

    /// Forgets which keys a domain has, and which serials were seen under them. The next keys
    /// that the domain or a relay shows are trusted. Returns whether any keys or serials were
    /// known.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget_key(&self, domain: &DomainLabel) -> Result<bool, StoreError> {
        let forgotten = self.shared.forget_key(domain).await?;
        self.shared.nudges.nudge_all();
        Ok(forgotten)
    }
}

/// A peer with its task.
struct Running {
    peer: Arc<PeerSettings>,
    nudge: Arc<Nudge>,
    _task: Task<()>,
}

/// Runs a task for each configured peer, and for no other.
async fn follow(shared: Arc<Shared>) {
    let mut settings = shared.settings.clone();
    let mut running: BTreeMap<DomainLabel, Running> = BTreeMap::new();
    loop {
        let now = settings.borrow_and_update().clone();
        let configured = configured(&now);
        running.retain(|label, it| configured.get(label).is_some_and(|peer| **peer == *it.peer));
        // This comes before the peers are read, since the status of an unknown peer is lost.
        shared.copies.set_budget(now.budget);
        shared.pending.resize(now.max_pending, configured.len());
        shared.copies.set_peers(configured.values().cloned());
        shared.copies.enforce();
        // A pin may have come or gone.
        shared.copies.drop_where(|copy| !shared.counts(copy));
        // The disk may still have copies that were not restored, or of peers that are not
        // configured any more.
        shared.copies.has_to_sweep();
        if let Err(error) = shared.drop_unconfigured().await {
            tracing::error!(reason = %error, "the keys and serials of former peers cannot be removed");
        }
        // The copies are judged by other settings now.
        running.values().for_each(|it| _ = it.nudge.read());
        for (label, peer) in configured {
            running.entry(label).or_insert_with(|| {
                let nudge = Arc::new(Nudge::default());
                let life = supervise(shared.clone(), peer.clone(), nudge.clone());
                Running {
                    _task: Task::spawn("peer supervisor", life),
                    peer,
                    nudge,
                }
            });
        }
        let tasks = running
            .iter()
            .map(|(label, it)| (label.clone(), it.nudge.clone()));
        shared.nudges.set(tasks);
        // A peer that vouched for something may have gone.
        release_held(&shared).await;
        if settings.changed().await.is_err() {
            // Nobody can change them any more; the tasks go on.
            return pending().await;
        }
    }
}

/// Sweeps the disk of what the copies do not have any more, and has peers read again whose
/// domains may find room now.
async fn look_after(shared: Arc<Shared>) {
    let mut due = None;
    loop {
        let due_again = async {
            match due {
                Some(due) => shared.clock.sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = shared.copies.unswept() => {}
            () = due_again => {}
            peers = shared.copies.asked_again() => {
                let nudges = peers.iter().filter_map(|peer| shared.nudges.of(peer));
                nudges.for_each(|nudge| nudge.again());
                continue;
            }
        }
        let swept = shared.sweep().await;
        if let Err(error) = &swept
            && due.is_none()
        {
            tracing::error!(reason = %error, "copies that are no longer used cannot be removed from the disk");
        }
        due = swept.is_err().then(|| shared.clock.now() + SWEPT_AGAIN);
    }
}

/// How long after a sweep failed it is tried again.
const SWEPT_AGAIN: Duration = Duration::from_secs(60);

/// Returns the peers to read: all that are configured except ourselves.
fn configured(settings: &Settings) -> BTreeMap<DomainLabel, Arc<PeerSettings>> {
    let others = settings
        .peers
        .iter()
        .filter(|(label, _)| **label != settings.own.domain);
    others
        .map(|(label, peer)| (label.clone(), Arc::new(peer.clone())))
        .collect()
}

/// Marks copies stale and expired as they age, and warns when the date, by which manifests
/// count, was set.
async fn age(shared: Arc<Shared>) {
    let mut date = DateWatch::new(shared.clock.clone());
    loop {
        if let Some(jump) = date.jump() {
            tracing::warn!(
                seconds = jump.as_secs(),
                "the date of this machine jumped; a wrong one makes manifests stop counting, \
                 peers' here and ours there: see that it is kept by NTP"
            );
        }
        let now = shared.clock.now();
        let next = now + shared.copies.age();
        release_held(&shared).await;
        tokio::select! {
            () = shared.clock.sleep_until(next) => {}
            () = shared.copies.sooner() => {}
        }
    }
}

async fn release_held(shared: &Shared) {
    if let Err(error) = shared.release_held().await {
        tracing::error!(reason = %error, "the keys that vouch for held domains cannot be stored");
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::facts::Interconnects;
    use crate::federation::SigningKey;
    use crate::federation::copies::LONGEST_LOOK;
    use crate::federation::testing::{Log, at, domain_view, settings, small_store};
    use crate::runtime::ManualClock;
    use crate::runtime::testing::soon;

    /// A federation without peers, and what it needs to run.
    struct Alone {
        federation: Federation,
        hand: ManualClock,
        _settings: watch::Sender<Arc<Settings>>,
        _own: watch::Sender<OwnDomain>,
        _directory: tempfile::TempDir,
    }

    impl Alone {
        async fn start() -> Self {
            let (directory, store) = small_store();
            let mut settings = settings();
            settings.own.keys.key = directory.path().join("key.pem");
            let key = SigningKey::generate().expect("a key");
            key.save(&settings.own.keys.key).expect("saved");
            let (settings, settings_read) = watch::channel(Arc::new(settings));
            let (own, own_read) = watch::channel(OwnDomain {
                view: domain_view("isp-a"),
                off_net: Arc::default(),
                interconnects: Arc::new(Interconnects::new()),
            });
            let (clock, hand) = Clock::manual(at(0));
            let pool = Pool::new(1).expect("a pool");
            let gate = Gate::default();
            let started = Federation::start(settings_read, own_read, &store, pool, clock, gate);
            Self {
                federation: started.await.expect("it starts"),
                hand,
                _settings: settings,
                _own: own,
                _directory: directory,
            }
        }
    }

    #[tokio::test]
    async fn the_descriptor_shows_the_keys_before_anything_is_signed() {
        let alone = Alone::start().await;
        let mut issued = alone.federation.issued();
        assert!(issued.borrow().is_empty());
        let shown = || alone.federation.descriptor("https://alto.example").keys;
        let before = shown();
        assert_eq!(before.len(), 1);
        soon(issued.changed()).await.expect("it signs");
        assert_eq!(issued.borrow()[0].manifest.keys, before);
        assert_eq!(shown(), before);
    }

    #[tokio::test]
    async fn a_date_that_jumps_is_a_warning_once() {
        let (log, _logged) = Log::taken();
        let alone = Alone::start().await;
        let look = async || {
            soon(alone.hand.sleeper(LONGEST_LOOK)).await;
            alone.hand.advance(LONGEST_LOOK);
            soon(alone.hand.sleeper(LONGEST_LOOK)).await;
            log.count("the date of this machine jumped")
        };
        assert_eq!(look().await, 0);
        let back: Timestamp = at(0) - SignedDuration::from_mins(1);
        alone.hand.set_date(back);
        assert_eq!(look().await, 1);
        assert_eq!(look().await, 1);
    }
}
