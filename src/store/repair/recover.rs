//! Opening a store, whatever the state of its directory.

use std::{
    fmt, fs,
    io::Write,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use crate::store::disk::directory::Directory;
use crate::store::disk::engine::{Engine, contained};
use crate::store::log::envelope::Mark;
use crate::store::log::lines::RecordLine;
use crate::store::log::meta::{Identity, Position};
use crate::store::log::read::Reading;
use crate::store::log::state::Log;
use crate::store::log::witness::{Testimony, Witness};
use crate::store::{Settings, StoreError};

use super::build::build;
use super::salvage::Harvest;

/// A damaged database that was put aside; the store starts without it.
///
/// If `lost` holds anything, facts that may have been acknowledged are gone, which the operator
/// must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The directory that holds the damaged database, a list of the lost revisions as far as they
    /// can be read, and this message. The store needs nothing in it.
    pub directory: PathBuf,
    /// The newest revision that is left, 0 if there is none.
    pub resumed_at: u64,
    /// The revisions that the store no longer has.
    pub lost: Option<RangeInclusive<u64>>,
    /// What happened, what is lost and what to do, in words for the operator.
    pub message: String,
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A store that is ready for writing.
pub(in crate::store) struct Ready {
    pub(in crate::store) log: Log,
    pub(in crate::store) witness: Witness,
    pub(in crate::store) identity: Identity,
    pub(in crate::store) quarantine: Option<Quarantine>,
}

/// Opens the store in `directory`. Creates it if the directory is empty, and rebuilds it from
/// what is sound if it is damaged.
pub(in crate::store) fn open(
    directory: &Directory,
    settings: &Settings,
) -> Result<Ready, StoreError> {
    let testimony = Testimony::read(&directory.witness(), directory.root())?;
    if testimony.is_none() && directory.is_new()? {
        build(directory, Mark::random()?, |_| Ok(()))?;
        directory.install(None)?;
    }
    if !directory.database_file().exists() {
        return Err(unrecoverable(directory, "its database file is missing"));
    }
    let load = |testimony| load(directory, settings.cache_bytes, testimony);
    let (log, quarantine) = match load(testimony.as_ref()) {
        Ok(log) => (log, None),
        Err(StoreError::Damaged { what, why }) => {
            let damage = format!("{what}: {why}");
            let Some(last) = &testimony else {
                let why = format!("{damage}; and the witness file is missing or damaged too");
                return Err(unrecoverable(directory, &why));
            };
            let quarantine = rebuild(directory, settings.keep_revisions, last, &damage)?;
            (load(None)?, Some(quarantine))
        }
        Err(error) => return Err(error),
    };
    let identity = Identity::new(log.mark);
    let mut witness = Witness::open(&directory.witness(), testimony.as_ref())?;
    witness.note(&identity, &log.position())?;
    witness.sync()?;
    Ok(Ready {
        log,
        witness,
        identity,
        quarantine,
    })
}

/// Opens the database and checks it, finally against what was acknowledged. If it is damaged, a
/// copy from before sled opened it is left for [`rebuild`].
pub(in crate::store) fn load(
    directory: &Directory,
    cache_bytes: u64,
    testimony: Option<&Testimony>,
) -> Result<Log, StoreError> {
    let _kept = directory.preserve();
    let loaded = load_and_compare(directory, cache_bytes, testimony);
    if !matches!(loaded, Err(StoreError::Damaged { .. })) {
        directory.release()?;
    }
    loaded
}

fn load_and_compare(
    directory: &Directory,
    cache_bytes: u64,
    testimony: Option<&Testimony>,
) -> Result<Log, StoreError> {
    let engine = Engine::open(&directory.database(), cache_bytes)?;
    let mut log = Log::load(engine, directory.root())?;
    let checked = contained(|| {
        if let Some(testimony) = testimony {
            compare(&log, &testimony.position)?;
        }
        log.finish_pruning()
    });
    match checked {
        Ok(()) => Ok(log),
        Err(error) => {
            log.engine.abandon();
            Err(error)
        }
    }
}

/// Checks that everything acknowledged is there; there may be more.
fn compare(log: &Log, acknowledged: &Position) -> Result<(), StoreError> {
    let (newest, last) = (log.revision(), acknowledged.revision);
    if last > newest {
        let why = format!("it ends at revision {newest}, but {last} had been acknowledged");
        return Err(StoreError::damaged("the database", why));
    }
    let hash = match last {
        _ if last > log.checkpoint.revision => log.record(last)?.hash,
        _ if last == log.checkpoint.revision => log.checkpoint.hash,
        // A witness older than everything that is kept proves nothing.
        _ => acknowledged.hash,
    };
    if hash != acknowledged.hash {
        let why = "it is not the one that had been acknowledged";
        return Err(StoreError::damaged(format!("revision {last}"), why));
    }
    if log.puts < acknowledged.puts {
        let why = "the changes acknowledged last are missing";
        return Err(StoreError::damaged("the side tables", why));
    }
    Ok(())
}

/// Builds a new database from what is sound in the damaged one, which is put aside.
fn rebuild(
    directory: &Directory,
    keep: u64,
    testimony: &Testimony,
    damage: &str,
) -> Result<Quarantine, StoreError> {
    let (mark, acknowledged) = (testimony.identity.mark, testimony.position);
    let kept = directory.preserve();
    let evidence = kept.clone().unwrap_or_else(|| directory.database());
    let mut harvest = Harvest::search(&evidence, mark)?;
    let chain = harvest.newest_chain(&acknowledged.hash, keep)?;
    if chain.is_empty() && acknowledged.revision > 0 {
        let why = format!("{damage}; and no revision can be read with all its documents");
        return Err(unrecoverable(directory, &why));
    }
    let rows = harvest.rows(&chain, &acknowledged)?;
    build(directory, mark, |log| {
        for found in &chain {
            log.copy(&found.payload, &found.record, &mut |digest| {
                harvest.fetch(digest)
            })?;
        }
        log.puts = rows.puts;
        rows.rows.iter().try_for_each(|row| log.adopt_row(row))
    })?;
    let resumed_at = chain.last().map_or(0, |found| found.record.revision);
    let newer = harvest.records_after(resumed_at);
    let newest = newer
        .iter()
        .map(|record| record.revision)
        .max()
        .unwrap_or(0);
    let newest = newest.max(acknowledged.revision);
    let place = directory.new_quarantine()?;
    let quarantine = Quarantine {
        message: message(&Account {
            directory: directory.root(),
            place: &place,
            damage,
            resumed_at,
            newest,
            acknowledged: acknowledged.revision,
            oldest: chain.first().map_or(0, |found| found.record.revision),
            rows_are_whole: rows.whole,
        }),
        directory: place.clone(),
        resumed_at,
        lost: (newest > resumed_at).then_some(resumed_at + 1..=newest),
    };
    write_notes(&place, &quarantine, newer.into_iter().map(RecordLine::from))
        .map_err(StoreError::io(format!("write to {}", place.display())))?;
    match kept {
        Some(_) => {
            directory.install(None)?;
            directory.set_aside(&place.join("sled"))?;
        }
        None => directory.install(Some(&place.join("sled")))?,
    }
    Ok(quarantine)
}

/// The parts of the message to the operator.
struct Account<'a> {
    directory: &'a Path,
    place: &'a Path,
    damage: &'a str,
    resumed_at: u64,
    newest: u64,
    acknowledged: u64,
    oldest: u64,
    rows_are_whole: bool,
}

fn message(account: &Account<'_>) -> String {
    let Account {
        resumed_at,
        newest,
        acknowledged,
        ..
    } = *account;
    let mut text = format!(
        "The store in {} was damaged ({}) and was rebuilt; it continues at revision {resumed_at}.",
        account.directory.display(),
        account.damage,
    );
    if newest > resumed_at {
        text += &format!(" LOST: revisions {} to {newest}", resumed_at + 1);
        text += &match acknowledged {
            _ if acknowledged >= newest => ", all of which had been acknowledged.".to_owned(),
            _ if acknowledged <= resumed_at => ", none of which is known to have been \
                                               acknowledged."
                .to_owned(),
            _ => format!(", of which those up to {acknowledged} had been acknowledged."),
        };
    } else {
        text += " No newer revision is missing.";
    }
    if account.oldest > 1 {
        text += &format!(" The oldest revision left is {}.", account.oldest);
    }
    if !account.rows_are_whole {
        text += " The side tables may lack their newest changes.";
    }
    text += &format!(
        " The damaged database and what could be read of the lost revisions are in {}. Send the \
         lost facts again, or stop altofed, move the directory away and load a newer export with \
         `altofed store import FILE`.",
        account.place.display()
    );
    text
}

fn write_notes(
    place: &Path,
    quarantine: &Quarantine,
    lost: impl Iterator<Item = RecordLine>,
) -> std::io::Result<()> {
    let mut message = fs::File::create(place.join("message.txt"))?;
    writeln!(message, "{quarantine}")?;
    message.sync_all()?;
    let mut list = std::io::BufWriter::new(fs::File::create(place.join("lost.jsonl"))?);
    for line in lost {
        serde_json::to_writer(&mut list, &line)?;
        list.write_all(b"\n")?;
    }
    list.into_inner()?.sync_all()
}

fn unrecoverable(directory: &Directory, why: &str) -> StoreError {
    StoreError::Unrecoverable {
        directory: directory.root().to_owned(),
        why: why.to_owned(),
    }
}
