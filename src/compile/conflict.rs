//! Conflicts: facts that are kept but not compiled, and why.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ident::SourceName;

/// A fact that had to give way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conflict {
    /// What the fact is about.
    pub kind: ConflictKind,
    /// The prefix, pair, property or interconnect.
    pub subject: String,
    /// The source whose fact is used; absent where none can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub kept: Option<SourceName>,
    /// The source whose fact is not used.
    #[schemars(with = "String")]
    pub dropped: SourceName,
    /// What happened, for people.
    pub detail: String,
}

/// What a conflict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConflictKind {
    /// One prefix in two PIDs.
    Prefix,
    /// One pair's cost stated twice.
    Cost,
    /// One property stated twice.
    Property,
    /// One interconnect stated twice.
    Interconnect,
    /// A fact about a PID that no source states.
    Dangling,
}

impl ConflictKind {
    /// Every kind.
    pub const ALL: [ConflictKind; 5] = [
        ConflictKind::Prefix,
        ConflictKind::Cost,
        ConflictKind::Property,
        ConflictKind::Interconnect,
        ConflictKind::Dangling,
    ];

    /// The kind's name in documents and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ConflictKind::Prefix => "prefix",
            ConflictKind::Cost => "cost",
            ConflictKind::Property => "property",
            ConflictKind::Interconnect => "interconnect",
            ConflictKind::Dangling => "dangling",
        }
    }
}

/// The conflicts found: some listed, all counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts {
    listed: Vec<Conflict>,
    counts: [u64; ConflictKind::ALL.len()],
}

impl Conflicts {
    /// How many of one kind are listed; more are only counted.
    pub const LIMIT: u64 = 1000;

    /// Adds a conflict, which is put into words only if it is listed.
    pub(super) fn add(&mut self, kind: ConflictKind, describe: impl FnOnce() -> Conflict) {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        if *count <= Self::LIMIT {
            self.listed.push(describe());
        }
    }

    /// Adds those of another part.
    pub(super) fn append(&mut self, other: &Conflicts) {
        self.listed.extend_from_slice(&other.listed);
        self.counts
            .iter_mut()
            .zip(other.counts)
            .for_each(|(count, more)| *count += more);
    }

    /// The listed ones.
    pub fn listed(&self) -> &[Conflict] {
        &self.listed
    }

    /// How many of a kind there are.
    pub fn count(&self, kind: ConflictKind) -> u64 {
        self.counts[kind as usize]
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}
