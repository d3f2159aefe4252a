//! Acknowledging writes, in their order, once they are durable.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::runtime::Clock;
use crate::store::{StoreError, Submitted};

use super::at_revision::FactsAtRevision;

/// How long the disk may take to make a write durable. A disk that hangs reports no error, and a
/// node that waited for it would accept writes that it cannot keep.
const DURABLE_WITHIN: Duration = Duration::from_secs(60);

/// A write that was accepted and is not yet durable.
pub(super) struct Accepted {
    pub(super) pending: Submitted,
    /// The facts with the write.
    pub(super) after: FactsAtRevision,
    /// Where the writer waits for the outcome.
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

/// Publishes the facts of each write to `durable` and answers its writer once it is durable.
/// Ends with the first write that fails, or that is not durable in time; then `stuck` becomes
/// true.
pub(super) async fn acknowledge(
    mut waiting: mpsc::Receiver<Accepted>,
    durable: watch::Sender<FactsAtRevision>,
    clock: Clock,
    stuck: watch::Sender<bool>,
) {
    while let Some(accepted) = waiting.recv().await {
        let Ok(outcome) = clock
            .timeout(DURABLE_WITHIN, accepted.pending.durable())
            .await
        else {
            tracing::error!(
                "a write was not durable within {} s",
                DURABLE_WITHIN.as_secs()
            );
            stuck.send_replace(true);
            return;
        };
        let failed = outcome.is_err();
        if !failed {
            durable.send_replace(accepted.after);
        }
        // The writer may have stopped waiting.
        let _ = accepted.answer.send(outcome.map(|_| ()));
        if failed {
            return;
        }
    }
}
