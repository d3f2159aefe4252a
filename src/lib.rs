//! altofed.
#![forbid(unsafe_code)]

pub mod alto;
pub mod compile;
pub mod ident;
pub mod ingest;
pub mod net;
pub mod publish;
pub mod runtime;
