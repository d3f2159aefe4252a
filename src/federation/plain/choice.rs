//! Chooses the resources of a server that its costs are taken from.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::Url;

use crate::alto::media;
use crate::alto::meta::CostMode;
use crate::api::s2s::Ignored;
use crate::client::{Directory, Resource};
use crate::ident::MetricName;

/// The resource with the numerical costs in one metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) metric: MetricName,
    /// The id of the resource.
    pub(super) id: String,
    pub(super) url: Url,
    /// Whether it is a filtered cost map, which is requested for all PIDs.
    pub(super) filtered: bool,
}

impl Source {
    /// Returns the body of the request, if it is a POST.
    pub(super) fn input(&self) -> Option<Value> {
        let all = json!({
            "cost-type": {"cost-metric": self.metric, "cost-mode": "numerical"},
            "pids": {"srcs": [], "dsts": []},
        });
        self.filtered.then_some(all)
    }
}

/// The sources of a domain's costs, one for each metric.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) sources: BTreeMap<MetricName, Source>,
    /// The cost maps and metrics that are left out, and why.
    pub(super) ignored: Vec<Ignored>,
}

/// The most things that are listed as left out.
const MAX_IGNORED: usize = 100;

impl Choice {
    /// Chooses among the cost maps over the network map with this id: a full one before a
    /// filtered one, then the first by id.
    pub(super) fn of(directory: &Directory, network: &str, may_ask: impl Fn(&Url) -> bool) -> Self {
        let mut choice = Self::default();
        let mut unusable: BTreeMap<&str, String> = BTreeMap::new();
        for resource in directory.resources() {
            if resource.entry.media_type != media::COST_MAP {
                continue;
            }
            let filtered = match resource.entry.accepts.as_deref() {
                None => false,
                Some(media::COST_MAP_FILTER) => true,
                Some(_) => {
                    choice.ignore(&resource.id, "it needs parameters that are not supported");
                    continue;
                }
            };
            if let Some(reason) = unfit(resource, network, filtered, &may_ask) {
                choice.ignore(&resource.id, reason);
                continue;
            }
            for cost_type in &resource.cost_types {
                let text = &*cost_type.cost_metric;
                match MetricName::new(text) {
                    Err(error) => {
                        unusable.insert(text, error.to_string());
                    }
                    Ok(_) if cost_type.cost_mode != CostMode::Numerical.as_str() => {
                        let reason =
                            "the server has no numerical costs in it, only ordinal or others";
                        unusable.insert(text, reason.to_owned());
                    }
                    Ok(metric) => choice.add(metric, resource, filtered),
                }
            }
        }
        for (metric, reason) in unusable {
            if !choice.sources.contains_key(metric) {
                choice.ignore(&format!("metric {metric}"), reason);
            }
        }
        choice
    }

    fn add(&mut self, metric: MetricName, resource: &Resource, filtered: bool) {
        let source = Source {
            metric: metric.clone(),
            id: resource.id.clone(),
            url: resource.url.clone(),
            filtered,
        };
        let better = |held: &Source| held.filtered && !filtered;
        if self.sources.get(&metric).is_none_or(better) {
            self.sources.insert(metric, source);
        }
    }

    /// Lists something of the server as left out. The texts are cut, since a server may have
    /// long names.
    pub(super) fn ignore(&mut self, what: &str, reason: impl Into<String>) {
        if self.ignored.len() < MAX_IGNORED {
            self.ignored.push(Ignored {
                what: what.chars().take(80).collect(),
                reason: reason.into().chars().take(400).collect(),
            });
        }
    }
}

/// Returns why costs cannot be taken from a cost map, or `None` if they can.
fn unfit(
    resource: &Resource,
    network: &str,
    filtered: bool,
    may_ask: impl Fn(&Url) -> bool,
) -> Option<String> {
    if !resource.entry.uses.iter().any(|used| used == network) {
        return Some(format!(
            "it is over {:?}, not the network map {network:?}",
            resource.entry.uses
        ));
    }
    if !may_ask(&resource.url) {
        return Some(format!(
            "it is elsewhere, at {}; a peer is asked at one origin only",
            resource.url
        ));
    }
    // RFC 7285 §11.2.3.4: a full cost map has exactly one cost type.
    match (filtered, resource.cost_types.len()) {
        (_, 0) => Some("it names no cost type that its directory defines".to_owned()),
        (false, 2..) => Some("it names several cost types, of which a cost map has one".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::federation::testing::crawled;

    fn directory(resources: Value) -> Directory {
        let root = Url::parse("https://alto.example/dir").expect("a URL");
        let numerical = |metric: &str| json!({"cost-metric": metric, "cost-mode": "numerical"});
        let directory = json!({
            "meta": {"cost-types": {
                "rc": numerical("routingcost"),
                "hops": numerical("hopcount"),
                "odd": numerical("latency"),
                "rank": {"cost-metric": "routingcost", "cost-mode": "ordinal"},
                "ranked": {"cost-metric": "delay-ow", "cost-mode": "ordinal"},
                "path": {"cost-metric": "ane-path", "cost-mode": "array"},
            }},
            "resources": resources,
        });
        crawled(&root, &directory)
    }

    fn map(uses: &str, types: &[&str]) -> Value {
        json!({"uri": "x", "media-type": "application/alto-costmap+json", "uses": [uses],
            "capabilities": {"cost-type-names": types}})
    }

    fn filter(uses: &str, types: &[&str]) -> Value {
        let mut filter = map(uses, types);
        filter["accepts"] = "Application/ALTO-CostMapFilter+JSON".into();
        filter
    }

    fn choose(resources: Value) -> Choice {
        Choice::of(&directory(resources), "m", |url| {
            url.host_str() == Some("alto.example")
        })
    }

    fn ignored(choice: &Choice) -> Vec<&str> {
        choice.ignored.iter().map(|left| &*left.what).collect()
    }

    #[test]
    fn a_full_cost_map_comes_before_a_filtered_one() {
        let choice = choose(json!({
            "a": filter("m", &["rc", "hops", "rank"]), "b": map("m", &["rc"]), "c": map("m", &["rc"]),
        }));
        let found: Vec<_> = choice
            .sources
            .values()
            .map(|source| (source.metric.as_str(), &*source.id, source.filtered))
            .collect();
        assert_eq!(
            found,
            [("hopcount", "a", true), ("routingcost", "b", false)]
        );
        assert!(choice.ignored.is_empty(), "{:?}", choice.ignored);
    }

    #[test]
    fn cost_maps_over_another_network_map_or_elsewhere_are_left_aside() {
        let mut elsewhere = map("m", &["rc"]);
        elsewhere["uri"] = "https://other.example/x".into();
        let mut unused = map("m", &["rc"]);
        unused["uses"] = json!([]);
        let choice = choose(json!({"a": map("n", &["rc"]), "b": elsewhere, "c": unused}));
        assert!(choice.sources.is_empty());
        assert_eq!(ignored(&choice), ["a", "b", "c"]);
        assert!(choice.ignored[1].reason.contains("elsewhere"));
    }

    #[test]
    fn metrics_without_numerical_costs_and_unknown_ones_are_left_aside_by_name() {
        let choice = choose(json!({
            "a": map("m", &["ranked"]), "b": map("m", &["odd"]), "c": map("m", &["rc"]),
            "d": map("m", &["rank"]), "e": map("m", &["nowhere"]), "f": map("m", &["rc", "hops"]),
            "g": filter("m", &["path"]),
        }));
        assert_eq!(choice.sources.len(), 1);
        let all = [
            "e",
            "f",
            "metric ane-path",
            "metric delay-ow",
            "metric latency",
        ];
        assert_eq!(ignored(&choice), all);
        assert!(choice.ignored[3].reason.contains("no numerical costs"));
    }

    #[test]
    fn what_is_listed_is_bounded() {
        let many = (0..1000).map(|i| (format!("{i:0>500}"), map("n", &["rc"])));
        let choice = choose(Value::Object(many.collect()));
        assert_eq!(choice.ignored.len(), MAX_IGNORED);
        assert!(choice.ignored.iter().all(|left| left.what.len() <= 80));
    }
}
