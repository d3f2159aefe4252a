//! The point of a request up to which it can be given up, and after which it is finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const BEFORE: u8 = 0;
const CROSSED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The threshold of one request. The worker crosses it before anything changes; the waiting side
/// gives the request up. Whichever comes first decides, so that it is always known whether a
/// request that was given up has changed nothing. Clones belong to the same request.
#[derive(Clone, Debug, Default)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// Crosses the threshold, after which the request is finished. Returns false if it was given
    /// up; then nothing may be done.
    pub fn cross(&self) -> bool {
        self.decide(CROSSED) != GIVEN_UP
    }

    /// Gives the request up. Returns false if it has crossed the threshold; then it is finished.
    pub fn give_up(&self) -> bool {
        self.decide(GIVEN_UP) != CROSSED
    }

    /// Decides it as wanted unless it is decided already; returns how it is decided.
    fn decide(&self, wanted: u8) -> u8 {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let decided = self.0.compare_exchange(BEFORE, wanted, success, failure);
        decided.map_or_else(|before| before, |_| wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_first_decides_for_all() {
        let crossed = Threshold::default();
        assert!(crossed.clone().cross());
        assert!(!crossed.give_up());
        assert!(crossed.cross(), "there is no way back");

        let given_up = Threshold::default();
        assert!(given_up.clone().give_up());
        assert!(!given_up.cross());
        assert!(given_up.give_up());
    }
}
