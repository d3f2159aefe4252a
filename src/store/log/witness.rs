//! The last acknowledged position, noted beside the database.
//!
//! sled skips what it cannot read and opens with what is left, as if the rest had never been
//! written. The witness tells the difference: a line of text, written in turn at one of two
//! places after each group of commits is durable. It is not synced, so after a power cut it may
//! be behind the database, but it is never ahead of it unless the database lost something.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use crate::ident::Digest;
use crate::store::StoreError;

use super::meta::{Identity, Position};

const PLACE: usize = 512;

/// The file, open for the next acknowledgement.
pub(in crate::store) struct Witness {
    file: File,
    sequence: u64,
}

/// What the file states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Testimony {
    pub(in crate::store) identity: Identity,
    /// The position of the store at its last acknowledgement.
    pub(in crate::store) position: Position,
    sequence: u64,
}

impl Witness {
    /// Creates or continues the file at `path`.
    pub(in crate::store) fn open(
        path: &Path,
        last: Option<&Testimony>,
    ) -> Result<Witness, StoreError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let file = file.map_err(StoreError::io(format!("open {}", path.display())))?;
        Ok(Witness {
            file,
            sequence: last.map_or(0, |last| last.sequence),
        })
    }

    /// Notes the position of the store at an acknowledgement.
    pub(in crate::store) fn note(
        &mut self,
        identity: &Identity,
        position: &Position,
    ) -> Result<(), StoreError> {
        self.sequence += 1;
        let Position {
            revision,
            hash,
            puts,
            tables,
        } = position;
        let (identity, sequence) = (identity.encode(), self.sequence);
        let text = format!("{identity} {sequence} {revision} {hash} {puts} {tables}");
        let mut line = format!("{text} {}", Digest::of_parts(&[text.as_bytes()])).into_bytes();
        line.resize(PLACE - 1, b' ');
        line.push(b'\n');
        let place = self.sequence % 2 * PLACE as u64;
        let written = self
            .file
            .seek(SeekFrom::Start(place))
            .and_then(|_| self.file.write_all(&line));
        written.map_err(StoreError::io("write the witness file"))
    }

    pub(in crate::store) fn sync(&self) -> Result<(), StoreError> {
        self.file
            .sync_all()
            .map_err(StoreError::io("sync the witness file"))
    }
}

impl Testimony {
    /// Reads the file at `path` of the store in `directory`; `None` if it is missing or
    /// unreadable.
    pub(in crate::store) fn read(
        path: &Path,
        directory: &Path,
    ) -> Result<Option<Testimony>, StoreError> {
        let mut text = Vec::new();
        match File::open(path).and_then(|file| file.take(2 * PLACE as u64).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(format!("read {}", path.display()))(error)),
        }
        let mut newest: Option<Testimony> = None;
        for line in text.chunks(PLACE) {
            match Testimony::parse(line, directory) {
                Some(Ok(found)) if newest.as_ref().is_none_or(|n| n.sequence < found.sequence) => {
                    newest = Some(found);
                }
                Some(Err(error)) => return Err(error),
                _ => {}
            }
        }
        Ok(newest)
    }

    /// Reads a line; `None` if it is damaged, an error if a newer release wrote it.
    fn parse(line: &[u8], directory: &Path) -> Option<Result<Testimony, StoreError>> {
        let (text, digest) = str::from_utf8(line).ok()?.trim_end().rsplit_once(' ')?;
        if digest.parse() != Ok(Digest::of_parts(&[text.as_bytes()])) {
            return None;
        }
        match Identity::decode(text.as_bytes(), directory) {
            Err(error @ StoreError::NewerFormat { .. }) => Some(Err(error)),
            Err(_) => None,
            Ok(identity) => {
                let mut words = text.split(' ').skip(3);
                Some(Ok(Testimony {
                    identity,
                    sequence: words.next()?.parse().ok()?,
                    position: Position {
                        revision: words.next()?.parse().ok()?,
                        hash: words.next()?.parse().ok()?,
                        puts: words.next()?.parse().ok()?,
                        tables: words.next()?.parse().ok()?,
                    },
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::store::log::envelope::Mark;

    use super::*;

    fn position(revision: u64) -> Position {
        let hash = Digest::of_parts(&[&revision.to_be_bytes()]);
        Position {
            revision,
            hash,
            puts: revision + 1,
            tables: Digest::of_parts(&[b"tables"]),
        }
    }

    #[test]
    fn the_newest_note_is_read_and_a_torn_one_falls_back_to_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let identity = Identity::new(Mark::random().unwrap());
        let testimony = || Testimony::read(&path, directory.path()).unwrap();
        let read = || testimony().map(|testimony| testimony.position);
        assert_eq!(read(), None);
        let mut witness = Witness::open(&path, None).unwrap();
        for revision in 1..=5 {
            witness.note(&identity, &position(revision)).unwrap();
            assert_eq!(read(), Some(position(revision)));
        }
        let mut witness = Witness::open(&path, testimony().as_ref()).unwrap();
        witness.note(&identity, &position(6)).unwrap();
        assert_eq!(read(), Some(position(6)));
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read(), Some(position(5)));
        fs::write(&path, "garbage").unwrap();
        assert_eq!(read(), None);
    }

    #[test]
    fn a_newer_format_is_an_error_and_not_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let text = "2 9.0.0 whatever";
        fs::write(
            &path,
            format!("{text} {}", Digest::of_parts(&[text.as_bytes()])),
        )
        .unwrap();
        let read = Testimony::read(&path, directory.path());
        assert!(matches!(
            read,
            Err(StoreError::NewerFormat { found: 2, .. })
        ));
    }
}
