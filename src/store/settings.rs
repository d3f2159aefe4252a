use serde::Deserialize;

use crate::runtime::at_least;

use super::disk::room::RESERVE;

/// The `[store]` section of the configuration. A reload changes none of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many revisions can be read back, at least 1. Up to a quarter more stay on the disk
    /// until the oldest are pruned together.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub keep_revisions: u64,
    /// The memory for the database's cache, in bytes, at least 1 MiB. Pages count with their size
    /// on the disk; in memory they take somewhat more.
    #[serde(deserialize_with = "at_least::<{ 1024 * 1024 }, _, _>")]
    pub cache_bytes: u64,
    /// How many bytes stay free on the disk, at least 16 MiB. With less, no facts are written;
    /// with less than twice as much, no documents of other domains.
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
