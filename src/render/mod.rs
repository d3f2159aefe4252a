//! Bodies of answers, made in pieces and within budgets.
//!
//! A [`Rendering`](crate::publish::Rendering) knows how much it takes before it is begun. This
//! module turns it into bytes: on the pool, where callers take turns ([`Answers`]); packed piece
//! by piece ([`Coding`]); within a number of bytes in memory for all callers and for each of
//! them ([`Flight`]); without keeping too much of replaced views ([`Pins`]); once for all who
//! want a full map ([`Bodies`]) or the same text ([`Shared`]). [`Documents`] are sent the same
//! way, as they were stated.

mod answers;
mod bodies;
mod caller;
mod coding;
mod documents;
mod flight;
mod packing;
mod pins;
mod settings;
mod shared;
mod status;

pub use answers::{Answers, SMALL, Unanswered};
pub use bodies::{Bodies, GivenUp, KeptBody, Representation};
pub use caller::Caller;
pub use coding::Coding;
pub use documents::{Broken, Documents, Pieces, taken};
pub use flight::{Flight, FlightBudget, NoRoom, Room, SHORT};
pub use packing::{BESIDE, Effort, beside, compress};
pub use pins::{CutOff, Pinned, Pins};
pub use settings::Settings;
pub use shared::Shared;
pub use status::Status;

#[cfg(test)]
pub(crate) mod testing {
    //! Memory for what tests read and answer.

    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::sync::watch;

    use super::{Caller, Flight, FlightBudget, Room};
    use crate::runtime::{Clock, ManualClock};

    /// Returns empty room for what a test reads.
    pub(crate) fn room() -> Room {
        flight(256 * 1024 * 1024, 64 * 1024 * 1024).nothing(&Caller::Node)
    }

    /// Makes memory for answers, of which an eighth of `all` bytes is for small ones.
    pub(crate) fn flight(all: u64, of_caller: u64) -> Flight {
        Bench::new(all, of_caller).flight
    }

    /// Memory for answers whose clock a test advances.
    pub(crate) struct Bench {
        pub(crate) flight: Flight,
        pub(crate) budget: watch::Sender<FlightBudget>,
        pub(crate) clock: Clock,
        pub(crate) hand: ManualClock,
    }

    impl Bench {
        pub(crate) fn new(all: u64, of_caller: u64) -> Self {
            let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
            let budget = watch::Sender::new(FlightBudget {
                all,
                of_caller,
                for_small: all / 8,
                max_wait: Duration::from_secs(5),
            });
            Self {
                flight: Flight::new(budget.subscribe(), clock.clone()),
                budget,
                clock,
                hand,
            }
        }
    }
}
