//! Limits the rate of clients and the load of the node: middlewares for a router, and a limit
//! that is used where callers are authenticated.
//!
//! * [`Guesses`] limits the wrong credentials of each client.
//! * [`RateLimit`] limits the requests per second of each caller.
//! * [`ConcurrencyLimit`] limits the requests that the node handles at a time.
//! * [`RequestTimeout`] gives up requests that take too long.
//! * [`MemoryLimit`] limits the bytes in memory of answers that are made whole.
//!
//! Each middleware is a value that is made once and laid around routes with
//! `axum::middleware::from_fn_with_state(value, Type::apply)`. Each refuses with the response
//! that a given [`Refuse`] makes of a [`Refusal`], and adds `Retry-After` to it.

mod concurrency;
mod guesses;
mod memory;
mod rate;
mod refusal;
mod settings;
mod timeout;

pub use concurrency::ConcurrencyLimit;
pub use guesses::Guesses;
pub use memory::{Accounted, MemoryLimit};
pub use rate::RateLimit;
pub use refusal::{CallerOf, Reason, Refusal, Refuse};
pub use settings::Settings;
pub use timeout::{Deadline, RequestTimeout};

#[cfg(test)]
pub(in crate::http) mod testing {
    //! Helpers to test the middlewares.

    use std::time::Duration;

    use super::*;
    use crate::runtime::{Clock, ManualClock};
    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::{IntoResponse, Response};
    use http::header;
    use http::request::Parts;
    use jiff::Timestamp;
    use tokio::sync::watch;

    pub const SECOND: Duration = Duration::from_secs(1);

    pub fn refuse(refusal: &Refusal, parts: &Parts) -> Response {
        let body = format!("{} {:?}", parts.uri.path(), refusal.reason);
        (refusal.status, body).into_response()
    }

    pub fn request(name: &'static str, value: &str) -> Request {
        let request = Request::post("/do").header(name, value);
        request.body(Body::empty()).unwrap()
    }

    /// Returns the status, `Retry-After` and body of a response.
    pub async fn told(response: Response) -> (u16, Option<String>, String) {
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 999)
            .await
            .unwrap();
        (status, retry, String::from_utf8(body.to_vec()).unwrap())
    }

    pub struct Bench {
        pub settings: watch::Sender<Settings>,
        pub clock: Clock,
        pub hand: ManualClock,
    }

    impl Bench {
        pub fn new(settings: Settings) -> Bench {
            let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
            Bench {
                settings: watch::Sender::new(settings),
                clock,
                hand,
            }
        }
    }
}
