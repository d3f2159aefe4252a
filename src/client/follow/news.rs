//! What is followed, and the news of it.

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
    /// The input that it is asked with, if it is asked by POST.
    pub input: Option<Value>,
}

/// The ways to follow, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// An update stream, RFC 8895.
    Stream,
    /// TIPS, RFC 9569.
    Tips,
    /// Polling, with the entity tag of the version that is known.
    Poll,
}

impl Mode {
    /// Returns the mode in words.
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
    /// Its index in the list that the follower was made for.
    pub index: usize,
    /// Its id.
    pub resource_id: String,
    /// Its media type.
    pub media_type: String,
    /// Its content: JSON as the server wrote it, without white space between
    /// tokens.
    pub body: Bytes,
    /// The tag of its `vtag`, or else the digest of the body.
    pub tag: Tag,
    /// How it came.
    pub how: How,
    /// The way it came.
    pub mode: Mode,
}

/// What a follower reports.
#[derive(Debug)]
pub enum News {
    /// Everything is followed in this way from now on.
    Following(Mode),
    /// Resources have new content that belongs together, network maps first.
    Changed(Vec<Update>),
    /// Following was interrupted and goes on after a while, perhaps in another way. What was
    /// handed out is the last that is known.
    Interrupted {
        /// The way that was, or would have been, taken; `None` if the directory cannot be read.
        mode: Option<Mode>,
        /// Why.
        error: FollowError,
        /// The time until it goes on.
        again_in: Duration,
    },
}
