//! Compiles the facts of our own domain into its view.

mod conflict;
mod costs;
mod interconnects;
mod network;
mod properties;
mod union;
mod view;

pub use conflict::Conflicts;
pub use network::NetworkUnion;
pub use union::union_document;
pub use view::{Compiled, domain_view};
