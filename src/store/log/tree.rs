//! Documents as trees of content-addressed chunks.
//!
//! A document is given as rows. They are packed in order into chunks of 1 to 6 KiB; where a
//! chunk ends depends on the rows near its end alone, so that changing one row of a large
//! document changes a chunk or two. Lists of chunk digests are chunks themselves, cut by the
//! same principle, up to the one root. A chunk's payload is a level byte, 0 for data and n for
//! a list of chunks of level n - 1, and the data or digests.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::ident::Digest;
use crate::store::StoreError;

use super::envelope::MAX_PAYLOAD;

const MAX_DATA: usize = MAX_PAYLOAD - 1;
const MIN_DATA: usize = 1024;
/// The average size of chunks.
const USUAL_DATA: u64 = 4 * 1024;
const MAX_CHILDREN: usize = MAX_DATA / 32;
const MIN_CHILDREN: usize = 48;
/// The depth of the deepest tree. With 48 children at each level, it holds far more than any disk.
const MAX_DEPTH: u8 = 8;

/// Names the content of a document: equal rows have equal references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRef {
    pub(in crate::store) digest: Digest,
    pub(in crate::store) length: u64,
    pub(in crate::store) depth: u8,
}

impl DocumentRef {
    /// Returns the digest of the root of the document's tree.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the size of the document in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// Stores the payload of a chunk and returns its digest.
pub(in crate::store) type Put<'a> = dyn FnMut(&[u8]) -> Result<Digest, StoreError> + 'a;

/// Returns the verified payload of a chunk, `None` if there is none.
pub(in crate::store) type Fetch<'a> =
    dyn FnMut(&Digest) -> Result<Option<Vec<u8>>, StoreError> + 'a;

/// Packs `rows`, whose concatenation is the document, and stores the chunks.
pub(in crate::store) fn pack<'r>(
    rows: impl IntoIterator<Item = &'r [u8]>,
    put: &mut Put<'_>,
) -> Result<DocumentRef, StoreError> {
    let mut length = 0;
    let mut packer = Packer {
        chunk: vec![0],
        digests: Vec::new(),
        put,
    };
    for row in rows {
        length += row.len() as u64;
        packer.add(row)?;
    }
    if packer.chunk.len() > 1 || packer.digests.is_empty() {
        packer.cut()?;
    }
    let mut digests = packer.digests;
    let mut depth = 0;
    while digests.len() > 1 {
        depth += 1;
        digests = list(&digests, depth, put)?;
    }
    let digest = digests.first().copied().unwrap_or(Digest::ZERO);
    Ok(DocumentRef {
        digest,
        length,
        depth,
    })
}

/// Reads a document whole. Everything is checked: a wrong byte is an error, never a result.
pub(in crate::store) fn read(
    document: &DocumentRef,
    fetch: &mut Fetch<'_>,
) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    descend(
        &document.digest,
        document.depth,
        document,
        fetch,
        &mut bytes,
    )?;
    if bytes.len() as u64 != document.length {
        return Err(damaged(&document.digest, "the document has another length"));
    }
    Ok(bytes)
}

/// Calls `enter` with the digest and level of each chunk of the document that `seen` does not
/// hold yet; `enter` returns the children of a list (see [`children`]). What is below a chunk
/// seen before is skipped.
pub(in crate::store) fn visit(
    document: &DocumentRef,
    seen: &mut HashSet<Digest>,
    mut enter: impl FnMut(&Digest, u8) -> Result<Vec<Digest>, StoreError>,
) -> Result<(), StoreError> {
    let mut waiting = vec![(document.digest, document.depth)];
    while let Some((digest, level)) = waiting.pop() {
        if !seen.insert(digest) {
            continue;
        }
        let below = level.saturating_sub(1);
        waiting.extend(
            enter(&digest, level)?
                .into_iter()
                .rev()
                .map(|child| (child, below)),
        );
    }
    Ok(())
}

/// Checks every chunk of the document that `seen` does not hold yet.
pub(in crate::store) fn check(
    document: &DocumentRef,
    seen: &mut HashSet<Digest>,
    fetch: &mut Fetch<'_>,
) -> Result<(), StoreError> {
    visit(document, seen, |digest, level| {
        let payload = fetch(digest)?.ok_or_else(|| missing(digest))?;
        children(digest, level, &payload)
    })
}

/// Returns the digests in the list `payload`, none if it is data; fails unless it is of `level`.
pub(in crate::store) fn children(
    digest: &Digest,
    level: u8,
    payload: &[u8],
) -> Result<Vec<Digest>, StoreError> {
    match payload.split_first() {
        Some((&found, _)) if found != level || level > MAX_DEPTH => {
            Err(damaged(digest, "it has another level"))
        }
        Some((0, _)) => Ok(Vec::new()),
        Some((_, list)) if list.len().is_multiple_of(32) => Ok(list
            .as_chunks()
            .0
            .iter()
            .map(|bytes| Digest::from_bytes(*bytes))
            .collect()),
        _ => Err(damaged(digest, "it is cut short")),
    }
}

fn descend(
    digest: &Digest,
    level: u8,
    document: &DocumentRef,
    fetch: &mut Fetch<'_>,
    bytes: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let payload = fetch(digest)?.ok_or_else(|| missing(digest))?;
    let below = children(digest, level, &payload)?;
    if level == 0 {
        bytes.extend_from_slice(payload.get(1..).unwrap_or_default());
    }
    if bytes.len() as u64 > document.length {
        return Err(damaged(
            &document.digest,
            "the document is longer than it should be",
        ));
    }
    below
        .iter()
        .try_for_each(|child| descend(child, level - 1, document, fetch, bytes))
}

pub(in crate::store) fn missing(digest: &Digest) -> StoreError {
    damaged(digest, "it is missing")
}

fn damaged(digest: &Digest, why: &str) -> StoreError {
    StoreError::damaged(format!("chunk {digest}"), why)
}

/// Cuts rows into data chunks.
struct Packer<'p, 'f> {
    /// The level byte and the data so far.
    chunk: Vec<u8>,
    digests: Vec<Digest>,
    put: &'p mut Put<'f>,
}

impl Packer<'_, '_> {
    fn add(&mut self, row: &[u8]) -> Result<(), StoreError> {
        if self.chunk.len() + row.len() > MAX_PAYLOAD && self.chunk.len() > 1 {
            self.cut()?;
        }
        if row.len() > MAX_DATA {
            return self.add_long(row);
        }
        self.chunk.extend_from_slice(row);
        // The longer a row, the more likely it ends a chunk, whatever is before it.
        if self.chunk.len() > MIN_DATA && row_hash(row) % USUAL_DATA < row.len() as u64 {
            self.cut()?;
        }
        Ok(())
    }

    /// Adds a row longer than a chunk. It gets chunks of its own, so that a change of it does not
    /// move its neighbours. Text is cut between characters, so that the chunks of a text are text.
    fn add_long(&mut self, row: &[u8]) -> Result<(), StoreError> {
        let pieces = row.len().div_ceil(MAX_DATA - 3);
        let mut start = 0;
        for piece in 1..=pieces {
            let end = character_start(row, row.len() * piece / pieces);
            self.chunk
                .extend_from_slice(row.get(start..end).unwrap_or_default());
            self.cut()?;
            start = end;
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), StoreError> {
        self.digests.push((self.put)(&self.chunk)?);
        self.chunk.truncate(1);
        Ok(())
    }
}

/// Packs digests of level `level - 1` into lists of level `level`.
fn list(digests: &[Digest], level: u8, put: &mut Put<'_>) -> Result<Vec<Digest>, StoreError> {
    let mut lists = Vec::new();
    let mut payload = vec![level];
    for digest in digests {
        payload.extend_from_slice(digest.as_bytes());
        let count = payload.len() / 32;
        let last = digest
            .as_bytes()
            .last()
            .is_some_and(|byte| byte.is_multiple_of(64));
        if count >= MAX_CHILDREN || (count >= MIN_CHILDREN && last) {
            lists.push(put(&payload)?);
            payload.truncate(1);
        }
    }
    if payload.len() > 1 {
        lists.push(put(&payload)?);
    }
    Ok(lists)
}

/// Returns the start of the UTF-8 character at `at`, or `at` itself if this is no text.
fn character_start(row: &[u8], at: usize) -> usize {
    let starts = |at: &usize| row.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    (at.saturating_sub(3)..=at).rev().find(starts).unwrap_or(at)
}

/// Returns a fast hash that only decides where chunks end; the digests verify the content.
fn row_hash(row: &[u8]) -> u64 {
    let (words, rest) = row.as_chunks();
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let hash = words
        .iter()
        .fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter()
        .fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
        >> 32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use crate::store::log::envelope::Kind;

    use super::*;

    #[derive(Default)]
    struct Chunks(HashMap<Digest, Vec<u8>>);

    impl Chunks {
        fn pack(&mut self, rows: &[Vec<u8>]) -> DocumentRef {
            let put = &mut |payload: &[u8]| {
                assert!(payload.len() <= MAX_PAYLOAD);
                let digest = Kind::Chunk.digest(payload);
                self.0.insert(digest, payload.to_vec());
                Ok(digest)
            };
            pack(rows.iter().map(Vec::as_slice), put).unwrap()
        }

        fn read(&self, document: &DocumentRef) -> Result<Vec<u8>, StoreError> {
            read(document, &mut |digest| Ok(self.0.get(digest).cloned()))
        }
    }

    /// Returns rows of `length` digits, different for each seed.
    fn rows(count: usize, length: usize, seed: u64) -> Vec<Vec<u8>> {
        let mut state = seed;
        let mut digit = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            b'0' + (state >> 60) as u8 % 10
        };
        (0..count)
            .map(|_| (0..length).map(|_| digit()).collect())
            .collect()
    }

    #[test]
    fn changing_one_row_of_a_large_document_changes_few_chunks() {
        for length in [30, 700, 2_500, 12_000] {
            let mut rows = rows(6_000_000 / length, length, 1);
            let mut chunks = Chunks::default();
            chunks.pack(&rows);
            let before = chunks.0.len();
            let middle = rows.len() / 2;
            rows[middle].fill(b'x');
            rows[middle].extend(b"longer");
            chunks.pack(&rows);
            rows.remove(middle / 2);
            let document = chunks.pack(&rows);
            let new = chunks.0.len() - before;
            assert!(
                new <= 24,
                "{new} of {before} chunks changed with rows of {length} bytes"
            );
            assert_eq!(chunks.read(&document).unwrap(), rows.concat());
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut chunks = Chunks::default();
        let row = "é€𝄞x".repeat(3_000).into_bytes();
        let document = chunks.pack(std::slice::from_ref(&row));
        assert_eq!(chunks.read(&document).unwrap(), row);
        let texts = chunks.0.values().filter(|payload| payload[0] == 0);
        assert!(
            texts
                .into_iter()
                .all(|payload| str::from_utf8(&payload[1..]).is_ok())
        );
    }

    #[test]
    fn a_missing_chunk_or_a_wrong_reference_is_an_error() {
        let mut chunks = Chunks::default();
        let document = chunks.pack(&rows(2_000, 100, 1));
        let digests: Vec<_> = chunks.0.keys().copied().collect();
        for digest in &digests {
            let taken = chunks.0.remove(digest).unwrap();
            assert!(chunks.read(&document).is_err());
            chunks.0.insert(*digest, taken);
        }
        let longer = DocumentRef {
            length: document.length + 1,
            ..document
        };
        assert!(chunks.read(&longer).is_err());
        let deeper = DocumentRef {
            depth: 255,
            ..document
        };
        assert!(chunks.read(&deeper).is_err());
    }

    proptest! {
        #[test]
        fn rows_read_back_as_their_concatenation(
            rows in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..20_000), 0..20,
            ),
        ) {
            let mut chunks = Chunks::default();
            let document = chunks.pack(&rows);
            prop_assert_eq!(chunks.pack(&rows), document);
            prop_assert_eq!(document.length(), rows.concat().len() as u64);
            prop_assert_eq!(chunks.read(&document).unwrap(), rows.concat());
            let mut seen = HashSet::new();
            check(&document, &mut seen, &mut |digest| Ok(chunks.0.get(digest).cloned())).unwrap();
            prop_assert_eq!(seen.len(), chunks.0.len());
        }
    }
}
