//! A view: what a client can ask of one domain, or of all.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::alto::meta::VersionTag;
use crate::alto::query::CostCapabilities;
use crate::ident::{MetricName, ResourceId};
use crate::paths::Routes;

use super::catalog::{Catalog, Kind, NETWORK_MAP, capabilities};
use super::costs::Costs;
use super::name::ViewName;
use super::network::NetworkMap;
use super::properties::Properties;

/// A view.
#[derive(Debug)]
pub struct View {
    name: ViewName,
    origin: Origin,
    network: Arc<NetworkMap>,
    network_id: ResourceId,
    costs: BTreeMap<MetricName, Costs>,
    capabilities: CostCapabilities,
    properties: Arc<Properties>,
    catalog: Catalog,
}

/// Where a view's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The number of the content: a revision of our own, or a peer's serial.
    pub serial: u64,
    /// When it was received.
    pub received: Timestamp,
}

impl View {
    /// Creates a view of this content. `former` is the view that it replaces; the marks of resources
    /// with the same content are taken from there.
    ///
    /// `costs` must be over the PIDs of `network` and have `routingcost`, as every ALTO server does
    /// (RFC 7285 §6.1.1.1).
    pub fn new(
        name: ViewName,
        origin: Origin,
        network: Arc<NetworkMap>,
        costs: BTreeMap<MetricName, Costs>,
        properties: Arc<Properties>,
        former: Option<&View>,
    ) -> Self {
        let same_network = former.is_some_and(|former| former.network.tag() == network.tag());
        let same_costs = |metric: &MetricName| {
            let before = former.and_then(|former| former.costs.get(metric));
            matches!((before, costs.get(metric)), (Some(a), Some(b)) if a.same(b))
        };
        let unchanged = |kind: &Kind| match kind {
            Kind::NetworkMap => same_network,
            Kind::CostMap(cost_type) => same_network && same_costs(&cost_type.cost_metric),
            _ => false,
        };
        let catalog = Catalog::new(&name, &costs, former.map(|f| &f.catalog), unchanged);
        Self {
            network_id: name.resource_id(NETWORK_MAP),
            capabilities: capabilities(&costs),
            catalog,
            name,
            origin,
            network,
            costs,
            properties,
        }
    }

    /// Its name.
    pub fn name(&self) -> &ViewName {
        &self.name
    }

    /// Where its content comes from.
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
    pub fn bytes_beside(&self, other: Option<&View>) -> usize {
        let costs = |(metric, costs): (&MetricName, &Costs)| match other
            .and_then(|other| other.costs.get(metric))
        {
            Some(others) => costs.bytes_beside(others),
            None => costs.bytes(),
        };
        let shares = |other: &View| Arc::ptr_eq(&self.properties, &other.properties);
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
    pub fn is_as_large_as(&self, other: &View) -> bool {
        self.network.tag() == other.network.tag() && self.routes() == other.routes()
    }

    /// The ways between domains, which all its composed costs share.
    fn routes(&self) -> Option<*const Routes> {
        let across = self.costs.values().find_map(Costs::across)?;
        Some(Arc::as_ptr(&across.routes))
    }

    /// Its resources.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}
