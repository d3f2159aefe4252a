//! The endpoint cost service, RFC 7285 §11.5.1 and RFC 8189 §4.2.

use std::net::IpAddr;

use crate::alto::endpoint;
use crate::alto::error::AltoError;
use crate::alto::ird::Capabilities;
use crate::alto::json;
use crate::alto::media;
use crate::alto::query::{CostSelection, Endpoint, EndpointCostParams, ReadEndpointCostParams};
use crate::ident::TypedAddress;
use crate::publish::content::Content;
use crate::publish::grid::{Change, CostsBody, Form, Grid, Member, Side, Table};
use crate::publish::rendering::Body;

use super::filtered_cost_map::selected_capabilities;
use super::interface::{
    Line, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature, Versions,
};

pub(super) const LINE: Line = Line {
    signature: &SIGNATURE,
    offered: |_| vec![NewResource::new("endpointcost", EndpointCosts)],
    copied: None,
};

static SIGNATURE: Signature = Signature {
    media_types: &[media::ENDPOINT_COSTS],
    accepts: Some(media::ENDPOINT_COST_PARAMS),
    forms: &[Form::Merge],
    order: Order::Dependent,
};

/// The costs between the endpoints that are asked for.
#[derive(Debug)]
struct EndpointCosts;

impl Service for EndpointCosts {
    fn capabilities(&self, content: &Content) -> Capabilities {
        selected_capabilities(content)
    }

    /// An absent or empty list stands for the client.
    fn depends_on_client(&self, input: &[u8]) -> bool {
        json::read(input, ReadEndpointCostParams)
            .is_ok_and(|p| p.endpoints.srcs.is_empty() || p.endpoints.dsts.is_empty())
    }

    fn body(
        &self,
        content: &Content,
        parameters: Parameters<'_>,
    ) -> Result<Box<dyn Body>, QueryError> {
        let table = table(content, parameters)?;
        let body = CostsBody::new(content, table, Member::EndpointCosts);
        Ok(Box::new(body))
    }

    fn changes(
        &self,
        versions: Versions<'_>,
        parameters: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError> {
        let patch = terms.writer(endpoint::COSTS_MEMBER, versions, None);
        let Versions { old, new } = versions;
        let (before, after) = (table(old, parameters)?, table(new, parameters)?);
        Ok(Grid::new(old, before).changes(Grid::new(new, after), patch))
    }
}

fn table(content: &Content, parameters: Parameters<'_>) -> Result<Table, QueryError> {
    let params = json::read(parameters.input, ReadEndpointCostParams)?;
    let selection = params.query.select(content.capabilities())?;
    let table = endpoint_table(content, &params, selection, parameters.client);
    Ok(table?)
}

/// The costs that the endpoint cost service is asked for. An empty list of sources or destinations
/// stands for the client.
///
/// # Errors
/// Both lists are empty (RFC 7285 §11.5.1.3).
fn endpoint_table(
    content: &Content,
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
    let side = |list: &[Endpoint<'_>]| side(content, if list.is_empty() { &itself } else { list });
    Ok(Table::new(selection, side(srcs), side(dsts)))
}

/// Endpoints by their texts, each once and in canonical order.
fn side(content: &Content, endpoints: &[Endpoint<'_>]) -> Side {
    let mut list: Vec<&Endpoint<'_>> = endpoints.iter().collect();
    list.sort_unstable_by(|a, b| a.text.cmp(&b.text));
    list.dedup_by(|a, b| a.text == b.text);
    let pid = |endpoint: &Endpoint<'_>| content.network().pid_of(endpoint.address.0);
    let named = |endpoint: &Endpoint<'_>| {
        let text: Box<str> = endpoint.text.as_ref().into();
        (text, pid(endpoint).unwrap_or(u32::MAX))
    };
    Side::endpoints(list.into_iter().map(named).collect())
}
