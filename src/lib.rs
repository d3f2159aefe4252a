//! altofed.
#![forbid(unsafe_code)]

pub mod alto;
pub mod ident;
pub mod net;
