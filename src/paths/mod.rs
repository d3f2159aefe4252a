//! Costs across domains: how they compose, and which path each follows.
//!
//! - [`Rule`]: how the costs of a metric compose along a path;
//! - [`Topology`]: domains joined by links, and the best [`Ways`] through them;
//! - [`Routes`]: the table of the best ways, which [`Composed`] costs are computed from;
//! - [`Plan`]: which [`Path`] the cost between two PIDs follows.

mod access;
mod across;
mod algebra;
mod borders;
mod cells;
mod onward;
mod plan;
mod table;
mod ways;

pub use access::Access;
pub use across::Across;
pub use algebra::Rule;
pub use borders::{Link, Topology};
pub use cells::{Composed, Inside};
pub use onward::Onward;
pub use plan::{Border, Crossing, Hop, Path, PathSearch, Plan, PlannedDomain};
pub use table::{Routes, RoutesFrom};
pub use ways::{Effort, MAX_DOMAINS, Way, WaySearch, Ways};
