//! What the log says about each revision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::n2s::OperationSummary;
use crate::store::{Record, Store, StoreError};

use super::operation::Operation;
use super::write::{Changes, Write, WriteError};

/// The account of a revision in the log: who changed what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// When the write was accepted, as RFC 3339 has it.
    pub time: String,
    /// The principal that wrote.
    pub principal: String,
    /// The source whose facts were written.
    pub source: String,
    /// The operations that were asked for, at most the first hundred.
    pub operations: Vec<OperationSummary>,
    /// The documents that changed, as `<source>/<path>`.
    pub changed: Vec<String>,
    /// The revision that was restored, if the write restored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
    /// For every document after the write, the revision that stated it last.
    pub stated: BTreeMap<String, u64>,
}

/// The most operations that an account lists.
const MAX_LISTED: usize = 100;

impl Account {
    /// Makes the account of a write that has changed nothing yet. `stated` has, for each document
    /// before the write, the revision that stated it last.
    pub(super) fn new(write: &Write, now: Timestamp, stated: BTreeMap<String, u64>) -> Self {
        Self {
            time: now.to_string(),
            principal: write.principal.to_string(),
            source: write.source.to_string(),
            operations: summary(&write.change),
            changed: Vec::new(),
            restored: match write.change {
                Changes::Restore(revision) => Some(revision),
                _ => None,
            },
            stated,
        }
    }

    /// Reads the account from a record of the log.
    pub(super) fn read(record: &Record) -> Option<Self> {
        serde_json::from_slice(&record.body).ok()
    }

    /// Adds a document that the revision states or, if `is_stated` is false, removes.
    pub(super) fn note(&mut self, name: &str, revision: u64, is_stated: bool) {
        if is_stated {
            self.stated.insert(name.to_owned(), revision);
        } else {
            self.stated.remove(name);
        }
        self.changed.push(name.to_owned());
    }
}

fn summary(changes: &Changes) -> Vec<OperationSummary> {
    let of = |operation: &Operation| OperationSummary {
        op: operation.change.kind().as_str().to_owned(),
        path: operation.path.to_string(),
    };
    match changes {
        Changes::Document(operation) => vec![of(operation)],
        Changes::Transaction(operations) => operations.iter().take(MAX_LISTED).map(of).collect(),
        Changes::Restore(revision) => vec![OperationSummary {
            op: "restore".to_owned(),
            path: format!("revisions/{revision}"),
        }],
    }
}

/// Returns the accounts of up to `limit` revisions after `after`, the oldest first. Revisions
/// that are no longer kept are left out.
///
/// # Errors
/// The store failed.
pub(super) async fn accounts(
    store: &Store,
    mut after: u64,
    limit: usize,
) -> Result<Vec<(u64, Account)>, WriteError> {
    let records = loop {
        match store.records(after, limit).await {
            Err(StoreError::Pruned { oldest, .. }) => after = oldest.saturating_sub(1),
            records => break records?,
        }
    };
    Ok(records
        .iter()
        .filter_map(|record| Some((record.revision, Account::read(record)?)))
        .collect())
}

/// Returns the record of a revision.
///
/// # Errors
/// There is no such revision, it is no longer kept, or the store failed.
pub(super) async fn record(store: &Store, revision: u64) -> Result<Record, WriteError> {
    store.record(revision).await.map_err(|error| match error {
        StoreError::Unknown { .. } => WriteError::NotFound(error.to_string()),
        StoreError::Pruned { .. } => WriteError::Gone(error.to_string()),
        error => WriteError::Store(error),
    })
}
