//! Health and metrics.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::{Extension, routing};
use prometheus_client::encoding::text::encode;
use url::form_urlencoded;

use crate::auth::Scope;

use super::app::App;
use super::caller::Caller;
use super::openapi::{Content, Operation, Parameter, Route, content};
use super::readiness::Readiness;
use super::refusal::{Refused, Wording, refused, respond};

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the routes that report the health of the node.
pub(super) fn health_routes() -> Vec<Route> {
    let text = |description| {
        (
            StatusCode::OK,
            description,
            vec![content::<String>("text/plain")],
        )
    };
    let not_ready = (StatusCode::SERVICE_UNAVAILABLE, "It does not", Vec::new());
    let ready = "Whether the node answers from what it knows and takes writes";
    let verbose = Parameter {
        place: "query",
        name: "verbose",
        description: "Lists each part and whether it is ready",
        kind: "string",
    };
    vec![
        Route {
            path: "/livez",
            service: "ops",
            operations: vec![get(
                "livez",
                "Whether the process runs",
                vec![text("It does")],
            )],
            varied: false,
            handler: routing::any(livez),
        },
        Route {
            path: "/readyz",
            service: "ops",
            operations: vec![Operation {
                parameters: vec![verbose],
                ..get("readyz", ready, vec![text("It does"), not_ready])
            }],
            varied: false,
            handler: routing::any(readyz),
        },
    ]
}

/// Returns the other routes of operation.
pub(super) fn routes() -> Vec<Route> {
    let metrics_text = content::<String>("application/openmetrics-text");
    let summary = "What is measured, as OpenMetrics text; needs a token if so configured";
    vec![Route {
        path: "/metrics",
        service: "ops",
        operations: vec![get(
            "metrics",
            summary,
            vec![(StatusCode::OK, "The metrics", vec![metrics_text])],
        )],
        varied: false,
        handler: routing::any(metrics),
    }]
}

/// Describes a GET without parameters.
pub(super) fn get(
    id: &'static str,
    summary: &'static str,
    responses: Vec<(StatusCode, &'static str, Vec<Content>)>,
) -> Operation {
    Operation {
        method: Method::GET,
        id,
        summary,
        scope: None,
        parameters: Vec::new(),
        request: Vec::new(),
        responses,
    }
}

async fn livez() -> Response {
    respond(StatusCode::OK, TEXT, "live\n")
}

async fn readyz(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let readiness = Readiness::of(&app);
    let query = request.uri().query().unwrap_or_default();
    let status = if readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "verbose") {
        return Ok(respond(status, TEXT, readiness.text()));
    }
    match readiness.first_lack() {
        None => Ok(respond(status, TEXT, "ready\n")),
        Some(lack) => Err(refused(Wording::Problem.later(status, "ready", lack, 1))),
    }
}

async fn metrics(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    let access = app.access();
    let who = caller.principal();
    access
        .may_read_metrics(who)
        .map_err(|denied| refused(Wording::Problem.denied(&denied)))?;
    let mut text = String::new();
    encode(&mut text, &app.registry).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        refused(Wording::Problem.refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "defect",
            "the metrics could not be written",
        ))
    })?;
    let may_read = |peer: &str| access.may_read(who, peer).is_ok();
    let is_source = [Scope::Ingest, Scope::Operate];
    let is_source = is_source.map(|scope| access.require(who, scope).is_ok());
    let is_told = |label: &str, value: &str| match label {
        "peer" => may_read(value),
        "source" => is_source.contains(&true),
        _ => true,
    };
    Ok(respond(StatusCode::OK, OPEN_METRICS, told(&text, is_told)))
}

/// Returns the metrics without lines whose labels the caller may not see: peers whose view it
/// may not read, and sources, which are names of tokens.
fn told(text: &str, is_told: impl Fn(&str, &str) -> bool) -> String {
    let is_line_told = |line: &&str| {
        let labels = line
            .split_once('{')
            .and_then(|(_, rest)| rest.rsplit_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels).split("\",");
        let mut labels = labels.filter_map(|label| label.split_once("=\""));
        labels.all(|(label, value)| is_told(label, value.trim_end_matches('"')))
    };
    let told = text.split_inclusive('\n').filter(is_line_told);
    told.collect()
}
