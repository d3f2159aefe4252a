//! The network as data: the costs between its parts and how a cost is spelled.
//!
//! - [`Matrix`]: the costs from every source to every destination, in [`Row`]s;
//! - [`write_number`]: the one canonical JSON spelling of a cost.

mod index;
mod lpm;
mod matrix;
mod number;
mod ranges;
mod row;
mod table;

pub use index::PidIndex;
pub use lpm::{DuplicatePrefix, Lpm};
pub use matrix::Matrix;
pub use number::write_number;
pub use row::Row;
