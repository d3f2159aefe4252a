//! The logic of the network-to-server API: documents, transactions, revisions.
//!
//! A write is parsed into [`Operation`]s, which are applied to the newest facts ([`apply`]). The
//! [`Ledger`] checks the outcome as a whole, commits it as one revision, and acknowledges it once
//! it is durable. A write that removes too much of what its source states is refused (`held`).

mod acknowledge;
mod at_revision;
mod checks;
mod condition;
mod held;
mod key;
mod keys;
mod ledger;
mod load;
mod operation;
mod revision;
mod status;
mod transaction;
mod union;
mod write;

pub use at_revision::FactsAtRevision;
pub use condition::{Condition, Wanted};
pub use held::{HeldSource, SourceBrake};
pub use key::IdempotencyKey;
pub use ledger::Ledger;
pub use load::LoadError;
pub use operation::{Change, Operation, OperationKind, read_operation, read_transaction};
pub use revision::Account;
pub use status::Status;
pub use transaction::{Applied, Changed, apply};
pub use union::{union_bytes, union_document};
pub use write::{Changes, Outcome, Rules, Write, WriteError};
