//! Why something from a peer was refused.

use std::time::Duration;

use jiff::Timestamp;

use crate::alto::json::Faults;
use crate::api::s2s::Reason;
use crate::client::{DirectoryError, PeerError};
use crate::ident::DomainLabel;
use crate::runtime::PoolError;
use crate::store::StoreError;

use super::manifest::JwsError;

/// The most characters of a reason that are shown.
const MAX_DETAIL: usize = 1_000;

/// Why something from a peer was refused. The copy before it stays in use.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Our own label is in the path: our domain, or one that we passed on, comes back to us.
    #[error("our own domain {0} is in its path")]
    Loop(DomainLabel),
    /// The path is not one that the peer can state.
    #[error("{0}")]
    Path(String),
    /// The manifest is not a signed text, or not a manifest.
    #[error("the manifest cannot be read: {0}")]
    Form(String),
    /// The manifest has another domain or serial than the peer says.
    #[error("{0}")]
    Mismatch(String),
    /// The signature is wrong.
    #[error("the manifest was altered, or was not signed with the key that it names: {0}")]
    Signature(JwsError),
    /// The key does not count for the domain.
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
        /// When it will not be wrong any more.
        until: Timestamp,
    },
    /// It has stopped counting.
    #[error("{text}")]
    Expired {
        /// What is wrong.
        text: String,
        /// When it stopped counting.
        since: Timestamp,
    },
    /// Its scope does not include us.
    #[error("its scope does not include {0}")]
    Scope(DomainLabel),
    /// A newer one was seen already.
    #[error("its serial is {serial}, and {highest} was seen before under the same key")]
    OldSerial {
        /// Its serial.
        serial: u64,
        /// The highest serial that was seen.
        highest: u64,
    },
    /// Another manifest with the same serial was seen under the same key.
    #[error(
        "two manifests with serial {0} and different content were signed with the same key: the \
         origin, or whoever holds its key, tells different peers different things"
    )]
    Equivocation(u64),
    /// It exceeds a limit.
    #[error("{0}")]
    Limit(String),
    /// There is no room for it now.
    #[error("{0}")]
    Full(String),
    /// A resource is not what the manifest says.
    #[error("{0}")]
    Digest(String),
    /// The documents do not fit together, or contain what no domain can state.
    #[error("{0}")]
    Content(String),
    /// Its maps are of different versions; they may fit together soon.
    #[error("the maps do not fit together yet: {0}")]
    Lagging(String),
    /// The map joins several domains, as a node like ours makes it.
    #[error("{0}")]
    Merged(String),
    /// The peer says that it is something else than what is configured.
    #[error("{0}")]
    Peer(String),
    /// The peer gave no usable answer.
    #[error(transparent)]
    Client(#[from] PeerError),
    /// The store failed, or has no room.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A computation failed: a defect of the program.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A defect of the program.
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
    /// Makes the error about a document that cannot be read.
    pub(super) fn unsound(document: &str, faults: &Faults) -> Self {
        let document: String = document.chars().take(80).collect();
        let text = format!("{document:?}: {faults}");
        if faults.over_limit() {
            ImportError::Limit(text)
        } else {
            ImportError::Content(text)
        }
    }

    /// Returns the kind of reason: one of a fixed set of words.
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

    /// Returns the reason under which the error is counted, if it is about a document or
    /// manifest that came and was refused. A manifest that has stopped counting is counted as a
    /// wrong clock, since the two cannot be told apart from here.
    pub(super) fn rejection(&self) -> Option<&'static str> {
        match self {
            ImportError::Expired { .. } => Some("clock"),
            ImportError::Client(PeerError::MediaType { .. } | PeerError::Body { .. }) => {
                Some(self.code())
            }
            ImportError::Store(StoreError::NoRoom { .. }) => Some("room"),
            // Nothing came, or the fault is ours.
            ImportError::Client(_)
            | ImportError::Store(_)
            | ImportError::Pool(_)
            | ImportError::Defect(_) => None,
            _ => Some(self.code()),
        }
    }

    /// Returns how long the same manifest would be refused again.
    pub(super) fn lasts(&self) -> Lasts {
        match self {
            ImportError::Clock { until, .. } => Lasts::Until(*until),
            ImportError::Expired { since, .. } => Lasts::Since(*since),
            ImportError::Full(_) => Lasts::Over,
            // The right document may come next time, or the fault is ours.
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

    /// Returns how long the peer asks us to wait, if it does.
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

    /// Returns the reason as it is shown, at most `MAX_DETAIL` characters of it, because a peer
    /// may have written parts of it.
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

/// How long the same manifest is refused for the same reason, while settings and keys stay the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// It may be taken at the next reading.
    Not,
    /// It is refused for ever.
    Always,
    /// It is refused until there is room for it, or it is another.
    Over,
    /// It is refused before this time.
    Until(Timestamp),
    /// It is refused from this time on.
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
