//! The copies from all peers, which copy of a domain is used, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::api::s2s::{PeerState, SpokenProtocol};
use crate::brake::References;
use crate::federation::import_error::ImportError;
use crate::federation::rejections::Rejections;
use crate::federation::settings::{PeerSettings, Settings};
use crate::ident::DomainLabel;
use crate::runtime::{Clock, Moment, lock};

use super::amount::Amount;
use super::choice::{best, choose, replace};
use super::copy::{CopyName, DomainCopy, Imports};
use super::peer::{Peer, Peers, Synced};
use super::refused::{Failure, FailureKind, Refused};

mod charges;
mod compared;
mod refuse;
mod status;

pub(in crate::federation) use compared::Before;

/// All peers with their copies.
#[derive(Debug)]
pub(in crate::federation) struct Copies {
    clock: Clock,
    peers: Mutex<Peers>,
    /// What all peers together may take.
    budget: Mutex<Amount>,
    used: watch::Sender<Arc<Imports>>,
    /// When the copies are next examined for those that became stale or expired.
    look: Mutex<Moment>,
    /// Notified when a copy does so before that.
    sooner: Notify,
    rejections: Rejections,
    /// Counts the changes of the grounds on which something is refused.
    grounds: AtomicU64,
    /// The copies that were in use before the recent changes.
    references: Mutex<References<DomainLabel, Arc<DomainCopy>>>,
    /// How many documents a pushed manifest named that had not been pushed.
    unpushed: AtomicU64,
    /// How many pushed changes were made to wait.
    damped: AtomicU64,
    /// How many charges were examined to find what exceeds a budget.
    charges_seen: AtomicU64,
    /// The peers that are to be read again, and the notification of them.
    again: Mutex<BTreeSet<DomainLabel>>,
    asked: Notify,
    /// Notified when the disk may have something that is not needed any more.
    unswept: Notify,
    /// Counts the changes of the status.
    changes: watch::Sender<u64>,
}

impl Copies {
    pub(in crate::federation) fn new(clock: Clock) -> Self {
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
            charges_seen: AtomicU64::new(0),
            again: Mutex::default(),
            asked: Notify::new(),
            unswept: Notify::new(),
            changes: watch::channel(0).0,
        }
    }

    /// Watches the domains that are used.
    pub(in crate::federation) fn used(&self) -> watch::Receiver<Arc<Imports>> {
        self.used.subscribe()
    }

    /// Replaces the peers; those that stay keep their copies. What was refused is examined
    /// again, since it may be taken under other settings.
    pub(in crate::federation) fn set_peers(
        &self,
        settings: impl IntoIterator<Item = Arc<PeerSettings>>,
    ) {
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

    /// Restores when a peer was last read before the node started.
    pub(in crate::federation) fn restore(
        &self,
        peer: &DomainLabel,
        wall: Timestamp,
        spoken: SpokenProtocol,
    ) {
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

    /// Notes that a peer was read.
    pub(in crate::federation) fn synced(&self, peer: &DomainLabel, spoken: SpokenProtocol) {
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

    /// Notes that a peer could not be read; returns how many times in a row that happened, and
    /// whether the reason is a new one.
    pub(in crate::federation) fn failed(
        &self,
        peer: &DomainLabel,
        refusal: &ImportError,
    ) -> (u32, bool) {
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

    /// Notes when a peer will be read next.
    pub(in crate::federation) fn next_attempt(&self, peer: &DomainLabel, after: Duration) {
        let at = self.clock.wall().saturating_add(after).ok();
        if let Some(peer) = self.lock().get_mut(peer) {
            peer.next_attempt = at;
        }
    }

    /// Notes that what a peer pushed was too much; `None` once something that it pushed was
    /// taken.
    pub(in crate::federation) fn push_failed(
        &self,
        peer: &DomainLabel,
        refusal: Option<&ImportError>,
    ) {
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

    /// Takes a copy: its peer passes it on now.
    pub(in crate::federation) fn take(&self, copy: Arc<DomainCopy>) {
        let domain = copy.domain.clone();
        self.change_copies(&copy.sender().clone(), |peer| {
            peer.refused.remove(&domain);
            peer.held.remove(&domain);
            peer.over.remove(&domain);
            peer.copies.insert(copy);
            vec![domain]
        });
    }

    /// Takes the copies that a peer passed on before the node started.
    pub(in crate::federation) fn take_all(&self, peer: &DomainLabel, copies: Vec<DomainCopy>) {
        if copies.is_empty() {
            return;
        }
        self.change_copies(peer, |peer| {
            let domains = copies.iter().map(|copy| copy.domain.clone()).collect();
            for copy in copies {
                if !peer.held.contains_key(&copy.domain) {
                    peer.refused.remove(&copy.domain);
                }
                peer.copies.insert(Arc::new(copy));
            }
            domains
        });
    }

    /// Drops all domains of a peer except those to keep; returns whether there was a copy or a
    /// held change of any of them.
    pub(in crate::federation) fn retain(
        &self,
        peer: &DomainLabel,
        keep: impl Fn(&DomainLabel) -> bool,
    ) -> bool {
        let mut is_less = false;
        self.change_copies(peer, |peer| {
            let gone = peer.copies.extract(|copy| !keep(&copy.domain));
            peer.refused.retain(|label, _| keep(label));
            peer.over.retain(|label, _| keep(label));
            let held = peer.held.len();
            peer.held.retain(|label, _| keep(label));
            is_less = !gone.is_empty() || peer.held.len() < held;
            gone.iter().map(|copy| copy.domain.clone()).collect()
        });
        if is_less {
            self.unswept.notify_one();
        }
        is_less
    }

    /// Drops the copies, of any peer, that must not be used any more; returns whether there were
    /// any.
    pub(in crate::federation) fn drop_where(&self, is_due: impl Fn(&DomainCopy) -> bool) -> bool {
        let any = |peer: &Peer| peer.copies.values().any(|copy| is_due(copy));
        // Watchers are not notified if nothing changes.
        if !self.lock().values().any(any) {
            return false;
        }
        let gone = self.change(|peers| {
            let gone = peers.values_mut();
            let gone = gone.flat_map(|peer| peer.copies.extract(&is_due));
            gone.collect::<Vec<_>>()
        });
        self.disown(&gone);
        self.unswept.notify_one();
        true
    }

    /// Whether there is a copy, or one is being taken.
    pub(in crate::federation) fn has(&self, name: &CopyName) -> bool {
        let peers = self.lock();
        let of = |peer: &Peer| {
            let copies = &peer.copies;
            copies.contains_key(&name.domain) || peer.reserved.is_of(&name.domain)
        };
        peers.get(&name.sender).is_some_and(of)
    }

    /// Whether a change is held, or may be once what is being taken is judged.
    pub(in crate::federation) fn has_held(&self, name: &CopyName) -> bool {
        let peers = self.lock();
        let of =
            |peer: &Peer| peer.held.contains_key(&name.domain) || peer.reserved.is_of(&name.domain);
        peers.get(&name.sender).is_some_and(of)
    }

    /// Notes that the disk may have something that is not needed.
    pub(in crate::federation) fn has_to_sweep(&self) {
        self.unswept.notify_one();
    }

    /// Waits until the disk may have something that is not needed any more.
    pub(in crate::federation) async fn unswept(&self) {
        self.unswept.notified().await;
    }

    /// Counts a document that a pushed manifest named and that had not been pushed.
    pub(in crate::federation) fn count_unpushed(&self) {
        self.unpushed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many such documents there were.
    pub(in crate::federation) fn unpushed(&self) -> u64 {
        self.unpushed.load(Ordering::Relaxed)
    }

    /// Counts a pushed change that was made to wait.
    pub(in crate::federation) fn count_damped(&self) {
        self.damped.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many such changes there were.
    pub(in crate::federation) fn damped(&self) -> u64 {
        self.damped.load(Ordering::Relaxed)
    }

    /// Returns all copies from a peer.
    pub(in crate::federation) fn copies(&self, peer: &DomainLabel) -> Vec<Arc<DomainCopy>> {
        let peers = self.lock();
        let peer = peers.get(peer).into_iter();
        peer.flat_map(|peer| peer.copies.values().cloned())
            .collect()
    }

    /// Returns the copy of a domain from a peer.
    pub(in crate::federation) fn copy(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Option<Arc<DomainCopy>> {
        self.lock().get(peer)?.copies.get(domain).cloned()
    }

    /// Updates the states of copies that became stale or expired; returns the time until the
    /// next one will.
    pub(in crate::federation) fn age(&self) -> Duration {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        self.age_comparisons();
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

    /// Waits until a copy will become stale or expired before the next planned examination.
    pub(in crate::federation) async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// Watches a counter of the changes of the status.
    pub(in crate::federation) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns how often something was refused since the start, by reason: 0 for one that did
    /// not occur.
    pub(in crate::federation) fn rejections(&self) -> BTreeMap<&'static str, u64> {
        self.rejections.now()
    }

    /// Whether a peer passes on a domain, as far as is known: until it is read without that
    /// domain, is not configured any more, or what it passed on has expired.
    pub(in crate::federation) fn passes(&self, peer: &DomainLabel, domain: &DomainLabel) -> bool {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let peers = self.lock();
        let Some(peer) = peers.get(peer) else {
            return false;
        };
        let is_fresh = |synced: &Synced| peer.freshness(synced, now) != PeerState::Expired;
        match (peer.copies.get(domain), &peer.synced) {
            (Some(copy), _) => peer.copy_state(copy, now, wall) != PeerState::Expired,
            (None, Some(synced)) if peer.refused.contains_key(domain) => is_fresh(synced),
            // What it passed on before the start may not be restored yet.
            (None, Some(synced)) => !synced.before.is_zero() && is_fresh(synced),
            (None, None) => true,
        }
    }

    /// Returns the domains that are held, with the peers that pass them on.
    pub(in crate::federation) fn held(&self) -> Vec<CopyName> {
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

    /// Returns a peer that passes on this domain, signed by the key with this thumbprint.
    pub(in crate::federation) fn passed_by(
        &self,
        domain: &DomainLabel,
        kid: &str,
    ) -> Option<DomainLabel> {
        let peers = self.lock();
        let is_so = |peer: &Peer| {
            let signed = peer.copies.get(domain).and_then(|it| it.signed.as_ref());
            signed.is_some_and(|signed| signed.signer.key.kid() == kid)
        };
        let mut found = peers.iter().filter(|(_, peer)| is_so(peer));
        found.next().map(|(label, _)| label.clone())
    }

    /// Changes something of a peer on which the choice of copies does not depend.
    fn change_peer<T>(&self, label: &DomainLabel, work: impl FnOnce(&mut Peer) -> T) -> Option<T> {
        let done = {
            let mut peers = self.lock();
            // The task of a peer that is no longer configured may still be finishing.
            let peer = peers.get_mut(label)?;
            let done = work(peer);
            peer.show(self.clock.now(), self.clock.wall());
            done
        };
        self.changes.send_modify(|count| *count += 1);
        Some(done)
    }

    /// Changes the copies of a peer. `work` returns the domains that it changed.
    fn change_copies(&self, label: &DomainLabel, work: impl FnOnce(&mut Peer) -> Vec<DomainLabel>) {
        {
            let mut peers = self.lock();
            let Some(peer) = peers.get_mut(label) else {
                return;
            };
            let before = peer.copies.takes();
            let changed = work(peer);
            if !before.is_within(peer.copies.takes()) {
                self.look_for_room(&mut peers);
            }
            self.choose(&mut peers, label, &changed);
        }
        self.changes.send_modify(|count| *count += 1);
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
            let changed = if before == freshness(peer) {
                Vec::new()
            } else {
                peer.copies.keys().cloned().collect()
            };
            self.choose(&mut peers, label, &changed);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// Chooses the best copies of these domains anew, since the peer or its copies changed.
    fn choose(&self, peers: &mut Peers, label: &DomainLabel, domains: &[DomainLabel]) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        if let Some(peer) = peers.get_mut(label) {
            peer.show(now, wall);
            let next = peer.next_change(now, wall).map(|left| now + left);
            if next.is_some_and(|next| next < *lock(&self.look)) {
                self.sooner.notify_one();
            }
        }
        // This is sent while the lock is held, so that no older choice follows.
        let mut gone = Vec::new();
        self.used.send_if_modified(|used| {
            let mut is_other = false;
            for domain in domains {
                let best = best(peers, domain, now, wall);
                if let (None, Some(last)) = (&best, used.get(domain)) {
                    gone.push(last.clone());
                }
                is_other |= replace(used, domain, best);
            }
            is_other
        });
        self.remember_gone(peers, &gone);
    }

    /// Changes something, and notifies those who watch.
    fn change<T>(&self, work: impl FnOnce(&mut Peers) -> T) -> T {
        let (done, _) = self.settle(work);
        self.sooner.notify_one();
        self.changes.send_modify(|count| *count += 1);
        done
    }

    /// Changes something, and works out anew the states of all peers and what is used; returns
    /// whether any of these changed.
    fn settle<T>(&self, work: impl FnOnce(&mut Peers) -> T) -> (T, bool) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut peers = self.lock();
        let takes = |peers: &Peers| {
            let takes = peers.values().map(|peer| peer.copies.takes());
            takes.fold(Amount::default(), Amount::plus)
        };
        let before = takes(&peers);
        let done = work(&mut peers);
        if !before.is_within(takes(&peers)) {
            self.look_for_room(&mut peers);
        }
        let mut moved = false;
        for peer in peers.values_mut() {
            moved |= peer.show(now, wall);
        }
        let chosen = choose(&peers, now, wall);
        let mut gone = Vec::new();
        moved |= self.used.send_if_modified(|used| {
            let same = used.len() == chosen.len()
                && used
                    .iter()
                    .zip(&chosen)
                    .all(|((a, before), (b, now))| a == b && Arc::ptr_eq(before, now));
            if !same {
                let left = used
                    .iter()
                    .filter(|(domain, _)| !chosen.contains_key(*domain));
                gone.extend(left.map(|(_, last)| last.clone()));
                *used = Arc::new(chosen);
            }
            !same
        });
        self.remember_gone(&peers, &gone);
        (done, moved)
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        lock(&self.peers)
    }
}

/// The longest time until the copies are examined again, since the date may jump.
pub(in crate::federation) const LONGEST_LOOK: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
