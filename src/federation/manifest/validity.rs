//! How long a manifest counts.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::s2s::Manifest;

/// How long a manifest of ours counts after it was signed.
pub const VALID_FOR: Duration = Duration::from_secs(6 * 60 * 60);

/// How far ahead of our clock a manifest may be signed.
pub const TOLERANCE: Duration = Duration::from_secs(2 * 60 * 60);

/// The longest time that any manifest counts after it was signed.
pub const COUNTS_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Manifest {
    /// Returns when the manifest stops counting: at its `next_update`, but at the latest seven
    /// days after it was signed.
    pub fn end(&self) -> Timestamp {
        let latest = self.issued.saturating_add(COUNTS_FOR);
        self.next_update.min(latest.unwrap_or(Timestamp::MAX))
    }
}
