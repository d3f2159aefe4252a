//! The plain computation: linear searches over trees, as RFC 7285, RFC 8189 and RFC 9439
//! describe them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::networks::{Prefix, bits, contains, prefix, prefixes};

/// A view, given by its documents.
pub struct World {
    pub map_id: String,
    pub network: Value,
    pub costs: BTreeMap<String, Value>,
    pub properties: Value,
    prefixes: Vec<(Prefix, String)>,
    entities: Vec<(Prefix, Value)>,
}

/// A source or destination: its name in the answer, and its PID.
type End = (String, Option<String>);

/// Sources or destinations.
type Side = Vec<End>;

/// Costs by source and destination.
type Layer = BTreeMap<(String, String), f64>;

/// A constraint: a cost type, an operator and a number.
type Test = (Value, String, f64);

/// Whether two trees are equal, with numbers compared by value.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        (a, b) => a == b,
    }
}

fn list(value: &Value) -> Vec<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|text| text.as_str().expect("text").to_owned())
        .collect()
}

fn address(typed: &str) -> (bool, u128) {
    let (_, addr) = typed.split_once(':').expect("a type");
    bits(addr.parse::<IpAddr>().expect("an address"))
}

impl World {
    /// Makes the view that serves this network map and these numerical costs.
    pub fn new(map: &Value, costs: BTreeMap<String, Value>, properties: Value) -> Self {
        let entities = properties.as_object().expect("entities").iter();
        let entities = entities.filter_map(|(id, set)| {
            let (domain, id) = id.split_once(':').expect("a domain");
            let full = if domain == "ipv4" { "/32" } else { "/128" };
            let length = if id.contains('/') { "" } else { full };
            (domain != "pid").then(|| (prefix(&format!("{id}{length}")), set.clone()))
        });
        Self {
            map_id: map["meta"]["vtag"]["resource-id"]
                .as_str()
                .expect("an id")
                .to_owned(),
            prefixes: prefixes(&map["network-map"]),
            network: map["network-map"].clone(),
            entities: entities.collect(),
            costs,
            properties,
        }
    }

    pub fn pids(&self) -> Vec<String> {
        self.network
            .as_object()
            .expect("PIDs")
            .keys()
            .cloned()
            .collect()
    }

    /// Finds the PID by the longest prefix that contains the address (RFC 7285 §5.3).
    fn pid_of(&self, typed: &str) -> Option<String> {
        let addr = address(typed);
        let holding = self
            .prefixes
            .iter()
            .filter(|(prefix, _)| contains(*prefix, addr));
        holding
            .max_by_key(|((_, _, length), _)| *length)
            .map(|(_, pid)| pid.clone())
    }

    /// Answers a filtered network map (RFC 7285 §11.3.1.3).
    pub fn filtered_network(&self, query: &Value) -> Value {
        let (pids, types) = (list(&query["pids"]), list(&query["address-types"]));
        let mut answer = Map::new();
        for (pid, group) in self.network.as_object().expect("PIDs") {
            if !pids.is_empty() && !pids.contains(pid) {
                continue;
            }
            let families = group.as_object().expect("families").iter();
            let wanted = families.filter(|(family, _)| types.is_empty() || types.contains(family));
            let group: Map<_, _> = wanted.map(|(f, list)| (f.clone(), list.clone())).collect();
            answer.insert(pid.clone(), Value::Object(group));
        }
        Value::Object(answer)
    }

    /// Answers an endpoint property (RFC 7285 §11.4.1): a PID, or the value of the longest
    /// prefix that has the property.
    pub fn endpoint_properties(&self, query: &Value) -> Value {
        let mut answer = Map::new();
        for endpoint in list(&query["endpoints"]) {
            let mut values = Map::new();
            for name in list(&query["properties"]) {
                let value = match name.strip_suffix(".pid") {
                    Some(_) => self.pid_of(&endpoint).map(Value::from),
                    None => self.property(&endpoint, &name),
                };
                values.extend(value.map(|value| (name, value)));
            }
            answer.insert(endpoint, Value::Object(values));
        }
        Value::Object(answer)
    }

    fn property(&self, endpoint: &str, name: &str) -> Option<Value> {
        let addr = address(endpoint);
        let holding = self
            .entities
            .iter()
            .filter(|(prefix, _)| contains(*prefix, addr));
        let stated = holding.filter_map(|(prefix, set)| Some((prefix.2, set.get(name)?)));
        let (_, value) = stated.max_by_key(|(length, _)| *length)?;
        Some(match value {
            Value::String(text) => json!(text),
            other => json!(other.to_string()),
        })
    }

    /// Answers a filtered cost map (RFC 7285 §11.3.2.3).
    pub fn filtered_costs(&self, query: &Value) -> Value {
        let side = |name: &str| -> Side {
            let asked = list(&query["pids"][name]);
            let pids = self.pids().into_iter();
            pids.filter(|pid| asked.is_empty() || asked.contains(pid))
                .map(|pid| (pid.clone(), Some(pid)))
                .collect()
        };
        self.answer(query, &side("srcs"), &side("dsts"))
    }

    /// Answers endpoint costs (RFC 7285 §11.5.1.3). The client is on the loopback interface.
    pub fn endpoint_costs(&self, query: &Value) -> Value {
        let side = |name: &str| -> Side {
            let mut asked = list(&query["endpoints"][name]);
            if asked.is_empty() {
                asked.push("ipv4:127.0.0.1".into());
            }
            let asked = asked.into_iter();
            asked
                .map(|text| (text.clone(), self.pid_of(&text)))
                .collect()
        };
        self.answer(query, &side("srcs"), &side("dsts"))
    }

    fn answer(&self, query: &Value, srcs: &Side, dsts: &Side) -> Value {
        let pairs: Vec<_> = srcs
            .iter()
            .flat_map(|src| dsts.iter().map(move |dst| (src, dst)))
            .collect();
        let name = |(src, dst): &(&End, &End)| (src.0.clone(), dst.0.clone());
        let numbers = |cost_type: &Value| -> Layer {
            let metric = cost_type["cost-metric"].as_str().expect("a metric");
            let cost = |pair: &(&End, &End)| {
                let (src, dst) = (pair.0.1.as_ref()?, pair.1.1.as_ref()?);
                let cost = self.costs[metric].get(src)?.get(dst)?.as_f64()?;
                Some((name(pair), cost))
            };
            pairs.iter().filter_map(cost).collect()
        };
        let groups = tests(query);
        let tested: Vec<(Value, Layer)> = groups
            .iter()
            .flatten()
            .map(|(cost_type, ..)| (cost_type.clone(), ranked(cost_type, numbers(cost_type))))
            .collect();
        let layer_of =
            |cost_type: &Value| tested.iter().find(|(t, _)| t == cost_type).map(|(_, l)| l);
        let passes = |pair: &(String, String), (cost_type, operator, number): &Test| {
            let cost = layer_of(cost_type).and_then(|layer| layer.get(pair));
            cost.is_some_and(|cost| match operator.as_str() {
                "gt" => cost > number,
                "lt" => cost < number,
                "ge" => cost >= number,
                "le" => cost <= number,
                _ => cost == number,
            })
        };
        let passed: BTreeSet<(String, String)> = pairs
            .iter()
            .map(name)
            .filter(|pair| {
                groups.is_empty()
                    || groups
                        .iter()
                        .any(|all| all.iter().all(|test| passes(pair, test)))
            })
            .collect();
        let multi = query.get("multi-cost-types").and_then(Value::as_array);
        let wanted = multi
            .cloned()
            .unwrap_or_else(|| vec![query["cost-type"].clone()]);
        let layers: Vec<Layer> = wanted
            .iter()
            .map(|cost_type| {
                let only = |mut layer: Layer| {
                    layer.retain(|pair, _| passed.contains(pair));
                    layer
                };
                // Costs are returned in the form in which they were tested.
                match layer_of(cost_type) {
                    Some(layer) => only(layer.clone()),
                    None => ranked(cost_type, only(numbers(cost_type))),
                }
            })
            .collect();
        let mut answer = Map::new();
        for pair in passed {
            let costs: Vec<Option<&f64>> = layers.iter().map(|layer| layer.get(&pair)).collect();
            if costs.iter().all(Option::is_none) {
                continue;
            }
            let value = match multi {
                Some(_) => json!(costs),
                None => json!(costs[0]),
            };
            answer.entry(pair.0).or_insert_with(|| json!({}))[&pair.1] = value;
        }
        Value::Object(answer)
    }
}

/// Returns the groups of constraints of a query; none if it has no constraints.
fn tests(query: &Value) -> Vec<Vec<Test>> {
    let of = ["testable-cost-types", "multi-cost-types"];
    let listed = of.iter().find_map(|name| query.get(name)?.as_array());
    let testable = listed
        .cloned()
        .unwrap_or_else(|| vec![query["cost-type"].clone()]);
    let test = |text: String| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (index, words) = match words[0].strip_prefix('[') {
            Some(index) => (
                index.trim_end_matches(']').parse().expect("a number"),
                &words[1..],
            ),
            None => (0, &words[..]),
        };
        let cost_type: &Value = &testable[index];
        (
            cost_type.clone(),
            words[0].to_owned(),
            words[1].parse().expect("a number"),
        )
    };
    let group = |texts: &Value| list(texts).into_iter().map(test).collect::<Vec<_>>();
    match (query.get("constraints"), query.get("or-constraints")) {
        (Some(all), _) if all != &json!([]) => vec![group(all)],
        (_, Some(any)) => any.as_array().expect("groups").iter().map(group).collect(),
        _ => Vec::new(),
    }
}

/// Returns the numbers themselves, or their ranks: equal numbers share a rank, and the best has
/// 0 (RFC 7285 §6.1.2.2). For a bandwidth, more is better.
fn ranked(cost_type: &Value, layer: Layer) -> Layer {
    if cost_type["cost-mode"] == "numerical" {
        return layer;
    }
    let metric = cost_type["cost-metric"].as_str().expect("a metric");
    let more = ["tput", "bw-"]
        .iter()
        .any(|start| metric.starts_with(start));
    let mut distinct: Vec<f64> = layer.values().copied().collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let rank = |cost: f64| {
        let better = distinct
            .iter()
            .filter(|other| if more { **other > cost } else { **other < cost });
        better.count() as f64
    };
    layer
        .into_iter()
        .map(|(pair, cost)| (pair, rank(cost)))
        .collect()
}
