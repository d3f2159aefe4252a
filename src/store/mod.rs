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
//! - `recover`, `load`, `salvage`, `build`: opening, checking, and rebuilding what is damaged
//! - `room`, `space`, `unopened`: whether there is room on the disk, and reading without any
//! - `ledger`, `read`, `prune`: the log over the database
//! - `record`, `tree`, `table`, `meta`: what is kept, and its stored forms
//! - `envelope`, `engine`, `directory`, `witness`: values, the database, and the files
//! - `blobs`: large values beside the database, for what can be had again
//! - `offline`, `export`, `import`, `lines`: operations on a store that nothing has open

mod blobs;
mod build;
mod codec;
mod commit;
mod directory;
mod engine;
mod envelope;
mod error;
mod export;
mod handle;
mod import;
mod ledger;
mod lines;
mod load;
mod meta;
mod offline;
mod privacy;
mod prune;
mod read;
mod record;
mod recover;
mod room;
mod salvage;
mod settings;
mod space;
mod table;
mod tree;
mod unopened;
mod witness;
mod writer;

#[cfg(test)]
mod tests;

pub use blobs::{BlobReader, Blobs};
pub use commit::{Commit, MAX_BODY, MAX_CHANGES, MAX_DOCUMENTS, MAX_NAME};
pub use engine::Durability;
pub use error::StoreError;
pub use export::export;
pub use handle::{Opened, Store, Submitted};
pub use import::import;
pub use ledger::MAX_PENDING;
pub use offline::{Compacted, Progress, Report, compact, verify};
pub use record::Record;
pub use recover::Quarantine;
pub use room::{Room, RoomState};
pub use settings::Settings;
pub use space::FreeSpace;
pub use table::{MAX_KEY, MAX_VALUE, Pairs, Table};
pub use tree::DocumentRef;
