//! The bytes of requests and answers that are in memory until nobody needs them any more.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{oneshot, watch};

use super::{Caller, CallerOf, FlightBudget, Reason, Refusal, Refuse, Settings, lock};
use crate::runtime::Clock;

/// When a request that found no room may try again.
const RETRY: Duration = Duration::from_secs(1);

/// Holds what is in memory for callers to a number of bytes, and each caller to a share of it.
/// Bodies that many answers share, kept within a budget of their own, are not counted.
#[derive(Clone, Debug)]
pub struct Flight(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    settings: watch::Receiver<Settings>,
    budget: fn(&Settings) -> FlightBudget,
    clock: Clock,
    refuse: Refuse,
    caller_of: CallerOf,
    state: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    callers: HashMap<Caller, OfCaller>,
    /// The callers that wait, the next first.
    order: VecDeque<Caller>,
    /// Requests that found no room in time, since the start.
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

/// Room for some bytes, given back when dropped.
#[derive(Debug)]
pub struct Room {
    flight: Flight,
    caller: Caller,
    bytes: u64,
}

/// The mark of a response whose bytes are counted already, or shared.
#[derive(Clone, Copy, Debug)]
pub struct Accounted;

/// There was no room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Reason::Memory)]
pub struct NoRoom;

impl NoRoom {
    /// How a request is told so.
    pub fn refusal(self) -> Refusal {
        Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: RETRY,
            reason: Reason::Memory,
        }
    }
}

impl Flight {
    /// Counts by the `budget` in the settings; `caller_of` tells whose an answer is.
    pub fn new(
        settings: watch::Receiver<Settings>,
        budget: fn(&Settings) -> FlightBudget,
        clock: Clock,
        caller_of: CallerOf,
        refuse: Refuse,
    ) -> Flight {
        Flight(Arc::new(Counted {
            settings,
            budget,
            clock,
            refuse,
            caller_of,
            state: Mutex::default(),
        }))
    }

    fn budget(&self) -> FlightBudget {
        (self.0.budget)(&self.0.settings.borrow())
    }

    /// The bytes in memory now.
    pub fn bytes(&self) -> u64 {
        lock(&self.0.state).bytes
    }

    /// How many requests found no room since the start.
    pub fn refused(&self) -> u64 {
        lock(&self.0.state).refused
    }

    /// Room for a small answer, if there is some.
    pub fn try_take(&self, caller: &Caller, bytes: u64) -> Result<Room, NoRoom> {
        let mut room = self.nothing(caller);
        room.grow(bytes)?;
        Ok(room)
    }

    /// Room for what comes bit by bit, of no bytes yet.
    pub fn nothing(&self, caller: &Caller) -> Room {
        Room {
            flight: self.clone(),
            caller: caller.clone(),
            bytes: 0,
        }
    }

    /// Room for an answer. Who waits takes turns with the other callers.
    ///
    /// # Errors
    /// None became free in time.
    pub async fn take(&self, caller: &Caller, bytes: u64) -> Result<Room, NoRoom> {
        let (give, room) = oneshot::channel();
        {
            let mut state = lock(&self.0.state);
            let of_caller = state.callers.entry(caller.clone()).or_default();
            of_caller.waiting.push_back(Waiting { bytes, give });
            if of_caller.waiting.len() == 1 {
                state.order.push_back(caller.clone());
            }
            self.serve(&mut state);
        }
        let deadline = self.0.clock.now() + self.0.settings.borrow().max_wait;
        let given = tokio::select! {
            biased;
            room = room => room.ok(),
            () = self.0.clock.sleep_until(deadline) => None,
        };
        given.ok_or_else(|| {
            let mut state = lock(&self.0.state);
            state.refused += 1;
            // This request's place is another's now.
            self.serve(&mut state);
            NoRoom
        })
    }

    /// The middleware: counts each answer that is in memory whole, and answers 503 in its place
    /// where there is no room.
    pub async fn apply(State(flight): State<Flight>, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        let asked = parts.clone();
        let response = next.run(Request::from_parts(parts, body)).await;
        let bytes = response
            .body()
            .size_hint()
            .exact()
            .filter(|bytes| *bytes > 0);
        let is_counted = response.extensions().get::<Accounted>().is_some();
        let caller = (flight.0.caller_of)(&asked);
        let (Some(bytes), false, Some(caller)) = (bytes, is_counted, caller) else {
            return response;
        };
        match flight.try_take(&caller, bytes) {
            Ok(room) => response.map(|body| room.hold(body)),
            Err(none) => {
                drop(response);
                none.refusal().respond(flight.0.refuse, &asked)
            }
        }
    }

    /// Gives room to who waits, in turns. A caller whose share is full is passed over; where all
    /// the room is taken the next one in turn is waited for, so that large answers come to it too.
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
                    // Its request ended just now. The state is locked here, so that
                    // nothing must be left to be given back when the room is dropped.
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
    /// Makes room for as many bytes more, if there is some.
    pub fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let flight = self.flight.clone();
        let budget = flight.budget();
        let mut state = lock(&flight.0.state);
        let of_caller = state.callers.get(&self.caller).map_or(0, |held| held.bytes);
        if state.bytes + bytes > budget.all || of_caller + bytes > budget.of_caller {
            state.refused += 1;
            return Err(NoRoom);
        }
        self.add(&mut state, bytes);
        Ok(())
    }

    fn add(&mut self, state: &mut Held, bytes: u64) {
        self.bytes += bytes;
        state.bytes += bytes;
        let of_caller = state.callers.entry(self.caller.clone()).or_default();
        of_caller.bytes += bytes;
    }

    /// The body, for whose bytes this is.
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

/// A body that takes room.
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
    use super::super::testing::{Bench, refuse};
    use super::*;
    use crate::runtime::Task;
    use crate::runtime::testing::soon;

    fn caller(name: &str) -> Caller {
        Caller::Principal(name.into())
    }

    fn flight(bench: &Bench) -> Flight {
        let settings = bench.settings.subscribe();
        let clock = bench.clock.clone();
        Flight::new(
            settings,
            Settings::answers,
            clock,
            |_| Some(caller("x")),
            refuse,
        )
    }

    fn bench() -> Bench {
        Bench::new(Settings {
            max_bytes_in_flight: 800,
            max_bytes_per_client: 300,
            ..Settings::default()
        })
    }

    /// A request of a caller that waits for room.
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
        let flight = flight(&bench);
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
        let flight = flight(&bench);
        let mut held: Vec<Room> = ["a", "b", "c"]
            .into_iter()
            .map(|name| flight.try_take(&caller(name), 200).expect("room"))
            .collect();
        let first = waits(&flight, "d", 100).await;
        assert!(
            soon(first.join()).await.expect("it ends").is_ok(),
            "600 of 700 are used"
        );
        let large = waits(&flight, "e", 300).await;
        let small = waits(&flight, "f", 100).await;
        let own_share = waits(&flight, "a", 200).await;
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
    async fn who_has_waited_long_enough_is_told_to_come_back() {
        let bench = bench();
        let flight = flight(&bench);
        let held = flight.try_take(&caller("a"), 300).expect("room");
        let waiting = waits(&flight, "a", 100).await;
        let within = bench.settings.borrow().max_wait;
        soon(bench.hand.sleeper(within)).await;
        bench.hand.advance(within);
        assert_eq!(
            soon(waiting.join()).await.expect("it ends").err(),
            Some(NoRoom)
        );
        assert_eq!(NoRoom.refusal().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(held);
        let state = lock(&flight.0.state);
        assert!(state.callers.is_empty() && state.order.is_empty());
    }
}
