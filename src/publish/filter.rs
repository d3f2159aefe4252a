//! Filtered maps: RFC 7285 §11.3 and RFC 8189 §4.1.

use std::borrow::Cow;

use crate::alto::cost::GridWriter;
use crate::alto::meta::CostType;
use crate::alto::network::{NetworkMapFilter, write_groups};
use crate::alto::query::{CostMapFilter, CostSelection};
use crate::ident::{Family, PidName};
use crate::net::PidIndex;

use super::rendering::write_vtag;
use super::selection::{Selected, select};
use super::view::View;

/// The body of a filtered network map. Names that no PID has, and address
/// types that are not ours, are ignored; PIDs left without a prefix stay.
pub fn filtered_network_map(view: &View, filter: &NetworkMapFilter<'_>) -> Vec<u8> {
    let mut out = b"{\"meta\":{\"vtag\":".to_vec();
    write_vtag(&mut out, &view.vtag());
    out.extend_from_slice(b"},\"network-map\":");
    let families: Vec<Family> = match filter.address_types.is_empty() {
        true => Family::ALL.to_vec(),
        false => filter
            .address_types
            .iter()
            .filter_map(|text| Family::parse(text))
            .collect(),
    };
    let network = view.network();
    let indices = indices(network.pids(), &filter.pids);
    let member = |&index: &u32| network.pids().name(index).zip(network.group(index));
    write_groups(&mut out, indices.iter().filter_map(member), &families);
    out.push(b'}');
    out
}

/// The body of a filtered cost map.
pub fn filtered_cost_map(
    view: &View,
    filter: &CostMapFilter<'_>,
    selection: &CostSelection,
) -> Vec<u8> {
    let pids = view.network().pids();
    let (srcs, dsts) = match &filter.pids {
        Some(pair) => (indices(pids, &pair.srcs), indices(pids, &pair.dsts)),
        None => (indices(pids, &[]), indices(pids, &[])),
    };
    let selected = select(view, selection, &srcs, &dsts);
    let mut out = b"{\"cost-map\":".to_vec();
    let name = |&index: &u32| pids.name(index).map_or("", PidName::as_str);
    let names = |indices: &[u32]| indices.iter().map(name).collect::<Vec<_>>();
    write_grid(&mut out, selection, &selected, &names(&srcs), &names(&dsts));
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

/// Writes the data member's value: scalars, or arrays for a multi-cost query.
pub(super) fn write_grid(
    out: &mut Vec<u8>,
    selection: &CostSelection,
    selected: &Selected,
    srcs: &[&str],
    dsts: &[&str],
) {
    let mut grid = GridWriter::new(dsts.iter().copied());
    for (row, src) in srcs.iter().enumerate() {
        let mut layers = selected.row(row);
        if selection.multi {
            grid.row_of_arrays(out, src, &layers.collect::<Vec<_>>());
        } else if let Some(costs) = layers.next() {
            grid.row(out, src, costs);
        }
    }
    grid.finish(out);
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
