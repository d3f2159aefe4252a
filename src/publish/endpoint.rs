//! The endpoint services: RFC 7285 §11.4 and §11.5, RFC 8189 §4.2.

use std::net::IpAddr;

use crate::alto::canonical::write_string;
use crate::alto::endpoint::EndpointPropertyParams;
use crate::alto::error::AltoError;
use crate::alto::network::write_member_name;
use crate::alto::query::{CostSelection, Endpoint, EndpointCostParams};
use crate::ident::TypedAddress;

use super::filter::{write_cost_type, write_multi_cost_types};
use super::grid::{Grid, Layers};
use super::rendering::write_vtag;
use super::selection::select;
use super::view::View;

/// The most pairs of endpoints one request may ask for: a hundred megabytes of
/// answer.
const MAX_PAIRS: usize = 4_000_000;

/// The client of a request as the endpoint that an empty list stands for.
pub(super) fn itself(client: IpAddr) -> [Endpoint<'static>; 1] {
    let address = TypedAddress(client);
    [Endpoint {
        text: address.to_string().into(),
        address,
    }]
}

/// The costs that the endpoint cost service is asked for. An empty list of
/// sources or destinations stands for `itself`.
///
/// # Errors
/// Both lists are empty (RFC 7285 §11.5.1.3), or there are too many pairs.
pub(super) fn endpoint_grid<'p>(
    view: &View,
    params: &'p EndpointCostParams<'_>,
    selection: &CostSelection,
    itself: &'p [Endpoint<'_>],
) -> Result<Grid<'p>, AltoError> {
    let (srcs, dsts) = (&params.endpoints.srcs, &params.endpoints.dsts);
    if srcs.is_empty() && dsts.is_empty() {
        return Err(AltoError::invalid_value("endpoints", "{}"));
    }
    if srcs.len().saturating_mul(dsts.len()) > MAX_PAIRS {
        let pairs = format!("{} × {}", srcs.len(), dsts.len());
        return Err(AltoError::invalid_value("endpoints", pairs));
    }
    let side = |list| sorted(view, list);
    let (src_names, src_pids) = side(if srcs.is_empty() { itself } else { srcs });
    let (dst_names, dst_pids) = side(if dsts.is_empty() { itself } else { dsts });
    Ok(Grid {
        srcs: src_names,
        dsts: dst_names,
        layers: Layers::Selected(select(view, selection, &src_pids, &dst_pids)),
        multi: selection.multi,
    })
}

/// The body of an endpoint cost answer; `client` is the address the request
/// came from.
///
/// # Errors
/// As [`endpoint_grid`] has them.
pub fn endpoint_costs(
    view: &View,
    params: &EndpointCostParams<'_>,
    selection: &CostSelection,
    client: IpAddr,
) -> Result<Vec<u8>, AltoError> {
    let mut out = b"{\"endpoint-cost-map\":".to_vec();
    endpoint_grid(view, params, selection, &itself(client))?.write(&mut out);
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

/// The properties that a request asks for, and of whom, in canonical order.
pub(super) struct Asked<'p> {
    pub(super) endpoints: Vec<&'p Endpoint<'p>>,
    pub(super) names: Vec<&'p str>,
    /// The name of the property that tells an endpoint's PID.
    pid_property: String,
}

impl<'p> Asked<'p> {
    /// # Errors
    /// A property is none of this view's (RFC 7285 §11.4.1.3).
    pub(super) fn new(
        view: &View,
        params: &'p EndpointPropertyParams<'p>,
    ) -> Result<Self, AltoError> {
        let pid_property = pid_property(view);
        let mut names: Vec<&str> = params.properties.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names.dedup();
        let known = |name: &str| name == pid_property || view.properties().names().contains(name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(AltoError::invalid_value("properties", *unknown));
        }
        let mut endpoints: Vec<&Endpoint<'_>> = params.endpoints.iter().collect();
        endpoints.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        endpoints.dedup_by(|a, b| a.text == b.text);
        Ok(Self {
            endpoints,
            names,
            pid_property,
        })
    }

    /// The value of a property of an endpoint, if it has one.
    pub(super) fn value<'v>(
        &self,
        view: &'v View,
        endpoint: &Endpoint<'_>,
        name: &str,
    ) -> Option<&'v str> {
        let addr = endpoint.address.0;
        match name == self.pid_property {
            true => {
                let pid = view.network().pid_of(addr)?;
                view.network().pids().name(pid).map(|pid| pid.as_str())
            }
            false => view.properties().get(addr, name),
        }
    }

    /// Whether the answer depends on the network map.
    pub(super) fn tells_pids(&self) -> bool {
        self.names.contains(&self.pid_property.as_str())
    }
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
    let asked = Asked::new(view, params)?;
    let mut out = b"{\"endpoint-properties\":".to_vec();
    for (i, endpoint) in asked.endpoints.iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        write_member_name(&mut out, &endpoint.text);
        out.push(b'{');
        let names = asked.names.iter();
        let values = names.filter_map(|name| Some((name, asked.value(view, endpoint, name)?)));
        for (i, (name, value)) in values.enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            write_member_name(&mut out, name);
            write_string(&mut out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"meta\":{\"dependent-vtags\":[");
    if asked.tells_pids() {
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
