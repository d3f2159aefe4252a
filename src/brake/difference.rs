//! Measures how much a change removes and moves.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::difference::{CostsMoved, Difference, Lost};
use crate::ident::MetricName;

use super::settings::Thresholds;

/// The least number of things that are judged: of fewer, one is a large part already.
pub(super) const FROM: usize = 10;

/// The share of the whole by which a change must take more than another to be graver.
const GRAVER: f64 = 0.1;

/// How much a change takes: of each kind of things the largest part that goes or moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Gravity([f64; KINDS]);

impl Gravity {
    /// Whether some part takes a tenth more of the whole than in `other`.
    pub fn exceeds(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.any(|(share, other)| *share > other + GRAVER)
    }

    /// Returns the larger part of each kind.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].max(other.0[kind])))
    }
}

/// A part that goes or moves, of a kind that is judged.
struct Part<'d> {
    kind: Kind,
    metric: Option<&'d MetricName>,
    part: usize,
    of: usize,
    /// How many things depend on the whole of it.
    items: usize,
}

/// How many kinds of parts there are.
const KINDS: usize = 7;

/// What a part is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prefixes,
    Pids,
    Interconnects,
    CostsRemoved,
    CostsChanged,
    CrossingRemoved,
    CrossingChanged,
}

impl Kind {
    fn is_change(self) -> bool {
        matches!(self, Kind::CostsChanged | Kind::CrossingChanged)
    }
}

impl Part<'_> {
    fn exceeds(&self, thresholds: &Thresholds) -> bool {
        let share = if self.kind.is_change() {
            thresholds.max_change.share
        } else {
            thresholds.max_removed
        };
        self.items >= FROM && share.is_exceeded(self.part, self.of)
    }

    fn share(&self) -> f64 {
        match self.of {
            0 => 0.0,
            of => self.part as f64 / of as f64,
        }
    }
}

impl Difference {
    /// Whether some part is over its threshold.
    pub fn exceeds(&self, thresholds: &Thresholds) -> bool {
        self.parts().any(|part| part.exceeds(thresholds))
    }

    /// Whether nothing goes and no cost moves far.
    pub fn is_none(&self) -> bool {
        self.parts().all(|part| part.part == 0)
    }

    /// Returns how much it takes.
    pub fn gravity(&self) -> Gravity {
        let mut gravity = Gravity::default();
        for part in self.parts() {
            let most = &mut gravity.0[part.kind as usize];
            *most = most.max(part.share());
        }
        gravity
    }

    /// Describes for people which parts are over their thresholds.
    pub fn excess(&self, thresholds: &Thresholds) -> String {
        let excess = self.parts().filter(|part| part.exceeds(thresholds));
        let texts: Vec<String> = excess.map(|part| part.to_string()).collect();
        let has = |change: bool| {
            let mut parts = self.parts();
            parts.any(|part| part.kind.is_change() == change && part.exceeds(thresholds))
        };
        let mut limits = Vec::new();
        if has(false) {
            limits.push(format!("{} may go (max_removed)", thresholds.max_removed));
        }
        if has(true) {
            let limit = &thresholds.max_change;
            limits.push(format!(
                "{} may become {} times what they were, or less by as much (max_change)",
                limit.share, limit.factor
            ));
        }
        format!("{}; at once {}", texts.join(", "), limits.join(", and "))
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let lost = [
            (Kind::Prefixes, self.prefixes),
            (Kind::Pids, self.pids),
            (Kind::Interconnects, self.interconnects),
        ];
        let lost = lost.into_iter().map(|(kind, Lost { of, removed })| Part {
            kind,
            metric: None,
            part: removed,
            of,
            items: of,
        });
        let costs = self.costs.iter();
        let costs = costs.flat_map(|(metric, moved)| {
            moved.parts(metric, Kind::CostsRemoved, Kind::CostsChanged, moved.of)
        });
        // Everything that a domain states is reached over its interconnects.
        let weight = self.prefixes.of.max(1);
        let crossing = self.interconnect_costs.iter();
        let crossing = crossing.flat_map(move |(metric, moved)| {
            moved.parts(
                metric,
                Kind::CrossingRemoved,
                Kind::CrossingChanged,
                moved.of.saturating_mul(weight),
            )
        });
        lost.chain(costs).chain(crossing)
    }
}

impl CostsMoved {
    /// Whether any cost goes or moves.
    pub(super) fn is_any(&self) -> bool {
        self.removed + self.changed > 0
    }

    fn parts<'d>(
        &self,
        metric: &'d MetricName,
        removed: Kind,
        changed: Kind,
        items: usize,
    ) -> [Part<'d>; 2] {
        let part = |kind, part| Part {
            kind,
            metric: Some(metric),
            part,
            of: self.of,
            items,
        };
        [part(removed, self.removed), part(changed, self.changed)]
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, becomes) = match self.kind {
            Kind::Prefixes => ("prefixes", "go"),
            Kind::Pids => ("PIDs", "go"),
            Kind::Interconnects => ("interconnects", "go"),
            Kind::CostsRemoved => ("costs", "go"),
            Kind::CostsChanged => ("costs", "move"),
            Kind::CrossingRemoved => ("costs across interconnects", "go"),
            Kind::CrossingChanged => ("costs across interconnects", "move"),
        };
        write!(f, "{} of {} {what}", self.part, self.of)?;
        if let Some(metric) = self.metric {
            write!(f, " in {metric}")?;
        }
        write!(f, " {becomes}")
    }
}
