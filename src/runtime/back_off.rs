//! How long to wait after failures, and between readings of many servers.

use std::time::Duration;

use aws_lc_rs::rand;

/// The wait after the first failure; it doubles with each further one.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait after a failure, also if the server asks for more.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// Returns how long to wait after `failures` failures in a row. The wait doubles with each
/// failure, and a random part of up to half of it is left off, so that clients that failed
/// together do not return together. `asked` is the wait that the server asks for; the result is
/// at least that, up to [`LONGEST_WAIT`].
pub fn back_off(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let longest = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT);
    let asked = asked.unwrap_or_default().min(LONGEST_WAIT);
    longest.mul_f64(0.5 + chance() / 2.0).max(asked)
}

/// Returns `interval` shortened at random by up to a tenth, so that periodic work does not
/// happen all at once.
pub fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + chance() / 10.0)
}

/// Returns a random number from 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness nothing breaks, but all wait equally long.
    let _none = rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_is_at_least_half() {
        for (failures, most) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (200, 300)] {
            let most = Duration::from_secs(most);
            for _ in 0..20 {
                let wait = back_off(failures, None);
                assert!(wait <= most && wait >= most / 2, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn a_peer_is_not_asked_before_it_wants_to_be_but_within_five_minutes() {
        let wait = |seconds| back_off(1, Some(Duration::from_secs(seconds)));
        assert_eq!(wait(30), Duration::from_secs(30));
        assert_eq!(wait(86_400), LONGEST_WAIT);
        assert!(wait(0) >= FIRST_WAIT / 2);
    }
}
