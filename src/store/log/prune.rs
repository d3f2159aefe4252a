//! Pruning old revisions.

use std::collections::HashSet;

use crate::ident::Digest;
use crate::store::StoreError;
use crate::store::disk::engine::Tree;

use super::envelope::{Kind, MAX_PAYLOAD};
use super::meta::{Checkpoint, Pending};
use super::read::missing;
use super::state::Log;

/// Up to a quarter more revisions than configured are kept, and at most this many more, so that
/// pruning is done in batches.
const MAX_BATCH: u64 = 256;

impl Log {
    /// Prunes the oldest revisions if there are enough more than `keep`.
    pub(in crate::store) fn prune(&mut self, keep: u64) -> Result<(), StoreError> {
        let batch = (keep / 4).clamp(1, MAX_BATCH);
        let kept = self.revision() - self.checkpoint.revision;
        if kept >= keep.saturating_add(batch) {
            self.forget(self.revision() - keep)
        } else {
            Ok(())
        }
    }

    /// Completes a pruning that a crash cut off.
    pub(in crate::store) fn finish_pruning(&mut self) -> Result<(), StoreError> {
        let oldest = self.engine.scan(Tree::Log, &[]).next().transpose()?;
        let checkpoint = self.checkpoint.revision;
        match oldest {
            Some((key, _)) if key <= checkpoint.to_be_bytes().to_vec() => self.forget(checkpoint),
            _ => Ok(()),
        }
    }

    /// Removes the revisions up to `last` and every chunk that only they reach. The new
    /// checkpoint is durable before anything is removed, and leaves are removed before what names
    /// them, so that a second attempt finds everything that a crash left.
    fn forget(&mut self, last: u64) -> Result<(), StoreError> {
        let mut live = HashSet::new();
        let mut forgotten = Vec::new();
        let mut hash = None;
        for pair in self.engine.scan(Tree::Log, &[]) {
            let (key, value) = pair?;
            let revision = key.as_slice().try_into().map_or(0, u64::from_be_bytes);
            let payload = self.payload(revision, &value)?;
            if revision > last {
                self.reach(payload, &mut live, &mut |_, _| {})?;
                continue;
            }
            if revision == last {
                hash = Some(Kind::Record.digest(payload));
            }
            forgotten.push((key, payload.to_vec()));
        }
        if last > self.checkpoint.revision {
            let hash = hash.ok_or_else(|| missing(last))?;
            self.set_checkpoint(Checkpoint {
                revision: last,
                hash,
            })?;
        }
        let chunks = self.reached_only_by(&forgotten, live)?;
        for (_, digest) in &chunks {
            self.engine.remove(Tree::Chunks, digest.as_bytes())?;
        }
        for (key, _) in &forgotten {
            self.engine.remove(Tree::Log, key)?;
        }
        // sled has to clean up after removals as after writes.
        self.written += (chunks.len() * MAX_PAYLOAD) as u64;
        Ok(())
    }

    /// Returns the chunks, data first, that the pruned records reach and `live` does not hold.
    fn reached_only_by(
        &self,
        forgotten: &[(Vec<u8>, Vec<u8>)],
        mut live: HashSet<Digest>,
    ) -> Result<Vec<(u8, Digest)>, StoreError> {
        let mut chunks = Vec::new();
        for (_, payload) in forgotten {
            self.reach(payload, &mut live, &mut |digest, level| {
                chunks.push((level, *digest))
            })?;
        }
        chunks.sort_unstable();
        Ok(chunks)
    }

    fn set_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let pending = Pending::none(self.position());
        self.put_meta("pending", Kind::Pending, &pending.encode())?;
        self.put_meta("checkpoint", Kind::Checkpoint, &checkpoint.encode())?;
        self.sync()?;
        self.checkpoint = checkpoint;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::disk::engine::Engine;
    use crate::store::log::commit::Commit;
    use crate::store::log::envelope::Mark;
    use crate::store::log::read::Reading;
    use crate::store::log::state::Change;
    use crate::store::repair::build::CACHE_BYTES;

    use super::*;

    fn keys(log: &Log, tree: Tree) -> usize {
        log.engine.scan(tree, &[]).count()
    }

    #[test]
    fn a_pruning_that_a_crash_cut_off_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Engine::open(&directory.path().join("sled"), CACHE_BYTES).unwrap();
        let mut log = Log::new(open(), Mark::random().unwrap());
        log.begin().unwrap();
        log.complete().unwrap();
        let commit = |revision: u64| {
            let row = revision.to_be_bytes().repeat(1_000);
            let documents = vec![("map".to_owned(), Some(vec![row; 5]))];
            Change::Commit(Commit {
                revision,
                documents,
                ..Commit::default()
            })
        };
        log.append((1..=20).map(commit).collect()).unwrap();
        let (records, chunks) = (keys(&log, Tree::Log), keys(&log, Tree::Chunks));
        let hash = log.record(15).unwrap().hash;
        log.set_checkpoint(Checkpoint { revision: 15, hash })
            .unwrap();
        log.engine.close().unwrap();
        let mut log = Log::load(open(), directory.path()).unwrap();
        assert_eq!(keys(&log, Tree::Log), records);
        log.finish_pruning().unwrap();
        assert_eq!(
            (keys(&log, Tree::Log), keys(&log, Tree::Chunks)),
            (5, chunks / 4)
        );
        for record in log.records(15, 10).unwrap() {
            log.document(&record.documents["map"]).unwrap();
        }
    }
}
