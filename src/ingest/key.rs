//! The idempotency key of a request.

use crate::ident::{Digest, Sha256, SourceName};

/// The key of a request, and a mark of the request it was given with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who gave it, and whose share it is of.
    pub principal: SourceName,
    /// Of the principal and the key's text.
    pub key: Digest,
    /// Of everything the request asks.
    pub request: Digest,
}

impl IdempotencyKey {
    /// The key `text` of `principal` for a request of these parts.
    pub fn new(principal: &SourceName, text: &str, request: &[&[u8]]) -> Self {
        Self {
            principal: principal.clone(),
            key: digest(&[principal.as_str().as_bytes(), text.as_bytes()]),
            request: digest(request),
        }
    }
}

/// A digest of byte strings that tells where each ends.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finish()
}
