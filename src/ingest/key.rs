//! The idempotency key of a request.

use crate::ident::{Digest, Sha256, SourceName};

/// The idempotency key of a request, and a digest of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The principal that gave it; the key counts towards its share.
    pub principal: SourceName,
    /// The digest of the principal and the text of the key.
    pub key: Digest,
    /// The digest of everything that the request asks for.
    pub request: Digest,
}

impl IdempotencyKey {
    /// Makes the key `text` of `principal` for a request of these parts.
    pub fn new(principal: &SourceName, text: &str, request: &[&[u8]]) -> Self {
        Self {
            principal: principal.clone(),
            key: digest(&[principal.as_str().as_bytes(), text.as_bytes()]),
            request: digest(request),
        }
    }
}

/// Returns the digest of byte strings, which also covers where each of them ends.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finish()
}
