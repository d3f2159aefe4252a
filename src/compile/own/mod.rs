//! From the facts of our own domain to its view.

mod conflict;
mod costs;
mod interconnects;
mod network;
mod properties;
mod view;

pub use conflict::Conflicts;
pub use costs::union_costs;
pub use interconnects::union_interconnects;
pub use network::NetworkUnion;
pub use properties::union_properties;
pub use view::{Compiled, domain_view};
