//! Links to other domains.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::interconnect::Relationship;
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};

/// Links to other domains by id.
pub type Interconnects = BTreeMap<InterconnectId, Interconnect>;

/// A link from one of our border PIDs to one of another domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Interconnect {
    /// Our PID.
    pub border: PidName,
    /// What crosses the link costs, from here to there.
    pub costs: BTreeMap<MetricName, f64>,
    /// Their PID.
    pub peer_border: PidName,
    /// The other domain.
    pub peer_domain: DomainLabel,
    /// What they are to us.
    pub relationship: Relationship,
}
