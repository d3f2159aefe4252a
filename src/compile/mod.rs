//! From facts and policy to views. Everything here is pure.
//!
//! [`Facts`] are what the sources of our own domain state. [`NetworkUnion`]
//! joins what they say of PIDs and prefixes; [`domain_view`] makes the domain's
//! view of it, and [`merged_view`] joins the views of domains, each with its
//! interconnects, under a [`MergePolicy`]. What did not
//! change is shared with the former result, by `Arc`.

mod claims;
mod compose;
mod conflict;
mod costs;
mod domain;
mod facts;
mod interconnects;
mod links;
mod measures;
mod merge_conflict;
mod merge_domain;
mod merged_network;
mod merged_properties;
mod metrics;
mod pids;
mod policy;
mod prefixes;
mod properties;
mod property_claims;
mod room;
mod routes;
mod space;
#[cfg(test)]
mod tests;

pub use compose::{Merged, merged_view};
pub use conflict::Conflicts;
pub use costs::union_costs;
pub use domain::{Compiled, domain_view};
pub use facts::{Facts, Interconnect, Interconnects, Policy, SourceFacts, Stated};
pub use interconnects::union_interconnects;
pub use merge_conflict::MergeConflicts;
pub use merge_domain::Domain;
pub use pids::NetworkUnion;
pub use policy::{DomainPolicy, MergePolicy};
pub use properties::union_properties;
