//! Computes large answers in pieces on the pool while they are sent; callers take turns.
//!
//! Only a few rows of an answer are in memory at a time. The next piece is begun when the client
//! has taken the one before, so that an answer that nobody reads costs nothing, and one that
//! nobody waits for any more ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;

use crate::publish::{Rendering, ViewName, Work, WorkLimits};
use crate::runtime::{Pool, PoolError, Turns};

use super::caller::Caller;
use super::coding::Coding;
use super::flight::{Flight, NoRoom, Room};
use super::packing::{Effort, PIECE, Packing, beside, compress};
use super::pins::{CutOff, Pinned, Pins};
use super::shared::Shared;

/// The most cells that are read in one turn, except that a row is finished: some milliseconds.
const CELLS: u64 = 256 * 1024;

/// Answers up to these limits are computed where the request is handled, and sent whole; others
/// are written by rows on the pool.
pub const SMALL: WorkLimits = WorkLimits {
    cells: 20_000,
    cells_key: "max_answer_cells",
    bytes: 512 * 1024,
    memory: u64::MAX,
};

/// Computes answers in pieces.
#[derive(Debug)]
pub struct Answers {
    /// The view of our own domain. It has threads of its own, so that its answers never wait for
    /// those of others.
    own: ViewName,
    ours: Turns<Caller>,
    others: Turns<Caller>,
    flight: Flight,
    shared: Shared,
    pins: Arc<Pins>,
    cells: AtomicU64,
}

/// Why an answer is not available.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// A defect of the program.
    #[error(transparent)]
    Pool(Arc<PoolError>),
    /// Other answers occupy the memory.
    #[error("there is no room for the answer")]
    NoRoom,
    /// It takes more memory than any answer may.
    #[error(
        "the answer takes {asked} bytes of memory while it is written, and may take {most} \
         (limits.max_bytes_per_client): ask for a part of it by the filtered resource"
    )]
    TooLarge {
        /// The bytes that it takes.
        asked: u64,
        /// The bytes that it may take.
        most: u64,
    },
    /// It kept too much of replaced views.
    #[error(transparent)]
    CutOff(#[from] CutOff),
}

impl From<PoolError> for Unanswered {
    fn from(error: PoolError) -> Self {
        Unanswered::Pool(Arc::new(error))
    }
}

impl From<NoRoom> for Unanswered {
    fn from(_: NoRoom) -> Self {
        Unanswered::NoRoom
    }
}

/// The result of one turn at an answer.
pub(super) struct Step<S, T> {
    pub(super) rendering: Box<Rendering>,
    pub(super) state: S,
    /// The result of handling the piece.
    pub(super) made: T,
    /// Whether more is to be written.
    pub(super) more: bool,
}

impl Answers {
    /// Computes answers of the view `own` on the threads `ours`, and all others on `others`;
    /// `flight` limits their memory.
    pub fn new(own: ViewName, ours: Pool, others: Pool, flight: Flight) -> Self {
        Self {
            own,
            ours: Turns::new(ours),
            others: Turns::new(others),
            shared: Shared::new(flight.clone()),
            flight,
            pins: Arc::default(),
            cells: AtomicU64::new(0),
        }
    }

    /// Returns how many cells were read for answers since the start.
    pub fn cells(&self) -> u64 {
        self.cells.load(Ordering::Relaxed)
    }

    /// Returns the memory of answers.
    pub fn flight(&self) -> &Flight {
        &self.flight
    }

    /// Returns the texts that are sent to many clients.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Returns the large answers that are being sent.
    pub fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// Takes room for an answer that is packed in a coding while it is sent, for this client
    /// only.
    ///
    /// # Errors
    /// There is no room in time, or the answer is too large to ever have it.
    pub async fn room(
        &self,
        caller: &Caller,
        work: &Work,
        coding: Coding,
    ) -> Result<Room, Unanswered> {
        self.room_for(caller, work, coding, Effort::Each).await
    }

    /// Takes room for an answer that is packed in a coding with an effort.
    ///
    /// # Errors
    /// There is no room in time, or the answer is too large to ever have it.
    pub async fn room_for(
        &self,
        caller: &Caller,
        work: &Work,
        coding: Coding,
        effort: Effort,
    ) -> Result<Room, Unanswered> {
        let asked = work.memory.saturating_add(beside(coding, effort));
        let most = self.flight.largest();
        if asked > most {
            return Err(Unanswered::TooLarge { asked, most });
        }
        Ok(self.flight.take(caller, asked).await?)
    }

    /// Packs a body that is sent once. A large one is packed when it is the caller's turn.
    ///
    /// # Errors
    /// Packing panicked.
    pub async fn pack(
        &self,
        view: &ViewName,
        caller: &Caller,
        body: Bytes,
        coding: Coding,
    ) -> Result<Bytes, PoolError> {
        if coding == Coding::Identity || body.len() <= PIECE {
            return Ok(compress(&body, coding, Effort::Each));
        }
        let pack = move || compress(&body, coding, Effort::Each);
        self.run(view, caller, pack).await
    }

    /// Reads a request of `bytes` bytes for an answer of a view: a short one at once, a longer
    /// one when it is the caller's turn.
    ///
    /// # Errors
    /// Reading panicked.
    pub async fn read<T: Send + 'static>(
        &self,
        view: &ViewName,
        caller: &Caller,
        bytes: usize,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        /// How many bytes are read in about a millisecond.
        const SHORT: usize = 64 * 1024;
        if bytes <= SHORT {
            Ok(read())
        } else {
            self.run(view, caller, read).await
        }
    }

    /// Does `work` for an answer of a view when it is the caller's turn.
    ///
    /// # Errors
    /// The work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        view: &ViewName,
        caller: &Caller,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let turns = if *view == self.own {
            &self.ours
        } else {
            &self.others
        };
        turns.run(caller, work).await
    }

    /// Writes the next piece of an answer, and handles it by `with` in the same turn.
    ///
    /// # Errors
    /// Either of them panicked.
    pub(super) async fn step<S: Send + 'static, T: Send + 'static>(
        &self,
        caller: &Caller,
        mut rendering: Box<Rendering>,
        mut state: S,
        with: impl FnOnce(&mut S, Bytes) -> T + Send + 'static,
    ) -> Result<Step<S, T>, PoolError> {
        let view = rendering.content().name().clone();
        let work = move || {
            let (text, more, cells) = write_piece(&mut rendering);
            let step = Step {
                made: with(&mut state, text.into()),
                rendering,
                state,
                more,
            };
            (step, cells)
        };
        let (step, cells) = self.run(&view, caller, work).await?;
        self.cells.fetch_add(cells, Ordering::Relaxed);
        Ok(step)
    }

    /// Writes the next piece of an answer that is sent at its client's pace, and handles it by
    /// `with` in the same turn. Returns the state, the result of `with`, and whether there is
    /// more.
    ///
    /// # Errors
    /// Either of them panicked, or the answer was cut off.
    pub async fn step_on<S: Send + 'static, T: Send + 'static>(
        &self,
        caller: &Caller,
        pinned: &Pinned,
        state: S,
        with: impl FnOnce(&mut S, Bytes) -> T + Send + 'static,
    ) -> Result<(S, T, bool), Unanswered> {
        let step = self.step(caller, pinned.take()?, state, with).await?;
        if step.more {
            pinned.put(step.rendering);
        }
        Ok((step.state, step.made, step.more))
    }

    /// Returns the body of an answer that is written and packed while it is sent. `room` is
    /// given back when the client has taken it all, or is gone.
    pub fn stream(
        self: &Arc<Self>,
        caller: Caller,
        rendering: Rendering,
        coding: Coding,
        room: Room,
    ) -> Body {
        let sending = Sending {
            answers: self.clone(),
            caller,
            rows: Some(self.pins.note(Box::new(rendering))),
            packing: Some(Packing::new(coding, Effort::Each)),
        };
        let pieces = futures_util::stream::try_unfold(sending, Sending::next);
        room.hold(Body::from_stream(pieces))
    }
}

/// Writes until a piece is complete, or the turn is over. Returns the text, whether there is
/// more, and how many cells were read.
fn write_piece(rendering: &mut Rendering) -> (Vec<u8>, bool, u64) {
    let begun = rendering.cells_read();
    let mut text = Vec::with_capacity(PIECE + PIECE / 8);
    let mut more = true;
    while more && text.len() < PIECE && rendering.cells_read() - begun < CELLS {
        more = rendering.write_piece(&mut text);
    }
    text.shrink_to_fit();
    (text, more, rendering.cells_read() - begun)
}

/// An answer that is being sent.
struct Sending {
    answers: Arc<Answers>,
    caller: Caller,
    /// None once all rows are written.
    rows: Option<Pinned>,
    /// None once its end is written.
    packing: Option<Packing>,
}

impl Sending {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Unanswered> {
        while let Some(packing) = self.packing.take() {
            let Some(rows) = &self.rows else {
                let end = packing.finish();
                return Ok((!end.is_empty()).then_some((end, self)));
            };
            let pack = |packing: &mut Packing, text| packing.pack(&text);
            let step = self.answers.step_on(&self.caller, rows, packing, pack);
            let (packing, packed, more) = step.await?;
            self.packing = Some(packing);
            if !more {
                self.rows = None;
            }
            if !packed.is_empty() {
                return Ok(Some((packed, self)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing::flight;

    #[tokio::test]
    async fn what_is_long_is_read_on_the_pool() {
        let flight = flight(1_000_000, 1_000_000);
        let pool = || Pool::new(1).expect("a thread");
        let answers = Answers::new(ViewName::Merged, pool(), pool(), flight);
        let view = ViewName::Merged;
        let thread = async |bytes| {
            let name = || std::thread::current().name().unwrap_or_default().to_owned();
            let read = answers.read(&view, &Caller::Node, bytes, name);
            read.await.expect("it does not panic")
        };
        let here = std::thread::current().name().unwrap_or_default().to_owned();
        assert_eq!(thread(1000).await, here);
        assert!(thread(100_000).await.starts_with("compute-"));
    }
}
