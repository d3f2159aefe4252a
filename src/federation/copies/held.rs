//! Held changes of domains: how large each is, and since when it is held.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::difference::Difference;
use crate::api::s2s::HeldStatus;
use crate::brake::{Gravity, Held, Hold, Thresholds};
use crate::federation::import_error::ImportError;
use crate::ident::{DomainLabel, Tag};
use crate::runtime::Moment;

use super::copy::DomainCopy;

/// A moment and its date.
#[derive(Debug, Clone, Copy)]
pub(in crate::federation) struct Now {
    pub(in crate::federation) moment: Moment,
    pub(in crate::federation) date: Timestamp,
}

/// What is kept of a held change over a restart. The content of the change is not kept, since
/// its peer is asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldRow {
    path: Vec<DomainLabel>,
    serial: u64,
    content: Tag,
    next_update: Option<Timestamp>,
    difference: Difference,
    worst: Gravity,
    since: Timestamp,
    accepted: Option<Gravity>,
}

/// A held change.
#[derive(Debug, Clone)]
pub(in crate::federation) struct HeldChange {
    /// The domains that it came through: the origin first, the sender last.
    pub(in crate::federation) path: Vec<DomainLabel>,
    /// Its serial.
    pub(in crate::federation) serial: u64,
    /// The hash of its content.
    pub(in crate::federation) content: Tag,
    /// When its manifest stops counting; `None` for a plain domain.
    pub(in crate::federation) next_update: Option<Timestamp>,
    /// The date since which it is held.
    since: Timestamp,
    /// How large it is, and since when it is held.
    pub(in crate::federation) held: Held,
    /// What it was judged by; `None` after a restart.
    pub(in crate::federation) judged: Option<Grounds>,
}

/// What a change was judged by.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::federation) struct Grounds {
    pub(in crate::federation) thresholds: Thresholds,
    /// The digest of the copy in use, and of the one before the recent changes.
    pub(in crate::federation) used: Tag,
    pub(in crate::federation) reference: Option<Tag>,
}

impl HeldChange {
    /// Holds a copy's change from now on, or still, if `former` is the same change.
    pub(in crate::federation) fn new(
        copy: &DomainCopy,
        difference: Difference,
        grounds: Grounds,
        former: Option<&HeldChange>,
        now: Now,
    ) -> Self {
        let held = Held::new(difference, former.map(|former| &former.held), now.moment);
        let former = former.filter(|former| held.goes_on_from(&former.held));
        Self {
            path: copy.path.clone(),
            serial: copy.serial,
            content: copy.digest.clone(),
            next_update: copy.end(),
            since: former.map_or(now.date, |former| former.since),
            held,
            judged: Some(grounds),
        }
    }

    /// Restores a change that was held before the node started.
    pub(in crate::federation) fn restored(row: HeldRow, now: Now) -> Self {
        let before = now.date.duration_since(row.since);
        Self {
            path: row.path,
            serial: row.serial,
            content: row.content,
            next_update: row.next_update,
            since: row.since,
            held: Held {
                difference: row.difference,
                worst: row.worst,
                since: now.moment,
                before: before.try_into().unwrap_or_default(),
                accepted: row.accepted,
            },
            judged: None,
        }
    }

    /// Returns what is kept of it.
    pub(in crate::federation) fn row(&self) -> HeldRow {
        HeldRow {
            path: self.path.clone(),
            serial: self.serial,
            content: self.content.clone(),
            next_update: self.next_update,
            difference: self.held.difference.clone(),
            worst: self.held.worst,
            since: self.since,
            accepted: self.held.accepted,
        }
    }

    pub(in crate::federation) fn status(&self, hold: Hold, now: Now) -> HeldStatus {
        let left = self.held.left(hold, now.moment);
        HeldStatus {
            serial: self.serial,
            since: self.since,
            until: left.and_then(|left| now.date.saturating_add(left).ok()),
            accepted: self.held.accepted.is_some(),
            difference: self.held.difference.clone(),
        }
    }

    /// Returns the reason why it is not used.
    pub(in crate::federation) fn refusal(
        &self,
        domain: &DomainLabel,
        thresholds: &Thresholds,
        hold: Hold,
    ) -> ImportError {
        let excess = self.held.difference.excess(thresholds);
        let (end, accept) = match hold {
            Hold::For(_) => ("the hold ends (hold)", "take it now"),
            Hold::Forever => ("you accept it", "do so"),
        };
        ImportError::Change(format!(
            "{excess}; the previous version stays in use until {end}; to {accept}, run `altofed \
             peer {domain} --accept`"
        ))
    }
}
