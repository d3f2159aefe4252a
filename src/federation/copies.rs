//! What peers pass to us, which copy of a domain is used, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::api::s2s::{Ignored, ImportStatus, PeerState, PeerStatus, SpokenProtocol};
use crate::brake::References;
use crate::ident::{Digest, DomainLabel, Tag};
use crate::runtime::{Clock, Moment};

use super::archive::CopyName;
use super::budget::Amount;
use super::copy::{DomainCopy, Imported, Imports};
use super::held::HeldChange;
use super::refusal::{Refusal, Rejections};
use super::refused::{Failure, FailureKind, Lasts, Refused};
use super::settings::{PeerSettings, Settings};

mod charges;
mod held;

use charges::{Summed, TooMuch};

pub(super) use held::Before;

/// When a peer was last read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Synced {
    /// When that was, or when we started if it was before.
    pub(super) at: Moment,
    /// How long ago it was then.
    pub(super) before: Duration,
    /// The date of it.
    pub(super) wall: Timestamp,
}

impl Synced {
    fn age(&self, now: Moment) -> Duration {
        now.since(self.at) + self.before
    }
}

/// A peer and what it passes.
#[derive(Debug)]
struct Peer {
    settings: Arc<PeerSettings>,
    protocol: Option<SpokenProtocol>,
    synced: Option<Synced>,
    failure: Option<Failure>,
    failures: u32,
    next_attempt: Option<Timestamp>,
    /// The state that is shown, and since when.
    shown: (PeerState, Timestamp),
    copies: Summed<Arc<DomainCopy>>,
    /// The domains of which something was refused, and why.
    refused: BTreeMap<DomainLabel, Refused>,
    /// The changes that are held, by domain.
    held: BTreeMap<DomainLabel, HeldChange>,
    /// The versions of domains that are over a budget.
    over: Summed<TooMuch>,
    /// Why its update stream was ended, until something came on one.
    stream: Option<Failure>,
}

impl Peer {
    fn new(settings: Arc<PeerSettings>, now: Timestamp) -> Self {
        Self {
            settings,
            protocol: None,
            synced: None,
            failure: None,
            failures: 0,
            next_attempt: None,
            shown: (PeerState::Connecting, now),
            copies: Summed::default(),
            refused: BTreeMap::new(),
            held: BTreeMap::new(),
            over: Summed::default(),
            stream: None,
        }
    }

    /// The failure of the peer itself: of the last attempt, of its own domain, or of
    /// what it pushes.
    fn failure(&self) -> Option<&Failure> {
        let own = self.refused.get(&self.settings.domain);
        self.failure
            .as_ref()
            .or_else(|| own.map(|refused| &refused.failure))
            .or(self.stream.as_ref())
    }

    fn state(&self, now: Moment) -> PeerState {
        let kind = self.failure().map(|failure| failure.kind);
        match (&self.synced, kind) {
            (_, Some(FailureKind::Held)) => PeerState::Held,
            (None, None) => PeerState::Connecting,
            (None, Some(_)) => PeerState::Failed,
            (Some(synced), kind) => match (self.freshness(synced, now), kind) {
                (PeerState::Expired, _) => PeerState::Expired,
                (_, Some(FailureKind::Wrong)) | (PeerState::Synced, Some(_)) => PeerState::Failed,
                (fresh, _) => fresh,
            },
        }
    }

    /// Synced, stale or expired.
    fn freshness(&self, synced: &Synced, now: Moment) -> PeerState {
        let (age, refresh) = (synced.age(now), &self.settings.refresh);
        match age {
            age if age >= refresh.expire_after => PeerState::Expired,
            age if age >= refresh.stale_after => PeerState::Stale,
            _ => PeerState::Synced,
        }
    }

    /// Shows where it stands; whether that is elsewhere than before.
    fn show(&mut self, now: Moment, wall: Timestamp) -> bool {
        let state = self.state(now);
        if state == self.shown.0 {
            return false;
        }
        let (peer, reason) = (&self.settings.domain, self.failure());
        let reason = reason.map(|failure| failure.reason.code.clone());
        tracing::info!(%peer, state = state.as_str(), reason, "peer");
        self.shown = (state, wall);
        true
    }

    /// The time until it, or what it passes, becomes stale or expired, if it will.
    fn next_change(&self, now: Moment, wall: Timestamp) -> Option<Duration> {
        let synced = self.synced.as_ref()?;
        let (age, refresh) = (synced.age(now), &self.settings.refresh);
        let limits = [refresh.stale_after, refresh.expire_after];
        let limits = limits.map(|limit| limit.saturating_sub(age));
        let ends = self.copies.values().filter_map(|copy| self.end(copy));
        let ends = ends.map(|end| end.duration_since(wall).try_into().unwrap_or_default());
        let left = limits.into_iter().chain(ends);
        left.filter(|left: &Duration| !left.is_zero()).min()
    }

    /// The state that is shown of a domain that it passes: what it has is not known
    /// to be what we have while it cannot be read.
    fn shown_state(&self, copy: &DomainCopy, now: Moment, wall: Timestamp) -> PeerState {
        match self.copy_state(copy, now, wall) {
            PeerState::Synced if self.failure.is_some() => PeerState::Failed,
            state => state,
        }
    }

    /// Synced, stale or expired, of a domain that it passes.
    fn copy_state(&self, copy: &DomainCopy, now: Moment, wall: Timestamp) -> PeerState {
        let over = self.end(copy).is_some_and(|end| end <= wall);
        match &self.synced {
            Some(synced) if !over => self.freshness(synced, now),
            _ => PeerState::Expired,
        }
    }
}

/// All peers, by label.
type Peers = BTreeMap<DomainLabel, Peer>;

/// All peers.
#[derive(Debug)]
pub(super) struct Copies {
    clock: Clock,
    peers: Mutex<Peers>,
    /// What all of them may take together.
    budget: Mutex<Amount>,
    used: watch::Sender<Arc<Imports>>,
    /// When it is looked next which copies became stale or expired.
    look: Mutex<Moment>,
    /// Something does so sooner.
    sooner: Notify,
    rejections: Rejections,
    /// Counts the changes of what it rests on that something is refused.
    grounds: AtomicU64,
    /// What was in use before the changes of the last while.
    references: Mutex<References<DomainLabel, Arc<DomainCopy>>>,
    /// How many documents a pushed manifest named that had not come.
    unpushed: AtomicU64,
    /// How many changes that were pushed had to wait.
    damped: AtomicU64,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

impl Copies {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            peers: Mutex::default(),
            budget: Mutex::new(Settings::BUDGET),
            used: watch::channel(Arc::default()).0,
            look: Mutex::new(clock.now()),
            sooner: Notify::new(),
            clock,
            rejections: Rejections::new(),
            grounds: AtomicU64::new(0),
            references: Mutex::default(),
            unpushed: AtomicU64::new(0),
            damped: AtomicU64::new(0),
            changes: watch::channel(0).0,
        }
    }

    /// The domains that are used, and each later set of them.
    pub(super) fn used(&self) -> watch::Receiver<Arc<Imports>> {
        self.used.subscribe()
    }

    /// Has these peers and no others; what was had of those that stay is kept. What
    /// was refused may be taken under other settings.
    pub(super) fn set_peers(&self, settings: impl IntoIterator<Item = Arc<PeerSettings>>) {
        let wall = self.clock.wall();
        self.reconsider(|_, _| true);
        self.change(|peers| {
            let mut before = std::mem::take(peers);
            for settings in settings {
                let label = settings.domain.clone();
                let peer = match before.remove(&label) {
                    Some(peer) => Peer { settings, ..peer },
                    None => Peer::new(settings, wall),
                };
                peers.insert(label, peer);
            }
        });
    }

    /// A peer was read before the node started.
    pub(super) fn restore(&self, peer: &DomainLabel, wall: Timestamp, spoken: SpokenProtocol) {
        let before = self.clock.wall().duration_since(wall);
        let synced = Synced {
            at: self.clock.now(),
            before: before.try_into().unwrap_or_default(),
            wall,
        };
        self.change_age(peer, |peer| {
            peer.synced = Some(synced);
            peer.protocol = Some(spoken);
        });
    }

    /// A peer was read.
    pub(super) fn synced(&self, peer: &DomainLabel, spoken: SpokenProtocol) {
        let synced = Synced {
            at: self.clock.now(),
            before: Duration::ZERO,
            wall: self.clock.wall(),
        };
        self.change_age(peer, |peer| {
            peer.synced = Some(synced);
            peer.protocol = Some(spoken);
            peer.failure = None;
            peer.failures = 0;
        });
    }

    /// A peer could not be read; how many times in a row that was so, and whether
    /// the reason is another than it was.
    pub(super) fn failed(&self, peer: &DomainLabel, refusal: &Refusal) -> (u32, bool) {
        self.rejections.count(refusal);
        let failed = self.change_peer(peer, |peer| {
            let failure = Failure::of(refusal);
            let before = peer.failure.as_ref().map(|before| &before.reason.code);
            let is_news = before != Some(&failure.reason.code);
            peer.failure = Some(failure);
            peer.failures = peer.failures.saturating_add(1);
            (peer.failures, is_news)
        });
        failed.unwrap_or((1, true))
    }

    /// When a peer will be read next.
    pub(super) fn next_attempt(&self, peer: &DomainLabel, after: Duration) {
        let at = self.clock.wall().saturating_add(after).ok();
        if let Some(peer) = self.lock().get_mut(peer) {
            peer.next_attempt = at;
        }
    }

    /// What a peer pushed was more than may be; none once something of it was taken.
    pub(super) fn push_failed(&self, peer: &DomainLabel, refusal: Option<&Refusal>) {
        let failure = refusal.map(Failure::of);
        if let Some(refusal) = refusal {
            self.rejections.count(refusal);
        } else if self
            .lock()
            .get(peer)
            .is_none_or(|peer| peer.stream.is_none())
        {
            return;
        }
        let before = self.change_peer(peer, |peer| {
            std::mem::replace(&mut peer.stream, failure).is_some()
        });
        match refusal {
            Some(refusal) if before == Some(false) => {
                let reason = refusal.code();
                tracing::warn!(%peer, reason, "its update stream is ended: {refusal}");
            }
            _ => {}
        }
    }

    /// A peer passes a domain.
    pub(super) fn take(&self, copy: DomainCopy) {
        let domain = copy.domain.clone();
        self.change_copies(&copy.sender().clone(), |peer| {
            peer.refused.remove(&domain);
            peer.held.remove(&domain);
            peer.over.remove(&domain);
            peer.copies.insert(domain.clone(), Arc::new(copy));
            vec![domain]
        });
    }

    /// A peer passed these domains before the node started.
    pub(super) fn take_all(&self, peer: &DomainLabel, copies: Vec<DomainCopy>) {
        if copies.is_empty() {
            return;
        }
        self.change_copies(peer, |peer| {
            let domains = copies.iter().map(|copy| copy.domain.clone()).collect();
            for copy in copies {
                if !peer.held.contains_key(&copy.domain) {
                    peer.refused.remove(&copy.domain);
                }
                peer.copies.insert(copy.domain.clone(), Arc::new(copy));
            }
            domains
        });
    }

    /// What it rests on that something is refused: another number after it changed.
    pub(super) fn grounds(&self) -> u64 {
        self.grounds.load(Ordering::SeqCst)
    }

    /// What was refused of these domains of these peers is to be looked at again,
    /// since what that rested on changed.
    pub(super) fn reconsider(&self, is_of: impl Fn(&DomainLabel, &DomainLabel) -> bool) {
        let mut peers = self.lock();
        self.grounds.fetch_add(1, Ordering::SeqCst);
        for (label, peer) in peers.iter_mut() {
            for (domain, refused) in &mut peer.refused {
                if is_of(label, domain) {
                    refused.lasts = Lasts::Not;
                }
            }
        }
    }

    /// Something of a domain was refused on these grounds; what was had of it before
    /// stays. Whether the reason is another than it was.
    pub(super) fn refuse(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
        mut refused: Refused,
        grounds: u64,
    ) -> bool {
        let is_news = self.change_peer(peer, |peer| {
            if self.grounds() != grounds {
                refused.lasts = Lasts::Not;
            }
            let code = refused.failure.reason.code.clone();
            let before = peer.refused.insert(domain.clone(), refused);
            before.is_none_or(|before| before.failure.reason.code != code)
        });
        is_news.unwrap_or(false)
    }

    /// Counts what came and was refused.
    pub(super) fn count(&self, refusal: &Refusal) {
        self.rejections.count(refusal);
    }

    /// What of a domain is refused of a peer, if anything.
    pub(super) fn refused(&self, peer: &DomainLabel, domain: &DomainLabel) -> Option<Refused> {
        self.lock().get(peer)?.refused.get(domain).cloned()
    }

    /// Whether this, which a peer passes of a domain, is known to be refused.
    pub(super) fn is_refused(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
        entry: &Digest,
    ) -> bool {
        let refused = self.refused(peer, domain);
        refused.is_some_and(|refused| refused.covers(entry, self.clock.wall()))
    }

    /// The domains that a peer passes and of which nothing is had, since what it
    /// passes is refused.
    pub(super) fn only_refused(&self, peer: &DomainLabel) -> Vec<DomainLabel> {
        let peers = self.lock();
        let Some(peer) = peers.get(peer) else {
            return Vec::new();
        };
        let is_passed =
            |(domain, it): &(&_, &Refused)| it.entry.is_some() || peer.held.contains_key(*domain);
        let passed = peer.refused.iter().filter(is_passed);
        let domains = passed.map(|(domain, _)| domain);
        let domains = domains.filter(|domain| !peer.copies.contains_key(*domain));
        domains.cloned().collect()
    }

    /// What a peer passes of a domain is what we have.
    pub(super) fn confirm(&self, peer: &DomainLabel, domain: &DomainLabel) {
        self.change_peer(peer, |peer| {
            peer.refused.remove(domain);
            if peer.copies.contains_key(domain) {
                peer.over.remove(domain);
            }
        });
    }

    /// A peer passes these domains and no others; those that it passed before
    /// are returned.
    pub(super) fn retain(
        &self,
        peer: &DomainLabel,
        keep: impl Fn(&DomainLabel) -> bool,
    ) -> Vec<DomainLabel> {
        let gone = self.change_copies(peer, |peer| {
            let copies = peer.copies.keys().chain(peer.refused.keys());
            let copies = copies.chain(peer.held.keys());
            let gone: Vec<_> = copies.filter(|label| !keep(label)).cloned().collect();
            peer.copies.extract(|label, _| !keep(label));
            peer.refused.retain(|label, _| keep(label));
            peer.held.retain(|label, _| keep(label));
            peer.over.extract(|label, _| !keep(label));
            gone
        });
        gone.unwrap_or_default()
    }

    /// Drops the copies, of any peer, that must not be used any more; which they were.
    pub(super) fn drop_where(&self, is_due: impl Fn(&DomainCopy) -> bool) -> Vec<CopyName> {
        let any = |peer: &Peer| peer.copies.values().any(|copy| is_due(copy));
        // Nobody is told of what does not change.
        if !self.lock().values().any(any) {
            return Vec::new();
        }
        self.change(|peers| {
            let mut gone = Vec::new();
            for (sender, peer) in peers {
                let due = peer.copies.extract(|_, copy| is_due(copy));
                gone.extend(due.into_iter().map(|(domain, _)| CopyName {
                    sender: sender.clone(),
                    domain,
                }));
            }
            gone
        })
    }

    /// Counts a document that a pushed manifest named and that had not come.
    pub(super) fn count_unpushed(&self) {
        self.unpushed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn unpushed(&self) -> u64 {
        self.unpushed.load(Ordering::Relaxed)
    }

    /// Counts a change that was pushed and had to wait.
    pub(super) fn count_damped(&self) {
        self.damped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn damped(&self) -> u64 {
        self.damped.load(Ordering::Relaxed)
    }

    /// All that is had of a peer.
    pub(super) fn copies(&self, peer: &DomainLabel) -> Vec<Arc<DomainCopy>> {
        let peers = self.lock();
        let peer = peers.get(peer).into_iter();
        peer.flat_map(|peer| peer.copies.values().cloned())
            .collect()
    }

    /// What is had of a domain from a peer.
    pub(super) fn copy(&self, peer: &DomainLabel, domain: &DomainLabel) -> Option<Arc<DomainCopy>> {
        self.lock().get(peer)?.copies.get(domain).cloned()
    }

    /// Looks which copies became stale or expired, and returns when the next
    /// one will.
    pub(super) fn age(&self) -> Duration {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        lock(&self.references).age(now);
        if self.settle(|_| {}).1 {
            self.changes.send_modify(|count| *count += 1);
        }
        let peers = self.lock();
        let next = peers
            .values()
            .filter_map(|peer| peer.next_change(now, wall));
        let next = next.min().unwrap_or(LONGEST_LOOK).min(LONGEST_LOOK);
        *lock(&self.look) = now + next;
        next
    }

    /// Comes back when a copy becomes stale or expired before it was to be looked.
    pub(super) async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// Counts the changes of what stands in the status.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How often something was refused since the start, by reason: 0 for one
    /// that did not occur.
    pub(super) fn rejections(&self) -> BTreeMap<&'static str, u64> {
        self.rejections.now()
    }

    /// Whether a peer passes a domain, as far as is known: until it was read without
    /// it, is no peer any more, or what it passed has expired.
    pub(super) fn passes(&self, peer: &DomainLabel, domain: &DomainLabel) -> bool {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let peers = self.lock();
        let Some(peer) = peers.get(peer) else {
            return false;
        };
        let is_fresh = |synced: &Synced| peer.freshness(synced, now) != PeerState::Expired;
        match (peer.copies.get(domain), &peer.synced) {
            (Some(copy), _) => peer.copy_state(copy, now, wall) != PeerState::Expired,
            (None, Some(synced)) if peer.refused.contains_key(domain) => is_fresh(synced),
            // What it passed before the start may not be restored yet.
            (None, Some(synced)) => !synced.before.is_zero() && is_fresh(synced),
            (None, None) => true,
        }
    }

    /// The domains that are held, and the peers that pass them.
    pub(super) fn held(&self) -> Vec<CopyName> {
        let peers = self.lock();
        let held = peers.iter().flat_map(|(sender, peer)| {
            let is_held = |(_, refused): &(_, &Refused)| refused.failure.kind == FailureKind::Held;
            let held = peer.refused.iter().filter(is_held);
            held.map(|(domain, _)| CopyName {
                sender: sender.clone(),
                domain: domain.clone(),
            })
        });
        held.collect()
    }

    /// A peer that passes this domain, signed by the key with this thumbprint.
    pub(super) fn passed_by(&self, domain: &DomainLabel, kid: &str) -> Option<DomainLabel> {
        let peers = self.lock();
        let is_so = |peer: &Peer| {
            let signed = peer.copies.get(domain).and_then(|it| it.signed.as_ref());
            signed.is_some_and(|signed| signed.signer.key.kid() == kid)
        };
        let mut found = peers.iter().filter(|(_, peer)| is_so(peer));
        found.next().map(|(label, _)| label.clone())
    }

    /// How things stand, by the label of the peer.
    pub(super) fn status(&self) -> Vec<PeerStatus> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let peers = self.lock();
        // By the same time as the states: none is expired and used.
        let used = choose(&peers, now, wall);
        let is_used = |copy: &Arc<DomainCopy>| {
            let used = used.get(&copy.domain);
            used.is_some_and(|used| Arc::ptr_eq(&used.copy, copy))
        };
        let status = |peer: &Peer| {
            let labels = peer.copies.keys().chain(peer.refused.keys());
            let labels: BTreeSet<_> = labels.collect();
            let labels_total = labels.len();
            let domains = labels.into_iter().map(|label| {
                let copy = peer.copies.get(label);
                let refused = peer.refused.get(label);
                let age = peer.synced.filter(|_| copy.is_some());
                ImportStatus {
                    domain: label.clone(),
                    state: match (copy, refused.map(|refused| refused.failure.kind)) {
                        (_, Some(FailureKind::Held)) => PeerState::Held,
                        (Some(copy), None) => peer.shown_state(copy, now, wall),
                        (_, Some(_)) | (None, None) => PeerState::Failed,
                    },
                    reason: refused.map(|refused| refused.failure.reason.clone()),
                    held: {
                        let hold = peer.settings.import.hold;
                        let held = peer.held.get(label);
                        held.map(|held| held.status(hold, now, wall))
                    },
                    used: copy.is_some_and(is_used),
                    serial: copy.map(|copy| copy.serial),
                    fingerprint: copy.and_then(|copy| copy.fingerprint()),
                    age_seconds: age.map(|synced| synced.age(now).as_secs()),
                    next_update: copy.and_then(|copy| peer.end(copy)),
                    path: match (copy, refused) {
                        (Some(copy), _) => copy.path.clone(),
                        (None, refused) => refused.map_or(Vec::new(), |r| r.path.clone()),
                    },
                    key: copy.and_then(|copy| copy.key()),
                    pids: copy.map_or(0, |copy| copy.view.network().pids().len()),
                    prefixes: copy.map_or(0, |copy| copy.view.network().prefix_count()),
                    ignored: copy.map_or(Vec::new(), |copy| listed(&copy.ignored)),
                    ignored_total: copy.map_or(0, |copy| copy.ignored.len()),
                }
            });
            PeerStatus {
                domain: peer.settings.domain.clone(),
                directory: peer.settings.directory.to_string(),
                protocol: peer.protocol,
                state: peer.state(now),
                reason: peer.failure().map(|failure| failure.reason.clone()),
                since: peer.shown.1,
                last_sync: peer.synced.map(|synced| synced.wall),
                next_attempt: peer.next_attempt,
                failures: peer.failures,
                domains_total: labels_total,
                memory_bytes: peer.copies.takes().memory,
                disk_bytes: peer.copies.takes().disk,
                domains: domains.collect(),
            }
        };
        peers.values().map(status).collect()
    }

    /// Changes something of a peer that its copies do not depend on.
    fn change_peer<T>(&self, label: &DomainLabel, work: impl FnOnce(&mut Peer) -> T) -> Option<T> {
        let done = {
            let mut peers = self.lock();
            // A peer that is no longer configured may still be finishing.
            let peer = peers.get_mut(label)?;
            let done = work(peer);
            peer.show(self.clock.now(), self.clock.wall());
            done
        };
        self.changes.send_modify(|count| *count += 1);
        Some(done)
    }

    /// Changes what is had of a peer: of the domains that are returned.
    fn change_copies(
        &self,
        label: &DomainLabel,
        work: impl FnOnce(&mut Peer) -> Vec<DomainLabel>,
    ) -> Option<Vec<DomainLabel>> {
        let changed = {
            let mut peers = self.lock();
            let peer = peers.get_mut(label)?;
            let changed = work(peer);
            self.choose(&mut peers, label, &changed);
            changed
        };
        self.changes.send_modify(|count| *count += 1);
        Some(changed)
    }

    /// Changes when a peer was read.
    fn change_age(&self, label: &DomainLabel, work: impl FnOnce(&mut Peer)) {
        {
            let mut peers = self.lock();
            let Some(peer) = peers.get_mut(label) else {
                return;
            };
            let now = self.clock.now();
            let freshness = |peer: &Peer| Some(peer.freshness(peer.synced.as_ref()?, now));
            let before = freshness(peer);
            work(peer);
            let changed = match before == freshness(peer) {
                true => Vec::new(),
                false => peer.copies.keys().cloned().collect(),
            };
            self.choose(&mut peers, label, &changed);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// Chooses anew of these domains, since a peer or what is had of it changed.
    fn choose(&self, peers: &mut Peers, label: &DomainLabel, domains: &[DomainLabel]) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        if let Some(peer) = peers.get_mut(label) {
            peer.show(now, wall);
            let next = peer.next_change(now, wall).map(|left| now + left);
            if next.is_some_and(|next| next < *lock(&self.look)) {
                self.sooner.notify_one();
            }
        }
        // Sent before the lock is given up, so that no older choice follows.
        self.used.send_if_modified(|used| {
            let mut is_other = false;
            for domain in domains {
                let best = best(peers, domain, now, wall);
                is_other |= replace(used, domain, best);
            }
            is_other
        });
    }

    /// Changes something, and tells who watches.
    fn change<T>(&self, work: impl FnOnce(&mut Peers) -> T) -> T {
        let (done, _) = self.settle(work);
        self.sooner.notify_one();
        self.changes.send_modify(|count| *count += 1);
        done
    }

    /// Changes something and works out anew where all peers stand and what is
    /// used; whether either is another now.
    fn settle<T>(&self, work: impl FnOnce(&mut Peers) -> T) -> (T, bool) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut peers = self.lock();
        let done = work(&mut peers);
        let mut moved = false;
        for peer in peers.values_mut() {
            moved |= peer.show(now, wall);
        }
        let chosen = choose(&peers, now, wall);
        moved |= self.used.send_if_modified(|used| {
            let same = used.len() == chosen.len()
                && used
                    .iter()
                    .zip(&chosen)
                    .all(|((a, before), (b, now))| a == b && before.is_same(now));
            if !same {
                *used = Arc::new(chosen);
            }
            !same
        });
        (done, moved)
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        lock(&self.peers)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many things that were left aside of a domain are listed, and how many
/// characters of each: a peer can name any number.
const LISTED: usize = 20;
const MAX_LISTED: usize = 200;

fn listed(ignored: &[Ignored]) -> Vec<Ignored> {
    let cut = |text: &str| text.chars().take(MAX_LISTED).collect();
    let listed = ignored.iter().take(LISTED).map(|it| Ignored {
        what: cut(&it.what),
        reason: cut(&it.reason),
    });
    listed.collect()
}

/// How long at most until the copies are looked at again: the date may jump.
pub(super) const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// The best copy of each domain.
fn choose(peers: &Peers, now: Moment, wall: Timestamp) -> Imports {
    let domains = peers.values().flat_map(|peer| peer.copies.keys());
    let domains: BTreeSet<&DomainLabel> = domains.collect();
    let best = domains.into_iter().filter_map(|domain| {
        let best = best(peers, domain, now, wall)?;
        Some((domain.clone(), best))
    });
    best.collect()
}

/// The best copy of a domain.
fn best(peers: &Peers, domain: &DomainLabel, now: Moment, wall: Timestamp) -> Option<Imported> {
    let copies = peers.values().filter_map(|peer| {
        let copy = peer.copies.get(domain)?;
        let state = peer.copy_state(copy, now, wall);
        (state != PeerState::Expired).then_some((copy, state))
    });
    let (copy, state) = copies.max_by(|(a, _), (b, _)| a.rank().cmp(&b.rank()))?;
    Some(Imported {
        copy: copy.clone(),
        stale: state == PeerState::Stale,
    })
}

/// Has this copy of a domain used; whether it is another than was.
fn replace(used: &mut Arc<Imports>, domain: &DomainLabel, best: Option<Imported>) -> bool {
    match (used.get(domain), best) {
        (None, None) => false,
        (Some(before), Some(best)) if before.is_same(&best) => false,
        (_, Some(best)) => {
            Arc::make_mut(used).insert(domain.clone(), best);
            true
        }
        (Some(_), None) => {
            Arc::make_mut(used).remove(domain);
            true
        }
    }
}

#[cfg(test)]
mod tests;
