//! The full cost maps, RFC 7285 §11.2.3: for each metric a numerical and an ordinal one.

use crate::alto::cost;
use crate::alto::ird::Capabilities;
use crate::alto::media;
use crate::alto::meta::{CostMode, CostType};
use crate::ident::{MetricName, PidName, ResourceId};
use crate::publish::content::Content;
use crate::publish::costs::Costs;
use crate::publish::grid::{Change, CostsBody, Form, Grid, Member, Table, TagOf};
use crate::publish::rendering::Body;

use super::interface::{
    Copied, Line, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature,
    Versions,
};
use super::names;

pub(super) const LINE: Line = Line {
    signature: &SIGNATURE,
    offered,
    copied: Some(copied),
};

static SIGNATURE: Signature = Signature {
    media_types: &[media::COST_MAP],
    accepts: None,
    forms: &[Form::Merge],
    order: Order::Dependent,
};

/// How many pairs a full map of ordinal costs may have, since all are ranked at once. Filtered maps
/// rank the pairs that are asked for.
const MAX_RANKED: usize = 3_000_000;

/// The cost map of a view in a cost type.
#[derive(Debug)]
struct CostMap(CostType);

fn offered(content: &Content) -> Vec<NewResource> {
    let mut maps: Vec<NewResource> = Vec::new();
    let mut offer = |metric: &MetricName, mode| {
        let cost_type = CostType::new(metric, mode);
        let path = names::cost_map(&cost_type);
        maps.push(NewResource::new(path, CostMap(cost_type)));
    };
    for (metric, costs) in content.costs() {
        offer(metric, CostMode::Numerical);
        let pairs = costs.size().saturating_mul(costs.size());
        if matches!(costs, Costs::Dense(_)) && pairs <= MAX_RANKED {
            offer(metric, CostMode::Ordinal);
        }
    }
    maps
}

fn copied(path: &str) -> Option<Copied> {
    Some(match names::cost_type_of(path) {
        Some((CostMode::Ordinal, _)) => Copied::Nothing,
        Some((CostMode::Numerical, Some(metric))) => Copied::Costs(metric),
        Some((CostMode::Numerical, None)) | None => Copied::UnknownMetric,
    })
}

impl CostMap {
    fn costs<'c>(&self, content: &'c Content) -> Result<&'c Costs, QueryError> {
        let costs = content.costs().get(&self.0.cost_metric);
        costs.ok_or(QueryError::Gone)
    }

    fn table(&self, content: &Content) -> Result<Table, QueryError> {
        self.costs(content)?;
        Ok(Table::full(content, &self.0))
    }
}

impl Service for CostMap {
    fn uses(&self, content: &Content) -> Vec<ResourceId> {
        vec![content.network_id().clone()]
    }

    fn capabilities(&self, _: &Content) -> Capabilities {
        Capabilities {
            cost_type_names: vec![names::cost_type(&self.0)],
            ..Capabilities::default()
        }
    }

    fn body(&self, content: &Content, _: Parameters<'_>) -> Result<Box<dyn Body>, QueryError> {
        let table = self.table(content)?;
        Ok(Box::new(CostsBody::new(content, table, Member::CostMap)))
    }

    fn changes(
        &self,
        versions: Versions<'_>,
        _: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError> {
        let patch = terms.writer(cost::MEMBER, versions, Some(TagOf::Network));
        let Versions { old, new } = versions;
        let (before, after) = (self.table(old)?, self.table(new)?);
        Ok(Grid::new(old, before).changes(Grid::new(new, after), patch))
    }

    fn is_unchanged(&self, versions: Versions<'_>) -> bool {
        let costs = (self.costs(versions.old), self.costs(versions.new));
        versions.have_same_network() && matches!(costs, (Ok(a), Ok(b)) if a.same(b))
    }

    fn about_length(&self, content: &Content) -> usize {
        /// The bytes that most costs take at most, with colon and comma.
        const COST: usize = 8;
        let pids = content.network().pids();
        let names = pids.names().iter().map(PidName::as_str).map(str::len);
        pids.len() * (names.sum::<usize>() + pids.len() * COST)
    }

    fn is_composed(&self, content: &Content) -> bool {
        matches!(self.costs(content), Ok(Costs::Composed(_)))
    }

    /// Numerical costs are compared by the rows that versions share; ranks depend on all costs.
    fn is_updated_incrementally(&self) -> bool {
        self.0.cost_mode == CostMode::Numerical
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::testing::content;

    #[test]
    fn a_full_ordinal_map_is_offered_up_to_three_million_pairs() {
        for (pids, is_offered) in [(1732, true), (1733, false)] {
            let content = content(pids);
            let paths: Vec<String> = offered(&content)
                .into_iter()
                .map(|resource| resource.path)
                .collect();
            let mut wanted = vec!["costmap-routingcost"];
            wanted.extend(is_offered.then_some("ordinal-routingcost"));
            assert_eq!(paths, wanted);
        }
    }
}
