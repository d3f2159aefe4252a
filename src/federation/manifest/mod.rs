//! Manifests: what a domain's view consists of, signed by its origin.
//!
//! An origin signs its manifest (`sign`, `key`) and relays pass it on unchanged (`document`).
//! `trust` decides whose key counts, `marks` remembers the newest serial under each key,
//! `validity` defines how long a manifest counts, and `publisher` signs ours.

mod document;
mod key;
mod marks;
mod publisher;
mod received;
mod sign;
mod statement;
#[cfg(test)]
mod tests;
mod trust;
mod validity;

pub(super) use document::{content_digest, interconnects, read_kept};
pub use key::{InvalidKey, KeyError, KeySettings, Keyring, OldKey, PublicKey, SigningKey};
pub(super) use marks::{Mark, MarkName, Marks, Worth};
pub(super) use publisher::Publisher;
pub use publisher::{Issued, IssuedManifests, OwnDomain};
#[cfg(test)]
pub(super) use received::Highest;
pub(super) use received::{Received, Reception};
#[cfg(test)]
pub(super) use sign::Compact;
pub(super) use sign::JwsError;
pub(super) use statement::resources;
#[cfg(test)]
pub(super) use statement::{Signed, Statement};
pub use trust::Signer;
pub(super) use trust::{KeySet, KnownKeys, Via};
pub use validity::VALID_FOR;
