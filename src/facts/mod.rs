//! Facts: what the sources of our own domain state.
//!
//! A source states documents, each at its path ([`DocumentPath`]), of a few kinds. All that is
//! to be known of a kind is in one file: where its documents are, how they are read, edited and
//! written, which PIDs they name, and what the API says of them. The table at the end of this file
//! lists the kinds. What handles documents (`ingest`, the handlers of the network-to-server API
//! and its description) goes over the table and knows no kind by name, except that the network
//! map says which PIDs there are. `compile` reads the content, and so does what brakes sources.
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
use crate::alto::network::Groups;
use crate::alto::property::PropertyMap;
use crate::ident::MetricName;

use kind::{Content, Kind};

pub use document::Text;
pub use interconnects::{Interconnect, Interconnects};
pub use kind::{About, EditKind, NameOf};
pub use limits::{Limits, Reader};
pub use network::{GroupPatch, NetworkEdit, Prefixes};
pub use source::{Facts, Policy, SourceFacts, Stated};

table::kinds! {
    /// PIDs and their prefixes.
    Network => Groups;
    /// Costs in a metric.
    Costs(metric: MetricName) => CostTable;
    /// Properties of entities.
    Properties => PropertyMap;
    /// Links to other domains.
    Interconnects => Interconnects;
}
