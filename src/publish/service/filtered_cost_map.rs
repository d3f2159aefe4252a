//! The filtered cost map, RFC 7285 §11.3.2 and RFC 8189 §4.1.

use crate::alto::cost;
use crate::alto::ird::Capabilities;
use crate::alto::json;
use crate::alto::media;
use crate::alto::query::ReadCostMapFilter;
use crate::ident::ResourceId;
use crate::publish::content::Content;
use crate::publish::grid::{Change, CostsBody, Form, Grid, Member, Table, TagOf, filtered_costs};
use crate::publish::rendering::Body;

use super::interface::{
    Line, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature, Versions,
};
use super::names;

pub(super) const LINE: Line = Line {
    signature: &SIGNATURE,
    offered: |_| vec![NewResource::new("filtered-costmap", FilteredCostMap)],
    copied: None,
};

static SIGNATURE: Signature = Signature {
    media_types: &[media::COST_MAP],
    accepts: Some(media::COST_MAP_FILTER),
    forms: &[Form::Merge],
    order: Order::Dependent,
};

/// The costs between the PIDs that are asked for.
#[derive(Debug)]
struct FilteredCostMap;

fn table(content: &Content, input: &[u8]) -> Result<Table, QueryError> {
    let filter = json::read(input, ReadCostMapFilter)?;
    let selection = filter.query.select(content.capabilities())?;
    Ok(filtered_costs(content, &filter, selection))
}

/// The capabilities of the services whose costs are selected by a query.
pub(super) fn selected_capabilities(content: &Content) -> Capabilities {
    let can = content.capabilities();
    Capabilities {
        cost_constraints: Some(true),
        cost_type_names: can.cost_types.iter().map(names::cost_type).collect(),
        max_cost_types: Some(can.max_cost_types),
        ..Capabilities::default()
    }
}

impl Service for FilteredCostMap {
    fn uses(&self, content: &Content) -> Vec<ResourceId> {
        vec![content.network_id().clone()]
    }

    fn capabilities(&self, content: &Content) -> Capabilities {
        selected_capabilities(content)
    }

    fn body(
        &self,
        content: &Content,
        parameters: Parameters<'_>,
    ) -> Result<Box<dyn Body>, QueryError> {
        let table = table(content, parameters.input)?;
        Ok(Box::new(CostsBody::new(content, table, Member::CostMap)))
    }

    fn changes(
        &self,
        versions: Versions<'_>,
        parameters: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError> {
        let patch = terms.writer(cost::MEMBER, versions, Some(TagOf::Network));
        let Versions { old, new } = versions;
        let table = |content| table(content, parameters.input);
        let (before, after) = (table(old)?, table(new)?);
        Ok(Grid::new(old, before).changes(Grid::new(new, after), patch))
    }
}
