//! Patches: merge patches (RFC 7396), JSON patches (RFC 6902), and the reverse, the differences
//! between two documents.
//!
//! Except for JSON patches, everything works on text. A cost map of a thousand PIDs has 22 MB
//! and would take six times as much as a tree. Members are therefore taken as slices of the
//! text, one object at a time, and whatever does not change is copied byte for byte: numbers
//! keep their text, and a canonical document stays canonical.

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
