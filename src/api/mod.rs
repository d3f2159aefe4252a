//! Documents of the node's own APIs: what they look like, no logic.
//!
//! The network-to-server API's documents ([`n2s`]), the server-to-server API's
//! ([`s2s`]) and problem details ([`problem`]). The OpenAPI description is generated from these types.

pub mod explain;
pub mod n2s;
pub mod problem;
pub mod s2s;
