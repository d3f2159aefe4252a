//! The database. Nothing outside this file names sled.
//!
//! Only those parts of sled 0.34 are used that are reliable under failure: single inserts and
//! removals from one thread at a time. There are no transactions or batches (an error while their
//! buffer is written is reported to nobody and `flush` waits for ever; their lock is shared by
//! all databases of a process), and no flusher thread (it swallows the error of its `fsync`). A
//! single insert is atomic, and after a crash sled recovers a prefix of all inserts, across
//! trees.

use std::{
    any::Any,
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use crate::store::StoreError;

/// What has to happen between a commit and its acknowledgement.
#[derive(Default)]
pub enum Durability {
    /// The disk is synced.
    #[default]
    Real,
    /// This function is called before the disk is synced, and may wait or fail: for tests of what
    /// a node does when its disk does.
    Checked(Box<dyn FnMut() -> io::Result<()> + Send>),
}

/// The key spaces.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Tree {
    /// Records by revision, big-endian.
    Log,
    /// Chunks by digest.
    Chunks,
    /// Rows of the side tables by table and key.
    Rows,
    /// Values about the store itself.
    Meta,
}

/// An open database.
pub(in crate::store) struct Engine {
    directory: PathBuf,
    db: sled::Db,
    log: sled::Tree,
    chunks: sled::Tree,
    rows: sled::Tree,
    meta: sled::Tree,
    scratch: sled::Tree,
    turns: u64,
    /// A second descriptor of the database file: sled itself only asks the system to start
    /// writing.
    file: File,
    durability: Durability,
}

/// The error of sled when another process has the database open.
const LOCKED: &str = "could not acquire lock";

/// sled rewrites a page of a mostly dead segment whenever it consolidates a page, which it does
/// after ten changes of it.
const CHANGES_PER_TURN: u64 = 10;
/// One page is to be rewritten for this many written bytes.
const BYTES_PER_TURN: u64 = 32 * 1024;

impl Engine {
    /// Opens the database in `directory`, creating it if it is not there.
    pub(in crate::store) fn open(directory: &Path, cache_bytes: u64) -> Result<Engine, StoreError> {
        contained(|| {
            let config = sled::Config::new().path(directory);
            let config = config.cache_capacity(cache_bytes).flush_every_ms(None);
            let db = config.open().map_err(|error| match broken(error) {
                StoreError::Io { source, .. } if source.to_string().starts_with(LOCKED) => {
                    StoreError::InUse(directory.to_owned())
                }
                StoreError::Io { source, .. } => {
                    let what = format!("open the database in {}", directory.display());
                    StoreError::Io { what, source }
                }
                other => other,
            })?;
            let path = directory.join("db");
            let file =
                File::open(&path).map_err(StoreError::io(format!("open {}", path.display())))?;
            Ok(Engine {
                directory: directory.to_owned(),
                log: db.open_tree("log").map_err(broken)?,
                chunks: db.open_tree("chunks").map_err(broken)?,
                rows: db.open_tree("rows").map_err(broken)?,
                meta: db.open_tree("meta").map_err(broken)?,
                scratch: db.open_tree("scratch").map_err(broken)?,
                turns: 0,
                db,
                file,
                durability: Durability::Real,
            })
        })
    }

    pub(in crate::store) fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    pub(in crate::store) fn get(
        &self,
        tree: Tree,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tree(tree).get(key).map_err(broken)?;
        Ok(value.map(|value| value.to_vec()))
    }

    pub(in crate::store) fn put(
        &self,
        tree: Tree,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        self.tree(tree).insert(key, value).map(drop).map_err(broken)
    }

    pub(in crate::store) fn remove(&self, tree: Tree, key: &[u8]) -> Result<(), StoreError> {
        self.tree(tree).remove(key).map(drop).map_err(broken)
    }

    /// Returns the keys and values from `first` on, in order.
    pub(in crate::store) fn scan(
        &self,
        tree: Tree,
        first: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> {
        let pairs = self.tree(tree).range(first.to_vec()..);
        pairs.map(|pair| {
            let (key, value) = pair.map_err(broken)?;
            Ok((key.to_vec(), value.to_vec()))
        })
    }

    /// Returns once everything written so far is on the disk. After an error it is unknown which
    /// writes are there.
    pub(in crate::store) fn sync(&mut self) -> Result<(), StoreError> {
        self.db.flush().map_err(broken)?;
        if let Durability::Checked(check) = &mut self.durability {
            check().map_err(StoreError::io("make the database durable"))?;
        }
        self.sync_spilled()?;
        self.file
            .sync_data()
            .map_err(StoreError::io("sync the database file"))
    }

    /// Has sled clean up after `written` bytes: without this, a database under constant change
    /// grows for ever.
    pub(in crate::store) fn reclaim(&mut self, written: u64) -> Result<(), StoreError> {
        for _ in 0..(1 + written / BYTES_PER_TURN) * CHANGES_PER_TURN {
            self.turns = self.turns.wrapping_add(1);
            let turn = self.turns.to_be_bytes();
            self.scratch.insert("turn", &turn).map_err(broken)?;
        }
        Ok(())
    }

    /// Abandons the database without using it any more. After an error or a panic sled may wait
    /// for ever when it is dropped, so its memory is leaked instead.
    pub(in crate::store) fn abandon(self) {
        std::mem::forget(self);
    }

    /// Makes everything durable and closes the database; on return it can be opened again.
    pub(in crate::store) fn close(mut self) -> Result<(), StoreError> {
        if let Err(error) = contained(|| self.sync()) {
            self.abandon();
            return Err(error);
        }
        let Engine {
            db,
            log,
            chunks,
            rows,
            meta,
            scratch,
            file,
            ..
        } = self;
        contained(|| {
            drop((log, chunks, rows, meta, scratch, db));
            // A thread of sled may hold its locked descriptor for another moment.
            file.lock()
                .and_then(|()| file.unlock())
                .map_err(StoreError::io("wait for the database file"))
        })
    }

    /// Syncs the files of pages that are larger than a segment. The sizes of keys and values are
    /// chosen so that there are none, but a page merged from several could still be one.
    fn sync_spilled(&self) -> Result<(), StoreError> {
        let directory = self.directory.join("blobs");
        let failed = || StoreError::io(format!("sync {}", directory.display()));
        let mut spilled = false;
        for entry in fs::read_dir(&directory).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            spilled = true;
            match File::open(path) {
                Ok(file) => file.sync_data().map_err(failed())?,
                // sled deletes such files in the background.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed()(error)),
            }
        }
        if spilled {
            File::open(&directory)
                .and_then(|file| file.sync_all())
                .map_err(failed())
        } else {
            Ok(())
        }
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Log => &self.log,
            Tree::Chunks => &self.chunks,
            Tree::Rows => &self.rows,
            Tree::Meta => &self.meta,
        }
    }
}

/// Turns a panic into an error: sled panics on many kinds of damage.
pub(in crate::store) fn contained<T>(
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(StoreError::damaged(
            "the database",
            format!("panic: {}", reason(&*panic)),
        ))
    })
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("for an unknown reason")
}

/// Distinguishes damage from errors of the system: only damage is mended by a rebuild.
fn broken(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
            ) =>
        {
            StoreError::io("use the database file")(error)
        }
        other => StoreError::damaged("the database", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::ident::Digest;
    use crate::store::disk::directory::size_on_disk;

    use super::*;

    #[test]
    fn a_database_under_constant_change_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = Engine::open(directory.path(), 16 * 1024 * 1024).unwrap();
        let key = |n: u64| Digest::of_parts(&[&n.to_be_bytes()]);
        let mut sizes = Vec::new();
        for n in 0..9_000_u64 {
            engine
                .put(
                    Tree::Chunks,
                    key(n).as_bytes(),
                    &n.to_be_bytes().repeat(500),
                )
                .unwrap();
            if let Some(old) = n.checked_sub(800) {
                engine.remove(Tree::Chunks, key(old).as_bytes()).unwrap();
            }
            engine.reclaim(4_000).unwrap();
            if n.is_multiple_of(10) {
                engine.sync().unwrap();
            }
            if n >= 1_000 && n.is_multiple_of(1_000) {
                sizes.push(size_on_disk(directory.path()).unwrap());
            }
        }
        // 3.2 MB of values are there at a time; without cleaning up it comes to 16 MB.
        assert!(
            sizes.iter().all(|size| *size < 11 * 1024 * 1024),
            "{sizes:?}"
        );
        engine.close().unwrap();
    }
}
