//! The logic of the network-to-server API: documents, transactions, revisions.
//!
//! A write is parsed into [`Operation`]s, applied to the facts as they stand
//! ([`apply`]), checked as a whole, committed as one revision and only then
//! acknowledged, all by the [`Ledger`]. One that takes too much of what its source
//! states is refused (`held`).

mod condition;
mod document;
mod held;
mod key;
mod keys;
mod ledger;
mod load;
mod operation;
mod read;
mod revision;
mod rows;
mod transaction;
mod union;
mod write;

pub use condition::{Condition, Wanted};
pub use document::{Document, DocumentPath};
pub use held::{HeldSource, SourceBrake};
pub use key::IdempotencyKey;
pub use ledger::Ledger;
pub use load::LoadError;
pub use operation::{Change, Operation, OperationKind, read_operation, read_transaction};
pub use read::{Limits, Reader};
pub use revision::Account;
pub use rows::{Rows, Text};
pub use transaction::{Applied, FactsAtRevision, Replacements, apply, replace};
pub use union::{union_bytes, union_document};
pub use write::{Changes, Outcome, Rules, Write, WriteError};
