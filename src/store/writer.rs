//! The one thread that touches the database while a store is open.

use std::{io, sync::Arc, thread};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Commit, StoreError,
    directory::Directory,
    engine::contained,
    ledger::{Change, Ledger},
    meta::Identity,
    record::Record,
    recover::Ready,
    table::RowChange,
    witness::Witness,
};

/// A group of commits shares one sync of the disk. It ends with this many members …
const MAX_GROUP: usize = 256;
/// … or this many bytes.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What is asked of the thread. Whoever asked learns that it ended by the loss of the answer.
pub(super) enum Request {
    Commit(Commit, oneshot::Sender<Result<Arc<Record>, StoreError>>),
    Rows(Vec<RowChange>, oneshot::Sender<Result<(), StoreError>>),
    Read(Box<dyn FnOnce(&Ledger) + Send>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

enum Answer {
    Commit(oneshot::Sender<Result<Arc<Record>, StoreError>>),
    Rows(oneshot::Sender<Result<(), StoreError>>),
}

pub(super) struct Writer {
    ledger: Ledger,
    witness: Witness,
    identity: Identity,
    keep_revisions: u64,
    requests: mpsc::Receiver<Request>,
    failure: watch::Sender<Option<StoreError>>,
    /// The answers owed to the members of the group being written. They outlive a panic.
    owed: Vec<Answer>,
    closing: Option<oneshot::Sender<Result<(), StoreError>>>,
    /// Unlocked when the thread has left the database.
    directory: Directory,
}

impl Writer {
    pub(super) fn spawn(
        directory: Directory,
        ready: Ready,
        keep_revisions: u64,
        requests: mpsc::Receiver<Request>,
        failure: watch::Sender<Option<StoreError>>,
    ) -> io::Result<()> {
        let writer = Writer {
            ledger: ready.ledger,
            witness: ready.witness,
            identity: ready.identity,
            keep_revisions,
            requests,
            failure,
            owed: Vec::new(),
            closing: None,
            directory,
        };
        thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.live())
            .map(drop)
    }

    fn live(mut self) {
        let ended = contained(|| self.run());
        let Writer {
            ledger,
            failure,
            closing,
            directory,
            ..
        } = self;
        match ended {
            Ok(()) => {
                let closed = ledger.engine.close();
                drop(directory);
                if let Some(closing) = closing {
                    // The owner may have gone without waiting.
                    let _gone = closing.send(closed);
                }
            }
            Err(error) => {
                failure.send_replace(Some(match error {
                    fatal @ StoreError::Fatal(_) => fatal,
                    error => StoreError::Fatal(error.to_string().into()),
                }));
                ledger.engine.abandon();
            }
        }
    }

    /// Serves requests until the store is closed; an error is the end of it.
    fn run(&mut self) -> Result<(), StoreError> {
        while self.closing.is_none() {
            let Some(first) = self.requests.blocking_recv() else {
                return Ok(());
            };
            let group = self.gather(first);
            if group.is_empty() {
                continue;
            }
            let outcomes = self.ledger.append(group)?;
            self.witness.note(&self.identity, &self.ledger.standing())?;
            for (answer, outcome) in self.owed.drain(..).zip(outcomes) {
                answer.give(outcome);
            }
            self.ledger.reclaim()?;
            self.ledger.prune(self.keep_revisions)?;
        }
        Ok(())
    }

    /// Takes what is waiting, up to the size of a group. Reads are served on the way: they see
    /// what is durable.
    fn gather(&mut self, first: Request) -> Vec<Change> {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Commit(commit, answer) => {
                    bytes += commit.size();
                    group.push(Change::Commit(commit));
                    self.owed.push(Answer::Commit(answer));
                }
                Request::Rows(changes, answer) => {
                    group.push(Change::Rows(changes));
                    self.owed.push(Answer::Rows(answer));
                }
                Request::Read(read) => read(&self.ledger),
                Request::Close(answer) => {
                    self.closing = Some(answer);
                    break;
                }
            }
            if group.len() >= MAX_GROUP || bytes >= MAX_GROUP_BYTES {
                break;
            }
            next = self.requests.try_recv().ok();
        }
        group
    }
}

impl Answer {
    fn give(self, outcome: Result<Option<Arc<Record>>, StoreError>) {
        // Whoever asked may have stopped waiting; what was done is done.
        let _gone = match (self, outcome) {
            (Answer::Commit(answer), Ok(Some(record))) => answer.send(Ok(record)).is_err(),
            (Answer::Commit(answer), Err(refused)) => answer.send(Err(refused)).is_err(),
            (Answer::Rows(answer), outcome) => answer.send(outcome.map(drop)).is_err(),
            (Answer::Commit(_), Ok(None)) => true,
        };
    }
}
