//! The documents of the network-to-server API.
//!
//! The documents that state facts are not here: each kind of fact describes its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conflict::Conflict;
use super::difference::Difference;

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteAnswer {
    /// The revision after the write; the current one if nothing changed.
    pub revision: u64,
    /// The documents that changed; those of other sources as `<source>/<path>`.
    pub changed: Vec<String>,
    /// What the source should know, though nothing is wrong.
    pub warnings: Vec<String>,
}

/// A transaction: all of its operations or none, as one revision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransactionDocument {
    /// What is done, in order.
    pub operations: Vec<OperationDocument>,
}

/// An operation of a transaction.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationDocument {
    /// `put`, `merge-patch`, `delete`, `announce` or `withdraw`.
    pub op: String,
    /// The path of the document below `/n2s/v1/`, such as `network-map`.
    pub path: String,
    /// The document, the patch, or for `announce` and `withdraw` the prefixes
    /// by PID; `delete` has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Revisions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionList {
    /// At most 100, after the one asked for.
    pub revisions: Vec<RevisionDocument>,
    /// The newest revision there is.
    pub newest: u64,
}

/// Who changed what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RevisionDocument {
    /// Its number.
    pub revision: u64,
    /// When it was accepted, RFC 3339.
    pub time: String,
    /// Who wrote it.
    pub principal: String,
    /// Whose facts it changed.
    pub source: String,
    /// What was asked; of more than a hundred operations the first hundred.
    pub operations: Vec<OperationSummary>,
    /// The documents that changed, `<source>/<path>`.
    pub changed: Vec<String>,
    /// The revision whose facts it states again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
}

/// An operation in the account of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationSummary {
    /// `put`, `merge-patch`, `delete`, `announce`, `withdraw` or `restore`.
    pub op: String,
    /// The document it was about.
    pub path: String,
}

/// The sources whose writes are held because they remove too much of what they state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldList {
    /// Each of them.
    pub held: Vec<HeldDocument>,
}

/// A source whose writes are held because they remove too much of what it states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldDocument {
    /// The source.
    pub source: String,
    /// Since when, RFC 3339.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When such a write is accepted, RFC 3339; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: String,
    /// What the last write would change.
    pub difference: Difference,
}

/// Facts that are kept and not used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConflictList {
    /// The first thousand of each kind.
    pub conflicts: Vec<Conflict>,
    /// How many there are of each kind.
    pub totals: BTreeMap<String, u64>,
}
