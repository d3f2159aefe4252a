//! A change of a domain that is held: what it comes to, and since when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::s2s::HeldStatus;
use crate::brake::{Difference, Gravity, Hold, Thresholds};
use crate::ident::{DomainLabel, Tag};
use crate::runtime::Moment;

use super::copies::Synced;
use super::copy::DomainCopy;
use super::refusal::Refusal;

/// What of a held change is kept over a restart. What the change says is not: its
/// peer is asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldRow {
    /// The domains it came through.
    pub path: Vec<DomainLabel>,
    /// Its serial.
    pub serial: u64,
    /// The hash of what it says.
    pub content: Tag,
    /// When it stops counting by its own word.
    pub next_update: Option<Timestamp>,
    /// What it comes to.
    pub difference: Difference,
    /// How much the worst of what came since the hold began takes.
    pub worst: Gravity,
    /// Since when it is held.
    pub since: Timestamp,
    /// How much the operator accepts.
    pub accepted: Option<Gravity>,
}

/// A change that is held.
#[derive(Debug, Clone)]
pub(super) struct HeldChange {
    pub(super) row: HeldRow,
    /// Since when, as timers count.
    pub(super) since: Synced,
    /// By what it was judged; unknown after a restart.
    pub(super) judged: Option<Grounds>,
}

/// By what a change was judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grounds {
    pub(super) thresholds: Thresholds,
    /// What is in use, and what was before the changes of the last while.
    pub(super) used: Tag,
    pub(super) reference: Option<Tag>,
}

impl HeldChange {
    /// A change that is held from now on, or goes on to be: the time counts from
    /// the first one that was, as long as none comes that takes far more. Since
    /// nothing can take more than all, it does not begin anew for ever.
    pub(super) fn new(
        copy: &DomainCopy,
        difference: Difference,
        grounds: Grounds,
        former: Option<&HeldChange>,
        now: Synced,
    ) -> Self {
        let gravity = difference.gravity();
        let former = former.map(|former| (former, gravity.exceeds(&former.row.worst)));
        let (since, worst) = match former {
            Some((former, false)) => (former.since, former.row.worst),
            Some((former, true)) => (now, gravity.join(&former.row.worst)),
            None => (now, gravity),
        };
        Self {
            row: HeldRow {
                path: copy.path.clone(),
                serial: copy.serial,
                content: copy.digest.clone(),
                next_update: copy.end(),
                difference,
                worst,
                since: since.wall,
                // What was accepted was less, or it would have been taken.
                accepted: None,
            },
            since,
            judged: Some(grounds),
        }
    }

    /// Whether its time is over, or the operator accepts it.
    pub(super) fn is_due(&self, hold: Hold, now: Moment) -> bool {
        self.row.accepted.is_some() || self.is_over(hold, now)
    }

    fn is_over(&self, hold: Hold, now: Moment) -> bool {
        match hold {
            Hold::For(time) => self.since.age(now) >= time,
            Hold::Forever => false,
        }
    }

    /// Whether a change that comes to this is taken all the same.
    pub(super) fn lets_pass(&self, difference: &Difference, hold: Hold, now: Moment) -> bool {
        let gravity = difference.gravity();
        let accepted = self.row.accepted.as_ref();
        let is_over = self.is_over(hold, now) && !gravity.exceeds(&self.row.worst);
        is_over || accepted.is_some_and(|accepted| !gravity.exceeds(accepted))
    }

    /// When it is taken anyway, by the date; never if it is held for ever.
    fn until(&self, hold: Hold, now: Moment, wall: Timestamp) -> Option<Timestamp> {
        match hold {
            Hold::For(time) => {
                let left = time.saturating_sub(self.since.age(now));
                wall.saturating_add(left).ok()
            }
            Hold::Forever => None,
        }
    }

    pub(super) fn status(&self, hold: Hold, now: Moment, wall: Timestamp) -> HeldStatus {
        HeldStatus {
            serial: self.row.serial,
            since: self.row.since,
            until: self.until(hold, now, wall),
            accepted: self.row.accepted.is_some(),
            difference: self.row.difference.clone(),
        }
    }

    /// Why it is not used.
    pub(super) fn refusal(
        &self,
        domain: &DomainLabel,
        thresholds: &Thresholds,
        hold: Hold,
    ) -> Refusal {
        let excess = self.row.difference.excess(thresholds);
        let end = match hold {
            Hold::For(_) => "its time is over (hold)",
            Hold::Forever => "you accept it",
        };
        let accept = match hold {
            Hold::For(_) => "take it now by",
            Hold::Forever => "do so by",
        };
        Refusal::Change(format!(
            "{excess}; what was good before stays in use until {end}; {accept} `altofed peer \
             {domain} --accept`"
        ))
    }
}
