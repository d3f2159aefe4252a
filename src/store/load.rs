//! What must hold of a database before a ledger is made of it.

use std::{collections::HashSet, path::Path, sync::Arc};

use super::{
    StoreError,
    codec::Malformed,
    digest::Digest,
    engine::{Engine, Tree, contained},
    envelope::Kind,
    ledger::{Ledger, missing},
    meta::{Checkpoint, Identity, Pending},
    record::{Record, Stored},
    table::{Moment, RowChange},
    tree,
};

impl Ledger {
    /// Checks the chain of hashes from the checkpoint, completes the side tables, and checks
    /// every chunk of the newest documents. A database that fails is not touched again.
    pub(super) fn load(engine: Engine, directory: &Path) -> Result<Ledger, StoreError> {
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
        let mut ledger = Ledger {
            engine,
            mark: identity.mark,
            checkpoint: Checkpoint::START,
            head: None,
            tables: Digest::ZERO,
            puts: 0,
            written: 0,
        };
        match contained(|| ledger.examine()) {
            Ok(()) => Ok(ledger),
            Err(error) => {
                ledger.engine.abandon();
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

    /// Follows the chain from the checkpoint to the head; gives the changes of rows that may
    /// not have been made.
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
        if pending.standing.revision > revision || (newest.is_none() && revision > 0) {
            return Err(missing(revision + 1));
        }
        if let Some(payload) = newest {
            let head = Record::open(&payload, &mut |digest| self.fetch(digest))?;
            self.head = Some(Arc::new(head));
        }
        Ok(unapplied)
    }

    /// Makes changes of rows again that a crash may have cut off, and checks all rows.
    fn complete_rows(
        &mut self,
        pending: &Pending,
        unapplied: Vec<(Moment, Vec<RowChange>)>,
    ) -> Result<(), StoreError> {
        let mut changes = unapplied;
        changes.push((pending.standing.moment(), pending.changes.clone()));
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
            .filter(|head| head.revision > pending.standing.revision);
        if tables != head.map_or(pending.standing.tables, |head| head.tables) {
            return Err(StoreError::damaged(
                "the side tables",
                "rows are missing or outdated",
            ));
        }
        self.tables = tables;
        self.puts = pending.standing.puts;
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
