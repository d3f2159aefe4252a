//! How much may be stated.

use serde::Deserialize;

use crate::ident::DomainLabel;

/// How much sources may state and write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// PIDs of all sources together.
    pub max_pids: usize,
    /// Prefixes of all sources together.
    pub max_prefixes: usize,
    /// Costs of one cost map.
    pub max_cells: usize,
    /// Entities with properties, of one source.
    pub max_entities: usize,
    /// Interconnects of one source.
    pub max_interconnects: usize,
    /// Operations of one transaction.
    pub max_operations: usize,
    /// Idempotency keys of one principal in a day.
    pub max_keys: usize,
}

impl Limits {
    /// Returns limits that bound nothing, for documents that were within the configured limits
    /// when they were stated.
    pub fn none() -> Self {
        Self {
            max_pids: usize::MAX,
            max_prefixes: usize::MAX,
            max_cells: usize::MAX,
            max_entities: usize::MAX,
            max_interconnects: usize::MAX,
            max_operations: usize::MAX,
            max_keys: usize::MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pids: 5_000,
            max_prefixes: 4_000_000,
            max_cells: 25_000_000,
            max_entities: 1_000_000,
            max_interconnects: 10_000,
            max_operations: 1_000,
            max_keys: 100_000,
        }
    }
}

/// The domain and the limits with which documents are read.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Our domain, whose label limits the length of PID names.
    pub domain: &'a DomainLabel,
    /// How much may be stated.
    pub limits: &'a Limits,
}
