//! Time: a monotonic clock for deadlines, a wall clock for stamps, both movable by hand.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::lock;

/// The longest time ahead that a [`Moment`] can lie: 100 years, past any deadline that matters
/// and short of what the operating system's clock can hold.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A point of monotonic time, read from a [`Clock`].
///
/// It wraps [`Instant`] without its `elapsed`, which would read the operating system's clock
/// behind the back of a manual one. Adding saturates 100 years ahead and subtracting saturates
/// at zero, so that no configured duration can make a deadline panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Instant);

/// The source of time of a node: cheap to clone, shared by all its tasks.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Manual(Arc<Manual>),
}

/// The handle that moves a manual [`Clock`]; [`Clock::manual`] makes both together.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

/// A future that ends when its deadline has come; made by [`Clock::sleep`].
#[derive(Debug)]
pub struct Sleep {
    deadline: Moment,
    kind: SleepKind,
}

#[derive(Debug)]
enum SleepKind {
    System(Pin<Box<tokio::time::Sleep>>),
    Manual {
        clock: Arc<Manual>,
        registered: Option<u64>,
    },
}

/// A future did not end before its deadline; see [`Clock::timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time allowed for it has passed")]
pub struct Elapsed;

#[derive(Debug)]
struct Manual {
    state: Mutex<State>,
    registrations: Notify,
}

#[derive(Debug)]
struct State {
    now: Moment,
    wall: Timestamp,
    /// Keyed by deadline, then by order of registration: the order in which they are woken.
    sleepers: BTreeMap<(Moment, u64), Waker>,
    next_id: u64,
}

impl Clock {
    /// Returns the operating system's clocks. Sleeping on it needs a tokio runtime with its time
    /// driver.
    pub fn system() -> Clock {
        Clock(Kind::System)
    }

    /// Returns a clock that stands still at `wall`, and the handle that moves it.
    pub fn manual(wall: Timestamp) -> (Clock, ManualClock) {
        let manual = Arc::new(Manual {
            state: Mutex::new(State {
                now: Moment::present(),
                wall,
                sleepers: BTreeMap::new(),
                next_id: 0,
            }),
            registrations: Notify::new(),
        });
        (Clock(Kind::Manual(manual.clone())), ManualClock(manual))
    }

    /// Returns the present moment, which never goes back and is unrelated to the date.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Kind::System => Moment::present(),
            Kind::Manual(manual) => manual.lock().now,
        }
    }

    /// Returns the present date and time, which may jump either way when the system's clock is
    /// set.
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Kind::System => Timestamp::now(),
            Kind::Manual(manual) => manual.lock().wall,
        }
    }

    /// Sleeps for `duration`, counted from this call.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Sleeps until `deadline`; ends at once if that has passed.
    pub fn sleep_until(&self, deadline: Moment) -> Sleep {
        let kind = match &self.0 {
            Kind::System => {
                SleepKind::System(Box::pin(tokio::time::sleep_until(deadline.0.into())))
            }
            Kind::Manual(manual) => SleepKind::Manual {
                clock: manual.clone(),
                registered: None,
            },
        };
        Sleep { deadline, kind }
    }

    /// Awaits `future` for at most `duration`, counted from this call; a future that is ready
    /// wins over a deadline that has come.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline came first; the future is dropped.
    pub async fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let sleep = self.sleep(duration);
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = sleep => Err(Elapsed),
        }
    }
}

impl ManualClock {
    /// Moves both clocks ahead by `duration` and wakes every sleeper whose deadline has come,
    /// the earliest deadline first, and those with equal deadlines in the order in which they
    /// went to sleep.
    pub fn advance(&self, duration: Duration) {
        let due = {
            let mut state = self.0.lock();
            state.now = state.now + duration;
            state.wall = state
                .wall
                .saturating_add(duration)
                .unwrap_or(Timestamp::MAX);
            let first_later = (state.now + Duration::from_nanos(1), 0);
            let later = state.sleepers.split_off(&first_later);
            std::mem::replace(&mut state.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Sets the date alone, as an operator who sets a machine's clock does.
    pub fn set_date(&self, wall: Timestamp) {
        self.0.lock().wall = wall;
    }

    /// Waits until some task sleeps until exactly `ahead` from now: the event by which a test
    /// knows that the code under test has reached its deadline, before it advances the clock.
    pub async fn sleeper(&self, ahead: Duration) {
        self.sleeper_within(ahead..=ahead).await;
    }

    /// Waits until at least `count` tasks sleep until exactly `ahead` from now.
    pub async fn sleepers(&self, ahead: Duration, count: usize) {
        loop {
            let mut registration = std::pin::pin!(self.0.registrations.notified());
            registration.as_mut().enable();
            let asleep = {
                let state = self.0.lock();
                let at = state.now + ahead;
                state.sleepers.range((at, 0)..=(at, u64::MAX)).count()
            };
            if asleep >= count {
                return;
            }
            registration.await;
        }
    }

    /// Waits until some task sleeps until a time in the range `ahead` from now, and returns how
    /// far ahead the first such deadline is. For deadlines that are partly random.
    pub async fn sleeper_within(&self, ahead: RangeInclusive<Duration>) -> Duration {
        loop {
            let mut registration = std::pin::pin!(self.0.registrations.notified());
            registration.as_mut().enable();
            if let Some(ahead) = self.first_sleeper(&ahead) {
                return ahead;
            }
            registration.await;
        }
    }

    fn first_sleeper(&self, ahead: &RangeInclusive<Duration>) -> Option<Duration> {
        let state = self.0.lock();
        let (first, last) = (state.now + *ahead.start(), state.now + *ahead.end());
        let mut at = state.sleepers.range((first, 0)..=(last, u64::MAX));
        at.next()
            .map(|((deadline, _), _)| deadline.since(state.now))
    }
}

impl Manual {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Moment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where all others read the time"
    )]
    fn present() -> Moment {
        Moment(Instant::now())
    }

    /// Returns the time from `earlier` to this moment; zero if it is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Returns the same point as an [`Instant`], for libraries that use it.
    pub fn instant(self) -> Instant {
        self.0
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Moment {
        Moment(instant)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.checked_add(duration.min(FAR)).unwrap_or(self.0))
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

impl Sleep {
    /// Returns the moment at which this sleep ends.
    pub fn deadline(&self) -> Moment {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let (clock, registered) = match &mut self.kind {
            SleepKind::System(sleep) => return sleep.as_mut().poll(cx),
            SleepKind::Manual { clock, registered } => (clock, registered),
        };
        {
            let mut state = clock.lock();
            if state.now >= deadline {
                if let Some(id) = registered.take() {
                    state.sleepers.remove(&(deadline, id));
                }
                return Poll::Ready(());
            }
            let id = *registered.get_or_insert_with(|| {
                state.next_id += 1;
                state.next_id
            });
            state.sleepers.insert((deadline, id), cx.waker().clone());
        }
        clock.registrations.notify_waiters();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let SleepKind::Manual {
            clock,
            registered: Some(id),
        } = &self.kind
        {
            clock.lock().sleepers.remove(&(self.deadline, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::runtime::testing::soon;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts its wakes and notes the order among others that share `order`.
    struct Bell {
        name: usize,
        rung: AtomicUsize,
        order: Arc<Mutex<Vec<usize>>>,
    }

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.rung.fetch_add(1, Ordering::Relaxed);
            self.order.lock().unwrap().push(self.name);
        }
    }

    fn poll(sleep: &mut Sleep, bell: &Arc<Bell>) -> Poll<()> {
        Pin::new(sleep).poll(&mut Context::from_waker(&Waker::from(bell.clone())))
    }

    fn bells(count: usize) -> (Vec<Arc<Bell>>, Arc<Mutex<Vec<usize>>>) {
        let order = Arc::new(Mutex::new(Vec::new()));
        let bell = |name| {
            Arc::new(Bell {
                name,
                rung: AtomicUsize::new(0),
                order: order.clone(),
            })
        };
        ((0..count).map(bell).collect(), order)
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_moves_both_clocks() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (start, twin) = (clock.now(), clock.clone());
        assert_eq!(clock.now(), start);
        hand.advance(90 * SECOND);
        assert_eq!(twin.now() - start, 90 * SECOND);
        assert_eq!(
            twin.wall(),
            "1970-01-01T00:01:30Z".parse::<Timestamp>().unwrap()
        );
    }

    #[test]
    fn advancing_wakes_every_due_sleeper_in_order_of_deadline_and_no_other() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (bells, order) = bells(4);
        let mut sleeps = [3, 1, 1, 4].map(|seconds| clock.sleep(seconds * SECOND));
        for (sleep, bell) in sleeps.iter_mut().zip(&bells) {
            assert_eq!(poll(sleep, bell), Poll::Pending);
        }
        hand.advance(3 * SECOND);
        assert_eq!(*order.lock().unwrap(), [1, 2, 0]);
        let ends = sleeps.iter_mut().zip(&bells).map(|(s, b)| poll(s, b));
        assert_eq!(
            ends.collect::<Vec<_>>(),
            [
                Poll::Ready(()),
                Poll::Ready(()),
                Poll::Ready(()),
                Poll::Pending
            ]
        );
    }

    #[test]
    fn a_sleeper_is_not_woken_a_nanosecond_early() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (bells, order) = bells(1);
        let mut sleep = clock.sleep(SECOND);
        assert_eq!(poll(&mut sleep, &bells[0]), Poll::Pending);
        hand.advance(SECOND - Duration::from_nanos(1));
        assert!(order.lock().unwrap().is_empty());
        hand.advance(Duration::from_nanos(1));
        assert_eq!(poll(&mut sleep, &bells[0]), Poll::Ready(()));
    }

    #[test]
    fn a_sleep_polled_twice_wakes_only_its_latest_waker() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (bells, order) = bells(2);
        let mut sleep = clock.sleep(SECOND);
        assert_eq!(poll(&mut sleep, &bells[0]), Poll::Pending);
        assert_eq!(poll(&mut sleep, &bells[1]), Poll::Pending);
        hand.advance(SECOND);
        assert_eq!(*order.lock().unwrap(), [1]);
    }

    #[test]
    fn a_dropped_sleep_leaves_no_sleeper() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (bells, order) = bells(1);
        let mut sleep = clock.sleep(SECOND);
        assert_eq!(poll(&mut sleep, &bells[0]), Poll::Pending);
        assert!(hand.first_sleeper(&(SECOND..=SECOND)).is_some());
        drop(sleep);
        assert!(hand.first_sleeper(&(SECOND..=SECOND)).is_none());
        hand.advance(SECOND);
        assert!(order.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_test_can_wait_for_a_sleeper_before_it_advances() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn(clock.sleep(7 * SECOND));
        soon(hand.sleeper(7 * SECOND)).await;
        hand.advance(7 * SECOND);
        soon(sleeper).await.unwrap();
    }

    #[tokio::test]
    async fn a_timeout_ends_a_future_that_never_does_and_spares_one_that_is_ready() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        assert_eq!(
            clock
                .timeout(Duration::ZERO, std::future::ready("done"))
                .await,
            Ok("done")
        );
        let stuck = tokio::spawn(async move {
            let never = std::future::pending::<()>();
            clock.timeout(SECOND, never).await
        });
        soon(hand.sleeper(SECOND)).await;
        hand.advance(SECOND);
        assert_eq!(soon(stuck).await.unwrap(), Err(Elapsed));
    }

    #[tokio::test]
    async fn the_system_clock_sleeps_and_does_not_go_back() {
        let clock = Clock::system();
        let start = clock.now();
        let sleep = clock.sleep(Duration::from_millis(1));
        let deadline = sleep.deadline();
        sleep.await;
        assert!(clock.now() >= deadline && deadline > start);
    }

    #[test]
    fn the_longest_duration_makes_a_far_deadline_and_no_panic() {
        let (clock, hand) = Clock::manual(Timestamp::MAX);
        let far = clock.now() + Duration::MAX;
        assert_eq!(far - clock.now(), FAR);
        assert_eq!(clock.now() - far, Duration::ZERO);
        hand.advance(Duration::MAX);
        assert_eq!(clock.wall(), Timestamp::MAX);
    }
}
