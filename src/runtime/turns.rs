//! Work that takes turns by owner.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::lock;
use super::pool::{Pool, PoolError, attempt};

/// A [`Pool`] whose owners take turns: each of the owners that wait has one piece of work done
/// before any has a second, however much it has asked for. Callers cut their work into pieces of
/// a few milliseconds, so that nobody waits long for a turn.
#[derive(Debug)]
pub struct Turns<K> {
    pool: Pool,
    queue: Arc<Mutex<Queue<K>>>,
}

struct Queue<K> {
    waiting: HashMap<K, VecDeque<Job>>,
    /// Every owner that waits, in the order of their turns.
    order: VecDeque<K>,
    /// The number of threads at work.
    running: usize,
}

type Job = Box<dyn FnOnce() + Send>;

impl<K: Eq + Hash + Clone + Send + 'static> Turns<K> {
    /// Makes turns on the threads of a pool.
    pub fn new(pool: Pool) -> Self {
        let queue = Queue {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            running: 0,
        };
        Self {
            pool,
            queue: Arc::new(Mutex::new(queue)),
        }
    }

    /// Runs `work` when it is `owner`'s turn, and waits for its value. When the returned future
    /// is dropped, work that has not begun never does.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] when the work panicked.
    pub async fn run<T, F>(&self, owner: &K, work: F) -> Result<T, PoolError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (give, value) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !give.is_closed() {
                // Nobody may be waiting any more.
                let _ = give.send(attempt(work));
            }
        });
        let start = lock(&self.queue).push(owner, job, self.pool.threads());
        if start {
            let queue = self.queue.clone();
            self.pool.spawn(move || work_off(&queue));
        }
        value.await.unwrap_or_else(|_| Err(PoolError::gone()))
    }

    /// Returns how many pieces of work wait.
    pub fn waiting(&self) -> usize {
        lock(&self.queue).waiting.values().map(VecDeque::len).sum()
    }
}

impl<K: Eq + Hash + Clone> Queue<K> {
    /// Adds a job; returns whether another thread is to be started on the queue.
    fn push(&mut self, owner: &K, job: Job, threads: usize) -> bool {
        match self.waiting.get_mut(owner) {
            Some(jobs) => jobs.push_back(job),
            None => {
                self.waiting.insert(owner.clone(), [job].into());
                self.order.push_back(owner.clone());
            }
        }
        let start = self.running < threads;
        self.running += usize::from(start);
        start
    }

    /// Takes the next job. If there is none, the calling thread counts as stopped.
    fn pop(&mut self) -> Option<Job> {
        let job = self.order.pop_front().and_then(|owner| {
            let jobs = self.waiting.get_mut(&owner)?;
            let job = jobs.pop_front();
            if jobs.is_empty() {
                self.waiting.remove(&owner);
            } else {
                self.order.push_back(owner);
            }
            job
        });
        self.running -= usize::from(job.is_none());
        job
    }
}

impl<K> std::fmt::Debug for Queue<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} owners wait, {} jobs run",
            self.order.len(),
            self.running
        )
    }
}

fn work_off<K: Eq + Hash + Clone>(queue: &Mutex<Queue<K>>) {
    loop {
        let job = lock(queue).pop();
        match job {
            Some(job) => job(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::Task;
    use crate::runtime::testing::soon;

    /// Makes a thread busy until the gate opens.
    async fn busy(turns: &Arc<Turns<u8>>) -> (Task<()>, mpsc::Sender<()>) {
        let (open, gate) = mpsc::channel::<()>();
        let (at_work, entered) = oneshot::channel();
        let turns = turns.clone();
        let task = Task::spawn("busy", async move {
            let work = move || {
                at_work.send(()).expect("it is waited for");
                let _ = gate.recv();
            };
            turns.run(&0, work).await.expect("it does not panic");
        });
        soon(entered).await.expect("it runs");
        (task, open)
    }

    #[tokio::test]
    async fn each_owner_has_one_piece_done_before_any_has_a_second() {
        let turns = Arc::new(Turns::new(Pool::new(1).expect("a thread")));
        let (_busy, open) = busy(&turns).await;
        let (done, order) = mpsc::channel();
        let mut tasks = Vec::new();
        for (place, owner) in [1, 1, 1, 2, 2, 3].into_iter().enumerate() {
            let (waiting, done) = (turns.clone(), done.clone());
            tasks.push(Task::spawn("asks", async move {
                waiting.run(&owner, move || done.send(owner)).await
            }));
            while turns.waiting() <= place {
                tokio::task::yield_now().await;
            }
        }
        open.send(()).expect("it waits");
        for task in tasks {
            let sent = soon(task.join()).await.expect("it ends");
            sent.expect("it does not panic").expect("sent");
        }
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [1, 2, 3, 1, 2, 1]);
        assert_eq!(turns.waiting(), 0);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun_and_a_panic_is_an_error() {
        let turns = Arc::new(Turns::new(Pool::new(1).expect("a thread")));
        let (_busy, open) = busy(&turns).await;
        let (began, beginnings) = mpsc::channel::<()>();
        let asking = {
            let turns = turns.clone();
            Task::spawn("asks", async move {
                turns.run(&1, move || began.send(())).await
            })
        };
        while turns.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        asking.cancel().await;
        open.send(()).expect("it waits");
        let panicked = soon(turns.run(&2, || -> u8 { panic!("no such row") })).await;
        assert!(matches!(panicked, Err(PoolError::Panicked { .. })));
        assert_eq!(soon(turns.run(&2, || 4)).await.expect("it goes on"), 4);
        assert!(beginnings.recv().is_err(), "its sender was dropped unused");
    }
}
