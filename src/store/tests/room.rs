//! The behaviour of a store on a disk that fills.

use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;

const MIB: u64 = 1024 * 1024;
const KEYS: Table = Table::new("keys");

/// The free space, which a test sets.
#[derive(Clone)]
struct Free(Arc<AtomicU64>);

impl Free {
    fn new(mebibytes: u64) -> Free {
        Free(Arc::new(AtomicU64::new(mebibytes * MIB)))
    }

    fn set(&self, mebibytes: u64) {
        self.0.store(mebibytes * MIB, Ordering::Relaxed);
    }

    fn told(&self) -> FreeSpace {
        let free = self.0.clone();
        FreeSpace::told(move || free.load(Ordering::Relaxed))
    }
}

fn open(home: &Home, free: FreeSpace) -> Opened {
    try_open(&home.path(), free).unwrap()
}

fn try_open(path: &Path, free: FreeSpace) -> Result<Opened, StoreError> {
    let settings = Settings {
        min_free: 16 * MIB,
        ..Settings::default()
    };
    Store::open_with(path, &settings, Durability::Real, free)
}

fn row(value: u8) -> Vec<(Table, Vec<u8>, Option<Vec<u8>>)> {
    vec![(KEYS, b"key".to_vec(), Some(vec![value]))]
}

fn refused<T>(outcome: Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::NoRoom { .. }))
}

fn state(store: &Store) -> RoomState {
    *store.room().state().borrow()
}

/// Reads everything that can be read of a store.
async fn all(store: &Store) -> (Vec<(Record, Contents)>, Pairs) {
    let mut records = Vec::new();
    for record in store.records(0, 1000).await.unwrap() {
        let contents = contents(store, &record).await;
        records.push((record, contents));
    }
    (records, store.table_scan(KEYS).await.unwrap())
}

#[tokio::test]
async fn below_the_least_nothing_is_written_and_all_is_read() {
    let (home, free) = (Home::new(), Free::new(1000));
    let store = open(&home, free.told()).store;
    commit_many(&store, 1..=3).await;
    store.put(row(1)).await.unwrap();
    let before = all(&store).await;
    let blob = bytes::Bytes::from(vec![7; 100_000]);
    free.set(31);
    assert!(refused(store.blobs().put(blob.clone()).await));
    store.commit(commit(4)).await.unwrap();
    free.set(15);
    assert!(refused(store.commit(commit(5)).await));
    store.put(row(2)).await.unwrap();
    free.set(7);
    assert!(refused(store.put(row(3)).await));
    let (mut records, rows) = all(&store).await;
    assert_eq!((records.len(), rows[0].1[0]), (4, 2));
    records.pop();
    assert_eq!(records, before.0);
    free.set(1000);
    store.commit(commit(5)).await.unwrap();
    store.blobs().put(blob).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_commit_is_refused_that_would_leave_too_little() {
    let (home, free) = (Home::new(), Free::new(26));
    let store = open(&home, free.told()).store;
    let large = replace(commit(1), "large", rows(6_000, 1_000, 1));
    assert!(refused(store.commit(large.clone()).await));
    store.commit(commit(1)).await.unwrap();
    free.set(40);
    let large = Commit {
        revision: 2,
        ..large
    };
    store.commit(large).await.unwrap();
}

#[tokio::test]
async fn a_start_without_room_reads_what_stands_and_writes_again_when_there_is() {
    let (home, free) = (Home::new(), Free::new(1000));
    let store = open(&home, free.told()).store;
    commit_many(&store, 1..=9).await;
    store.put(row(1)).await.unwrap();
    store.commit(commit(10)).await.unwrap();
    store.put(row(2)).await.unwrap();
    let before = all(&store).await;
    store.close().await.unwrap();

    free.set(7);
    let opened = open(&home, free.told());
    let store = opened.store;
    assert_eq!(opened.head.map(|head| head.revision), Some(10));
    assert_eq!(state(&store), RoomState::Unopened);
    assert_eq!(all(&store).await, before);
    let value = store.table_get(KEYS, b"key").await.unwrap();
    assert_eq!(value, Some(vec![2]));
    let unknown = store.record(11).await;
    assert!(matches!(
        unknown,
        Err(StoreError::Unknown { newest: 10, .. })
    ));
    assert!(refused(store.commit(commit(11)).await));
    assert!(refused(store.put(row(3)).await));
    // More than it takes to open, and less than must stay free.
    free.set(15);
    store.look().await.unwrap();
    assert_eq!(state(&store), RoomState::Unopened);
    // There is room, but nobody has looked at it yet.
    free.set(1000);
    assert!(refused(store.commit(commit(11)).await));
    store.look().await.unwrap();
    assert_eq!(state(&store), RoomState::Enough);
    assert_eq!(all(&store).await, before);
    store.commit(commit(11)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(open(&home, free.told()).head.unwrap().revision, 11);
}

#[tokio::test]
async fn a_damaged_store_is_not_read_without_room_to_mend_it() {
    let (home, free) = (Home::new(), Free::new(1000));
    let store = open(&home, free.told()).store;
    commit_many(&store, 1..=3).await;
    store.close().await.unwrap();
    let file = home.path().join("sled/db");
    let whole = fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    let text = b"body 3";
    let at = bytes.windows(text.len()).rposition(|part| part == text);
    bytes[at.unwrap()] ^= 1;
    fs::write(&file, bytes).unwrap();
    free.set(7);
    assert!(refused(try_open(&home.path(), free.told())));
    fs::write(&file, whole).unwrap();
    assert!(try_open(&home.path(), free.told()).is_ok());
}

/// A small disk of its own, unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    /// Mounts a disk; `None` where this is not allowed.
    fn new(mebibytes: u64) -> Option<Disk> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
        let mounted = mount.arg(directory.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            Some(Disk(directory))
        } else {
            eprintln!("skipped: no file system can be mounted here");
            None
        }
    }

    /// Leaves nothing free.
    fn fill(&self) {
        let filling = fs::write(self.0.path().join("filling"), vec![1; 100 << 20]);
        assert_eq!(filling.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    fn clear(&self) {
        fs::remove_file(self.0.path().join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A disk that stays mounted shows in the list of mounts.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_disk_is_never_filled_and_one_that_others_fill_is_survived() {
    let Some(disk) = Disk::new(72) else { return };
    let home = disk.0.path().join("store");
    let opened = try_open(&home, FreeSpace::real()).unwrap();
    let store = opened.store;
    let mut revision = 0;
    loop {
        let next = replace(commit(revision + 1), "map", rows(2_000, 900, revision));
        match store.commit(next).await {
            Ok(_) => revision += 1,
            Err(error) => break assert!(refused(Err::<(), _>(error))),
        }
    }
    assert!(
        revision > 5 && store.room().free() >= 15 * MIB,
        "{revision}"
    );
    let blob = bytes::Bytes::from(vec![7; 100_000]);
    assert!(refused(store.blobs().put(blob).await));
    let before = all(&store).await;

    // Others take the rest; the room that closing needs is there.
    disk.fill();
    assert!(home.join("reserve").exists());
    store.close().await.unwrap();
    // Others take that room as well; the store is still read.
    fs::remove_file(disk.0.path().join("filling")).unwrap();
    disk.fill();
    let store = try_open(&home, FreeSpace::real()).unwrap().store;
    assert_eq!(state(&store), RoomState::Unopened);
    assert_eq!(all(&store).await, before);
    assert!(refused(store.commit(commit(revision + 1)).await));
    disk.clear();
    store.look().await.unwrap();
    assert_eq!(all(&store).await, before);
    store.close().await.unwrap();
    let store = try_open(&home, FreeSpace::real()).unwrap().store;
    assert_eq!(all(&store).await, before);
    store.close().await.unwrap();
}
