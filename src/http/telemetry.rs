//! What is recorded of requests: a log line, metrics, a request id.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tracing::Instrument;

use crate::runtime::Clock;

use super::caller::Caller;
use super::refusal::Wording;
use super::socket::Peer;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The measures of requests.
#[derive(Clone)]
pub struct Telemetry {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<ServiceLabels, Histogram>,
    wrong_credentials: Family<ReasonLabels, Counter>,
    /// The id of the next request. It is counted from a start that differs between runs of a
    /// node.
    next_id: Arc<AtomicU64>,
    clock: Clock,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    service: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ServiceLabels {
    service: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

impl Telemetry {
    /// Registers the measures in `registry`. Request ids are counted from a number that grows
    /// with the time.
    pub fn new(registry: &mut Registry, clock: Clock) -> Self {
        let first_id = clock.wall().as_millisecond().unsigned_abs() << 20;
        let buckets = || Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        let telemetry = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            wrong_credentials: Family::default(),
            next_id: Arc::new(AtomicU64::new(first_id)),
            clock,
        };
        registry.register(
            "altofed_http_requests",
            "Requests answered, by service and status",
            telemetry.requests.clone(),
        );
        registry.register(
            "altofed_http_request_seconds",
            "Time from a request's head to its response's, by service",
            telemetry.seconds.clone(),
        );
        registry.register(
            "altofed_http_wrong_credentials",
            "Requests refused because of their credential: it was unknown, malformed, or not checked \
             after too many wrong ones",
            telemetry.wrong_credentials.clone(),
        );
        for reason in ["unknown", "malformed", "limited"] {
            let labels = ReasonLabels { reason };
            drop(telemetry.wrong_credentials.get_or_create(&labels));
        }
        telemetry
    }

    /// Counts a request that was refused because of its credential.
    pub(super) fn wrong_credentials(&self, reason: &'static str) {
        let labels = ReasonLabels { reason };
        self.wrong_credentials.get_or_create(&labels).inc();
    }
}

/// The service of each route, by the path of the route.
pub(super) type Services = Arc<HashMap<&'static str, &'static str>>;

/// The middleware that gives each request an id, and records how it went.
pub(super) async fn observe(
    State((telemetry, services)): State<(Telemetry, Services)>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("{:016x}", telemetry.next_id.fetch_add(1, Ordering::Relaxed));
    let route = request.extensions().get::<MatchedPath>();
    let service = route.and_then(|route| services.get(route.as_str()));
    let service = service.copied().unwrap_or("none");
    let peer = request
        .extensions()
        .get::<Peer>()
        .map(|peer| peer.addr.ip());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = telemetry.clock.now();
    let span = tracing::info_span!("request", request_id = %id);
    let handled = AssertUnwindSafe(next.run(request).instrument(span)).catch_unwind();
    let mut response = handled.await.unwrap_or_else(|_| {
        // The panic itself is on standard error. What was shared is immutable, or behind locks
        // that remain usable after a panic.
        tracing::error!(request_id = %id, path = %path.escape_debug(), "a handler panicked");
        let detail = "the node failed to answer; its log says why";
        Wording::of(&path).refuse(StatusCode::INTERNAL_SERVER_ERROR, "defect", detail)
    });
    let took = telemetry.clock.now().since(begun);
    let status = response.status().as_u16();
    telemetry
        .requests
        .get_or_create(&RequestLabels { service, status })
        .inc();
    telemetry
        .seconds
        .get_or_create(&ServiceLabels { service })
        .observe(took.as_secs_f64());
    let principal = response.extensions().get::<Caller>().and_then(|caller| {
        caller
            .principal()
            .map(|principal| principal.name.to_string())
    });
    tracing::debug!(
        request_id = %id,
        %method,
        path = %path.escape_debug(),
        status,
        client = peer.map(tracing::field::display),
        principal,
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
