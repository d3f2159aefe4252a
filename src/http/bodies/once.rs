//! Work of which everybody wants the same result: done by one, while the others wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
}
