//! The responses to requests whose answer is not available.

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use crate::alto::error::AltoError;
use crate::publish::{Exceeded, Rendering};
use crate::render::Unanswered;

use super::refusal::{Refused, Wording, alto, bare, no_room, refused};

/// Refuses a query whose answer would take more than one answer may.
pub(super) fn too_much(rendering: &Rendering, exceeded: &Exceeded) -> Refused {
    let value = format!("{exceeded}: ask for less at once");
    let error = AltoError::invalid_value(rendering.sized_by(), value);
    refused(alto(StatusCode::BAD_REQUEST, &error))
}

/// Makes the response to a request whose answer is not available now.
pub(super) fn unanswered(error: &Unanswered, parts: &Parts) -> Response {
    match error {
        Unanswered::NoRoom => no_room(parts),
        Unanswered::TooLarge { .. } => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Wording::of(parts.uri.path()).refuse(status, "limit", &error.to_string())
        }
        Unanswered::Pool(error) => failed(error),
        Unanswered::CutOff(error) => failed(error),
    }
}

/// Makes the response for a failure of the node, and logs the failure.
pub(super) fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "a request failed");
    bare(StatusCode::INTERNAL_SERVER_ERROR)
}
