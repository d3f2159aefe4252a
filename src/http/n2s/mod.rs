//! The network-to-server API over HTTP: its routes, documents and reports, and here what they
//! share.

mod documents;
mod prefer;
mod publication;
mod reports;
mod routes;

pub(super) use routes::routes;

use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use url::form_urlencoded;

use crate::alto::json::Faults;
use crate::auth::Principal;
use crate::ident::SourceName;
use crate::ingest::WriteError;
use crate::render::Coding;
use crate::store::StoreError;

use super::conditional::not_modified;
use super::refusal::{Refused, Wording, faulty, problem, refused, store_full};

fn bad_request(detail: &str) -> Refused {
    refused(problem(
        StatusCode::BAD_REQUEST,
        "request",
        detail,
        &Faults::default(),
    ))
}

/// The query of a request.
#[derive(Default)]
struct Query {
    source: Option<String>,
    dry_run: bool,
    accept: bool,
    after: u64,
}

impl Query {
    /// Reads the query, which may only have the names in `allowed`.
    fn of(parts: &Parts, allowed: &[&str]) -> Result<Self, Refused> {
        let mut query = Self::default();
        for (name, value) in
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            match name.as_ref() {
                name if !allowed.contains(&name) => {
                    return Err(bad_request(&format!(
                        "the query parameter {name:?} is unknown here; known are {}",
                        allowed.join(", ")
                    )));
                }
                "source" => query.source = Some(value.into_owned()),
                "dry-run" => {
                    query.dry_run = value
                        .parse()
                        .map_err(|_| bad_request("dry-run must be true or false"))?;
                }
                "accept" => {
                    query.accept = value
                        .parse()
                        .map_err(|_| bad_request("accept must be true or false"))?;
                }
                _ => {
                    query.after = value
                        .parse()
                        .map_err(|_| bad_request("after must be the number of a revision"))?;
                }
            }
        }
        Ok(query)
    }

    /// Returns the source that the caller means: its own, or one that its token lists.
    fn source(&self, principal: &Principal) -> Result<SourceName, Refused> {
        let Some(name) = &self.source else {
            return Ok(principal.name.clone());
        };
        let source = SourceName::new(name).map_err(|error| bad_request(&error.to_string()))?;
        if principal.may_write_for(&source) {
            return Ok(source);
        }
        let detail = format!(
            "token {} has no source {source}; add it to the token's `sources`",
            principal.name
        );
        Err(refused(problem(
            StatusCode::FORBIDDEN,
            "source",
            &detail,
            &Faults::default(),
        )))
    }
}

fn unchanged(headers: &HeaderMap, current: HeaderValue) -> Option<Response> {
    not_modified(headers, &current).then(|| {
        marked(
            super::refusal::bare(StatusCode::NOT_MODIFIED),
            current,
            Coding::Identity,
        )
    })
}

fn marked(mut response: Response, etag: HeaderValue, coding: Coding) -> Response {
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(
        VARY,
        HeaderValue::from_static("accept-encoding, authorization"),
    );
    if let Some(name) = coding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        let (status, kind) = match error {
            WriteError::Faulty(faults) => return refused(faulty(&faults)),
            WriteError::Precondition => (StatusCode::PRECONDITION_FAILED, "precondition"),
            WriteError::Held(_) => (StatusCode::CONFLICT, "held"),
            WriteError::KeyReused => (StatusCode::CONFLICT, "idempotency-key"),
            WriteError::NoDocument(..) => (StatusCode::NOT_FOUND, "document"),
            WriteError::NotFound(_) => (StatusCode::NOT_FOUND, "revision"),
            WriteError::Gone(_) => (StatusCode::GONE, "revision"),
            WriteError::KeysFull { wait, .. } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let wait = wait.as_secs();
                return refused(Wording::Problem.later(status, "idempotency-key", &detail, wait));
            }
            WriteError::TooMuch(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit"),
            // The client does not wait for the answer any more.
            WriteError::GivenUp => (StatusCode::SERVICE_UNAVAILABLE, "limit"),
            WriteError::Store(error @ StoreError::NoRoom { .. }) => {
                return refused(store_full(&error));
            }
            WriteError::Store(error) => {
                tracing::error!(%error, "a write could not be made durable");
                return refused(going_down());
            }
            error @ (WriteError::Pool(_) | WriteError::Panicked(_)) => return failed(&error),
        };
        refused(problem(status, kind, &detail, &Faults::default()))
    }
}

fn going_down() -> Response {
    let detail = "the node is going down; whether the write was stored is known when it is back: \
                  repeat it then, with the same Idempotency-Key if it had one";
    Wording::Problem.later(StatusCode::SERVICE_UNAVAILABLE, "store", detail, 10)
}

fn failed(error: &dyn std::error::Error) -> Refused {
    tracing::error!(%error, "a request failed");
    let detail = "the node failed to answer; its log says why";
    refused(problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "defect",
        detail,
        &Faults::default(),
    ))
}

fn revision_number(text: &str) -> Result<u64, Refused> {
    text.parse().map_err(|_| {
        let detail = format!("{text:?} is not the number of a revision");
        refused(problem(
            StatusCode::NOT_FOUND,
            "revision",
            &detail,
            &Faults::default(),
        ))
    })
}
