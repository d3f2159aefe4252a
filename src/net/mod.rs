//! The network as data: the costs between its parts and how a cost is spelled.
//!
//! - [`Matrix`]: the costs from every source to every destination, in [`Row`]s;
//! - [`Topology`]: domains joined by links, and the best [`Ways`] through them;
//! - [`write_number`]: the one canonical JSON spelling of a cost.

mod index;
mod lpm;
mod matrix;
mod number;
mod ranges;
mod row;
mod table;
mod topology;
mod ways;

pub use index::PidIndex;
pub use lpm::{DuplicatePrefix, Lpm};
pub use matrix::Matrix;
pub use number::write_number;
pub use row::Row;
pub use topology::{Link, Topology};
pub use ways::{Effort, MAX_DOMAINS, Way, WaySearch, Ways};
