//! What domains state and the merged view does not use, or not without a remark.

use std::collections::BTreeMap;

use crate::api::conflict::{MergeConflict, MergeConflictKind};
use crate::ident::DomainLabel;

/// The conflicts of a merge: some listed, all counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeConflicts {
    listed: Vec<MergeConflict>,
    counts: BTreeMap<MergeConflictKind, BTreeMap<DomainLabel, u64>>,
    totals: BTreeMap<MergeConflictKind, u64>,
}

impl MergeConflicts {
    /// How many conflicts of one kind are listed; more are only counted.
    pub const LIMIT: u64 = 1000;

    /// Adds a conflict about a statement of `domain`. `describe` returns the other domain, the
    /// subject and the detail; it is only called if the conflict is listed.
    pub(super) fn add(
        &mut self,
        kind: MergeConflictKind,
        domain: &DomainLabel,
        describe: impl FnOnce() -> (Option<DomainLabel>, String, String),
    ) {
        let total = self.totals.entry(kind).or_default();
        *total += 1;
        let is_listed = *total <= Self::LIMIT;
        let counts = self.counts.entry(kind).or_default();
        match counts.get_mut(domain) {
            Some(count) => *count += 1,
            None => drop(counts.insert(domain.clone(), 1)),
        }
        if is_listed {
            let (other, subject, detail) = describe();
            self.listed.push(MergeConflict {
                kind,
                domain: domain.clone(),
                other,
                subject,
                detail,
            });
        }
    }

    /// Adds the conflicts of another part, which are of other kinds.
    pub(super) fn append(&mut self, other: &MergeConflicts) {
        self.listed.extend_from_slice(&other.listed);
        for (kind, counts) in &other.counts {
            self.counts.insert(*kind, counts.clone());
        }
        self.totals.extend(&other.totals);
    }

    /// The conflicts that are listed.
    pub fn listed(&self) -> &[MergeConflict] {
        &self.listed
    }

    /// How many conflicts there are, by kind and by the domain that states them.
    pub fn counts(&self) -> &BTreeMap<MergeConflictKind, BTreeMap<DomainLabel, u64>> {
        &self.counts
    }

    /// How many conflicts of a kind there are.
    pub fn count(&self, kind: MergeConflictKind) -> u64 {
        self.totals.get(&kind).copied().unwrap_or_default()
    }

    /// How many conflicts there are in all.
    pub fn total(&self) -> u64 {
        self.totals.values().sum()
    }
}
