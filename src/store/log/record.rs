//! One committed revision, and its stored form.

use std::collections::BTreeMap;

use crate::ident::Digest;
use crate::store::StoreError;

use super::codec::{Decoder, Encoder, Malformed};
use super::envelope::Kind;
use super::table::{Moment, RowChange};
use super::tree::{self, DocumentRef, Fetch, Put};

const VERSION: u8 = 1;

/// Parts up to this size are in the record itself, larger ones in chunks, so that a record never
/// exceeds [`MAX_PAYLOAD`](super::envelope::MAX_PAYLOAD).
const MAX_INLINE: usize = 1024;

/// A committed revision. Its hash covers all of it and the hash of the revision before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The number of the revision; the first is 1.
    pub revision: u64,
    /// The hash of the revision before, [`Digest::ZERO`] for the first.
    pub previous: Digest,
    /// The hash of the revision.
    pub hash: Digest,
    /// The account of it, as the commit had it.
    pub body: Vec<u8>,
    /// All documents after the revision.
    pub documents: BTreeMap<String, DocumentRef>,
    /// How many times rows of side tables had changed without a revision before.
    pub(in crate::store) puts: u64,
    /// The changes of the side tables.
    pub(in crate::store) changes: Vec<RowChange>,
    /// The digest of all rows of the side tables after the revision.
    pub(in crate::store) tables: Digest,
}

impl Record {
    /// Returns the moment at which the revision set its rows.
    pub(in crate::store) fn moment(&self) -> Moment {
        Moment {
            revision: self.revision,
            puts: self.puts,
        }
    }

    /// Stores the parts that need chunks, sets the hash, and returns the payload of the record.
    pub(in crate::store) fn seal(&mut self, put: &mut Put<'_>) -> Result<Vec<u8>, StoreError> {
        let documents = self.documents.iter();
        let documents: Vec<_> = documents
            .map(|(name, document)| encode_document(name, document))
            .collect();
        let changes: Vec<_> = self.changes.iter().map(RowChange::encode).collect();
        let encoder = Encoder::default()
            .u8(VERSION)
            .u64(self.revision)
            .digest(&self.previous)
            .u64(self.puts);
        let encoder = Part::store(std::slice::from_ref(&self.body), put)?.encode(encoder);
        let encoder = Part::store(&documents, put)?.encode(encoder);
        let encoder = Part::store(&changes, put)?.encode(encoder);
        let payload = encoder.digest(&self.tables).finish();
        self.hash = Kind::Record.digest(&payload);
        Ok(payload)
    }

    /// Reads a record from its payload, and its larger parts from their chunks.
    pub(in crate::store) fn open(
        payload: &[u8],
        fetch: &mut Fetch<'_>,
    ) -> Result<Record, StoreError> {
        let stored = Stored::decode(payload)?;
        let part = |what, why: Malformed| {
            StoreError::damaged(
                format!("{what} of revision {}", stored.revision),
                why.to_string(),
            )
        };
        let body = stored.body.load(fetch)?;
        let documents = stored.documents.load(fetch)?;
        Ok(Record {
            revision: stored.revision,
            previous: stored.previous,
            puts: stored.puts,
            hash: Kind::Record.digest(payload),
            body,
            documents: decode_documents(&documents).map_err(|why| part("the documents", why))?,
            changes: stored.changes(fetch)?,
            tables: stored.tables,
        })
    }
}

/// A record as it is written.
pub(in crate::store) struct Stored {
    pub(in crate::store) revision: u64,
    pub(in crate::store) previous: Digest,
    puts: u64,
    body: Part,
    documents: Part,
    changes: Part,
    tables: Digest,
}

impl Stored {
    pub(in crate::store) fn decode(payload: &[u8]) -> Result<Stored, StoreError> {
        Stored::try_decode(payload).map_err(|why| StoreError::damaged("a record", why.to_string()))
    }

    fn try_decode(payload: &[u8]) -> Result<Stored, Malformed> {
        let mut decoder = Decoder::new(payload);
        if decoder.u8()? != VERSION {
            return Err(Malformed("it has another version"));
        }
        let stored = Stored {
            revision: decoder.revision()?,
            previous: decoder.digest()?,
            puts: decoder.u64()?,
            body: Part::decode(&mut decoder)?,
            documents: Part::decode(&mut decoder)?,
            changes: Part::decode(&mut decoder)?,
            tables: decoder.digest()?,
        };
        decoder.finish()?;
        Ok(stored)
    }

    /// Returns the moment at which the revision set its rows.
    pub(in crate::store) fn moment(&self) -> Moment {
        Moment {
            revision: self.revision,
            puts: self.puts,
        }
    }

    /// Returns the changes of the side tables.
    pub(in crate::store) fn changes(
        &self,
        fetch: &mut Fetch<'_>,
    ) -> Result<Vec<RowChange>, StoreError> {
        RowChange::decode_all(&self.changes.load(fetch)?).map_err(|why| {
            let what = format!("the changes of revision {}", self.revision);
            StoreError::damaged(what, why.to_string())
        })
    }

    /// Returns the documents after the revision, without their names.
    pub(in crate::store) fn documents(
        &self,
        fetch: &mut Fetch<'_>,
    ) -> Result<Vec<DocumentRef>, StoreError> {
        let bytes = self.documents.load(fetch)?;
        let mut decoder = Decoder::new(&bytes);
        let mut documents = Vec::new();
        while !decoder.is_empty() {
            let reference = decoder.bytes().and_then(|_| decode_reference(&mut decoder));
            documents.push(reference.map_err(|why| {
                let what = format!("the documents of revision {}", self.revision);
                StoreError::damaged(what, why.to_string())
            })?);
        }
        Ok(documents)
    }

    /// Returns the trees that hold the larger parts of the record itself.
    pub(in crate::store) fn trees(&self) -> impl Iterator<Item = DocumentRef> {
        [&self.body, &self.documents, &self.changes]
            .into_iter()
            .filter_map(Part::tree)
    }
}

/// A byte string in place, or in chunks if it is large.
enum Part {
    Inline(Vec<u8>),
    Tree(DocumentRef),
}

impl Part {
    /// Stores the concatenation of `rows`.
    fn store(rows: &[Vec<u8>], put: &mut Put<'_>) -> Result<Part, StoreError> {
        if rows.iter().map(Vec::len).sum::<usize>() <= MAX_INLINE {
            return Ok(Part::Inline(rows.concat()));
        }
        tree::pack(rows.iter().map(Vec::as_slice), put).map(Part::Tree)
    }

    fn load(&self, fetch: &mut Fetch<'_>) -> Result<Vec<u8>, StoreError> {
        match self {
            Part::Inline(bytes) => Ok(bytes.clone()),
            Part::Tree(document) => tree::read(document, fetch),
        }
    }

    fn tree(&self) -> Option<DocumentRef> {
        match self {
            Part::Inline(_) => None,
            Part::Tree(document) => Some(*document),
        }
    }

    fn encode(&self, encoder: Encoder) -> Encoder {
        match self {
            Part::Inline(bytes) => encoder.u8(0).bytes(bytes),
            Part::Tree(document) => encode_reference(encoder.u8(1), document),
        }
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Part, Malformed> {
        match decoder.u8()? {
            0 => Ok(Part::Inline(decoder.bytes()?.to_vec())),
            1 => Ok(Part::Tree(decode_reference(decoder)?)),
            _ => Err(Malformed("a part has an unknown form")),
        }
    }
}

fn encode_document(name: &str, document: &DocumentRef) -> Vec<u8> {
    encode_reference(Encoder::default().bytes(name.as_bytes()), document).finish()
}

fn decode_documents(bytes: &[u8]) -> Result<BTreeMap<String, DocumentRef>, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let mut documents = BTreeMap::new();
    while !decoder.is_empty() {
        documents.insert(decoder.text()?, decode_reference(&mut decoder)?);
    }
    Ok(documents)
}

fn encode_reference(encoder: Encoder, document: &DocumentRef) -> Encoder {
    encoder
        .digest(&document.digest)
        .u64(document.length)
        .u8(document.depth)
}

fn decode_reference(decoder: &mut Decoder<'_>) -> Result<DocumentRef, Malformed> {
    Ok(DocumentRef {
        digest: decoder.digest()?,
        length: decoder.u64()?,
        depth: decoder.u8()?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use crate::store::log::envelope::MAX_PAYLOAD;

    use super::*;

    fn record(body: usize, documents: u32, changes: u32) -> Record {
        let reference = |n: u32| DocumentRef {
            digest: Digest::of_parts(&[&n.to_be_bytes()]),
            length: n.into(),
            depth: 1,
        };
        Record {
            revision: 7,
            previous: Digest::of_parts(&[b"previous"]),
            hash: Digest::ZERO,
            puts: 3,
            body: vec![b'b'; body],
            documents: (0..documents)
                .map(|n| (format!("document-{n}"), reference(n)))
                .collect(),
            changes: (0..changes)
                .map(|n| RowChange {
                    table: "table".into(),
                    key: n.to_be_bytes().to_vec(),
                    value: n.is_multiple_of(2).then(|| vec![1; 100]),
                })
                .collect(),
            tables: Digest::of_parts(&[b"tables"]),
        }
    }

    #[test]
    fn a_record_reads_back_whether_its_parts_are_small_or_large() {
        for (body, documents, changes) in [(0, 0, 0), (500, 3, 2), (50_000, 1_000, 500)] {
            let mut chunks = HashMap::new();
            let mut record = record(body, documents, changes);
            let payload = record
                .seal(&mut |payload| {
                    let digest = Kind::Chunk.digest(payload);
                    chunks.insert(digest, payload.to_vec());
                    Ok(digest)
                })
                .unwrap();
            assert!(payload.len() <= MAX_PAYLOAD);
            let opened = Record::open(&payload, &mut |digest| Ok(chunks.get(digest).cloned()));
            assert_eq!(opened.unwrap(), record);
            let trees = Stored::decode(&payload).unwrap().trees().count();
            assert_eq!(trees, if chunks.is_empty() { 0 } else { 3 });
        }
    }

    #[test]
    fn the_hash_covers_every_member() {
        let hash = |change: fn(&mut Record)| {
            let mut record = record(10, 2, 2);
            change(&mut record);
            record
                .seal(&mut |payload| Ok(Kind::Chunk.digest(payload)))
                .unwrap();
            record.hash
        };
        let original = hash(|_| {});
        let changes: [fn(&mut Record); 7] = [
            |r| r.puts += 1,
            |r| r.revision += 1,
            |r| r.previous = Digest::ZERO,
            |r| r.body.push(0),
            |r| r.documents.clear(),
            |r| r.changes.clear(),
            |r| r.tables = Digest::ZERO,
        ];
        changes
            .into_iter()
            .for_each(|change| assert_ne!(hash(change), original));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(
            garbage in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut with_version = vec![VERSION];
            with_version.extend(&garbage);
            for bytes in [garbage, with_version] {
                let _ = Record::open(&bytes, &mut |_| Ok(None));
                let _ = Stored::decode(&bytes).map(|stored| stored.trees().count());
            }
        }

        #[test]
        fn a_mutated_record_never_panics_and_never_passes_for_the_original(
            at in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
            cut in any::<prop::sample::Index>(),
        ) {
            let mut record = record(30, 5, 4);
            let mut payload = record.seal(&mut |p| Ok(Kind::Chunk.digest(p))).unwrap();
            let short = payload[..cut.index(payload.len())].to_vec();
            prop_assert!(Record::open(&short, &mut |_| Ok(None)).is_err());
            let at = at.index(payload.len());
            payload[at] ^= flip;
            if let Ok(opened) = Record::open(&payload, &mut |_| Ok(None)) {
                prop_assert_ne!(opened.hash, record.hash);
            }
        }
    }
}
