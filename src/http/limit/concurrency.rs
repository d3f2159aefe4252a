//! Limits how many requests are handled at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use tokio::sync::watch;

use super::{Reason, Refusal, Refuse, Settings};

/// When a request that was refused because of load may try again: load passes quickly.
const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Limits how many requests the node handles at a time. Not for routes that wait by design, such
/// as streams before their first event: requests that wait would use up the limit.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    settings: watch::Receiver<Settings>,
    refuse: Refuse,
    under_way: Arc<AtomicUsize>,
}

/// A request under way.
struct UnderWay(Arc<AtomicUsize>);

impl ConcurrencyLimit {
    /// Limits the requests under way in all routes that this value is laid around.
    pub fn new(settings: watch::Receiver<Settings>, refuse: Refuse) -> ConcurrencyLimit {
        ConcurrencyLimit {
            settings,
            refuse,
            under_way: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The middleware: answers 503 to a request above the limit. A request is under way until
    /// the head of its response is made, or its client has gone.
    pub async fn apply(
        State(limit): State<ConcurrencyLimit>,
        request: Request,
        next: Next,
    ) -> Response {
        match limit.begin() {
            Some(_under_way) => next.run(request).await,
            None => {
                let refusal = Refusal {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    retry_after: OVERLOAD_RETRY,
                    reason: Reason::Overload,
                };
                refusal.respond(limit.refuse, &request.into_parts().0)
            }
        }
    }

    fn begin(&self) -> Option<UnderWay> {
        let max = self.settings.borrow().max_concurrent_requests;
        let one_more = |count| (count < max).then_some(count + 1);
        self.under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| UnderWay(self.under_way.clone()))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, refuse, request, told};
    use super::*;
    use crate::runtime::testing::soon;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_request_above_the_number_under_way_is_told_503_until_one_ends() {
        let bench = Bench::new(Settings {
            max_concurrent_requests: 2,
            ..Settings::default()
        });
        let limit = ConcurrencyLimit::new(bench.settings.subscribe(), refuse);
        let go_on = Arc::new(Notify::new());
        let handler = {
            let go_on = go_on.clone();
            post(async move || go_on.notified().await)
        };
        let router = Router::new().route("/do", handler);
        let router = router.layer(from_fn_with_state(limit.clone(), ConcurrencyLimit::apply));
        let ask = || router.clone().oneshot(request("as", "x"));
        let under_way = || limit.under_way.load(Ordering::Relaxed);
        let (first, second) = (tokio::spawn(ask()), tokio::spawn(ask()));
        while under_way() < 2 {
            tokio::task::yield_now().await;
        }
        let refused = told(ask().await.unwrap()).await;
        assert_eq!(refused, (503, Some("1".into()), "/do Overload".into()));
        go_on.notify_one();
        assert_eq!(soon(first).await.unwrap().unwrap().status(), 200);
        let third = tokio::spawn(ask());
        // A client that goes away also gives its place back.
        second.abort();
        assert!(second.await.is_err());
        while under_way() != 1 {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        assert_eq!(soon(third).await.unwrap().unwrap().status(), 200);
        assert_eq!(under_way(), 0);
    }
}
