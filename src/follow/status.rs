//! How much is followed.

use super::followed::Followed;

/// How much is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The answers whose changes are kept.
    pub answers: usize,
    /// The cells of these answers.
    pub cells: u64,
    /// The bytes that their histories keep: patches, and data of views that were replaced.
    pub history_bytes: usize,
    /// How often a substream was checked for something to send, since the start.
    pub looks: u64,
}

impl Followed {
    /// Returns how much is followed now.
    pub fn status(&self) -> Status {
        Status {
            answers: self.count(),
            cells: self.cells(),
            history_bytes: self.kept_bytes(),
            looks: self.looks(),
        }
    }
}
