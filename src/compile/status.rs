//! How much is stated and not used.

use crate::api::conflict::{ConflictKind, MergeConflictKind};
use crate::runtime::{Measured, Measures};

use super::merge::MergeConflicts;
use super::own::Conflicts;

/// How much is stated and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many of our own facts are not used, by kind.
    pub conflicts: Vec<(ConflictKind, u64)>,
    /// How much of what domains state the merged view does not use, by kind.
    pub merge_conflicts: Vec<(MergeConflictKind, u64)>,
}

impl Status {
    /// Returns the numbers of these conflicts. There are none of a merge before the first one.
    pub fn of(own: &Conflicts, merge: Option<&MergeConflicts>) -> Self {
        let count = |kind| merge.map_or(0, |conflicts| conflicts.count(kind));
        Self {
            conflicts: ConflictKind::ALL.map(|kind| (kind, own.count(kind))).into(),
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
        let conflicts = self.merge_conflicts.iter();
        out.gauges(
            "altofed_compile_merge_conflicts",
            "What domains state and the merged view does not use, by kind",
            "kind",
            conflicts.map(|(kind, count)| (kind.as_str(), *count)),
        );
    }
}
