//! The catalog of a view: the one list of its resources that directory,
//! requests and caches go by.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::alto::media;
use crate::alto::meta::{CostMode, CostType};
use crate::alto::query::CostCapabilities;
use crate::ident::{Digest, MetricName, ResourceId, Tag};

use super::costs::Costs;
use super::name::ViewName;

/// The resources of a view.
#[derive(Debug, Default)]
pub struct Catalog {
    resources: Box<[Resource]>,
    by_path: BTreeMap<String, usize>,
}

/// An information resource, RFC 7285 §9.1.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its id, unique among all views.
    pub id: ResourceId,
    /// The last segment of its URL.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// What a GET of it returns, once that was worked out. Views that have the
    /// same content share it.
    pub marks: Arc<OnceLock<ResourceMarks>>,
}

/// The marks of a resource's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMarks {
    /// The tag of the content.
    pub tag: Tag,
    /// The SHA-256 of the body.
    pub digest: Digest,
    /// The length of the body in bytes.
    pub length: u64,
}

/// What a resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// RFC 7285 §11.2.1
    NetworkMap,
    /// RFC 7285 §11.3.1
    FilteredNetworkMap,
    /// RFC 7285 §11.2.3
    CostMap(CostType),
    /// RFC 7285 §11.3.2, RFC 8189 §4.1
    FilteredCostMap,
    /// RFC 7285 §11.4.1
    EndpointProperties,
    /// RFC 7285 §11.5.1, RFC 8189 §4.2
    EndpointCosts,
    /// RFC 8895 §6
    UpdateStream,
    /// RFC 9569 §5
    Tips,
}

impl Kind {
    /// The media type of its responses.
    pub fn media_type(&self) -> &'static str {
        match self {
            Kind::NetworkMap | Kind::FilteredNetworkMap => media::NETWORK_MAP,
            Kind::CostMap(_) | Kind::FilteredCostMap => media::COST_MAP,
            Kind::EndpointProperties => media::ENDPOINT_PROPERTIES,
            Kind::EndpointCosts => media::ENDPOINT_COSTS,
            Kind::UpdateStream => media::EVENT_STREAM,
            Kind::Tips => media::TIPS,
        }
    }

    /// The media type of its parameters; `None` for one that takes none and is
    /// read by GET.
    pub fn accepts(&self) -> Option<&'static str> {
        match self {
            Kind::NetworkMap | Kind::CostMap(_) => None,
            Kind::FilteredNetworkMap => Some(media::NETWORK_MAP_FILTER),
            Kind::FilteredCostMap => Some(media::COST_MAP_FILTER),
            Kind::EndpointProperties => Some(media::ENDPOINT_PROPERTY_PARAMS),
            Kind::EndpointCosts => Some(media::ENDPOINT_COST_PARAMS),
            Kind::UpdateStream => Some(media::UPDATE_STREAM_PARAMS),
            Kind::Tips => Some(media::TIPS_PARAMS),
        }
    }

    /// Whether it refers to the view's network map (RFC 7285 §11: cost maps
    /// and filtered maps do; the endpoint services must not say so).
    pub fn uses_network_map(&self) -> bool {
        matches!(
            self,
            Kind::FilteredNetworkMap | Kind::CostMap(_) | Kind::FilteredCostMap
        )
    }
}

/// The path and id suffix of a view's network map.
pub(super) const NETWORK_MAP: &str = "networkmap";
/// How many pairs a full map of ordinal costs may have: all of them are ranked at
/// once. Filtered maps rank what is asked for.
const MAX_RANKED: usize = 3_000_000;

const UPDATES: &str = "updates";
const TIPS: &str = "tips";

impl Catalog {
    /// The resources of the view `name` with these costs. What `former` has
    /// worked out is kept where `unchanged` says that the content is the same.
    pub(super) fn new(
        name: &ViewName,
        costs: &BTreeMap<MetricName, Costs>,
        former: Option<&Catalog>,
        unchanged: impl Fn(&Kind) -> bool,
    ) -> Self {
        let mut wanted = vec![
            (NETWORK_MAP.to_owned(), Kind::NetworkMap),
            ("filtered-networkmap".to_owned(), Kind::FilteredNetworkMap),
            ("filtered-costmap".to_owned(), Kind::FilteredCostMap),
            ("endpointprop".to_owned(), Kind::EndpointProperties),
            ("endpointcost".to_owned(), Kind::EndpointCosts),
            (UPDATES.to_owned(), Kind::UpdateStream),
            (TIPS.to_owned(), Kind::Tips),
        ];
        for (metric, costs) in costs {
            // A `.` is not of a resource id's alphabet (RFC 7285 §10.2).
            let suffix = metric.as_str().replace('.', "_");
            let cost_map = |mode| Kind::CostMap(CostType::new(metric, mode));
            wanted.push((format!("costmap-{suffix}"), cost_map(CostMode::Numerical)));
            let pairs = costs.size().saturating_mul(costs.size());
            if matches!(costs, Costs::Dense(_)) && pairs <= MAX_RANKED {
                wanted.push((format!("ordinal-{suffix}"), cost_map(CostMode::Ordinal)));
            }
        }
        let resources: Vec<Resource> = wanted
            .into_iter()
            .map(|(path, kind)| {
                let known = former
                    .and_then(|former| former.get(&path))
                    .filter(|known| known.kind == kind && unchanged(&kind));
                Resource {
                    id: name.resource_id(&path),
                    marks: known.map(|known| known.marks.clone()).unwrap_or_default(),
                    path,
                    kind,
                }
            })
            .collect();
        Self {
            by_path: resources.iter().map(|r| r.path.clone()).zip(0..).collect(),
            resources: resources.into(),
        }
    }

    /// The resource with this path.
    pub fn get(&self, path: &str) -> Option<&Resource> {
        self.by_path
            .get(path)
            .and_then(|&index| self.resources.get(index))
    }

    /// Every resource.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter()
    }
}

/// The cost types of a view that has costs in these metrics: each numerical
/// and ordinal.
pub(super) fn capabilities(costs: &BTreeMap<MetricName, Costs>) -> CostCapabilities {
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

    #[test]
    fn a_full_ordinal_map_is_offered_up_to_three_million_pairs() {
        for (pids, offered) in [(1732, true), (1733, false)] {
            let metric = MetricName::new("routingcost").expect("a metric");
            let costs = Costs::Dense(Arc::new(Matrix::new(pids, pids)));
            let name = ViewName::parse("isp-a").expect("a name");
            let costs = [(metric, costs)].into();
            let catalog = Catalog::new(&name, &costs, None, |_| false);
            assert_eq!(catalog.get("ordinal-routingcost").is_some(), offered);
            assert!(catalog.get("costmap-routingcost").is_some());
        }
    }
}
