//! ALTO clients: they start from the URI of a directory and work against any
//! RFC 7285 server.
//!
//! [`Client`] serves a person at the command line and goes where it is told;
//! [`PeerClient`] serves the federation, and trusts nothing that it is sent.
//! [`Catalog`] is what a directory and all it delegates to offer.

mod address;
mod catalog;
mod decode;
mod http;
mod path;
mod peer;
mod peer_error;
mod query;
mod tls;

pub use address::{DeniedAddress, Reach};
pub use catalog::{Catalog, Crawl, Offer};
pub use http::{Client, ClientError, Options};
pub use path::path_table;
pub use peer::{Answer, Ask, Document, PeerClient, PeerLimits, PeerOptions};
pub use peer_error::PeerError;
pub use query::{CostMap, NetworkMap, Wanted};
pub use tls::Identity;
