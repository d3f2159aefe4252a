//! What is published: views, their resources, and the answers about them.
//!
//! A [`Snapshot`] holds every [`View`]; a view holds a network map, its costs
//! and properties, and the [`Catalog`] of the resources that clients can ask for.
//! All of it is immutable and does no I/O: an answer is a function of a view
//! and a request.

mod catalog;
mod costs;
mod directory;
mod endpoint;
mod grid;
mod history;
mod name;
mod network;
mod offer;
mod properties;
mod query;
mod rendering;
mod snapshot;
mod view;
mod work;

pub use catalog::{Catalog, Kind, Resource, ResourceMarks};
pub use costs::Costs;
pub use directory::directory;
pub use grid::{Change, Form, Patch};
pub use history::{History, HistoryLimits, Item};
pub use name::ViewName;
pub use network::{Lookup, NetworkMap};
pub use offer::{Offer, about_length};
pub use properties::Properties;
pub use query::{Query, QueryError};
pub use rendering::Rendering;
pub use snapshot::Snapshot;
pub use view::{Origin, View};
pub use work::{Exceeded, Work, WorkLimits};
