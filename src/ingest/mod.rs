//! The logic of the network-to-server API: documents, transactions, revisions.
//!
//! A write is parsed into [`Operation`]s, applied to the facts as they stand
//! ([`apply`]), checked as a whole, committed as one revision and only then
//! acknowledged, all by the [`Ledger`]. One that takes too much of what its source
//! states is refused (`held`).

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
pub use transaction::{Applied, Changed, apply};
pub use union::{union_bytes, union_document};
pub use write::{Changes, Outcome, Rules, Write, WriteError};
