//! Patches of documents: merge patches (RFC 7396), JSON patches (RFC 6902), and
//! the other way round, what two documents differ in.
//!
//! But for JSON patches, all work on text. A cost map of a thousand PIDs has 22 MB
//! and would take six times that as a tree; so members are taken as slices of the
//! text, one object at a time, and what does not change is copied byte for byte:
//! numbers keep their text, and a canonical document stays one.

mod changes;
mod compact;
mod error;
mod members;
mod merge;
mod operations;

pub use changes::changes;
pub use compact::compact;
pub use error::{MAX_DEPTH, PatchError};
pub use merge::merge_patch;
pub use operations::json_patch;
