//! Why a peer gave no usable answer.

use std::time::Duration;

use super::address::DeniedAddress;

/// Why a peer gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The options cannot be used.
    #[error("{0}")]
    Options(String),
    /// The peer has an address to which no connection is made.
    #[error(transparent)]
    Address(#[from] DeniedAddress),
    /// A URL is not at the peer's origin.
    #[error("{url} is not at {origin}, the only place this peer is asked at")]
    Elsewhere {
        /// The URL.
        url: String,
        /// The peer's origin.
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
        /// The time that it had.
        limit: Duration,
    },
    /// The body comes too slowly.
    #[error("{url}: the body comes more slowly than {limit} bytes a second")]
    Slow {
        /// Where it comes from.
        url: String,
        /// The least pace, in bytes a second.
        limit: u32,
    },
    /// Nothing more comes of an answer that does not end.
    #[error("{url}: nothing came for {limit:?}; the connection is dead")]
    Silent {
        /// Where it should come from.
        url: String,
        /// The time without a byte.
        limit: Duration,
    },
    /// The peer answered with another status.
    #[error("{url}: the peer answered {status}")]
    Status {
        /// Where it went.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How long the peer wants to be left alone.
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
    /// Returns the reason in one word, for states and metrics.
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

    /// Whether another attempt would fail in the same way: the server does not have it, or does
    /// not do it, rather than not now.
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

    /// Returns how long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            PeerError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
