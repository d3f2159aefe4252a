//! Compiles facts and policy into views. Everything here is pure.
//!
//! [`Facts`](crate::facts::Facts) are what the sources of our own domain state. [`NetworkUnion`]
//! joins their PIDs and prefixes, and [`domain_view`] compiles the view of the domain.
//! [`merged_view`] joins the views of domains, each with its interconnects, under a
//! [`MergePolicy`]. What did not change is shared with the former result, by `Arc`.

mod completion;
mod merge;
mod own;
mod status;

pub use merge::{Domain, DomainPolicy, MergeConflicts, MergePolicy, Merged, merged_view};
pub use own::{Compiled, Conflicts, NetworkUnion, domain_view, union_document};
pub use status::Status;
