//! The directory of a store.
//!
//! | name | what |
//! |---|---|
//! | `lock` | locked while a process has the store open |
//! | `sled/` | the database |
//! | `witness` | what was acknowledged last |
//! | `reserve` | room for closing and opening the database on a full disk |
//! | `blobs/` | large values that can be fetched again, a file each |
//! | `sled.part/` | a database being built; removed at the next start |
//! | `sled.new/` | one that is complete; takes the place of `sled/` once that is gone |
//! | `sled.kept/` | a copy of the database as it was before sled opened it |
//! | `quarantine/` | damaged databases, one directory each, and what is known of them |

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::store::StoreError;

use super::privacy;
use super::room::RESERVE;
use super::space::FreeSpace;

/// A store's directory, locked against other processes.
pub(in crate::store) struct Directory {
    root: PathBuf,
    lock: File,
}

impl Directory {
    /// Locks the directory at `root`, which is created if it is missing.
    pub(in crate::store) fn claim(root: &Path) -> Result<Directory, StoreError> {
        create(root).map_err(StoreError::io(format!(
            "create the directory {}",
            root.display()
        )))?;
        let path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let lock = lock.map_err(StoreError::io(format!("write {}", path.display())))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(root.to_owned())),
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io(format!("lock {}", path.display()))(error));
            }
        }
        let directory = Directory {
            root: root.to_owned(),
            lock,
        };
        privacy::enforce(root).log(root);
        directory.settle()?;
        Ok(directory)
    }

    /// Locks the directory of a store that must exist.
    pub(in crate::store) fn claim_existing(root: &Path) -> Result<Directory, StoreError> {
        if root.join("sled").exists() || root.join("sled.new").exists() {
            Directory::claim(root)
        } else {
            Err(StoreError::NotAStore {
                directory: root.to_owned(),
                why: "there is no database in it; give the directory that altofed stores in".into(),
            })
        }
    }

    pub(in crate::store) fn root(&self) -> &Path {
        &self.root
    }

    pub(in crate::store) fn database(&self) -> PathBuf {
        self.root.join("sled")
    }

    pub(in crate::store) fn database_file(&self) -> PathBuf {
        self.root.join("sled").join("db")
    }

    pub(in crate::store) fn witness(&self) -> PathBuf {
        self.root.join("witness")
    }

    pub(in crate::store) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Returns the path where a new database is built.
    pub(in crate::store) fn part(&self) -> PathBuf {
        self.root.join("sled.part")
    }

    /// Returns whether there is no database yet. A directory that holds anything else is refused.
    pub(in crate::store) fn is_new(&self) -> Result<bool, StoreError> {
        if self.database().exists() {
            return Ok(false);
        }
        let entries = fs::read_dir(&self.root)
            .map_err(StoreError::io(format!("list {}", self.root.display())))?;
        let foreign = entries
            .flatten()
            .map(|entry| entry.file_name())
            .find(|name| name != "lock" && name != "lost+found");
        match foreign {
            None => Ok(true),
            Some(name) => Err(StoreError::NotAStore {
                directory: self.root.clone(),
                why: format!(
                    "it has no database in it but a {}; give an empty directory, or restore the \
                     whole store from a backup",
                    name.display()
                ),
            }),
        }
    }

    /// Replaces the database by the complete and closed one in `sled.part`. The present one is
    /// moved to `former` if that is given, and removed otherwise. Whenever a crash comes, the
    /// next start finds one of the two whole.
    pub(in crate::store) fn install(&self, former: Option<&Path>) -> Result<(), StoreError> {
        let new = self.root.join("sled.new");
        let old = self.root.join("sled.old");
        sync_all(&self.part())?;
        self.rename(&self.part(), &new)?;
        if self.database().exists() {
            self.rename(&self.database(), former.unwrap_or(&old))?;
        }
        self.rename(&new, &self.database())?;
        remove(&old)
    }

    /// Copies the database before sled opens it: sled overwrites with zeros what it takes for a
    /// torn end, and that may be most of what could be saved. A copy left by a start that was cut
    /// off is kept, since it is closer to the truth. `None` if there is no room for the copy and
    /// for what sled writes: a full disk must not prevent a sound store from starting.
    pub(in crate::store) fn preserve(&self) -> Option<PathBuf> {
        let (part, kept) = (self.root.join("sled.part"), self.kept());
        if kept.exists() {
            return Some(kept);
        }
        let size = size_on_disk(&self.database()).ok()?;
        let free = FreeSpace::real().of(&self.root).unwrap_or(u64::MAX);
        if free < size.saturating_add(RESERVE) {
            return None;
        }
        let copied = copy(&self.database(), &part).and_then(|()| fs::rename(&part, &kept));
        if copied.is_err() {
            // The next start removes what was copied so far, at the latest.
            let _left = remove(&part);
            return None;
        }
        Some(kept)
    }

    /// Removes what [`preserve`](Directory::preserve) kept.
    pub(in crate::store) fn release(&self) -> Result<(), StoreError> {
        remove(&self.kept())
    }

    /// Moves what [`preserve`](Directory::preserve) kept.
    pub(in crate::store) fn set_aside(&self, to: &Path) -> Result<(), StoreError> {
        self.rename(&self.kept(), to)
    }

    fn kept(&self) -> PathBuf {
        self.root.join("sled.kept")
    }

    /// Creates a new directory under `quarantine/`.
    pub(in crate::store) fn new_quarantine(&self) -> Result<PathBuf, StoreError> {
        let quarantine = self.root.join("quarantine");
        let mut number = 1;
        loop {
            let path = quarantine.join(format!("{number:06}"));
            match fs::create_dir_all(&quarantine).and_then(|()| fs::create_dir(&path)) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    return Err(StoreError::io(format!("create {}", path.display()))(error));
                }
            }
        }
    }

    /// Completes or undoes a replacement of the database that a crash cut off.
    fn settle(&self) -> Result<(), StoreError> {
        let new = self.root.join("sled.new");
        remove(&self.part())?;
        if self.database().exists() {
            remove(&new)?;
        } else if new.exists() {
            self.rename(&new, &self.database())?;
        } else {
            return Ok(());
        }
        remove(&self.root.join("sled.old"))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let what = format!("rename {} to {}", from.display(), to.display());
        let renamed = fs::rename(from, to).and_then(|()| sync_directory(&self.root));
        let renamed = renamed.and_then(|()| sync_directory(to.parent().unwrap_or(&self.root)));
        renamed.map_err(StoreError::io(what))
    }
}

impl Drop for Directory {
    /// Unlocks the directory. Closing the file is not enough: a child process has a copy of the
    /// descriptor until it runs its program.
    fn drop(&mut self) {
        // If this fails, the lock is released when the last descriptor is closed.
        let _ = self.lock.unlock();
    }
}

/// Creates a directory and makes its path durable.
fn create(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
    if let Some(parent) = path.parent().filter(|_| !missing.is_empty()) {
        fs::create_dir_all(parent)?;
        privacy::create_directory(path)?;
    }
    for parent in missing.into_iter().filter_map(Path::parent) {
        if parent.as_os_str().is_empty() {
            sync_directory(Path::new("."))?
        } else {
            sync_directory(parent)?
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?
        } else {
            fs::copy(entry.path(), to).map(drop)?
        }
    }
    Ok(())
}

/// Syncs a directory and everything in it.
pub(in crate::store) fn sync_all(path: &Path) -> Result<(), StoreError> {
    fn sync(path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                sync(&entry.path())?
            } else {
                File::open(entry.path())?.sync_all()?
            }
        }
        sync_directory(path)
    }
    sync(path).map_err(StoreError::io(format!("sync {}", path.display())))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a directory and everything in it, if it is there.
pub(in crate::store) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Returns the size of all files of a database, in bytes.
pub(in crate::store) fn size_on_disk(database: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(database)? {
        let entry = entry?;
        size += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_on_disk(&entry.path())?,
            Ok(metadata) => metadata.len(),
            // sled removes files in the background.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(size)
}
