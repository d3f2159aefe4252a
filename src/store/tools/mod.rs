//! What can be done to a store while nothing has it open.

pub(super) mod export;
pub(super) mod import;
pub(super) mod offline;
