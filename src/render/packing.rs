//! Applies content codings piece by piece.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::coding::Coding;

/// About how many bytes a piece of an answer has before it is packed.
pub(super) const PIECE: usize = 64 * 1024;

/// The most that an answer to a query takes besides its [`Work::memory`](crate::publish::Work).
pub const BESIDE: u64 = beside(Coding::Zstd, Effort::Each);

/// Returns what an answer that is packed while it is sent takes besides its
/// [`Work::memory`](crate::publish::Work): a piece as it is written, a packed piece, and the
/// encoder.
pub const fn beside(coding: Coding, effort: Effort) -> u64 {
    2 * PIECE as u64 + Packing::memory(coding, effort)
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For a body that is sent many times.
    Once,
    /// For a long body that is sent many times.
    Long,
    /// For a body that is sent once.
    Each,
}

impl Effort {
    /// Returns the level, for gzip and for zstd.
    const fn level(self) -> u8 {
        match self {
            Effort::Once => 6,
            Effort::Long => 3,
            Effort::Each => 1,
        }
    }
}

/// A body that is packed while it is written.
pub(super) enum Packing {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packing {
    /// Returns about how many bytes of memory it takes to pack a body. For zstd: two windows,
    /// two blocks, and the tables of its level.
    pub const fn memory(coding: Coding, effort: Effort) -> u64 {
        const KIB: u64 = 1024;
        match (coding, effort) {
            (Coding::Identity, _) => 0,
            (Coding::Gzip, _) => 300 * KIB,
            (Coding::Zstd, Effort::Each) => 1536 * KIB,
            (Coding::Zstd, Effort::Long) => 5 * 1024 * KIB,
            (Coding::Zstd, Effort::Once) => 7 * 1024 * KIB + 512 * KIB,
        }
    }

    /// Begins a body.
    pub fn new(coding: Coding, effort: Effort) -> Self {
        match coding {
            Coding::Identity => Packing::Identity,
            Coding::Gzip => {
                let level = flate2::Compression::new(effort.level().into());
                Packing::Gzip(GzEncoder::new(Vec::new(), level))
            }
            Coding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), effort.level().into());
                Packing::Zstd(encoder.expect("the levels are zstd's"))
            }
        }
    }

    /// Packs a piece. Returns the bytes that are complete by now, which may be none.
    pub fn pack(&mut self, piece: &Bytes) -> Bytes {
        let packed = match self {
            Packing::Identity => return piece.clone(),
            Packing::Gzip(encoder) => {
                let written = encoder.write_all(piece);
                written.map(|()| std::mem::take(encoder.get_mut()))
            }
            Packing::Zstd(encoder) => {
                let written = encoder.write_all(piece);
                written.map(|()| std::mem::take(encoder.get_mut()))
            }
        };
        packed.expect(TO_MEMORY).into()
    }

    /// Returns the end of the body.
    pub fn finish(self) -> Bytes {
        let end = match self {
            Packing::Identity => Ok(Vec::new()),
            Packing::Gzip(encoder) => encoder.finish(),
            Packing::Zstd(encoder) => encoder.finish(),
        };
        end.expect(TO_MEMORY).into()
    }
}

const TO_MEMORY: &str = "neither encoder fails when it writes to memory";

/// Packs a whole body.
pub fn compress(body: &Bytes, coding: Coding, effort: Effort) -> Bytes {
    if coding == Coding::Identity {
        return body.clone();
    }
    let mut packing = Packing::new(coding, effort);
    let packed = packing.pack(body);
    [packed, packing.finish()].concat().into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_packed_in_pieces_is_unpacked_as_one_body() {
        let body: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let mut packing = Packing::new(coding, Effort::Each);
            let pieces = body.chunks(70_000).map(Bytes::copy_from_slice);
            let mut packed: Vec<Bytes> = pieces.map(|piece| packing.pack(&piece)).collect();
            packed.push(packing.finish());
            let packed = packed.concat();
            let mut plain = Vec::new();
            match coding {
                Coding::Identity => plain = packed,
                Coding::Gzip => {
                    let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
                    decoder.read_to_end(&mut plain).expect("one member");
                }
                Coding::Zstd => plain = zstd::decode_all(&packed[..]).expect("one frame"),
            }
            assert_eq!(plain, body, "{coding:?}");
        }
    }
}
