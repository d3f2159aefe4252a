//! Facts: what the sources of our own domain state.

mod interconnects;
mod source;

pub use interconnects::{Interconnect, Interconnects};
pub use source::{Facts, Policy, SourceFacts, Stated};
