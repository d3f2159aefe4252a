//! Servers of other operators: a minimal independent one, and bad ones.

mod connector;
mod plain;
pub mod server;

use std::future::Future;
use std::time::Duration;

/// Awaits something that happens at once when the code is right, so that a defect fails the test
/// instead of hanging it. The limit is far longer than any machine needs.
pub async fn soon<F: Future>(event: F) -> F::Output {
    let outcome = tokio::time::timeout(Duration::from_secs(60), event).await;
    outcome.expect("the awaited event did not come within a minute")
}
