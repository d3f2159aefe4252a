//! Reading a log. Everything that is read is checked on the way.

use std::collections::HashSet;

use crate::ident::Digest;
use crate::store::StoreError;
use crate::store::disk::engine::Tree;

use super::envelope::Kind;
use super::record::{Record, Stored};
use super::state::Log;
use super::table::{self, Pairs, Row};
use super::tree::{self, DocumentRef};

/// The readings of a store, whether its database is open or not.
pub(in crate::store) trait Reading {
    /// Returns the oldest revision that is kept and the newest, 0 if there is none.
    fn revisions(&self) -> (u64, u64);

    /// Returns a record, if it is there.
    fn stored(&self, revision: u64) -> Result<Option<Record>, StoreError>;

    /// Returns a document, whole and checked.
    fn document(&self, document: &DocumentRef) -> Result<Vec<u8>, StoreError>;

    /// Returns the value of a row.
    fn row(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Returns the keys and values of a table, in the order of the keys.
    fn rows(&self, table: &str) -> Result<Pairs, StoreError>;

    /// Returns a record, or why it cannot be read.
    fn record(&self, revision: u64) -> Result<Record, StoreError> {
        let (oldest, newest) = self.revisions();
        if revision == 0 || revision > newest {
            return Err(StoreError::Unknown { revision, newest });
        }
        if revision < oldest {
            return Err(StoreError::Pruned { revision, oldest });
        }
        self.stored(revision)?.ok_or_else(|| missing(revision))
    }

    /// Returns up to `limit` records after revision `after`, the oldest first.
    fn records(&self, after: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        let (oldest, newest) = self.revisions();
        let first = after.saturating_add(1);
        if first < oldest {
            let revision = first;
            return Err(StoreError::Pruned { revision, oldest });
        }
        let last = newest.min(after.saturating_add(limit as u64));
        (first..=last)
            .map(|revision| self.record(revision))
            .collect()
    }
}

impl Reading for Log {
    fn revisions(&self) -> (u64, u64) {
        (self.checkpoint.revision + 1, self.revision())
    }

    fn stored(&self, revision: u64) -> Result<Option<Record>, StoreError> {
        let Some(value) = self.engine.get(Tree::Log, &revision.to_be_bytes())? else {
            return Ok(None);
        };
        let payload = self.payload(revision, &value)?;
        Record::open(payload, &mut |digest| self.fetch(digest)).map(Some)
    }

    fn document(&self, document: &DocumentRef) -> Result<Vec<u8>, StoreError> {
        tree::read(document, &mut |digest| self.fetch(digest))
    }

    fn row(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let address = table::address(table, key);
        let Some(value) = self.engine.get(Tree::Rows, &address)? else {
            return Ok(None);
        };
        self.open_row(&address, &value)
            .map(|(_, row)| Some(row.value))
    }

    fn rows(&self, table: &str) -> Result<Pairs, StoreError> {
        let first = table::address(table, &[]);
        let mut rows = Vec::new();
        for pair in self.engine.scan(Tree::Rows, &first) {
            let (address, value) = pair?;
            if !address.starts_with(&first) {
                break;
            }
            let (_, row) = self.open_row(&address, &value)?;
            rows.push((row.key, row.value));
        }
        Ok(rows)
    }
}

impl Log {
    /// Calls `work` with every row of all side tables.
    pub(in crate::store) fn each_row(
        &self,
        work: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for pair in self.engine.scan(Tree::Rows, &[]) {
            let (address, value) = pair?;
            work(self.open_row(&address, &value)?.1)?;
        }
        Ok(())
    }

    /// Returns the verified payload of a chunk.
    pub(in crate::store) fn fetch(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(value) = self.engine.get(Tree::Chunks, digest.as_bytes())? else {
            return Ok(None);
        };
        match self.mark.open(&value) {
            Some(opened) if opened.kind == Kind::Chunk && opened.digest == *digest => {
                Ok(Some(opened.payload.to_vec()))
            }
            _ => Err(StoreError::damaged(
                format!("chunk {digest}"),
                "its digest is another",
            )),
        }
    }

    /// Returns the verified payload of the record at `revision`.
    pub(in crate::store) fn payload<'v>(
        &self,
        revision: u64,
        value: &'v [u8],
    ) -> Result<&'v [u8], StoreError> {
        match self.mark.open(value) {
            Some(opened) if opened.kind == Kind::Record => Ok(opened.payload),
            _ => Err(StoreError::damaged(
                format!("revision {revision}"),
                "its digest is another",
            )),
        }
    }

    /// Decodes the row at `address`, and returns its digest too.
    pub(in crate::store) fn open_row(
        &self,
        address: &[u8],
        value: &[u8],
    ) -> Result<(Digest, Row), StoreError> {
        let opened = self
            .mark
            .open(value)
            .filter(|opened| opened.kind == Kind::Row);
        let row =
            opened.and_then(|opened| Some((opened.digest, Row::decode(opened.payload).ok()?)));
        row.filter(|(_, row)| row.address() == address)
            .ok_or_else(|| {
                StoreError::damaged("a row of the side tables", "it is not what was written")
            })
    }

    /// Visits the chunks that a record reaches and `seen` does not hold yet. Lists that cannot be
    /// read are skipped: what only they reach is lost already.
    pub(in crate::store) fn reach(
        &self,
        payload: &[u8],
        seen: &mut HashSet<Digest>,
        enter: &mut dyn FnMut(&Digest, u8),
    ) -> Result<(), StoreError> {
        let stored = Stored::decode(payload)?;
        let mut documents: Vec<_> = stored.trees().collect();
        match stored.documents(&mut |digest| self.fetch(digest)) {
            Ok(found) => documents.extend(found),
            Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        for document in documents {
            tree::visit(&document, seen, |digest, level| {
                enter(digest, level);
                if level == 0 {
                    return Ok(Vec::new());
                }
                let list = self.fetch(digest).and_then(|payload| match payload {
                    Some(payload) => tree::children(digest, level, &payload),
                    None => Ok(Vec::new()),
                });
                match list {
                    Err(StoreError::Damaged { .. }) => Ok(Vec::new()),
                    list => list,
                }
            })?;
        }
        Ok(())
    }
}

/// Returns the error that a record is missing which should be there.
pub(in crate::store) fn missing(revision: u64) -> StoreError {
    StoreError::damaged(format!("revision {revision}"), "it is missing")
}
