//! Texts that are sent to many clients: in memory once, and counted once, until the last client
//! has taken its last piece.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;

use crate::runtime::lock;

use super::caller::Caller;
use super::flight::{Flight, NoRoom, Room};

/// The texts that are being sent.
#[derive(Debug)]
pub struct Shared {
    flight: Flight,
    /// By address in memory; no two texts that exist at the same time have the same.
    texts: Mutex<HashMap<usize, Weak<Text>>>,
}

#[derive(Debug)]
struct Text {
    bytes: Bytes,
    _room: Room,
}

/// A text for one client. Its slices keep it counted.
struct Handle(Arc<Text>);

impl AsRef<[u8]> for Handle {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Shared {
    /// Counts the texts in `flight`, on the node's own account.
    pub(super) fn new(flight: Flight) -> Self {
        Self {
            flight,
            texts: Mutex::default(),
        }
    }

    /// Returns the same text, which is counted until its last slice is dropped.
    ///
    /// # Errors
    /// It is not being sent to anybody yet, and there is no room for it.
    pub fn hold(&self, bytes: &Bytes) -> Result<Bytes, NoRoom> {
        let mut texts = lock(&self.texts);
        let place = bytes.as_ptr() as usize;
        let known = texts.get(&place).and_then(Weak::upgrade);
        let text = match known.filter(|known| known.bytes.len() == bytes.len()) {
            Some(text) => text,
            None => {
                let mut room = self.flight.nothing(&Caller::Node);
                room.grow(bytes.len() as u64)?;
                let text = Arc::new(Text {
                    bytes: bytes.clone(),
                    _room: room,
                });
                texts.retain(|_, text| text.strong_count() > 0);
                texts.insert(place, Arc::downgrade(&text));
                text
            }
        };
        Ok(Bytes::from_owner(Handle(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing::flight;

    #[test]
    fn a_text_counts_once_until_its_last_slice_is_dropped() {
        let flight = flight(80_000, 30_000);
        let shared = Shared::new(flight.clone());
        let text = Bytes::from(vec![b'x'; 20_000]);
        let mut pieces: Vec<Bytes> = (0..100)
            .map(|_| shared.hold(&text).expect("room").slice(7..))
            .collect();
        assert_eq!(flight.bytes(), 20_000);
        let other = Bytes::from(vec![b'y'; 10_001]);
        assert_eq!(shared.hold(&other).err(), Some(NoRoom));
        let last = pieces.pop();
        drop((pieces, text));
        assert_eq!(flight.bytes(), 20_000, "a slice of it is to be taken");
        drop(last);
        assert_eq!(flight.bytes(), 0);
        assert!(shared.hold(&other).is_ok());
        assert_eq!(shared.texts.lock().expect("no panic").len(), 1);
    }
}
