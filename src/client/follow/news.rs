//! What is followed, and what is told of it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::error::FollowError;
use crate::ident::Tag;

/// A resource to follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Its id in the directory.
    pub resource_id: String,
    /// What it is asked with, if it is asked by POST.
    pub input: Option<Value>,
}

/// The ways to follow, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// An update stream, RFC 8895.
    Stream,
    /// TIPS, RFC 9569.
    Tips,
    /// Asking again and again, with the entity tag of what there is.
    Poll,
}

impl Mode {
    /// The mode in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Stream => "update stream",
            Mode::Tips => "TIPS",
            Mode::Poll => "polling",
        }
    }
}

/// How a version came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Whole.
    Full,
    /// As a change of the version before.
    Patched,
}

/// A resource has new content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Which, as an index into what the follower was made for.
    pub index: usize,
    /// Its id.
    pub resource_id: String,
    /// Its media type.
    pub media_type: String,
    /// Its content: JSON as the server wrote it, without white space between
    /// tokens.
    pub body: Bytes,
    /// The tag of its `vtag`; without one, the digest of the body.
    pub tag: Tag,
    /// How it came.
    pub how: How,
    /// The way it came.
    pub mode: Mode,
}

/// What a follower tells.
#[derive(Debug)]
pub enum News {
    /// Everything is followed in this way from now on.
    Following(Mode),
    /// Resources have new content that belongs together; network maps stand before
    /// what is over them.
    Changed(Vec<Update>),
    /// Following stopped and goes on after a while, perhaps in another way. What was
    /// handed out is the last that is known.
    Interrupted {
        /// The way that it was, or would have been, followed; `None` for the
        /// directory.
        mode: Option<Mode>,
        /// Why.
        error: FollowError,
        /// When it goes on.
        again_in: Duration,
    },
}
