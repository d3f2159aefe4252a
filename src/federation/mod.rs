//! The federation: the domains of others become views beside ours, and ours is exported to them.
//!
//! [`Federation`] (`service`) runs it. A task for each peer (`peer`) reads that peer and trusts
//! nothing that it sends: by signed manifests (`manifest`) if it has them, and as a plain ALTO
//! server (`plain`) if not. For each domain that a peer passes on there is a copy (`copies`);
//! the best copy of a domain is used for as long as it counts.
//!
//! Everything that a peer states passes through three steps:
//!
//! 1. **Obtain.** `peer/reader` polls the list of manifests and `peer/stream` gets them pushed;
//!    `peer/documents` finds the documents that a manifest names. `plain/fetch` asks a plain
//!    server, and `restore` reads at a start what is on the disk.
//! 2. **Judge.** `judge` decides without I/O: who signed a manifest and whether it counts, which
//!    view its documents make, and how much that changes. A plain domain is made in
//!    `plain/domain`. `belief` remembers what a manifest teaches about keys and serials before
//!    the manifest is used.
//! 3. **Admit.** `admit` finds room in the budgets, holds what changes too much at once, and
//!    keeps the rest on the disk before it becomes one of the copies.
//!
//! The load that a peer can cause is bounded: refusals are remembered, readings and changes are
//! paced, and each peer has a share of keys and serials, of memory, of the disk, and of the room
//! for documents that are not used yet.
//!
//! In the other direction `manifest/publisher` signs what our domain states, and
//! `export` decides who may see what.

mod admit;
mod belief;
mod copies;
mod export;
mod import_error;
mod judge;
mod manifest;
mod peer;
pub mod plain;
mod rejections;
mod restore;
mod service;
mod settings;
mod shared;
mod status;

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
pub use status::Status;
