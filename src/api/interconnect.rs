//! Links between domains, as documents of both APIs describe them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ident::{DomainLabel, InterconnectId, PidName};

/// What the domain at the other side of an interconnect is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Relationship {
    /// Our customer: we carry its traffic anywhere.
    Customer,
    /// Our provider.
    Provider,
    /// A peer: each carries only its own and its customers' traffic.
    Peer,
    /// No restriction.
    Open,
}

/// A link to another domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct InterconnectDocument {
    /// Our PID.
    pub border: String,
    /// The label of the other domain.
    pub peer_domain: String,
    /// Their PID.
    pub peer_border: String,
    /// What they are to us.
    pub relationship: Relationship,
    /// What crossing the link costs from here to there, by metric.
    pub costs: BTreeMap<String, f64>,
}

/// An interconnect as one side declares it, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct InterconnectStanding {
    /// Its id.
    #[schemars(with = "String")]
    pub id: InterconnectId,
    /// Who declares it.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// The PID at this side.
    #[schemars(with = "String")]
    pub border: PidName,
    /// The domain at the other side.
    #[schemars(with = "String")]
    pub peer_domain: DomainLabel,
    /// The PID at the other side.
    #[schemars(with = "String")]
    pub peer_border: PidName,
    /// What the other domain is to this one.
    pub relationship: Relationship,
    /// Whether it is used.
    pub state: InterconnectState,
}

/// Whether an interconnect is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InterconnectState {
    /// Both sides declare it, with mirrored borders: it is used.
    Confirmed,
    /// We hold the other domain, and it does not declare it.
    Pending,
    /// We do not hold the other domain.
    Unseen,
    /// The sides do not agree, or a border is no PID of its domain.
    Differing,
    /// Both sides declare it, and there are too many.
    Excess,
}
