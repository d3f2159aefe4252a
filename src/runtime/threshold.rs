//! The step of a request from where it can be given up to where it is done to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const BEFORE: u8 = 0;
const CROSSED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The threshold of one request: who does the work crosses it before anything changes, who
/// waits for it gives it up, and whichever comes first has decided. So it is always known
/// whether a request that was given up has changed nothing. Clones are of one request.
#[derive(Clone, Debug, Default)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// Goes on to what is done to its end; false if the request was given up, and then
    /// nothing may be done.
    pub fn cross(&self) -> bool {
        self.decide(CROSSED) != GIVEN_UP
    }

    /// Gives the request up; false if it has crossed, and then it is done to its end.
    pub fn give_up(&self) -> bool {
        self.decide(GIVEN_UP) != CROSSED
    }

    /// Has it decided so unless it is, and says how it is decided.
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
