//! The whole API: its routes, and the layers around them.

use std::sync::Arc;

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use axum::{Router, middleware, routing};
use serde_json::Value;

use crate::alto::media;

use super::access::{self, Doorman};
use super::app::App;
use super::caller::counted_for;
use super::limit::{ConcurrencyLimit, Guesses, MemoryLimit, RateLimit, RequestTimeout};
use super::openapi::{self, Route, content};
use super::refusal::{Wording, refuse, respond};
use super::{alto, explain, n2s, ops, push, s2s, telemetry};

/// Returns the routes that the OpenAPI description lists.
fn routes() -> Vec<Route> {
    let mut routes = service_routes();
    routes.extend(push::waiting_routes());
    routes.extend(ops::health_routes());
    routes
}

/// Returns the routes that all limits apply to.
fn service_routes() -> Vec<Route> {
    let mut routes = alto::routes();
    routes.extend(push::control_routes());
    routes.extend(push::tips_routes());
    routes.extend(explain::routes());
    routes.extend(n2s::routes());
    routes.extend(s2s::routes());
    routes.extend(ops::routes());
    routes.push(description_route());
    routes
}

/// Returns the OpenAPI 3.1 description of the API.
pub fn description() -> serde_json::Value {
    openapi::describe(&routes())
}

/// Makes the router of the whole API.
pub fn router(app: App) -> Router {
    let services = routes().iter().map(|r| (r.path, r.service)).collect();
    let observed = (app.telemetry.clone(), Arc::new(services));
    let observe = middleware::from_fn_with_state(observed, telemetry::observe);
    let (settings, clock) = (&app.limits, &app.clock);
    let doorman = Doorman {
        access: app.access.clone(),
        telemetry: app.telemetry.clone(),
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
    let memory = MemoryLimit::new(app.answers.flight().clone(), counted_for, refuse);
    let memory = middleware::from_fn_with_state(memory, MemoryLimit::apply);
    // A load balancer must get an answer about health under any load.
    let health = openapi::router(ops::health_routes());
    // Requests that wait by design have a limit of their own.
    openapi::router(service_routes())
        .fallback(nothing_here)
        .layer(time)
        .layer(load)
        .merge(openapi::router(push::waiting_routes()))
        .layer(memory)
        .layer(rate)
        .merge(health)
        .layer(identify)
        .layer(observe)
        .with_state(app)
}

async fn nothing_here(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(120).collect();
    let detail = format!("there is nothing at {path:?}; the API is described at /openapi.json");
    Wording::of(uri.path()).refuse(StatusCode::NOT_FOUND, "path", &detail)
}

/// Returns the route of the description.
fn description_route() -> Route {
    Route {
        path: "/openapi.json",
        service: "ops",
        operations: vec![ops::get(
            "openapi",
            "This description",
            vec![(
                StatusCode::OK,
                "An OpenAPI 3.1 document",
                vec![content::<Value>(media::JSON)],
            )],
        )],
        varied: false,
        handler: routing::any(openapi),
    }
}

async fn openapi() -> Response {
    let text = serde_json::to_vec(&description()).unwrap_or_default();
    let mut response = respond(StatusCode::OK, media::JSON, text);
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    response
}
