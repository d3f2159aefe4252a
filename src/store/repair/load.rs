//! Checking a database when its log is opened.

use std::{collections::HashSet, path::Path, sync::Arc};

use crate::ident::Digest;
use crate::store::StoreError;
use crate::store::disk::engine::{Engine, Tree, contained};
use crate::store::log::codec::Malformed;
use crate::store::log::envelope::Kind;
use crate::store::log::meta::{Checkpoint, Identity, Pending};
use crate::store::log::read::missing;
use crate::store::log::record::{Record, Stored};
use crate::store::log::state::Log;
use crate::store::log::table::{Moment, RowChange};
use crate::store::log::tree;

impl Log {
    /// Checks the chain of hashes from the checkpoint, completes the side tables, and checks
    /// every chunk of the newest documents. A database that fails must not be used again.
    pub(in crate::store) fn load(engine: Engine, directory: &Path) -> Result<Log, StoreError> {
        let identity = contained(|| {
            let text = engine.get(Tree::Meta, b"format")?.unwrap_or_default();
            Identity::decode(&text, directory)
        });
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                engine.abandon();
                return Err(error);
            }
        };
        let mut log = Log::new(engine, identity.mark);
        match contained(|| log.examine()) {
            Ok(()) => Ok(log),
            Err(error) => {
                log.engine.abandon();
                Err(error)
            }
        }
    }

    fn examine(&mut self) -> Result<(), StoreError> {
        self.checkpoint = self.meta("checkpoint", Kind::Checkpoint, Checkpoint::decode)?;
        let pending = self.meta("pending", Kind::Pending, Pending::decode)?;
        let unapplied = self.examine_log(&pending)?;
        self.complete_rows(&pending, unapplied)?;
        let documents = self.head.iter().flat_map(|head| head.documents.values());
        let mut seen = HashSet::new();
        for document in documents {
            tree::check(document, &mut seen, &mut |digest| self.fetch(digest))?;
        }
        Ok(())
    }

    /// Follows the chain from the checkpoint to the head, and returns the changes of rows that
    /// may not have been made.
    fn examine_log(
        &mut self,
        pending: &Pending,
    ) -> Result<Vec<(Moment, Vec<RowChange>)>, StoreError> {
        let first = self.checkpoint.revision.saturating_add(1);
        let (mut revision, mut hash) = (self.checkpoint.revision, self.checkpoint.hash);
        let mut unapplied = Vec::new();
        let mut newest = None;
        for pair in self.engine.scan(Tree::Log, &first.to_be_bytes()) {
            let (key, value) = pair?;
            revision += 1;
            if key != revision.to_be_bytes() {
                return Err(missing(revision));
            }
            let payload = self.payload(revision, &value)?;
            let stored = Stored::decode(payload)?;
            if stored.revision != revision || stored.previous != hash {
                let what = format!("revision {revision}");
                return Err(StoreError::damaged(
                    what,
                    "it does not follow the one before",
                ));
            }
            hash = Kind::Record.digest(payload);
            if revision > pending.applied {
                unapplied.push((
                    stored.moment(),
                    stored.changes(&mut |digest| self.fetch(digest))?,
                ));
            }
            newest = Some(payload.to_vec());
        }
        if pending.position.revision > revision || (newest.is_none() && revision > 0) {
            return Err(missing(revision + 1));
        }
        if let Some(payload) = newest {
            let head = Record::open(&payload, &mut |digest| self.fetch(digest))?;
            self.head = Some(Arc::new(head));
        }
        Ok(unapplied)
    }

    /// Repeats changes of rows that a crash may have cut off, and checks all rows.
    fn complete_rows(
        &mut self,
        pending: &Pending,
        unapplied: Vec<(Moment, Vec<RowChange>)>,
    ) -> Result<(), StoreError> {
        let mut changes = unapplied;
        changes.push((pending.position.moment(), pending.changes.clone()));
        changes.sort_by_key(|(at, _)| *at);
        for (at, changes) in changes {
            self.apply(&changes, at)?;
        }
        let mut tables = Digest::ZERO;
        for pair in self.engine.scan(Tree::Rows, &[]) {
            let (address, value) = pair?;
            tables.toggle(&self.open_row(&address, &value)?.0);
        }
        let head = self
            .head
            .as_ref()
            .filter(|head| head.revision > pending.position.revision);
        if tables != head.map_or(pending.position.tables, |head| head.tables) {
            return Err(StoreError::damaged(
                "the side tables",
                "rows are missing or outdated",
            ));
        }
        self.tables = tables;
        self.puts = pending.position.puts;
        Ok(())
    }

    fn meta<T>(
        &self,
        name: &str,
        kind: Kind,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, StoreError> {
        let what = format!("the store's {name}");
        let value = self
            .engine
            .get(Tree::Meta, name.as_bytes())?
            .unwrap_or_default();
        match self.mark.open(&value) {
            Some(opened) if opened.kind == kind => {
                decode(opened.payload).map_err(|why| StoreError::damaged(what, why.to_string()))
            }
            _ => Err(StoreError::damaged(
                what,
                "it is missing or its digest is another",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::log::commit::Commit;
    use crate::store::log::envelope::Mark;
    use crate::store::log::read::Reading;
    use crate::store::log::state::Change;
    use crate::store::log::table::Table;
    use crate::store::repair::build::CACHE_BYTES;

    use super::*;

    const KEYS: Table = Table::new("keys");

    /// A database in a directory of its own.
    struct Base(tempfile::TempDir);

    impl Base {
        fn new() -> (Base, Log) {
            let base = Base(tempfile::tempdir().unwrap());
            let mut log = Log::new(base.engine(), Mark::random().unwrap());
            log.begin().unwrap();
            log.complete().unwrap();
            (base, log)
        }

        fn engine(&self) -> Engine {
            Engine::open(&self.0.path().join("sled"), CACHE_BYTES).unwrap()
        }

        fn load(&self) -> Result<Log, StoreError> {
            Log::load(self.engine(), self.0.path())
        }
    }

    fn set(value: u8) -> (Table, Vec<u8>, Option<Vec<u8>>) {
        (KEYS, b"key".to_vec(), Some(vec![value]))
    }

    fn revision(revision: u64, value: u8) -> Change {
        Change::Commit(Commit {
            revision,
            table: vec![set(value)],
            ..Commit::default()
        })
    }

    fn put(value: u8) -> Change {
        let (table, key, value) = set(value);
        Change::Rows(vec![RowChange::new(table.name(), key, value).unwrap()])
    }

    /// Reverts the row to what it was before the last change, as a crash would leave it.
    fn forget_row(log: &Log) {
        let address = crate::store::log::table::address(KEYS.name(), b"key");
        log.engine.remove(Tree::Rows, &address).unwrap();
    }

    fn value(log: &Log) -> Option<u8> {
        log.row(KEYS.name(), b"key").unwrap().map(|value| value[0])
    }

    #[test]
    fn rows_that_a_crash_kept_from_being_written_are_written_at_the_next_start() {
        let groups: [Vec<Change>; 5] = [
            vec![revision(1, 1)],
            vec![put(1)],
            vec![put(2), revision(1, 1)],
            vec![revision(1, 2), put(1)],
            vec![put(2), revision(1, 3), put(4), revision(2, 5), put(1)],
        ];
        for group in groups {
            let (base, mut log) = Base::new();
            for outcome in log.append(group).unwrap() {
                outcome.unwrap();
            }
            assert_eq!(value(&log), Some(1));
            let position = log.position();
            forget_row(&log);
            log.engine.close().unwrap();
            let log = base.load().unwrap();
            assert_eq!((value(&log), log.position()), (Some(1), position));
            log.engine.close().unwrap();
        }
    }

    #[test]
    fn a_durable_change_without_a_revision_is_not_undone_by_an_older_revision() {
        let (base, mut log) = Base::new();
        log.append(vec![revision(1, 1)]).unwrap();
        log.append(vec![put(2)]).unwrap();
        let other = RowChange::new(KEYS.name(), b"other".to_vec(), Some(Vec::new())).unwrap();
        log.append(vec![Change::Rows(vec![other])]).unwrap();
        log.engine.close().unwrap();
        let log = base.load().unwrap();
        assert_eq!(value(&log), Some(2));
    }

    #[test]
    fn a_row_that_is_older_than_it_should_be_is_damage() {
        let (base, mut log) = Base::new();
        log.append(vec![put(1)]).unwrap();
        let other = RowChange::new(KEYS.name(), b"other".to_vec(), Some(Vec::new())).unwrap();
        log.append(vec![Change::Rows(vec![other])]).unwrap();
        forget_row(&log);
        log.engine.close().unwrap();
        let refused = base.load().map(|log| value(&log));
        assert!(
            matches!(refused, Err(StoreError::Damaged { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_record_that_does_not_follow_the_one_before_is_damage() {
        let (base, mut log) = Base::new();
        log.append((1..=3).map(|n| revision(n, 0)).collect())
            .unwrap();
        let mut other = log.record(2).unwrap();
        other.body = b"another past".to_vec();
        let payload = other.seal(&mut |payload| log.put(payload)).unwrap();
        let value = log.mark.seal(Kind::Record, &other.hash, &payload);
        log.engine
            .put(Tree::Log, &2_u64.to_be_bytes(), &value)
            .unwrap();
        log.engine.close().unwrap();
        assert!(matches!(base.load(), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_chunk_in_the_place_of_another_is_damage() {
        let (base, mut log) = Base::new();
        let documents = ["a", "b"].map(|name| (name.to_owned(), Some(vec![name.into()])));
        let commit = Commit {
            revision: 1,
            documents: documents.to_vec(),
            ..Commit::default()
        };
        let outcome = log.append(vec![Change::Commit(commit)]).unwrap().remove(0);
        let documents = outcome.unwrap().unwrap().documents.clone();
        let [a, b] = ["a", "b"].map(|name| documents[name].digest());
        let value = log.engine.get(Tree::Chunks, a.as_bytes()).unwrap();
        let value = value.unwrap();
        log.engine.put(Tree::Chunks, b.as_bytes(), &value).unwrap();
        assert!(log.document(&documents["b"]).is_err());
        log.engine.close().unwrap();
        assert!(matches!(base.load(), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_missing_record_is_damage() {
        for missing in 1..=3_u64 {
            let (base, mut log) = Base::new();
            log.append((1..=3).map(|n| revision(n, 0)).collect())
                .unwrap();
            log.append(vec![put(1)]).unwrap();
            log.engine
                .remove(Tree::Log, &missing.to_be_bytes())
                .unwrap();
            log.engine.close().unwrap();
            assert!(matches!(base.load(), Err(StoreError::Damaged { .. })));
        }
    }
}
