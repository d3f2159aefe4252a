//! Holding clients to a rate and the node to a load: three middlewares for a router.
//!
//! Each is a value made once and laid around routes with
//! `axum::middleware::from_fn_with_state(value, Type::apply)`. Each refuses with the response
//! that a given [`Refuse`] makes of a [`Refusal`], and adds `Retry-After` to it.

use std::collections::HashMap;
use std::ops::Add;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use governor::clock::Reference;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::peer::Client;
use super::settings::at_least;
use crate::runtime::{Clock, Moment, duration};

/// The callers whose rate is remembered one by one. All further ones share one rate, so that a
/// flood of addresses costs memory up to here and then only its own kind.
const MAX_CALLERS: usize = 65_536;

/// How often callers are forgotten that are as good as new.
const SWEEP: Duration = Duration::from_secs(1);

/// When a request refused for load may try again: load passes quickly.
const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// When a request that took too long may try again.
const TIMEOUT_RETRY: Duration = Duration::from_secs(5);

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
    /// The requests that may be under way at a time, above which a newcomer is answered 503.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_concurrent_requests: usize,
    /// The time that a request may take once its body has come, above which it is given up and
    /// answered 503.
    #[serde(with = "duration::positive")]
    pub request_timeout: Duration,
}

/// Who a request is counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A client known by address only; see [`Peer::client`](super::Peer::client).
    Client(Client),
    /// An authenticated principal, wherever it calls from.
    Principal(Arc<str>),
}

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
    /// Too many are under way.
    #[error("the server has all the requests under way that it can carry; try again shortly")]
    Overload,
    /// It took too long.
    #[error("the request took longer than the server allows; ask for less at once")]
    Timeout,
}

/// Holds each caller to a rate.
#[derive(Clone, Debug)]
pub struct RateLimit(Arc<Rates>);

#[derive(Debug)]
struct Rates {
    settings: watch::Receiver<Settings>,
    clock: Clock,
    caller_of: CallerOf,
    refuse: Refuse,
    limiter: Mutex<Limiter>,
}

type Governor = RateLimiter<Caller, Callers, Clock, NoOpMiddleware<Moment>>;

/// The rates in force, and what they were made of.
#[derive(Debug)]
struct Limiter {
    quota: Option<Quota>,
    governor: Option<Arc<Governor>>,
    swept: Moment,
}

/// What governor remembers of callers: at most [`MAX_CALLERS`], and one value for the rest.
#[derive(Debug, Default)]
struct Callers(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    callers: HashMap<Caller, Nanos>,
    rest: Option<Nanos>,
}

/// Holds the node to a number of requests at a time. Not for routes that wait by design, such as
/// streams before their first event: there the number would be used up by those that wait.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    settings: watch::Receiver<Settings>,
    refuse: Refuse,
    under_way: Arc<AtomicUsize>,
}

/// A request under way.
struct UnderWay(Arc<AtomicUsize>);

/// Gives up requests that take too long. The time runs from the last piece of the request's body
/// that was read to the head of the response: a body that does not come is its reader's to
/// refuse (see [`super::body`]), and a response on its way is the connection's to watch.
#[derive(Clone, Debug)]
pub struct RequestTimeout {
    settings: watch::Receiver<Settings>,
    clock: Clock,
    refuse: Refuse,
}

/// A request's body that notes when a piece of it is read.
struct Noted {
    body: Body,
    clock: Clock,
    last: Arc<Mutex<Moment>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            requests_per_second: 500,
            burst: 1000,
            max_concurrent_requests: 1024,
            request_timeout: Duration::from_secs(30),
        }
    }
}

impl Refusal {
    /// The response that `refuse` makes, with `Retry-After` in whole seconds, one at least
    /// (RFC 9110, section 10.2.3).
    fn respond(&self, refuse: Refuse, parts: &Parts) -> Response {
        let mut response = refuse(self, parts);
        let seconds = self.retry_after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

impl RateLimit {
    /// Limits the callers that `caller_of` names.
    pub fn new(
        settings: watch::Receiver<Settings>,
        clock: Clock,
        caller_of: CallerOf,
        refuse: Refuse,
    ) -> RateLimit {
        let limiter = Mutex::new(Limiter {
            quota: None,
            governor: None,
            swept: clock.now(),
        });
        RateLimit(Arc::new(Rates {
            settings,
            clock,
            caller_of,
            refuse,
            limiter,
        }))
    }

    /// The middleware: 429 for a caller above its rate.
    pub async fn apply(State(limit): State<RateLimit>, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        match limit.0.check(&parts) {
            Err(refusal) => refusal.respond(limit.0.refuse, &parts),
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
        }
    }
}

impl Rates {
    fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let (Some(caller), Some(governor)) = ((self.caller_of)(parts), self.governor()) else {
            return Ok(());
        };
        governor.check_key(&caller).map_err(|until| Refusal {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: until.wait_time_from(self.clock.now()),
            reason: Reason::Rate,
        })
    }

    /// The rates by the present settings, swept from time to time; none without a limit. A
    /// change of the settings forgets what callers have used.
    fn governor(&self) -> Option<Arc<Governor>> {
        let quota = self.settings.borrow().quota();
        let now = self.clock.now();
        let mut limiter = lock(&self.limiter);
        if limiter.quota != quota {
            let governor = |quota| RateLimiter::new(quota, Callers::default(), self.clock.clone());
            limiter.quota = quota;
            limiter.governor = quota.map(governor).map(Arc::new);
            limiter.swept = now;
        }
        let due = now - limiter.swept >= SWEEP;
        if due {
            limiter.swept = now;
        }
        let governor = limiter.governor.clone();
        drop(limiter);
        if let (true, Some(governor)) = (due, &governor) {
            governor.retain_recent();
        }
        governor
    }
}

impl Settings {
    fn quota(&self) -> Option<Quota> {
        let rate = self.requests_per_second.try_into().ok()?;
        let burst = self.burst.try_into().unwrap_or(rate);
        Some(Quota::per_second(rate).allow_burst(burst))
    }
}

impl StateStore for Callers {
    type Key = Caller;

    fn measure_and_replace<T, F, E>(&self, caller: &Caller, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut remembered = lock(&self.0);
        if let Some(state) = remembered.callers.get_mut(caller) {
            let (outcome, next) = measure(Some(*state))?;
            *state = next;
            return Ok(outcome);
        }
        if remembered.callers.len() >= MAX_CALLERS {
            let (outcome, next) = measure(remembered.rest)?;
            remembered.rest = Some(next);
            return Ok(outcome);
        }
        let (outcome, next) = measure(None)?;
        remembered.callers.insert(caller.clone(), next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Caller> for Callers {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut remembered = lock(&self.0);
        remembered.callers.retain(|_, state| *state >= drop_below);
    }

    fn len(&self) -> usize {
        lock(&self.0).callers.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ConcurrencyLimit {
    /// Limits the requests under way in all routes that this value is laid around.
    pub fn new(settings: watch::Receiver<Settings>, refuse: Refuse) -> ConcurrencyLimit {
        ConcurrencyLimit {
            settings,
            refuse,
            under_way: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The requests under way now.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// The middleware: 503 for a request above the number. One is under way until the head of
    /// its response is made, or its client has gone.
    pub async fn apply(
        State(limit): State<ConcurrencyLimit>,
        request: Request,
        next: Next,
    ) -> Response {
        match limit.begin() {
            Some(_under_way) => next.run(request).await,
            None => {
                let refusal = Refusal {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    retry_after: OVERLOAD_RETRY,
                    reason: Reason::Overload,
                };
                refusal.respond(limit.refuse, &request.into_parts().0)
            }
        }
    }

    fn begin(&self) -> Option<UnderWay> {
        let max = self.settings.borrow().max_concurrent_requests;
        let one_more = |count| (count < max).then_some(count + 1);
        self.under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| UnderWay(self.under_way.clone()))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RequestTimeout {
    /// Limits the time of each request.
    pub fn new(
        settings: watch::Receiver<Settings>,
        clock: Clock,
        refuse: Refuse,
    ) -> RequestTimeout {
        RequestTimeout {
            settings,
            clock,
            refuse,
        }
    }

    /// The middleware: 503 for a request that takes too long; its handler is dropped.
    pub async fn apply(
        State(limit): State<RequestTimeout>,
        request: Request,
        next: Next,
    ) -> Response {
        let within = limit.settings.borrow().request_timeout;
        let (parts, body) = request.into_parts();
        let asked = parts.clone();
        let last = Arc::new(Mutex::new(limit.clock.now()));
        let body = Body::new(Noted {
            body,
            clock: limit.clock.clone(),
            last: last.clone(),
        });
        let mut response = std::pin::pin!(next.run(Request::from_parts(parts, body)));
        loop {
            let deadline = *lock(&last) + within;
            tokio::select! {
                biased;
                response = response.as_mut() => return response,
                () = limit.clock.sleep_until(deadline) => (),
            }
            if *lock(&last) + within == deadline {
                break;
            }
        }
        let refusal = Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: TIMEOUT_RETRY,
            reason: Reason::Timeout,
        };
        refusal.respond(limit.refuse, &asked)
    }
}

impl http_body::Body for Noted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        *lock(&self.last) = self.clock.now();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl governor::clock::Clock for Clock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Clock::now(self)
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Moment) -> Nanos {
        self.since(earlier).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Moment {
        let earlier = self.instant().checked_sub(duration.into());
        earlier.map_or(*self, Moment::from)
    }
}

impl Add<Nanos> for Moment {
    type Output = Moment;

    fn add(self, duration: Nanos) -> Moment {
        self + Duration::from(duration)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
