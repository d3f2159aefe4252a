//! Documents of the node's own APIs: what they look like, no logic.
//!
//! The network-to-server API's documents ([`n2s`]), the server-to-server API's
//! ([`s2s`]), problem details ([`problem`]), and what several of them have
//! ([`conflict`], [`difference`], [`interconnect`]). Whoever makes the content of
//! one imports its types; the OpenAPI description is generated from them.

pub mod conflict;
pub mod difference;
pub mod explain;
pub mod interconnect;
pub mod n2s;
pub mod problem;
pub mod s2s;
