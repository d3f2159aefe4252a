//! Why a patch does not apply.

use crate::alto::guard::TooDeep;

/// How many levels of arrays and objects a document or a patch may have; those
/// of the RFCs have six at most.
pub const MAX_DEPTH: usize = 32;

/// A patch does not apply: the document it was to change is to be had anew.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// A text is nested too deep.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    /// A text is not JSON.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// An object has a member twice, so that nobody can say what it means.
    #[error("the member {0:?} stands twice in one object")]
    Duplicate(String),
    /// The patch is JSON, but not a list of operations.
    #[error("not a JSON patch: {0}")]
    Form(String),
    /// An operation cannot be done to the document.
    #[error("operation {operation} of the JSON patch does not apply: {reason}")]
    Operation {
        /// Which, from 0.
        operation: usize,
        /// Why.
        reason: String,
    },
    /// The operations move or copy so much that only an attack would.
    #[error("operation {operation} of the JSON patch is one too many: they cost more than {limit}")]
    Excess {
        /// Which, from 0.
        operation: usize,
        /// The elements and bytes that all of them may move or copy.
        limit: usize,
    },
}
