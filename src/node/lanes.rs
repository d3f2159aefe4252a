//! The lanes of CPU work: work in one never waits for work in another.

use crate::runtime::{Pool, PoolError};

/// A pool for each kind of work. The pools share the machine's cores, so that each kind of work
/// proceeds, however much there is of the others.
pub(super) struct Lanes {
    /// Reads what is written to this node, compiles it and publishes it.
    pub(super) facts: Pool,
    /// Joins all domains into the merged view.
    pub(super) joins: Pool,
    /// Reads and checks what peers pass, and prepares what they are sent.
    pub(super) peers: Pool,
    /// Makes answers of our own domain's view.
    pub(super) ours: Pool,
    /// Makes answers of all other views.
    pub(super) others: Pool,
    /// Sends documents as they were stated: sources get their own, peers get those of others.
    pub(super) documents: Pool,
    /// Updates what clients follow.
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::Task;
    use crate::runtime::testing::soon;

    fn all(lanes: &Lanes) -> [(&'static str, &Pool); 7] {
        [
            ("facts", &lanes.facts),
            ("joins", &lanes.joins),
            ("peers", &lanes.peers),
            ("ours", &lanes.ours),
            ("others", &lanes.others),
            ("documents", &lanes.documents),
            ("followed", &lanes.followed),
        ]
    }

    #[tokio::test]
    async fn what_is_in_one_lane_waits_for_what_is_in_no_other() {
        let lanes = Lanes::start(1).expect("threads");
        for (full, lane) in all(&lanes) {
            let (end, ended) = mpsc::channel::<()>();
            let (begin, begun) = tokio::sync::oneshot::channel();
            let lane = lane.clone();
            let _full = Task::spawn("full", async move {
                let wait = move || {
                    let _ = begin.send(());
                    let _ = ended.recv();
                };
                lane.run(wait).await
            });
            soon(begun).await.expect("it has a thread");
            for (name, other) in all(&lanes).into_iter().filter(|(name, _)| *name != full) {
                let done = soon(other.run(move || name)).await;
                assert_eq!(done.expect("no panic"), name, "{full} is full");
            }
            drop(end);
        }
    }
}
