//! A peer and what it passes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::s2s::{PeerState, SpokenProtocol};
use crate::federation::settings::PeerSettings;
use crate::ident::DomainLabel;
use crate::runtime::Moment;

use super::amount::Amount;
use super::budget::Claim;
use super::copy::DomainCopy;
use super::had::{Had, Room, TooMuch};
use super::held::HeldChange;
use super::refused::{Failure, FailureKind, Refused};

/// When a peer was last read.
#[derive(Debug, Clone, Copy)]
pub(in crate::federation) struct Synced {
    /// The moment of it, or of our start if it was before that.
    pub(super) at: Moment,
    /// How long before that moment it was.
    pub(super) before: Duration,
    /// Its date.
    pub(super) wall: Timestamp,
}

impl Synced {
    pub(super) fn age(&self, now: Moment) -> Duration {
        now.since(self.at) + self.before
    }
}

/// A peer and what it passes on.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) settings: Arc<PeerSettings>,
    pub(super) protocol: Option<SpokenProtocol>,
    pub(super) synced: Option<Synced>,
    pub(super) failure: Option<Failure>,
    pub(super) failures: u32,
    pub(super) next_attempt: Option<Timestamp>,
    /// The state that is shown, and since when.
    pub(super) shown: (PeerState, Timestamp),
    /// The freshness that is shown of its copies.
    pub(super) shown_freshness: Option<PeerState>,
    pub(super) copies: Had,
    /// The refusals, by domain.
    pub(super) refused: BTreeMap<DomainLabel, Refused>,
    /// The held changes, by domain.
    pub(super) held: BTreeMap<DomainLabel, HeldChange>,
    /// The versions that are over a budget, by domain.
    pub(super) over: BTreeMap<DomainLabel, TooMuch>,
    /// The room that is reserved for what is being taken.
    pub(super) reserved: Room,
    /// Why its update stream was ended, until something came on a new one.
    pub(super) stream: Option<Failure>,
    /// How many bytes of a plain peer's maps are kept, to apply pushed changes to.
    pub(super) follows: u64,
}

impl Peer {
    pub(super) fn new(settings: Arc<PeerSettings>, now: Timestamp) -> Self {
        Self {
            settings,
            protocol: None,
            synced: None,
            failure: None,
            failures: 0,
            next_attempt: None,
            shown: (PeerState::Connecting, now),
            shown_freshness: None,
            copies: Had::default(),
            refused: BTreeMap::new(),
            held: BTreeMap::new(),
            over: BTreeMap::new(),
            reserved: Room::default(),
            stream: None,
            follows: 0,
        }
    }

    /// Returns the failure of the peer itself: of the last attempt, of its own domain, or of
    /// what it pushes.
    pub(super) fn failure(&self) -> Option<&Failure> {
        let own = self.refused.get(&self.settings.domain);
        self.failure
            .as_ref()
            .or_else(|| own.map(|refused| &refused.failure))
            .or(self.stream.as_ref())
    }

    pub(super) fn state(&self, now: Moment) -> PeerState {
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

    /// Returns synced, stale or expired, by the age of the last reading.
    pub(super) fn freshness(&self, synced: &Synced, now: Moment) -> PeerState {
        let (age, refresh) = (synced.age(now), &self.settings.refresh);
        match age {
            age if age >= refresh.expire_after => PeerState::Expired,
            age if age >= refresh.stale_after => PeerState::Stale,
            _ => PeerState::Synced,
        }
    }

    /// Updates what is shown: the state of the peer, and the freshness of its copies, which can
    /// change while the peer stays failed or held. Returns whether either changed.
    pub(super) fn show(&mut self, now: Moment, wall: Timestamp) -> bool {
        let freshness = self.synced.map(|synced| self.freshness(&synced, now));
        let has_aged = std::mem::replace(&mut self.shown_freshness, freshness) != freshness;
        let state = self.state(now);
        if state == self.shown.0 {
            return has_aged;
        }
        let (peer, reason) = (&self.settings.domain, self.failure());
        let reason = reason.map(|failure| failure.reason.code.clone());
        tracing::info!(%peer, state = state.as_str(), reason, "peer");
        self.shown = (state, wall);
        true
    }

    /// Returns the time until the peer or one of its copies becomes stale or expired, if it
    /// will.
    pub(super) fn next_change(&self, now: Moment, wall: Timestamp) -> Option<Duration> {
        let synced = self.synced.as_ref()?;
        let (age, refresh) = (synced.age(now), &self.settings.refresh);
        let limits = [refresh.stale_after, refresh.expire_after];
        let limits = limits.map(|limit| limit.saturating_sub(age));
        let ends = self.copies.values().filter_map(|copy| self.end(copy));
        let ends = ends.map(|end| end.duration_since(wall).try_into().unwrap_or_default());
        let left = limits.into_iter().chain(ends);
        left.filter(|left: &Duration| !left.is_zero()).min()
    }

    /// Returns the state that is shown of a copy. While the peer cannot be read, it is not known
    /// whether the copy is what the peer has.
    pub(super) fn shown_state(&self, copy: &DomainCopy, now: Moment, wall: Timestamp) -> PeerState {
        match self.copy_state(copy, now, wall) {
            PeerState::Synced if self.failure.is_some() => PeerState::Failed,
            state => state,
        }
    }

    /// Returns whether a copy is synced, stale or expired.
    pub(super) fn copy_state(&self, copy: &DomainCopy, now: Moment, wall: Timestamp) -> PeerState {
        let over = self.end(copy).is_some_and(|end| end <= wall);
        match &self.synced {
            Some(synced) if !over => self.freshness(synced, now),
            _ => PeerState::Expired,
        }
    }
}

/// All peers, by label.
pub(super) type Peers = BTreeMap<DomainLabel, Peer>;

impl Peer {
    /// Returns when a copy stops counting. A domain that still signs new manifests is alive,
    /// even if what they state is held.
    pub(super) fn end(&self, copy: &DomainCopy) -> Option<Timestamp> {
        let held = self.held.get(&copy.domain);
        let held = held.and_then(|held| held.next_update);
        Some(copy.end()?.max(held.unwrap_or(Timestamp::MIN)))
    }

    pub(super) fn show_held(&mut self, domain: &DomainLabel, held: HeldChange) {
        let import = &self.settings.import;
        let refusal = held.refusal(domain, &import.thresholds(), import.hold);
        // It is recognised by its content and not by its entry, since it may be signed anew.
        let refused = Refused::of(&refusal, &held.path, None);
        self.refused.insert(domain.clone(), refused);
        self.held.insert(domain.clone(), held);
    }
}

impl Peer {
    pub(super) fn budget(&self) -> Amount {
        self.settings.import.budget()
    }

    pub(super) fn is_within(&self) -> bool {
        self.takes().is_within(self.budget())
    }

    /// Iterates over what the peer is charged for its copies.
    pub(super) fn had(&self) -> impl Iterator<Item = Claim<'_>> {
        self.copies.keys().map(|domain| Claim {
            sender: &self.settings.domain,
            domain,
            takes: self.copies.charge(domain).plus(self.pushed(domain)),
        })
    }

    /// Returns what its kept pushed maps take. Only a plain peer has them, so that they count
    /// for its own domain.
    pub(super) fn pushed(&self, domain: &DomainLabel) -> Amount {
        if *domain == self.settings.domain {
            Amount {
                memory: self.follows,
                disk: 0,
            }
        } else {
            Amount::default()
        }
    }

    /// Returns what its copies and its pushed maps take.
    pub(super) fn takes(&self) -> Amount {
        self.copies.takes().plus(self.pushed(&self.settings.domain))
    }

    /// Iterates over what the peer is charged for its copies and for what is being taken: for
    /// each domain the greater of both.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        let there = self.had().map(|claim| Claim {
            takes: self.charge(claim.domain),
            ..claim
        });
        let new = self.reserved.0.iter();
        let new = new.filter(|(domain, _)| !self.copies.contains_key(*domain));
        there.chain(new.map(|(domain, takes)| Claim {
            sender: &self.settings.domain,
            domain,
            takes: **takes,
        }))
    }

    /// Iterates over the versions that were over a budget and for which there has been no room
    /// since.
    pub(super) fn offers(&self) -> impl Iterator<Item = Claim<'_>> {
        let over = self.over.iter().filter(|(_, over)| !over.fits);
        over.map(|(domain, over)| Claim {
            sender: &self.settings.domain,
            domain,
            takes: over.takes.plus(self.pushed(domain)),
        })
    }

    /// Returns what it is charged for a domain.
    pub(super) fn charge(&self, domain: &DomainLabel) -> Amount {
        let reserved = self.reserved.0.get(domain).map(|takes| **takes);
        let charge = self.copies.charge(domain);
        let either = charge.most(reserved.unwrap_or_default());
        either.plus(self.pushed(domain))
    }

    /// Returns an upper bound of what it is charged for everything.
    pub(super) fn charged(&self) -> Amount {
        self.takes().plus(self.reserved.takes())
    }

    /// Whether there has been room for something that was over a budget.
    pub(super) fn has_room(&self) -> bool {
        self.over.values().any(|over| over.fits)
    }
}
