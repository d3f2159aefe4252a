//! Requests that a limit does not let through.

use std::time::Duration;

use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use crate::render::{Caller, NoRoom};

/// When a request that found no room in memory may try again.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// Tells who a request is counted for; none is for requests that no limit holds for.
pub type CallerOf = fn(&Parts) -> Option<Caller>;

/// Makes the response to a refused request.
pub type Refuse = fn(&Refusal, &Parts) -> Response;

/// A request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with.
    pub status: StatusCode,
    /// When to try again.
    pub retry_after: Duration,
    /// Why.
    pub reason: Reason,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Its caller makes too many.
    #[error("too many requests from this caller; spread them out")]
    Rate,
    /// Its client has shown too many wrong credentials.
    #[error(
        "too many wrong credentials were shown from this address; for now nothing is looked at but \
         what was right from here before"
    )]
    Guesses,
    /// Too many are under way.
    #[error("the server has all the requests under way that it can carry; try again shortly")]
    Overload,
    /// Its body or its answer finds no room.
    #[error(transparent)]
    Memory(NoRoom),
    /// It took too long, and nothing was changed.
    #[error(
        "the request took longer than the server allows and was given up before it changed \
         anything; ask for less at once, or later"
    )]
    Timeout,
    /// It took too long, and is done to its end.
    #[error(
        "the change took longer than the server waits for; it is under way, and will be done or \
         refused. A repeat with the same Idempotency-Key is told how it ended; without one, read \
         what is there now"
    )]
    Unfinished,
}

impl Refusal {
    /// The response that `refuse` makes, with `Retry-After` in whole seconds, one at least
    /// (RFC 9110, section 10.2.3).
    pub fn respond(&self, refuse: Refuse, parts: &Parts) -> Response {
        let mut response = refuse(self, parts);
        let seconds = self.retry_after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

impl From<NoRoom> for Refusal {
    fn from(none: NoRoom) -> Self {
        Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: ROOM_RETRY,
            reason: Reason::Memory(none),
        }
    }
}
