//! The values that a store keeps about itself.

use std::path::Path;

use crate::ident::Digest;
use crate::store::StoreError;

use super::codec::{Decoder, Encoder, Malformed};
use super::envelope::Mark;
use super::table::{Moment, RowChange};

/// The major number of the format that this build reads and writes.
pub(in crate::store) const FORMAT: u32 = 1;

/// What a store is, the value of `meta/format`: the text `format release mark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    /// The release that wrote the store.
    pub(in crate::store) release: String,
    pub(in crate::store) mark: Mark,
}

impl Identity {
    pub(in crate::store) fn new(mark: Mark) -> Identity {
        Identity {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            mark,
        }
    }

    pub(in crate::store) fn encode(&self) -> String {
        format!("{FORMAT} {} {}", self.release, self.mark.to_hex())
    }

    /// Reads the identity of the store in `directory`. Every format keeps the first two words, so
    /// that an older release can name the one that is needed. A format older than [`FORMAT`] will
    /// be migrated here, by export and import into a new directory; there is none yet.
    pub(in crate::store) fn decode(text: &[u8], directory: &Path) -> Result<Identity, StoreError> {
        let unreadable = || StoreError::damaged("the store's format", "it cannot be read");
        let text = str::from_utf8(text).map_err(|_| unreadable())?;
        let mut words = text.split(' ');
        let format: u32 = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(unreadable)?;
        let release = words.next().ok_or_else(unreadable)?.to_owned();
        if format > FORMAT {
            let directory = directory.to_owned();
            return Err(StoreError::NewerFormat {
                directory,
                found: format,
                known: FORMAT,
                release,
            });
        }
        let mark = words.next().and_then(Mark::from_hex);
        match (format, mark) {
            (FORMAT, Some(mark)) => Ok(Identity { release, mark }),
            _ => Err(unreadable()),
        }
    }
}

/// The last revision that was pruned, where the chain of hashes begins: `meta/checkpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Checkpoint {
    pub(in crate::store) revision: u64,
    pub(in crate::store) hash: Digest,
}

impl Checkpoint {
    pub(in crate::store) const START: Checkpoint = Checkpoint {
        revision: 0,
        hash: Digest::ZERO,
    };

    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        Encoder::default()
            .u64(self.revision)
            .digest(&self.hash)
            .finish()
    }

    pub(in crate::store) fn decode(payload: &[u8]) -> Result<Checkpoint, Malformed> {
        let mut decoder = Decoder::new(payload);
        let checkpoint = Checkpoint {
            revision: decoder.revision()?,
            hash: decoder.digest()?,
        };
        decoder.finish()?;
        Ok(checkpoint)
    }
}

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Position {
    /// The newest revision, 0 if there is none.
    pub(in crate::store) revision: u64,
    /// Its hash.
    pub(in crate::store) hash: Digest,
    /// How many times rows of side tables changed without a revision.
    pub(in crate::store) puts: u64,
    /// The digest of all rows.
    pub(in crate::store) tables: Digest,
}

impl Position {
    pub(in crate::store) fn moment(&self) -> Moment {
        Moment {
            revision: self.revision,
            puts: self.puts,
        }
    }

    fn encode(&self, encoder: Encoder) -> Encoder {
        let encoder = encoder.u64(self.revision).digest(&self.hash);
        encoder.u64(self.puts).digest(&self.tables)
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Position, Malformed> {
        Ok(Position {
            revision: decoder.revision()?,
            hash: decoder.digest()?,
            puts: decoder.u64()?,
            tables: decoder.digest()?,
        })
    }
}

/// The newest changes of side tables made without a revision: `meta/pending`.
///
/// The rows of a group of changes are written one by one, after the records or the value that
/// state the changes. If a crash comes between, the next start makes the changes again in their
/// order: those of the records after `applied` up to the one that these changes came after, then
/// these, then those of the later records.
pub(in crate::store) struct Pending {
    /// The position of the store after the changes.
    pub(in crate::store) position: Position,
    /// All changes up to this revision were durable in the rows when this was written.
    pub(in crate::store) applied: u64,
    pub(in crate::store) changes: Vec<RowChange>,
}

impl Pending {
    /// Returns the value without changes: all rows are durable.
    pub(in crate::store) fn none(position: Position) -> Pending {
        Pending {
            position,
            applied: position.revision,
            changes: Vec::new(),
        }
    }

    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let changes: Vec<_> = self.changes.iter().flat_map(RowChange::encode).collect();
        let encoder = self.position.encode(Encoder::default());
        encoder.u64(self.applied).bytes(&changes).finish()
    }

    pub(in crate::store) fn decode(payload: &[u8]) -> Result<Pending, Malformed> {
        let mut decoder = Decoder::new(payload);
        let pending = Pending {
            position: Position::decode(&mut decoder)?,
            applied: decoder.revision()?,
            changes: RowChange::decode_all(decoder.bytes()?)?,
        };
        decoder.finish()?;
        Ok(pending)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_newer_format_is_refused_with_the_release_that_is_needed() {
        let error = Identity::decode(b"2 9.1.0 whatever else", Path::new("data")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(
            error,
            StoreError::NewerFormat {
                found: 2,
                known: 1,
                ..
            }
        ));
        assert!(text.contains("start altofed 9.1.0 or newer"), "{text}");
    }

    #[test]
    fn an_identity_reads_back() {
        let identity = Identity::new(Mark::random().unwrap());
        let text = identity.encode();
        assert_eq!(
            Identity::decode(text.as_bytes(), Path::new("data")).unwrap(),
            identity
        );
        for wrong in ["", "1", "1 0.1.0", "1 0.1.0 xx", "x 0.1.0 0011223344556677"] {
            assert!(
                Identity::decode(wrong.as_bytes(), Path::new("data")).is_err(),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(
            garbage in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = Identity::decode(&garbage, Path::new("data"));
            let _ = Checkpoint::decode(&garbage);
            let _ = Pending::decode(&garbage);
        }
    }
}
