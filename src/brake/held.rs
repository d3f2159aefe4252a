//! Decides for how long a change is held.

use std::time::Duration;

use crate::runtime::Moment;

use super::difference::Gravity;
use super::settings::Hold;
use crate::api::difference::Difference;

/// A change that is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What it removes and moves.
    pub difference: Difference,
    /// The most that any change took since the hold began.
    pub worst: Gravity,
    /// When the hold began, or when the node started if that was later.
    pub since: Moment,
    /// How long it had been held at `since`.
    pub before: Duration,
    /// How much the operator accepted.
    pub accepted: Option<Gravity>,
}

impl Held {
    /// Holds a change from now on, or goes on holding after `former`. The time counts from the
    /// first change that was held, unless this one takes far more. Since nothing takes more
    /// than everything, the hold does not begin anew for ever.
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
            // It exceeds what was accepted of `former`; otherwise it would have been taken.
            accepted: None,
        }
    }

    /// Whether it continues the hold of `former`.
    pub fn goes_on_from(&self, former: &Held) -> bool {
        (self.since, self.before) == (former.since, former.before)
    }

    /// Accepts what is shown of it.
    pub fn accept(&mut self) {
        self.accepted = Some(self.difference.gravity());
    }

    /// Returns how long it has been held.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.since) + self.before
    }

    /// Returns how long it will still be held; `None` means for ever.
    pub fn left(&self, hold: Hold, now: Moment) -> Option<Duration> {
        match hold {
            Hold::For(time) => Some(time.saturating_sub(self.age(now))),
            Hold::Forever => None,
        }
    }

    /// Whether its time is over or it was accepted.
    pub fn is_due(&self, hold: Hold, now: Moment) -> bool {
        self.accepted.is_some() || self.is_over(hold, now)
    }

    /// Whether a change is taken although it would be held: it takes little more than what was
    /// accepted, or than what was held until the time was over.
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
