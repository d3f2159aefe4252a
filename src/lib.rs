//! altofed.
#![forbid(unsafe_code)]

pub mod ident;
