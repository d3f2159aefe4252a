//! altofed.
#![forbid(unsafe_code)]

pub mod alto;
pub mod api;
pub mod auth;
pub mod cli;
pub mod client;
pub mod compile;
pub mod config;
pub mod demo;
pub mod http;
pub mod ident;
pub mod ingest;
pub mod net;
pub mod node;
pub mod publish;
pub mod runtime;
pub mod store;
