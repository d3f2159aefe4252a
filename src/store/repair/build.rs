//! Building a whole database beside the present one.

use std::{collections::HashSet, sync::Arc};

use crate::store::StoreError;
use crate::store::disk::directory::{self, Directory};
use crate::store::disk::engine::{Engine, Tree, contained};
use crate::store::log::envelope::{Kind, Mark};
use crate::store::log::meta::{Checkpoint, Identity, Pending};
use crate::store::log::record::{Record, Stored};
use crate::store::log::state::Log;
use crate::store::log::table::Row;
use crate::store::log::tree::{self, Fetch};

/// The memory for the database while it is built or read offline, in bytes.
pub(in crate::store) const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Builds a database in `sled.part` by `fill`, checks it as a start would, and closes it. Then it
/// can be installed.
pub(in crate::store) fn build(
    directory: &Directory,
    mark: Mark,
    fill: impl FnOnce(&mut Log) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let part = directory.part();
    directory::remove(&part)?;
    let engine = Engine::open(&part, CACHE_BYTES)?;
    let mut log = Log::new(engine, mark);
    let built = contained(|| {
        log.begin()?;
        fill(&mut log)?;
        log.complete()
    });
    if let Err(error) = built {
        log.engine.abandon();
        return Err(error);
    }
    log.engine.close()?;
    let engine = Engine::open(&part, CACHE_BYTES)?;
    Log::load(engine, directory.root())?.engine.close()
}

impl Log {
    pub(in crate::store) fn begin(&mut self) -> Result<(), StoreError> {
        let identity = Identity::new(self.mark).encode();
        self.engine
            .put(Tree::Meta, b"format", identity.as_bytes())?;
        self.put_meta("checkpoint", Kind::Checkpoint, &self.checkpoint.encode())
    }

    /// Writes a record whose chunks are there already. The first one sets the checkpoint; every
    /// other must follow the one before.
    pub(in crate::store) fn adopt(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let stored = Stored::decode(payload)?;
        let before = match &self.head {
            Some(head) => Checkpoint {
                revision: head.revision,
                hash: head.hash,
            },
            None => {
                let revision = stored.revision.saturating_sub(1);
                self.checkpoint = Checkpoint {
                    revision,
                    hash: stored.previous,
                };
                self.put_meta("checkpoint", Kind::Checkpoint, &self.checkpoint.encode())?;
                self.checkpoint
            }
        };
        if before.revision.checked_add(1) != Some(stored.revision) || before.hash != stored.previous
        {
            let what = format!("revision {}", stored.revision);
            return Err(StoreError::damaged(
                what,
                "it does not follow the one before",
            ));
        }
        let record = Record::open(payload, &mut |digest| self.fetch(digest))?;
        let value = self.mark.seal(Kind::Record, &record.hash, payload);
        self.engine
            .put(Tree::Log, &record.revision.to_be_bytes(), &value)?;
        self.head = Some(Arc::new(record));
        Ok(())
    }

    /// Copies a record of another store, after everything that it reaches.
    pub(in crate::store) fn copy(
        &mut self,
        payload: &[u8],
        record: &Record,
        source: &mut Fetch<'_>,
    ) -> Result<(), StoreError> {
        let own = Stored::decode(payload)?;
        let mut seen = HashSet::new();
        for document in own.trees().chain(record.documents.values().copied()) {
            tree::visit(&document, &mut seen, |digest, level| {
                // This chunk and all below it were copied with an earlier record.
                if self.fetch(digest)?.is_some() {
                    return Ok(Vec::new());
                }
                let chunk = source(digest)?.ok_or_else(|| tree::missing(digest))?;
                self.put(&chunk)?;
                tree::children(digest, level, &chunk)
            })?;
        }
        self.adopt(payload)
    }

    /// Writes a row that is not there yet.
    pub(in crate::store) fn adopt_row(&mut self, row: &Row) -> Result<(), StoreError> {
        let payload = row.encode();
        let digest = Kind::Row.digest(&payload);
        let value = self.mark.seal(Kind::Row, &digest, &payload);
        self.engine.put(Tree::Rows, &row.address(), &value)?;
        self.tables.toggle(&digest);
        Ok(())
    }

    pub(in crate::store) fn complete(&mut self) -> Result<(), StoreError> {
        let pending = Pending::none(self.position());
        self.put_meta("pending", Kind::Pending, &pending.encode())?;
        self.sync()
    }
}
