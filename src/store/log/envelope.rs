//! The frame around every value in the database.
//!
//! `mark (8) | kind (1) | length (4) | check (8) | payload`. The mark is random, one per store,
//! and never leaves it. So the values of a damaged database can be found by searching its raw
//! bytes for the mark, and nobody can plant a false record there inside a document. The check is
//! the beginning of the value's digest.

use aws_lc_rs::rand;

use crate::ident::{Digest, from_hex, to_hex};
use crate::store::StoreError;

/// The bytes a frame adds to its payload.
pub(in crate::store) const OVERHEAD: usize = 8 + 1 + 4 + 8;

/// The largest payload. A leaf of sled's tree holds at most 17 values, 20 after a merge, and
/// sled writes a leaf over 128 KiB to a file of its own, which it neither syncs nor always
/// deletes. Values of this size keep every leaf below that.
pub(in crate::store) const MAX_PAYLOAD: usize = 6 * 1024;

/// What a payload is. The kind is a part of the digest, so that no value passes for one of
/// another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Chunk = 1,
    Record = 2,
    Row = 3,
    Checkpoint = 4,
    Pending = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [
            Kind::Chunk,
            Kind::Record,
            Kind::Row,
            Kind::Checkpoint,
            Kind::Pending,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    /// Returns the digest of a payload of this kind.
    pub(in crate::store) fn digest(self, payload: &[u8]) -> Digest {
        Digest::of_parts(&[&[self as u8], payload])
    }
}

/// The random bytes with which every frame of a store begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Mark([u8; 8]);

/// A frame that was read and whose check holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Opened<'a> {
    pub(in crate::store) kind: Kind,
    pub(in crate::store) digest: Digest,
    pub(in crate::store) payload: &'a [u8],
}

impl Mark {
    pub(in crate::store) fn random() -> Result<Mark, StoreError> {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes)
            .map_err(|_| StoreError::Fatal("the system has no random bytes".into()))?;
        Ok(Mark(bytes))
    }

    pub(in crate::store) fn to_hex(self) -> String {
        to_hex(&self.0)
    }

    pub(in crate::store) fn from_hex(text: &str) -> Option<Mark> {
        from_hex(text)?.try_into().ok().map(Mark)
    }

    /// Frames a payload whose digest is known.
    pub(in crate::store) fn seal(&self, kind: Kind, digest: &Digest, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(OVERHEAD + payload.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(kind as u8);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(check(digest));
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Reads the frame at the front of `bytes`; `None` unless it is whole and its check holds.
    pub(in crate::store) fn open<'a>(&self, bytes: &'a [u8]) -> Option<Opened<'a>> {
        let rest = bytes.strip_prefix(&self.0)?;
        let (&kind, rest) = rest.split_first()?;
        let kind = Kind::from_byte(kind)?;
        let (length, rest) = rest.split_first_chunk()?;
        let (expected, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if length > MAX_PAYLOAD {
            return None;
        }
        let payload = rest.get(..length)?;
        let digest = kind.digest(payload);
        (check(&digest) == expected).then_some(Opened {
            kind,
            digest,
            payload,
        })
    }

    /// Returns where the mark begins next in `bytes`.
    pub(in crate::store) fn find(&self, bytes: &[u8]) -> Option<usize> {
        bytes
            .windows(self.0.len())
            .position(|window| window == self.0)
    }
}

fn check(digest: &Digest) -> &[u8] {
    digest
        .as_bytes()
        .first_chunk::<8>()
        .map_or(&[], |front| front)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(mark: Mark, kind: Kind, payload: &[u8]) -> Vec<u8> {
        mark.seal(kind, &kind.digest(payload), payload)
    }

    #[test]
    fn a_frame_reads_back_and_knows_its_store() {
        let (mark, other) = (Mark(*b"01234567"), Mark(*b"76543210"));
        let bytes = frame(mark, Kind::Row, b"payload");
        assert_eq!(bytes.len(), OVERHEAD + 7);
        let opened = mark.open(&bytes).map(|o| (o.kind, o.payload));
        assert_eq!(opened, Some((Kind::Row, &b"payload"[..])));
        assert_eq!(other.open(&bytes), None);
        assert_eq!(Mark::from_hex(&mark.to_hex()), Some(mark));
    }

    #[test]
    fn the_same_payload_of_another_kind_has_another_digest() {
        assert_ne!(Kind::Row.digest(b"x"), Kind::Record.digest(b"x"));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            let mark = Mark(*b"01234567");
            let mut bytes = frame(mark, Kind::Chunk, &payload);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(mark.open(&bytes), None);
        }

        #[test]
        fn garbage_never_opens_and_never_panics(
            garbage in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mark = Mark(*b"01234567");
            prop_assert_eq!(mark.open(&garbage), None);
            let marked = [&b"01234567"[..], &garbage].concat();
            prop_assert_eq!(mark.open(&marked), None);
        }
    }
}
