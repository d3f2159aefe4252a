//! Explains a cost of the merged view: `/views/merged/explain`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path between two PIDs of the merged view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Where it starts.
    pub src: End,
    /// Where it ends.
    pub dst: End,
    /// What is passed, in order: a domain, then an interconnect and a domain
    /// for each further one.
    pub hops: Vec<Hop>,
    /// The costs of the whole path, by metric; one that is missing somewhere
    /// along it is missing here.
    pub total: BTreeMap<String, f64>,
}

/// An end of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// What was asked for: a PID or an address.
    pub asked: String,
    /// Its PID in the merged view.
    pub pid: String,
    /// The PID of one domain whose path it is, where several domains hold the
    /// address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "hop")]
pub enum Hop {
    /// Through a domain.
    #[serde(rename_all = "kebab-case")]
    Domain {
        /// The domain.
        domain: String,
        /// The PID where it is entered.
        from: String,
        /// The PID where it is left.
        to: String,
        /// The costs that it states between the two, as the merged view has
        /// them; from a PID to itself only costs that are stated.
        costs: BTreeMap<String, f64>,
        /// The number of what it states: a revision of ours, a serial of a
        /// peer's.
        serial: u64,
        /// When that reached us, RFC 3339.
        #[schemars(with = "String")]
        received: Timestamp,
        /// The seconds since then.
        age_seconds: u64,
    },
    /// Over an interconnect.
    #[serde(rename_all = "kebab-case")]
    Interconnect {
        /// The interconnect.
        id: String,
        /// The PID where it starts, with its domain before a colon.
        from: String,
        /// The PID where it ends, with its domain before a colon.
        to: String,
        /// What crossing it costs in this direction.
        costs: BTreeMap<String, f64>,
    },
}
