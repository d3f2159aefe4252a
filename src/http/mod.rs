//! The HTTP server.
//!
//! The ground floor is `socket`: connections, TLS, and what every client owes.
//!
//! Above it, what all services share: who calls (`access`), what is told of requests
//! (`telemetry`, `metrics`), limits (`limit`, `body`), answers and their memory (`answers`), documents on their way (`documents`), representations (`negotiate`,
//! `conditional`, `bodies`, `packing`), views (`views`, `merging`) and refusals (`refusal`).
//!
//! And one file for each service: `alto`, `explain`, `push`, `n2s`, `s2s`, `ops`; `openapi` describes them.

mod access;
mod alto;
mod answers;
mod app;
mod bodies;
pub mod body;
mod conditional;
mod documents;
mod explain;
pub mod limit;
mod merging;
mod metrics;
mod n2s;
mod negotiate;
mod openapi;
mod ops;
mod packing;
mod pins;
mod push;
mod readiness;
mod refusal;
mod s2s;
mod shared;
mod socket;
mod telemetry;
mod views;

use axum::http::{StatusCode, Uri, request};
use axum::response::Response;
use axum::{Router, middleware};

pub use crate::alto::guard::{JsonGuard, TooDeep};
pub use answers::Answers;
pub use app::{App, BodySettings, Parts};
pub use bodies::{Bodies, Settings as PublishSettings};
pub use documents::Documents;
pub use merging::Merging;
pub use metrics::NodeMetrics;
pub use push::{Followed, Push, Settings as UpdateSettings};
pub use socket::{
    Client, ClientAuth, ClientCertificate, Counts, ListenError, Listener, ListenerStats, Peer,
    Reserved, Settings, Tls, TlsError, TlsFiles,
};
pub use telemetry::Telemetry;

use access::Doorman;
use limit::{ConcurrencyLimit, Flight, Guesses, RateLimit, Reason, RequestTimeout, Room};
use n2s::IDEMPOTENCY_KEY;
use openapi::Route;
use refusal::Wording;

/// The routes that the OpenAPI description lists.
fn routes() -> Vec<Route> {
    let mut routes = service_routes();
    routes.extend(push::waiting_routes());
    routes.extend(ops::health_routes());
    routes
}

/// The routes that limits hold for.
fn service_routes() -> Vec<Route> {
    let mut routes = alto::routes();
    routes.extend(push::control_routes());
    routes.extend(push::tips_routes());
    routes.extend(explain::routes());
    routes.extend(n2s::routes());
    routes.extend(s2s::routes());
    routes.extend(ops::routes());
    routes
}

/// The OpenAPI 3.1 description of the API.
pub fn description() -> serde_json::Value {
    openapi::describe(&routes())
}

/// The whole API.
pub fn router(app: App) -> Router {
    let observe = middleware::from_fn_with_state(app.clone(), telemetry::observe);
    let (settings, clock) = (&app.limits, &app.clock);
    let doorman = Doorman {
        app: app.clone(),
        guesses: Guesses::new(settings.clone(), clock.clone()),
        refuse,
    };
    let identify = middleware::from_fn_with_state(doorman, access::identify);
    let rate = RateLimit::new(settings.clone(), clock.clone(), counted_for, refuse);
    let rate = middleware::from_fn_with_state(rate, RateLimit::apply);
    let load = ConcurrencyLimit::new(settings.clone(), refuse);
    let load = middleware::from_fn_with_state(load, ConcurrencyLimit::apply);
    let time = RequestTimeout::new(settings.clone(), clock.clone(), refuse);
    let time = middleware::from_fn_with_state(time, RequestTimeout::apply);
    let flight = app.answers.flight().clone();
    let flight = middleware::from_fn_with_state(flight, Flight::apply);
    // A load balancer asks for health whatever the load.
    let health = openapi::router(ops::health_routes());
    // What waits by design is bounded by itself.
    openapi::router(service_routes())
        .fallback(nothing_here)
        .layer(time)
        .layer(load)
        .merge(openapi::router(push::waiting_routes()))
        .layer(flight)
        .layer(rate)
        .merge(health)
        .layer(identify)
        .layer(observe)
        .with_state(app)
}

/// Who a request is counted for.
pub fn counted_for(parts: &request::Parts) -> Option<limit::Caller> {
    let caller = parts.extensions.get::<access::Caller>()?;
    Some(caller.accounted(parts.extensions.get::<Peer>()?))
}

/// Room for the body of a request, of no bytes yet.
fn room_for(flight: &Flight, parts: &request::Parts) -> Room {
    flight.nothing(&counted_for(parts).unwrap_or(limit::Caller::Node))
}

/// The response to a request that finds no room in memory, for its body or its answer.
fn no_room(parts: &request::Parts) -> Response {
    limit::NoRoom.refusal().respond(refuse, parts)
}

/// The response to a request that a limit does not let through.
pub fn refuse(refusal: &limit::Refusal, parts: &request::Parts) -> Response {
    let wording = Wording::of(parts.uri.path());
    let mut detail = refusal.reason.to_string();
    // What this request did not do, the one that it repeats may have done.
    if refusal.reason == Reason::Timeout && parts.headers.contains_key(IDEMPOTENCY_KEY) {
        detail += "; one before it with the same Idempotency-Key may be under way still";
    }
    let kind = match refusal.reason {
        Reason::Unfinished => "unfinished",
        _ => "limit",
    };
    wording.refuse(refusal.status, kind, &detail)
}

async fn nothing_here(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(120).collect();
    let detail = format!("there is nothing at {path:?}; the API is described at /openapi.json");
    Wording::of(uri.path()).refuse(StatusCode::NOT_FOUND, "path", &detail)
}
