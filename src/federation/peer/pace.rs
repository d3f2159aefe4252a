//! How soon what others cause is done again.

use std::time::Duration;

use crate::runtime::Moment;

/// What it is that others cause, and how often: the first time at once, and then,
/// as long as it is wanted again at once, after waits that double each time.
/// Calm takes them back: as long again as a wait was.
///
/// What comes at least twice the shortest wait apart is never delayed. What comes
/// faster is done as often as that at the most in the long run, and once in the
/// longest wait if it does not pause.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Pace {
    shortest: Duration,
    longest: Duration,
    /// How many waits are to be taken back.
    steps: u32,
    last: Option<Moment>,
}

impl Pace {
    /// Nothing was done yet.
    pub(in crate::federation) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            steps: 0,
            last: None,
        }
    }

    /// From when on it may be done; at any time if it was never done.
    pub(in crate::federation) fn due(&self) -> Option<Moment> {
        self.last.map(|last| last + self.wait())
    }

    /// It is done.
    pub(in crate::federation) fn done(&mut self, now: Moment) {
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

    /// The wait after what was done last.
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

/// So many at once, and then one after the other, each so long after the one before.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Allowance {
    at_once: u32,
    each: Duration,
    /// When all that was done is made up for.
    until: Option<Moment>,
}

impl Allowance {
    /// Nothing was done yet.
    pub(in crate::federation) fn new(at_once: u32, each: Duration) -> Self {
        Self {
            at_once,
            each,
            until: None,
        }
    }

    /// From when on the next may be done, if not at once.
    pub(in crate::federation) fn due(&self, now: Moment) -> Option<Moment> {
        let owed = self.until?.since(now);
        let free = self.each.saturating_mul(self.at_once.saturating_sub(1));
        let wait = owed.saturating_sub(free);
        (!wait.is_zero()).then(|| now + wait)
    }

    /// One is done.
    pub(in crate::federation) fn done(&mut self, now: Moment) {
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

    /// When it is done what is wanted after each of these gaps, as times since the
    /// beginning. What is wanted while something waits is done with it.
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
        /// However it is wanted, in no time is more done than at once and one for each wait.
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
                    // Those before it are the reason.
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
            // Each is a step up, which a wait and as much calm take back; ten
            // steps are to the longest.
            let most = 10 + last.as_millis() / (2 * SHORTEST.as_millis());
            prop_assert!((done.len() as u128) <= most, "{} in {last:?}", done.len());
        }
    }
}
