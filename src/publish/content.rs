//! The content of a view: all that its answers depend on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::alto::meta::{CostMode, CostType, VersionTag};
use crate::alto::query::CostCapabilities;
use crate::ident::{MetricName, ResourceId};
use crate::paths::Routes;

use super::costs::Costs;
use super::name::ViewName;
use super::network::NetworkMap;
use super::properties::Properties;
use super::service::names;

/// The content of a view, at one version.
#[derive(Debug)]
pub struct Content {
    name: ViewName,
    origin: Origin,
    network: Arc<NetworkMap>,
    network_id: ResourceId,
    costs: BTreeMap<MetricName, Costs>,
    capabilities: CostCapabilities,
    properties: Arc<Properties>,
}

/// Where a view's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The number of the content: a revision of our own, or a peer's serial.
    pub serial: u64,
    /// When it was received.
    pub received: Timestamp,
}

impl Content {
    /// Creates the content of a view.
    ///
    /// `costs` must be over the PIDs of `network` and have `routingcost`, as every ALTO server does
    /// (RFC 7285 §6.1.1.1).
    pub(super) fn new(
        name: ViewName,
        origin: Origin,
        network: Arc<NetworkMap>,
        costs: BTreeMap<MetricName, Costs>,
        properties: Arc<Properties>,
    ) -> Self {
        Self {
            network_id: name.resource_id(names::NETWORK_MAP),
            capabilities: capabilities(&costs),
            name,
            origin,
            network,
            costs,
            properties,
        }
    }

    /// The name of its view.
    pub fn name(&self) -> &ViewName {
        &self.name
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its network map.
    pub fn network(&self) -> &Arc<NetworkMap> {
        &self.network
    }

    /// The id of its network map.
    pub fn network_id(&self) -> &ResourceId {
        &self.network_id
    }

    /// The version tag of its network map, which every cost map names.
    pub fn vtag(&self) -> VersionTag {
        VersionTag {
            resource_id: self.network_id.clone(),
            tag: self.network.tag().clone(),
        }
    }

    /// Its numerical costs by metric; ordinal costs are derived from them.
    pub fn costs(&self) -> &BTreeMap<MetricName, Costs> {
        &self.costs
    }

    /// The capabilities of its filtered cost map and its endpoint cost service.
    pub fn capabilities(&self) -> &CostCapabilities {
        &self.capabilities
    }

    /// Its properties.
    pub fn properties(&self) -> &Arc<Properties> {
        &self.properties
    }

    /// About how many bytes of memory it takes in addition to `other`, which may share parts.
    pub fn bytes_beside(&self, other: Option<&Content>) -> usize {
        let costs = |(metric, costs): (&MetricName, &Costs)| match other
            .and_then(|other| other.costs.get(metric))
        {
            Some(others) => costs.bytes_beside(others),
            None => costs.bytes(),
        };
        let shares = |other: &Content| Arc::ptr_eq(&self.properties, &other.properties);
        let properties = match other {
            Some(other) if shares(other) => 0,
            _ => self.properties.bytes(),
        };
        self.network
            .bytes_beside(other.map(|other| &*other.network))
            + self.costs.iter().map(costs).sum::<usize>()
            + properties
    }

    /// Returns whether a query takes as much work as over another version: both have the same PIDs,
    /// prefixes and ways between domains.
    pub fn is_as_large_as(&self, other: &Content) -> bool {
        self.network.tag() == other.network.tag() && self.routes() == other.routes()
    }

    /// The ways between domains, which all its composed costs share.
    fn routes(&self) -> Option<*const Routes> {
        let across = self.costs.values().find_map(Costs::across)?;
        Some(Arc::as_ptr(&across.routes))
    }
}

/// The cost types of a view with costs in these metrics: each numerical and ordinal.
fn capabilities(costs: &BTreeMap<MetricName, Costs>) -> CostCapabilities {
    let modes = [CostMode::Numerical, CostMode::Ordinal];
    let cost_types: Vec<CostType> = costs
        .keys()
        .flat_map(|metric| modes.map(|mode| CostType::new(metric, mode)))
        .collect();
    CostCapabilities {
        max_cost_types: cost_types.len(),
        cost_types,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Matrix;
    use crate::publish::testing::content;

    #[test]
    fn what_two_versions_share_is_counted_once() {
        const PIDS: usize = 20;
        let old = content(PIDS);
        let matrix = Matrix::from_cells(PIDS, PIDS, vec![1.0; PIDS * PIDS]).expect("a square");
        let bytes_of_costs = matrix.heap_bytes();
        assert!(bytes_of_costs >= 8 * PIDS * PIDS);
        let costs = Costs::Dense(Arc::new(matrix));
        let new = Content::new(
            old.name().clone(),
            old.origin().clone(),
            old.network().clone(),
            [(MetricName::routingcost(), costs.clone())].into(),
            old.properties().clone(),
        );
        let bytes_of_network = old.network().bytes_beside(None);
        // A name twice, and its place in the list and in the index.
        assert!(bytes_of_network >= PIDS * (120 + 2 * "p0000".len()));
        assert_eq!(new.bytes_beside(Some(&new)), 0);
        assert_eq!(new.bytes_beside(Some(&old)), bytes_of_costs);
        assert_eq!(new.bytes_beside(None), bytes_of_network + bytes_of_costs);
        assert_eq!(costs.bytes(), bytes_of_costs);
        let other = content(PIDS);
        assert_eq!(
            new.bytes_beside(Some(&other)),
            bytes_of_network + bytes_of_costs
        );
    }
}
