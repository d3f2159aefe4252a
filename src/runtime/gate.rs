//! A place where work waits while a test holds it there.

use std::sync::Arc;

use tokio::sync::watch;

/// A gate that some work passes. It is open, and costs nothing, unless a test closes it: then
/// the work waits there until the gate is opened again, so that a test decides by an event how
/// long the work takes.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Sides>);

#[derive(Debug)]
struct Sides {
    state: watch::Sender<State>,
    /// How many wait before it now.
    waiting: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Closed, but so many may still pass.
    Closed(usize),
}

impl Default for Gate {
    /// Makes an open gate.
    fn default() -> Self {
        Self(Arc::new(Sides {
            state: watch::Sender::new(State::Open),
            waiting: watch::Sender::new(0),
        }))
    }
}

impl Gate {
    /// Lets nothing pass from now on.
    pub fn close(&self) {
        self.0.state.send_replace(State::Closed(0));
    }

    /// Lets pass all that wait, and all that come.
    pub fn open(&self) {
        self.0.state.send_replace(State::Open);
    }

    /// Lets one pass, which waits or comes next; the gate stays closed.
    pub fn let_one_pass(&self) {
        self.0.state.send_modify(|state| {
            if let State::Closed(passing) = state {
                *passing += 1;
            }
        });
    }

    /// Returns when something waits before the gate: the event by which a test knows that the
    /// work has begun.
    pub async fn reached(&self) {
        // The sender lives as long as the gate, so that the wait does not fail.
        let _ = self.0.waiting.subscribe().wait_for(|n| *n > 0).await;
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        if self.0.let_through() {
            return;
        }
        let mut state = self.0.state.subscribe();
        self.0.waiting.send_modify(|waiting| *waiting += 1);
        let _here = Here(&self.0);
        loop {
            if self.0.let_through() {
                return;
            }
            let _ = state.changed().await;
        }
    }
}

impl Sides {
    /// Whether one more may pass. If so, it counts as passed.
    fn let_through(&self) -> bool {
        let mut passes = false;
        self.state.send_if_modified(|state| {
            passes = *state != State::Closed(0);
            if let State::Closed(passing @ 1..) = state {
                *passing -= 1;
            }
            false
        });
        passes
    }
}

/// Something that waits before the gate, until it is dropped.
struct Here<'g>(&'g Sides);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::runtime::{Task, testing::soon};

    #[tokio::test]
    async fn what_comes_to_a_closed_gate_waits_until_it_is_opened() {
        let gate = Gate::default();
        assert!(gate.pass().now_or_never().is_some(), "it is open");
        assert!(gate.reached().now_or_never().is_none());
        gate.close();
        let passing = Task::spawn("passing", {
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        soon(gate.reached()).await;
        assert!(!passing.is_finished());
        gate.let_one_pass();
        assert_eq!(soon(passing.join()).await, Ok(()));
        assert!(gate.pass().now_or_never().is_none(), "it is closed");
        gate.open();
        assert!(gate.pass().now_or_never().is_some());
        assert!(gate.reached().now_or_never().is_none(), "it is gone");
    }
}
