//! Conflicts: the facts of sources and domains that are not used, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ident::{DomainLabel, SourceName};

/// A fact that is not used because of another.
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
    /// One PID off-net for one source and on-net for another.
    Reach,
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
    /// All kinds.
    pub const ALL: [ConflictKind; 6] = [
        ConflictKind::Prefix,
        ConflictKind::Reach,
        ConflictKind::Cost,
        ConflictKind::Property,
        ConflictKind::Interconnect,
        ConflictKind::Dangling,
    ];

    /// Returns the name of the kind in documents and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ConflictKind::Prefix => "prefix",
            ConflictKind::Reach => "reach",
            ConflictKind::Cost => "cost",
            ConflictKind::Property => "property",
            ConflictKind::Interconnect => "interconnect",
            ConflictKind::Dangling => "dangling",
        }
    }
}

/// Something that a domain states and that had to give way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergeConflict {
    /// Why.
    pub kind: MergeConflictKind,
    /// The domain that states it.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// The domain that it met, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub other: Option<DomainLabel>,
    /// The prefix or interconnect; for a pair of domains its second.
    pub subject: String,
    /// What happened, for people.
    pub detail: String,
}

/// Why something had to give way.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MergeConflictKind {
    /// A prefix outside of what the domain may speak for.
    OutsidePrefix,
    /// A prefix equal to or inside one that we ourselves hold.
    OwnPrefix,
    /// A prefix shorter than a domain may state without configured prefixes.
    ShortPrefix,
    /// A prefix inside what is configured for another domain, or one that covers that: only
    /// that part of it is not used.
    ForeignPrefix,
    /// A prefix inside space that is never another network's, or one that covers some: only
    /// that part of it is not used.
    SpecialPrefix,
    /// A prefix in private space: taken, or treated as one of space that is never another network's.
    PrivatePrefix,
    /// A prefix that a domain of higher preference states too, and neither is known to hold it.
    EqualPrefix,
    /// A prefix inside one of another domain, of a domain that is not known to hold it: the longest
    /// match decides.
    OverlappingPrefix,
    /// A prefix of several domains, beyond the PIDs for such sets that there is room for.
    ExcessHolders,
    /// A property of a prefix that the domain may not speak for.
    Property,
    /// An interconnect that the other domain, which we hold, does not declare.
    PendingInterconnect,
    /// An interconnect with a domain that we do not hold.
    UnseenInterconnect,
    /// An interconnect that the two sides declare differently.
    DifferingInterconnect,
    /// An interconnect that both sides declare, beyond what there is room for.
    ExcessInterconnect,
    /// A metric that is not composed between domains, beyond what there is room for.
    ExcessMetric,
    /// A pair of domains without costs, since `max_labels` did not suffice to
    /// say which paths are the best.
    UnsettledPair,
    /// A domain left out whole: its label is there already, or a PID name is
    /// too long to be qualified.
    Domain,
}

impl MergeConflictKind {
    /// All kinds.
    pub const ALL: [MergeConflictKind; 17] = [
        MergeConflictKind::OutsidePrefix,
        MergeConflictKind::OwnPrefix,
        MergeConflictKind::ShortPrefix,
        MergeConflictKind::ForeignPrefix,
        MergeConflictKind::SpecialPrefix,
        MergeConflictKind::PrivatePrefix,
        MergeConflictKind::EqualPrefix,
        MergeConflictKind::OverlappingPrefix,
        MergeConflictKind::ExcessHolders,
        MergeConflictKind::Property,
        MergeConflictKind::PendingInterconnect,
        MergeConflictKind::UnseenInterconnect,
        MergeConflictKind::DifferingInterconnect,
        MergeConflictKind::ExcessInterconnect,
        MergeConflictKind::ExcessMetric,
        MergeConflictKind::UnsettledPair,
        MergeConflictKind::Domain,
    ];

    /// Returns the name of the kind in documents and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            MergeConflictKind::OutsidePrefix => "outside-prefix",
            MergeConflictKind::OwnPrefix => "own-prefix",
            MergeConflictKind::ShortPrefix => "short-prefix",
            MergeConflictKind::ForeignPrefix => "foreign-prefix",
            MergeConflictKind::SpecialPrefix => "special-prefix",
            MergeConflictKind::PrivatePrefix => "private-prefix",
            MergeConflictKind::EqualPrefix => "equal-prefix",
            MergeConflictKind::OverlappingPrefix => "overlapping-prefix",
            MergeConflictKind::ExcessHolders => "excess-holders",
            MergeConflictKind::Property => "property",
            MergeConflictKind::PendingInterconnect => "pending-interconnect",
            MergeConflictKind::UnseenInterconnect => "unseen-interconnect",
            MergeConflictKind::DifferingInterconnect => "differing-interconnect",
            MergeConflictKind::ExcessInterconnect => "excess-interconnect",
            MergeConflictKind::ExcessMetric => "excess-metric",
            MergeConflictKind::UnsettledPair => "unsettled-pair",
            MergeConflictKind::Domain => "domain",
        }
    }
}
