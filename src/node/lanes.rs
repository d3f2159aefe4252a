//! The lanes of CPU work: what is in one never waits for what is in another.

use crate::runtime::{Pool, PoolError};

/// A pool for each kind of work. The threads share the machine's cores, so that each kind goes on,
/// however much of the others there is.
pub(super) struct Lanes {
    /// Reads what is written to us, and compiles and publishes it.
    pub(super) facts: Pool,
    /// Joins all domains into the merged view.
    pub(super) joins: Pool,
    /// Reads and checks what peers pass, and what they are sent.
    pub(super) peers: Pool,
    /// Answers of our own domain's view.
    pub(super) ours: Pool,
    /// Answers of all other views.
    pub(super) others: Pool,
    /// Sends documents as they were stated: to sources theirs, to peers those of others.
    pub(super) documents: Pool,
    /// Brings forward what clients follow.
    pub(super) followed: Pool,
}

impl Lanes {
    /// Starts lanes of `threads` threads each; 0 means one per core.
    ///
    /// # Errors
    /// The system refuses the threads.
    pub(super) fn start(threads: usize) -> Result<Self, PoolError> {
        Ok(Self {
            facts: Pool::new(threads)?,
            joins: Pool::new(threads)?,
            peers: Pool::new(threads)?,
            ours: Pool::new(threads)?,
            others: Pool::new(threads)?,
            documents: Pool::new(threads)?,
            followed: Pool::new(threads)?,
        })
    }
}
