//! Manifests: what a domain's view is made of, signed by its origin.
//!
//! An origin signs its manifest (`sign`, `key`) and relays pass it on unchanged
//! (`document`). `trust` decides whose key counts, `marks` remembers the newest serial
//! under each key, `validity` says for how long a manifest counts, and `publisher` signs
//! ours.

mod document;
mod key;
mod marks;
mod publisher;
mod sign;
mod trust;
mod validity;

#[cfg(test)]
pub(super) use document::{Highest, Signed, Statement};
pub(super) use document::{
    Received, Reception, content_digest, interconnects, read_kept, resources,
};
pub use key::{InvalidKey, KeyError, KeySettings, Keyring, OldKey, PublicKey, SigningKey};
pub(super) use marks::{Mark, MarkName, Marks, Worth};
pub(super) use publisher::Publisher;
pub use publisher::{Issued, IssuedManifests, OwnDomain};
#[cfg(test)]
pub(super) use sign::Compact;
pub(super) use sign::JwsError;
pub use trust::Signer;
pub(super) use trust::{KeySet, KnownKeys, Via};
pub use validity::VALID_FOR;
