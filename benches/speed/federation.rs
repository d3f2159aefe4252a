//! Makes up federations to merge.

use std::collections::BTreeMap;
use std::sync::Arc;

use altofed::alto::network::AddressGroup;
use altofed::api::interconnect::Relationship;
use altofed::compile::{Domain, MergePolicy};
use altofed::facts::{Interconnect, Interconnects};
use altofed::ident::{Digest, DomainLabel, InterconnectId, MetricName, PidName};
use altofed::net::{Lpm, Matrix, PidIndex};
use altofed::publish::{Costs, Lookup, NetworkMap, Origin, Properties, View, ViewName};
use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

use crate::data::Random;

/// The size of a federation.
#[derive(Clone, Copy)]
pub struct Size {
    pub domains: usize,
    pub pids: usize,
    pub borders: usize,
}

/// The metric that paths are selected by, and one metric for each rule of composition.
pub const METRICS: [&str; 4] = ["routingcost", "delay-ow", "bw-available", "lossrate"];

pub fn label(domain: usize) -> DomainLabel {
    DomainLabel::new(&format!("d{domain}")).expect("a label")
}

pub fn policy() -> MergePolicy {
    MergePolicy::new(label(0))
}

pub fn metric(name: &str) -> MetricName {
    MetricName::new(name).expect("a metric")
}

fn pid(place: usize) -> PidName {
    PidName::new(&format!("p{place:03}")).expect("a name")
}

/// Where the PIDs of a domain lie; the first ones are its borders.
type Site = Vec<[f64; 2]>;

/// Makes the domains of a federation. Each lies somewhere on a map, and meets others that are
/// near at the nearest points: two providers, an open one and a peer. Its own costs are those of
/// shortest paths.
pub fn domains(size: Size) -> Vec<Domain> {
    let mut random = Random(7);
    let sites: Vec<Site> = (0..size.domains).map(|_| site(size, &mut random)).collect();
    let mut wires = Wires::new(size);
    // Draws some of the first domains and takes the nearest of them.
    let mut near = |a: usize, among: usize| {
        let drawn = (0..8).map(|_| random.below(among as u64) as usize);
        let drawn: Vec<usize> = drawn.filter(|b| *b != a).collect();
        let far = |b: &usize| distance(sites[a][0], sites[*b][0]);
        drawn.into_iter().min_by(|x, y| far(x).total_cmp(&far(y)))
    };
    for a in 1..size.domains {
        let kinds = [
            [Relationship::Provider, Relationship::Customer],
            [Relationship::Provider, Relationship::Customer],
            [Relationship::Open; 2],
            [Relationship::Peer; 2],
        ];
        for sides in kinds {
            let provider = sides[0] == Relationship::Provider;
            let Some(b) = near(a, if provider { a } else { size.domains }) else {
                continue;
            };
            let borders = (0..size.borders).flat_map(|e| (0..size.borders).map(move |f| (e, f)));
            let length = |&(e, f): &(usize, usize)| distance(sites[a][e], sites[b][f]);
            let nearest = borders.min_by(|x, y| length(x).total_cmp(&length(y)));
            let (e, f) = nearest.expect("borders");
            wires.join([(a, e), (b, f)], sides, |name| cost(name, length(&(e, f))));
        }
    }
    let each = wires.links.into_iter().zip(&sites).enumerate();
    each.map(|(number, (links, site))| {
        let paths = shortest_paths(site);
        domain(number, links, METRICS.map(|name| along(&paths, name)))
    })
    .collect()
}

/// Makes the domains of a federation with costs that no network has: at random, most are missing
/// and most others are 0, so that detours are cheap. All PIDs are borders.
pub fn adverse(domains: usize, borders: usize, links: usize) -> Vec<Domain> {
    let size = Size {
        domains,
        pids: borders,
        borders,
    };
    let mut random = Random(7);
    let mut wires = Wires::new(size);
    for a in 0..domains {
        for _ in 0..links {
            let b = (a + 1 + random.below(domains as u64 - 1) as usize) % domains;
            let [e, f] = [0, 1].map(|_| random.below(borders as u64) as usize);
            let cost = if random.below(10) == 0 { 1.0 } else { 0.0 };
            wires.join([(a, e), (b, f)], [Relationship::Open; 2], |_| cost);
        }
    }
    let anything = |random: &mut Random| {
        let mut costs = Matrix::new(borders, borders);
        for a in 0..borders {
            costs.edit_row(a, |row| {
                for cost in row {
                    match random.below(300) {
                        0 => *cost = random.below(100_000) as f64 / 1000.0,
                        1..9 => *cost = 0.0,
                        _ => {}
                    }
                }
            });
        }
        costs
    };
    let each = wires.links.into_iter().enumerate();
    each.map(|(number, links)| domain(number, links, METRICS.map(|_| anything(&mut random))))
        .collect()
}

/// Makes the domains of a graph of peers, with links between any two and random costs. The first
/// PIDs are borders; as many again are not.
pub fn graph(domains: usize, links: usize, borders: usize) -> Vec<Domain> {
    let pids = 2 * borders.max(2);
    let size = Size {
        domains,
        pids,
        borders,
    };
    let mut random = Random(7);
    let mut wires = Wires::new(size);
    for link in 0..links {
        let a = link % domains;
        let b = (a + 1 + random.below(domains as u64 - 1) as usize) % domains;
        let [e, f] = [0, 1].map(|_| random.below(borders as u64) as usize);
        let length = 1.0 + random.below(100) as f64;
        wires.join([(a, e), (b, f)], [Relationship::Open; 2], |name| {
            cost(name, length)
        });
    }
    let each = wires.links.into_iter().enumerate();
    each.map(|(number, links)| {
        let site: Site = (0..pids)
            .map(|_| [0, 1].map(|_| random.below(20) as f64))
            .collect();
        let paths = shortest_paths(&site);
        domain(number, links, METRICS.map(|name| along(&paths, name)))
    })
    .collect()
}

/// Interconnects while they are made.
struct Wires {
    links: Vec<Interconnects>,
    joined: usize,
}

impl Wires {
    fn new(size: Size) -> Self {
        Self {
            links: vec![Interconnects::new(); size.domains],
            joined: 0,
        }
    }

    /// Joins two borders, each given by domain and PID.
    fn join(
        &mut self,
        [one, other]: [(usize, usize); 2],
        relationships: [Relationship; 2],
        cost: impl Fn(&str) -> f64,
    ) {
        let id = InterconnectId::new(&format!("x{}", self.joined)).expect("an id");
        self.joined += 1;
        let sides = [(one, other), (other, one)].into_iter().zip(relationships);
        for (((from, border), (to, peer_border)), relationship) in sides {
            let interconnect = Interconnect {
                border: pid(border),
                costs: METRICS.map(|name| (metric(name), cost(name))).into(),
                peer_border: pid(peer_border),
                peer_domain: label(to),
                relationship,
            };
            self.links[from].insert(id.clone(), interconnect);
        }
    }
}

fn domain(number: usize, links: Interconnects, costs: [Matrix; METRICS.len()]) -> Domain {
    let pids = costs[0].rows();
    let costs = METRICS.iter().zip(costs);
    let costs = costs.map(|(name, costs)| (metric(name), Costs::Dense(Arc::new(costs))));
    Domain::new(
        label(number),
        view(number, network(number, pids), costs.collect()),
        Arc::new(links),
        Digest::of(&number.to_le_bytes()).into(),
    )
}

fn site(size: Size, random: &mut Random) -> Site {
    let corner = [0, 1].map(|_| random.below(500_000) as f64 / 1000.0);
    let spot = |_| corner.map(|at| at + random.below(100_000) as f64 / 1000.0);
    (0..size.pids).map(spot).collect()
}

fn distance([x, y]: [f64; 2], [to_x, to_y]: [f64; 2]) -> f64 {
    (x - to_x).hypot(y - to_y)
}

/// Returns the cost of a line of some length.
fn cost(name: &str, length: f64) -> f64 {
    match name {
        "bw-available" => 1e10 / (1.0 + length),
        "lossrate" => (length / 1000.0).min(100.0),
        _ => (length * 1000.0).round() / 1000.0,
    }
}

fn network(number: usize, pids: usize) -> Arc<NetworkMap> {
    let group = |place: usize| {
        let start = ((number * pids + place) as u32) << 9;
        let mut group = AddressGroup::default();
        for part in 0..2 {
            let net = Ipv4Net::new((start + (part << 8)).into(), 24).expect("a length");
            group.insert(IpNet::V4(net));
        }
        Arc::new(group)
    };
    let groups: Vec<_> = (0..pids).map(group).collect();
    let names = (0..pids).map(pid).collect();
    Arc::new(mapped(Arc::new(PidIndex::new(names)), groups))
}

fn mapped(pids: Arc<PidIndex>, groups: Vec<Arc<AddressGroup>>) -> NetworkMap {
    let prefixes = (0..).zip(&groups);
    let prefixes =
        prefixes.flat_map(|(place, group)| group.prefixes().map(move |net| (net, place)));
    let lookup = Lookup {
        lpm: Arc::new(Lpm::build(prefixes).expect("each prefix once")),
        ..Lookup::default()
    };
    NetworkMap::new(pids, groups, lookup)
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

/// Returns the domain with one cost changed, in every metric.
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

/// Returns the domain with one more prefix in its last PID.
pub fn grown(domain: &Domain, number: usize) -> Domain {
    let before = domain.view.network();
    let mut groups: Vec<_> = before.groups().map(|(_, group)| group.clone()).collect();
    let last = groups.last_mut().expect("a PID");
    Arc::make_mut(last).insert("203.0.113.0/24".parse().expect("a prefix"));
    let network = Arc::new(mapped(before.pids().clone(), groups));
    Domain {
        view: view(number, network, domain.view.costs().clone()),
        digest: Digest::of(format!("{} grown", domain.digest).as_bytes()).into(),
        ..domain.clone()
    }
}

/// Returns the lengths of the shortest paths over lines between PIDs that are near.
fn shortest_paths(site: &Site) -> Matrix {
    let pids = site.len();
    let mut lengths = vec![vec![f64::NAN; pids]; pids];
    for (a, row) in lengths.iter_mut().enumerate() {
        for (b, cell) in row.iter_mut().enumerate() {
            let length = distance(site[a], site[b]);
            if length < 20.0 || a.abs_diff(b) == 1 {
                *cell = length;
            }
        }
        row[a] = 0.0;
    }
    for via in 0..pids {
        let onward = lengths[via].clone();
        for row in &mut lengths {
            let first = row[via];
            for (length, then) in row.iter_mut().zip(&onward) {
                let sum = first + then;
                if sum < *length || (length.is_nan() && !sum.is_nan()) {
                    *length = sum;
                }
            }
        }
    }
    Matrix::from_cells(pids, pids, lengths.concat()).expect("a square")
}

/// Returns the costs of paths with these lengths.
fn along(lengths: &Matrix, name: &str) -> Matrix {
    let mut costs = lengths.clone();
    for a in 0..costs.rows() {
        costs.edit_row(a, |row| {
            row.iter_mut()
                .for_each(|length| *length = cost(name, *length));
        });
    }
    costs
}
