//! Revisions: what the log says of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::n2s::OperationSummary;

/// Who changed what, and when: the account of a revision in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// When it was accepted, RFC 3339.
    pub time: String,
    /// Who wrote it.
    pub principal: String,
    /// Whose facts they are.
    pub source: String,
    /// What was asked, the first hundred operations.
    pub operations: Vec<OperationSummary>,
    /// The documents that changed, `<source>/<path>`.
    pub changed: Vec<String>,
    /// The revision whose facts were stated again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
    /// For every document there is now, the revision that stated it last.
    pub stated: BTreeMap<String, u64>,
}

/// The most operations that an account lists.
pub(super) const MAX_LISTED: usize = 100;
