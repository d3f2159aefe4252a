//! The marks of a resource.

use crate::ident::{Digest, Tag};

/// The marks of a resource's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMarks {
    /// The tag of the content.
    pub tag: Tag,
    /// The SHA-256 of the body.
    pub digest: Digest,
    /// The length of the body in bytes.
    pub length: u64,
}
