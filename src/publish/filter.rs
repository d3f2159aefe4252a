//! Filtered maps: RFC 7285 §11.3 and RFC 8189 §4.1.

use std::borrow::Cow;

use crate::alto::meta::CostType;
use crate::alto::network::{NetworkMapFilter, write_groups};
use crate::alto::query::{CostMapFilter, CostSelection};
use crate::ident::{Family, PidName};
use crate::net::PidIndex;

use super::grid::{Grid, Layers};
use super::rendering::write_vtag;
use super::selection::select;
use super::view::View;

/// The PIDs and families that a filter of a network map leaves.
pub(super) struct Filtered {
    /// The indices of the PIDs.
    pub(super) pids: Vec<u32>,
    pub(super) families: Vec<Family>,
}

/// What a filter leaves of a view's network map. Names that no PID has, and
/// address types that are not ours, are ignored.
pub(super) fn filtered(view: &View, filter: &NetworkMapFilter<'_>) -> Filtered {
    let known = |text: &Cow<'_, str>| Family::parse(text);
    Filtered {
        pids: indices(view.network().pids(), &filter.pids),
        families: match filter.address_types.is_empty() {
            true => Family::ALL.to_vec(),
            false => filter.address_types.iter().filter_map(known).collect(),
        },
    }
}

/// The body of a filtered network map; PIDs left without a prefix stay.
pub fn filtered_network_map(view: &View, filter: &NetworkMapFilter<'_>) -> Vec<u8> {
    let mut out = b"{\"meta\":{\"vtag\":".to_vec();
    write_vtag(&mut out, &view.vtag());
    out.extend_from_slice(b"},\"network-map\":");
    let Filtered { pids, families } = filtered(view, filter);
    let network = view.network();
    let member = |&index: &u32| network.pids().name(index).zip(network.group(index));
    write_groups(&mut out, pids.iter().filter_map(member), &families);
    out.push(b'}');
    out
}

/// The costs of a filtered cost map.
pub(super) fn filtered_costs<'v>(
    view: &'v View,
    filter: &CostMapFilter<'_>,
    selection: &CostSelection,
) -> Grid<'v> {
    let pids = view.network().pids();
    let (srcs, dsts) = match &filter.pids {
        Some(pair) => (indices(pids, &pair.srcs), indices(pids, &pair.dsts)),
        None => (indices(pids, &[]), indices(pids, &[])),
    };
    let name = |&index: &u32| pids.name(index).map_or("", PidName::as_str);
    let names = |indices: &[u32]| indices.iter().map(name).collect();
    Grid {
        srcs: names(&srcs),
        dsts: names(&dsts),
        layers: Layers::Selected(select(view, selection, &srcs, &dsts)),
        multi: selection.multi,
    }
}

/// The body of a filtered cost map.
pub fn filtered_cost_map(
    view: &View,
    filter: &CostMapFilter<'_>,
    selection: &CostSelection,
) -> Vec<u8> {
    let mut out = b"{\"cost-map\":".to_vec();
    filtered_costs(view, filter, selection).write(&mut out);
    out.extend_from_slice(b",\"meta\":{");
    write_cost_type(&mut out, selection);
    out.extend_from_slice(b",\"dependent-vtags\":[");
    write_vtag(&mut out, &view.vtag());
    out.push(b']');
    write_multi_cost_types(&mut out, selection);
    out.extend_from_slice(b"}}");
    out
}

/// The indices of these names, sorted, each once; of all PIDs for an empty
/// list, of none if no PID has any of the names.
fn indices(pids: &PidIndex, names: &[Cow<'_, str>]) -> Vec<u32> {
    if names.is_empty() {
        return (0..u32::try_from(pids.len()).unwrap_or(u32::MAX)).collect();
    }
    let mut indices: Vec<u32> = names.iter().filter_map(|name| pids.get(name)).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// Writes the member `cost-type`, which is an empty object for a multi-cost
/// query (RFC 8189 §4.1.3).
pub(super) fn write_cost_type(out: &mut Vec<u8>, selection: &CostSelection) {
    out.extend_from_slice(b"\"cost-type\":");
    match selection.wanted.first() {
        Some(cost_type) if !selection.multi => cost_type.write(out),
        _ => out.extend_from_slice(b"{}"),
    }
}

/// Writes the member `multi-cost-types`, with the separator that precedes it,
/// for a multi-cost query.
pub(super) fn write_multi_cost_types(out: &mut Vec<u8>, selection: &CostSelection) {
    if !selection.multi {
        return;
    }
    out.extend_from_slice(b",\"multi-cost-types\":");
    let write = |out: &mut Vec<u8>, (i, cost_type): (usize, &CostType)| {
        out.push(if i == 0 { b'[' } else { b',' });
        cost_type.write(out);
    };
    selection
        .wanted
        .iter()
        .enumerate()
        .for_each(|item| write(out, item));
    out.push(b']');
}
