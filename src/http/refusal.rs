//! Refusals as responses: ALTO errors, problem details, and bare statuses. This module decides
//! what a client is told; what went wrong is logged where it happened.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::alto::error::AltoError;
use crate::alto::json::{FaultKind, Faults};
use crate::alto::media;
use crate::api::problem::{Fault, Problem};
use crate::auth::{Denied, Scope};
use crate::render::NoRoom;
use crate::store::StoreError;

use super::limit::{Reason, Refusal};

/// The header of a write that may be repeated (draft-ietf-httpapi-idempotency-key-header).
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Makes a response with a body of a media type.
pub(super) fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Makes a response with a JSON document.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let text = serde_json::to_vec(document).unwrap_or_default();
    respond(status, media::JSON, text)
}

/// A response that takes the place of an answer.
#[derive(Debug)]
pub(super) struct Refused(Box<Response>);

impl Refused {
    /// Returns the status of the response.
    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// Makes a refusal of a response.
pub(super) fn refused(response: Response) -> Refused {
    Refused(Box::new(response))
}

/// Makes a response without a body.
pub(super) fn bare(status: StatusCode) -> Response {
    status.into_response()
}

/// Makes the response 405 with the methods that there are.
pub(super) fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Makes the answer to `OPTIONS`.
pub(super) fn options(allow: &'static str) -> Response {
    let mut response = bare(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Makes the response with an ALTO error.
pub(super) fn alto(status: StatusCode, error: &AltoError) -> Response {
    respond(status, media::ERROR, error.body())
}

/// How a part of the API words its refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// For ALTO resources: an ALTO error if RFC 7285 has a code for it, otherwise no body, since
    /// §8.5.2 allows no other codes and §8.3.3 no other type.
    Alto,
    /// For everything else: problem details.
    Problem,
}

impl Wording {
    /// Returns the wording of the API that a path belongs to.
    pub(super) fn of(path: &str) -> Self {
        if path == "/directory" || path.starts_with("/views/") {
            Wording::Alto
        } else {
            Wording::Problem
        }
    }

    /// Makes a refusal in this wording.
    pub(super) fn refuse(self, status: StatusCode, kind: &str, detail: &str) -> Response {
        match self {
            Wording::Alto => bare(status),
            Wording::Problem => problem(status, kind, detail, &Faults::default()),
        }
    }

    /// Makes a refusal after which the client may try again in `seconds` seconds.
    pub(super) fn later(
        self,
        status: StatusCode,
        kind: &str,
        detail: &str,
        seconds: u64,
    ) -> Response {
        let mut response = self.refuse(status, kind, detail);
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        response
    }

    /// Makes the response 401, 403 or 400 with the challenge of RFC 6750 §3.
    pub(super) fn denied(self, denied: &Denied) -> Response {
        let (status, challenge) = match denied {
            Denied::Missing(scope) => (StatusCode::UNAUTHORIZED, challenge(None, Some(*scope))),
            Denied::Malformed | Denied::Repeated => (
                StatusCode::BAD_REQUEST,
                challenge(Some(("invalid_request", denied)), None),
            ),
            Denied::Unknown => (
                StatusCode::UNAUTHORIZED,
                challenge(Some(("invalid_token", denied)), None),
            ),
            Denied::Scope(scope) => (
                StatusCode::FORBIDDEN,
                challenge(Some(("insufficient_scope", denied)), Some(*scope)),
            ),
        };
        let mut response = self.refuse(status, "access", &denied.to_string());
        if let Ok(value) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

fn challenge(error: Option<(&str, &Denied)>, scope: Option<Scope>) -> String {
    let mut challenge = "Bearer realm=\"altofed\"".to_owned();
    if let Some((code, denied)) = error {
        // A quoted string of RFC 6750 §3 contains neither quotes nor backslashes.
        let text = denied.to_string().replace(['"', '\\', '`'], "'");
        challenge += &format!(", error=\"{code}\", error_description=\"{text}\"");
    }
    if let Some(scope) = scope {
        challenge += &format!(", scope=\"{}\"", scope.as_str());
    }
    challenge
}

/// Makes the response 507: the disk is full, and nothing was changed.
pub(super) fn store_full(error: &StoreError) -> Response {
    let detail = format!("nothing was changed: {error}");
    let status = StatusCode::INSUFFICIENT_STORAGE;
    Wording::Problem.later(status, "room", &detail, 30)
}

/// Makes problem details with the faults found in the body.
pub(super) fn problem(status: StatusCode, kind: &str, detail: &str, faults: &Faults) -> Response {
    let document = Problem {
        kind: format!("urn:altofed:problem:{kind}"),
        title: status.canonical_reason().unwrap_or("Refused").to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        errors: faults
            .listed()
            .iter()
            .map(|fault| Fault {
                pointer: fault.pointer(),
                detail: fault.detail.clone(),
            })
            .collect(),
    };
    let text = serde_json::to_vec(&document).unwrap_or_default();
    respond(status, media::PROBLEM, text)
}

/// Makes problem details of a faulty body: 400 if it cannot be read, 422 if it can be read but
/// not used.
pub(super) fn faulty(faults: &Faults) -> Response {
    let unreadable = faults.listed().iter().any(|fault| {
        matches!(
            fault.kind,
            FaultKind::Syntax | FaultKind::Missing | FaultKind::Type(_)
        )
    });
    let status = if unreadable {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let detail = match faults.total() {
        1 => "1 fault was found; nothing was changed".to_owned(),
        count => format!("{count} faults were found; nothing was changed"),
    };
    problem(status, "faulty", &detail, faults)
}

/// Makes the response to a request whose body or answer finds no room in memory.
pub(super) fn no_room(parts: &Parts) -> Response {
    Refusal::from(NoRoom).respond(refuse, parts)
}

/// Makes the response to a request that a limit refuses.
pub(super) fn refuse(refusal: &Refusal, parts: &Parts) -> Response {
    let wording = Wording::of(parts.uri.path());
    let mut detail = refusal.reason.to_string();
    // This request did nothing, but the one that it repeats may have.
    if refusal.reason == Reason::Timeout && parts.headers.contains_key(IDEMPOTENCY_KEY) {
        detail += "; one before it with the same Idempotency-Key may be under way still";
    }
    let kind = match refusal.reason {
        Reason::Unfinished => "unfinished",
        _ => "limit",
    };
    wording.refuse(refusal.status, kind, &detail)
}
