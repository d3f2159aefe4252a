//! How the merged view follows what the domains state.

use std::time::Duration;

use crate::runtime::Moment;

/// How the merged view follows.
#[derive(Debug, Clone, Default)]
pub struct Merging {
    /// Since when something is stated that it does not have.
    pub behind_since: Option<Moment>,
    /// How long it took to make it the last time.
    pub took: Option<Duration>,
}
