//! How much is stated and not used.

use crate::api::conflict::{ConflictKind, MergeConflictKind};
use crate::runtime::{Measured, Measures};

use super::merge::Merged;
use super::own::Conflicts;

/// How much is stated and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many of our own facts are not used, by kind.
    pub conflicts: Vec<(ConflictKind, u64)>,
    /// How many prefixes of other domains are off-net, and not used.
    pub off_net_prefixes: u64,
    /// How much of what domains state the merged view does not use, by kind.
    pub merge_conflicts: Vec<(MergeConflictKind, u64)>,
}

impl Status {
    /// Returns the numbers of these conflicts, and of a merge, if there was one.
    pub fn of(own: &Conflicts, merged: Option<&Merged>) -> Self {
        let count = |kind| merged.map_or(0, |merged| merged.conflicts.count(kind));
        Self {
            conflicts: ConflictKind::ALL.map(|kind| (kind, own.count(kind))).into(),
            off_net_prefixes: merged.map_or(0, |merged| merged.off_net),
            merge_conflicts: MergeConflictKind::ALL
                .map(|kind| (kind, count(kind)))
                .into(),
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        let conflicts = self.conflicts.iter();
        out.gauges(
            "altofed_compile_conflicts",
            "Facts that are kept and not used, by kind",
            "kind",
            conflicts.map(|(kind, count)| (kind.as_str(), *count)),
        );
        out.gauge(
            "altofed_compile_off_net_prefixes",
            "Prefixes of other domains that are off-net, and not used",
            self.off_net_prefixes,
        );
        let conflicts = self.merge_conflicts.iter();
        out.gauges(
            "altofed_compile_merge_conflicts",
            "What domains state and the merged view does not use, by kind",
            "kind",
            conflicts.map(|(kind, count)| (kind.as_str(), *count)),
        );
    }
}
