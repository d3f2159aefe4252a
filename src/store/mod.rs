//! Durable storage: a log of revisions, the documents they leave behind, and small side tables.
//!
//! A [`Commit`] becomes a [`Record`]: numbered, chained to the one before by its hash, and
//! acknowledged when it is on the disk. Documents are byte strings of any size, kept as trees
//! of content-addressed chunks, so that a large document with a small change costs a small
//! write. The newest revisions can be read back, older ones are pruned.
//!
//! The store knows nothing of what it keeps. It is the only module that names sled, and
//! `docs/adr/0002-sled.md` says how that is used. From the outside in:
//!
//! - `handle`, `writer`: the async handle, and the one thread that commits in groups
//! - `tools`: operations on a store that nothing has open
//! - `repair`: opening, checking, and rebuilding what is damaged
//! - `log`: the log over the database, and the stored forms of what it keeps
//! - `disk`: the directory, the database, large values, and how much room there is

mod disk;
mod error;
mod handle;
mod log;
mod repair;
mod settings;
mod status;
mod tools;
mod writer;

#[cfg(test)]
mod tests;

pub use disk::blobs::{BlobReader, Blobs};
pub use disk::engine::Durability;
pub use disk::room::{Room, RoomState};
pub use disk::space::FreeSpace;
pub use error::StoreError;
pub use handle::{Opened, Store, Submitted};
pub use log::commit::{Commit, MAX_BODY, MAX_CHANGES, MAX_DOCUMENTS, MAX_NAME};
pub use log::record::Record;
pub use log::state::MAX_PENDING;
pub use log::table::{MAX_KEY, MAX_VALUE, Pairs, Table};
pub use log::tree::DocumentRef;
pub use repair::recover::Quarantine;
pub use settings::Settings;
pub use status::Status;
pub use tools::export::export;
pub use tools::import::import;
pub use tools::offline::{Compacted, Progress, Report, compact, verify};
