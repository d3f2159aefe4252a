//! A path from PID to PID, as people and programs are told it.

use std::collections::BTreeMap;

use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};

/// The path from a PID to another, as the merged view has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// What is passed, in order: a domain, then an interconnect and a domain
    /// for each further one.
    pub hops: Vec<Hop>,
    /// The costs of the whole path; a metric that is missing somewhere is
    /// missing here.
    pub total: BTreeMap<MetricName, f64>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Hop {
    /// Through a domain.
    Domain {
        /// The domain.
        domain: DomainLabel,
        /// Where it is entered.
        from: PidName,
        /// Where it is left.
        to: PidName,
        /// What it states for that, `scale` applied; none from a PID to itself
        /// unless stated.
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
        /// What crossing it costs in this direction, `scale` applied.
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
