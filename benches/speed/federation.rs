//! Federations to be merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use altofed::alto::network::AddressGroup;
use altofed::compile::{Domain, Interconnect, Interconnects, MergePolicy, Relationship};
use altofed::ident::{Digest, DomainLabel, InterconnectId, MetricName, PidName};
use altofed::net::{Lpm, Matrix, PidIndex};
use altofed::publish::{Costs, Lookup, NetworkMap, Origin, Properties, View, ViewName};
use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

use crate::data::Random;

/// How large a federation is.
#[derive(Clone, Copy)]
pub struct Size {
    pub domains: usize,
    pub pids: usize,
    pub borders: usize,
}

/// The metric that paths are selected by, and one of each rule.
pub const METRICS: [&str; 4] = ["routingcost", "delay-ow", "bw-available", "lossrate"];

pub fn label(domain: usize) -> DomainLabel {
    DomainLabel::new(&format!("d{domain}")).expect("a label")
}

pub fn policy() -> MergePolicy {
    MergePolicy::new(label(0))
}

fn metric(name: &str) -> MetricName {
    MetricName::new(name).expect("a metric")
}

fn pid(place: usize) -> PidName {
    PidName::new(&format!("p{place:03}")).expect("a name")
}

/// The domains of a federation: each has two providers, and interconnects with
/// others that are open or of peers. Their own costs are those of shortest
/// paths, unless they are `adverse`: then they are random, and some missing.
pub fn domains(size: Size, adverse: bool) -> Vec<Domain> {
    let mut random = Random(7);
    let mut links = vec![Interconnects::new(); size.domains];
    let mut joined = 0;
    let mut join = |random: &mut Random, a: usize, b: usize, [to_b, to_a]: [Relationship; 2]| {
        let id = InterconnectId::new(&format!("x{joined}")).expect("an id");
        joined += 1;
        let [e, f] = [0, 1].map(|_| pid(random.below(size.borders as u64) as usize));
        for (from, to, border, peer_border, relationship) in
            [(a, b, &e, &f, to_b), (b, a, &f, &e, to_a)]
        {
            let costs = METRICS.map(|name| {
                let cost = match name {
                    "bw-available" => 1e9 * (1 + random.below(100)) as f64,
                    "lossrate" => random.below(100) as f64 / 1000.0,
                    _ => (1 + random.below(20_000)) as f64 / 1000.0,
                };
                (metric(name), cost)
            });
            let interconnect = Interconnect {
                border: border.clone(),
                costs: costs.into(),
                peer_border: peer_border.clone(),
                peer_domain: label(to),
                relationship,
            };
            links[from].insert(id.clone(), interconnect);
        }
    };
    for a in 1..size.domains {
        for _ in 0..2 {
            let b = random.below(a as u64) as usize;
            let sides = [Relationship::Provider, Relationship::Customer];
            join(&mut random, a, b, sides);
        }
        for side in [Relationship::Open, Relationship::Peer] {
            let b = random.below(size.domains as u64) as usize;
            if b != a {
                join(&mut random, a, b, [side, side]);
            }
        }
    }
    let each = links.into_iter().enumerate();
    each.map(|(number, links)| domain(number, size, adverse, links, &mut random))
        .collect()
}

fn domain(
    number: usize,
    size: Size,
    adverse: bool,
    links: Interconnects,
    random: &mut Random,
) -> Domain {
    let group = |place: usize| {
        let start = ((number * size.pids + place) as u32) << 9;
        let mut group = AddressGroup::default();
        for part in 0..2 {
            let net = Ipv4Net::new((start + (part << 8)).into(), 24).expect("a length");
            group.insert(IpNet::V4(net));
        }
        Arc::new(group)
    };
    let groups: Vec<_> = (0..size.pids).map(group).collect();
    let prefixes = (0..).zip(&groups);
    let prefixes =
        prefixes.flat_map(|(place, group)| group.prefixes().map(move |net| (net, place)));
    let lookup = Lookup {
        lpm: Arc::new(Lpm::build(prefixes).expect("each prefix once")),
        ..Lookup::default()
    };
    let names = (0..size.pids).map(pid).collect();
    let network = NetworkMap::new(Arc::new(PidIndex::new(names)), groups, lookup);
    let costs = METRICS.map(|name| {
        let matrix = match adverse {
            true => anything(size.pids, random),
            false => shortest_paths(size.pids, name, random),
        };
        (metric(name), Costs::Dense(Arc::new(matrix)))
    });
    Domain {
        label: label(number),
        view: view(number, Arc::new(network), costs.into()),
        interconnects: Arc::new(links),
        digest: Digest::of(&number.to_le_bytes()).into(),
    }
}

fn view(number: usize, network: Arc<NetworkMap>, costs: BTreeMap<MetricName, Costs>) -> Arc<View> {
    let origin = Origin {
        serial: 1,
        received: Timestamp::UNIX_EPOCH,
    };
    let name = ViewName::Domain(label(number));
    let properties = Arc::new(Properties::default());
    Arc::new(View::new(name, origin, network, costs, properties, None))
}

/// The domain with another cost from one PID to another, in every metric.
pub fn changed(domain: &Domain, number: usize, src: usize, dst: usize) -> Domain {
    let mut costs = domain.view.costs().clone();
    for costs in costs.values_mut() {
        if let Costs::Dense(matrix) = costs {
            let mut matrix = Matrix::clone(matrix);
            let cost = matrix.get(src, dst).map_or(1.0, |cost| cost + 1.0);
            matrix.set(src, dst, cost);
            *costs = Costs::Dense(Arc::new(matrix));
        }
    }
    let tag = format!("{} {src} {dst}", domain.digest);
    Domain {
        view: view(number, domain.view.network().clone(), costs),
        digest: Digest::of(tag.as_bytes()).into(),
        ..domain.clone()
    }
}

/// Costs that a network could have: PIDs lie in a square, each is linked to some
/// near ones, and traffic takes the shortest path.
fn shortest_paths(pids: usize, name: &str, random: &mut Random) -> Matrix {
    let spots: Vec<[f64; 2]> = (0..pids)
        .map(|_| [0, 1].map(|_| random.below(100_000) as f64 / 1000.0))
        .collect();
    let mut costs = Matrix::new(pids, pids);
    for a in 0..pids {
        costs.set(a, a, 0.0);
        for b in 0..pids {
            let [x, y] = [0, 1].map(|i| spots[a][i] - spots[b][i]);
            let length = (x * x + y * y).sqrt();
            if length < 20.0 || a.abs_diff(b) == 1 {
                costs.set(a, b, (length * 1000.0).round() / 1000.0);
            }
        }
    }
    for via in 0..pids {
        let onward = costs.row(via).to_vec();
        for a in 0..pids {
            let row = costs.row_mut(a);
            let first = row[via];
            for (cost, then) in row.iter_mut().zip(&onward) {
                let sum = first + then;
                if sum < *cost || (cost.is_nan() && !sum.is_nan()) {
                    *cost = sum;
                }
            }
        }
    }
    for a in 0..pids {
        for cost in costs.row_mut(a) {
            match name {
                "bw-available" => *cost = 1e10 / (1.0 + *cost),
                "lossrate" => *cost /= 1000.0,
                _ => *cost = (*cost * 1000.0).round() / 1000.0,
            }
        }
    }
    costs
}

/// Costs that no network has.
fn anything(pids: usize, random: &mut Random) -> Matrix {
    let mut costs = Matrix::new(pids, pids);
    for a in 0..pids {
        for cost in costs.row_mut(a) {
            if random.below(2) == 0 {
                *cost = random.below(100_000) as f64 / 1000.0;
            }
        }
    }
    costs
}
