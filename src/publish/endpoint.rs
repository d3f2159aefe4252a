//! The endpoint services: RFC 7285 §11.4 and §11.5, RFC 8189 §4.2.

use std::net::IpAddr;

use crate::alto::endpoint::EndpointPropertyParams;
use crate::alto::error::AltoError;
use crate::alto::query::{CostSelection, Endpoint, EndpointCostParams};
use crate::ident::TypedAddress;

use super::grid::{Side, Table, held};
use super::view::View;

/// The costs that the endpoint cost service is asked for. An empty list of
/// sources or destinations stands for the `client`.
///
/// # Errors
/// Both lists are empty (RFC 7285 §11.5.1.3).
pub(super) fn endpoint_table(
    view: &View,
    params: &EndpointCostParams<'_>,
    selection: CostSelection,
    client: IpAddr,
) -> Result<Table, AltoError> {
    let (srcs, dsts) = (&params.endpoints.srcs, &params.endpoints.dsts);
    if srcs.is_empty() && dsts.is_empty() {
        return Err(AltoError::invalid_value("endpoints", "{}"));
    }
    let address = TypedAddress(client);
    let itself = [Endpoint {
        text: address.to_string().into(),
        address,
    }];
    let side = |list: &[Endpoint<'_>]| side(view, if list.is_empty() { &itself } else { list });
    Ok(Table::new(selection, side(srcs), side(dsts)))
}

/// Endpoints by their text, in canonical order and each once.
fn side(view: &View, endpoints: &[Endpoint<'_>]) -> Side {
    let mut list: Vec<&Endpoint<'_>> = endpoints.iter().collect();
    list.sort_unstable_by(|a, b| a.text.cmp(&b.text));
    list.dedup_by(|a, b| a.text == b.text);
    let pid = |endpoint: &Endpoint<'_>| view.network().pid_of(endpoint.address.0);
    let named = |endpoint: &Endpoint<'_>| {
        let text: Box<str> = endpoint.text.as_ref().into();
        (text, pid(endpoint).unwrap_or(u32::MAX))
    };
    Side::endpoints(list.into_iter().map(named).collect())
}

/// The properties that a request asks for, and of whom, in canonical order.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) endpoints: Vec<(Box<str>, IpAddr)>,
    pub(super) names: Vec<Box<str>>,
    /// The name of the property that tells an endpoint's PID.
    pid_property: String,
}

impl Asked {
    /// # Errors
    /// A property is none of this view's (RFC 7285 §11.4.1.3).
    pub(super) fn new(view: &View, params: &EndpointPropertyParams<'_>) -> Result<Self, AltoError> {
        let pid_property = pid_property(view);
        let mut names: Vec<Box<str>> = params
            .properties
            .iter()
            .map(|p| p.as_ref().into())
            .collect();
        names.sort_unstable();
        names.dedup();
        let known = |name: &str| name == pid_property || view.properties().names().contains(name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(AltoError::invalid_value("properties", unknown.as_ref()));
        }
        let endpoint = |e: &Endpoint<'_>| (e.text.as_ref().into(), e.address.0);
        let mut endpoints: Vec<(Box<str>, IpAddr)> =
            params.endpoints.iter().map(endpoint).collect();
        endpoints.sort_unstable();
        endpoints.dedup_by(|a, b| a.0 == b.0);
        Ok(Self {
            endpoints,
            names,
            pid_property,
        })
    }

    /// About how many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let endpoints = self.endpoints.iter().map(|(text, _)| text);
        let texts = endpoints.chain(&self.names).map(|text| held(text));
        texts.sum::<usize>() + self.endpoints.len() * size_of::<IpAddr>()
    }

    /// The value of a property of an address, if it has one.
    pub(super) fn value<'v>(&self, view: &'v View, addr: IpAddr, name: &str) -> Option<&'v str> {
        if name == self.pid_property {
            let pid = view.network().pid_of(addr)?;
            return view.network().pids().name(pid).map(|pid| pid.as_str());
        }
        view.properties().get(addr, name)
    }

    /// Whether the answer depends on the network map.
    pub(super) fn tells_pids(&self) -> bool {
        self.names.iter().any(|name| **name == *self.pid_property)
    }
}

/// The resource-specific property that tells an endpoint's PID (RFC 7285
/// §7.1.1, §10.8.1).
pub(super) fn pid_property(view: &View) -> String {
    format!("{}.pid", view.network_id())
}
