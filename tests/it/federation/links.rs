//! What the domains of the tests state, and the costs that must follow from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Returns the label of the domain with a number, from 1.
pub fn label(number: u8) -> String {
    format!("isp-{}", char::from(b'a' + number - 1))
}

/// A link between two domains: at `core` of the first, at `edge` of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link(pub u8, pub u8);

impl Link {
    /// Returns its id.
    pub fn id(self) -> String {
        format!("x-{}-{}", self.0, self.1)
    }

    /// Returns what one of its domains states about it.
    fn stated_by(self, number: u8) -> Option<Value> {
        let Link(a, b) = self;
        let (border, other, peer_border) = match number {
            number if number == a => ("core", b, "edge"),
            number if number == b => ("edge", a, "core"),
            _ => return None,
        };
        Some(json!({
            "border": border, "peer-domain": label(other), "peer-border": peer_border,
            "relationship": "open", "costs": {"routingcost": cost(number, other), "hopcount": 1},
        }))
    }
}

/// The cost of crossing from one domain to another, which is more than any way inside a domain.
fn cost(from: u8, to: u8) -> f64 {
    f64::from(from) * 10.0 + f64::from(to)
}

/// The cost from `core` to `edge` of a domain, if it was not changed.
pub fn inside(number: u8) -> f64 {
    f64::from(number) + 0.25
}

/// Returns the network map of a domain.
pub fn network_map(number: u8) -> Value {
    json!({"network-map": {
        "core": {
            "ipv4": [format!("10.{number}.0.0/17")],
            "ipv6": [format!("2001:db8:{number}::/48")],
        },
        "edge": {"ipv4": [format!("10.{number}.128.0/17")]},
    }})
}

/// Returns the routing costs of a domain.
pub fn cost_map(number: u8, there: f64) -> Value {
    let back = f64::from(number) + 0.5;
    json!({"cost-map": {"core": {"edge": there}, "edge": {"core": back}}})
}

/// Returns the interconnects of a domain.
pub fn interconnects(number: u8, links: &[Link]) -> Value {
    let stated = links
        .iter()
        .filter_map(|link| Some((link.id(), link.stated_by(number)?)));
    json!({"interconnects": stated.collect::<serde_json::Map<_, _>>()})
}

/// Costs by source and destination.
pub type Costs = BTreeMap<String, BTreeMap<String, f64>>;

/// Computes the routing costs between the PIDs of some domains that are joined by links, as the
/// shortest paths in one graph: in these tests no domain is worth entering twice.
pub fn shortest(numbers: &[u8], links: &[Link]) -> Costs {
    let core = |number| format!("{}:core", label(number));
    let edge = |number| format!("{}:edge", label(number));
    let mut costs = Costs::new();
    let mut set = |from: String, to: String, cost: f64| {
        costs.entry(from).or_default().insert(to, cost);
    };
    for &number in numbers {
        set(core(number), edge(number), inside(number));
        set(edge(number), core(number), f64::from(number) + 0.5);
    }
    let there = |link: &&Link| numbers.contains(&link.0) && numbers.contains(&link.1);
    for &Link(a, b) in links.iter().filter(there) {
        set(core(a), edge(b), cost(a, b));
        set(edge(b), core(a), cost(b, a));
    }
    let pids: Vec<String> = costs.keys().cloned().collect();
    for over in &pids {
        for from in pids.iter().filter(|from| *from != over) {
            let Some(&first) = costs[from].get(over) else {
                continue;
            };
            for (to, second) in costs[over].clone() {
                let known = costs[from].get(&to).copied().unwrap_or(f64::INFINITY);
                if *from != to && first + second < known {
                    costs
                        .get_mut(from)
                        .expect("a source")
                        .insert(to, first + second);
                }
            }
        }
    }
    costs
}
