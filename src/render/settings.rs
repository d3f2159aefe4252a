//! `[publish]`: how bodies are kept.

use serde::Deserialize;

/// `[publish]`: how bodies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many bytes of rendered bodies are kept in memory, including those being sent.
    pub cache_bytes: u64,
    /// Larger bodies, in bytes, are only kept packed, and otherwise written while they are sent.
    pub max_rendered: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 128 * 1024 * 1024,
            max_rendered: 64 * 1024 * 1024,
        }
    }
}
