//! The federation: the domains of others become views beside ours, and ours goes
//! out to them.
//!
//! [`Federation`] (`service`) runs all of it. A task for each peer (`peer`) reads that
//! peer with suspicion: by signed manifests (`manifest`) where it has them, as a plain
//! ALTO server (`plain`) where not, and follows what changes on its update stream. Of
//! each domain that a peer passes there is a copy (`copies`); the best copy of a domain
//! is used for as long as it counts. What changes too much at once is held, and the
//! last good stays in use.
//!
//! What a peer can cause is bounded: refusals are remembered, readings and changes are
//! paced, and each peer has a share of keys and serials, of memory, of the disk and of
//! the room for what is not used yet.
//!
//! In the other direction `manifest/publisher` signs what our domain states, and
//! `export` decides who may see what.

mod copies;
mod export;
mod import_error;
mod manifest;
mod peer;
pub mod plain;
mod rejections;
mod service;
mod settings;
mod shared;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use copies::{Amount, DomainCopy, Imports, Restoring, SignedManifest};
pub use export::{Blob, Passed};
pub use import_error::ImportError;
pub use manifest::{
    InvalidKey, Issued, IssuedManifests, KeyError, KeySettings, Keyring, OldKey, OwnDomain,
    PublicKey, Signer, SigningKey, VALID_FOR,
};
pub use service::{Federation, Incomplete, StartError};
pub use settings::{
    Domains, ExportSettings, ImportSettings, Limits, OwnSettings, PeerSettings, PlainInterconnect,
    Protocol, RefreshSettings, Settings,
};
