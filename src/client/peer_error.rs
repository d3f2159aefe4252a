//! Why a peer gave no answer that is taken.

use std::time::Duration;

use super::address::DeniedAddress;

/// Why a peer gave no answer that is taken.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The options make no client.
    #[error("{0}")]
    Options(String),
    /// The peer is at an address that no connection is made to.
    #[error(transparent)]
    Address(#[from] DeniedAddress),
    /// Something is at an origin other than the peer's.
    #[error("{url} is not at {origin}, the only place this peer is asked at")]
    Elsewhere {
        /// Where it would be.
        url: String,
        /// Where the peer is.
        origin: String,
    },
    /// The request failed on the way.
    #[error("{url}: {reason}")]
    Transport {
        /// Where it went.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The answer did not come in time.
    #[error("{url}: no whole answer within {limit:?}")]
    Timeout {
        /// Where it should come from.
        url: String,
        /// The time it had.
        limit: Duration,
    },
    /// The body comes too slowly.
    #[error("{url}: the body comes more slowly than {limit} bytes a second")]
    Slow {
        /// Where it comes from.
        url: String,
        /// The least pace.
        limit: u32,
    },
    /// Nothing comes any more of what has no end.
    #[error("{url}: nothing came for {limit:?}; the connection is dead")]
    Silent {
        /// Where it should come from.
        url: String,
        /// How long nothing came.
        limit: Duration,
    },
    /// The peer has no such answer.
    #[error("{url}: the peer answered {status}")]
    Status {
        /// Where it went.
        url: String,
        /// The HTTP status.
        status: u16,
        /// When the peer wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The answer is of another type than was asked for.
    #[error("{url}: the answer is {found:?}, not {wanted}")]
    MediaType {
        /// Where it came from.
        url: String,
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The body is over a limit, or cannot be decoded.
    #[error("{url}: the body is {reason}")]
    Body {
        /// Where it came from.
        url: String,
        /// Which limit, or what is broken.
        reason: String,
        /// Whether it is over a limit.
        limit: bool,
    },
}

impl PeerError {
    /// The reason in one word, for states and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            PeerError::Options(_) => "options",
            PeerError::Address(_) => "address",
            PeerError::Elsewhere { .. } => "elsewhere",
            PeerError::Transport { .. } => "transport",
            PeerError::Timeout { .. } | PeerError::Silent { .. } => "timeout",
            PeerError::Slow { .. } => "slow",
            PeerError::Status { .. } => "status",
            PeerError::MediaType { .. } => "media-type",
            PeerError::Body { limit: true, .. } => "limit-exceeded",
            PeerError::Body { limit: false, .. } => "broken",
        }
    }

    /// Whether another attempt would end the same way: the server has no such
    /// thing or does not do it like this, rather than not now.
    pub fn is_lasting(&self) -> bool {
        match self {
            PeerError::Options(_)
            | PeerError::Address(_)
            | PeerError::Elsewhere { .. }
            | PeerError::MediaType { .. }
            | PeerError::Body { .. } => true,
            PeerError::Status { status, .. } => {
                !matches!(status, 408 | 425 | 429) && *status < 500 || *status == 501
            }
            PeerError::Transport { .. }
            | PeerError::Timeout { .. }
            | PeerError::Silent { .. }
            | PeerError::Slow { .. } => false,
        }
    }

    /// When the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            PeerError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
