//! Limits the memory of answers that are made whole.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::Body as _;

use super::{CallerOf, Refusal, Refuse};
use crate::render::{Flight, SHORT};

/// Marks a response whose bytes are already counted, or shared.
#[derive(Clone, Copy, Debug)]
pub struct Accounted;

/// Limits answers that are made whole to the memory that there is for answers.
#[derive(Clone, Debug)]
pub struct MemoryLimit {
    flight: Flight,
    caller_of: CallerOf,
    refuse: Refuse,
}

impl MemoryLimit {
    /// Counts answers in `flight`; `caller_of` names the caller whose answer it is.
    pub fn new(flight: Flight, caller_of: CallerOf, refuse: Refuse) -> MemoryLimit {
        MemoryLimit {
            flight,
            caller_of,
            refuse,
        }
    }

    /// The middleware: counts each answer that is in memory whole. The answer to a request that
    /// only reads, and can be repeated, becomes 503 if there is no room for it. The answer to
    /// any other request reports what was done, and is never replaced.
    pub async fn apply(State(limit): State<MemoryLimit>, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        let asked = parts.clone();
        let response = next.run(Request::from_parts(parts, body)).await;
        let bytes = response
            .body()
            .size_hint()
            .exact()
            .filter(|bytes| *bytes > 0);
        let is_counted = response.extensions().get::<Accounted>().is_some();
        let caller = (limit.caller_of)(&asked);
        let (Some(bytes), false, Some(caller)) = (bytes, is_counted, caller) else {
            return response;
        };
        if bytes <= SHORT || !asked.method.is_safe() {
            return response.map(|body| limit.flight.hold(&caller, bytes).hold(body));
        }
        match limit.flight.try_take(&caller, bytes) {
            Ok(room) => response.map(|body| room.hold(body)),
            Err(none) => {
                drop(response);
                Refusal::from(none).respond(limit.refuse, &asked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::StatusCode;

    use super::super::testing::refuse;
    use super::*;
    use crate::render::Caller;
    use crate::render::testing::flight;

    /// Returns the status of the node's answer to a request, if the answer has `bytes` bytes.
    async fn answered(flight: &Flight, method: http::Method, bytes: usize) -> StatusCode {
        use tower::ServiceExt;
        let answer = move || async move { "x".repeat(bytes) };
        let caller_of = |_: &_| Some(Caller::Node);
        let limit = MemoryLimit::new(flight.clone(), caller_of, refuse);
        let layer = axum::middleware::from_fn_with_state(limit, MemoryLimit::apply);
        let router = axum::Router::new()
            .route("/", axum::routing::any(answer))
            .layer(layer);
        let request = Request::builder().method(method).uri("/");
        let request = request.body(Body::empty()).expect("a request");
        let answered = router.oneshot(request).await.expect("an answer");
        answered.status()
    }

    #[tokio::test]
    async fn what_was_done_is_told_where_there_is_no_room() {
        let flight = flight(800, 300);
        let full = flight.hold(&Caller::Node, 1000);
        let long = SHORT as usize + 1;
        for (method, bytes, status) in [
            (http::Method::GET, long, 503),
            (http::Method::GET, long - 1, 200),
            (http::Method::PUT, long, 200),
            (http::Method::POST, long, 200),
        ] {
            let told = answered(&flight, method.clone(), bytes).await;
            assert_eq!(told, status, "{method} {bytes}");
        }
        drop(full);
    }
}
