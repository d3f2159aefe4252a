//! Paces the work that others can cause.

use std::time::Duration;

use crate::runtime::Moment;

/// Paces one kind of work: the first time it is done at once. As long as it is wanted again at
/// once, it is then done after waits that double each time. Each calm period as long as a wait
/// takes that wait back.
///
/// Work that is wanted at intervals of at least twice the shortest wait is never delayed. Work
/// that is wanted more often is done at that rate at most in the long run, and once per longest
/// wait if the demand never pauses.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    shortest: Duration,
    longest: Duration,
    /// How many waits are not taken back yet.
    steps: u32,
    last: Option<Moment>,
}

impl Pace {
    /// Makes a pace of which nothing was done yet.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            steps: 0,
            last: None,
        }
    }

    /// Returns when the work may be done next; `None` if it was never done, so that it may be
    /// done at once.
    pub(super) fn due(&self) -> Option<Moment> {
        self.last.map(|last| last + self.wait())
    }

    /// Notes that the work is done.
    pub(super) fn done(&mut self, now: Moment) {
        if let Some(last) = self.last {
            let mut calm = now.since(last).saturating_sub(self.wait());
            while self.steps > 0 && calm >= self.wait() {
                calm -= self.wait();
                self.steps -= 1;
            }
        }
        self.last = Some(now);
        if self.steps == 0 || self.wait() < self.longest {
            self.steps += 1;
        }
    }

    /// Returns the wait after the last time.
    fn wait(&self) -> Duration {
        match self.steps {
            0 => Duration::ZERO,
            steps => {
                let doubled = 1_u32.checked_shl(steps - 1).unwrap_or(u32::MAX);
                self.shortest.saturating_mul(doubled).min(self.longest)
            }
        }
    }
}

/// Allows a number of actions at once, and beyond that one each time that `each` has passed.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    at_once: u32,
    each: Duration,
    /// When the allowance is full again.
    until: Option<Moment>,
}

impl Allowance {
    /// Makes a full allowance.
    pub(super) fn new(at_once: u32, each: Duration) -> Self {
        Self {
            at_once,
            each,
            until: None,
        }
    }

    /// Returns when the next action is allowed; `None` if it is allowed now.
    pub(super) fn due(&self, now: Moment) -> Option<Moment> {
        let owed = self.until?.since(now);
        let free = self.each.saturating_mul(self.at_once.saturating_sub(1));
        let wait = owed.saturating_sub(free);
        (!wait.is_zero()).then(|| now + wait)
    }

    /// Notes that one action is done.
    pub(super) fn done(&mut self, now: Moment) {
        let from = self.until.map_or(now, |until| until.max(now));
        self.until = Some(from + self.each);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::federation::testing::at;
    use crate::runtime::Clock;

    const SHORTEST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(60);

    fn pace() -> Pace {
        Pace::new(SHORTEST, LONGEST)
    }

    /// Returns when work is done that is wanted after each of these gaps, as times since the
    /// beginning. What is wanted during a wait is done with it.
    fn done(pace: &mut Pace, gaps: impl IntoIterator<Item = Duration>) -> Vec<Duration> {
        let beginning = Clock::manual(at(0)).0.now();
        let mut done: Vec<Duration> = Vec::new();
        let mut wanted = Duration::ZERO;
        for gap in gaps {
            wanted += gap;
            if done.last().is_some_and(|last| *last >= wanted) {
                continue;
            }
            let due = pace.due().map(|due| due.since(beginning));
            let when = wanted.max(due.unwrap_or_default());
            pace.done(beginning + when);
            done.push(when);
        }
        done
    }

    #[test]
    fn the_first_is_done_at_once_and_the_next_after_waits_that_double() {
        let often = std::iter::repeat_n(Duration::from_millis(20), 50 * 60 * 10);
        let done = done(&mut pace(), often);
        let waits: Vec<u128> = done.windows(2).map(|w| (w[1] - w[0]).as_millis()).collect();
        assert_eq!(done[0], Duration::from_millis(20));
        assert!(waits.starts_with(&[250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]));
        assert!(waits[8..].iter().all(|wait| *wait == 60_000), "{waits:?}");
        assert!(done.len() < 20, "of 30,000 in ten minutes: {}", done.len());
    }

    #[test]
    fn what_is_calm_again_is_as_if_it_had_never_been_otherwise() {
        let mut pace = pace();
        let often = std::iter::repeat_n(Duration::from_millis(20), 50 * 60);
        let last = *done(&mut pace, often).last().expect("some");
        assert!(pace.due().is_some());
        let beginning = Clock::manual(at(0)).0.now();
        let later = beginning + last + 4 * LONGEST;
        pace.done(later);
        assert_eq!(pace.steps, 1);
    }

    proptest! {
        /// However the actions are wanted, within any time no more are done than those at once
        /// and one for each wait.
        #[test]
        fn an_allowance_is_never_exceeded_and_never_idle(
            gaps in prop::collection::vec(0_u64..2_500, 1..300), at_once in 1_u32..20,
        ) {
            let beginning = Clock::manual(at(0)).0.now();
            let each = Duration::from_secs(1);
            let mut allowance = Allowance::new(at_once, each);
            let (mut now, mut done) = (beginning, Vec::new());
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                if let Some(due) = allowance.due(now) {
                    prop_assert!(due > now && due <= now + each);
                    // It waits because of those before it.
                    let spent = done.iter().filter(|then| now.since(**then) < each * at_once);
                    prop_assert!(spent.count() >= at_once as usize);
                    now = due;
                }
                allowance.done(now);
                done.push(now);
            }
            for (place, first) in done.iter().enumerate() {
                for (count, then) in (1_u32..).zip(&done[place..]) {
                    let made_up = u32::try_from(then.since(*first).as_secs()).expect("few");
                    prop_assert!(count <= at_once + made_up);
                }
            }
        }

        #[test]
        fn what_comes_twice_the_shortest_wait_apart_is_never_delayed(
            gaps in prop::collection::vec(500_u64..100_000, 1..200),
        ) {
            let gaps: Vec<_> = gaps.into_iter().map(Duration::from_millis).collect();
            let wanted = gaps.iter().scan(Duration::ZERO, |at, gap| { *at += *gap; Some(*at) });
            let wanted: Vec<_> = wanted.collect();
            prop_assert_eq!(done(&mut pace(), gaps), wanted);
        }

        #[test]
        fn whatever_comes_is_done_in_time_and_not_oftener_in_the_long_run(
            gaps in prop::collection::vec(0_u64..3_000, 1..2_000),
        ) {
            let gaps: Vec<_> = gaps.into_iter().map(Duration::from_millis).collect();
            let end: Duration = gaps.iter().sum();
            let done = done(&mut pace(), gaps);
            let last = *done.last().expect("some");
            prop_assert!(last >= end && last <= end + LONGEST);
            // Each time is a step up, which a wait and as much calm take back; the longest wait
            // is ten steps away.
            let most = 10 + last.as_millis() / (2 * SHORTEST.as_millis());
            prop_assert!((done.len() as u128) <= most, "{} in {last:?}", done.len());
        }
    }
}
