//! Bodies in memory, within a limit in bytes that counts those being made, kept and sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use lru::LruCache;

use crate::ident::{ResourceId, Tag};
use crate::render::coding::Coding;
use crate::runtime::lock;

/// The key of a body: the content of a resource in a coding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) id: ResourceId,
    pub(super) tag: Tag,
    pub(super) coding: Coding,
}

/// A body in pieces. Unless it is packed, each piece ends where a row ends.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pieces: Vec<Bytes>,
    length: u64,
}

impl Chain {
    /// Returns the pieces, in order.
    pub(super) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }
}

/// Bodies that are kept. The least recently used one is given up first, even if it is being
/// sent. A client that takes a piece of a body uses it, so that the body with the slowest
/// readers goes first.
#[derive(Debug)]
pub(super) struct Kept {
    most: u64,
    state: Mutex<State>,
    /// How many answers were cut off since the start because their body was given up.
    cut: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// The bytes of all bodies, including those being made.
    bytes: u64,
    bodies: LruCache<Key, Arc<Chain>>,
}

impl Kept {
    /// Creates a store of at most `most` bytes.
    pub(super) fn new(most: u64) -> Arc<Self> {
        let bodies = LruCache::unbounded();
        Arc::new(Self {
            most,
            state: Mutex::new(State { bytes: 0, bodies }),
            cut: AtomicU64::new(0),
        })
    }

    /// Returns the bytes of all bodies now.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Returns how many answers were cut off since the start.
    pub(super) fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Whether a body of `length` bytes may be kept.
    pub(super) fn takes(&self, length: u64) -> bool {
        length <= self.most
    }

    /// Returns a body, if it is kept.
    pub(super) fn get(self: &Arc<Self>, key: &Key) -> Option<KeptBody> {
        let chain = self.lock().bodies.get(key).cloned();
        chain.map(|chain| self.body(key.clone(), &chain))
    }

    /// Begins a body.
    pub(super) fn draft(self: &Arc<Self>) -> Draft {
        Draft {
            kept: self.clone(),
            chain: Chain::default(),
        }
    }

    fn body(self: &Arc<Self>, key: Key, chain: &Arc<Chain>) -> KeptBody {
        KeptBody {
            kept: self.clone(),
            key,
            length: chain.length,
            chain: Arc::downgrade(chain),
            next: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Makes room for some bytes; returns whether that was possible.
    fn make_room(&mut self, bytes: u64, most: u64) -> bool {
        if bytes > most {
            return false;
        }
        while self.bytes + bytes > most {
            let Some((_, given_up)) = self.bodies.pop_lru() else {
                return false;
            };
            self.bytes -= given_up.length;
        }
        self.bytes += bytes;
        true
    }
}

/// A kept body that is being sent, from its start. It does not keep the body in memory.
#[derive(Debug, Clone)]
pub struct KeptBody {
    kept: Arc<Kept>,
    key: Key,
    length: u64,
    chain: Weak<Chain>,
    next: usize,
}

/// The body was given up while it was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "other bodies needed the memory of this one, which had been unread for the longest time \
     (publish.cache_bytes); ask again"
)]
pub struct GivenUp;

impl KeptBody {
    /// Returns its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the next piece; none at the end.
    ///
    /// # Errors
    /// It was given up.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, GivenUp> {
        let Some(chain) = self.chain.upgrade() else {
            self.kept.cut.fetch_add(1, Ordering::Relaxed);
            return Err(GivenUp);
        };
        // Marks it as used just now.
        self.kept.lock().bodies.promote(&self.key);
        let piece = chain.pieces.get(self.next).cloned();
        self.next += 1;
        Ok(piece)
    }

    /// Returns the content of the body, if it is still kept, to pack it in another coding.
    pub(super) fn chain(&self) -> Option<Arc<Chain>> {
        self.chain.upgrade()
    }

    /// Turns it into the body of a response.
    pub fn send(self) -> axum::body::Body {
        let pieces = futures_util::stream::try_unfold(self, async |mut body| {
            Ok::<_, GivenUp>(body.next_piece()?.map(|piece| (piece, body)))
        });
        axum::body::Body::from_stream(pieces)
    }
}

/// A body that is being made. If it is dropped, its room is given back.
pub(super) struct Draft {
    kept: Arc<Kept>,
    chain: Chain,
}

impl Draft {
    /// Adds a piece; returns whether there was room for it. If there was none, the draft is of
    /// no use.
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
    pub(super) fn keep(mut self, key: Key) -> KeptBody {
        let chain = Arc::new(std::mem::take(&mut self.chain));
        let mut state = self.kept.lock();
        if let Some(before) = state.bodies.put(key.clone(), chain.clone()) {
            state.bytes -= before.length;
        }
        drop(state);
        self.kept.body(key, &chain)
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

    fn add(kept: &Arc<Kept>, tag: &str, bytes: usize) -> Option<KeptBody> {
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
    fn the_body_unused_for_the_longest_time_goes_first() {
        let kept = Kept::new(1000);
        for tag in ["a", "b", "c"] {
            add(&kept, tag, 300);
        }
        drop(kept.get(&key("a")));
        drop(kept.get(&key("b")));
        add(&kept, "d", 300);
        let here = |tag| kept.get(&key(tag)).is_some();
        assert!(!here("c") && here("a") && here("b") && here("d"));
        assert!(add(&kept, "f", 1000).is_some());
        assert_eq!(kept.bytes(), 1000);
    }

    /// A reader does not hold memory: bodies that many clients leave unread do not keep others
    /// out.
    #[test]
    fn a_body_of_which_nobody_takes_anything_is_given_up_and_its_reader_is_told() {
        let kept = Kept::new(1000);
        let body = |tag| {
            let mut draft = kept.draft();
            let pieces = [b"one", b"two"].map(|piece| Bytes::from_static(piece));
            assert!(pieces.into_iter().all(|piece| draft.push(piece)));
            draft.keep(key(tag))
        };
        let (mut read, mut left) = (body("read"), body("left"));
        let ended = body("ended");
        assert_eq!(left.next_piece(), Ok(Some(Bytes::from_static(b"one"))));
        assert_eq!(read.next_piece(), Ok(Some(Bytes::from_static(b"one"))));
        drop(ended);
        assert!(
            add(&kept, "large", 994).is_some(),
            "all but one of six bytes"
        );
        assert_eq!(read.next_piece(), Ok(Some(Bytes::from_static(b"two"))));
        assert_eq!(read.next_piece(), Ok(None));
        assert_eq!((left.next_piece(), kept.cut()), (Err(GivenUp), 1));
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
        // The same content counts once even if it is made twice.
        assert!(add(&kept, "a", 500).is_some());
        assert_eq!(kept.bytes(), 500);
    }
}
