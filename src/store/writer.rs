//! The only thread that uses the database while a store is open.

use std::{io, sync::Arc, thread};

use tokio::sync::{mpsc, oneshot, watch};

use super::disk::directory::Directory;
use super::disk::engine::{Durability, contained};
use super::disk::room::{Pledge, Room};
use super::log::commit::Commit;
use super::log::read::Reading;
use super::log::record::Record;
use super::log::state::Change;
use super::log::table::RowChange;
use super::repair::recover::{self, Quarantine, Ready};
use super::repair::unopened::Unopened;
use super::{Settings, StoreError};

/// The most members of a group. The commits of a group share one sync of the disk.
const MAX_GROUP: usize = 256;
/// The most bytes of a group.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// A reading of the store, which sends its result to the caller.
pub(super) type Reader = Box<dyn FnOnce(&dyn Reading) + Send>;

/// A request to the thread. If the thread ends, the caller notices since the sender of the answer
/// is dropped.
pub(super) enum Request {
    Commit(
        Commit,
        Pledge,
        oneshot::Sender<Result<Arc<Record>, StoreError>>,
    ),
    Rows(
        Vec<RowChange>,
        Pledge,
        oneshot::Sender<Result<(), StoreError>>,
    ),
    Read(Reader),
    /// Look how much room there is.
    Look(oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

enum Answer {
    Commit(oneshot::Sender<Result<Arc<Record>, StoreError>>),
    Rows(oneshot::Sender<Result<(), StoreError>>),
}

/// An answer that is still to be given; the room pledged for the request is released with it.
struct Owed {
    answer: Answer,
    _pledge: Pledge,
}

/// The database: open, or only read because there is no room to open it.
enum Database {
    Open(Box<Ready>),
    Unopened(Box<Unopened>),
}

/// Where and how a store is opened.
pub(super) struct Place {
    pub(super) directory: Directory,
    pub(super) settings: Settings,
    pub(super) room: Room,
    pub(super) durability: Durability,
}

pub(super) struct Writer {
    database: Database,
    settings: Settings,
    room: Room,
    durability: Durability,
    requests: mpsc::Receiver<Request>,
    failure: watch::Sender<Option<StoreError>>,
    /// The answers still to be given to the members of the group that is being written. They
    /// survive a panic.
    owed: Vec<Owed>,
    closing: Option<oneshot::Sender<Result<(), StoreError>>>,
    /// Unlocked once the thread has closed the database.
    directory: Directory,
}

impl Writer {
    /// Opens the database, or only reads it if there is no room to open it.
    pub(super) fn new(
        place: Place,
        requests: mpsc::Receiver<Request>,
        failure: watch::Sender<Option<StoreError>>,
    ) -> Result<Writer, StoreError> {
        let Place {
            directory,
            settings,
            room,
            mut durability,
        } = place;
        let database = if room.permits_opening() {
            let mut ready = recover::open(&directory, &settings)?;
            let engine = &mut ready.log.engine;
            engine.set_durability(std::mem::take(&mut durability));
            room.look();
            Database::Open(Box::new(ready))
        } else {
            let Some(unopened) = Unopened::read(&directory, &settings)? else {
                return Err(room.no_room_to_open());
            };
            room.set_unopened();
            Database::Unopened(Box::new(unopened))
        };
        Ok(Writer {
            database,
            settings,
            room,
            durability,
            requests,
            failure,
            owed: Vec::new(),
            closing: None,
            directory,
        })
    }

    /// Returns the newest revision.
    pub(super) fn head(&self) -> Option<Arc<Record>> {
        match &self.database {
            Database::Open(ready) => ready.log.head.clone(),
            Database::Unopened(unopened) => unopened.head().cloned(),
        }
    }

    /// Returns what was damaged and put aside; only the first call returns it.
    pub(super) fn take_quarantine(&mut self) -> Option<Quarantine> {
        match &mut self.database {
            Database::Open(ready) => ready.quarantine.take(),
            Database::Unopened(_) => None,
        }
    }

    pub(super) fn spawn(self) -> io::Result<()> {
        let writer = self;
        thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.live())
            .map(drop)
    }

    fn live(mut self) {
        let ended = contained(|| self.run());
        let Writer {
            database,
            room,
            failure,
            closing,
            directory,
            ..
        } = self;
        match ended {
            Ok(()) => {
                let closed = match database {
                    Database::Open(ready) => {
                        room.release_to_close();
                        ready.log.engine.close()
                    }
                    Database::Unopened(_) => Ok(()),
                };
                drop(directory);
                if let Some(closing) = closing {
                    // The caller may have stopped waiting.
                    let _gone = closing.send(closed);
                }
            }
            Err(error) => {
                failure.send_replace(Some(match error {
                    fatal @ StoreError::Fatal(_) => fatal,
                    error => StoreError::Fatal(error.to_string().into()),
                }));
                if let Database::Open(ready) = database {
                    ready.log.engine.abandon();
                }
            }
        }
    }

    /// Serves requests until the store is closed or fails.
    fn run(&mut self) -> Result<(), StoreError> {
        while self.closing.is_none() {
            let Some(first) = self.requests.blocking_recv() else {
                return Ok(());
            };
            let group = self.gather(first)?;
            let Database::Open(ready) = &mut self.database else {
                continue;
            };
            if group.is_empty() {
                continue;
            }
            let outcomes = ready.log.append(group)?;
            let position = ready.log.position();
            ready.witness.note(&ready.identity, &position)?;
            for (owed, outcome) in self.owed.drain(..).zip(outcomes) {
                owed.answer.give(outcome);
            }
            ready.log.reclaim()?;
            ready.log.prune(self.settings.keep_revisions)?;
        }
        Ok(())
    }

    /// Opens a database for which there was no room before, if there is room now.
    fn look(&mut self) -> Result<(), StoreError> {
        let before = match &self.database {
            Database::Open(_) => {
                self.room.look();
                return Ok(());
            }
            Database::Unopened(_) if !self.room.is_back() => return Ok(()),
            Database::Unopened(unopened) => unopened.head().map(|head| head.hash),
        };
        let mut ready = match contained(|| recover::open(&self.directory, &self.settings)) {
            Ok(ready) => ready,
            Err(error) => {
                tracing::error!(%error, "the store is not opened yet");
                return Ok(());
            }
        };
        if let Some(quarantine) = &ready.quarantine {
            tracing::error!(message = %quarantine);
        }
        if ready.log.head.as_ref().map(|head| head.hash) != before {
            let why = "it ends at another revision than the one that was read before there was \
                       room to open it";
            ready.log.engine.abandon();
            return Err(StoreError::damaged("the database", why));
        }
        let durability = std::mem::take(&mut self.durability);
        ready.log.engine.set_durability(durability);
        self.database = Database::Open(Box::new(ready));
        self.room.set_open();
        tracing::info!("there is room again: the store is open");
        Ok(())
    }

    /// Takes the waiting requests up to the size of a group. Readings are served on the way, so
    /// they see what is durable.
    fn gather(&mut self, first: Request) -> Result<Vec<Change>, StoreError> {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Commit(commit, pledge, answer) => {
                    bytes += commit.size();
                    group.push(Change::Commit(commit));
                    self.owe(Answer::Commit(answer), pledge);
                }
                Request::Rows(changes, pledge, answer) => {
                    group.push(Change::Rows(changes));
                    self.owe(Answer::Rows(answer), pledge);
                }
                Request::Read(read) => read(self.database.reading()),
                Request::Look(answer) => {
                    self.look()?;
                    // The caller may have stopped waiting.
                    let _gone = answer.send(Ok(()));
                }
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
        Ok(group)
    }

    fn owe(&mut self, answer: Answer, pledge: Pledge) {
        self.owed.push(Owed {
            answer,
            _pledge: pledge,
        });
    }
}

impl Database {
    fn reading(&self) -> &dyn Reading {
        match self {
            Database::Open(ready) => &ready.log,
            Database::Unopened(unopened) => &**unopened,
        }
    }
}

impl Answer {
    fn give(self, outcome: Result<Option<Arc<Record>>, StoreError>) {
        // The caller may have stopped waiting; the commit is made nevertheless.
        let _gone = match (self, outcome) {
            (Answer::Commit(answer), Ok(Some(record))) => answer.send(Ok(record)).is_err(),
            (Answer::Commit(answer), Err(refused)) => answer.send(Err(refused)).is_err(),
            (Answer::Rows(answer), outcome) => answer.send(outcome.map(drop)).is_err(),
            (Answer::Commit(_), Ok(None)) => true,
        };
    }
}
