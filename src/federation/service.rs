//! The federation as the node runs it.

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

use super::copies::{Archive, Copies, Imports, Kept, Restoring, restore};
use super::export::{Blob, Exports, Passed};
use super::import_error::ImportError;
use super::manifest::{IssuedManifests, KeyError, Keyring, Marks, OwnDomain, Publisher};
use super::peer::{Nudge, Nudges, Pending, supervise};
use super::settings::{PeerSettings, Settings};
use super::shared::{Shared, Trust};

/// The path below which the server-to-server API is.
const S2S: &str = "/s2s/v1/";

/// What a node can do beyond what its descriptor says.
const FEATURES: [&str; 1] = [UPDATES];

/// Our part in the federation: reads the peers, signs what we say, and knows
/// who may see what.
pub struct Federation {
    shared: Arc<Shared>,
    issued: watch::Receiver<IssuedManifests>,
    exports: Arc<Exports>,
    exported: watch::Receiver<Edition>,
    restoring: watch::Receiver<Restoring>,
    /// The keys that counted at the start, shown until a manifest states them.
    keys: Vec<KeyDocument>,
    /// Reads the peers, until the node goes down.
    reading: Mutex<Option<Task<()>>>,
    _tasks: [Task<()>; 3],
}

/// Why the federation did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// The manifests that a caller gets are not all there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has just started and does not have all that it passes yet")]
pub struct Incomplete;

impl Federation {
    /// Starts it: signs what `own` says our domain says, then restores what peers
    /// passed last, and then reads them. It comes back before anything is
    /// restored; `gate` is where a test holds that.
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
                // A peer that is read meanwhile would be given what it had.
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

    /// Watches the domains of others that are used. The set changes also when a domain
    /// was only signed again or came by another way: what is made of a domain changes
    /// with its `digest`.
    pub fn imported(&self) -> watch::Receiver<Arc<Imports>> {
        self.shared.copies.used()
    }

    /// Our last manifests, the newest first, and each later set of them.
    pub fn issued(&self) -> watch::Receiver<IssuedManifests> {
        self.issued.clone()
    }

    /// What we are, for who asks at `base_url`, which has no slash at the end.
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

    /// How far what peers passed before the start is restored.
    pub fn restoring(&self) -> watch::Receiver<Restoring> {
        self.restoring.clone()
    }

    /// The manifests that a caller gets: by the label of the peer that it is
    /// bound to, if it is. All of them or none: a domain that is not on the list
    /// is dropped by who reads it.
    ///
    /// # Errors
    /// Some are still to come since the node has just started.
    pub fn exports(&self, caller: Option<&DomainLabel>) -> Result<Vec<ManifestEntry>, Incomplete> {
        // Before what is restored: what is over is all there then.
        let restoring = self.restoring.borrow().clone();
        let export = self.exports.now();
        if export.is_complete(caller, &restoring) {
            Ok(export.entries(caller))
        } else {
            Err(Incomplete)
        }
    }

    /// The domains that a caller gets: by the label of the peer that it is bound
    /// to, if it is.
    pub fn passed(&self, caller: Option<&DomainLabel>) -> Passed {
        self.exports.now().passed(caller).clone()
    }

    /// What some peer may get, each domain as its manifest has it, and each later
    /// set of that.
    pub fn exported(&self) -> watch::Receiver<Edition> {
        self.exported.clone()
    }

    /// The representation with a digest, if the caller may see it.
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

    /// How things stand with the peers, and what we said last.
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

    /// How often a document or manifest of a peer was refused since the start,
    /// by reason: one of a fixed set, 0 for one that did not occur. What is
    /// refused again at the next reading is counted again.
    pub fn rejections(&self) -> BTreeMap<&'static str, u64> {
        self.shared.copies.rejections()
    }

    /// How many documents the manifests that peers pushed named, and had not been
    /// pushed as they were named: they were fetched.
    pub fn unpushed(&self) -> u64 {
        self.shared.copies.unpushed()
    }

    /// How many changes that peers pushed had to wait, since their domains change
    /// all the time.
    pub fn damped(&self) -> u64 {
        self.shared.copies.damped()
    }

    /// How many charges of domains were looked at to judge what is over a budget.
    pub fn charges_seen(&self) -> u64 {
        self.shared.copies.charges_seen()
    }

    /// Counts the changes of [`peers`](Self::peers), so that it can be
    /// watched.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.copies.changes()
    }

    /// Reads no peer any more. What they passed stays as it is.
    pub async fn stop_reading(&self) {
        if let Some(reading) = self.reading.lock().await.take() {
            reading.cancel().await;
        }
    }

    /// Reads a peer now, whatever was read or refused before; false if there is none
    /// with this label.
    pub fn refresh(&self, peer: &DomainLabel) -> bool {
        let is_peer = self.shared.settings().peers.contains_key(peer);
        if let Some(nudge) = self.shared.nudges.of(peer).filter(|_| is_peer) {
            nudge.read();
        }
        is_peer
    }

    /// The same, and comes back when it was read, or `patience` is over, with how
    /// things stand then; nothing if there is no such peer.
    pub async fn retry(&self, peer: &DomainLabel, patience: Duration) -> Option<PeerStatus> {
        let nudge = self.shared.nudges.of(peer);
        if let Some(nudge) = nudge {
            let number = nudge.read();
            let reading = nudge.until_done(number);
            // Where it takes longer the status says what was before.
            let _over = self.shared.clock.timeout(patience, reading).await;
        }
        let peers = self.peers().peers.into_iter();
        peers.into_iter().find(|status| status.domain == *peer)
    }

    /// Accepts the changes of a domain that are held, whoever passes it: they are
    /// taken when their peers are read, which is now, unless they became much
    /// larger meanwhile. Whether any are held.
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

    /// Forgets which keys a domain has, and what was seen under them: the next
    /// ones that it or who relays it show are taken. Whether any were known.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget_key(&self, domain: &DomainLabel) -> Result<bool, StoreError> {
        let forgotten = self.shared.forget_key(domain).await?;
        self.shared.nudges.nudge_all();
        Ok(forgotten)
    }
}

/// A peer that is being read.
struct Running {
    peer: Arc<PeerSettings>,
    nudge: Arc<Nudge>,
    _task: Task<()>,
}

/// Has a task for each peer that is configured, and for no other.
async fn follow(shared: Arc<Shared>) {
    let mut settings = shared.settings.clone();
    let mut running: BTreeMap<DomainLabel, Running> = BTreeMap::new();
    loop {
        let now = settings.borrow_and_update().clone();
        let configured = configured(&now);
        running.retain(|label, it| configured.get(label).is_some_and(|peer| **peer == *it.peer));
        // Before they are read: what is said of an unknown peer is lost.
        shared.copies.set_budget(now.budget);
        shared.pending.resize(now.max_pending, configured.len());
        shared.copies.set_peers(configured.values().cloned());
        shared.copies.enforce();
        // A pin may have come or gone.
        shared.copies.drop_where(|copy| !shared.counts(copy));
        // What was not restored, or of peers that are none any more, is still on the disk.
        shared.copies.has_to_sweep();
        if let Err(error) = shared.drop_unconfigured().await {
            tracing::error!(reason = %error, "what former peers passed is not dropped");
        }
        // What they have is judged by other settings now.
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

/// Sees to it that nothing stays on the disk of what is not had any more, and that peers are read
/// of which something may be taken now.
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
            tracing::error!(reason = %error, "what is not had any more is still on the disk");
        }
        due = swept.is_err().then(|| shared.clock.now() + SWEPT_AGAIN);
    }
}

/// How long after it failed it is tried again to drop from the disk what is not had any more.
const SWEPT_AGAIN: Duration = Duration::from_secs(60);

/// The peers that are read: a node is not its own.
fn configured(settings: &Settings) -> BTreeMap<DomainLabel, Arc<PeerSettings>> {
    let others = settings
        .peers
        .iter()
        .filter(|(label, _)| **label != settings.own.domain);
    others
        .map(|(label, peer)| (label.clone(), Arc::new(peer.clone())))
        .collect()
}

/// Sees to it that what grows old is seen as such, and tells when the date by
/// which manifests count was set.
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
        tracing::error!(reason = %error, "who vouches for held domains is not kept");
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

    /// A federation of one, and what it stands on.
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
