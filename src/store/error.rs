use std::{io, path::PathBuf, sync::Arc};

/// An error of the store; each variant says what the caller can do.
///
/// Cheap to clone, since every waiting writer is told of a failed disk.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The number of the commit does not follow the newest revision. Read that, and number again.
    #[error("revision {given} cannot follow revision {head}; the next one is {}", head + 1)]
    OutOfOrder {
        /// The number of the refused commit.
        given: u64,
        /// The newest revision when the commit was refused.
        head: u64,
    },
    /// A part of a commit is over its limit; nothing of the commit was written.
    #[error("{what} has {size} bytes or items, at most {limit} are stored; make it smaller")]
    TooLarge {
        /// The part that is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The largest size that is stored.
        limit: usize,
    },
    /// The revision existed and is no longer kept.
    #[error("revision {revision} was pruned; the oldest kept is {oldest}")]
    Pruned {
        /// The revision asked for.
        revision: u64,
        /// The oldest revision that can still be read.
        oldest: u64,
    },
    /// The revision never existed.
    #[error("revision {revision} does not exist; the newest is {newest}")]
    Unknown {
        /// The revision asked for.
        revision: u64,
        /// The newest revision, 0 if there is none.
        newest: u64,
    },
    /// A stored value is damaged or missing. The store returns this error, never a wrong value.
    #[error("{what} is damaged: {why}; restart altofed to have the store checked and mended")]
    Damaged {
        /// What could not be read.
        what: String,
        /// How it was noticed.
        why: String,
    },
    /// The disk or the database failed while writing. Nothing more is acknowledged: end the
    /// process, and the next start checks what is on the disk.
    #[error("the store failed and accepts nothing more: {0}; mend the disk and restart altofed")]
    Fatal(Arc<str>),
    /// The disk does not have enough room for the write and for what has to stay free. Nothing
    /// was written; try again when there is room.
    #[error(
        "there is no room: {free} MiB are free on the disk of the store, and {needed} MiB have to \
         be (store.min_free); free some, and it is written again"
    )]
    NoRoom {
        /// How much is free, in MiB.
        free: u64,
        /// How much had to be free, in MiB.
        needed: u64,
    },
    /// The store was closed by its owner.
    #[error("the store is closed")]
    Closed,
    /// Another process has the directory open.
    #[error("{} is in use by another process; stop it first", .0.display())]
    InUse(PathBuf),
    /// The directory holds something else than a store, or no store where one is needed.
    #[error("{} is not a store: {why}", directory.display())]
    NotAStore {
        /// The directory.
        directory: PathBuf,
        /// What was found instead, and how to mend it.
        why: String,
    },
    /// The directory of a new store already holds one.
    #[error("{} already holds a store; give an empty directory", .0.display())]
    Exists(PathBuf),
    /// A newer release wrote the directory.
    #[error(
        "{} has store format {found}, written by altofed {release}; this altofed reads format \
         {known}: start altofed {release} or newer",
        directory.display()
    )]
    NewerFormat {
        /// The directory.
        directory: PathBuf,
        /// The major number of its format.
        found: u32,
        /// The newest format that this build reads.
        known: u32,
        /// The release that wrote it.
        release: String,
    },
    /// The directory is so damaged that mending it would lose everything.
    #[error(
        "{} cannot be opened: {why}. Move the directory away and load an export into a new one \
         with `altofed store import FILE`",
        directory.display()
    )]
    Unrecoverable {
        /// The directory.
        directory: PathBuf,
        /// What was tried, and how it failed.
        why: String,
    },
    /// The operating system refused a file operation.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation and the path.
        what: String,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// An export cannot be loaded; the directory was left as it was.
    #[error("line {line} of the export: {why}")]
    Import {
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// Wraps an error of the system with what was being done, as in "cannot {what}".
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> StoreError {
        let what = what.into();
        move |source| StoreError::Io {
            what,
            source: Arc::new(source),
        }
    }

    pub(super) fn damaged(what: impl Into<String>, why: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            what: what.into(),
            why: why.into(),
        }
    }
}
