//! What peers pass to us: of each domain a copy by each peer that passes it.
//!
//! A manifest names documents, which become a domain's view (`import`); what changes
//! too much at once is held (`braking`, `held`). [`Copies`] has all of them and says
//! which is used (`choice`) and for how long; each is charged to its peer (`budget`,
//! `charges`). `archive` keeps them on the disk, from where they are restored at a
//! start (`restore`).

mod amount;
mod archive;
mod braking;
mod budget;
mod choice;
mod copy;
mod had;
mod held;
mod holdings;
mod import;
mod peer;
mod refused;
mod restore;
mod table;

pub use amount::Amount;
pub(super) use archive::{Archive, Kept, PeerRow};
pub(super) use braking::Outcome;
pub(super) use copy::CopyName;
pub use copy::{DomainCopy, Imports, SignedManifest};
pub(super) use holdings::Stated;
pub(super) use import::{
    Former, Import, Parts, assemble, check_costs, count, import, network_of, square,
};
pub(super) use refused::Refused;
pub use restore::Restoring;
pub(super) use restore::restore;
pub(super) use table::Copies;
#[cfg(test)]
pub(super) use table::LONGEST_LOOK;
