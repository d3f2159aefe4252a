//! Why following stops, for a while or for good.

use std::time::Duration;

use crate::alto::json::Faults;
use crate::alto::patch::PatchError;
use crate::client::{DirectoryError, PeerError, StreamError};
use crate::runtime::PoolError;

/// Why following stops. After a final error ([`FollowError::is_final`]) another follower has to
/// be made; after any other it goes on by itself.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A request has no usable answer.
    #[error(transparent)]
    Request(#[from] PeerError),
    /// An update stream broke, or could not be opened.
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
        /// The resources that there are.
        known: String,
    },
    /// A resource that is asked by POST was wanted without input, or the other way round.
    #[error("{resource_id:?} {mend}")]
    Input {
        /// The resource.
        resource_id: String,
        /// What to do.
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
    /// A document cannot be read; it is fetched anew.
    #[error("{resource_id:?} cannot be read: {faults}")]
    Unreadable {
        /// Which.
        resource_id: String,
        /// What is wrong with it.
        faults: Faults,
    },
    /// A change does not apply to the version that is here; the document is fetched anew.
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
    /// The server no longer has these versions; a new view is opened.
    #[error("{url}: the server has dropped the view, or the version we have")]
    Gone {
        /// What was asked for.
        url: String,
    },
    /// A resource has not fitted the network map it depends on for too long; it is fetched
    /// anew.
    #[error("resources have not matched their network map for {0:?}")]
    Apart(Duration),
    /// There was no room for an event; its resource is fetched anew.
    #[error("there is no room now for an event of {0} bytes")]
    NoRoom(usize),
    /// Everything that is followed has too many bytes together.
    #[error("what is followed has {bytes} bytes; at most {most} are kept")]
    TooMuch {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
    /// The server does not push, or not in a way that works, and is not to be polled.
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
    /// Whether the follower has ended, since what was wanted cannot be followed.
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

    /// Whether following in the same way would end with this error again.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            FollowError::Request(error) => error.is_lasting(),
            FollowError::Stream(error) => error.is_lasting(),
            FollowError::Malformed { .. } => true,
            _ => false,
        }
    }

    /// Whether the server sent something wrong, rather than nothing.
    pub(super) fn is_fault(&self) -> bool {
        matches!(
            self,
            FollowError::Patch { .. } | FollowError::Unreadable { .. } | FollowError::Apart(_)
        )
    }

    /// Returns how long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            FollowError::Request(error) | FollowError::Stream(StreamError::Request(error)) => {
                error.retry_after()
            }
            _ => None,
        }
    }
}
