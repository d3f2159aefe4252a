//! The documents of a provider, and what the views should make of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

pub const RESEARCH: [&str; 10] = [
    "geant",
    "dfn",
    "janet",
    "renater",
    "garr",
    "surf",
    "switch",
    "cesnet",
    "rediris",
    "internet2",
];

/// The content of a provider's documents.
#[derive(Debug, Clone)]
pub struct Documents {
    pub network: Value,
    pub costs: BTreeMap<String, Value>,
    pub properties: Value,
}

/// A prefix: whether it is IPv6, its bits from the left, its length.
pub type Prefix = (bool, u128, u32);

/// The bits of an address, from the left.
pub fn bits(addr: IpAddr) -> (bool, u128) {
    match addr {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    }
}

pub fn prefix(text: &str) -> Prefix {
    let (addr, length) = text.split_once('/').expect("a length");
    let (v6, bits) = bits(addr.parse().expect("an address"));
    (v6, bits, length.parse().expect("a number"))
}

pub fn contains((v6, bits, length): Prefix, addr: (bool, u128)) -> bool {
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    v6 == addr.0 && bits == addr.1 & mask
}

/// Returns every prefix of a network map with its PID.
pub fn prefixes(network: &Value) -> Vec<(Prefix, String)> {
    let mut all = Vec::new();
    for (pid, group) in network.as_object().expect("PIDs") {
        for list in group.as_object().expect("families").values() {
            for text in list.as_array().expect("prefixes") {
                all.push((prefix(text.as_str().expect("text")), pid.clone()));
            }
        }
    }
    all
}

impl Documents {
    /// Reads the documents in a directory of the examples.
    pub fn read(directory: &Path) -> Self {
        let read = |name: &str, member: &str| {
            let text = std::fs::read_to_string(directory.join(name)).expect(name);
            let document: Value = serde_json::from_str(&text).expect(name);
            document[member].clone()
        };
        let metrics = ["routingcost", "hopcount", "delay-ow"];
        let costs = |metric: &str| read(&format!("{metric}.json"), "cost-map");
        Self {
            network: read("network-map.json", "network-map"),
            costs: metrics
                .map(|metric| (metric.to_owned(), costs(metric)))
                .into(),
            properties: json!({}),
        }
    }

    /// Returns the families that have a prefix and are not fully covered, with the prefix that
    /// covers each.
    fn uncovered(&self) -> Vec<(&'static str, &'static str)> {
        let all = prefixes(&self.network);
        let families = [("ipv4", "0.0.0.0/0", false), ("ipv6", "::/0", true)];
        let is_uncovered = |v6: bool| {
            let mut ranges: Vec<(u128, u128)> = all
                .iter()
                .filter(|((family, ..), _)| *family == v6)
                .map(|((_, bits, length), _)| {
                    let hosts = u128::MAX.checked_shr(*length).unwrap_or(0);
                    (*bits, bits | hosts)
                })
                .collect();
            ranges.sort_unstable();
            let mut next = Some(0);
            for (first, last) in &ranges {
                match next {
                    Some(needed) if *first <= needed => {
                        next = last.max(&needed.saturating_sub(1)).checked_add(1);
                    }
                    Some(_) => return true,
                    None => {}
                }
            }
            // The host bits of an IPv4 range extend to the end of the 128 bits too.
            !ranges.is_empty() && next.is_some()
        };
        let uncovered = families.into_iter().filter(|(_, _, v6)| is_uncovered(*v6));
        uncovered.map(|(name, all, _)| (name, all)).collect()
    }

    /// Returns the map as the domain's own view serves it: completed, in normal form.
    pub fn completed(&self) -> Self {
        let mut network = self.network.clone();
        for (family, all) in self.uncovered() {
            let list = &mut network["default"][family];
            match list.as_array_mut() {
                Some(list) => list.push(json!(all)),
                None => *list = json!([all]),
            }
        }
        Self {
            network: normal(&network),
            costs: with_routingcost(self.costs.clone()),
            properties: self.properties.clone(),
        }
    }

    /// Returns the map as the merged view serves it, with this domain alone.
    pub fn merged(&self, domain: &str) -> Self {
        let qualify = |members: &Value, inner: &dyn Fn(&Value) -> Value| {
            let members = members.as_object().expect("members").iter();
            let qualified = members.map(|(name, value)| (format!("{domain}:{name}"), inner(value)));
            Value::Object(qualified.collect::<Map<_, _>>())
        };
        let mut network = qualify(&self.network, &Value::clone);
        for (family, all) in self.uncovered() {
            network["default"][family] = json!([all]);
            // The domain's PID that completed its map stays, like any PID that loses its
            // prefixes.
            let completing = &mut network[format!("{domain}:default")];
            if completing.is_null() {
                *completing = json!({});
            }
        }
        let row = |row: &Value| qualify(row, &Value::clone);
        let costs = self
            .costs
            .iter()
            .map(|(metric, map)| (metric.clone(), qualify(map, &row)));
        Self {
            network: normal(&network),
            costs: with_routingcost(costs.collect()),
            properties: self.properties.clone(),
        }
    }
}

/// Adds the metric that every server has (RFC 7285 §6.1.1.1).
fn with_routingcost(mut costs: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    costs
        .entry("routingcost".into())
        .or_insert_with(|| json!({}));
    costs
}

/// Returns prefixes sorted by address, then length, in their standard text; empty families are
/// left out.
fn normal(network: &Value) -> Value {
    let group = |group: &Value| {
        let families = group.as_object().expect("families").iter();
        let sorted = families.filter_map(|(family, list)| {
            let texts = list
                .as_array()
                .expect("prefixes")
                .iter()
                .filter_map(Value::as_str);
            let mut list: Vec<(Prefix, String)> = texts
                .map(|text| {
                    let (addr, length) = text.split_once('/').expect("a length");
                    let addr: IpAddr = addr.parse().expect("an address");
                    (prefix(text), format!("{addr}/{length}"))
                })
                .collect();
            list.sort();
            let texts: Vec<String> = list.into_iter().map(|(_, text)| text).collect();
            (!texts.is_empty()).then(|| (family.clone(), json!(texts)))
        });
        Value::Object(sorted.collect())
    };
    let pids = network.as_object().expect("PIDs").iter();
    Value::Object(
        pids.map(|(pid, value)| (pid.clone(), group(value)))
            .collect(),
    )
}
