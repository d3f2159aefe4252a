//! Bodies in memory, within a bound in bytes, whether they are being made, kept or sent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use lru::LruCache;

use crate::http::negotiate::Coding;
use crate::ident::{ResourceId, Tag};

/// Which body: the content of a resource in a coding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) id: ResourceId,
    pub(super) tag: Tag,
    pub(super) coding: Coding,
}

/// A body, in pieces that end where a row ends unless it is packed.
#[derive(Debug, Default)]
pub struct Chain {
    pieces: Vec<Bytes>,
    length: u64,
}

impl Chain {
    /// The pieces, in order.
    pub(in crate::http) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes of all pieces.
    pub(in crate::http) fn length(&self) -> u64 {
        self.length
    }
}

impl Chain {
    /// The body to send. As long as it is sent, its bytes are counted where it is kept.
    pub(in crate::http) fn send(self: Arc<Self>) -> Body {
        let pieces = (0..self.pieces.len())
            .map(move |place| Ok::<_, Infallible>(self.pieces[place].clone()));
        Body::from_stream(futures_util::stream::iter(pieces))
    }
}

/// Bodies that are kept, the one that was not used for the longest time given up first. A body
/// that is being sent is not given up: its bytes would be in memory, and not be counted.
#[derive(Debug)]
pub(super) struct Kept {
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The bytes of all bodies, those being made too.
    bytes: u64,
    bodies: LruCache<Key, Arc<Chain>>,
}

impl Kept {
    /// Keeps up to `most` bytes.
    pub(super) fn new(most: u64) -> Arc<Self> {
        let bodies = LruCache::unbounded();
        Arc::new(Self {
            most,
            state: Mutex::new(State { bytes: 0, bodies }),
        })
    }

    /// The bytes of all bodies now.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// A body, if it is kept.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Chain>> {
        self.lock().bodies.get(key).cloned()
    }

    /// A body that is to be made.
    pub(super) fn draft(self: &Arc<Self>) -> Draft {
        Draft {
            kept: self.clone(),
            chain: Chain::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes room for some bytes; whether it could.
    fn make_room(&mut self, bytes: u64, most: u64) -> bool {
        if bytes > most {
            return false;
        }
        while self.bytes + bytes > most {
            let unused = |(_, body): &(&Key, &Arc<Chain>)| Arc::strong_count(body) == 1;
            let Some((oldest, _)) = self.bodies.iter().rev().find(unused) else {
                return false;
            };
            let oldest = oldest.clone();
            if let Some(given_up) = self.bodies.pop(&oldest) {
                self.bytes -= given_up.length;
            }
        }
        self.bytes += bytes;
        true
    }
}

/// A body that is being made. Dropped, it leaves nothing.
pub(super) struct Draft {
    kept: Arc<Kept>,
    chain: Chain,
}

impl Draft {
    /// Adds a piece; whether there was room for it. Where there was none, the draft is of no use.
    pub(super) fn push(&mut self, piece: Bytes) -> bool {
        let length = piece.len() as u64;
        let fits = self.kept.lock().make_room(length, self.kept.most);
        if fits && length > 0 {
            self.chain.length += length;
            self.chain.pieces.push(piece);
        }
        fits
    }

    /// Keeps the body.
    pub(super) fn keep(mut self, key: Key) -> Arc<Chain> {
        let chain = Arc::new(std::mem::take(&mut self.chain));
        let mut state = self.kept.lock();
        if let Some(before) = state.bodies.put(key, chain.clone()) {
            state.bytes -= before.length;
        }
        chain
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.kept.lock().bytes -= self.chain.length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Digest;

    fn key(tag: &str) -> Key {
        Key {
            id: ResourceId::new("map").expect("an id"),
            tag: Digest::of(tag.as_bytes()).into(),
            coding: Coding::Gzip,
        }
    }

    fn add(kept: &Arc<Kept>, tag: &str, bytes: usize) -> Option<Arc<Chain>> {
        let mut draft = kept.draft();
        let fits = draft.push(Bytes::from(vec![b'x'; bytes]));
        fits.then(|| draft.keep(key(tag)))
    }

    #[test]
    fn a_body_of_any_length_within_the_bound_is_kept() {
        let kept = Kept::new(1000);
        assert!(add(&kept, "all of it", 1000).is_some());
        assert_eq!(kept.get(&key("all of it")).expect("kept").length(), 1000);
        assert!(add(&kept, "too long", 1001).is_none());
        assert_eq!(kept.bytes(), 1000, "what cannot be kept drives nothing out");
    }

    #[test]
    fn the_body_unused_for_the_longest_time_goes_first_and_none_that_is_sent() {
        let kept = Kept::new(1000);
        for tag in ["a", "b", "c"] {
            add(&kept, tag, 300);
        }
        let sent = kept.get(&key("a"));
        drop(kept.get(&key("b")));
        add(&kept, "d", 300);
        let here = |tag| kept.get(&key(tag)).is_some();
        assert!(!here("c") && here("a") && here("b") && here("d"));
        assert!(add(&kept, "e", 800).is_none(), "a is being sent");
        drop(sent);
        assert!(add(&kept, "f", 1000).is_some());
        assert_eq!(kept.bytes(), 1000);
    }

    #[test]
    fn a_draft_takes_room_and_gives_it_back() {
        let kept = Kept::new(1000);
        let mut draft = kept.draft();
        assert!(draft.push(Bytes::from(vec![b'x'; 600])));
        assert!(add(&kept, "a", 500).is_none());
        drop(draft);
        assert!(add(&kept, "a", 500).is_some());
        assert_eq!(kept.bytes(), 500);
        // The same content made twice counts once.
        assert!(add(&kept, "a", 500).is_some());
        assert_eq!(kept.bytes(), 500);
    }
}
