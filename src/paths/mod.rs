//! Costs across domains: how they compose, and which path each of them follows.
//!
//! - [`Rule`]: how the costs of a metric compose along a path;
//! - [`BorderGraph`]: domains joined by links, and the best [`Ways`] through them;
//! - [`Routes`]: the table of the best ways; [`Composed`] costs are computed from it;
//! - [`Paths`]: finds the [`Path`] that the cost between two PIDs follows.

mod across;
mod algebra;
mod border_costs;
mod borders;
mod cells;
mod inside;
mod onward;
mod path;
mod place;
mod search;
mod sets;
mod table;
mod ways;

pub use across::{Across, OtherMetric};
pub use algebra::Rule;
pub use border_costs::BorderCosts;
pub use borders::{BorderGraph, Link};
pub use cells::Composed;
pub use inside::Inside;
pub use onward::Onward;
pub use path::{Border, Hop, Path};
pub use place::Place;
pub use search::{Crossing, PathDomain, PathSearch, Paths};
pub use sets::Sets;
pub use table::{Routes, RoutesFrom};
pub use ways::{Effort, MAX_DOMAINS, Way, WaySearch, Ways};
