//! The logic of the network-to-server API: documents, transactions, revisions.
//!
//! A write is parsed into [`Operation`]s, applied to the facts as they stand
//! ([`apply`]), checked as a whole, committed as one revision and only then
//! acknowledged, all by the [`Ledger`].

mod document;
mod operation;
mod read;
mod transaction;

pub use document::{Document, DocumentPath, Text};
pub use operation::{Change, Operation, OperationKind, read_operation, read_transaction};
pub use read::{Limits, Reader};
pub use transaction::{Applied, Replacements, Standing, apply, replace};
