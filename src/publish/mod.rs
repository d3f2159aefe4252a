//! What is published: views, their resources, and the answers about them.
//!
//! A [`Snapshot`] holds every [`View`]; a view holds its [`Content`], a network map with costs and
//! properties, and the [`Catalog`] of the resources that a client can ask for. Each resource is of
//! one of the services in [`service`], or a [`Transport`]. All of it is immutable and does no I/O:
//! an answer is a function of a view and a request.

mod catalog;
mod content;
mod costs;
mod directory;
mod grid;
mod marks;
mod name;
mod network;
mod properties;
mod push_offer;
mod query;
mod rendering;
pub mod service;
mod snapshot;
mod status;
mod transport;
mod view;
mod work;

#[cfg(test)]
pub(crate) mod testing;

pub use catalog::{Catalog, Resource};
pub use content::{Content, Origin};
pub use costs::Costs;
pub use directory::directory;
pub use grid::{Change, Form, Patch};
pub use marks::ResourceMarks;
pub use name::ViewName;
pub use network::{Lookup, NetworkMap};
pub use properties::Properties;
pub use push_offer::{PushOffer, about_length};
pub use query::Query;
pub use rendering::{Body, Rendering};
pub use service::{Parameters, QueryError, Service};
pub use snapshot::Snapshot;
pub use status::Status;
pub use transport::Transport;
pub use view::View;
pub use work::{Exceeded, Work, WorkLimits};
