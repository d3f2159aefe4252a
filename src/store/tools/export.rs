//! Exporting a store to a file in a form that no later format changes.

use std::{collections::HashSet, io::Write, path::Path};

use crate::ident::Sha256;
use crate::store::StoreError;
use crate::store::disk::directory::Directory;
use crate::store::log::lines::{End, Header, Line, List};
use crate::store::log::meta::FORMAT;
use crate::store::log::tree;

use super::offline::{Progress, each_record, with_log};

/// Writes all that is kept to `out`, a JSON line each, with a trailer that shows whether a copy
/// is complete. Chunks that documents share are written once.
///
/// # Errors
/// As for [`compact`](crate::store::compact), and [`Io`](StoreError::Io) if `out` fails.
pub fn export(
    directory: &Path,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), StoreError> {
    let directory = Directory::claim_existing(directory)?;
    with_log(&directory, |log| {
        let mut out = Lines {
            out,
            lines: 0,
            digest: Sha256::new(),
        };
        let release = env!("CARGO_PKG_VERSION").to_owned();
        out.write(&Line::Store(Header {
            format: FORMAT,
            release,
        }))?;
        let mut written = HashSet::new();
        each_record(log, progress, |_, record| {
            for document in record.documents.values() {
                tree::visit(document, &mut written, |digest, level| {
                    let payload = log.fetch(digest)?.ok_or_else(|| tree::missing(digest))?;
                    let digests = tree::children(digest, level, &payload)?;
                    out.write(&match level {
                        0 => Line::Chunk(payload.get(1..).unwrap_or_default().to_vec().into()),
                        _ => Line::List(List {
                            level,
                            digests: digests.clone(),
                        }),
                    })?;
                    Ok(digests)
                })?;
            }
            out.write(&Line::Record(record.into()))
        })?;
        log.each_row(&mut |row| out.write(&Line::Row(row.into())))?;
        out.finish()
    })
}

/// Counts and digests what it writes.
struct Lines<'w> {
    out: &'w mut dyn Write,
    lines: u64,
    digest: Sha256,
}

impl Lines<'_> {
    fn write(&mut self, line: &Line) -> Result<(), StoreError> {
        let failed = || StoreError::io("write the export");
        let mut text = serde_json::to_vec(line).map_err(|error| failed()(error.into()))?;
        text.push(b'\n');
        self.digest.update(&text);
        self.lines += 1;
        self.out.write_all(&text).map_err(failed())
    }

    fn finish(mut self) -> Result<(), StoreError> {
        let digest = self.digest.clone().finish();
        let end = Line::End(End {
            lines: self.lines,
            digest,
        });
        self.write(&end)?;
        self.out.flush().map_err(StoreError::io("write the export"))
    }
}
