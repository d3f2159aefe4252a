//! How much is followed.

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
