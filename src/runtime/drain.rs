//! Shutdown: one signal through all servers, and a count of what is still under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Clock, Moment};

/// The sending side: whoever holds it decides when the node stops.
///
/// If it is dropped without [`Signal::drain`] it never signals: the servers then end with their
/// tasks.
#[derive(Debug)]
pub struct Signal {
    cut: watch::Sender<Option<Moment>>,
    guards: Arc<watch::Sender<usize>>,
}

/// The receiving side: cloned into every server and every task that has something to finish.
#[derive(Clone, Debug)]
pub struct Drain {
    cut: watch::Receiver<Option<Moment>>,
    guards: Arc<watch::Sender<usize>>,
}

/// One piece of work that the drain waits for; ends when dropped.
#[derive(Debug)]
pub struct Guard {
    guards: Arc<watch::Sender<usize>>,
}

/// The drain's time was over before its guards were gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{guards} pieces of work were still under way when the time to finish them was over")]
pub struct Overrun {
    /// How many guards were still held.
    pub guards: usize,
}

impl Drain {
    /// Creates a signal and its drain.
    pub fn new() -> (Signal, Drain) {
        let (cut, cut_at) = watch::channel(None);
        let guards = Arc::new(watch::Sender::new(0));
        let signal = Signal {
            cut,
            guards: guards.clone(),
        };
        let drain = Drain {
            cut: cut_at,
            guards,
        };
        (signal, drain)
    }

    /// Waits for the signal, and returns the moment at which unfinished work is cut off. From
    /// now to then a server takes no new work and finishes what it has begun.
    pub async fn draining(&self) -> Moment {
        let mut cut = self.cut.clone();
        let signalled = cut.wait_for(Option::is_some).await.ok().and_then(|at| *at);
        match signalled {
            Some(at) => at,
            None => std::future::pending().await,
        }
    }

    /// Whether the signal has been given.
    pub fn is_draining(&self) -> bool {
        self.cut.borrow().is_some()
    }

    /// Makes the drain wait for a piece of work until the guard is dropped.
    pub fn guard(&self) -> Guard {
        self.guards.send_modify(|guards| *guards += 1);
        Guard {
            guards: self.guards.clone(),
        }
    }
}

impl Signal {
    /// Signals all drains, then waits until every guard is gone, for at most `within`.
    ///
    /// # Errors
    /// [`Overrun`] when guards are left after `within`: their work will be cut off.
    pub async fn drain(self, clock: &Clock, within: Duration) -> Result<(), Overrun> {
        let cut = clock.now() + within;
        self.cut.send_replace(Some(cut));
        let mut guards = self.guards.subscribe();
        tokio::select! {
            biased;
            // The sender lives in `self`, so the wait cannot fail.
            _ = guards.wait_for(|guards| *guards == 0) => Ok(()),
            () = clock.sleep_until(cut) => Err(Overrun { guards: *self.guards.borrow() }),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.guards.send_modify(|guards| *guards -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Task, testing::soon};
    use futures_util::FutureExt;
    use jiff::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn draining_waits_for_the_signal_and_gives_the_moment_of_the_cut() {
        let (clock, _hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (signal, drain) = Drain::new();
        assert!(!drain.is_draining());
        let server = {
            let drain = drain.clone();
            Task::spawn("server", async move { drain.draining().await })
        };
        assert_eq!(signal.drain(&clock, 30 * SECOND).await, Ok(()));
        assert!(drain.is_draining());
        assert_eq!(soon(server.join()).await, Ok(clock.now() + 30 * SECOND));
        assert_eq!(drain.draining().await, clock.now() + 30 * SECOND);
    }

    #[tokio::test]
    async fn the_drain_ends_when_the_last_guard_is_dropped() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (signal, drain) = Drain::new();
        let (first, second) = (drain.guard(), drain.guard());
        let draining = Task::spawn("drain", async move { signal.drain(&clock, SECOND).await });
        soon(hand.sleeper(SECOND)).await;
        drop(first);
        assert!(!draining.is_finished());
        drop(second);
        assert_eq!(soon(draining.join()).await, Ok(Ok(())));
    }

    #[tokio::test]
    async fn a_guard_that_stays_does_not_hold_the_drain_past_its_time() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (signal, drain) = Drain::new();
        let _stuck = drain.guard();
        let draining = Task::spawn("drain", async move { signal.drain(&clock, SECOND).await });
        soon(hand.sleeper(SECOND)).await;
        hand.advance(SECOND);
        assert_eq!(soon(draining.join()).await, Ok(Err(Overrun { guards: 1 })));
    }

    #[tokio::test]
    async fn a_signal_dropped_unused_drains_nothing() {
        let (signal, drain) = Drain::new();
        drop(signal);
        assert!(!drain.is_draining());
        assert!(drain.draining().now_or_never().is_none());
    }
}
