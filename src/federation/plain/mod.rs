//! Plain peers: ALTO servers that know nothing of federations (RFC 7285).
//!
//! [`fetch`] reads a server's directory, chooses a network map and the
//! numerical cost maps over it (`choice`), reads those with suspicion (`read`),
//! and makes a domain's view of them. What did not change costs a `304`, or the
//! same bytes again where the server has no entity tags.

mod choice;
mod documents;
mod fetch;
mod links;
mod read;

pub use fetch::{Fetched, Plain, PlainSettings, fetch};
pub use links::{Links, digest, links};
pub use read::pid_under;
