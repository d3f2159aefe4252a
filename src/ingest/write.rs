//! A write, what it leads to, and why one is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alto::json::Faults;
use crate::facts::{DocumentPath, Limits, Policy};
use crate::ident::{SourceName, Tag};
use crate::runtime::{PoolError, Threshold};
use crate::store::StoreError;

use super::at_revision::FactsAtRevision;
use super::condition::Condition;
use super::held::{HeldSource, SourceBrake};
use super::key::IdempotencyKey;
use super::operation::{Change, Operation};

/// What the ledger goes by; it may change while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// What the operator decides about facts.
    pub policy: Policy,
    /// How much may be stated.
    pub limits: Limits,
    /// How much of what they state sources may take back at once; those that are
    /// not here, all.
    pub brakes: BTreeMap<SourceName, SourceBrake>,
}

/// A write.
pub struct Write {
    /// Who writes.
    pub principal: SourceName,
    /// Whose facts are written.
    pub source: SourceName,
    /// What changes.
    pub change: Changes,
    /// What must hold before.
    pub condition: Condition,
    /// The key under which the answer is kept.
    pub key: Option<IdempotencyKey>,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
    /// Whether it may take as much as it takes.
    pub accepted: bool,
    /// Crossed when its turn has come: until then it may be given up.
    pub threshold: Threshold,
}

impl Write {
    /// Checks that the condition holds, and that what is to be deleted is there.
    pub(super) fn check_subject(&self, current: &FactsAtRevision) -> Result<(), WriteError> {
        let tag = self.subject_tag(current);
        if !self.condition.holds(tag.as_ref()) {
            return Err(WriteError::Precondition);
        }
        match &self.change {
            Changes::Document(operation)
                if matches!(operation.change, Change::Delete) && tag.is_none() =>
            {
                let (source, path) = (self.source.clone(), operation.path.clone());
                Err(WriteError::NoDocument(source, path))
            }
            _ => Ok(()),
        }
    }

    /// The tag of what the condition is on.
    fn subject_tag(&self, current: &FactsAtRevision) -> Option<Tag> {
        match &self.change {
            Changes::Document(operation) => {
                let facts = current.facts.sources.get(&self.source)?;
                Some(facts.get(&operation.path)?.tag.clone())
            }
            Changes::Transaction(_) | Changes::Restore(_) => Some(current.tag()),
        }
    }
}

/// What a write changes.
pub enum Changes {
    /// One document; the condition is on it.
    Document(Operation),
    /// Several at once; the condition is on the revision.
    Transaction(Vec<Operation>),
    /// The facts of this revision are stated again.
    Restore(u64),
}

/// What a write led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The revision after the write; the current one if nothing changed.
    pub revision: u64,
    /// The documents that changed.
    pub changed: Vec<String>,
    /// What the source should know, though nothing is wrong.
    pub warnings: Vec<String>,
    /// Whether a document is there now that was not before.
    pub created: bool,
    /// The tag of the document that was written, if the write was of one and
    /// left it there.
    pub tag: Option<Tag>,
}

/// Why a write was refused; nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The request is faulty.
    #[error("{0}")]
    Faulty(Faults),
    /// A condition of the request does not hold.
    #[error(
        "the content is not what the request expects; read it again and repeat the change on that"
    )]
    Precondition,
    /// It takes more of what the source states than may go at once.
    #[error(
        "{reason}; nothing was changed. If that is meant, repeat the write with `?accept=true`{end}",
        reason = .0.reason,
        end = .0.until.map_or_else(String::new, |until| format!(
            ", or from {until} on as it is"
        )),
    )]
    Held(Box<HeldSource>),
    /// There is no such document to delete.
    #[error("source {0} states no {1}")]
    NoDocument(SourceName, DocumentPath),
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was given with another request; use a new one for a new request")]
    KeyReused,
    /// The principal has used its share of idempotency keys up.
    #[error(
        "{principal} has used {share} Idempotency-Keys within a day, as many as a principal may \
         (ingest.max_keys); write without one, or when the oldest expires"
    )]
    KeysFull {
        /// Who.
        principal: SourceName,
        /// How many it may use.
        share: usize,
        /// Until the oldest expires.
        wait: Duration,
    },
    /// It would be more than can be stored.
    #[error("nothing was changed: {0}")]
    TooMuch(StoreError),
    /// Nobody waited for it any more when its turn came; nothing was changed.
    #[error("the write was given up before its turn came; nothing was changed")]
    GivenUp,
    /// There is nothing at this path.
    #[error("{0}")]
    NotFound(String),
    /// It was there and is no longer kept.
    #[error("{0}")]
    Gone(String),
    /// The store failed; the node is going down.
    #[error("the write could not be made durable: {0}")]
    Store(#[from] StoreError),
    /// The program failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The program failed.
    #[error("the write panicked: {0}; this is a defect, please report it")]
    Panicked(String),
}

impl From<Faults> for WriteError {
    fn from(faults: Faults) -> Self {
        WriteError::Faulty(faults)
    }
}
