//! The foundation of all tasks of the node: time, tasks, shutdown and CPU work.
//!
//! * [`Clock`] is the only source of time. Every deadline of the node is a [`Moment`] read from
//!   it, so that a test moves time with [`ManualClock::advance`] and never sleeps.
//! * [`back_off`] says how long to wait after failures.
//! * [`DateWatch`] detects that the date was set, by the monotonic time.
//! * [`Task`] is a spawned future that ends with its owner.
//! * [`Drain`] carries one shutdown signal to all servers; [`Signal`] waits for them.
//! * [`Gate`] holds work where a test wants it, so that slowness is an event and not a sleep.
//! * [`Pool`] runs CPU work over a millisecond away from the threads that answer sockets.
//! * [`Threshold`] decides whether a request is finished or given up.
//! * [`Turns`] makes the owners of CPU work take turns.
//! * [`at_least`] reads numbers of the configuration that have a minimum, and [`pem`] says what
//!   is wrong with a PEM file that it names.
//! * [`duration`] reads and writes durations in the configuration (`"10s"`).
//!
//! This module imports nothing from the crate.

mod back_off;
mod clock;
mod date;
mod drain;
pub mod duration;
mod gate;
mod least;
mod live;
mod lock;
mod measure;
pub mod pem;
mod pool;
mod shares;
mod task;
mod threshold;
mod turns;

pub use back_off::{FIRST_WAIT, LONGEST_WAIT, back_off, jittered};
pub use clock::{Clock, Elapsed, ManualClock, Moment, Sleep};
pub use date::DateWatch;
pub use drain::{Drain, Guard, Overrun, Signal};
pub use gate::Gate;
pub use least::at_least;
pub use live::Live;
pub use lock::lock;
pub use measure::{Measure, MeasureKind, Measured, Measures, Sample, Value};
pub use pool::{Pool, PoolError};
pub use shares::{Place, Shares};
pub use task::{Task, TaskError};
pub use threshold::Threshold;
pub use turns::Turns;

#[cfg(test)]
pub(crate) mod testing {
    //! What the crate's tests share.

    use std::future::Future;
    use std::time::Duration;

    /// Awaits an event that comes at once when the code is right, so that a defect fails the
    /// test instead of hanging it. The limit is far above any machine's slowness.
    ///
    /// # Panics
    /// When the event has not come within a minute of real time.
    pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
        let limit = Duration::from_secs(60);
        let outcome = tokio::time::timeout(limit, event).await;
        outcome.expect("the awaited event did not come within a minute")
    }
}
