//! The documents of the node's own APIs: their form, without logic.
//!
//! They are the documents of the network-to-server API ([`n2s`]), those of the server-to-server
//! API ([`s2s`]), problem details ([`problem`]), and parts that several of them share
//! ([`conflict`], [`difference`], [`interconnect`]). Modules that make the content of a document
//! import its types; the OpenAPI description is generated from them.

pub mod conflict;
pub mod difference;
pub mod explain;
pub mod interconnect;
pub mod n2s;
pub mod problem;
pub mod s2s;
