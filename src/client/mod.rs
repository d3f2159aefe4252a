//! An ALTO client: it starts from the URI of a directory and works against any
//! RFC 7285 server.
//!
//! [`Client`] speaks HTTP within limits; [`Catalog`] is what a directory and
//! all it delegates to offer.

mod catalog;
mod http;
mod query;

pub use catalog::{Catalog, Offer};
pub use http::{Client, ClientError, Options};
pub use query::{CostMap, NetworkMap, Wanted};
