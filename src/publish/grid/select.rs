//! Filtered maps: RFC 7285 §11.3 and RFC 8189 §4.1.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::alto::network::NetworkMapFilter;
use crate::alto::query::{CostMapFilter, CostSelection};
use crate::ident::Family;
use crate::net::PidIndex;

use super::side::Side;
use super::table::Table;
use crate::publish::content::Content;

/// The PIDs and families of a network map that an answer has.
#[derive(Debug)]
pub(in crate::publish) struct Filtered {
    /// The indices of the PIDs, ascending.
    pub(in crate::publish) pids: Vec<u32>,
    /// Each once, in canonical order.
    pub(in crate::publish) families: Vec<Family>,
}

impl Filtered {
    /// The whole network map of a view.
    pub(in crate::publish) fn all(content: &Content) -> Self {
        Self {
            pids: indices(content.network().pids(), &[]),
            families: Family::ALL.to_vec(),
        }
    }

    /// The part of a view's network map that a filter selects. Unknown PIDs and address types are
    /// ignored; PIDs left without a prefix stay.
    pub(in crate::publish) fn new(content: &Content, filter: &NetworkMapFilter<'_>) -> Self {
        let types = &filter.address_types;
        let named = types.iter().filter_map(|text| Family::parse(text));
        let named: BTreeSet<Family> = named.collect();
        let is_asked = |family: &Family| types.is_empty() || named.contains(family);
        Self {
            pids: indices(content.network().pids(), &filter.pids),
            families: Family::ALL.into_iter().filter(is_asked).collect(),
        }
    }
}

/// The costs that a filtered cost map selects.
pub(in crate::publish) fn filtered_costs(
    content: &Content,
    filter: &CostMapFilter<'_>,
    selection: CostSelection,
) -> Table {
    let pids = content.network().pids();
    let (srcs, dsts) = match &filter.pids {
        Some(pair) => (indices(pids, &pair.srcs), indices(pids, &pair.dsts)),
        None => (indices(pids, &[]), indices(pids, &[])),
    };
    Table::new(selection, Side::pids(srcs), Side::pids(dsts))
}

/// The indices of the PIDs with these names, sorted, each once; of all PIDs if the list is empty.
fn indices(pids: &PidIndex, names: &[Cow<'_, str>]) -> Vec<u32> {
    if names.is_empty() {
        return (0..u32::try_from(pids.len()).unwrap_or(u32::MAX)).collect();
    }
    let mut indices: Vec<u32> = names.iter().filter_map(|name| pids.get(name)).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}
