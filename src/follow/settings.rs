//! `[updates]`: how clients may follow resources.

use std::time::Duration;

use serde::Deserialize;

use crate::runtime::{at_least, duration};

use super::history::HistoryLimits;

/// `[updates]`: how clients may follow resources. All are hot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many update streams may be open at a time; above that a new one is answered 503.
    pub max_streams: usize,
    /// How many substreams a stream may have at a time; over its life it may have sixteen times
    /// as many.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_substreams: usize,
    /// How many answers may be followed, each a resource with its parameters.
    pub max_followed: usize,
    /// How many cells all these answers may have together. An answer counts its pairs times cost
    /// types, or an eighth of the bytes of its query if that is more.
    pub max_followed_cells: u64,
    /// How many of these cells may belong to answers that one client was the first to follow.
    pub max_cells_per_client: u64,
    /// How many requests may wait for the next edge of a TIPS view at a time; above that a new
    /// one is answered 429.
    pub max_polls: usize,
    /// How many of the streams, of the followed answers and of the waiting requests, of each
    /// kind, one client may have (an IPv4 address or an IPv6 /64); peers are not counted.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_per_client: usize,
    /// How long such a request waits before it is answered 503.
    #[serde(with = "duration::positive")]
    pub poll_timeout: Duration,
    /// After how long without an event a stream is sent a comment.
    #[serde(with = "duration::positive")]
    pub keep_alive: Duration,
    /// How many bytes of patches are kept of an answer. A longer patch is not made: the answer
    /// is sent whole.
    pub history_bytes: usize,
    /// How many bytes all histories may keep together: of patches, and of the data of views that
    /// are not the newest any more. Above that the client whose histories keep most forgets
    /// first.
    pub max_history_bytes: usize,
    /// How long a version of an answer is kept after the next one came, and an answer after its
    /// last follower left.
    #[serde(with = "duration::positive")]
    pub history_age: Duration,
    /// Whether JSON patches (RFC 6902) of network maps are sent besides merge patches. A client
    /// that only understands merge patches can use TIPS for network maps only if this is off.
    pub json_patches: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_streams: 20_000,
            max_substreams: 256,
            max_followed: 20_000,
            max_followed_cells: 40_000_000,
            max_cells_per_client: 8_000_000,
            max_polls: 20_000,
            max_per_client: 2_000,
            poll_timeout: Duration::from_secs(300),
            keep_alive: Duration::from_secs(15),
            history_bytes: 16 * 1024 * 1024,
            max_history_bytes: 128 * 1024 * 1024,
            history_age: Duration::from_secs(600),
            json_patches: true,
        }
    }
}

impl Settings {
    pub(super) fn history(&self) -> HistoryLimits {
        HistoryLimits {
            bytes: self.history_bytes,
            age: self.history_age,
        }
    }

    /// Returns how many substreams a stream may have over its life.
    pub fn max_substreams_ever(&self) -> usize {
        self.max_substreams.saturating_mul(16)
    }
}
