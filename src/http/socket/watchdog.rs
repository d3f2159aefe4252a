//! Watches what a connection must do, and by when.
//!
//! hyper only has a timer for HTTP/1 heads, which also runs between requests and not before the
//! protocol is known; it has none for a client that stops reading. So the parts of a connection
//! report here what happens ([`Wire`](super::wire::Wire): bytes; [`Exchange`](super::exchange):
//! requests and pieces of responses), and the connection's task waits for the one deadline that
//! follows from it.
//!
//! | the connection is | it must, within | or is |
//! |---|---|---|
//! | new (TLS handshake and HTTP/2 preface included) | send a whole request head, `header_timeout` of its accept | cut |
//! | idle | begin a request, `idle_timeout` | told good-bye and closed |
//! | HTTP/1 in a further request head | send the rest, `header_timeout` of its first byte | cut |
//! | answered | take [`PIECE`] bytes, or the rest, `write_timeout` | cut |
//! | told good-bye, or closed by this side | close, [`LINGER`] | cut |

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::runtime::{Clock, Moment, Sleep, lock};

/// How many bytes of a response a client must take within `write_timeout`. If single bytes
/// counted as progress, a client could hold a response for years.
pub(super) const PIECE: usize = 16 * 1024;

/// How long a connection may take to close once this side is done with it. Until then what the
/// client still sends is read and dropped: closing with unread bytes would reset the connection,
/// and the reset can overtake the answer.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// The deadlines of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub header: Duration,
    pub idle: Duration,
    pub write: Duration,
}

/// What a connection did not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Send a request head.
    Header,
    /// Begin another request.
    Idle,
    /// Take a piece of a response.
    Write,
    /// End, after this side asked it to.
    Close,
}

/// The state of one connection, as far as its deadlines depend on it.
#[derive(Debug)]
pub(super) struct Watchdog {
    clock: Clock,
    limits: Limits,
    state: Mutex<State>,
    /// Wakes the connection's task when a request of HTTP/2, which runs in its own task, may
    /// have brought the deadline closer.
    waker: AtomicWaker,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Whether it is HTTP/2: bytes between requests may be pings and need not be a head.
    multiplexed: bool,
    /// Whether the client has been told that no further request is taken.
    leaving: bool,
    /// When everything ends, whatever the phase.
    cut: Option<Moment>,
    /// Since when the socket has taken no further piece, and how many bytes it has taken since.
    blocked: Option<(Moment, usize)>,
    /// When each piece of a response was given to the protocol, for pieces after which it has
    /// not asked for more: on HTTP/2 a client can stop a single response by its window while the
    /// socket is free.
    pieces: BTreeMap<u64, Moment>,
    next_exchange: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There was no request yet.
    New { accepted: Moment },
    /// Requests are being handled or answered.
    Busy { exchanges: usize },
    /// The connection is between requests.
    Idle { since: Moment },
    /// The first byte of a further HTTP/1 request head has come.
    Head { since: Moment },
    /// This side has shut down its direction.
    Closing { since: Moment },
}

/// A future that ends with each deadline that passes; made by [`Watchdog::overdue`].
#[derive(Debug)]
pub(super) struct Watch<'a> {
    watchdog: &'a Watchdog,
    sleep: Option<Sleep>,
}

impl Watchdog {
    /// Watches a connection that was accepted at `accepted`.
    pub fn new(clock: Clock, limits: Limits, accepted: Moment) -> Watchdog {
        Watchdog {
            clock,
            limits,
            state: Mutex::new(State {
                phase: Phase::New { accepted },
                multiplexed: false,
                leaving: false,
                cut: None,
                blocked: None,
                pieces: BTreeMap::new(),
                next_exchange: 0,
            }),
            waker: AtomicWaker::new(),
        }
    }

    /// Waits for the next deadline to pass. Polled again it waits for the one after, so the
    /// caller must deal with the cause in between.
    pub fn overdue(&self) -> Watch<'_> {
        Watch {
            watchdog: self,
            sleep: None,
        }
    }

    /// Notes that a request head is complete. Returns the number of the exchange.
    pub fn begin(&self, multiplexed: bool) -> u64 {
        let mut state = self.lock();
        state.multiplexed |= multiplexed;
        state.phase = match state.phase {
            Phase::Busy { exchanges } => Phase::Busy {
                exchanges: exchanges + 1,
            },
            closing @ Phase::Closing { .. } => closing,
            Phase::New { .. } | Phase::Idle { .. } | Phase::Head { .. } => {
                Phase::Busy { exchanges: 1 }
            }
        };
        state.next_exchange += 1;
        state.next_exchange
    }

    /// Notes that the response of an exchange has been handed over whole, or given up.
    pub fn finish(&self, exchange: u64) {
        let since = self.clock.now();
        let mut state = self.lock();
        state.pieces.remove(&exchange);
        if let Phase::Busy { exchanges } = state.phase {
            state.phase = match exchanges {
                0 | 1 => Phase::Idle { since },
                more => Phase::Busy {
                    exchanges: more - 1,
                },
            };
        }
        self.wake(&state);
    }

    /// Notes that the protocol was given a piece of a response.
    pub fn gave_piece(&self, exchange: u64) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.pieces.insert(exchange, now);
        self.wake(&state);
    }

    /// Notes that the protocol asks for the next piece of a response, so that it is done with
    /// the one before.
    pub fn wants_piece(&self, exchange: u64) {
        self.lock().pieces.remove(&exchange);
    }

    /// Notes that bytes came from the client.
    pub fn read(&self) {
        let mut state = self.lock();
        if let (Phase::Idle { .. }, false) = (state.phase, state.multiplexed) {
            state.phase = Phase::Head {
                since: self.clock.now(),
            };
        }
    }

    /// Notes that the socket took `count` bytes.
    pub fn wrote(&self, count: usize) {
        let mut state = self.lock();
        if let Some((_, taken)) = state.blocked {
            state.blocked = match taken + count {
                taken if taken < PIECE => state.blocked.map(|(since, _)| (since, taken)),
                _ => Some((self.clock.now(), 0)),
            };
        }
    }

    /// Notes that the socket takes no more bytes for now.
    pub fn blocked(&self) {
        let mut state = self.lock();
        if state.blocked.is_none() {
            state.blocked = Some((self.clock.now(), 0));
        }
    }

    /// Notes that nothing is left to write.
    pub fn flushed(&self) {
        self.lock().blocked = None;
    }

    /// Whether there are bytes that the socket has not taken.
    pub fn unsent(&self) -> bool {
        self.lock().blocked.is_some()
    }

    /// Notes that the client has been told that the connection ends.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.leaving = true;
        if let Phase::Idle { since } = &mut state.phase {
            *since = self.clock.now();
        }
    }

    /// Notes that this side has shut down its direction: what comes now is read and dropped.
    pub fn closing(&self) {
        self.lock().phase = Phase::Closing {
            since: self.clock.now(),
        };
    }

    /// Ends the connection at `at`, whatever it is doing then.
    pub fn cut_at(&self, at: Moment) {
        self.lock().cut = Some(at);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wake(&self, state: &State) {
        if state.multiplexed {
            self.waker.wake();
        }
    }

    /// Returns the nearest deadline, and what is overdue then.
    fn deadline(&self) -> Option<(Moment, Overdue)> {
        let limits = &self.limits;
        let state = self.lock();
        let phase = match state.phase {
            Phase::New { accepted } => Some((accepted + limits.header, Overdue::Header)),
            Phase::Head { since } => Some((since + limits.header, Overdue::Header)),
            // The response is still being sent; the client need not send another request yet.
            Phase::Idle { .. } if state.blocked.is_some() => None,
            Phase::Idle { since } if state.leaving => Some((since + LINGER, Overdue::Close)),
            Phase::Idle { since } => Some((since + limits.idle, Overdue::Idle)),
            Phase::Closing { since } => Some((since + LINGER, Overdue::Close)),
            Phase::Busy { .. } => None,
        };
        let blocked = state.blocked.map(|(since, _)| since);
        let written = blocked.into_iter().chain(state.pieces.values().copied());
        let written = written
            .min()
            .map(|since| (since + limits.write, Overdue::Write));
        let cut = state.cut.map(|at| (at, Overdue::Close));
        [phase, written, cut]
            .into_iter()
            .flatten()
            .min_by_key(|(deadline, _)| *deadline)
    }
}

impl Future for Watch<'_> {
    type Output = Overdue;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Overdue> {
        let watchdog = self.watchdog;
        watchdog.waker.register(cx.waker());
        let Some((deadline, overdue)) = watchdog.deadline() else {
            self.sleep = None;
            return Poll::Pending;
        };
        let sleep = match self.sleep.take() {
            Some(sleep) if sleep.deadline() == deadline => sleep,
            _ => watchdog.clock.sleep_until(deadline),
        };
        let sleep = self.sleep.insert(sleep);
        ready!(Pin::new(sleep).poll(cx));
        self.sleep = None;
        Poll::Ready(overdue)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::runtime::ManualClock;
    use futures_util::FutureExt;
    use jiff::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    fn watched() -> (Watchdog, ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let limits = Limits {
            header: 10 * SECOND,
            idle: 75 * SECOND,
            write: 60 * SECOND,
        };
        let accepted = clock.now();
        (Watchdog::new(clock, limits, accepted), hand)
    }

    /// Returns in how many seconds something is overdue, and what.
    fn due(watchdog: &Watchdog) -> Option<(u64, Overdue)> {
        let (deadline, overdue) = watchdog.deadline()?;
        Some(((deadline - watchdog.clock.now()).as_secs(), overdue))
    }

    #[test]
    fn bytes_do_not_prolong_the_time_for_the_first_head() {
        let (watchdog, hand) = watched();
        hand.advance(9 * SECOND);
        watchdog.read();
        assert_eq!(due(&watchdog), Some((1, Overdue::Header)));
    }

    #[test]
    fn a_request_under_way_has_no_deadline_here_and_the_last_to_end_leaves_it_idle() {
        let (watchdog, hand) = watched();
        let (one, two) = (watchdog.begin(true), watchdog.begin(true));
        assert_eq!(due(&watchdog), None);
        watchdog.finish(one);
        hand.advance(500 * SECOND);
        assert_eq!(due(&watchdog), None);
        watchdog.finish(two);
        assert_eq!(due(&watchdog), Some((75, Overdue::Idle)));
    }

    #[test]
    fn the_first_byte_of_a_further_head_starts_its_time_on_http1() {
        let (watchdog, hand) = watched();
        watchdog.finish(watchdog.begin(false));
        hand.advance(70 * SECOND);
        watchdog.read();
        hand.advance(SECOND);
        watchdog.read();
        assert_eq!(due(&watchdog), Some((9, Overdue::Header)));
        watchdog.begin(false);
        assert_eq!(due(&watchdog), None);
    }

    #[test]
    fn pings_on_http2_neither_shorten_nor_prolong_idleness() {
        let (watchdog, hand) = watched();
        watchdog.finish(watchdog.begin(true));
        hand.advance(70 * SECOND);
        watchdog.read();
        assert_eq!(due(&watchdog), Some((5, Overdue::Idle)));
    }

    #[test]
    fn a_blocked_socket_must_take_a_piece_and_a_trickle_is_none() {
        let (watchdog, hand) = watched();
        watchdog.finish(watchdog.begin(false));
        watchdog.blocked();
        hand.advance(59 * SECOND);
        watchdog.wrote(PIECE - 1);
        watchdog.blocked();
        assert_eq!(due(&watchdog), Some((1, Overdue::Write)));
        watchdog.wrote(1);
        assert_eq!(due(&watchdog), Some((60, Overdue::Write)));
        watchdog.flushed();
        assert_eq!(due(&watchdog), Some((16, Overdue::Idle)));
    }

    #[test]
    fn each_response_must_move_while_others_do() {
        let (watchdog, hand) = watched();
        let (stuck, moving) = (watchdog.begin(true), watchdog.begin(true));
        watchdog.gave_piece(stuck);
        for _ in 0..3 {
            watchdog.gave_piece(moving);
            hand.advance(10 * SECOND);
            watchdog.wants_piece(moving);
        }
        assert_eq!(due(&watchdog), Some((30, Overdue::Write)));
        watchdog.finish(stuck);
        assert_eq!(due(&watchdog), None);
    }

    #[test]
    fn a_connection_told_to_leave_has_the_linger_and_not_the_idle_time() {
        let (watchdog, hand) = watched();
        watchdog.finish(watchdog.begin(true));
        hand.advance(75 * SECOND);
        watchdog.leave();
        assert_eq!(due(&watchdog), Some((2, Overdue::Close)));
        let late = watchdog.begin(true);
        assert_eq!(due(&watchdog), None);
        watchdog.finish(late);
        assert_eq!(due(&watchdog), Some((2, Overdue::Close)));
    }

    #[test]
    fn the_cut_comes_first_whatever_the_connection_does() {
        let (watchdog, _hand) = watched();
        watchdog.begin(false);
        watchdog.cut_at(watchdog.clock.now() + 3 * SECOND);
        assert_eq!(due(&watchdog), Some((3, Overdue::Close)));
    }

    #[test]
    fn the_watch_follows_a_deadline_that_moves_closer() {
        let (watchdog, hand) = watched();
        watchdog.finish(watchdog.begin(false));
        let mut watch = watchdog.overdue();
        assert_eq!((&mut watch).now_or_never(), None);
        watchdog.read();
        assert_eq!((&mut watch).now_or_never(), None);
        hand.advance(10 * SECOND);
        assert_eq!((&mut watch).now_or_never(), Some(Overdue::Header));
    }

    /// On several threads a request of HTTP/2 may report after its connection's task has last
    /// read the deadline.
    #[test]
    fn a_report_of_http2_wakes_the_watch() {
        let (watchdog, _hand) = watched();
        let exchange = watchdog.begin(true);
        let reports: [&dyn Fn(); 2] = [&|| watchdog.gave_piece(exchange), &|| {
            watchdog.finish(exchange)
        }];
        for report in reports {
            let woken = Arc::new(Woken(AtomicBool::new(false)));
            let waker = Waker::from(woken.clone());
            let mut watch = watchdog.overdue();
            let poll = Pin::new(&mut watch).poll(&mut Context::from_waker(&waker));
            assert_eq!(poll, Poll::Pending);
            report();
            assert!(woken.0.load(Ordering::Relaxed));
        }
    }

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
