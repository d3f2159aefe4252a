//! Why something of a peer was not taken.

use crate::alto::json::Faults;
use crate::api::s2s::Reason;
use crate::client::PeerError;
use crate::ident::DomainLabel;
use crate::runtime::PoolError;
use crate::store::StoreError;

use super::jws::JwsError;

/// Why something of a peer was not taken. What was had of it before stays in
/// use.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
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
    /// It is signed too far in the future.
    #[error("{0}")]
    Clock(String),
    /// It has stopped counting.
    #[error("{0}")]
    Expired(String),
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
    /// What a resource is, is not what the manifest says.
    #[error("{0}")]
    Digest(String),
    /// The documents do not fit together, or hold what no domain can state.
    #[error("{0}")]
    Content(String),
    /// Its maps are of different versions; they may fit together soon.
    #[error("the maps do not fit together yet: {0}")]
    Lagging(String),
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

impl Refusal {
    /// A document that cannot be read.
    pub(super) fn unsound(document: &str, faults: &Faults) -> Self {
        let document: String = document.chars().take(80).collect();
        let text = format!("{document:?}: {faults}");
        match faults.over_limit() {
            true => Refusal::Limit(text),
            false => Refusal::Content(text),
        }
    }

    /// The kind of reason: one word of a fixed set.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Loop(_) => "loop",
            Refusal::Path(_) => "path",
            Refusal::Form(_) => "form",
            Refusal::Mismatch(_) => "mismatch",
            Refusal::Signature(_) => "signature",
            Refusal::Key(_) => "key",
            Refusal::Held(_) => "held",
            Refusal::Clock(_) => "clock",
            Refusal::Expired(_) => "expired",
            Refusal::Scope(_) => "scope",
            Refusal::OldSerial { .. } => "old-serial",
            Refusal::Equivocation(_) => "equivocation",
            Refusal::Limit(_) => "limit",
            Refusal::Digest(_) => "digest",
            Refusal::Content(_) => "content",
            Refusal::Lagging(_) => "lagging",
            Refusal::Peer(_) => "peer",
            Refusal::Client(error) => error.reason(),
            Refusal::Store(_) => "store",
            Refusal::Pool(_) | Refusal::Defect(_) => "defect",
        }
    }

    /// Whether the peer gave no answer, rather than a wrong one.
    pub fn is_absence(&self) -> bool {
        match self {
            Refusal::Client(
                PeerError::Transport { .. } | PeerError::Timeout { .. } | PeerError::Slow { .. },
            ) => true,
            Refusal::Client(PeerError::Status { status, .. }) => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// The reason as it is shown.
    pub fn reason(&self) -> Reason {
        Reason {
            code: self.code().to_owned(),
            detail: self.to_string(),
        }
    }
}
