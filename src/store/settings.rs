use serde::Deserialize;

use super::{StoreError, room::RESERVE};

/// The `[store]` section of the configuration. None of it is hot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many revisions can be read back, at least 1. Up to a quarter more are on disk
    /// before the oldest are pruned together.
    pub keep_revisions: u64,
    /// The memory for the database's cache, in bytes, at least 1 MiB. Pages are counted at their
    /// size on disk; in memory they take somewhat more.
    pub cache_bytes: u64,
    /// How many bytes stay free on the disk, at least 16 MiB: with less, facts are not written;
    /// documents of other domains with less than twice as much.
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

impl Settings {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let wrong = |text: &str| Err(StoreError::Settings(text.to_owned()));
        if self.keep_revisions == 0 {
            return wrong("keep_revisions must be at least 1: the newest revision is always kept");
        }
        if self.cache_bytes < 1024 * 1024 {
            return wrong("cache_bytes must be at least 1048576");
        }
        if self.min_free < RESERVE {
            return wrong(&format!(
                "min_free must be at least {RESERVE}: the database writes when it is closed and \
                 opened"
            ));
        }
        Ok(())
    }
}
