//! A peer and what it passes.

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
    /// When that was, or when we started if it was before.
    pub(super) at: Moment,
    /// How long ago it was then.
    pub(super) before: Duration,
    /// The date of it.
    pub(super) wall: Timestamp,
}

impl Synced {
    pub(super) fn age(&self, now: Moment) -> Duration {
        now.since(self.at) + self.before
    }
}

/// A peer and what it passes.
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
    pub(super) copies: Had,
    /// The domains of which something was refused, and why.
    pub(super) refused: BTreeMap<DomainLabel, Refused>,
    /// The changes that are held, by domain.
    pub(super) held: BTreeMap<DomainLabel, HeldChange>,
    /// The versions of domains that are over a budget.
    pub(super) over: BTreeMap<DomainLabel, TooMuch>,
    /// The room that is reserved for what is being taken.
    pub(super) reserved: Room,
    /// Why its update stream was ended, until something came on one.
    pub(super) stream: Option<Failure>,
    /// How many bytes are kept of what a plain peer pushes, to be patched.
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
            copies: Had::default(),
            refused: BTreeMap::new(),
            held: BTreeMap::new(),
            over: BTreeMap::new(),
            reserved: Room::default(),
            stream: None,
            follows: 0,
        }
    }

    /// The failure of the peer itself: of the last attempt, of its own domain, or of
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

    /// Synced, stale or expired.
    pub(super) fn freshness(&self, synced: &Synced, now: Moment) -> PeerState {
        let (age, refresh) = (synced.age(now), &self.settings.refresh);
        match age {
            age if age >= refresh.expire_after => PeerState::Expired,
            age if age >= refresh.stale_after => PeerState::Stale,
            _ => PeerState::Synced,
        }
    }

    /// Shows where it stands; whether that is elsewhere than before.
    pub(super) fn show(&mut self, now: Moment, wall: Timestamp) -> bool {
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

    /// The state that is shown of a domain that it passes: what it has is not known
    /// to be what we have while it cannot be read.
    pub(super) fn shown_state(&self, copy: &DomainCopy, now: Moment, wall: Timestamp) -> PeerState {
        match self.copy_state(copy, now, wall) {
            PeerState::Synced if self.failure.is_some() => PeerState::Failed,
            state => state,
        }
    }

    /// Synced, stale or expired, of a domain that it passes.
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
    /// When what is had of a domain stops counting: a domain that goes on to sign
    /// is there, also if what it signs is held.
    pub(super) fn end(&self, copy: &DomainCopy) -> Option<Timestamp> {
        let held = self.held.get(&copy.domain);
        let held = held.and_then(|held| held.next_update);
        Some(copy.end()?.max(held.unwrap_or(Timestamp::MIN)))
    }

    pub(super) fn show_held(&mut self, domain: &DomainLabel, held: HeldChange) {
        let import = &self.settings.import;
        let refusal = held.refusal(domain, &import.thresholds(), import.hold);
        // It is known by what it says, not by its entry: it may be signed anew.
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

    /// What is there of it.
    pub(super) fn had(&self) -> impl Iterator<Item = Claim<'_>> {
        self.copies.keys().map(|domain| Claim {
            sender: &self.settings.domain,
            domain,
            takes: self.copies.charge(domain).plus(self.pushed(domain)),
        })
    }

    /// What is kept of what it pushes: of its own domain, since none but a plain peer's is.
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

    /// What it takes.
    pub(super) fn takes(&self) -> Amount {
        self.copies.takes().plus(self.pushed(&self.settings.domain))
    }

    /// What is there of it, and what is being taken: of a domain the more of both.
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

    /// What was over, as far as there has been no room for it since.
    pub(super) fn offers(&self) -> impl Iterator<Item = Claim<'_>> {
        let over = self.over.iter().filter(|(_, over)| !over.fits);
        over.map(|(domain, over)| Claim {
            sender: &self.settings.domain,
            domain,
            takes: over.takes.plus(self.pushed(domain)),
        })
    }

    /// What it is charged for a domain.
    pub(super) fn charge(&self, domain: &DomainLabel) -> Amount {
        let reserved = self.reserved.0.get(domain).map(|takes| **takes);
        let charge = self.copies.charge(domain);
        let either = charge.most(reserved.unwrap_or_default());
        either.plus(self.pushed(domain))
    }

    /// At most what it is charged for everything.
    pub(super) fn charged(&self) -> Amount {
        self.takes().plus(self.reserved.takes())
    }

    /// Whether there is room for something that was over.
    pub(super) fn has_room(&self) -> bool {
        self.over.values().any(|over| over.fits)
    }
}
