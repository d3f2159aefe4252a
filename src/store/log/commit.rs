//! A revision to be committed, and how large it may be.

use crate::store::StoreError;

use super::table::Table;

/// The largest body of a commit, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// The most documents that a revision has.
pub const MAX_DOCUMENTS: usize = 65_536;
/// The longest name of a document, in bytes.
pub const MAX_NAME: usize = 255;
/// The most rows that a commit changes.
pub const MAX_CHANGES: usize = 4_096;

/// A revision to be committed: all of it is stored, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its number: one more than that of the newest revision when its turn comes.
    pub revision: u64,
    /// An account of the revision for readers of the log, at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
    /// The documents that change. `Some` replaces a document by the concatenation of its rows,
    /// `None` deletes it. An unchanged row costs nothing to commit again. Rows cannot be told
    /// apart when the document is read.
    pub documents: Vec<(String, Option<Vec<Vec<u8>>>)>,
    /// The rows of side tables that change with it: a value sets, `None` deletes.
    pub table: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Commit {
    /// Checks that the commit is within the limits of a store with `present` documents.
    ///
    /// # Errors
    /// [`TooLarge`](StoreError::TooLarge): the store would refuse the commit.
    pub fn check(&self, present: usize) -> Result<(), StoreError> {
        let names = self.documents.iter().map(|(name, _)| name.len());
        let sizes = [
            ("the body", self.body.len(), MAX_BODY),
            ("the name of a document", names.max().unwrap_or(0), MAX_NAME),
            (
                "the set of documents",
                present + self.documents.len(),
                MAX_DOCUMENTS,
            ),
            ("the set of changed rows", self.table.len(), MAX_CHANGES),
        ];
        match sizes.into_iter().find(|(_, size, limit)| size > limit) {
            Some((what, size, limit)) => Err(StoreError::TooLarge { what, size, limit }),
            None => Ok(()),
        }
    }

    /// Returns roughly how much memory the commit takes, in bytes.
    pub(in crate::store) fn size(&self) -> usize {
        let rows = self
            .documents
            .iter()
            .filter_map(|(_, rows)| rows.as_ref())
            .flatten();
        let changes = self
            .table
            .iter()
            .map(|(_, key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        self.body.len() + rows.map(Vec::len).sum::<usize>() + changes.sum::<usize>()
    }
}
