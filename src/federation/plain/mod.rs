//! Plain peers: ALTO servers that know nothing of federations (RFC 7285).
//!
//! [`fetch`] reads a server's directory, chooses a network map and the
//! numerical cost maps over it (`choice`), reads those with suspicion (`read`),
//! and makes a domain's view of them. What did not change costs a `304`, or the
//! same bytes again where the server has no entity tags. Where the server offers
//! to push all of that, `follow` has what changes come by itself. What joins several
//! domains is no domain (`kind`).

mod choice;
mod documents;
mod fetch;
mod follow;
mod keep;
mod kind;
mod links;
mod read;

pub use fetch::{Fetched, Plain, PlainSettings, fetch};
pub(super) use fetch::{Seen, fetch_pushed, says};
pub(super) use follow::Following;
pub(super) use keep::{amount, copy, keep, written};
pub use links::{Links, digest, links};
pub use read::pid_under;
