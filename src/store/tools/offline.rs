//! Verifying and compacting a store that nothing has open.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::ident::Digest;
use crate::store::StoreError;
use crate::store::disk::directory::{self, Directory, size_on_disk};
use crate::store::disk::engine::{Tree, contained};
use crate::store::log::record::{Record, Stored};
use crate::store::log::state::Log;
use crate::store::log::tree;
use crate::store::log::witness::Testimony;
use crate::store::repair::build::{CACHE_BYTES, build};
use crate::store::repair::recover;

/// The progress of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many revisions are done.
    pub done: u64,
    /// How many there are, if that is known.
    pub total: Option<u64>,
}

/// The findings of [`verify`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many revisions are kept.
    pub records: u64,
    /// How many different documents they have.
    pub documents: u64,
    /// How many different chunks these have.
    pub chunks: u64,
    /// The size of the chunks, in bytes.
    pub bytes: u64,
    /// How many chunks nothing needs; [`compact`] drops them.
    pub unused: u64,
    /// What is wrong. If there are no problems, every byte of the store was checked and is sound.
    pub problems: Vec<String>,
}

/// The outcome of [`compact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The size of the database's files before, in bytes.
    pub before: u64,
    /// Their size after that, in bytes.
    pub after: u64,
}

/// Checks all that is kept. The database is opened but not mended; a start mends it.
///
/// # Errors
/// [`NotAStore`](StoreError::NotAStore), [`InUse`](StoreError::InUse),
/// [`NewerFormat`](StoreError::NewerFormat) or [`Io`](StoreError::Io). Damage is no error here,
/// it is reported.
pub fn verify(directory: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let directory = Directory::claim_existing(directory)?;
    match with_log(&directory, |log| examine(log, progress)) {
        Err(damage @ StoreError::Damaged { .. }) => Ok(Report {
            problems: vec![damage.to_string()],
            ..Report::default()
        }),
        result => result,
    }
}

/// Writes a new database without what nothing needs. If that is smaller, it replaces the old one;
/// a crash leaves one of the two. The file of sled is up to twice as large as its content, so a
/// store in good order gains nothing and is left as it is.
///
/// # Errors
/// As for [`verify`], and [`Damaged`](StoreError::Damaged): start altofed to mend the store.
pub fn compact(
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compacted, StoreError> {
    let directory = Directory::claim_existing(directory)?;
    let measure = |path: PathBuf| {
        size_on_disk(&path).map_err(StoreError::io(format!("measure {}", path.display())))
    };
    let before = measure(directory.database())?;
    with_log(&directory, |old| {
        build(&directory, old.mark, |new| {
            each_record(old, progress, |payload, record| {
                new.copy(payload, &record, &mut |digest| old.fetch(digest))
            })?;
            new.puts = old.puts;
            old.each_row(&mut |row| new.adopt_row(&row))
        })
    })?;
    let after = measure(directory.part())?;
    if after < before {
        directory.install(None)?;
    } else {
        directory::remove(&directory.part())?;
    }
    Ok(Compacted {
        before,
        after: after.min(before),
    })
}

/// Opens the database in a claimed directory, calls `work` with its log, and closes it.
pub(in crate::store) fn with_log<T>(
    directory: &Directory,
    work: impl FnOnce(&Log) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let testimony = Testimony::read(&directory.witness(), directory.root())?;
    let log = recover::load(directory, CACHE_BYTES, testimony.as_ref())?;
    match contained(|| work(&log)) {
        Ok(result) => log.engine.close().map(|()| result),
        Err(error) => {
            log.engine.abandon();
            Err(error)
        }
    }
}

/// Calls `work` with the payload of each kept record and the record, oldest first.
pub(in crate::store) fn each_record(
    log: &Log,
    progress: &mut dyn FnMut(Progress),
    mut work: impl FnMut(&[u8], Record) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let oldest = log.checkpoint.revision + 1;
    let total = Some(log.revision() - log.checkpoint.revision);
    for pair in log.engine.scan(Tree::Log, &oldest.to_be_bytes()) {
        let (key, value) = pair?;
        let revision = key.as_slice().try_into().map_or(0, u64::from_be_bytes);
        let payload = log.payload(revision, &value)?;
        work(
            payload,
            Record::open(payload, &mut |digest| log.fetch(digest))?,
        )?;
        progress(Progress {
            done: revision.saturating_sub(oldest) + 1,
            total,
        });
    }
    Ok(())
}

fn examine(log: &Log, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut documents = HashSet::new();
    let mut chunks = HashSet::new();
    let oldest = log.checkpoint.revision + 1;
    let total = Some(log.revision() - log.checkpoint.revision);
    for revision in oldest..=log.revision() {
        report.records += 1;
        match examine_record(
            log,
            revision,
            &mut documents,
            &mut chunks,
            &mut report.bytes,
        ) {
            Err(damage @ StoreError::Damaged { .. }) => {
                report
                    .problems
                    .push(format!("revision {revision}: {damage}"));
            }
            result => result?,
        }
        progress(Progress {
            done: report.records,
            total,
        });
    }
    report.documents = documents.len() as u64;
    report.chunks = chunks.len() as u64;
    for pair in log.engine.scan(Tree::Chunks, &[]) {
        let (key, _) = pair?;
        let digest = key.as_slice().try_into().map(Digest::from_bytes);
        if digest.is_ok_and(|digest| !chunks.contains(&digest)) {
            report.unused += 1;
        }
    }
    Ok(report)
}

fn examine_record(
    log: &Log,
    revision: u64,
    documents: &mut HashSet<Digest>,
    chunks: &mut HashSet<Digest>,
    bytes: &mut u64,
) -> Result<(), StoreError> {
    let mut fetch = |digest: &Digest| {
        let payload = log.fetch(digest)?;
        *bytes += payload.as_ref().map_or(0, |payload| payload.len() as u64);
        Ok(payload)
    };
    let value = log
        .engine
        .get(Tree::Log, &revision.to_be_bytes())?
        .unwrap_or_default();
    let payload = log.payload(revision, &value)?;
    for part in Stored::decode(payload)?.trees() {
        tree::check(&part, chunks, &mut fetch)?;
    }
    for document in Record::open(payload, &mut |digest| log.fetch(digest))?
        .documents
        .values()
    {
        documents.insert(document.digest);
        tree::check(document, chunks, &mut fetch)?;
    }
    Ok(())
}
