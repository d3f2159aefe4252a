//! Reads the parameters of a query that is sent by POST.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use bytes::Bytes;

use crate::alto::error::AltoError;

use super::access::require_view;
use super::app::App;
use super::body::{self, BodyError};
use super::caller::{Caller, room_for};
use super::negotiate::{accepts, has_type};
use super::refusal::{Refused, alto, bare, method_not_allowed, no_room, options, refused};

const POST: &str = "POST, OPTIONS";

/// Reads the body of a POST that the caller may make. Its media type must be `taken`; the client
/// must accept `given`, if there is one.
pub(super) async fn posted(
    app: &App,
    caller: &Caller,
    parts: &Parts,
    content: Body,
    view: &str,
    given: Option<&str>,
    taken: &str,
) -> Result<Bytes, Refused> {
    require_view(&app.access(), caller, view)?;
    match parts.method {
        Method::POST => {}
        Method::OPTIONS => return Err(refused(options(POST))),
        _ => return Err(refused(method_not_allowed(POST))),
    }
    if given.is_some_and(|given| !accepts(&parts.headers, given)) {
        return Err(refused(bare(StatusCode::NOT_ACCEPTABLE)));
    }
    if !has_type(&parts.headers, taken) {
        let why = format!("the Content-Type of the request must be {taken}");
        let error = AltoError::syntax(why);
        return Err(refused(alto(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error)));
    }
    let limits = app.bodies_taken().query();
    let room = room_for(app.answers.flight(), parts);
    let content = body::read(content, &limits, &app.clock, room).await;
    let content = content.map_err(|error| match error {
        BodyError::NoRoom(_) => refused(no_room(parts)),
        error => {
            let why = AltoError::syntax(error.to_string());
            refused(alto(error.status(), &why))
        }
    })?;
    // The body may have taken long.
    require_view(&app.access(), caller, view)?;
    Ok(content)
}
