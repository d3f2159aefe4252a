//! Facts: what the sources of our own domain state.
//!
//! A source states documents of a few kinds, each at its path ([`DocumentPath`]). A kind is one
//! file: it says where its documents are, how they are read, edited and written, which PIDs they
//! name, and how the API describes them. The table at the end of this file lists the kinds.
//! Everything that handles documents (`ingest`, the handlers of the network-to-server API, its
//! OpenAPI description) uses the table and no particular kind, except that the network map
//! defines which PIDs exist. Only `compile` and the brake on sources read the content.
//!
//! - `source`: [`Facts`], and what one source states
//! - `kind`: the trait of a kind, and what is known of it
//! - `network`, `costs`, `properties`, `interconnects`: the kinds
//! - `document`: the text and the stored form of a document
//! - `limits`, `reading`, `merge`, `rows`: what the kinds share

mod costs;
mod document;
mod interconnects;
mod kind;
mod limits;
mod merge;
mod network;
mod properties;
mod reading;
mod rows;
mod source;
mod table;

use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::alto::json::{Faults, Step};
use crate::alto::property::PropertyMap;
use crate::ident::MetricName;

use kind::{Content, Kind};

pub use document::Text;
pub use interconnects::{Interconnect, Interconnects};
pub use kind::{Description, EditKind, NameDescription};
pub use limits::{Limits, Reader};
pub use network::{GroupPatch, NetworkEdit, NetworkPatch, Prefixes, StatedNetwork};
pub use source::{Facts, Policy, SourceFacts, Stated};

table::kinds! {
    /// PIDs and their prefixes.
    Network => StatedNetwork;
    /// Costs in a metric.
    Costs(metric: MetricName) => CostTable;
    /// Properties of entities.
    Properties => PropertyMap;
    /// Links to other domains.
    Interconnects => Interconnects;
}
