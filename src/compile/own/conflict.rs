//! Facts that are kept but not used.

use crate::api::conflict::{Conflict, ConflictKind};

/// The conflicts of our own facts: some listed, all counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts {
    listed: Vec<Conflict>,
    counts: [u64; ConflictKind::ALL.len()],
}

impl Conflicts {
    /// How many conflicts of one kind are listed; more are only counted.
    pub const LIMIT: u64 = 1000;

    /// Adds a conflict; `describe` is only called if it is listed.
    pub(super) fn add(&mut self, kind: ConflictKind, describe: impl FnOnce() -> Conflict) {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        if *count <= Self::LIMIT {
            self.listed.push(describe());
        }
    }

    /// Adds the conflicts of another part.
    pub(super) fn append(&mut self, other: &Conflicts) {
        self.listed.extend_from_slice(&other.listed);
        self.counts
            .iter_mut()
            .zip(other.counts)
            .for_each(|(count, more)| *count += more);
    }

    /// Returns the conflicts that are listed.
    pub fn listed(&self) -> &[Conflict] {
        &self.listed
    }

    /// Returns how many conflicts of a kind there are.
    pub fn count(&self, kind: ConflictKind) -> u64 {
        self.counts[kind as usize]
    }

    /// Returns how many conflicts there are in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}
