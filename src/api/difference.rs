//! The extent of a change that is held because it changes too much at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ident::MetricName;

/// The extent of a change: what there was before, and what is removed or moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The prefixes; one is removed if some of its addresses are not covered any more.
    pub prefixes: Lost,
    /// The PIDs; one is removed with its last prefix.
    pub pids: Lost,
    /// The interconnects.
    pub interconnects: Lost,
    /// The costs between PIDs that stay, by metric, where any is another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, CostsMoved>")]
    pub costs: BTreeMap<MetricName, CostsMoved>,
    /// The costs across interconnects that stay, by metric, where any is another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, CostsMoved>")]
    pub interconnect_costs: BTreeMap<MetricName, CostsMoved>,
}

/// How many things there were, and how many of them are removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// How many there were.
    pub of: usize,
    /// How many of them are removed.
    pub removed: usize,
}

/// How many costs there were, how many are removed, and how many move too far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostsMoved {
    /// How many there were.
    pub of: usize,
    /// How many of them are removed.
    pub removed: usize,
    /// How many of them grow or shrink by more than the factor that is allowed.
    pub changed: usize,
}
