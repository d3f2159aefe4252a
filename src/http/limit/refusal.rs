//! Requests that a limit refuses.

use std::time::Duration;

use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use crate::render::{Caller, NoRoom};

/// When a request that found no room in memory may try again.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// Returns on whose account a request is counted; none for requests that no limit applies to.
pub type CallerOf = fn(&Parts) -> Option<Caller>;

/// Makes the response to a refused request.
pub type Refuse = fn(&Refusal, &Parts) -> Response;

/// Why and how a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with.
    pub status: StatusCode,
    /// How long the client should wait before it tries again.
    pub retry_after: Duration,
    /// Why it is refused.
    pub reason: Reason,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Its caller makes too many requests.
    #[error("too many requests from this caller; spread them out")]
    Rate,
    /// Its client has shown too many wrong credentials.
    #[error(
        "too many wrong credentials were shown from this address; for now only credentials that \
         were right from here before are checked"
    )]
    Guesses,
    /// Too many requests are under way.
    #[error("the server has all the requests under way that it can carry; try again shortly")]
    Overload,
    /// There is no room in memory for its body or its answer.
    #[error(transparent)]
    Memory(NoRoom),
    /// It took too long, and nothing was changed.
    #[error(
        "the request took longer than the server allows and was given up before it changed \
         anything; ask for less at once, or later"
    )]
    Timeout,
    /// It took too long, and is being finished.
    #[error(
        "the change took longer than the server waits for; it is under way, and will be done or \
         refused. Repeat it with the same Idempotency-Key to learn how it ended; without one, read \
         what is there now"
    )]
    Unfinished,
}

impl Refusal {
    /// Returns the response that `refuse` makes, with `Retry-After` in whole seconds, at least
    /// one (RFC 9110 §10.2.3).
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
