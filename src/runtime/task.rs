//! A spawned future that ends with its owner.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinHandle;

/// A named tokio task that is cancelled when this value is dropped.
///
/// A panic in it does not pass unseen: it is logged with the task's name when it happens, and
/// [`Task::join`] returns it.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    handle: JoinHandle<Result<T, TaskError>>,
}

/// Why a task returned no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// Its code panicked: a defect of the program.
    #[error("task {name} panicked: {message}; this is a defect, please report it")]
    Panicked {
        /// The task's name.
        name: &'static str,
        /// The message of the panic.
        message: String,
    },
    /// The runtime was shut down while it ran.
    #[error("task {name} was cancelled because its runtime is shutting down")]
    Cancelled {
        /// The task's name.
        name: &'static str,
    },
}

impl<T: Send + 'static> Task<T> {
    /// Spawns `future` on the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(name: &'static str, future: F) -> Task<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        // A panic may leave what the future shares with others half changed, as after any panic
        // of a task; the std locks in it are poisoned.
        let observed = AssertUnwindSafe(future).catch_unwind().map(move |end| {
            end.map_err(|panic| {
                let message = panic_message(panic.as_ref());
                tracing::error!(task = name, message, "task panicked");
                TaskError::Panicked { name, message }
            })
        });
        Task {
            name,
            handle: tokio::spawn(observed),
        }
    }

    /// Returns the name given at [`Task::spawn`].
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the task has ended, in whichever way.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for the task's value; dropping this future cancels the task.
    ///
    /// # Errors
    /// [`TaskError`] when the task panicked or its runtime ended.
    pub async fn join(mut self) -> Result<T, TaskError> {
        match (&mut self.handle).await {
            Ok(end) => end,
            Err(_) => Err(TaskError::Cancelled { name: self.name }),
        }
    }

    /// Cancels the task and waits until its future has been dropped, and with it all that it
    /// held: files, sockets, guards.
    pub async fn cancel(mut self) {
        self.handle.abort();
        // Either outcome means that the future is gone.
        let _ = (&mut self.handle).await;
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Returns the message of a panic, if it is text.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<&'static str>() {
        Some(text) => (*text).to_owned(),
        None => match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "a value that is no text".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::testing::soon;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_task_gives_its_value() {
        assert_eq!(Task::spawn("seven", async { 7 }).join().await, Ok(7));
    }

    #[tokio::test]
    async fn a_dropped_task_is_cancelled() {
        let (held, dropped) = oneshot::channel::<()>();
        drop(Task::spawn("holder", async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        assert!(
            soon(dropped).await.is_err(),
            "its end of the channel is gone"
        );
    }

    #[tokio::test]
    async fn dropping_the_join_cancels_the_task() {
        let (held, dropped) = oneshot::channel::<()>();
        let task = Task::spawn("holder", async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(task.join());
        assert!(soon(dropped).await.is_err());
    }

    #[tokio::test]
    async fn after_cancel_nothing_of_the_task_is_left() {
        let (held, mut dropped) = oneshot::channel::<()>();
        let task = Task::spawn("holder", async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        task.cancel().await;
        assert_eq!(
            dropped.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        );
    }

    #[tokio::test]
    async fn a_panic_is_returned_with_the_name_of_its_task() {
        let task = Task::<()>::spawn("clumsy", async { panic!("dropped {} plates", 3) });
        assert_eq!(
            task.join().await,
            Err(TaskError::Panicked {
                name: "clumsy",
                message: "dropped 3 plates".to_owned()
            })
        );
    }
}
