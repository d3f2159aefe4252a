//! The federation: domains of others become views beside ours, and ours goes
//! out to them.
//!
//! A [`Federation`] runs all of it. A task for each peer (`peer`) reads it with
//! suspicion: by signed manifests (`sync`) where it has them, as a plain ALTO
//! server (`plain`) where not; what changes comes on its update stream
//! (`pushed`, `plain`). A manifest says what a domain's view is made of
//! (`manifest`); its origin signs it (`jws`, `key`), relays pass it on as it is,
//! and `trust` decides whose key counts. What it names is read whole or not at
//! all (`import`). Of several copies of a domain the best is used (`copy`,
//! `copies`), for as long as it counts; `archive` and `restore` carry it over a
//! restart, which waits for none of it. What changes too much at once is `held`,
//! and the last good stays in use (`braking`).
//!
//! What a peer could have us do without end is bounded: what is refused is
//! remembered (`refused`), readings and changes that it causes are paced (`pace`),
//! of keys and serials it has a share (`marks`), and so it has of memory and of the
//! disk (`budget`), and of the room for what is not used yet (`pending`).
//!
//! In the other direction `own` signs what our domain says, and `export` knows
//! who may see what.

mod amount;
mod archive;
mod braking;
mod budget;
mod copies;
mod copy;
mod export;
mod held;
mod holdings;
mod import;
mod jws;
mod key;
mod manifest;
mod marks;
mod nudge;
mod own;
mod pace;
mod peer;
mod pending;
pub mod plain;
mod pushed;
mod refusal;
mod refused;
mod restore;
mod run;
mod settings;
mod shared;
mod sync;
mod trust;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use amount::Amount;
pub use copy::{DomainCopy, Imported, Imports, SignedManifest};
pub use export::{Blob, Passed};
pub use key::{InvalidKey, KeyError, KeySettings, Keyring, OldKey, PublicKey, SigningKey};
pub use own::{Issued, IssuedManifests, OwnDomain};
pub use refusal::Refusal;
pub use restore::Restoring;
pub use run::{Federation, Incomplete, StartError};
pub use settings::{
    Domains, ExportSettings, ImportSettings, Limits, OwnSettings, PeerSettings, PlainInterconnect,
    Protocol, RefreshSettings, Settings,
};
pub use trust::Signer;

/// How long a manifest counts after it was signed.
pub const VALID_FOR: Duration = Duration::from_secs(6 * 60 * 60);
