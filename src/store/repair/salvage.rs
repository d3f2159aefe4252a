//! Finding what can be read in a damaged database, without sled.
//!
//! Every value has a frame with the store's mark and a digest, so the raw bytes of the database
//! files are searched for the mark. Where a frame opens, there is a value that the store wrote.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use crate::ident::Digest;
use crate::store::StoreError;
use crate::store::log::envelope::{Kind, MAX_PAYLOAD, Mark, OVERHEAD, Opened};
use crate::store::log::meta::{Pending, Position};
use crate::store::log::record::{Record, Stored};
use crate::store::log::table::Row;
use crate::store::log::tree;

const WINDOW: u64 = 1024 * 1024;
const MAX_FRAME: usize = OVERHEAD + MAX_PAYLOAD;

/// Where a value was found: the file and the offset in it.
type Place = (usize, u64);

/// What a damaged database still holds.
pub(in crate::store) struct Harvest {
    mark: Mark,
    files: Vec<File>,
    chunks: HashMap<Digest, Place>,
    /// The records, by revision and hash: several of one revision may have been written.
    records: BTreeMap<(u64, Digest), Place>,
    rows: Vec<Place>,
    /// Changes of rows made without a revision.
    pending: Vec<Pending>,
    /// Chunks known to be whole, with everything below them.
    sound: HashSet<Digest>,
}

/// A record that was found, and its payload.
pub(in crate::store) struct Found {
    pub(in crate::store) record: Record,
    pub(in crate::store) payload: Vec<u8>,
}

/// The rows that were found.
pub(in crate::store) struct Rows {
    pub(in crate::store) rows: Vec<Row>,
    /// How many times rows changed without a revision.
    pub(in crate::store) puts: u64,
    /// Whether their digest is one that the rows are known to have had. Otherwise a removed row
    /// may be back, or a row may be older than it was.
    pub(in crate::store) whole: bool,
}

impl Harvest {
    /// Searches the database in `directory`.
    pub(in crate::store) fn search(directory: &Path, mark: Mark) -> Result<Harvest, StoreError> {
        let mut harvest = Harvest {
            mark,
            files: Vec::new(),
            chunks: HashMap::new(),
            records: BTreeMap::new(),
            rows: Vec::new(),
            pending: Vec::new(),
            sound: HashSet::new(),
        };
        let spilled = fs::read_dir(directory.join("blobs"))
            .into_iter()
            .flatten()
            .flatten();
        let mut paths: Vec<_> = spilled.map(|entry| entry.path()).collect();
        paths.push(directory.join("db"));
        for path in paths {
            let failed = || StoreError::io(format!("read {}", path.display()));
            let file = File::open(&path).map_err(failed())?;
            harvest.search_file(&file).map_err(failed())?;
            harvest.files.push(file);
        }
        Ok(harvest)
    }

    /// Returns the newest revision that can be read with all its documents and up to `keep - 1`
    /// revisions that lead to it, the oldest first. Of two records of one revision, the one with
    /// the hash `preferred` is tried first.
    pub(in crate::store) fn newest_chain(
        &mut self,
        preferred: &Digest,
        keep: u64,
    ) -> Result<Vec<Found>, StoreError> {
        let mut candidates: Vec<_> = self.records.keys().copied().collect();
        candidates.sort_by_key(|(revision, hash)| (*revision, hash == preferred));
        let mut chain: Vec<Found> = Vec::new();
        while let Some(candidate) = candidates.pop() {
            if let Some(found) = self.read_sound(candidate)? {
                chain.push(found);
                break;
            }
        }
        while let Some(oldest) = chain.last().filter(|_| (chain.len() as u64) < keep) {
            let before = (
                oldest.record.revision.saturating_sub(1),
                oldest.record.previous,
            );
            match self.read_sound(before)? {
                Some(found) => chain.push(found),
                None => break,
            }
        }
        chain.reverse();
        Ok(chain)
    }

    /// Returns a record that was found.
    pub(in crate::store) fn record(
        &self,
        revision: u64,
        hash: Digest,
    ) -> Result<Option<Record>, StoreError> {
        let Some(place) = self.records.get(&(revision, hash)) else {
            return Ok(None);
        };
        let frame = self.frame(*place)?;
        let Some(opened) = self.mark.open(&frame) else {
            return Ok(None);
        };
        Record::open(opened.payload, &mut |digest| self.fetch(digest)).map(Some)
    }

    /// Returns the records after `revision` that can be read, whether or not their documents can.
    pub(in crate::store) fn records_after(&self, revision: u64) -> Vec<Record> {
        let keys = self
            .records
            .range((revision.saturating_add(1), Digest::ZERO)..);
        keys.filter_map(|(_, place)| {
            let frame = self.frame(*place).ok()?;
            let payload = self.mark.open(&frame)?.payload;
            Record::open(payload, &mut |digest| self.fetch(digest)).ok()
        })
        .collect()
    }

    /// Returns the rows at the end of `chain`: the newest that were found, after the changes that
    /// the records and the changes without a revision made to them.
    pub(in crate::store) fn rows(
        &self,
        chain: &[Found],
        acknowledged: &Position,
    ) -> Result<Rows, StoreError> {
        let head = chain.last().map(|found| &found.record);
        let revision = head.map_or(0, |record| record.revision);
        let mut rows: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
        for place in &self.rows {
            let frame = self.frame(*place)?;
            let opened = self.mark.open(&frame);
            let row = opened.and_then(|opened| Row::decode(opened.payload).ok());
            let Some(row) = row.filter(|row| row.at.revision <= revision) else {
                continue;
            };
            let newer = rows
                .get(&row.address())
                .is_some_and(|known| known.at > row.at);
            if !newer {
                rows.insert(row.address(), row);
            }
        }
        let records = chain
            .iter()
            .map(|found| (found.record.moment(), &found.record.changes));
        let pending = self
            .pending
            .iter()
            .map(|pending| (pending.position.moment(), &pending.changes));
        let mut made: Vec<_> = records.chain(pending).collect();
        made.sort_by_key(|(at, _)| *at);
        for (at, changes) in made.into_iter().filter(|(at, _)| at.revision <= revision) {
            for change in changes {
                let newer = rows
                    .get(&change.address())
                    .is_some_and(|known| known.at > at);
                match change.row(at) {
                    _ if newer => None,
                    Some(row) => rows.insert(row.address(), row),
                    None => rows.remove(&change.address()),
                };
            }
        }
        let rows: Vec<_> = rows.into_values().collect();
        let mut tables = Digest::ZERO;
        rows.iter()
            .for_each(|row| tables.toggle(&Kind::Row.digest(&row.encode())));
        let positions = self.pending.iter().map(|pending| &pending.position);
        let puts = positions
            .clone()
            .map(|position| position.puts)
            .max()
            .unwrap_or(0);
        let whole = if acknowledged.revision == revision {
            positions.chain([acknowledged]).any(|position| {
                let late = position.moment() >= acknowledged.moment();
                late && position.revision == revision && position.tables == tables
            })
        } else {
            head.is_some_and(|head| head.tables == tables)
                || positions
                    .into_iter()
                    .any(|s| s.revision == revision && s.tables == tables)
        };
        Ok(Rows {
            rows,
            puts: puts.max(acknowledged.puts),
            whole,
        })
    }

    /// Returns the verified payload of a chunk.
    pub(in crate::store) fn fetch(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(place) = self.chunks.get(digest) else {
            return Ok(None);
        };
        let frame = self.frame(*place)?;
        let opened = self
            .mark
            .open(&frame)
            .filter(|opened| opened.digest == *digest);
        Ok(opened.map(|opened| opened.payload.to_vec()))
    }

    /// Reads a record if it and all its documents are whole.
    fn read_sound(&mut self, key: (u64, Digest)) -> Result<Option<Found>, StoreError> {
        let Some(place) = self.records.get(&key) else {
            return Ok(None);
        };
        let frame = self.frame(*place)?;
        let Some(opened) = self.mark.open(&frame) else {
            return Ok(None);
        };
        let mut sound = std::mem::take(&mut self.sound);
        let checked = (|| {
            let record = Record::open(opened.payload, &mut |digest| self.fetch(digest))?;
            for document in record.documents.values() {
                tree::check(document, &mut sound, &mut |digest| self.fetch(digest))?;
            }
            Ok(record)
        })();
        match checked {
            Ok(record) => {
                self.sound = sound;
                Ok(Some(Found {
                    record,
                    payload: opened.payload.to_vec(),
                }))
            }
            // What was visited before the damage was met is not known to be whole.
            Err(StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn frame(&self, (file, at): Place) -> Result<Vec<u8>, StoreError> {
        let mut frame = Vec::with_capacity(MAX_FRAME);
        let read = self.files.get(file).map_or(Ok(0), |mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.take(MAX_FRAME as u64).read_to_end(&mut frame)
        });
        read.map(|_| frame)
            .map_err(StoreError::io("read the damaged database"))
    }

    fn search_file(&mut self, file: &File) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut base = 0;
        loop {
            let more = file.take(WINDOW).read_to_end(&mut buffer)? > 0;
            let mut at = 0;
            while let Some(rest) = buffer.get(at..).filter(|rest| !rest.is_empty()) {
                let Some(found) = self.mark.find(rest) else {
                    // The mark may continue in the next window.
                    at = buffer.len().saturating_sub(MAX_FRAME).max(at);
                    break;
                };
                at += found;
                let rest = buffer.get(at..).unwrap_or_default();
                if more && rest.len() < MAX_FRAME {
                    break;
                }
                at += match self.mark.open(rest) {
                    Some(opened) => {
                        let length = OVERHEAD + opened.payload.len();
                        self.keep(opened, (self.files.len(), base + at as u64));
                        length
                    }
                    None => 1,
                };
            }
            if !more {
                return Ok(());
            }
            let at = at.min(buffer.len());
            buffer.drain(..at);
            base += at as u64;
        }
    }

    fn keep(&mut self, opened: Opened<'_>, place: Place) {
        match opened.kind {
            Kind::Chunk => {
                self.chunks.insert(opened.digest, place);
            }
            Kind::Record => {
                if let Ok(stored) = Stored::decode(opened.payload) {
                    self.records.insert((stored.revision, opened.digest), place);
                }
            }
            Kind::Row => self.rows.push(place),
            Kind::Pending => {
                if let Ok(pending) = Pending::decode(opened.payload) {
                    self.pending.push(pending);
                }
            }
            Kind::Checkpoint => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::disk::engine::Engine;
    use crate::store::log::commit::Commit;
    use crate::store::log::state::{Change, Log};
    use crate::store::log::table::{RowChange, Table};
    use crate::store::repair::build::CACHE_BYTES;

    use super::*;

    const KEYS: Table = Table::new("keys");

    fn change(value: Option<u8>) -> Vec<RowChange> {
        let value = value.map(|value| vec![value]);
        vec![RowChange::new(KEYS.name(), b"key".to_vec(), value).unwrap()]
    }

    #[test]
    fn of_all_the_rows_found_the_newest_are_those_as_of_the_chain() {
        // A change of the row: whether by a revision or between two, and the new value, if any.
        type Step = (bool, Option<u8>);
        let histories: [&[Step]; 5] = [
            &[(true, Some(1)), (false, Some(2)), (true, Some(3))],
            &[(true, Some(1)), (false, Some(2)), (false, Some(3))],
            &[(true, Some(1)), (false, None)],
            &[
                (true, Some(1)),
                (false, Some(2)),
                (true, None),
                (false, Some(4)),
            ],
            &[
                (false, Some(1)),
                (true, Some(2)),
                (false, Some(3)),
                (true, None),
            ],
        ];
        for history in histories {
            let directory = tempfile::tempdir().unwrap();
            let engine = Engine::open(directory.path(), CACHE_BYTES).unwrap();
            let mut log = Log::new(engine, Mark::random().unwrap());
            log.begin().unwrap();
            let mut positions = vec![log.position()];
            let mut expected = Vec::new();
            for (revision, value) in history {
                let table = vec![(KEYS, b"key".to_vec(), value.map(|value| vec![value]))];
                let revision = revision.then(|| log.revision() + 1);
                let group = match revision {
                    Some(revision) => Change::Commit(Commit {
                        revision,
                        table,
                        ..Commit::default()
                    }),
                    None => Change::Rows(change(*value)),
                };
                log.append(vec![group]).unwrap().remove(0).unwrap();
                positions.push(log.position());
                expected.push((log.position(), *value));
            }
            let mark = log.mark;
            log.engine.close().unwrap();
            let mut harvest = Harvest::search(directory.path(), mark).unwrap();
            let mut chain = harvest.newest_chain(&Digest::ZERO, 100).unwrap();
            // As of the end, and then as of the revision before, as if the last one had been lost.
            for _ in 0..2 {
                let head = chain.last().map_or(0, |found| found.record.revision);
                let known = expected.iter().rev().find(|(at, _)| at.revision == head);
                let Some((position, value)) = known else {
                    break;
                };
                let rows = harvest.rows(&chain, position).unwrap();
                let values: Vec<_> = rows.rows.iter().map(|row| row.value[0]).collect();
                assert_eq!(
                    values,
                    value.iter().copied().collect::<Vec<_>>(),
                    "{history:?}"
                );
                assert!(rows.whole, "{history:?}");
                chain.pop();
            }
        }
    }

    #[test]
    fn values_are_found_wherever_they_lie_even_between_two_windows() {
        let mark = Mark::random().unwrap();
        let payloads: Vec<Vec<u8>> = (0..700_u32)
            .map(|n| {
                n.to_be_bytes()
                    .repeat(1 + n as usize * 37 % (MAX_PAYLOAD / 4))
            })
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = vec![7; 1000];
        for (n, payload) in payloads.iter().enumerate() {
            let digest = Kind::Chunk.digest(payload);
            bytes.extend(mark.seal(Kind::Chunk, &digest, payload));
            // A mark that begins nothing, and some noise.
            bytes.extend(mark.seal(Kind::Chunk, &Digest::ZERO, b"false"));
            bytes.resize(bytes.len() + n % 91, 9);
        }
        assert!(bytes.len() as u64 > 2 * WINDOW);
        fs::write(directory.path().join("db"), bytes).unwrap();
        let harvest = Harvest::search(directory.path(), mark).unwrap();
        assert_eq!(harvest.chunks.len(), payloads.len());
        for payload in &payloads {
            let digest = Kind::Chunk.digest(payload);
            assert_eq!(harvest.fetch(&digest).unwrap().as_ref(), Some(payload));
        }
    }
}
