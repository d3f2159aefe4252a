//! A write, its outcome, and why a write is refused.

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

/// The rules of the ledger, which may change while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// What the operator decides about facts.
    pub policy: Policy,
    /// How much may be stated and written.
    pub limits: Limits,
    /// How much of what they state sources may remove at once. A source without a brake may
    /// remove everything.
    pub brakes: BTreeMap<SourceName, SourceBrake>,
}

/// A write.
pub struct Write {
    /// The principal that writes.
    pub principal: SourceName,
    /// The source whose facts are written.
    pub source: SourceName,
    /// What changes.
    pub change: Changes,
    /// The condition on what is there before.
    pub condition: Condition,
    /// The key under which the answer is kept.
    pub key: Option<IdempotencyKey>,
    /// Whether the write is only tried, and nothing kept.
    pub dry_run: bool,
    /// Whether it passes the brake however much it removes.
    pub accepted: bool,
    /// Crossed when the turn of the write comes; until then the write may be given up.
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

    /// Returns the tag of the content that the condition is about.
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
    /// Changes one document; the condition is on that.
    Document(Operation),
    /// Changes several documents at once; the condition is on the revision.
    Transaction(Vec<Operation>),
    /// Restores the facts of this revision; the condition is on the newest one.
    Restore(u64),
}

/// The outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The revision after the write; the current one if nothing changed.
    pub revision: u64,
    /// The documents that changed.
    pub changed: Vec<String>,
    /// Warnings for the source.
    pub warnings: Vec<String>,
    /// Whether a document was created.
    pub created: bool,
    /// The tag of the document after the write, if the write was of a single one and did not
    /// delete it.
    pub tag: Option<Tag>,
}

/// The reasons to refuse a write; nothing changed.
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
    /// It removes more of what the source states than may go at once.
    #[error(
        "{reason}; nothing was changed. If that is meant, repeat the write with `?accept=true`{end}",
        reason = .0.reason,
        end = .0.until.map_or_else(String::new, |until| format!(
            ", or from {until} on as it is"
        )),
    )]
    Held(Box<HeldSource>),
    /// The document to delete does not exist.
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
        /// The principal.
        principal: SourceName,
        /// How many keys it may use in a day.
        share: usize,
        /// How long until its oldest key expires.
        wait: Duration,
    },
    /// It is more than can be stored.
    #[error("nothing was changed: {0}")]
    TooMuch(StoreError),
    /// It was given up before its turn came.
    #[error("the write was given up before its turn came; nothing was changed")]
    GivenUp,
    /// There is no such revision.
    #[error("{0}")]
    NotFound(String),
    /// The revision is no longer kept.
    #[error("{0}")]
    Gone(String),
    /// The store failed, and the node is about to end.
    #[error("the write could not be made durable: {0}")]
    Store(#[from] StoreError),
    /// A task failed, which is a defect.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A task failed, which is a defect.
    #[error("the write panicked: {0}; this is a defect, please report it")]
    Panicked(String),
}

impl From<Faults> for WriteError {
    fn from(faults: Faults) -> Self {
        WriteError::Faulty(faults)
    }
}
