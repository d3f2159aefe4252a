//! Work whose result many want: done once, for all who wait for it.
//!
//! The work belongs to none of them. The first to ask may go away or time out: the work goes on
//! as long as anybody waits, and a while longer, so that a client that is told to come back
//! finds it done.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::runtime::{Clock, Moment, Task, lock};

/// How long work goes on while nobody waits for it.
const LINGERS: Duration = Duration::from_secs(10);

/// Work under way, by key. Its result is `T`, its error `E`.
#[derive(Debug)]
pub(super) struct Once<K, T, E> {
    list: Arc<List<K, T, E>>,
    clock: Clock,
}

type List<K, T, E> = Mutex<HashMap<K, Going<T, E>>>;

/// Work under way. It is cancelled when it is taken off the list.
#[derive(Debug)]
struct Going<T, E> {
    end: Arc<watch::Sender<Option<End<T, E>>>>,
    _task: Task<()>,
}

/// How work ended.
#[derive(Debug, Clone)]
pub(super) enum End<T, E> {
    Made(T),
    Failed(E),
    /// Nobody waited for it any more.
    GivenUp,
}

/// Tells whether anybody still waits for the work.
pub(super) struct Wanted {
    waiters: Box<dyn Fn() -> usize + Send>,
    clock: Clock,
    /// Since when nobody has waited.
    unwanted: Option<Moment>,
}

impl Wanted {
    /// Whether to go on with the next piece.
    pub(super) fn goes_on(&mut self) -> bool {
        if (self.waiters)() > 0 {
            self.unwanted = None;
            return true;
        }
        let now = self.clock.now();
        now.since(*self.unwanted.get_or_insert(now)) <= LINGERS
    }
}

/// Takes work off the list when it ends, however it ends.
struct Listed<K: Eq + Hash, T, E> {
    list: Arc<List<K, T, E>>,
    key: K,
}

impl<K, T, E> Once<K, T, E>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Creates an empty list of work.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            list: Arc::default(),
            clock,
        }
    }

    /// Returns the result for `key`: what `is_made` finds, else the result of work under way,
    /// else the result of `work`, which is given the `room` that it takes. While one caller
    /// waits for room, since its share is taken, others may do the work. None if the work broke
    /// off.
    ///
    /// # Errors
    /// There is no room, and nobody else did the work meanwhile; or the work failed.
    pub(super) async fn make<R, F>(
        &self,
        key: &K,
        is_made: impl Fn() -> Option<T>,
        room: impl Future<Output = Result<R, E>>,
        work: impl FnOnce(R, Wanted) -> F,
    ) -> Result<Option<T>, E>
    where
        F: Future<Output = End<T, E>> + Send + 'static,
    {
        let (mut asked, mut ready) = (Some((room, work)), None);
        loop {
            let end = {
                let mut list = lock(&self.list);
                if let Some(made) = is_made() {
                    return Ok(Some(made));
                }
                match (list.get(key), ready.take()) {
                    (Some(going), before) => {
                        ready = before;
                        Some(going.end.subscribe())
                    }
                    (None, Some((room, work))) => Some(self.begin(&mut list, key, room, work)),
                    (None, None) => None,
                }
            };
            if let Some(mut end) = end {
                let end = end.wait_for(Option::is_some).await;
                match end.ok().and_then(|end| end.clone()) {
                    Some(End::Made(made)) => return Ok(Some(made)),
                    Some(End::Failed(error)) => return Err(error),
                    Some(End::GivenUp) | None => {}
                }
            } else {
                let Some((room, work)) = asked.take() else {
                    return Ok(None);
                };
                match room.await {
                    Ok(room) => ready = Some((room, work)),
                    Err(error) => return is_made().map(Some).ok_or(error),
                }
            }
        }
    }

    fn begin<R, F>(
        &self,
        list: &mut HashMap<K, Going<T, E>>,
        key: &K,
        room: R,
        work: impl FnOnce(R, Wanted) -> F,
    ) -> watch::Receiver<Option<End<T, E>>>
    where
        F: Future<Output = End<T, E>> + Send + 'static,
    {
        let end = Arc::new(watch::Sender::new(None));
        let waiter = end.subscribe();
        let of_work = end.clone();
        let wanted = Wanted {
            waiters: Box::new(move || of_work.receiver_count()),
            clock: self.clock.clone(),
            unwanted: None,
        };
        let making = work(room, wanted);
        let listed = Listed {
            list: self.list.clone(),
            key: key.clone(),
        };
        let tell = end.clone();
        let task = Task::spawn("shared work", async move {
            let _listed = listed;
            let made = making.await;
            tell.send_replace(Some(made));
        });
        list.insert(key.clone(), Going { end, _task: task });
        waiter
    }
}

impl<K: Eq + Hash, T, E> Drop for Listed<K, T, E> {
    fn drop(&mut self) {
        let ended = lock(&self.list).remove(&self.key);
        // Dropped after the lock is released: it may hold the last copy of the result.
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use jiff::Timestamp;
    use tokio::sync::oneshot;

    use super::*;
    use crate::runtime::testing::soon;

    type Numbers = Once<&'static str, u8, &'static str>;

    async fn until(is: impl Fn() -> bool) {
        soon(async {
            while !is() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn room() -> Result<(), &'static str> {
        Ok(())
    }

    #[tokio::test]
    async fn work_is_done_once_and_goes_on_when_who_asked_first_is_gone() {
        let (clock, _hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let once: Numbers = Once::new(clock);
        let begun = Arc::new(AtomicUsize::new(0));
        let (give, number) = oneshot::channel::<u8>();
        let counting = begun.clone();
        let work = move |(), _| async move {
            counting.fetch_add(1, Ordering::Relaxed);
            End::Made(number.await.expect("it is given"))
        };
        let mut first = Box::pin(once.make(&"a", || None, room(), work));
        assert!(first.as_mut().now_or_never().is_none());
        let never = |(), _| std::future::pending::<End<u8, &'static str>>();
        let mut second = Box::pin(once.make(&"a", || None, room(), never));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        until(|| begun.load(Ordering::Relaxed) == 1).await;
        // Work on another key does not wait for this.
        let other = once.make(&"b", || None, room(), |(), _| async { End::Made(2) });
        assert_eq!(soon(other).await, Ok(Some(2)));
        give.send(7).expect("it goes on");
        assert_eq!(soon(second).await, Ok(Some(7)));
        until(|| lock(&once.list).is_empty()).await;
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_goes_on_for_a_while_and_then_ends() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let once: Numbers = Once::new(clock);
        let pieces = Arc::new(AtomicUsize::new(0));
        let counting = pieces.clone();
        let work = move |(), mut wanted: Wanted| async move {
            while wanted.goes_on() {
                counting.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            End::GivenUp
        };
        let mut asking = Box::pin(once.make(&"a", || None, room(), work));
        assert!(asking.as_mut().now_or_never().is_none());
        let more = async || {
            let before = pieces.load(Ordering::Relaxed);
            until(|| pieces.load(Ordering::Relaxed) > before + 3).await;
        };
        hand.advance(2 * LINGERS);
        more().await;
        drop(asking);
        more().await;
        hand.advance(LINGERS);
        more().await;
        hand.advance(Duration::from_secs(1));
        until(|| lock(&once.list).is_empty()).await;
    }

    #[tokio::test]
    async fn who_waits_for_room_keeps_nobody_else_from_the_work() {
        let (clock, _hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let once: Numbers = Once::new(clock);
        let made = Cell::new(None);
        let wait = |room: oneshot::Receiver<()>| room.map(|room| room.map_err(|_| "no room"));
        let never = |(), _| std::future::pending::<End<u8, &'static str>>();
        let (give, none_yet) = oneshot::channel();
        let mut poor = Box::pin(once.make(&"a", || made.get(), wait(none_yet), never));
        assert!(poor.as_mut().now_or_never().is_none());
        let rich = once.make(&"a", || made.get(), room(), |(), _| async { End::Made(1) });
        assert_eq!(soon(rich).await, Ok(Some(1)));
        made.set(Some(1));
        give.send(()).expect("somebody waits");
        assert_eq!(soon(poor).await, Ok(Some(1)), "it was done meanwhile");

        // If there is no room, a caller that does not find the work done gets the error.
        made.set(None);
        let (give, none) = oneshot::channel();
        drop(give);
        let refused = once.make(&"a", || made.get(), wait(none), never);
        assert_eq!(soon(refused).await, Err("no room"));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_and_what_broke_off_is_begun_anew() {
        let (clock, _hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let once: Numbers = Once::new(clock);
        let failing = once.make(&"a", || None, room(), |(), _| async { End::Failed("why") });
        assert_eq!(soon(failing).await, Err("why"));
        let broken = once.make(
            &"a",
            || None,
            room(),
            |(), _| async { panic!("a defect") as End<u8, &'static str> },
        );
        assert_eq!(soon(broken).await, Ok(None));
        let again = once.make(&"a", || None, room(), |(), _| async { End::Made(3) });
        assert_eq!(soon(again).await, Ok(Some(3)));
    }
}
