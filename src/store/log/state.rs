//! The state of an open store: the head of the log over the database.

use std::{collections::BTreeMap, sync::Arc};

use crate::ident::Digest;
use crate::store::StoreError;
use crate::store::disk::engine::{Engine, Tree};

use super::commit::Commit;
use super::envelope::{Kind, Mark};
use super::meta::{Checkpoint, Pending, Position};
use super::record::Record;
use super::table::{Moment, RowChange};
use super::tree;

/// The largest total of names, keys and values changed without a revision at a time, in bytes.
pub const MAX_PENDING: usize = 5 * 1024;

/// sled cleans up once more than this many bytes were written.
const RECLAIM_BYTES: u64 = 256 * 1024;
/// The most written bytes that sled cleans up after at a time.
const MAX_RECLAIM_BYTES: u64 = 2 * 1024 * 1024;
/// How many bytes may be written before they are made durable: sled holds them in memory until
/// then.
const MAX_UNSYNCED_BYTES: u64 = 16 * 1024 * 1024;

/// One member of a group of changes.
pub(in crate::store) enum Change {
    Commit(Commit),
    Rows(Vec<RowChange>),
}

/// The outcome of a member: the new record if it made one.
pub(in crate::store) type Outcome = Result<Option<Arc<Record>>, StoreError>;

/// The log, its documents and side tables.
pub(in crate::store) struct Log {
    pub(in crate::store) engine: Engine,
    pub(in crate::store) mark: Mark,
    pub(in crate::store) checkpoint: Checkpoint,
    pub(in crate::store) head: Option<Arc<Record>>,
    /// The digest of all rows.
    pub(in crate::store) tables: Digest,
    /// How many times rows changed without a revision.
    pub(in crate::store) puts: u64,
    /// Bytes written after which sled did not clean up yet.
    pub(in crate::store) written: u64,
    /// Bytes written since the last sync.
    pub(in crate::store) unsynced: u64,
}

impl Log {
    /// Makes the log of an empty database.
    pub(in crate::store) fn new(engine: Engine, mark: Mark) -> Log {
        Log {
            engine,
            mark,
            checkpoint: Checkpoint::START,
            head: None,
            tables: Digest::ZERO,
            puts: 0,
            written: 0,
            unsynced: 0,
        }
    }

    /// Returns the newest revision, 0 if there is none.
    pub(in crate::store) fn revision(&self) -> u64 {
        self.head
            .as_ref()
            .map_or(self.checkpoint.revision, |head| head.revision)
    }

    pub(in crate::store) fn position(&self) -> Position {
        let hash = self
            .head
            .as_ref()
            .map_or(self.checkpoint.hash, |head| head.hash);
        Position {
            revision: self.revision(),
            hash,
            puts: self.puts,
            tables: self.tables,
        }
    }

    /// Makes the changes in their order and returns once they are durable. A refused member
    /// leaves no trace. After an error the log must not be used again.
    pub(in crate::store) fn append(
        &mut self,
        changes: Vec<Change>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut applied = self.revision();
        let mut rows = Vec::new();
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(match change {
                Change::Rows(changed) => {
                    if encoded_length(&rows) + encoded_length(&changed) > MAX_PENDING {
                        self.change_rows(applied, std::mem::take(&mut rows))?;
                        self.sync()?;
                        applied = self.revision();
                    }
                    rows.extend(changed);
                    Ok(None)
                }
                Change::Commit(commit) => match self.admit(&commit) {
                    Err(refused) => Err(refused),
                    Ok(changed) => {
                        // Rows changed without a revision just before one join it.
                        rows.extend(changed);
                        Ok(Some(self.commit(commit, std::mem::take(&mut rows))?))
                    }
                },
            });
        }
        if !rows.is_empty() {
            self.change_rows(applied, rows)?;
        }
        self.sync()?;
        Ok(outcomes)
    }

    /// Makes everything written durable.
    pub(in crate::store) fn sync(&mut self) -> Result<(), StoreError> {
        self.unsynced = 0;
        self.engine.sync()
    }

    /// Has sled clean up after what was written.
    pub(in crate::store) fn reclaim(&mut self) -> Result<(), StoreError> {
        let due = self.written.min(MAX_RECLAIM_BYTES);
        self.written -= due;
        self.engine.reclaim(due)
    }

    /// Writes a chunk unless it is there, and returns its digest.
    pub(in crate::store) fn put(&mut self, payload: &[u8]) -> Result<Digest, StoreError> {
        let digest = Kind::Chunk.digest(payload);
        let value = self.mark.seal(Kind::Chunk, &digest, payload);
        if self.engine.get(Tree::Chunks, digest.as_bytes())?.as_ref() != Some(&value) {
            self.engine.put(Tree::Chunks, digest.as_bytes(), &value)?;
            self.count(value.len())?;
        }
        Ok(digest)
    }

    /// Writes a value about the store itself.
    pub(in crate::store) fn put_meta(
        &self,
        name: &str,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let value = self.mark.seal(kind, &kind.digest(payload), payload);
        self.engine.put(Tree::Meta, name.as_bytes(), &value)
    }

    /// Writes the changes of rows that a record or a pending value already states.
    pub(in crate::store) fn apply(
        &mut self,
        changes: &[RowChange],
        at: Moment,
    ) -> Result<(), StoreError> {
        let staged = self.stage(changes, at)?;
        for (address, value) in staged.rows {
            match value {
                Some(value) => self.engine.put(Tree::Rows, &address, &value)?,
                None => self.engine.remove(Tree::Rows, &address)?,
            }
        }
        self.tables = staged.tables;
        Ok(())
    }

    /// Checks that a commit follows the head and is within the limits, and returns its changes of
    /// rows.
    fn admit(&self, commit: &Commit) -> Result<Vec<RowChange>, StoreError> {
        let head = self.revision();
        if head.checked_add(1) != Some(commit.revision) {
            return Err(StoreError::OutOfOrder {
                given: commit.revision,
                head,
            });
        }
        let present = self.head.as_ref().map_or(0, |head| head.documents.len());
        commit.check(present)?;
        let changes = commit.table.iter().cloned();
        changes
            .map(|(table, key, value)| RowChange::new(table.name(), key, value))
            .collect()
    }

    /// Writes the chunks of a commit, then its record, which makes it part of the log, then
    /// its rows.
    fn commit(
        &mut self,
        commit: Commit,
        changes: Vec<RowChange>,
    ) -> Result<Arc<Record>, StoreError> {
        let (previous, mut documents) = match &self.head {
            Some(head) => (head.hash, head.documents.clone()),
            None => (self.checkpoint.hash, BTreeMap::new()),
        };
        for (name, rows) in commit.documents {
            match rows {
                None => documents.remove(&name),
                Some(rows) => {
                    let rows = rows.iter().map(Vec::as_slice);
                    documents.insert(name, tree::pack(rows, &mut |payload| self.put(payload))?)
                }
            };
        }
        let at = Moment {
            revision: commit.revision,
            puts: self.puts,
        };
        let mut record = Record {
            revision: commit.revision,
            previous,
            hash: Digest::ZERO,
            body: commit.body,
            documents,
            puts: self.puts,
            tables: self.stage(&changes, at)?.tables,
            changes,
        };
        let payload = record.seal(&mut |payload| self.put(payload))?;
        let value = self.mark.seal(Kind::Record, &record.hash, &payload);
        self.engine
            .put(Tree::Log, &record.revision.to_be_bytes(), &value)?;
        self.count(value.len())?;
        self.apply(&record.changes, at)?;
        let record = Arc::new(record);
        self.head = Some(record.clone());
        Ok(record)
    }

    /// Writes changes of rows that belong to no revision. Everything up to revision `applied`
    /// is durable already.
    fn change_rows(&mut self, applied: u64, changes: Vec<RowChange>) -> Result<(), StoreError> {
        self.puts += 1;
        let position = self.position();
        let at = position.moment();
        let tables = self.stage(&changes, at)?.tables;
        let position = Position { tables, ..position };
        let pending = Pending {
            position,
            applied,
            changes,
        };
        self.put_meta("pending", Kind::Pending, &pending.encode())?;
        self.apply(&pending.changes, at)
    }

    /// Prepares changes of rows: the rows to write, and the digest of all rows after that.
    fn stage(&self, changes: &[RowChange], at: Moment) -> Result<Staged, StoreError> {
        let last: BTreeMap<_, _> = changes
            .iter()
            .map(|change| (change.address(), change))
            .collect();
        let mut staged = Staged {
            tables: self.tables,
            rows: Vec::with_capacity(last.len()),
        };
        for (address, change) in last {
            if let Some(old) = self.engine.get(Tree::Rows, &address)? {
                staged.tables.toggle(&self.open_row(&address, &old)?.0);
            }
            let value = change.row(at).map(|row| {
                let payload = row.encode();
                let digest = Kind::Row.digest(&payload);
                staged.tables.toggle(&digest);
                self.mark.seal(Kind::Row, &digest, &payload)
            });
            staged.rows.push((address, value));
        }
        Ok(staged)
    }

    fn count(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.written += bytes as u64;
        self.unsynced += bytes as u64;
        if self.unsynced > MAX_UNSYNCED_BYTES {
            self.sync()?;
        }
        if self.written > RECLAIM_BYTES {
            self.reclaim()
        } else {
            Ok(())
        }
    }
}

/// Rows about to be written, by address, and the digest of all rows after that.
struct Staged {
    tables: Digest,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Returns how many bytes the changes take in a pending value.
pub(in crate::store) fn encoded_length(changes: &[RowChange]) -> usize {
    changes.iter().map(|change| change.encode().len()).sum()
}
