//! Servers of other operators: an independent minimal one, and bad ones.

mod connector;
mod plain;
pub mod server;

use std::future::Future;
use std::time::Duration;

/// Awaits what comes at once when the code is right, so that a defect fails
/// the test instead of hanging it. The limit is far above any machine's
/// slowness.
pub async fn soon<F: Future>(event: F) -> F::Output {
    let outcome = tokio::time::timeout(Duration::from_secs(60), event).await;
    outcome.expect("the awaited event did not come within a minute")
}
