//! What is published: views, their resources, and the answers made from them.
//!
//! A [`Snapshot`] holds every [`View`]; a view holds a network map, its costs
//! and properties, and the [`Catalog`] of the resources a client can ask for.
//! All of it is immutable and does no I/O: an answer is a function of a view
//! and a request.

mod access;
mod across;
mod catalog;
mod composed;
mod costs;
mod directory;
mod endpoint;
mod filter;
mod grid;
mod history;
mod meta;
mod name;
mod network;
mod offer;
mod onward;
mod patch;
mod plan;
mod properties;
mod query;
mod rank;
mod rendering;
mod routes;
mod rule;
mod snapshot;
mod table;
mod view;
mod work;

pub use access::Access;
pub use across::Across;
pub use catalog::{Catalog, Kind, Resource, Version};
pub use composed::{Composed, Inside};
pub use costs::Costs;
pub use directory::directory;
pub use history::{History, HistoryLimits, Item};
pub use name::ViewName;
pub use network::{Lookup, NetworkMap};
pub use offer::{Offer, about_length};
pub use patch::{Change, Form, Patch};
pub use plan::{Border, Crossing, Hop, Path, PathSearch, Plan, PlannedDomain};
pub use properties::Properties;
pub use query::{Query, QueryError};
pub use rendering::Rendering;
pub use routes::{Routes, RoutesFrom};
pub use rule::Rule;
pub use snapshot::Snapshot;
pub use view::{Origin, View};
pub use work::{Exceeded, Work, WorkLimits};
