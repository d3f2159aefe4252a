//! Why following stops, for a while or for good.

use std::time::Duration;

use crate::alto::json::Faults;
use crate::alto::patch::PatchError;
use crate::client::{DirectoryError, PeerError, StreamError};
use crate::runtime::PoolError;

/// Why following stops. After a final one ([`FollowError::is_final`]) the follower
/// is to be made anew with other wishes; after any other it goes on by itself.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A request has no answer.
    #[error(transparent)]
    Request(#[from] PeerError),
    /// An update stream broke or was none.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory has no such resource.
    #[error("{url}: there is no resource {resource_id:?}; there are {known}")]
    NotOffered {
        /// The directory.
        url: String,
        /// What was wanted.
        resource_id: String,
        /// What there is.
        known: String,
    },
    /// A resource that is asked by POST was wanted without input, or the other way
    /// round.
    #[error("{resource_id:?} {mend}")]
    Input {
        /// The resource.
        resource_id: String,
        /// What it takes.
        mend: &'static str,
    },
    /// The server sends what its media types do not promise.
    #[error("{resource_id:?}: {reason}")]
    Malformed {
        /// Of which resource.
        resource_id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A document cannot be read; it is had anew.
    #[error("{resource_id:?} cannot be read: {faults}")]
    Unreadable {
        /// Which.
        resource_id: String,
        /// What is wrong with it.
        faults: Faults,
    },
    /// A change does not fit the document that we have; it is had anew.
    #[error("a change of {resource_id:?} does not apply: {error}")]
    Patch {
        /// Of which resource.
        resource_id: String,
        /// Why.
        error: PatchError,
    },
    /// The server does not send a resource any more.
    #[error("the server stopped sending {resource_id:?}{}", because(.description))]
    Stopped {
        /// Which.
        resource_id: String,
        /// Why, as it says.
        description: Option<String>,
    },
    /// The server keeps no such versions any more; a new view is opened.
    #[error("{url}: the server has dropped the view, or the version we have")]
    Gone {
        /// What was asked for.
        url: String,
    },
    /// A resource and the network map that it is over have not fitted together for
    /// too long; it is had anew.
    #[error("what depends on a network map has not fitted it for {0:?}")]
    Apart(Duration),
    /// There was no room for an event; what it is of is had anew.
    #[error("there is no room now for an event of {0} bytes")]
    NoRoom(usize),
    /// All that is followed has more bytes than may be.
    #[error("what is followed has {bytes} bytes; at most {most} are kept")]
    TooMuch {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
    /// The server pushes not at all, or not in a way that works, and is not to be
    /// asked again and again.
    #[error("the server offers no update stream and no TIPS that works")]
    NotPushed,
    /// The computation failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The follower ended with the error before.
    #[error("it is not followed any more; make another follower")]
    Over,
}

fn because(description: &Option<String>) -> String {
    match description {
        Some(text) => format!(": {:.200}", text.escape_debug().to_string()),
        None => String::new(),
    }
}

impl FollowError {
    /// Whether the follower has ended: it was asked for what cannot be followed.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            FollowError::NotOffered { .. }
                | FollowError::Input { .. }
                | FollowError::NotPushed
                | FollowError::TooMuch { .. }
                | FollowError::Over
        )
    }

    /// Whether the same way to follow would end like this again.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            FollowError::Request(error) => error.is_lasting(),
            FollowError::Stream(error) => error.is_lasting(),
            FollowError::Malformed { .. } => true,
            _ => false,
        }
    }

    /// Whether the server said something that is wrong, rather than nothing.
    pub(super) fn is_fault(&self) -> bool {
        matches!(
            self,
            FollowError::Patch { .. } | FollowError::Unreadable { .. } | FollowError::Apart(_)
        )
    }

    /// When the server wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            FollowError::Request(error) | FollowError::Stream(StreamError::Request(error)) => {
                error.retry_after()
            }
            _ => None,
        }
    }
}
