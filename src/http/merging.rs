//! How far the merged view is behind.

use std::time::Duration;

use crate::runtime::Moment;

/// How far the merged view is behind what the domains state.
#[derive(Debug, Clone, Default)]
pub struct Merging {
    /// Since when something has been stated that the merged view does not have; none if it has
    /// everything.
    pub behind_since: Option<Moment>,
    /// How long the last merge took.
    pub took: Option<Duration>,
}
