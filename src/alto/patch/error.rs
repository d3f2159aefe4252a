//! Why a patch does not apply.

use crate::alto::guard::TooDeep;

/// The most levels of arrays and objects in a document or a patch; those of the RFCs have at
/// most six.
pub const MAX_DEPTH: usize = 32;

/// A patch does not apply. The document that it should change has to be fetched again.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// A text is nested too deep.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    /// A text is not JSON.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// An object has a member twice, so its meaning is ambiguous.
    #[error("the member {0:?} occurs twice in one object")]
    Duplicate(String),
    /// The patch is JSON, but not a list of operations.
    #[error("not a JSON patch: {0}")]
    Form(String),
    /// An operation cannot be applied to the document.
    #[error("operation {operation} of the JSON patch does not apply: {reason}")]
    Operation {
        /// The index of the operation, from 0.
        operation: usize,
        /// Why.
        reason: String,
    },
    /// The operations move or copy more than any patch but an attack would.
    #[error(
        "the JSON patch moves or copies more than {limit} elements and bytes by its operation \
         {operation}"
    )]
    Excess {
        /// The index of the operation, from 0.
        operation: usize,
        /// How many elements and bytes all operations together may move or copy.
        limit: usize,
    },
}
