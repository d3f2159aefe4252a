//! From facts and policy to views. Everything here is pure.
//!
//! [`Facts`] are what the sources of our own domain state. [`NetworkUnion`]
//! joins what they say of PIDs and prefixes; [`domain_view`] makes the domain's
//! view of it, and [`merged_view`] joins the views of domains. What did not
//! change is shared with the former result, by `Arc`.

mod compose;
mod conflict;
mod costs;
mod domain;
mod facts;
mod interconnects;
mod pids;
mod properties;

pub use compose::{Merged, merged_view};
pub use conflict::{Conflict, ConflictKind, Conflicts};
pub use costs::union_costs;
pub use domain::{Compiled, domain_view};
pub use facts::{Facts, Interconnect, Interconnects, Policy, Relationship, SourceFacts, Stated};
pub use interconnects::union_interconnects;
pub use pids::NetworkUnion;
pub use properties::union_properties;
