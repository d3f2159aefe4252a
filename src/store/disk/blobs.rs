//! Large values beside the database, each in a file named by its digest.
//!
//! Blobs are for what can be fetched again, such as maps of other domains: the log does not wait
//! for them, and an export leaves them out. A file is first written whole under another name, so
//! that one under its own name is complete. Its digest is checked whenever it is read.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::ident::Digest;
use crate::store::StoreError;

use super::room::{Purpose, Room};

/// The end of the names of files that are being written.
const PART: &str = "part";

/// The blobs of a store. Clones are handles on the same ones.
#[derive(Debug, Clone)]
pub struct Blobs {
    directory: Arc<Path>,
    parts: Arc<AtomicU64>,
    room: Room,
}

/// An open blob that is read piece by piece. Its content stays as it was when it was opened,
/// whatever happens to the blobs.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    path: PathBuf,
    digest: Digest,
}

impl BlobReader {
    /// The most bytes of a piece.
    const PIECE: u64 = 64 * 1024;

    /// Returns the digest that its bytes must have.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Starts over from the beginning. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }

    /// Removes the blob because it is damaged, so that it is fetched again. Blocks.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        tracing::warn!(path = %self.path.display(), "a damaged blob is dropped");
        fs::remove_file(&self.path)
    }
}

impl Iterator for BlobReader {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut piece = Vec::new();
        match (&self.file).take(Self::PIECE).read_to_end(&mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(piece.into())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Blobs {
    /// Opens the blobs in `directory`, which is created with the first one, and removes files
    /// that a crash left incomplete. Blocks.
    ///
    /// # Errors
    /// [`Io`](StoreError::Io).
    pub(in crate::store) fn open(directory: &Path, room: Room) -> Result<Self, StoreError> {
        let blobs = Self {
            directory: directory.into(),
            parts: Arc::default(),
            room,
        };
        blobs.remove_where(|path| path.extension().is_some_and(|end| end == PART))?;
        Ok(blobs)
    }

    /// Stores a blob durably and returns its digest.
    ///
    /// # Errors
    /// [`NoRoom`](StoreError::NoRoom) or [`Io`](StoreError::Io); it is not kept.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        let blobs = self.clone();
        blocking(move || {
            let digest = Digest::of(&bytes);
            let path = blobs.path(&digest);
            if blobs.read(&digest)?.is_some() {
                return Ok(digest);
            }
            let _pledge = blobs.room.pledge(Purpose::Blob, bytes.len() as u64)?;
            let number = blobs.parts.fetch_add(1, Ordering::Relaxed);
            let part = blobs.directory.join(format!("{number}.{PART}"));
            fs::create_dir_all(&blobs.directory)
                .and_then(|()| write(&part, &path, &bytes))
                .inspect_err(|_| {
                    // What was written so far takes room that is needed.
                    let _left = fs::remove_file(&part);
                })
                .map_err(StoreError::io(format!("write {}", path.display())))?;
            Ok(digest)
        })
        .await
    }

    /// Returns the blob with a digest; `None` if it was never kept, was removed, or is damaged.
    /// Then it has to be fetched again.
    ///
    /// # Errors
    /// [`Io`](StoreError::Io).
    pub async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let (blobs, digest) = (self.clone(), *digest);
        blocking(move || blobs.read(&digest)).await
    }

    /// Opens the blob with a digest to be read piece by piece; `None` if it is not here. The
    /// reader has to check whether it is damaged.
    ///
    /// # Errors
    /// [`Io`](StoreError::Io).
    pub async fn reader(&self, digest: &Digest) -> Result<Option<BlobReader>, StoreError> {
        let (path, digest) = (self.path(digest), *digest);
        blocking(move || match File::open(&path) {
            Ok(file) => Ok(Some(BlobReader { file, path, digest })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("open {}", path.display()))(error)),
        })
        .await
    }

    /// Removes every blob that is not one of these.
    ///
    /// # Errors
    /// [`Io`](StoreError::Io); some may be removed by then.
    pub async fn retain(&self, kept: HashSet<Digest>) -> Result<(), StoreError> {
        let blobs = self.clone();
        blocking(move || {
            blobs.remove_where(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let digest: Option<Digest> = name.and_then(|name| name.parse().ok());
                digest.is_some_and(|digest| !kept.contains(&digest))
            })
        })
        .await
    }

    /// Removes these blobs.
    ///
    /// # Errors
    /// [`Io`](StoreError::Io); some may be removed by then.
    pub async fn remove(&self, digests: Vec<Digest>) -> Result<(), StoreError> {
        if digests.is_empty() {
            return Ok(());
        }
        let blobs = self.clone();
        blocking(move || {
            for digest in &digests {
                let path = blobs.path(digest);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(StoreError::io(format!("remove {}", path.display()))(error));
                    }
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    fn remove_where(&self, is_due: impl Fn(&Path) -> bool) -> Result<(), StoreError> {
        let failed = || StoreError::io(format!("clear {}", self.directory.display()));
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed())?,
        };
        for entry in entries {
            let path = entry.map_err(failed())?.path();
            if is_due(&path) {
                fs::remove_file(path).map_err(failed())?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.to_string())
    }

    fn read(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(StoreError::io(format!("read {}", path.display()))(error));
            }
        };
        if Digest::of(&bytes) == *digest {
            Ok(Some(bytes.into()))
        } else {
            tracing::warn!(path = %path.display(), "a damaged blob is dropped");
            fs::remove_file(&path).map_err(StoreError::io(format!("remove {}", path.display())))?;
            Ok(None)
        }
    }
}

fn write(part: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(part, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Closed))
}

#[cfg(test)]
mod tests {
    use crate::store::disk::space::FreeSpace;

    use super::*;

    fn open(directory: &Path) -> Blobs {
        let room = Room::new(directory, 16 * 1024 * 1024, FreeSpace::told(|| u64::MAX));
        Blobs::open(directory, room).expect("opened")
    }

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let directory = tempfile::tempdir().expect("a directory");
        let blobs = open(&directory.path().join("blobs"));
        (directory, blobs)
    }

    #[tokio::test]
    async fn a_blob_is_found_by_its_digest_also_after_a_restart() {
        let (_directory, blobs) = blobs();
        let digest = blobs.put(Bytes::from_static(b"map")).await.expect("kept");
        assert_eq!(digest, Digest::of(b"map"));
        assert_eq!(
            blobs.put(Bytes::from_static(b"map")).await.expect("kept"),
            digest
        );
        let again = open(&blobs.directory);
        let found = again.get(&digest).await.expect("read");
        assert_eq!(found.as_deref(), Some(&b"map"[..]));
        assert_eq!(again.get(&Digest::ZERO).await.expect("read"), None);
    }

    #[tokio::test]
    async fn what_is_not_retained_is_gone() {
        let (_directory, blobs) = blobs();
        let kept = blobs.put(Bytes::from_static(b"a")).await.expect("kept");
        let gone = blobs.put(Bytes::from_static(b"b")).await.expect("kept");
        blobs.retain(HashSet::from([kept])).await.expect("cleared");
        assert!(blobs.get(&kept).await.expect("read").is_some());
        assert!(blobs.get(&gone).await.expect("read").is_none());
    }

    #[tokio::test]
    async fn a_blob_that_is_removed_is_gone_and_one_that_is_not_there_is_no_fault() {
        let (_directory, blobs) = blobs();
        let kept = blobs.put(Bytes::from_static(b"a")).await.expect("kept");
        let gone = blobs.put(Bytes::from_static(b"b")).await.expect("kept");
        blobs
            .remove(vec![Digest::ZERO, gone])
            .await
            .expect("removed");
        assert!(blobs.get(&kept).await.expect("read").is_some());
        assert!(blobs.get(&gone).await.expect("read").is_none());
    }

    #[tokio::test]
    async fn a_damaged_blob_is_not_there_and_can_be_had_again() {
        let (_directory, blobs) = blobs();
        let digest = blobs.put(Bytes::from_static(b"map")).await.expect("kept");
        fs::write(blobs.path(&digest), b"mop").expect("written");
        assert_eq!(blobs.get(&digest).await.expect("read"), None);
        assert!(!blobs.path(&digest).exists());
        blobs.put(Bytes::from_static(b"map")).await.expect("kept");
        assert!(blobs.get(&digest).await.expect("read").is_some());
        fs::write(blobs.path(&digest), b"ma").expect("written");
        blobs.put(Bytes::from_static(b"map")).await.expect("kept");
        assert!(blobs.get(&digest).await.expect("read").is_some());
    }

    #[tokio::test]
    async fn what_a_crash_left_half_written_is_removed() {
        let (_directory, blobs) = blobs();
        blobs.put(Bytes::from_static(b"map")).await.expect("kept");
        let part = blobs.directory.join("0.part");
        fs::write(&part, b"ma").expect("written");
        open(&blobs.directory);
        assert!(!part.exists());
    }
}
