//! Random networks and queries, the same for the same seed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::networks::{Documents, prefixes};
use super::world::World;

/// SplitMix64.
pub struct Dice(u64);

/// Costs are often equal, so that ranks and `eq` are exercised.
const COSTS: [f64; 9] = [0.0, 1.0, 2.0, 2.5, 7.0, 40.0, 0.1, 99.75, 1e-7];

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn some<T: Clone>(&mut self, of: &[T], most: usize) -> Vec<T> {
        let count = self.below(most + 1);
        (0..count).map(|_| self.pick(of)).collect()
    }

    /// Draws a prefix; few bits vary, so that prefixes often nest.
    fn prefix(&mut self, v6: bool) -> String {
        let word = |dice: &mut Self| dice.pick(&[0u16, 1, 0x8000, 0x4000, 0xffff]);
        match v6 {
            false => {
                let length = self.pick(&[0u32, 1, 8, 9, 12, 16, 17, 24, 31, 32]);
                let bits = (0x0a00 + u32::from(word(self) >> 14)) << 16 | u32::from(word(self));
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                format!("{}/{length}", Ipv4Addr::from(bits & mask))
            }
            true => {
                let length = self.pick(&[0u32, 3, 32, 33, 48, 63, 64, 65, 127, 128]);
                let words = [0x2001, 0xdb8, word(self), word(self), 0, 0, 0, word(self)];
                let bits = Ipv6Addr::from(words).to_bits();
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                format!("{}/{length}", Ipv6Addr::from(bits & mask))
            }
        }
    }

    /// Draws a network.
    pub fn documents(&mut self) -> Documents {
        let names = [
            "a",
            "b",
            "A-z:0@9_",
            "default",
            "core",
            "isp-a:x",
            "__proto__",
            "Z",
            "10",
            "9",
            "p-1",
            "e",
        ];
        let pids: BTreeSet<&str> = self.some(&names, 14).into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut network = Map::new();
        for pid in &pids {
            let mut group = Map::new();
            for (family, v6) in [("ipv4", false), ("ipv6", true)] {
                if self.chance(70) {
                    let count = self.below(6);
                    let list: Vec<String> = (0..count).map(|_| self.prefix(v6)).collect();
                    let new = list.into_iter().filter(|text| seen.insert(text.clone()));
                    group.insert(family.into(), json!(new.collect::<Vec<_>>()));
                }
            }
            network.insert((*pid).into(), Value::Object(group));
        }
        let metrics = [
            "routingcost",
            "hopcount",
            "delay-ow:p99.9",
            "lossrate",
            "bw-available",
            "tput:mean",
            "priv:x",
        ];
        let metrics: BTreeSet<&str> = self.some(&metrics, 5).into_iter().collect();
        let costs = metrics
            .into_iter()
            .map(|metric| (metric.to_owned(), self.costs(metric, &pids)));
        let costs = costs.collect();
        let network = Value::Object(network);
        let properties = self.properties(&network);
        Documents {
            network,
            costs,
            properties,
        }
    }

    fn costs(&mut self, metric: &str, pids: &BTreeSet<&str>) -> Value {
        let mut map = Map::new();
        for src in pids {
            let mut row = Map::new();
            for dst in pids {
                if self.chance(70) {
                    let cost = self.pick(&COSTS);
                    let whole = metric == "hopcount";
                    row.insert(
                        (*dst).into(),
                        json!(if whole { cost.trunc() } else { cost }),
                    );
                }
            }
            // A row that states nothing is not kept.
            if !row.is_empty() {
                map.insert((*src).into(), Value::Object(row));
            }
        }
        Value::Object(map)
    }

    /// Draws properties of prefixes in the map, around them or inside them.
    pub fn properties(&mut self, network: &Value) -> Value {
        let stated = prefixes(network);
        let mut map = Map::new();
        for _ in 0..self.below(8) {
            let (v6, text) = match stated.is_empty() || self.chance(40) {
                true => {
                    let v6 = self.chance(50);
                    (v6, self.prefix(v6))
                }
                false => {
                    let ((v6, bits, length), _) = self.pick(&stated);
                    let addr = if v6 {
                        IpAddr::V6(Ipv6Addr::from(bits))
                    } else {
                        IpAddr::V4(Ipv4Addr::from((bits >> 96) as u32))
                    };
                    (v6, format!("{addr}/{length}"))
                }
            };
            let full = if v6 { "/128" } else { "/32" };
            let id = text.strip_suffix(full).unwrap_or(&text).to_owned();
            let family = if v6 { "ipv6" } else { "ipv4" };
            let mut set = Map::new();
            for name in self.some(&["priv:a", "priv:b", "priv:c"], 3) {
                let value = self.pick(&[
                    json!("x"),
                    json!(7),
                    json!(true),
                    json!(""),
                    json!({"k": [1]}),
                ]);
                set.insert(name.into(), value);
            }
            map.insert(format!("{family}:{id}"), Value::Object(set));
        }
        Value::Object(map)
    }

    fn pids(&mut self, world: &World) -> Value {
        let mut names = world.pids();
        names.extend(["ghost".into(), "isp-a:ghost".into()]);
        if self.chance(25) {
            json!([])
        } else {
            json!(self.some(&names, 8))
        }
    }

    /// Draws an address in or near a prefix of the map, in some spelling.
    fn endpoint(&mut self, world: &World) -> String {
        let near = prefixes(&world.network);
        let (v6, mut bits) = match near.is_empty() || self.chance(20) {
            true => (self.chance(50), u128::from(self.next()) << 64),
            false => {
                let ((v6, bits, _), _) = self.pick(&near);
                (v6, bits)
            }
        };
        for _ in 0..self.below(3) {
            bits ^= 1 << (127 - self.below(if v6 { 128 } else { 32 }));
        }
        let v6_addr = Ipv6Addr::from(bits);
        match (v6, self.below(3)) {
            (false, _) => format!("ipv4:{}", Ipv4Addr::from((bits >> 96) as u32)),
            (true, 0) => format!("ipv6:{}", v6_addr.to_string().to_uppercase()),
            (true, 1) => format!(
                "ipv6:{}",
                v6_addr.segments().map(|s| format!("{s:04x}")).join(":")
            ),
            (true, _) => format!("ipv6:{v6_addr}"),
        }
    }

    fn endpoints(&mut self, world: &World, least: usize) -> Vec<String> {
        let count = least + self.below(8);
        let mut list: Vec<String> = (0..count).map(|_| self.endpoint(world)).collect();
        if !list.is_empty() && self.chance(30) {
            list.push(list[0].clone());
        }
        list
    }

    pub fn network_query(&mut self, world: &World) -> Value {
        let mut query = json!({"pids": self.pids(world)});
        if self.chance(60) {
            query["address-types"] = json!(self.some(&["ipv4", "ipv6", "eth"], 2));
        }
        query
    }

    pub fn property_query(&mut self, world: &World) -> Value {
        let mut names = vec![format!("{}.pid", world.map_id)];
        let sets = world.properties.as_object().expect("entities").values();
        names.extend(sets.flat_map(|set| set.as_object().expect("a set").keys().cloned()));
        let mut properties = vec![self.pick(&names)];
        properties.extend(self.some(&names, 3));
        json!({"properties": properties, "endpoints": self.endpoints(world, 1)})
    }

    pub fn cost_query(&mut self, world: &World) -> Value {
        let mut query = self.costs_asked(world);
        if self.chance(80) {
            query["pids"] = json!({"srcs": self.pids(world), "dsts": self.pids(world)});
        }
        query
    }

    pub fn endpoint_query(&mut self, world: &World) -> Value {
        let mut query = self.costs_asked(world);
        let (mut srcs, mut dsts) = (self.endpoints(world, 1), self.endpoints(world, 1));
        match self.below(8) {
            0 => srcs.clear(),
            1 => dsts.clear(),
            _ => {}
        }
        query["endpoints"] = json!({"srcs": srcs, "dsts": dsts});
        query
    }

    fn cost_types(&mut self, world: &World, most: usize) -> Vec<Value> {
        let metrics: Vec<&String> = world.costs.keys().collect();
        let count = 1 + self.below(most.min(2 * metrics.len()));
        let cost_type = |dice: &mut Self| json!({"cost-metric": dice.pick(&metrics), "cost-mode": dice.pick(&["numerical", "ordinal"])});
        (0..count).map(|_| cost_type(self)).collect()
    }

    /// Draws one or several cost types, with constraints or without.
    fn costs_asked(&mut self, world: &World) -> Value {
        let mut query = json!({});
        let mut testable = 1;
        match self.chance(50) {
            true => query["cost-type"] = self.cost_types(world, 1).remove(0),
            false => {
                let types = self.cost_types(world, 4);
                testable = types.len();
                query["multi-cost-types"] = json!(types);
            }
        }
        if self.chance(35) {
            let types = self.cost_types(world, 3);
            testable = types.len();
            query["testable-cost-types"] = json!(types);
        }
        match self.below(4) {
            0 => query["constraints"] = json!(self.constraints(testable, 0)),
            1 => {
                let count = 1 + self.below(3);
                let groups: Vec<_> = (0..count).map(|_| self.constraints(testable, 1)).collect();
                query["or-constraints"] = json!(groups);
            }
            _ => {}
        }
        query
    }

    fn constraints(&mut self, testable: usize, least: usize) -> Vec<String> {
        let count = least + self.below(3);
        let constraint = |dice: &mut Self| {
            let operator = dice.pick(&["gt", "lt", "ge", "le", "eq"]);
            let number = if dice.chance(80) {
                dice.pick(&COSTS)
            } else {
                dice.below(300) as f64 - 20.0
            };
            match (dice.below(testable), dice.chance(50)) {
                (0, true) => format!("{operator} {number}"),
                (index, _) => format!("[{index}] {operator}  {number:e}"),
            }
        };
        (0..count).map(|_| constraint(self)).collect()
    }
}
