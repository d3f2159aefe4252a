//! The log: revisions, the documents that they leave behind, and side tables.
//!
//! - `state`, `read`, `prune`: the log over the database
//! - `commit`, `record`, `tree`, `table`, `meta`: what is kept, and its stored forms
//! - `envelope`, `codec`, `lines`: how values are sealed, encoded, and written as text
//! - `witness`: what was acknowledged last, beside the database

pub(super) mod codec;
pub(super) mod commit;
pub(super) mod envelope;
pub(super) mod lines;
pub(super) mod meta;
pub(super) mod prune;
pub(super) mod read;
pub(super) mod record;
pub(super) mod state;
pub(super) mod table;
pub(super) mod tree;
pub(super) mod witness;
