//! Random changes of a domain's network map and costs, the same for the same
//! seed.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::{NOC, TestNode};

/// The prefixes that PIDs have, each at most one.
const PREFIXES: u64 = 60;

/// The documents of a domain, and their changes.
pub struct Changes {
    random: u64,
    prefixes: BTreeMap<u64, String>,
    pids: BTreeSet<String>,
    costs: BTreeMap<(String, String), u64>,
}

impl Changes {
    /// Makes a network of this many PIDs with costs between all of them, and states it to a
    /// node.
    pub async fn begin(node: &TestNode, seed: u64, pids: u64) -> Self {
        let pids: Vec<String> = (0..pids).map(|pid| format!("pid-{pid:02}")).collect();
        let pairs = pids
            .iter()
            .flat_map(|src| pids.iter().map(move |dst| (src.clone(), dst.clone())));
        let changes = Self {
            random: seed,
            prefixes: (0..PREFIXES / 2)
                .zip(pids.iter().cycle().cloned())
                .collect(),
            costs: pairs.zip(1..).collect(),
            pids: pids.iter().cloned().collect(),
        };
        changes.state(node).await;
        changes
    }

    /// Makes one more change, and states it to the node.
    pub async fn make(&mut self, node: &TestNode) {
        match self.below(10) {
            0..5 => {
                for _ in 0..=self.below(3) {
                    let (src, dst) = (self.pid(), self.pid());
                    let cost = self.below(500);
                    self.costs.insert((src, dst), cost);
                }
            }
            5 => {
                let (src, dst) = (self.pid(), self.pid());
                self.costs.remove(&(src, dst));
            }
            6..8 => {
                for _ in 0..=self.below(3) {
                    let (prefix, pid) = (self.below(PREFIXES), self.pid());
                    self.prefixes.insert(prefix, pid);
                }
            }
            8 => {
                let prefix = self.below(PREFIXES);
                self.prefixes.remove(&prefix);
            }
            _ => {
                let guest = format!("guest-{}", self.below(3));
                if self.pids.remove(&guest) {
                    self.prefixes.retain(|_, pid| *pid != guest);
                    self.costs
                        .retain(|(src, dst), _| *src != guest && *dst != guest);
                } else {
                    let prefix = self.below(PREFIXES);
                    self.prefixes.insert(prefix, guest.clone());
                    self.costs.insert((guest.clone(), guest.clone()), 1);
                    self.pids.insert(guest);
                }
            }
        }
        self.state(node).await;
    }

    /// Draws a number below `bound`, by SplitMix64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pid(&mut self) -> String {
        let place = self.below(self.pids.len() as u64);
        let pid = self.pids.iter().nth(place as usize);
        pid.expect("there are PIDs").clone()
    }

    /// States everything in one transaction.
    async fn state(&self, node: &TestNode) {
        let mut network = json!({});
        for pid in &self.pids {
            network[pid] = json!({});
        }
        for (prefix, pid) in &self.prefixes {
            let (family, text) = match prefix % 3 {
                0 => ("ipv6", format!("2001:db8:{prefix:x}::/48")),
                _ => ("ipv4", format!("10.{prefix}.0.0/16")),
            };
            match network[pid][family].as_array_mut() {
                Some(list) => list.push(json!(text)),
                None => network[pid][family] = json!([text]),
            }
        }
        let mut costs = json!({});
        for ((src, dst), cost) in &self.costs {
            costs[src][dst] = json!(cost);
        }
        let put = |path: &str, value: Value| json!({"op": "put", "path": path, "value": value});
        let operations = [
            put("network-map", json!({"network-map": network})),
            put("cost-maps/routingcost", json!({"cost-map": costs})),
        ];
        let body = json!({"operations": operations});
        let request = node.n2s(NOC, Method::POST, "transaction", Some(&body));
        let answer = request.send().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
}
