//! Threads for CPU work, apart from those that answer sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::task::panic_message;

/// A pool of threads for work that takes over a millisecond of CPU time: compiling, parsing and
/// rendering maps, checking signatures in bulk. On a thread of the async runtime such work would
/// hold up every connection that shares it.
///
/// rayon's parallel iterators inside the work run on this pool, not on rayon's global one. The
/// threads end when the last clone is dropped and their work is done.
#[derive(Clone, Debug)]
pub struct Pool {
    threads: Arc<rayon::ThreadPool>,
}

/// Why the pool gave no value.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The threads could not be started.
    #[error(
        "cannot start {threads} compute threads: {source}; ask for fewer, or raise the limit on threads"
    )]
    Threads {
        /// How many were asked for; 0 stands for one per core.
        threads: usize,
        /// The system's error.
        source: rayon::ThreadPoolBuildError,
    },
    /// The work panicked: a defect of the program. The pool goes on.
    #[error("a computation panicked: {message}; this is a defect, please report it")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
}

impl Pool {
    /// Starts a pool of `threads` threads; 0 means one per core.
    ///
    /// # Errors
    /// [`PoolError::Threads`] when the system refuses the threads.
    pub fn new(threads: usize) -> Result<Pool, PoolError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map(|pool| Pool {
                threads: Arc::new(pool),
            })
            .map_err(|source| PoolError::Threads { threads, source })
    }

    /// Returns the number of threads.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `work` on the pool and waits for its value. When the returned future is dropped,
    /// work that has not begun never does, and work that has begun is finished and its value
    /// dropped.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] when the work panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T, PoolError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (give, value) = oneshot::channel();
        self.spawn(move || {
            if !give.is_closed() {
                // Nobody may be waiting any more.
                let _ = give.send(attempt(work));
            }
        });
        value.await.unwrap_or_else(|_| Err(PoolError::gone()))
    }

    /// Has one of the threads do `work`, which must not panic.
    pub(super) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        self.threads.spawn(work);
    }
}

impl PoolError {
    /// Makes the error of work whose thread did not return a value.
    pub(super) fn gone() -> Self {
        PoolError::Panicked {
            message: "its thread ended without an answer".to_owned(),
        }
    }
}

/// Runs `work` and catches its panic, which would otherwise abort the process. `work` is
/// consumed by the call, so that nothing of it is seen again half changed.
pub(super) fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, PoolError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = panic_message(panic.as_ref());
        tracing::error!(message, "computation panicked");
        PoolError::Panicked { message }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::Task;
    use futures_util::FutureExt;
    use rayon::prelude::*;

    #[tokio::test]
    async fn work_runs_on_the_pools_threads_and_so_do_its_parallel_parts() {
        let pool = Pool::new(2).unwrap();
        assert_eq!(pool.threads(), 2);
        let names = pool
            .run(|| {
                let name = |_| std::thread::current().name().unwrap_or_default().to_owned();
                (0..64).into_par_iter().map(name).collect::<Vec<_>>()
            })
            .await
            .unwrap();
        assert!(
            names.iter().all(|name| name.starts_with("compute-")),
            "{names:?}"
        );
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_and_the_pool_goes_on() {
        let pool = Pool::new(1).unwrap();
        let error = pool
            .run(|| -> u8 { panic!("no such row: {}", 9) })
            .await
            .unwrap_err();
        assert!(
            matches!(&error, PoolError::Panicked { message } if message == "no such row: 9"),
            "{error}"
        );
        assert_eq!(pool.run(|| 4).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let pool = Pool::new(1).unwrap();
        let (open, gate) = mpsc::channel::<()>();
        let (at_work, entered) = oneshot::channel::<()>();
        let (began, beginnings) = mpsc::channel::<()>();
        let busy = Task::spawn("busy", {
            let pool = pool.clone();
            async move {
                let work = move || {
                    at_work.send(()).unwrap();
                    gate.recv().unwrap();
                };
                pool.run(work).await
            }
        });
        entered.await.unwrap();
        let mut given_up = Box::pin(pool.run(move || began.send(())));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        open.send(()).unwrap();
        busy.join().await.unwrap().unwrap();
        pool.run(|| ()).await.unwrap();
        assert!(beginnings.recv().is_err(), "its sender was dropped unused");
    }
}
