//! Limits the rate of each caller.

use std::collections::HashMap;
use std::ops::Add;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::Reference;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::request::Parts;
use tokio::sync::watch;

use super::{CallerOf, Reason, Refusal, Refuse, Settings};
use crate::render::Caller;
use crate::runtime::{Clock, Moment, lock};

/// How many callers' rates are remembered individually. All others share one rate, so that a
/// flood of addresses takes memory only up to here, and then only limits itself.
const MAX_CALLERS: usize = 65_536;

/// How often callers are forgotten whose limit has recovered.
const SWEEP: Duration = Duration::from_secs(1);

/// Limits the requests per second of each caller.
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

/// The limiter in force, and the quota that it was made with.
#[derive(Debug)]
struct Limiter {
    quota: Option<Quota>,
    governor: Option<Arc<Governor>>,
    swept: Moment,
}

/// The state that governor remembers of callers: at most [`MAX_CALLERS`], and one value for all
/// others.
#[derive(Debug, Default)]
struct Callers(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    callers: HashMap<Caller, Nanos>,
    rest: Option<Nanos>,
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

    /// The middleware: answers 429 to a caller above its rate.
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

    /// Returns the limiter by the present settings, swept from time to time; none without a
    /// limit. A change of the settings forgets what callers have used.
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
        remembered.callers.retain(|_, state| *state > drop_below);
    }

    fn len(&self) -> usize {
        lock(&self.0).callers.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, SECOND, refuse, request, told};
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use std::net::IpAddr;
    use tower::ServiceExt;

    /// Returns the address in the header `from`, or the principal in `as`.
    fn caller_of(parts: &Parts) -> Option<Caller> {
        let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap());
        if let Some(principal) = header("as") {
            return Some(Caller::Principal(principal.into()));
        }
        let address: IpAddr = header("from")?.parse().unwrap();
        Some(Caller::Client(address.into()))
    }

    fn rates(bench: &Bench) -> RateLimit {
        let settings = bench.settings.subscribe();
        RateLimit::new(settings, bench.clock.clone(), caller_of, refuse)
    }

    fn rate(requests_per_second: u32, burst: u32) -> Settings {
        Settings {
            requests_per_second,
            burst,
            ..Settings::default()
        }
    }

    fn limited(limit: RateLimit) -> Router {
        let handler = post(async || "done");
        let router = Router::new().route("/do", handler);
        router.layer(from_fn_with_state(limit, RateLimit::apply))
    }

    async fn status(router: &Router, name: &'static str, value: &str) -> u16 {
        let response = router.clone().oneshot(request(name, value)).await;
        response.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_caller_above_its_rate_is_told_429_and_when_to_come_again() {
        let bench = Bench::new(rate(1, 3));
        let router = limited(rates(&bench));
        for _ in 0..3 {
            assert_eq!(status(&router, "from", "192.0.2.1").await, 200);
        }
        let refused = request("from", "192.0.2.1");
        let refused = told(router.clone().oneshot(refused).await.unwrap()).await;
        assert_eq!(refused, (429, Some("1".into()), "/do Rate".into()));
        assert_eq!(status(&router, "from", "192.0.2.2").await, 200);
        bench.hand.advance(SECOND);
        assert_eq!(status(&router, "from", "192.0.2.1").await, 200);
        assert_eq!(status(&router, "from", "192.0.2.1").await, 429);
    }

    #[tokio::test]
    async fn callers_are_addresses_or_networks_or_principals_as_the_key_says() {
        let bench = Bench::new(rate(1, 1));
        let router = limited(rates(&bench));
        assert_eq!(status(&router, "from", "2001:db8::1").await, 200);
        assert_eq!(status(&router, "from", "2001:db8::2").await, 429);
        assert_eq!(status(&router, "as", "noc").await, 200);
        assert_eq!(status(&router, "as", "noc").await, 429);
        for _ in 0..3 {
            assert_eq!(status(&router, "nobody", "").await, 200);
        }
    }

    #[tokio::test]
    async fn a_changed_rate_holds_at_once_and_zero_is_no_limit() {
        let bench = Bench::new(rate(1, 1));
        let router = limited(rates(&bench));
        assert_eq!(status(&router, "as", "noc").await, 200);
        assert_eq!(status(&router, "as", "noc").await, 429);
        bench.settings.send_replace(rate(0, 1));
        for _ in 0..9 {
            assert_eq!(status(&router, "as", "noc").await, 200);
        }
        bench.settings.send_replace(rate(1, 2));
        assert_eq!(status(&router, "as", "noc").await, 200);
        assert_eq!(status(&router, "as", "noc").await, 200);
        assert_eq!(status(&router, "as", "noc").await, 429);
    }

    #[test]
    fn callers_are_remembered_up_to_a_number_and_the_rest_share_one_rate() {
        let bench = Bench::new(rate(1, 2));
        let limit = rates(&bench);
        let check = |caller: String| {
            let request = Request::post("/do").header("as", caller);
            let parts = request.body(()).unwrap().into_parts().0;
            limit.0.check(&parts)
        };
        for caller in 0..MAX_CALLERS {
            check(caller.to_string()).unwrap();
        }
        check("new 1".into()).unwrap();
        check("new 2".into()).unwrap();
        assert!(
            check("new 3".into()).is_err(),
            "shares what 1 and 2 have used"
        );
        check("7".into()).unwrap();
        assert_eq!(limit.0.governor().unwrap().len(), MAX_CALLERS);

        bench.hand.advance(5 * SECOND);
        check("new 4".into()).unwrap();
        assert_eq!(
            limit.0.governor().unwrap().len(),
            1,
            "the others are as good as new"
        );
    }
}
