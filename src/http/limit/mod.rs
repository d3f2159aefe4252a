//! Holding clients to a rate and the node to a load: four middlewares for a router, and a
//! limit for the one that finds out who calls.
//!
//! * [`Guesses`] holds each client to a number of wrong credentials.
//! * [`RateLimit`] holds each caller to a number of requests per second.
//! * [`ConcurrencyLimit`] holds the node to a number of requests at a time.
//! * [`RequestTimeout`] gives up requests that take too long.
//! * [`Flight`] holds the requests and answers in memory to a number of bytes.
//!
//! Each middleware is a value made once and laid around routes with
//! `axum::middleware::from_fn_with_state(value, Type::apply)`. Each refuses with the response
//! that a given [`Refuse`] makes of a [`Refusal`], and adds `Retry-After` to it.

mod concurrency;
mod flight;
mod guesses;
mod rate;
mod timeout;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::answers::BESIDE;
use crate::publish::WorkLimits;
use crate::runtime::{at_least, duration};

pub use concurrency::ConcurrencyLimit;
pub use flight::{Accounted, Flight, NoRoom, Room};
pub use guesses::Guesses;
pub use rate::{Caller, CallerOf, RateLimit};
pub use timeout::{Deadline, RequestTimeout};

/// The least share of the bytes in flight: with less, a full map could not be packed.
const LEAST_SHARE: u64 = 8 * 1024 * 1024;

/// The limits on requests. All are hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The requests that one caller may make per second in the long run; 0 for no limit. The
    /// default is some hundred times what an application asks that reads its maps when they
    /// change, since an address may stand for all that is behind a proxy or a carrier's NAT,
    /// and a small part of what a node can answer.
    pub requests_per_second: u32,
    /// The requests that a caller may make at once after a pause.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub burst: u32,
    /// The wrong credentials that one client may show in a minute, above which what it shows is
    /// not looked at and answered 429, unless it was right from there before; 0 for no limit. The
    /// default lets a person mistype and a few machines run with a token that was replaced.
    pub wrong_credentials_per_minute: u32,
    /// The requests that may be under way at a time, above which a newcomer is answered 503.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_concurrent_requests: usize,
    /// The time that a request may take once its body has come, above which it is given up and
    /// answered 503.
    #[serde(with = "duration::positive")]
    pub request_timeout: Duration,
    /// The cells that one answer to a query may read and test: pairs times the cost types that
    /// are read and the comparisons made for each, and what it takes to compute costs between
    /// networks.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_answer_cells: u64,
    /// About how many bytes one answer to a query may have.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_answer_bytes: u64,
    /// The bytes of queries and answers that may be in memory until their clients have taken
    /// them; bodies that are kept (`publish.cache_bytes`) are not counted.
    #[serde(deserialize_with = "at_least::<{ LEAST_SHARE }, _, _>")]
    pub max_bytes_in_flight: u64,
    /// How many of these bytes one caller may hold: no more than may be waited for
    /// ([`FlightBudget`]).
    #[serde(deserialize_with = "at_least::<{ LEAST_SHARE }, _, _>")]
    pub max_bytes_per_client: u64,
    /// How long a request waits for room among these bytes before it is answered 503.
    #[serde(with = "duration::positive")]
    pub max_wait: Duration,
    /// The bytes of bodies of the network-to-server API that may be in memory, three quarters of
    /// them one principal's.
    #[serde(deserialize_with = "at_least::<65536, _, _>")]
    pub max_ingest_bytes_in_flight: u64,
    /// The bytes of views that were replaced and are in memory for answers on their way alone.
    /// Above it the answers of the view that was replaced first are cut off.
    pub max_replaced_bytes: u64,
}

/// What may be in memory for callers.
#[derive(Clone, Copy, Debug)]
pub struct FlightBudget {
    /// The bytes for all callers.
    pub all: u64,
    /// The bytes for one of them.
    pub of_caller: u64,
    /// Of all, what is for small answers alone, which take room at once or not at all.
    pub for_small: u64,
}

impl FlightBudget {
    /// The bytes for bodies of requests, and for answers that wait for room.
    fn waited_for(&self) -> u64 {
        self.all - self.for_small
    }

    /// The most that one answer may ever take.
    pub fn largest(&self) -> u64 {
        self.of_caller.min(self.waited_for())
    }
}

impl Settings {
    /// What one answer to a query may take.
    pub(in crate::http) fn work(&self) -> WorkLimits {
        WorkLimits {
            cells: self.max_answer_cells,
            cells_key: "max_answer_cells",
            bytes: self.max_answer_bytes,
            memory: self.answers().largest().saturating_sub(BESIDE),
        }
    }

    /// What queries and answers may take.
    pub fn answers(&self) -> FlightBudget {
        FlightBudget {
            all: self.max_bytes_in_flight,
            of_caller: self.max_bytes_per_client,
            for_small: self.max_bytes_in_flight / 8,
        }
    }

    /// What bodies of the network-to-server API may take.
    pub fn ingest(&self) -> FlightBudget {
        FlightBudget {
            all: self.max_ingest_bytes_in_flight,
            of_caller: self.max_ingest_bytes_in_flight - self.max_ingest_bytes_in_flight / 4,
            for_small: 0,
        }
    }
}

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
    #[error(
        "the requests and answers under way take all the memory that there is for them; take what \
         you asked for, and try again shortly"
    )]
    Memory,
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

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            requests_per_second: 500,
            burst: 1000,
            wrong_credentials_per_minute: 30,
            max_concurrent_requests: 1024,
            request_timeout: Duration::from_secs(30),
            max_answer_cells: 16_000_000,
            max_answer_bytes: 512 * 1024 * 1024,
            max_bytes_in_flight: 256 * 1024 * 1024,
            max_bytes_per_client: 64 * 1024 * 1024,
            max_wait: Duration::from_secs(5),
            max_ingest_bytes_in_flight: 512 * 1024 * 1024,
            max_replaced_bytes: 256 * 1024 * 1024,
        }
    }
}

impl Refusal {
    /// The response that `refuse` makes, with `Retry-After` in whole seconds, one at least
    /// (RFC 9110, section 10.2.3).
    pub(in crate::http) fn respond(&self, refuse: Refuse, parts: &Parts) -> Response {
        let mut response = refuse(self, parts);
        let seconds = self.retry_after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(in crate::http) mod testing {
    //! A bench to try the middlewares on.

    use super::*;
    use crate::runtime::{Clock, ManualClock};
    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::IntoResponse;
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

    /// The status, `Retry-After` and body of a response.
    pub async fn told(response: Response) -> (u16, Option<String>, String) {
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 999)
            .await
            .unwrap();
        (status, retry, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Room for what a test reads.
    pub fn room() -> Room {
        let Settings {
            max_bytes_in_flight,
            max_bytes_per_client,
            ..
        } = Settings::default();
        flight(max_bytes_in_flight, max_bytes_per_client).nothing(&Caller::Node)
    }

    /// Memory for answers.
    pub fn flight(max_bytes_in_flight: u64, max_bytes_per_client: u64) -> Flight {
        let bench = Bench::new(Settings {
            max_bytes_in_flight,
            max_bytes_per_client,
            ..Settings::default()
        });
        let (settings, clock) = (bench.settings.subscribe(), bench.clock);
        Flight::new(settings, Settings::answers, clock, |_| None, refuse)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_settings_are_the_defaults_and_none_that_would_refuse_everything_are_read() {
        let read = toml::from_str::<Settings>;
        assert_eq!(read("").unwrap(), Settings::default());
        assert!(read("requests_per_second = 0").is_ok());
        for text in [
            "burst = 0",
            "max_concurrent_requests = 0",
            "request_timeout = \"0s\"",
            "max_answer_cells = 0",
            "max_bytes_in_flight = 1000",
            "max_bytes_per_client = 8388607",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
