//! A path from PID to PID, hop by hop.

use std::collections::BTreeMap;

use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};

/// The path from one PID to another in the merged view.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The hops in order: a domain, then an interconnect and a domain for each further one.
    pub hops: Vec<Hop>,
    /// The costs of the whole path; a metric that some hop lacks is missing.
    pub total: BTreeMap<MetricName, f64>,
}

/// One hop of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Hop {
    /// Through a domain.
    Domain {
        /// The domain.
        domain: DomainLabel,
        /// The PID where it is entered.
        from: PidName,
        /// The PID where it is left.
        to: PidName,
        /// The costs that it states from there to there, scaled; none from a PID to itself unless
        /// stated.
        costs: BTreeMap<MetricName, f64>,
    },
    /// Over an interconnect.
    Interconnect {
        /// The interconnect.
        id: InterconnectId,
        /// Where it starts.
        from: Border,
        /// Where it ends.
        to: Border,
        /// The costs of crossing it in this direction, scaled.
        costs: BTreeMap<MetricName, f64>,
    },
}

/// A PID where a domain meets another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Border {
    /// The domain.
    pub domain: DomainLabel,
    /// The PID, by its name in the domain.
    pub pid: PidName,
}
