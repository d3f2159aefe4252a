//! Forgetting old revisions.

use std::collections::HashSet;

use super::{
    StoreError,
    digest::Digest,
    engine::Tree,
    envelope::{Kind, MAX_PAYLOAD},
    ledger::{Ledger, missing},
    meta::{Checkpoint, Pending},
};

/// Up to an eighth more revisions than asked for are kept, and at most this many, so that
/// pruning is done in batches.
const MAX_BATCH: u64 = 128;

impl Ledger {
    /// Forgets the oldest revisions if there are enough over `keep`.
    pub(super) fn prune(&mut self, keep: u64) -> Result<(), StoreError> {
        let batch = (keep / 8).clamp(1, MAX_BATCH);
        let kept = self.revision() - self.checkpoint.revision;
        match kept >= keep.saturating_add(batch) {
            true => self.forget(self.revision() - keep),
            false => Ok(()),
        }
    }

    /// Completes a pruning that a crash cut off.
    pub(super) fn finish_pruning(&mut self) -> Result<(), StoreError> {
        let oldest = self.engine.scan(Tree::Log, &[]).next().transpose()?;
        let checkpoint = self.checkpoint.revision;
        match oldest {
            Some((key, _)) if key <= checkpoint.to_be_bytes().to_vec() => self.forget(checkpoint),
            _ => Ok(()),
        }
    }

    /// Forgets the revisions up to `last` and every chunk that only they reach. The new
    /// checkpoint is durable before anything goes; what goes, goes from the leaves up, so that
    /// a crash leaves nothing that a second attempt does not find.
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
        // What is removed has to be cleaned up after just as what is written.
        self.written += (chunks.len() * MAX_PAYLOAD) as u64;
        Ok(())
    }

    /// The chunks, data first, that the forgotten records reach and `live` does not hold.
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
        let pending = Pending::none(self.standing());
        self.put_meta("pending", Kind::Pending, &pending.encode())?;
        self.put_meta("checkpoint", Kind::Checkpoint, &checkpoint.encode())?;
        self.engine.sync()?;
        self.checkpoint = checkpoint;
        Ok(())
    }
}
