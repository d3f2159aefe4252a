//! The rules of the store as its users meet them.

mod commits;
mod damage;
mod durability;
mod offline;
mod opening;
mod pruning;
mod room;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::*;

/// A store in a directory of its own that is gone with the test.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn open(&self) -> Opened {
        self.open_keeping(1000)
    }

    fn open_keeping(&self, keep_revisions: u64) -> Opened {
        Store::open(
            &self.path(),
            &Settings {
                keep_revisions,
                ..Settings::default()
            },
        )
        .unwrap()
    }

    fn store(&self) -> Store {
        let opened = self.open();
        assert_eq!(opened.quarantine, None);
        opened.store
    }
}

fn commit(revision: u64) -> Commit {
    Commit {
        revision,
        body: format!("body {revision}").into_bytes(),
        ..Commit::default()
    }
}

fn replace(mut commit: Commit, name: &str, rows: Vec<Vec<u8>>) -> Commit {
    commit.documents.push((name.to_owned(), Some(rows)));
    commit
}

/// Returns rows of `length` digits, different for each seed.
fn rows(count: usize, length: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut digit = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        b'0' + (state >> 60) as u8 % 10
    };
    (0..count)
        .map(|_| (0..length).map(|_| digit()).collect())
        .collect()
}

/// Documents by name.
type Contents = BTreeMap<String, Vec<u8>>;

/// Reads all documents of a record.
async fn contents(store: &Store, record: &Record) -> Contents {
    let mut contents = BTreeMap::new();
    for (name, document) in &record.documents {
        contents.insert(name.clone(), store.document(document).await.unwrap());
    }
    contents
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Commits a document that changes by a row each time, and a small one; returns the records.
async fn commit_many(store: &Store, revisions: std::ops::RangeInclusive<u64>) -> Vec<Arc<Record>> {
    let mut large = rows(60, 2_000, 1);
    let mut records = Vec::new();
    for revision in revisions {
        let index = revision as usize % large.len();
        large[index] = rows(1, 2_000, revision).remove(0);
        let change = replace(commit(revision), "large", large.clone());
        let change = replace(change, "small", rows(1, 50, revision));
        records.push(store.commit(change).await.unwrap());
    }
    records
}
