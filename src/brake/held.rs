//! For how long a change is held.

use std::time::Duration;

use crate::runtime::Moment;

use super::difference::Gravity;
use super::settings::Hold;
use crate::api::difference::Difference;

/// A change that is held: what it comes to, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What it comes to.
    pub difference: Difference,
    /// How much the worst of what came since the hold began takes.
    pub worst: Gravity,
    /// Since when it is held, or when we started if it was before.
    pub since: Moment,
    /// How long it was held then.
    pub before: Duration,
    /// How much is accepted.
    pub accepted: Option<Gravity>,
}

impl Held {
    /// A change that is held from now on, or goes on to be after `former`: the time
    /// counts from the first that was, as long as none comes that takes far more.
    /// Since nothing takes more than all, it does not begin anew for ever.
    pub fn new(difference: Difference, former: Option<&Held>, now: Moment) -> Self {
        let gravity = difference.gravity();
        let (since, before, worst) = match former {
            Some(former) if !gravity.exceeds(&former.worst) => {
                (former.since, former.before, former.worst)
            }
            Some(former) => (now, Duration::ZERO, gravity.join(&former.worst)),
            None => (now, Duration::ZERO, gravity),
        };
        Self {
            difference,
            worst,
            since,
            before,
            // What was accepted was less, or it would have been taken.
            accepted: None,
        }
    }

    /// Whether it goes on since the time of `former`.
    pub fn goes_on_from(&self, former: &Held) -> bool {
        (self.since, self.before) == (former.since, former.before)
    }

    /// Accepts what is shown of it.
    pub fn accept(&mut self) {
        self.accepted = Some(self.difference.gravity());
    }

    /// How long it is held.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.since) + self.before
    }

    /// How long it will be held; `None` for ever.
    pub fn left(&self, hold: Hold, now: Moment) -> Option<Duration> {
        match hold {
            Hold::For(time) => Some(time.saturating_sub(self.age(now))),
            Hold::Forever => None,
        }
    }

    /// Whether its time is over, or it is accepted.
    pub fn is_due(&self, hold: Hold, now: Moment) -> bool {
        self.accepted.is_some() || self.is_over(hold, now)
    }

    /// Whether what comes now is taken all the same: it takes little more than what
    /// was accepted, or than what was held until the time was over.
    pub fn lets_pass(&self, difference: &Difference, hold: Hold, now: Moment) -> bool {
        let gravity = difference.gravity();
        let is_over = self.is_over(hold, now) && !gravity.exceeds(&self.worst);
        is_over
            || self
                .accepted
                .is_some_and(|accepted| !gravity.exceeds(&accepted))
    }

    fn is_over(&self, hold: Hold, now: Moment) -> bool {
        self.left(hold, now).is_some_and(|left| left.is_zero())
    }
}
