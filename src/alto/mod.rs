//! The wire vocabulary of the ALTO RFCs, one file per noun.
//!
//! Each type is read straight from JSON into the form that the node computes with, and written
//! straight from that form as canonical JSON ([`canonical`]). [`json`] does the reading and
//! locates every fault. Server and client share all of it.

pub mod canonical;
pub mod condition;
pub mod cost;
pub mod endpoint;
pub mod error;
pub mod guard;
pub mod ird;
pub mod json;
pub mod media;
pub mod meta;
pub mod network;
pub mod patch;
pub mod property;
pub mod query;
pub mod tips;
pub mod update;
