//! Room for the documents of peers of which no view is made yet: events that are being read,
//! maps that wait for a manifest, and the documents that a manifest names until all of them are
//! there and read.
//!
//! Each peer has a share of its own, so that what others leave unfinished never stops it; larger
//! amounts come from a shared part. Pushed data takes room at once or is dropped. Fetched
//! documents wait until there is room for all of a domain, so that nobody holds a part while it
//! waits for the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::{Room, Rooms};
use crate::federation::import_error::ImportError;
use crate::federation::settings::PeerSettings;
use crate::ident::DomainLabel;
use crate::runtime::lock;

/// One part in this many is for the peers' own shares.
const OWN: u64 = 4;

/// The bytes of a unit, in which the shared part is counted.
const UNIT: u64 = 1024;

/// An event of at most this many bytes needs no room.
const SMALL: usize = 64 * 1024;

/// The room of all peers.
#[derive(Debug)]
pub(in crate::federation) struct Pending(Mutex<Arc<Hall>>);

/// The room in its configured size.
#[derive(Debug)]
struct Hall {
    bytes: u64,
    peers: usize,
    /// How many bytes of its own share each peer has taken.
    own: Mutex<BTreeMap<DomainLabel, u64>>,
    shared: Arc<Semaphore>,
}

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub(in crate::federation) enum Taken {
    /// Room of the peer's own share.
    Own { _share: OwnShare },
    /// Room of the shared part.
    Shared { _permit: OwnedSemaphorePermit },
}

/// Room that is taken of a peer's own share, until it is dropped.
#[derive(Debug)]
pub(in crate::federation) struct OwnShare {
    hall: Arc<Hall>,
    peer: DomainLabel,
    bytes: u64,
}

impl Pending {
    /// Makes room for this many bytes of this many peers.
    pub(in crate::federation) fn new(bytes: u64, peers: usize) -> Self {
        Self(Mutex::new(Arc::new(Hall::new(bytes, peers))))
    }

    /// Changes the size. Room that is taken counts in the old size until it is given back.
    pub(in crate::federation) fn resize(&self, bytes: u64, peers: usize) {
        let mut hall = lock(&self.0);
        if (hall.bytes, hall.peers) != (bytes, peers) {
            *hall = Arc::new(Hall::new(bytes, peers));
        }
    }

    /// Takes room for the bytes of a peer; returns `None` if there is none now.
    pub(in crate::federation) fn try_take(&self, peer: &DomainLabel, bytes: u64) -> Option<Taken> {
        let hall = lock(&self.0).clone();
        if let Some(own) = hall.take_own(peer, bytes) {
            return Some(own);
        }
        let permit = hall.shared.clone().try_acquire_many_owned(units(bytes)?);
        permit.ok().map(|permit| Taken::Shared { _permit: permit })
    }

    /// Waits for room for the bytes of a peer, and takes it.
    ///
    /// # Errors
    /// There is never that much room.
    pub(in crate::federation) async fn take(
        &self,
        peer: &DomainLabel,
        bytes: u64,
    ) -> Result<Taken, ImportError> {
        let hall = lock(&self.0).clone();
        if let Some(own) = hall.take_own(peer, bytes) {
            return Ok(own);
        }
        let most = hall.shared_bytes();
        let units = units(bytes).filter(|_| bytes <= most);
        let too_much = || {
            ImportError::Limit(format!(
                "its documents have {bytes} bytes; at most {most} may wait until all of them are \
                 there, three quarters of federation.max_pending"
            ))
        };
        let units = units.ok_or_else(too_much)?;
        let permit = hall.shared.clone().acquire_many_owned(units).await;
        match permit {
            Ok(permit) => Ok(Taken::Shared { _permit: permit }),
            Err(_) => Err(ImportError::Defect(
                "the semaphore of pending documents was closed".to_owned(),
            )),
        }
    }
}

impl Hall {
    fn new(bytes: u64, peers: usize) -> Self {
        let shared = (bytes - bytes / OWN) / UNIT;
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let permits = usize::try_from(shared).map_or(most, |units| units.min(most));
        Self {
            bytes,
            peers,
            own: Mutex::default(),
            shared: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Returns the bytes of the shared part.
    fn shared_bytes(&self) -> u64 {
        (self.bytes - self.bytes / OWN) / UNIT * UNIT
    }

    fn take_own(self: &Arc<Self>, peer: &DomainLabel, bytes: u64) -> Option<Taken> {
        let share = self.bytes / OWN / self.peers.max(1) as u64;
        let mut own = lock(&self.own);
        let spent = own.entry(peer.clone()).or_default();
        let sum = spent.checked_add(bytes).filter(|sum| *sum <= share)?;
        *spent = sum;
        let _share = OwnShare {
            hall: self.clone(),
            peer: peer.clone(),
            bytes,
        };
        Some(Taken::Own { _share })
    }
}

impl Drop for OwnShare {
    fn drop(&mut self) {
        let mut own = lock(&self.hall.own);
        if let Some(spent) = own.get_mut(&self.peer) {
            *spent = spent.saturating_sub(self.bytes);
        }
    }
}

/// Returns the bytes in units, rounded up; `None` if they are too many.
fn units(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(UNIT)).ok()
}

/// Makes room for the events of a peer's streams.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Readings {
    pending: Arc<Pending>,
    peer: DomainLabel,
    /// The most bytes that an event may have.
    most: usize,
}

impl Readings {
    pub(in crate::federation) fn of(pending: &Arc<Pending>, peer: &PeerSettings) -> Self {
        Self {
            pending: pending.clone(),
            peer: peer.domain.clone(),
            most: peer.import.max_pending.min(peer.import.max_bytes),
        }
    }
}

impl Rooms for Readings {
    fn room(&self) -> Box<dyn Room> {
        Box::new(Reading {
            of: self.clone(),
            taken: None,
        })
    }
}

/// Room for the event of a stream that is being read.
#[derive(Debug)]
struct Reading {
    of: Readings,
    /// For how many bytes room is taken, and the room.
    taken: Option<(usize, Taken)>,
}

impl Room for Reading {
    fn holds(&mut self, bytes: usize) -> bool {
        if bytes <= SMALL {
            self.taken = None;
            return true;
        }
        let Readings {
            pending,
            peer,
            most,
        } = &self.of;
        if bytes > *most {
            self.taken = None;
            return false;
        }
        let has = self.taken.as_ref().map_or(0, |(has, _)| *has);
        if bytes <= has && has < 4 * bytes {
            return true;
        }
        // The room so far is given back, since the new room includes it.
        self.taken = None;
        // Half more than needed is taken, so that an event grows in few steps.
        let wanted = bytes.saturating_add(bytes / 2).min(*most);
        let taken = pending.try_take(peer, wanted as u64);
        self.taken = taken.map(|taken| (wanted, taken));
        self.taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::federation::testing::label;
    use crate::runtime::testing::soon;

    const KIB: u64 = 1024;

    /// 400 KiB for two peers: each has 50 of its own, and 300 are shared.
    fn pending() -> Arc<Pending> {
        Arc::new(Pending::new(400 * KIB, 2))
    }

    #[tokio::test]
    async fn who_leaves_things_unfinished_never_stops_another_within_its_share() {
        let (pending, rogue, honest) = (pending(), label("isp-r"), label("isp-h"));
        let mut taken = vec![pending.take(&rogue, 300 * KIB).await.expect("all")];
        while let Some(more) = pending.try_take(&rogue, 10 * KIB) {
            taken.push(more);
        }
        assert_eq!(taken.len(), 6, "its own share");
        let own = soon(pending.take(&honest, 50 * KIB))
            .await
            .expect("its own");
        assert!(pending.try_take(&honest, KIB).is_none());
        drop(own);
        assert!(pending.try_take(&honest, KIB).is_some());
    }

    #[tokio::test]
    async fn what_is_larger_than_a_share_waits_its_turn_and_what_never_fits_is_refused() {
        let (pending, a, b) = (pending(), label("isp-a"), label("isp-b"));
        let first = pending.take(&a, 200 * KIB).await.expect("there is room");
        let mut second = std::pin::pin!(pending.take(&b, 200 * KIB));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        soon(second).await.expect("its turn");
        let refused = pending.take(&a, 301 * KIB).await.expect_err("never");
        assert_eq!(refused.code(), "limit");
        assert!(refused.to_string().contains("federation.max_pending"));
    }

    #[test]
    fn an_event_takes_room_as_it_grows_and_gives_it_back() {
        let (pending, a, b) = (pending(), label("isp-a"), label("isp-b"));
        let kib = |count: usize| count * 1024;
        let mut reading = Reading {
            of: Readings {
                pending: pending.clone(),
                peer: a,
                most: kib(250),
            },
            taken: None,
        };
        assert!(reading.holds(kib(10)) && reading.taken.is_none());
        for size in (kib(70)..=kib(250)).step_by(kib(10)) {
            assert!(reading.holds(size), "{size}");
        }
        assert!(pending.try_take(&b, 100 * KIB).is_none());
        assert!(!reading.holds(kib(251)), "more than an event may have");
        assert!(reading.holds(0));
        let others = pending.try_take(&b, 290 * KIB).expect("it is given back");
        assert!(!reading.holds(kib(100)), "there is no room for it");
        drop(others);
        assert!(reading.holds(kib(100)));
    }

    #[test]
    fn another_size_counts_from_then_on() {
        let (pending, a) = (pending(), label("isp-a"));
        let before = pending.try_take(&a, 300 * KIB);
        assert!(before.is_some());
        pending.resize(400 * KIB, 2);
        assert!(pending.try_take(&a, 300 * KIB).is_none(), "it is the same");
        pending.resize(800 * KIB, 2);
        assert!(pending.try_take(&a, 600 * KIB).is_some());
    }
}
