//! Statements of domains that the merged view does not use, or uses with a remark.

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

    /// Returns the conflicts that are listed.
    pub fn listed(&self) -> &[MergeConflict] {
        &self.listed
    }

    /// Returns how many conflicts there are, by kind and by the domain that states them.
    pub fn counts(&self) -> &BTreeMap<MergeConflictKind, BTreeMap<DomainLabel, u64>> {
        &self.counts
    }

    /// Returns how many conflicts of a kind there are.
    pub fn count(&self, kind: MergeConflictKind) -> u64 {
        self.totals.get(&kind).copied().unwrap_or_default()
    }

    /// Returns how many conflicts there are in all.
    pub fn total(&self) -> u64 {
        self.totals.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_conflicts_are_counted_and_the_first_of_each_kind_listed() {
        let [a, b] = ["a", "b"].map(|text| DomainLabel::new(text).expect("a label"));
        let mut conflicts = MergeConflicts::default();
        let mut add = |kind, domain: &DomainLabel| {
            conflicts.add(kind, domain, || (None, "subject".into(), "detail".into()));
        };
        let (own, short) = (MergeConflictKind::OwnPrefix, MergeConflictKind::ShortPrefix);
        for _ in 0..MergeConflicts::LIMIT {
            add(own, &a);
        }
        add(own, &b);
        add(own, &b);
        add(short, &b);
        assert_eq!(conflicts.listed().len() as u64, MergeConflicts::LIMIT + 1);
        let of_b: Vec<_> = conflicts
            .listed()
            .iter()
            .filter(|it| it.domain == b)
            .collect();
        assert_eq!(of_b.len(), 1);
        assert_eq!(of_b[0].kind, short);
        assert_eq!(conflicts.count(own), MergeConflicts::LIMIT + 2);
        assert_eq!(conflicts.count(short), 1);
        assert_eq!(conflicts.total(), MergeConflicts::LIMIT + 3);
        let counts = &conflicts.counts()[&own];
        assert_eq!((counts[&a], counts[&b]), (MergeConflicts::LIMIT, 2));
    }
}
