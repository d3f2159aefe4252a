//! The wire vocabulary of the ALTO RFCs, one file per noun.
//!
//! Each noun is read straight from JSON into what the node computes with, and
//! written straight from it in canonical form ([`canonical`]); [`json`] does the
//! reading and locates every fault. Server and client share it all.

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
