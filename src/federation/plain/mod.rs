//! Plain peers: ALTO servers that know nothing of federations (RFC 7285).
//!
//! [`fetch`] reads a server's directory, chooses a network map and the numerical cost maps over
//! it (`choice`), and reads those without trusting them (`read`); they make the view of a domain
//! (`domain`). What did not change costs a `304`, or the same bytes again if the server has no
//! entity tags. If the server offers to push all of these maps, `follow` receives their changes.
//! A map that joins several domains is refused (`kind`).

mod choice;
mod copy;
mod documents;
mod domain;
mod fetch;
mod follow;
mod keep;
mod kind;
mod links;
mod read;

pub(super) use copy::{copy, copy_of};
pub(super) use domain::Seen;
pub use domain::{Plain, PlainSettings};
pub use fetch::{Fetched, fetch};
pub(super) use fetch::{fetch_pushed, says};
pub(super) use follow::Following;
pub(super) use keep::written;
pub use links::{Links, digest, links};
pub use read::pid_under;
