//! Detects jumps of the date.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::clock::{Clock, Moment};

/// More than a leap second or a pause between reading two clocks; less than the error of the
/// date that would matter to anything signed with it.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Compares the date with the monotonic time that passed.
#[derive(Debug)]
pub struct DateWatch {
    clock: Clock,
    now: Moment,
    wall: Timestamp,
}

impl DateWatch {
    /// Starts watching.
    pub fn new(clock: Clock) -> Self {
        let (now, wall) = (clock.now(), clock.wall());
        Self { clock, now, wall }
    }

    /// Returns by how much the date jumped since the last call, if by more than five seconds:
    /// ahead, or back if negative. A clock that runs a little fast or slow does not jump. Time
    /// for which the machine was suspended counts as a jump, since the monotonic clock stands
    /// still meanwhile.
    pub fn jump(&mut self) -> Option<SignedDuration> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let passed = SignedDuration::try_from(now.since(self.now)).unwrap_or(SignedDuration::MAX);
        let jump = wall.duration_since(self.wall).saturating_sub(passed);
        (self.now, self.wall) = (now, wall);
        (jump.unsigned_abs() > TOLERANCE).then_some(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_is_set_is_a_jump_once_and_passing_time_is_none() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut watch = DateWatch::new(clock.clone());
        assert_eq!(watch.jump(), None);
        hand.advance(Duration::from_secs(86_400));
        assert_eq!(watch.jump(), None);
        for seconds in [3600, -3600, 6, -6] {
            let jump = SignedDuration::from_secs(seconds);
            hand.set_date(clock.wall() + jump);
            hand.advance(Duration::from_secs(30));
            assert_eq!(watch.jump(), Some(jump));
            assert_eq!(watch.jump(), None, "it is told once");
        }
    }

    #[test]
    fn a_clock_that_runs_a_little_fast_or_slow_never_jumps() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut watch = DateWatch::new(clock.clone());
        for seconds in [5, 5, 5, -5, -5, -5] {
            hand.set_date(clock.wall() + SignedDuration::from_secs(seconds));
            assert_eq!(watch.jump(), None);
        }
    }
}
