//! Compiles the views of domains into the merged view.

mod claims;
mod conflict;
mod domain;
mod holders;
mod interconnects;
mod marks;
mod measures;
mod metrics;
mod network;
mod policy;
mod prefixes;
mod properties;
mod property_claims;
mod room;
mod routes;
mod space;
#[cfg(test)]
mod tests;
mod view;

pub use conflict::MergeConflicts;
pub use domain::Domain;
pub use policy::{DomainPolicy, MergePolicy};
pub use view::{Merged, merged_view};
