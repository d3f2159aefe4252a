//! Checking for room on the disk before the database writes.
//!
//! The process ends if sled cannot write (ADR 2), so sled is never asked for a write that would
//! leave less than `store.min_free`. Documents of other domains must leave twice that, which
//! keeps room for our own facts, and small rows half of it. Below that, the reserve is what is
//! needed to close the database and to open it again.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::store::StoreError;

use super::space::FreeSpace;

const MIB: u64 = 1024 * 1024;

/// The size of the reserve, and the least `store.min_free`.
pub(in crate::store) const RESERVE: u64 = 16 * MIB;

/// What sled may write while it opens a database.
const OPENING: u64 = 8 * MIB;

/// Documents of other domains up to this size, such as manifests, may use the room that is kept
/// for our own facts.
const SMALL: u64 = 64 * 1024;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// Facts of our domain.
    Facts,
    /// A few rows of side tables.
    Rows,
    /// What can be fetched again.
    Blob,
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomState {
    /// Enough for everything.
    Enough,
    /// No more documents of other domains are kept.
    Scarce,
    /// No facts are written.
    Out,
    /// There was not even room to open the database, which is only read.
    Unopened,
}

/// The room of a store. Clones are for the same store.
#[derive(Debug, Clone)]
pub struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    min_free: u64,
    free: FreeSpace,
    /// How many bytes were pledged and may not be written yet.
    pledged: AtomicU64,
    refused_facts: AtomicU64,
    refused_blobs: AtomicU64,
    state: watch::Sender<RoomState>,
}

/// Room for a write; released when it is dropped after the write.
#[derive(Debug)]
pub(in crate::store) struct Pledge {
    room: Room,
    bytes: u64,
}

impl Room {
    pub(in crate::store) fn new(root: &Path, min_free: u64, free: FreeSpace) -> Room {
        Room(Arc::new(Inner {
            root: root.to_owned(),
            min_free,
            free,
            pledged: AtomicU64::new(0),
            refused_facts: AtomicU64::new(0),
            refused_blobs: AtomicU64::new(0),
            state: watch::Sender::new(RoomState::Enough),
        }))
    }

    /// Returns how many bytes are free. If the system does not say, there is assumed to be
    /// enough: it refuses what it cannot write.
    pub fn free(&self) -> u64 {
        self.0.free.of(&self.0.root).unwrap_or(u64::MAX)
    }

    /// Returns below how many free bytes no facts are written.
    pub fn min_free(&self) -> u64 {
        self.0.min_free
    }

    /// Returns a receiver of how much room there is.
    pub fn state(&self) -> watch::Receiver<RoomState> {
        self.0.state.subscribe()
    }

    /// Returns how many writes of facts were refused for lack of room.
    pub fn refused_facts(&self) -> u64 {
        self.0.refused_facts.load(Ordering::Relaxed)
    }

    /// Returns how many documents of other domains were refused for lack of room.
    pub fn refused_blobs(&self) -> u64 {
        self.0.refused_blobs.load(Ordering::Relaxed)
    }

    /// Checks that there is room to write facts.
    ///
    /// # Errors
    /// [`NoRoom`](StoreError::NoRoom).
    pub fn check_facts(&self) -> Result<(), StoreError> {
        self.pledge(Purpose::Facts, 0).map(drop)
    }

    /// Checks that there is room for documents of another domain of this size in all.
    ///
    /// # Errors
    /// [`NoRoom`](StoreError::NoRoom).
    pub fn check_blobs(&self, bytes: u64) -> Result<(), StoreError> {
        match bytes {
            0 => Ok(()),
            bytes => self.pledge(Purpose::Blob, bytes).map(drop),
        }
    }

    /// Reserves room for a write, or refuses it.
    pub(in crate::store) fn pledge(
        &self,
        purpose: Purpose,
        bytes: u64,
    ) -> Result<Pledge, StoreError> {
        let min_free = self.0.min_free;
        let free = self.note();
        let before = self.0.pledged.fetch_add(bytes, Ordering::Relaxed);
        let pledge = Pledge {
            room: self.clone(),
            bytes,
        };
        let floor = match purpose {
            Purpose::Rows => min_free / 2,
            Purpose::Blob if bytes > SMALL => min_free.saturating_mul(2),
            Purpose::Facts | Purpose::Blob => min_free,
        };
        let needed = floor.saturating_add(bytes);
        let is_unopened = *self.0.state.borrow() == RoomState::Unopened;
        if is_unopened || free.saturating_sub(before) < needed {
            let refused = match purpose {
                Purpose::Facts => Some(&self.0.refused_facts),
                Purpose::Blob => Some(&self.0.refused_blobs),
                Purpose::Rows => None,
            };
            if let Some(refused) = refused {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            return Err(StoreError::NoRoom {
                free: free / MIB,
                needed: needed.max(min_free).div_ceil(MIB),
            });
        }
        Ok(pledge)
    }

    /// Checks how much is free, and publishes the state if it changed.
    fn note(&self) -> u64 {
        let free = self.free();
        let state = match free {
            free if free < self.0.min_free => RoomState::Out,
            free if free < self.0.min_free.saturating_mul(2) => RoomState::Scarce,
            _ => RoomState::Enough,
        };
        self.0.state.send_if_modified(|known| {
            // This state ends only when the database is opened.
            let is_other = *known != RoomState::Unopened && *known != state;
            if is_other {
                tell(*known, state, free, self.0.min_free);
                *known = state;
            }
            is_other
        });
        free
    }

    /// Returns whether there is room to open the database; removes the reserve if that is needed.
    pub(in crate::store) fn permits_opening(&self) -> bool {
        if self.free() < OPENING + RESERVE {
            self.release();
        }
        self.free() >= OPENING
    }

    /// Returns the error that there is no room to open the database.
    pub(in crate::store) fn no_room_to_open(&self) -> StoreError {
        StoreError::NoRoom {
            free: self.free() / MIB,
            needed: OPENING / MIB,
        }
    }

    /// Returns whether there is room to write again.
    pub(in crate::store) fn is_back(&self) -> bool {
        self.free() >= self.0.min_free
    }

    /// Notes that the database cannot be opened.
    pub(in crate::store) fn set_unopened(&self) {
        tell(
            RoomState::Enough,
            RoomState::Unopened,
            self.free(),
            self.0.min_free,
        );
        self.0.state.send_replace(RoomState::Unopened);
    }

    /// Notes that the database is open.
    pub(in crate::store) fn set_open(&self) {
        self.0.state.send_replace(RoomState::Out);
        self.look();
    }

    /// Checks how much is free, and creates the reserve if it is missing and there is room.
    pub(in crate::store) fn look(&self) {
        let free = self.note();
        let path = self.reserve();
        let made = fs::metadata(&path).is_ok_and(|found| found.len() >= RESERVE);
        if made || free < self.0.min_free.saturating_add(RESERVE) {
            return;
        }
        if let Err(error) = make(&path) {
            tracing::warn!(path = %path.display(), %error, "the reserve could not be made");
        }
    }

    /// Removes the reserve if the database could not be closed without that.
    pub(in crate::store) fn release_to_close(&self) {
        if self.free() < self.0.min_free {
            self.release();
        }
    }

    fn release(&self) {
        let path = self.reserve();
        match fs::remove_file(&path) {
            Ok(()) => tracing::warn!(path = %path.display(), "the reserve is given up"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the reserve cannot be given up");
            }
        }
    }

    fn reserve(&self) -> PathBuf {
        self.0.root.join("reserve")
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        self.room.0.pledged.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Creates the reserve, with blocks of the disk and without holes.
fn make(path: &Path) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    let filled = allocate(&file).or_else(|_| {
        let zeros = vec![0; MIB as usize];
        (0..RESERVE / MIB).try_for_each(|_| file.write_all(&zeros))
    });
    filled
        .and_then(|()| fs::rename(&part, path))
        .inspect_err(|_| {
            // What was written so far is not needed.
            let _left = fs::remove_file(&part);
        })
}

#[cfg(target_os = "linux")]
fn allocate(file: &File) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    Ok(fallocate(file, FallocateFlags::empty(), 0, RESERVE)?)
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn tell(before: RoomState, now: RoomState, free: u64, min_free: u64) {
    let (free, min_free) = (free / MIB, min_free / MIB);
    match now {
        RoomState::Enough => {
            tracing::info!(free_mib = free, ?before, "there is room on the disk again");
        }
        RoomState::Scarce => tracing::warn!(
            free_mib = free,
            min_free_mib = min_free,
            ?before,
            "little room is left on the disk: nothing more of other domains is kept"
        ),
        RoomState::Out => tracing::error!(
            free_mib = free,
            min_free_mib = min_free,
            "no room is left on the disk: writes are refused until there is"
        ),
        RoomState::Unopened => tracing::error!(
            free_mib = free,
            min_free_mib = min_free,
            "there is no room to open the store: what it holds is read, and writes are refused \
             until there is"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use proptest::prelude::*;

    use super::*;

    fn room(min_free: u64) -> (tempfile::TempDir, Room, Arc<AtomicU64>) {
        let directory = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let told = free.clone();
        let told = FreeSpace::told(move || told.load(Ordering::Relaxed));
        let room = Room::new(directory.path(), min_free, told);
        (directory, room, free)
    }

    #[test]
    fn others_stop_before_we_do_and_small_rows_last() {
        let (_directory, room, free) = room(64 * MIB);
        let may = |purpose, bytes| room.pledge(purpose, bytes).is_ok();
        let state = || *room.state().borrow();
        for (left, facts, rows, blob, small, now) in [
            (200, true, true, true, true, RoomState::Enough),
            (128, true, true, false, true, RoomState::Enough),
            (127, true, true, false, true, RoomState::Scarce),
            (64, false, true, false, false, RoomState::Scarce),
            (63, false, true, false, false, RoomState::Out),
            (32, false, false, false, false, RoomState::Out),
            (300, true, true, true, true, RoomState::Enough),
        ] {
            free.store(left * MIB, Ordering::Relaxed);
            let found = [
                may(Purpose::Facts, 1),
                may(Purpose::Rows, 1),
                may(Purpose::Blob, MIB),
                may(Purpose::Blob, SMALL),
            ];
            assert_eq!(found, [facts, rows, blob, small], "{left} MiB");
            assert_eq!(state(), now, "{left} MiB");
        }
        assert_eq!((room.refused_facts(), room.refused_blobs()), (3, 8));
    }

    #[test]
    fn the_reserve_is_made_when_there_is_room_and_given_up_when_there_is_none() {
        let (directory, room, free) = room(64 * MIB);
        let there = || fs::metadata(directory.path().join("reserve")).map(|found| found.len());
        free.store(79 * MIB, Ordering::Relaxed);
        room.look();
        assert!(there().is_err());
        free.store(80 * MIB, Ordering::Relaxed);
        room.look();
        assert_eq!(there().ok(), Some(RESERVE));
        room.release_to_close();
        assert!(room.permits_opening() && there().is_ok());
        free.store(MIB, Ordering::Relaxed);
        assert!(!room.permits_opening() && there().is_err());
        room.look();
        assert!(there().is_err());
    }

    proptest! {
        /// However many writes are asked for at a time, those that are allowed leave the bytes free
        /// that must stay free.
        #[test]
        fn what_is_allowed_together_leaves_the_least(
            left in 0..400 * MIB,
            asked in proptest::collection::vec((0..3u8, 0..64 * MIB), 1..40),
        ) {
            let (_directory, room, free) = room(64 * MIB);
            free.store(left, Ordering::Relaxed);
            let mut pledges = Vec::new();
            let mut sum = 0;
            for (purpose, bytes) in asked {
                let purpose = [Purpose::Facts, Purpose::Rows, Purpose::Blob][purpose as usize];
                if let Ok(pledge) = room.pledge(purpose, bytes) {
                    pledges.push(pledge);
                    sum += bytes;
                }
            }
            prop_assert!(pledges.is_empty() || sum + 32 * MIB <= left);
            drop(pledges);
            prop_assert_eq!(room.0.pledged.load(Ordering::Relaxed), 0);
        }
    }
}
