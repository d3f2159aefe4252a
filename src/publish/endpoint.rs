//! The endpoint services: RFC 7285 §11.4 and §11.5, RFC 8189 §4.2.

use std::net::IpAddr;

use crate::alto::canonical::write_string;
use crate::alto::endpoint::EndpointPropertyParams;
use crate::alto::error::AltoError;
use crate::alto::network::write_member_name;
use crate::alto::query::{CostSelection, Endpoint, EndpointCostParams};
use crate::ident::TypedAddress;

use super::filter::{write_cost_type, write_grid, write_multi_cost_types};
use super::rendering::write_vtag;
use super::selection::select;
use super::view::View;

/// The body of an endpoint cost answer. An empty list of sources or
/// destinations stands for `client`, the address the request came from.
///
/// # Errors
/// Both lists are empty (RFC 7285 §11.5.1.3).
pub fn endpoint_costs(
    view: &View,
    params: &EndpointCostParams<'_>,
    selection: &CostSelection,
    client: IpAddr,
) -> Result<Vec<u8>, AltoError> {
    let (srcs, dsts) = (&params.endpoints.srcs, &params.endpoints.dsts);
    if srcs.is_empty() && dsts.is_empty() {
        return Err(AltoError::invalid_value("endpoints", "{}"));
    }
    let address = TypedAddress(client);
    let itself = [Endpoint {
        text: address.to_string().into(),
        address,
    }];
    let side = |list| sorted(view, list);
    let (src_names, src_pids) = side(if srcs.is_empty() { &itself } else { srcs });
    let (dst_names, dst_pids) = side(if dsts.is_empty() { &itself } else { dsts });
    let selected = select(view, selection, &src_pids, &dst_pids);
    let mut out = b"{\"endpoint-cost-map\":".to_vec();
    write_grid(&mut out, selection, &selected, &src_names, &dst_names);
    out.extend_from_slice(b",\"meta\":{");
    write_cost_type(&mut out, selection);
    write_multi_cost_types(&mut out, selection);
    out.extend_from_slice(b"}}");
    Ok(out)
}

/// Endpoints by their text, in canonical order and each once, and their PIDs.
fn sorted<'e>(view: &View, endpoints: &'e [Endpoint<'_>]) -> (Vec<&'e str>, Vec<u32>) {
    let network = view.network();
    let pid = |endpoint: &Endpoint<'_>| network.pid_of(endpoint.address.0).unwrap_or(u32::MAX);
    let mut list: Vec<(&str, u32)> = endpoints
        .iter()
        .map(|endpoint| (endpoint.text.as_ref(), pid(endpoint)))
        .collect();
    list.sort_unstable();
    list.dedup_by_key(|(text, _)| *text);
    list.into_iter().unzip()
}

/// The body of an endpoint property answer: `<id of the network map>.pid` and
/// the properties that were stated, each left out where it has no value.
///
/// # Errors
/// A property is none of this view's (RFC 7285 §11.4.1.3).
pub fn endpoint_properties(
    view: &View,
    params: &EndpointPropertyParams<'_>,
) -> Result<Vec<u8>, AltoError> {
    let pid_property = pid_property(view);
    let mut names: Vec<&str> = params.properties.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.dedup();
    let known = |name: &str| name == pid_property || view.properties().names().contains(name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(AltoError::invalid_value("properties", *unknown));
    }
    let value = |addr: IpAddr, name: &str| match name == pid_property {
        true => {
            let pid = view.network().pid_of(addr)?;
            view.network().pids().name(pid).map(|pid| pid.as_str())
        }
        false => view.properties().get(addr, name),
    };
    let mut endpoints: Vec<&Endpoint<'_>> = params.endpoints.iter().collect();
    endpoints.sort_unstable_by(|a, b| a.text.cmp(&b.text));
    endpoints.dedup_by(|a, b| a.text == b.text);
    let mut out = b"{\"endpoint-properties\":".to_vec();
    for (i, endpoint) in endpoints.into_iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        write_member_name(&mut out, &endpoint.text);
        out.push(b'{');
        let values = names
            .iter()
            .filter_map(|name| Some((name, value(endpoint.address.0, name)?)));
        for (i, (name, value)) in values.enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            write_member_name(&mut out, name);
            write_string(&mut out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"meta\":{\"dependent-vtags\":[");
    if names.contains(&pid_property.as_str()) {
        write_vtag(&mut out, &view.vtag());
    }
    out.extend_from_slice(b"]}}");
    Ok(out)
}

/// The resource-specific property that tells an endpoint's PID (RFC 7285
/// §7.1.1, §10.8.1).
pub(super) fn pid_property(view: &View) -> String {
    format!("{}.pid", view.network_id())
}
