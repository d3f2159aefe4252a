//! altofed.
#![forbid(unsafe_code)]

pub mod ident;
pub mod net;
