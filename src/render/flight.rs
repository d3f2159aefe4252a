//! Limits the bytes of requests and answers that are in memory until they are not needed any
//! more.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{oneshot, watch};

use super::caller::Caller;
use crate::runtime::{Clock, lock};

/// A response up to this length takes only the memory that its request's head took, and is never
/// refused. A body up to this length is small.
pub const SHORT: u64 = 4 * 1024;

/// How much may be in memory for callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightBudget {
    /// The most bytes for all callers.
    pub all: u64,
    /// The most bytes for one caller.
    pub of_caller: u64,
    /// The part of `all` reserved for small answers, which get room at once or not at all.
    pub for_small: u64,
    /// How long a request waits for room.
    pub max_wait: Duration,
}

impl FlightBudget {
    /// Returns the bytes for bodies of requests, and for answers that wait for room.
    fn waited_for(&self) -> u64 {
        self.all - self.for_small
    }

    /// Returns the most that one answer may ever take.
    pub fn largest(&self) -> u64 {
        self.of_caller.min(self.waited_for())
    }
}

/// Limits what is in memory for all callers to a number of bytes, and for each caller to a share
/// of it. Bodies that many answers share are not counted; they have a limit of their own.
#[derive(Clone, Debug)]
pub struct Flight(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    budget: watch::Receiver<FlightBudget>,
    clock: Clock,
    state: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    callers: HashMap<Caller, OfCaller>,
    /// The callers that wait, in the order of their turns.
    order: VecDeque<Caller>,
    /// How many requests found no room in time, since the start.
    refused: u64,
}

#[derive(Debug, Default)]
struct OfCaller {
    bytes: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    bytes: u64,
    give: oneshot::Sender<Room>,
}

/// A request that waits for room. If it goes away, others take its turn.
struct Wait {
    flight: Flight,
    room: oneshot::Receiver<Room>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.room.close();
        self.flight.serve(&mut lock(&self.flight.0.state));
    }
}

/// Room for some bytes, which is given back when dropped.
#[derive(Debug)]
pub struct Room {
    flight: Flight,
    caller: Caller,
    bytes: u64,
}

/// There was no room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the requests and answers under way take all the memory that there is for them; take what \
     you asked for, and try again shortly"
)]
pub struct NoRoom;

impl Flight {
    /// Counts by the budget in force.
    pub fn new(budget: watch::Receiver<FlightBudget>, clock: Clock) -> Flight {
        Flight(Arc::new(Counted {
            budget,
            clock,
            state: Mutex::default(),
        }))
    }

    fn budget(&self) -> FlightBudget {
        *self.0.budget.borrow()
    }

    /// Returns the bytes in memory now.
    pub fn bytes(&self) -> u64 {
        lock(&self.0.state).bytes
    }

    /// Returns how many requests found no room since the start.
    pub fn refused(&self) -> u64 {
        lock(&self.0.state).refused
    }

    /// Takes room for a small answer, if there is some, including the part reserved for small
    /// answers.
    ///
    /// # Errors
    /// There is no room now.
    pub fn try_take(&self, caller: &Caller, bytes: u64) -> Result<Room, NoRoom> {
        let mut room = self.nothing(caller);
        room.grow_to(bytes, self.budget().all)?;
        Ok(room)
    }

    /// Takes room for bytes that are already in memory and cannot be refused. They are counted
    /// even above the limits.
    pub fn hold(&self, caller: &Caller, bytes: u64) -> Room {
        let mut room = self.nothing(caller);
        room.add(&mut lock(&self.0.state), bytes);
        room
    }

    /// Returns the most that one answer may ever take.
    pub fn largest(&self) -> u64 {
        self.budget().largest()
    }

    /// Returns empty room for a caller, which can grow.
    pub fn nothing(&self, caller: &Caller) -> Room {
        Room {
            flight: self.clone(),
            caller: caller.clone(),
            bytes: 0,
        }
    }

    /// Waits for room for an answer, taking turns with the other callers.
    ///
    /// # Errors
    /// No room became free in time.
    pub async fn take(&self, caller: &Caller, bytes: u64) -> Result<Room, NoRoom> {
        let (give, room) = oneshot::channel();
        let mut wait = Wait {
            flight: self.clone(),
            room,
        };
        {
            let mut state = lock(&self.0.state);
            let of_caller = state.callers.entry(caller.clone()).or_default();
            of_caller.waiting.push_back(Waiting { bytes, give });
            if of_caller.waiting.len() == 1 {
                state.order.push_back(caller.clone());
            }
            self.serve(&mut state);
        }
        let deadline = self.0.clock.now() + self.budget().max_wait;
        let given = tokio::select! {
            biased;
            room = &mut wait.room => room.ok(),
            () = self.0.clock.sleep_until(deadline) => None,
        };
        given.ok_or_else(|| {
            lock(&self.0.state).refused += 1;
            NoRoom
        })
    }

    /// Gives room to those who wait, in turns. A caller whose share is full is passed over. When
    /// the total is used up, nobody is served before the next caller in turn fits, so that large
    /// answers get room too.
    fn serve(&self, state: &mut Held) {
        let budget = self.budget();
        let most = budget.waited_for();
        for _ in 0..state.order.len() {
            let Some(caller) = state.order.pop_front() else {
                return;
            };
            let Some(of_caller) = state.callers.get_mut(&caller) else {
                continue;
            };
            while of_caller
                .waiting
                .front()
                .is_some_and(|w| w.give.is_closed())
            {
                of_caller.waiting.pop_front();
            }
            let Some(next) = of_caller.waiting.front() else {
                state.forget(&caller);
                continue;
            };
            let (bytes, fits) = (next.bytes, of_caller.bytes + next.bytes <= budget.of_caller);
            if fits && state.bytes + bytes > most {
                state.order.push_front(caller);
                return;
            }
            let waiting = if fits {
                of_caller.waiting.pop_front()
            } else {
                None
            };
            if !of_caller.waiting.is_empty() {
                state.order.push_back(caller.clone());
            }
            if let Some(waiting) = waiting {
                let mut room = self.nothing(&caller);
                room.add(state, bytes);
                if let Err(mut room) = waiting.give.send(room) {
                    // The request ended just now. The state is locked here, so the room must be
                    // empty before it is dropped.
                    room.give_back(state);
                }
            }
        }
    }
}

impl Held {
    fn forget(&mut self, caller: &Caller) {
        if self
            .callers
            .get(caller)
            .is_some_and(|held| held.bytes == 0 && held.waiting.is_empty())
        {
            self.callers.remove(caller);
        }
    }
}

impl Room {
    /// Takes room for `bytes` more bytes, if there is some. A short body may use the part for
    /// small answers.
    ///
    /// # Errors
    /// There is no room now.
    pub fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let budget = self.flight.budget();
        let most = if self.bytes + bytes <= SHORT {
            budget.all
        } else {
            budget.waited_for()
        };
        self.grow_to(bytes, most)
    }

    /// As [`Room::grow`], up to `most` bytes of all callers together.
    fn grow_to(&mut self, bytes: u64, most: u64) -> Result<(), NoRoom> {
        let flight = self.flight.clone();
        let budget = flight.budget();
        let mut state = lock(&flight.0.state);
        let of_caller = state.callers.get(&self.caller).map_or(0, |held| held.bytes);
        if state.bytes + bytes > most || of_caller + bytes > budget.of_caller {
            state.refused += 1;
            return Err(NoRoom);
        }
        self.add(&mut state, bytes);
        Ok(())
    }

    /// Replaces the room by that for the number of bytes that were needed in the end.
    pub fn turned_out(mut self, bytes: u64) -> Room {
        let room = self.flight.hold(&self.caller, bytes);
        let flight = self.flight.clone();
        let mut state = lock(&flight.0.state);
        self.give_back(&mut state);
        flight.serve(&mut state);
        room
    }

    fn add(&mut self, state: &mut Held, bytes: u64) {
        self.bytes += bytes;
        state.bytes += bytes;
        let of_caller = state.callers.entry(self.caller.clone()).or_default();
        of_caller.bytes += bytes;
    }

    /// Returns the bytes that this room is for; it is given back when their last slice is
    /// dropped.
    pub fn own(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Owner { bytes, _room: self })
    }

    /// Returns a body that holds this room until it is dropped.
    pub fn hold(self, body: Body) -> Body {
        Body::new(InFlight { body, _room: self })
    }

    fn give_back(&mut self, state: &mut Held) {
        let bytes = std::mem::take(&mut self.bytes);
        state.bytes -= bytes;
        if let Some(of_caller) = state.callers.get_mut(&self.caller) {
            of_caller.bytes -= bytes;
        }
        state.forget(&self.caller);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let flight = self.flight.clone();
        let mut state = lock(&flight.0.state);
        self.give_back(&mut state);
        flight.serve(&mut state);
    }
}

/// Bytes that hold room.
struct Owner<B> {
    bytes: B,
    _room: Room,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Owner<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// A body that holds room.
struct InFlight {
    body: Body,
    _room: Room,
}

impl http_body::Body for InFlight {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;
    use crate::runtime::Task;
    use crate::runtime::testing::soon;

    fn caller(name: &str) -> Caller {
        Caller::Principal(name.into())
    }

    fn bench() -> Bench {
        Bench::new(800, 300)
    }

    /// Starts a request of a caller that waits for room.
    async fn waits(flight: &Flight, name: &str, bytes: u64) -> Task<Result<Room, NoRoom>> {
        let count = |flight: &Flight| {
            let state = lock(&flight.0.state);
            let waiting = state.callers.values().map(|held| held.waiting.len());
            waiting.sum::<usize>()
        };
        let before = count(flight);
        let (waiting, who) = (flight.clone(), caller(name));
        let task = Task::spawn("waits", async move { waiting.take(&who, bytes).await });
        while count(flight) == before && !task.is_finished() {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn a_caller_has_its_share_and_all_together_the_whole() {
        let bench = bench();
        let flight = &bench.flight;
        let held = flight.try_take(&caller("a"), 300).expect("its share");
        assert_eq!(flight.try_take(&caller("a"), 1).err(), Some(NoRoom));
        let other = flight.try_take(&caller("b"), 300).expect("another's");
        assert_eq!(flight.try_take(&caller("c"), 201).err(), Some(NoRoom));
        assert_eq!((flight.bytes(), flight.refused()), (600, 2));
        drop((held, other));
        let mut grows = flight.nothing(&caller("a"));
        assert_eq!((grows.grow(200), grows.grow(101)), (Ok(()), Err(NoRoom)));
        assert_eq!((grows.grow(100), flight.bytes()), (Ok(()), 300));
        drop(grows);
        assert_eq!(flight.bytes(), 0);
        assert!(
            lock(&flight.0.state).callers.is_empty(),
            "nothing of them stays"
        );
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_turns_and_a_large_one_is_waited_for() {
        let bench = bench();
        let flight = &bench.flight;
        let mut held: Vec<Room> = ["a", "b", "c"]
            .into_iter()
            .map(|name| flight.try_take(&caller(name), 200).expect("room"))
            .collect();
        let first = waits(flight, "d", 100).await;
        assert!(
            soon(first.join()).await.expect("it ends").is_ok(),
            "600 of 700 are used"
        );
        let large = waits(flight, "e", 300).await;
        let small = waits(flight, "f", 100).await;
        let own_share = waits(flight, "a", 200).await;
        held.pop();
        assert!(
            soon(large.join()).await.expect("it ends").is_ok(),
            "400 + 300 are used"
        );
        assert!(!small.is_finished() && !own_share.is_finished());
        held.clear();
        for task in [small, own_share] {
            assert!(soon(task.join()).await.expect("it ends").is_ok());
        }
        assert_eq!(flight.bytes(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_its_place_to_those_behind_it() {
        let bench = bench();
        let flight = &bench.flight;
        let held = ["a", "b"].map(|name| flight.try_take(&caller(name), 300).expect("room"));
        let large = waits(flight, "e", 300).await;
        let small = waits(flight, "f", 50).await;
        assert!(!large.is_finished() && !small.is_finished());
        drop(large);
        assert!(soon(small.join()).await.expect("it ends").is_ok());
        assert_eq!(flight.bytes(), 600);
        drop(held);
    }

    #[tokio::test]
    async fn bodies_leave_what_is_for_small_answers() {
        let bench = Bench::new(80_000, 30_000);
        let flight = &bench.flight;
        let mut bodies = ["a", "b", "c"].map(|name| flight.nothing(&caller(name)));
        for (body, bytes) in bodies.iter_mut().zip([30_000, 30_000, 10_000]) {
            assert_eq!(body.grow(bytes), Ok(()));
        }
        assert_eq!(bodies[2].grow(1), Err(NoRoom));
        let mut short = flight.nothing(&caller("c"));
        assert_eq!(short.grow(SHORT), Ok(()));
        assert_eq!(short.grow(1), Err(NoRoom));
        drop(short);
        let small = flight.try_take(&caller("d"), 10_000).expect("kept for it");
        assert_eq!(flight.try_take(&caller("d"), 1).err(), Some(NoRoom));
        // If an answer turns out smaller, the rest is given back.
        let small = small.turned_out(4_000);
        assert_eq!(flight.bytes(), 74_000);
        drop((small, bodies));
        assert_eq!(flight.bytes(), 0);
    }

    #[tokio::test]
    async fn who_has_waited_long_enough_is_told_to_come_back() {
        let bench = bench();
        let flight = &bench.flight;
        let held = flight.try_take(&caller("a"), 300).expect("room");
        let waiting = waits(flight, "a", 100).await;
        let within = bench.budget.borrow().max_wait;
        soon(bench.hand.sleeper(within)).await;
        bench.hand.advance(within);
        assert_eq!(
            soon(waiting.join()).await.expect("it ends").err(),
            Some(NoRoom)
        );
        drop(held);
        let state = lock(&flight.0.state);
        assert!(state.callers.is_empty() && state.order.is_empty());
    }
}
