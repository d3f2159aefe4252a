use std::{path::Path, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};

use super::disk::blobs::Blobs;
use super::disk::directory::{Directory, size_on_disk};
use super::disk::engine::Durability;
use super::disk::room::{Purpose, Room};
use super::disk::space::FreeSpace;
use super::log::commit::Commit;
use super::log::read::Reading;
use super::log::record::Record;
use super::log::state::{MAX_PENDING, encoded_length};
use super::log::table::{Pairs, RowChange, Table};
use super::log::tree::DocumentRef;
use super::repair::recover::Quarantine;
use super::writer::{Place, Request, Writer};
use super::{Settings, StoreError};

/// How many requests may wait for the writer; further callers wait until there is room.
const QUEUE: usize = 256;

/// The most that a commit takes on the disk besides its content, in bytes.
const OVERHEAD: u64 = 256 * 1024;

/// A handle on an open store. Clones are handles on the same one.
///
/// The store is durable and closed when [`close`](Store::close) returns, or some time after the
/// last handle was dropped.
#[derive(Clone)]
pub struct Store {
    requests: mpsc::Sender<Request>,
    failure: Failure,
    database: Arc<Path>,
    blobs: Blobs,
    room: Room,
}

/// A commit in the queue.
pub struct Submitted {
    answer: oneshot::Receiver<Answer<Arc<Record>>>,
    failure: Failure,
}

type Answer<T> = Result<T, StoreError>;

/// Why the writer failed, if it did. The sender is dropped with the writer.
type Failure = watch::Receiver<Option<StoreError>>;

/// A store just opened.
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// The newest revision, `None` if nothing was ever committed.
    pub head: Option<Arc<Record>>,
    /// Set if the directory was damaged, to be logged as an error.
    pub quarantine: Option<Quarantine>,
}

impl Store {
    /// Opens the store in `directory`, which is created if it is missing and must not hold
    /// anything else. Blocks while it reads and checks the chain of hashes and the newest
    /// documents.
    ///
    /// # Errors
    /// [`InUse`](StoreError::InUse), [`NotAStore`](StoreError::NotAStore),
    /// [`NewerFormat`](StoreError::NewerFormat), [`Unrecoverable`](StoreError::Unrecoverable) if
    /// the damage cannot be put aside, [`NoRoom`](StoreError::NoRoom) if it can be neither opened
    /// nor read without, or [`Io`](StoreError::Io).
    pub fn open(directory: &Path, settings: &Settings) -> Result<Opened, StoreError> {
        Store::open_with(directory, settings, Durability::Real, FreeSpace::real())
    }

    /// Opens the store as [`open`](Store::open) does, with control over what happens before the
    /// disk is synced, and over how much of it appears free.
    ///
    /// # Errors
    /// As for [`open`](Store::open).
    pub fn open_with(
        directory: &Path,
        settings: &Settings,
        durability: Durability,
        free: FreeSpace,
    ) -> Result<Opened, StoreError> {
        let directory = Directory::claim(directory)?;
        let room = Room::new(directory.root(), settings.min_free, free);
        let blobs = Blobs::open(&directory.blobs(), room.clone())?;
        let database = directory.database().into();
        let (requests, receiver) = mpsc::channel(QUEUE);
        let (sender, failure) = watch::channel(None);
        let place = Place {
            directory,
            settings: settings.clone(),
            room: room.clone(),
            durability,
        };
        let mut writer = Writer::new(place, receiver, sender)?;
        let (head, quarantine) = (writer.head(), writer.take_quarantine());
        writer
            .spawn()
            .map_err(StoreError::io("start the store's thread"))?;
        Ok(Opened {
            store: Store {
                requests,
                failure,
                database,
                blobs,
                room,
            },
            head,
            quarantine,
        })
    }

    /// Commits a revision and returns its record once it is durable. If the future is dropped,
    /// the commit may still be made.
    ///
    /// # Errors
    /// [`OutOfOrder`](StoreError::OutOfOrder) and [`TooLarge`](StoreError::TooLarge) leave no
    /// trace. After [`Fatal`](StoreError::Fatal) it is unknown whether the commit is durable.
    pub async fn commit(&self, commit: Commit) -> Result<Arc<Record>, StoreError> {
        self.submit(commit).await?.durable().await
    }

    /// Puts a commit in the queue. Commits are made in the order in which these calls return, so
    /// a caller can number the next revision without waiting for the disk.
    ///
    /// # Errors
    /// [`NoRoom`](StoreError::NoRoom): it is not in the queue. [`Fatal`](StoreError::Fatal) or
    /// [`Closed`](StoreError::Closed).
    pub async fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        // The database file is up to twice as large as its content.
        let bytes = 2 * commit.size() as u64 + OVERHEAD;
        let pledge = self.room.pledge(Purpose::Facts, bytes)?;
        let answer = self.send(|answer| Request::Commit(commit, pledge, answer));
        let answer = answer.await?;
        Ok(Submitted {
            answer,
            failure: self.failure.clone(),
        })
    }

    /// Changes rows of side tables without a revision, all or none, durably: a value sets,
    /// `None` deletes.
    ///
    /// # Errors
    /// [`TooLarge`](StoreError::TooLarge), [`NoRoom`](StoreError::NoRoom), or as for
    /// [`commit`](Store::commit).
    pub async fn put(
        &self,
        changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        let changes = changes.into_iter();
        let changes = changes.map(|(table, key, value)| RowChange::new(table.name(), key, value));
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        let size = encoded_length(&changes);
        if size > MAX_PENDING {
            let what = "the set of changed rows";
            return Err(StoreError::TooLarge {
                what,
                size,
                limit: MAX_PENDING,
            });
        }
        let pledge = self.room.pledge(Purpose::Rows, OVERHEAD)?;
        self.ask(|answer| Request::Rows(changes, pledge, answer))
            .await
    }

    /// Returns how much room there is on the disk.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Checks how much room there is, and opens a database for which there was no room before. To
    /// be called from time to time.
    ///
    /// # Errors
    /// [`Fatal`](StoreError::Fatal) or [`Closed`](StoreError::Closed).
    pub async fn look(&self) -> Result<(), StoreError> {
        self.ask(Request::Look).await
    }

    /// Returns the record of a revision.
    ///
    /// # Errors
    /// [`Pruned`](StoreError::Pruned) if it is not kept any more, [`Unknown`](StoreError::Unknown)
    /// if it never was, [`Damaged`](StoreError::Damaged) if it cannot be read.
    pub async fn record(&self, revision: u64) -> Result<Record, StoreError> {
        self.read(move |log| log.record(revision)).await
    }

    /// Returns up to `limit` records after revision `after`, the oldest first.
    ///
    /// # Errors
    /// As for [`record`](Store::record), where the first record asked for is `after + 1`.
    pub async fn records(&self, after: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(move |log| log.records(after, limit)).await
    }

    /// Returns a document as of the record that names it. Its digests are checked on the way.
    ///
    /// # Errors
    /// [`Damaged`](StoreError::Damaged), also if no kept record names the document any more.
    pub async fn document(&self, document: &DocumentRef) -> Result<Vec<u8>, StoreError> {
        let document = *document;
        self.read(move |log| log.document(&document)).await
    }

    /// Returns the value of a row of a side table.
    ///
    /// # Errors
    /// [`Damaged`](StoreError::Damaged) if it cannot be read.
    pub async fn table_get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key.to_vec();
        self.read(move |log| log.row(table.name(), &key)).await
    }

    /// Returns all keys and values of a side table, in the order of the keys.
    ///
    /// # Errors
    /// As for [`table_get`](Store::table_get).
    pub async fn table_scan(&self, table: Table) -> Result<Pairs, StoreError> {
        self.read(move |log| log.rows(table.name())).await
    }

    /// Returns the large values that are kept beside the database.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Returns the size of the database's files, in bytes.
    ///
    /// # Errors
    /// [`Io`](StoreError::Io).
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        size_on_disk(&self.database).map_err(StoreError::io(format!(
            "measure {}",
            self.database.display()
        )))
    }

    /// Returns once the store has failed. Nothing more is acknowledged then, and the process
    /// should end with an error. Never returns if the store is closed in order.
    pub async fn failed(&self) -> StoreError {
        match ended(&self.failure).await {
            StoreError::Closed => std::future::pending().await,
            failure => failure,
        }
    }

    /// Completes all earlier requests, makes them durable and closes the database. All handles
    /// return [`Closed`](StoreError::Closed) from then on.
    ///
    /// # Errors
    /// [`Fatal`](StoreError::Fatal) if something could not be made durable.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.ask(Request::Close).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|answer: oneshot::Sender<_>| {
            Request::Read(Box::new(move |log| {
                // The caller may have stopped waiting.
                let _gone = answer.send(read(log));
            }))
        })
        .await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Answer<T>>) -> Request,
    ) -> Result<T, StoreError> {
        let answer = self.send(request).await?;
        receive(answer, &self.failure).await
    }

    async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Answer<T>>) -> Request,
    ) -> Result<oneshot::Receiver<Answer<T>>, StoreError> {
        let (sender, answer) = oneshot::channel();
        match self.requests.send(request(sender)).await {
            Ok(()) => Ok(answer),
            Err(_) => Err(ended(&self.failure).await),
        }
    }
}

impl Submitted {
    /// Returns the record once it is durable.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    pub async fn durable(self) -> Result<Arc<Record>, StoreError> {
        receive(self.answer, &self.failure).await
    }
}

async fn receive<T>(answer: oneshot::Receiver<Answer<T>>, failure: &Failure) -> Answer<T> {
    match answer.await {
        Ok(answer) => answer,
        Err(_) => Err(ended(failure).await),
    }
}

/// Waits until the writer's thread has ended, and returns why.
async fn ended(failure: &Failure) -> StoreError {
    match failure.clone().wait_for(Option::is_some).await {
        Ok(failure) => failure.clone().unwrap_or(StoreError::Closed),
        Err(_) => StoreError::Closed,
    }
}
