//! Making a store from an export.

use std::{
    io::{BufRead, Read},
    path::Path,
};

use crate::ident::Sha256;
use crate::store::StoreError;
use crate::store::disk::directory::Directory;
use crate::store::log::envelope::{MAX_PAYLOAD, Mark};
use crate::store::log::lines::{End, Line, RecordLine, RowLine};
use crate::store::log::meta::FORMAT;
use crate::store::log::record::Record;
use crate::store::log::state::Log;
use crate::store::log::table::{Row, RowChange};
use crate::store::repair::build::build;

use super::offline::Progress;

/// The longest line of an export: a record with the largest body and the most documents, all of
/// it escaped.
const MAX_LINE: u64 = 128 * 1024 * 1024;

/// Makes a store in `directory`, which must be missing or empty, from what
/// [`export`](crate::store::export) wrote. All of it is checked, and all of it is stored or
/// nothing.
///
/// # Errors
/// [`Import`](StoreError::Import) with the line that is wrong, [`Exists`](StoreError::Exists),
/// or as for [`Store::open`](crate::store::Store::open).
pub fn import(
    directory: &Path,
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), StoreError> {
    let directory = Directory::claim(directory)?;
    if !directory.is_new()? {
        return Err(StoreError::Exists(directory.root().to_owned()));
    }
    build(&directory, Mark::random()?, |log| {
        let mut lines = Lines {
            input,
            line: 0,
            digest: Sha256::new(),
        };
        lines
            .load(log, progress)
            .map_err(|error| lines.blame(error))
    })?;
    directory.install(None)
}

/// Counts and digests what it reads.
struct Lines<'r> {
    input: &'r mut dyn BufRead,
    line: u64,
    digest: Sha256,
}

impl Lines<'_> {
    fn load(
        &mut self,
        log: &mut Log,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        match self.next()? {
            (Line::Store(header), _) if header.format == FORMAT => {}
            (Line::Store(header), _) => {
                let needed = format!(
                    "it has format {}, this altofed reads {FORMAT}; ",
                    header.format
                );
                return Err(self.wrong(needed + "use altofed " + &header.release));
            }
            _ => return Err(self.wrong("the export does not begin with a store line")),
        }
        let mut done = 0;
        loop {
            match self.next()? {
                (Line::Chunk(bytes), _) => self.put(log, 0, &Vec::from(bytes))?,
                (Line::List(list), _) => {
                    let digests = list.digests.iter().flat_map(|digest| *digest.as_bytes());
                    self.put(log, list.level, &digests.collect::<Vec<_>>())?;
                }
                (Line::Record(line), _) => {
                    self.record(log, line)?;
                    done += 1;
                    progress(Progress { done, total: None });
                }
                (Line::Row(line), _) => self.row(log, line)?,
                (Line::End(end), before) => return self.end(&end, before),
                (Line::Store(_), _) => return Err(self.wrong("a second store line")),
            }
        }
    }

    fn put(&self, log: &mut Log, level: u8, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() >= MAX_PAYLOAD {
            return Err(self.wrong("the chunk is too large"));
        }
        log.put(&[&[level], bytes].concat()).map(drop)
    }

    /// Adds the record of a line. Its hash must be that in the line, which verifies every part of
    /// it.
    fn record(&self, log: &mut Log, line: RecordLine) -> Result<(), StoreError> {
        let expected = line.hash;
        let mut record = Record::from(line);
        let payload = record.seal(&mut |payload| log.put(payload))?;
        if record.hash != expected || payload.len() > MAX_PAYLOAD {
            return Err(self.wrong("the revision's hash is not that of its content"));
        }
        log.adopt(&payload)
    }

    fn row(&self, log: &mut Log, line: RowLine) -> Result<(), StoreError> {
        let row = Row::from(line);
        RowChange::new(&row.table, row.key.clone(), Some(row.value.clone()))?;
        log.adopt_row(&row)
    }

    /// Checks the trailer; `before` are the number and the digest of the lines before it.
    fn end(&mut self, end: &End, before: End) -> Result<(), StoreError> {
        if *end != before {
            return Err(self.wrong("the trailer does not fit the lines before it"));
        }
        let mut rest = [0];
        match self
            .input
            .read(&mut rest)
            .map_err(StoreError::io("read the export"))?
        {
            0 => Ok(()),
            _ => Err(self.wrong("the export goes on after its trailer")),
        }
    }

    /// Reads the next line, and returns with it what a trailer in its place would have to say.
    fn next(&mut self) -> Result<(Line, End), StoreError> {
        let before = End {
            lines: self.line,
            digest: self.digest.clone().finish(),
        };
        let mut text = Vec::new();
        let mut input = Read::take(&mut *self.input, MAX_LINE);
        input
            .read_until(b'\n', &mut text)
            .map_err(StoreError::io("read the export"))?;
        self.line += 1;
        if text.is_empty() {
            return Err(self.wrong("the export is cut short: its trailer is missing"));
        }
        self.digest.update(&text);
        match serde_json::from_slice(&text) {
            Ok(line) => Ok((line, before)),
            Err(error) => Err(self.wrong(error.to_string())),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> StoreError {
        StoreError::Import {
            line: self.line,
            why: why.into(),
        }
    }

    /// Turns an error of the store into one that names the line.
    fn blame(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Damaged { .. } | StoreError::TooLarge { .. } => {
                self.wrong(error.to_string())
            }
            error => error,
        }
    }
}
