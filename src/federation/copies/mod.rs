//! What peers pass to us: of each domain a copy by each peer that passes it.
//!
//! The documents that a manifest names become a domain's view (`import`). [`Copies`]
//! has all copies and says which is used (`choice`) and for how long, and what is refused
//! or held (`refused`, `held`); each copy is charged to its peer (`budget`). `archive`
//! keeps them on the disk, from where they are restored at a start (`restore`).

mod amount;
mod archive;
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
pub(super) use archive::{Archive, Kept, NewCopy, PeerRow};
pub(super) use copy::CopyName;
pub use copy::{DomainCopy, Imports, SignedManifest};
pub(super) use held::{HeldChange, Now};
pub(super) use holdings::Holding;
pub(super) use import::{
    Former, Import, Parts, assemble, check_costs, count, import, network_of, square,
};
pub(super) use refused::Refused;
pub use restore::Restoring;
pub(super) use restore::restore;
#[cfg(test)]
pub(super) use table::LONGEST_LOOK;
pub(super) use table::{Before, Copies};
