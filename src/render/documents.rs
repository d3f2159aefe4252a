//! Documents that are sent as they were stated, and read or written piece by piece meanwhile.
//!
//! Each piece is one turn on separate threads, so that neither answers nor compilation wait for
//! them. The next piece is begun when the client has taken the one before.

use std::io;

use axum::body::Body;
use bytes::Bytes;

use crate::ident::{Digest, Sha256};
use crate::runtime::{Pool, PoolError, Turns};

use super::caller::Caller;
use super::coding::Coding;
use super::flight::Room;
use super::packing::{Effort, PIECE, Packing, beside};

/// About how many bytes are hashed in one turn: some milliseconds.
const DIGESTED: usize = 1024 * 1024;

/// The pieces that a document is read or written in.
pub trait Pieces: Iterator<Item = io::Result<Bytes>> + Send + 'static {}

impl<P: Iterator<Item = io::Result<Bytes>> + Send + 'static> Pieces for P {}

/// Sends documents; their readers take turns.
#[derive(Debug, Clone)]
pub struct Documents(std::sync::Arc<Turns<Caller>>);

/// Why a document was not read or written to its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A defect of the program.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// It cannot be read from the disk.
    #[error("a document cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Returns the bytes that a body takes while it is packed and sent, besides those that its
/// pieces hold: one piece as it is, one packed piece, and the encoder.
pub fn taken(coding: Coding) -> u64 {
    beside(coding, Effort::Each)
}

impl Documents {
    /// Sends documents from the threads of a pool.
    pub fn new(pool: Pool) -> Self {
        Self(std::sync::Arc::new(Turns::new(pool)))
    }

    /// Does `work` for a document when it is the caller's turn.
    ///
    /// # Errors
    /// The work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.0.run(caller, work).await
    }

    /// Computes the digest of a document, in as many turns as needed. Returns the exhausted
    /// pieces with it.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn digest<P: Pieces>(
        &self,
        caller: &Caller,
        mut pieces: P,
    ) -> Result<(Digest, P), Broken> {
        let mut hasher = Sha256::new();
        loop {
            let turn = move || -> io::Result<_> {
                let mut read = 0;
                while read < DIGESTED {
                    let Some(piece) = pieces.next() else {
                        return Ok((pieces, hasher, false));
                    };
                    let piece = piece?;
                    read += piece.len();
                    hasher.update(&piece);
                }
                Ok((pieces, hasher, true))
            };
            let more;
            (pieces, hasher, more) = self.run(caller, turn).await??;
            if !more {
                return Ok((hasher.finish(), pieces));
            }
        }
    }

    /// Returns the body of a document, which is packed while it is sent; a short one is sent
    /// whole. `room` is what it takes, and is given back when the client has taken it all, or is
    /// gone.
    ///
    /// # Errors
    /// The first piece could not be read.
    pub async fn send<P: Pieces>(
        &self,
        caller: Caller,
        pieces: P,
        coding: Coding,
        room: Room,
    ) -> Result<Body, Broken> {
        let sending = Sending {
            documents: self.clone(),
            caller,
            rest: Some((pieces, Packing::new(coding, Effort::Each))),
        };
        let Some((first, sending)) = sending.next().await? else {
            return Ok(Body::empty());
        };
        if sending.rest.is_none() {
            return Ok(room.turned_out(first.len() as u64).hold(first.into()));
        }
        let pieces = futures_util::stream::try_unfold(
            (Some(first), sending),
            async |(first, sending): (Option<Bytes>, Sending<P>)| match first {
                Some(first) => Ok(Some((first, (None, sending)))),
                None => {
                    let next = sending.next().await?;
                    Ok::<_, Broken>(next.map(|(piece, sending)| (piece, (None, sending))))
                }
            },
        );
        Ok(room.hold(Body::from_stream(pieces)))
    }
}

/// A document that is being sent.
struct Sending<P> {
    documents: Documents,
    caller: Caller,
    /// None once its end is written.
    rest: Option<(P, Packing)>,
}

impl<P: Pieces> Sending<P> {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Broken> {
        while let Some((pieces, packing)) = self.rest.take() {
            let turn = move || write_piece(pieces, packing);
            let (piece, rest) = self.documents.run(&self.caller, turn).await??;
            self.rest = rest;
            if !piece.is_empty() {
                return Ok(Some((piece, self)));
            }
        }
        Ok(None)
    }
}

/// Reads until a piece is complete, and packs it. The last piece includes the end of the coding.
fn write_piece<P: Pieces>(
    mut pieces: P,
    mut packing: Packing,
) -> io::Result<(Bytes, Option<(P, Packing)>)> {
    let mut text = Vec::with_capacity(PIECE + PIECE / 8);
    while text.len() < PIECE {
        let Some(piece) = pieces.next() else {
            let packed = packing.pack(&text.into());
            return Ok(([packed, packing.finish()].concat().into(), None));
        };
        text.extend_from_slice(&piece?);
    }
    let packed = packing.pack(&text.into());
    Ok((packed, Some((pieces, packing))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt;

    use super::*;
    use crate::render::testing::room;

    fn documents() -> Documents {
        Documents::new(Pool::new(1).expect("a thread"))
    }

    /// Makes pieces of a kibibyte, and a count of how many were read.
    fn pieces(count: usize) -> (impl Pieces, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let piece = move |n: usize| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(vec![n as u8; 1024].into())
        };
        ((0..count).map(piece), asked)
    }

    #[tokio::test]
    async fn a_document_is_read_as_it_is_taken_and_no_further_than_its_reader() {
        let (pieces, asked) = pieces(1000);
        let documents = documents();
        let sent = documents.send(Caller::Node, pieces, Coding::Identity, room());
        let mut body = sent.await.expect("begun");
        assert_eq!(asked.load(Ordering::Relaxed), 64, "one turn");
        let first = body.frame().await.expect("a frame").expect("sound");
        assert_eq!(first.into_data().expect("data").len(), PIECE);
        assert_eq!(asked.load(Ordering::Relaxed), 64);
        let rest = body.collect().await.expect("sound").to_bytes();
        assert_eq!(rest.len(), 1000 * 1024 - PIECE);
        assert_eq!(asked.load(Ordering::Relaxed), 1000);
    }

    #[tokio::test]
    async fn a_packed_document_is_the_document() {
        for count in [0, 3, 1000] {
            let documents = documents();
            let (plain, _) = pieces(count);
            let whole: Vec<Bytes> = plain.map(|piece| piece.expect("sound")).collect();
            let (given, _) = pieces(count);
            let sent = documents.send(Caller::Node, given, Coding::Zstd, room());
            let packed = sent.await.expect("begun").collect().await.expect("sound");
            let unpacked = zstd::decode_all(&packed.to_bytes()[..]).expect("a frame");
            assert_eq!(unpacked, whole.concat(), "{count}");
            let (given, _) = pieces(count);
            let digest = documents
                .digest(&Caller::Node, given)
                .await
                .expect("read")
                .0;
            assert_eq!(digest, Digest::of(&whole.concat()));
        }
    }

    #[tokio::test]
    async fn readers_take_turns_by_the_piece() {
        let documents = documents();
        let order = Arc::new(std::sync::Mutex::new(String::new()));
        let pieces = |name: char| {
            let order = order.clone();
            (0..3).map(move |_| {
                order.lock().expect("no panic").push(name);
                Ok(vec![b'x'; PIECE].into())
            })
        };
        let name = |name: &str| Caller::Principal(name.into());
        let a = documents.send(name("a"), pieces('a'), Coding::Identity, room());
        let b = documents.send(name("b"), pieces('b'), Coding::Identity, room());
        let (a, b) = tokio::join!(a, b);
        let taken = tokio::join!(a.expect("begun").collect(), b.expect("begun").collect());
        assert!(taken.0.is_ok() && taken.1.is_ok());
        let order = order.lock().expect("no panic").clone();
        assert!(!order.contains("aaa") && !order.contains("bbb"), "{order}");
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_is_not_begun() {
        let broken = std::iter::once_with(|| Err(io::Error::other("gone")));
        let documents = documents();
        let sent = documents.send(Caller::Node, broken, Coding::Identity, room());
        assert!(matches!(sent.await, Err(Broken::Io(_))));
    }
}
