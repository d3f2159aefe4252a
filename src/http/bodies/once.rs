//! Work of which everybody wants the same result: done by one, while the others wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::FutureExt;
use tokio::sync::OwnedMutexGuard;

/// A lock for each key. One that nobody holds or waits for takes no room.
#[derive(Debug)]
pub(super) struct Once<K> {
    locks: Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>,
}

impl<K> Default for Once<K> {
    fn default() -> Self {
        Self {
            locks: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone> Once<K> {
    /// Waits until nobody else works on `key`. What they did is done then, unless they gave up.
    pub(super) async fn enter(&self, key: &K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            match locks.get(key).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    locks.retain(|_, lock| lock.strong_count() > 0);
                    let lock = Arc::default();
                    locks.insert(key.clone(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }

    /// As [`Once::enter`], with `room` to do it; none if it `is_made` by then. Who has to wait for
    /// room, since its share is taken, keeps nobody else from doing it.
    ///
    /// # Errors
    /// There is no room, and nobody did it meanwhile.
    pub(super) async fn enter_with<R, E>(
        &self,
        key: &K,
        is_made: impl Fn() -> bool,
        room: impl Future<Output = Result<R, E>>,
    ) -> Result<Option<(OwnedMutexGuard<()>, R)>, E> {
        let turn = self.enter(key).await;
        if is_made() {
            return Ok(None);
        }
        let mut room = pin!(room);
        if let Some(room) = room.as_mut().now_or_never() {
            return Ok(Some((turn, room?)));
        }
        drop(turn);
        let room = room.await;
        let turn = self.enter(key).await;
        if is_made() {
            return Ok(None);
        }
        Ok(Some((turn, room?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn one_works_on_a_key_while_others_work_on_theirs() {
        let once = Once::default();
        let first = once.enter(&"a").await;
        let mut second = Box::pin(once.enter(&"a"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(once.enter(&"b").await);
        drop(first);
        drop(second.await);
        drop(once.enter(&"c").await);
        assert_eq!(once.locks.lock().expect("no panic").len(), 1);
    }

    #[tokio::test]
    async fn who_waits_for_room_keeps_nobody_else_from_the_work() {
        let once = Once::default();
        let made = std::cell::Cell::new(false);
        let (give, room) = tokio::sync::oneshot::channel::<u8>();
        let mut poor = Box::pin(once.enter_with(&"a", || made.get(), room));
        assert!(poor.as_mut().now_or_never().is_none());
        let rich = once.enter_with(&"a", || made.get(), async { Ok::<_, ()>(1) });
        let (turn, room) = rich
            .now_or_never()
            .expect("it does not wait")
            .expect("room")
            .expect("work");
        assert_eq!(room, 1);
        made.set(true);
        drop(turn);
        give.send(2).expect("somebody waits");
        assert!(poor.await.expect("room").is_none(), "it was done meanwhile");

        // Where there is none, who did not find it done is told.
        made.set(false);
        let (give, room) = tokio::sync::oneshot::channel::<u8>();
        drop(give);
        let refused = once.enter_with(&"a", || made.get(), room);
        assert!(refused.await.is_err());
    }
}
