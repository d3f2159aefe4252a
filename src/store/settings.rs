use serde::Deserialize;

use crate::runtime::at_least;

use super::disk::room::RESERVE;

/// The `[store]` section of the configuration. None of it is hot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many revisions can be read back, at least 1. Up to a quarter more are on disk
    /// before the oldest are pruned together.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub keep_revisions: u64,
    /// The memory for the database's cache, in bytes, at least 1 MiB. Pages are counted at their
    /// size on disk; in memory they take somewhat more.
    #[serde(deserialize_with = "at_least::<{ 1024 * 1024 }, _, _>")]
    pub cache_bytes: u64,
    /// How many bytes stay free on the disk, at least 16 MiB: with less, facts are not written;
    /// documents of other domains with less than twice as much.
    #[serde(deserialize_with = "at_least::<RESERVE, _, _>")]
    pub min_free: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            keep_revisions: 1000,
            cache_bytes: 64 * 1024 * 1024,
            min_free: 64 * 1024 * 1024,
        }
    }
}
