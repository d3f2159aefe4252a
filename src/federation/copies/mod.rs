//! The copies of domains that peers pass on to us: one for each domain and each peer that passes
//! it on.
//!
//! The documents that a manifest names become the view of a domain (`import`). [`Copies`] has
//! all copies, and decides which is used (`choice`) and for how long. It also has what is
//! refused (`refused`) or held (`held`). Each copy is charged to its peer (`budget`). `archive`
//! keeps the copies on the disk, from where a start restores them; `restoring` is the progress.

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
mod restoring;
mod table;

pub use amount::Amount;
pub(super) use archive::{Archive, Kept, KeptCopy, NewCopy, PeerRow};
pub(super) use budget::{Claim, over};
pub(super) use copy::CopyName;
pub use copy::{DomainCopy, Imports, SignedManifest};
pub(super) use held::{HeldChange, Now};
pub(super) use holdings::Holding;
pub(super) use import::{
    Former, Import, Parts, assemble, check_costs, count, import, is_part, network_of, square,
};
pub(super) use refused::Refused;
pub use restoring::Restoring;
#[cfg(test)]
pub(super) use table::LONGEST_LOOK;
pub(super) use table::{Before, Copies};
