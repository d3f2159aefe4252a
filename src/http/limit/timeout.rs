//! Limits how long each request takes.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

use super::{Reason, Refusal, Refuse, Settings};
use crate::runtime::{Clock, Moment, Threshold, lock};

/// How long to wait before a request that took too long is tried again.
const TIMEOUT_RETRY: Duration = Duration::from_secs(5);

/// Gives up requests that take too long, unless they have crossed their [`Threshold`], which
/// every request has as an extension: those are finished, and the answer says so. The time runs
/// from when the last piece of the request's body was read until the head of the response. The
/// reader of a body refuses one that does not come (see [`body`](crate::http::body)), and the
/// connection watches a response that is being sent.
#[derive(Clone, Debug)]
pub struct RequestTimeout {
    settings: watch::Receiver<Settings>,
    clock: Clock,
    refuse: Refuse,
}

/// When a request will be given up, for code that waits for something optional.
#[derive(Clone, Debug)]
pub struct Deadline {
    within: Duration,
    last: Arc<Mutex<Moment>>,
}

impl Deadline {
    /// Returns when the request is given up if no more of its body is read.
    pub fn at(&self) -> Moment {
        *lock(&self.last) + self.within
    }
}

/// Gives a request up when dropped.
struct GivenUp(Threshold);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// The body of a request; notes when a piece of it is read.
struct Noted {
    body: Body,
    clock: Clock,
    last: Arc<Mutex<Moment>>,
}

impl RequestTimeout {
    /// Limits the time of each request.
    pub fn new(
        settings: watch::Receiver<Settings>,
        clock: Clock,
        refuse: Refuse,
    ) -> RequestTimeout {
        RequestTimeout {
            settings,
            clock,
            refuse,
        }
    }

    /// The middleware: answers 503 to a request that takes too long, and drops its handler. A
    /// request is also given up when its client goes away.
    pub async fn apply(
        State(limit): State<RequestTimeout>,
        request: Request,
        next: Next,
    ) -> Response {
        let within = limit.settings.borrow().request_timeout;
        let (mut parts, body) = request.into_parts();
        let threshold = GivenUp(Threshold::default());
        parts.extensions.insert(threshold.0.clone());
        let asked = parts.clone();
        let last = Arc::new(Mutex::new(limit.clock.now()));
        let body = Body::new(Noted {
            body,
            clock: limit.clock.clone(),
            last: last.clone(),
        });
        let deadline = Deadline {
            within,
            last: last.clone(),
        };
        parts.extensions.insert(deadline);
        let mut response = pin!(next.run(Request::from_parts(parts, body)));
        loop {
            let deadline = *lock(&last) + within;
            tokio::select! {
                biased;
                response = response.as_mut() => return response,
                () = limit.clock.sleep_until(deadline) => (),
            }
            if *lock(&last) + within == deadline {
                break;
            }
        }
        let refusal = Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: TIMEOUT_RETRY,
            reason: if threshold.0.give_up() {
                Reason::Timeout
            } else {
                Reason::Unfinished
            },
        };
        refusal.respond(limit.refuse, &asked)
    }
}

impl http_body::Body for Noted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        *lock(&self.last) = self.clock.now();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, SECOND, refuse, request, told};
    use super::*;
    use crate::runtime::Task;
    use crate::runtime::testing::soon;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use axum::{Extension, Router};
    use futures_util::stream;
    use std::convert::Infallible;
    use tower::ServiceExt;

    fn timed(bench: &Bench) -> Router {
        let settings = bench.settings.subscribe();
        let limit = RequestTimeout::new(settings, bench.clock.clone(), refuse);
        let stuck = async |body: Bytes| -> String {
            if body.is_empty() {
                std::future::pending().await
            } else {
                format!("{} bytes", body.len())
            }
        };
        let router = Router::new().route("/do", post(stuck));
        router.layer(from_fn_with_state(limit, RequestTimeout::apply))
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_told_503() {
        let bench = Bench::new(Settings::default());
        let ask = timed(&bench).oneshot(request("as", "x"));
        let asking = Task::spawn("asking", ask);
        soon(bench.hand.sleeper(30 * SECOND)).await;
        bench.hand.advance(30 * SECOND);
        let refused = soon(asking.join()).await.unwrap().unwrap();
        let expected = (503, Some("5".into()), "/do Timeout".into());
        assert_eq!(told(refused).await, expected);
    }

    #[tokio::test]
    async fn what_is_done_to_its_end_is_not_said_to_be_given_up() {
        let bench = Bench::new(Settings::default());
        let (send, mut thresholds) = tokio::sync::mpsc::channel::<Threshold>(1);
        let limit = RequestTimeout::new(bench.settings.subscribe(), bench.clock.clone(), refuse);
        let stuck = async move |Extension(threshold): Extension<Threshold>| -> String {
            send.send(threshold).await.unwrap();
            std::future::pending().await
        };
        let router = Router::new().route("/do", post(stuck));
        let router = router.layer(from_fn_with_state(limit, RequestTimeout::apply));
        for (crosses, reason) in [(true, "/do Unfinished"), (false, "/do Timeout")] {
            let asking = router.clone().oneshot(request("as", "x"));
            let asking = Task::spawn("asking", asking);
            let threshold = soon(thresholds.recv()).await.unwrap();
            if crosses {
                assert!(threshold.cross());
            }
            soon(bench.hand.sleeper(30 * SECOND)).await;
            bench.hand.advance(30 * SECOND);
            let refused = told(soon(asking.join()).await.unwrap().unwrap()).await;
            assert_eq!(refused, (503, Some("5".into()), reason.into()));
            assert_eq!(threshold.cross(), crosses);
        }
        // A client that goes away gives its request up.
        let mut asking = Box::pin(router.oneshot(request("as", "x")));
        let threshold = tokio::select! {
            _ = &mut asking => panic!("it is stuck"),
            threshold = thresholds.recv() => threshold.unwrap(),
        };
        drop(asking);
        assert!(!threshold.cross());
    }

    #[tokio::test]
    async fn the_time_of_a_request_does_not_run_while_its_body_comes() {
        let bench = Bench::new(Settings::default());
        let (push, pieces) = tokio::sync::mpsc::channel::<&str>(1);
        let body = stream::unfold(pieces, async |mut pieces| {
            Some((Ok::<_, Infallible>(pieces.recv().await?), pieces))
        });
        let request = Request::post("/do").body(Body::from_stream(body)).unwrap();
        let asking = Task::spawn("asking", timed(&bench).oneshot(request));
        soon(bench.hand.sleeper(30 * SECOND)).await;
        for _ in 0..3 {
            bench.hand.advance(29 * SECOND);
            push.send("x").await.unwrap();
            while push.capacity() == 0 {
                tokio::task::yield_now().await;
            }
            // The former deadline ends the sleep; then the deadline of the piece is slept until.
            bench.hand.advance(SECOND);
            soon(bench.hand.sleeper(29 * SECOND)).await;
        }
        drop(push);
        let answer = soon(asking.join()).await.unwrap().unwrap();
        assert_eq!(told(answer).await, (200, None, "3 bytes".into()));
    }
}
