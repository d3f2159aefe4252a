//! Why something of a peer was not taken.

use std::time::Duration;

use jiff::Timestamp;

use crate::alto::json::Faults;
use crate::api::s2s::Reason;
use crate::client::{DirectoryError, PeerError};
use crate::ident::DomainLabel;
use crate::runtime::PoolError;
use crate::store::StoreError;

use super::manifest::JwsError;

/// How many characters of a reason are shown.
const MAX_DETAIL: usize = 1_000;

/// Why something of a peer was not taken. What was had of it before stays in
/// use.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Our own label is in the path: it comes back to us.
    #[error("our own domain {0} is in its path")]
    Loop(DomainLabel),
    /// The path is not one that a peer can state.
    #[error("{0}")]
    Path(String),
    /// The manifest is no signed text.
    #[error("the manifest cannot be read: {0}")]
    Form(String),
    /// The manifest is of another domain or serial than was said.
    #[error("{0}")]
    Mismatch(String),
    /// The signature is wrong.
    #[error("the manifest was altered, or is not of the key that it names: {0}")]
    Signature(JwsError),
    /// The key does not count.
    #[error("{0}")]
    Key(String),
    /// The operator has to say which key counts.
    #[error("{0}")]
    Held(String),
    /// It changes too much at once.
    #[error("{0}")]
    Change(String),
    /// It is signed too far in the future.
    #[error("{text}")]
    Clock {
        /// What is wrong.
        text: String,
        /// When it will not be any more.
        until: Timestamp,
    },
    /// It has stopped counting.
    #[error("{text}")]
    Expired {
        /// What is wrong.
        text: String,
        /// When it did.
        since: Timestamp,
    },
    /// We are not among those who may have it.
    #[error("its scope does not include {0}")]
    Scope(DomainLabel),
    /// A newer one was seen already.
    #[error("its serial is {serial}, and {highest} was seen before under the same key")]
    OldSerial {
        /// Its own.
        serial: u64,
        /// The highest seen.
        highest: u64,
    },
    /// Another manifest with the same serial was seen.
    #[error(
        "two manifests with serial {0} and different content were signed with the same key: the \
         origin, or who holds its key, tells different peers different things"
    )]
    Equivocation(u64),
    /// It is more than we take.
    #[error("{0}")]
    Limit(String),
    /// It is more than there is room for now.
    #[error("{0}")]
    Full(String),
    /// What a resource is, is not what the manifest says.
    #[error("{0}")]
    Digest(String),
    /// The documents do not fit together, or hold what no domain can state.
    #[error("{0}")]
    Content(String),
    /// Its maps are of different versions; they may fit together soon.
    #[error("the maps do not fit together yet: {0}")]
    Lagging(String),
    /// The map is of several domains, joined by a node of ours.
    #[error("{0}")]
    Merged(String),
    /// The peer says that it is something else than is configured.
    #[error("{0}")]
    Peer(String),
    /// The peer gave no usable answer.
    #[error(transparent)]
    Client(#[from] PeerError),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The program failed.
    #[error("{0}")]
    Defect(String),
}

impl From<DirectoryError> for ImportError {
    fn from(error: DirectoryError) -> Self {
        let text = error.to_string();
        match error {
            DirectoryError::TooMany(_) => ImportError::Limit(text),
            DirectoryError::Unreadable { .. } | DirectoryError::NoNetworkMap { .. } => {
                ImportError::Content(text)
            }
        }
    }
}

impl ImportError {
    /// A document that cannot be read.
    pub(super) fn unsound(document: &str, faults: &Faults) -> Self {
        let document: String = document.chars().take(80).collect();
        let text = format!("{document:?}: {faults}");
        if faults.over_limit() {
            ImportError::Limit(text)
        } else {
            ImportError::Content(text)
        }
    }

    /// The kind of reason: one word of a fixed set.
    pub fn code(&self) -> &'static str {
        match self {
            ImportError::Loop(_) => "loop",
            ImportError::Path(_) => "path",
            ImportError::Form(_) => "form",
            ImportError::Mismatch(_) => "mismatch",
            ImportError::Signature(_) => "signature",
            ImportError::Key(_) => "key",
            ImportError::Held(_) => "held",
            ImportError::Change(_) => "change",
            ImportError::Clock { .. } => "clock",
            ImportError::Expired { .. } => "expired",
            ImportError::Scope(_) => "scope",
            ImportError::OldSerial { .. } => "old-serial",
            ImportError::Equivocation(_) => "equivocation",
            ImportError::Limit(_) | ImportError::Full(_) => "limit",
            ImportError::Digest(_) => "digest",
            ImportError::Content(_) => "content",
            ImportError::Lagging(_) => "lagging",
            ImportError::Merged(_) => "merged",
            ImportError::Peer(_) => "peer",
            ImportError::Client(error) => error.reason(),
            ImportError::Store(StoreError::NoRoom { .. }) => "room",
            ImportError::Store(_) => "store",
            ImportError::Pool(_) | ImportError::Defect(_) => "defect",
        }
    }

    /// The reason under which it is counted, if it is of a document or manifest
    /// that came and was refused. What stopped counting has the reason of a
    /// wrong clock: which of the two it is cannot be told from here.
    pub(super) fn rejection(&self) -> Option<&'static str> {
        match self {
            ImportError::Expired { .. } => Some("clock"),
            ImportError::Client(PeerError::MediaType { .. } | PeerError::Body { .. }) => {
                Some(self.code())
            }
            ImportError::Store(StoreError::NoRoom { .. }) => Some("room"),
            // Nothing came, or we failed ourselves.
            ImportError::Client(_)
            | ImportError::Store(_)
            | ImportError::Pool(_)
            | ImportError::Defect(_) => None,
            _ => Some(self.code()),
        }
    }

    /// For how long the same manifest would be refused again.
    pub(super) fn lasts(&self) -> Lasts {
        match self {
            ImportError::Clock { until, .. } => Lasts::Until(*until),
            ImportError::Expired { since, .. } => Lasts::Since(*since),
            ImportError::Full(_) => Lasts::Over,
            // The document may come as it should be, or we may do better.
            ImportError::Digest(_)
            | ImportError::Lagging(_)
            | ImportError::Peer(_)
            | ImportError::Client(_)
            | ImportError::Store(_)
            | ImportError::Pool(_)
            | ImportError::Defect(_) => Lasts::Not,
            _ => Lasts::Always,
        }
    }

    /// How long the peer wants to be left alone, if it says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            ImportError::Client(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the peer gave no answer, rather than a wrong one.
    pub fn is_absence(&self) -> bool {
        match self {
            ImportError::Client(
                PeerError::Transport { .. }
                | PeerError::Timeout { .. }
                | PeerError::Silent { .. }
                | PeerError::Slow { .. },
            ) => true,
            ImportError::Client(PeerError::Status { status, .. }) => {
                *status >= 500 || *status == 429
            }
            _ => false,
        }
    }

    /// The reason as it is shown, at most `MAX_DETAIL` characters of it: a peer
    /// may have written some.
    pub fn reason(&self) -> Reason {
        let mut detail = self.to_string();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
            detail.push('…');
        }
        Reason {
            code: self.code().to_owned(),
            detail,
        }
    }
}

/// For how long the same manifest is refused for the same reason, as long as
/// settings and keys are what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// It may be taken at the next reading.
    Not,
    /// For ever.
    Always,
    /// Until there is room for it, or it is another.
    Over,
    /// Until it is this late.
    Until(Timestamp),
    /// For as long as it is this late.
    Since(Timestamp),
}

impl Lasts {
    pub(super) fn holds(self, now: Timestamp) -> bool {
        match self {
            Lasts::Not => false,
            Lasts::Always | Lasts::Over => true,
            Lasts::Until(end) => now < end,
            Lasts::Since(beginning) => now >= beginning,
        }
    }
}
