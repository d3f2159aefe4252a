//! Writing answers, piece by piece.
//!
//! An answer is written into a buffer, into a hash, or, if it is too large to be held, into a stream.
//! All of them take the same pieces, so that they cannot differ. Full maps and the answers to queries
//! are written by the same code.

use std::fmt;
use std::sync::Arc;

use crate::ident::{Digest, Sha256, Tag};

use super::content::Content;
use super::marks::ResourceMarks;
use super::work::Work;

/// The answer of a service, written step by step from the content that it is of.
pub trait Body: fmt::Debug + Send {
    /// What writing it takes, known before it is begun.
    fn work(&self, content: &Content) -> Work;

    /// The member of the request that its size depends on.
    fn sized_by(&self) -> &'static str;

    /// The cells read so far; of an answer without cells, the values.
    fn cells_read(&self) -> u64;

    /// Does the next step, of some ten thousand cells at most, and writes its output, which may be
    /// empty; returns whether there are more steps.
    fn write_piece(&mut self, content: &Content, out: &mut Vec<u8>) -> bool;

    /// The tag of the answer, given the digest of its text.
    fn tag(&self, _content: &Content, digest: Digest) -> Tag {
        digest.into()
    }
}

/// A body that is being written.
#[derive(Debug)]
pub struct Rendering {
    content: Arc<Content>,
    body: Box<dyn Body>,
}

impl Rendering {
    /// Takes a body of this content, of which nothing is written yet.
    pub fn new(content: Arc<Content>, body: Box<dyn Body>) -> Self {
        Self { content, body }
    }

    /// What writing it takes, known before it is begun.
    pub fn work(&self) -> Work {
        self.body.work(&self.content)
    }

    /// The member of the request that the size of the answer depends on.
    pub fn sized_by(&self) -> &'static str {
        self.body.sized_by()
    }

    /// The content that it is of.
    pub fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// The cells read so far; of an answer without cells, the values.
    pub fn cells_read(&self) -> u64 {
        self.body.cells_read()
    }

    /// Does the next step, and writes its output, which may be empty; returns whether there are more
    /// steps.
    pub fn write_piece(&mut self, out: &mut Vec<u8>) -> bool {
        self.body.write_piece(&self.content, out)
    }

    /// Writes all that is left.
    pub fn write(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.write_piece(&mut out) {}
        out
    }

    /// The tag of the body, given its digest.
    pub fn tag(&self, digest: Digest) -> Tag {
        self.body.tag(&self.content, digest)
    }

    /// Writes the whole body; returns its marks, and the body if it has at most `limit` bytes.
    pub fn finish(mut self, limit: usize) -> (ResourceMarks, Option<Vec<u8>>) {
        const HASH_AT: usize = 64 * 1024;
        let mut hasher = Sha256::new();
        let mut length = 0;
        let mut body = Some(Vec::new());
        let mut piece = Vec::with_capacity(2 * HASH_AT);
        let mut more = true;
        while more {
            more = self.write_piece(&mut piece);
            if piece.len() < HASH_AT && more {
                continue;
            }
            hasher.update(&piece);
            length += piece.len();
            body = body.filter(|_| length <= limit);
            if let Some(body) = &mut body {
                body.extend_from_slice(&piece);
            }
            piece.clear();
        }
        let digest = hasher.finish();
        let marks = ResourceMarks {
            tag: self.tag(digest),
            digest,
            length: length as u64,
        };
        (marks, body)
    }
}
