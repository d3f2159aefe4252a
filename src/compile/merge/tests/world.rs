//! Small random federations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::alto::network::AddressGroup;
use crate::alto::property::PropertyMap;
use crate::api::interconnect::Relationship;
use crate::compile::{Domain, DomainPolicy, MergePolicy};
use crate::facts::{Interconnect, Interconnects};
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName, Sha256};
use crate::net::{Lpm, Matrix, PidIndex};
use crate::paths::Rule;
use crate::publish::{Costs, Lookup, NetworkMap, Origin, Properties, View, ViewName};

/// The metrics of the federations: some for each rule, one without a rule, and one that only policy
/// composes.
pub(super) const METRICS: [&str; 7] = [
    "routingcost",
    "hopcount",
    "delay-ow:mean",
    "delay-ow:p95",
    "tput",
    "lossrate",
    "priv:cash",
];

/// A domain as plain values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stated {
    pub(super) label: &'static str,
    /// The number of PIDs: `p0`, `p1`, …
    pub(super) pids: usize,
    /// The prefixes of each PID.
    pub(super) prefixes: Vec<Vec<&'static str>>,
    /// By metric, the costs row by row.
    pub(super) costs: BTreeMap<&'static str, Vec<Option<f64>>>,
    pub(super) links: BTreeMap<String, StatedLink>,
    /// The PIDs that are off-net.
    pub(super) off_net: BTreeSet<usize>,
    pub(super) is_plain: bool,
}

/// One side of an interconnect.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StatedLink {
    pub(super) border: usize,
    pub(super) peer: &'static str,
    pub(super) peer_border: usize,
    pub(super) relationship: Relationship,
    pub(super) costs: BTreeMap<&'static str, f64>,
}

pub(super) fn label(text: &str) -> DomainLabel {
    DomainLabel::new(text).expect("a label")
}

pub(super) fn metric(text: &str) -> MetricName {
    MetricName::new(text).expect("a metric")
}

pub(super) fn pid(place: usize) -> PidName {
    PidName::new(&format!("p{place}")).expect("a name")
}

pub(super) fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

impl Stated {
    /// Creates a domain of these PIDs that states nothing else.
    pub(super) fn new(label: &'static str, prefixes: &[&[&'static str]]) -> Self {
        Self {
            label,
            pids: prefixes.len(),
            prefixes: prefixes.iter().map(|prefixes| prefixes.to_vec()).collect(),
            costs: BTreeMap::from([("routingcost", vec![None; prefixes.len().pow(2)])]),
            links: BTreeMap::new(),
            off_net: BTreeSet::new(),
            is_plain: false,
        }
    }

    pub(super) fn domain(&self) -> Domain {
        self.domain_with(PropertyMap::new(), [None; 2], None)
    }

    /// Returns the domain with properties. `uncovered` has, by family, the PID whose prefix of all
    /// addresses only completes the map. Whatever `before` stated as well is shared with it.
    pub(super) fn domain_with(
        &self,
        properties: PropertyMap,
        uncovered: [Option<u32>; 2],
        before: Option<(&Stated, &Domain)>,
    ) -> Domain {
        let group = |place: usize| {
            let mut group = AddressGroup::default();
            for prefix in &self.prefixes[place] {
                group.insert(net(prefix));
            }
            group
        };
        let groups: Vec<_> = (0..self.pids).map(|place| Arc::new(group(place))).collect();
        let completes = |net: &IpNet| {
            let family = usize::from(matches!(net, IpNet::V6(_)));
            net.prefix_len() == 0 && uncovered[family].is_some()
        };
        let prefixes = (0..).zip(&groups).flat_map(|(place, group)| {
            let facts = group.prefixes().filter(|net| !completes(net));
            facts.map(move |net| (net, place))
        });
        let lookup = Lookup {
            lpm: Arc::new(Lpm::build(prefixes).expect("each prefix once")),
            uncovered,
            ..Lookup::default()
        };
        let names = (0..self.pids).map(pid).collect();
        let network = NetworkMap::new(Arc::new(PidIndex::new(names)), groups, lookup);
        let matrix = |name: &str, cells: &Vec<Option<f64>>| {
            if let Some((stated, domain)) = before
                && stated.costs.get(name) == Some(cells)
            {
                return domain.view.costs()[&metric(name)].clone();
            }
            let cells = cells.iter().map(|cost| cost.unwrap_or(f64::NAN)).collect();
            let matrix = Matrix::from_cells(self.pids, self.pids, cells).expect("a square");
            Costs::Dense(Arc::new(matrix))
        };
        let costs = self
            .costs
            .iter()
            .map(|(name, cells)| (metric(name), matrix(name, cells)));
        let view = View::new(
            ViewName::Domain(label(self.label)),
            Origin {
                serial: 1,
                received: Timestamp::UNIX_EPOCH,
            },
            Arc::new(network),
            costs.collect(),
            match before {
                Some((_, domain)) if *domain.view.properties().map() == properties => {
                    domain.view.properties().clone()
                }
                _ => Arc::new(Properties::new(properties.clone())),
            },
            None,
        );
        let mut digest = Sha256::new();
        digest.update(format!("{self:?} {properties:?} {uncovered:?}").as_bytes());
        Domain {
            label: label(self.label),
            view: Arc::new(view),
            off_net: Arc::new(self.off_net.iter().copied().map(pid).collect()),
            is_plain: self.is_plain,
            interconnects: Arc::new(self.interconnects()),
            digest: digest.finish().into(),
        }
    }

    fn interconnects(&self) -> Interconnects {
        let links = self.links.iter().map(|(id, link)| {
            let costs = link.costs.iter().map(|(name, cost)| (metric(name), *cost));
            let interconnect = Interconnect {
                border: pid(link.border),
                costs: costs.collect(),
                peer_border: pid(link.peer_border),
                peer_domain: label(link.peer),
                relationship: link.relationship,
            };
            (InterconnectId::new(id).expect("an id"), interconnect)
        });
        links.collect()
    }
}

/// A federation and the policy for it.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) domains: Vec<Stated>,
    pub(super) select_by: &'static str,
    pub(super) max_domains: usize,
    /// By domain, the factor of its routingcost.
    pub(super) scale: BTreeMap<&'static str, f64>,
    /// Whether policy composes `priv:cash`, by adding.
    pub(super) cash: bool,
    /// By domain, the prefixes that it may speak for; all if absent.
    pub(super) blocks: BTreeMap<&'static str, BTreeSet<&'static str>>,
    pub(super) private_prefixes: bool,
}

impl World {
    pub(super) fn policy(&self) -> MergePolicy {
        let mut policy = MergePolicy::new(label("b"));
        policy.select_by = metric(self.select_by);
        policy.max_domains = self.max_domains;
        if self.cash {
            policy.compose.insert(metric("priv:cash"), Rule::Add);
        }
        for (domain, scale) in &self.scale {
            let of_domain = DomainPolicy {
                scale: Some(*scale),
                ..DomainPolicy::default()
            };
            policy.domains.insert(label(domain), of_domain);
        }
        policy.private_prefixes = self.private_prefixes;
        for (domain, blocks) in &self.blocks {
            let of_domain = policy.domains.entry(label(domain)).or_default();
            of_domain.prefixes = Some(blocks.iter().map(|text| net(text)).collect());
        }
        policy
    }

    pub(super) fn domains(&self) -> Vec<Domain> {
        self.domains.iter().map(Stated::domain).collect()
    }
}

/// Labels whose order is not that of their PIDs, and that are around `default`.
const LABELS: [&str; 6] = ["b", "b-1", "a", "default-x", "c0", "e"];

/// Generates costs: few small numbers, so that ties are frequent, and some that need rounding.
fn additive() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0..4_u8).prop_map(f64::from),
        1 => (0..4000_u16).prop_map(|n| f64::from(n) / 3.0),
        1 => Just(0.0005),
    ]
}

fn cost(metric: &'static str) -> BoxedStrategy<f64> {
    match metric {
        "lossrate" => prop_oneof![Just(0.0), Just(100.0), 0.0..100.0].boxed(),
        "tput" => prop_oneof![(0..5_u8).prop_map(f64::from), 0.0..1e9].boxed(),
        _ => additive().boxed(),
    }
}

fn cells(metric: &'static str, pids: usize, missing: u32) -> BoxedStrategy<Vec<Option<f64>>> {
    let cell = prop_oneof![
        missing => Just(None),
        8 => cost(metric).prop_map(Some),
    ];
    prop::collection::vec(cell, pids * pids).boxed()
}

fn relationship() -> impl Strategy<Value = Relationship> {
    prop::sample::select(vec![
        Relationship::Customer,
        Relationship::Provider,
        Relationship::Peer,
        Relationship::Open,
    ])
}

fn link_costs() -> impl Strategy<Value = BTreeMap<&'static str, f64>> {
    let costs = METRICS.map(|name| {
        let stated = prop::bool::weighted(if name == "routingcost" { 0.95 } else { 0.8 });
        (stated, cost(name)).prop_map(move |(stated, cost)| stated.then_some((name, cost)))
    });
    costs
        .to_vec()
        .prop_map(|costs| costs.into_iter().flatten().collect())
}

/// An interconnect between two of so many domains: their places, the borders, both sides, and
/// whether the first domain leaves its side out.
type Pair = (
    usize,
    usize,
    usize,
    usize,
    [(Relationship, BTreeMap<&'static str, f64>); 2],
    bool,
);

fn pair(domains: usize) -> impl Strategy<Value = Pair> {
    (
        0..domains,
        1..domains,
        0..9_usize,
        0..9_usize,
        [
            (relationship(), link_costs()),
            (relationship(), link_costs()),
        ],
        prop::bool::weighted(0.05),
    )
        .prop_map(move |(a, step, e, f, sides, one_sided)| {
            (a, (a + step) % domains, e, f, sides, one_sided)
        })
}

fn stated(label: &'static str) -> impl Strategy<Value = Stated> {
    (1..4_usize, prop::sample::select(vec![1_u32, 1, 3, 8])).prop_flat_map(
        move |(pids, missing)| {
            let costs = METRICS.map(|name| {
                let has = prop::bool::weighted(if name == "routingcost" { 1.0 } else { 0.8 });
                (has, cells(name, pids, missing))
                    .prop_map(move |(has, cells)| has.then_some((name, cells)))
            });
            costs.to_vec().prop_map(move |costs| Stated {
                label,
                pids,
                prefixes: vec![Vec::new(); pids],
                costs: costs.into_iter().flatten().collect(),
                links: BTreeMap::new(),
                off_net: BTreeSet::new(),
                is_plain: false,
            })
        },
    )
}

fn connected(mut domains: Vec<Stated>, pairs: Vec<Pair>) -> Vec<Stated> {
    for (n, (a, b, e, f, sides, one_sided)) in pairs.into_iter().enumerate() {
        // Ids whose order is not that of the numbers.
        let id = format!("x{}", [5, 12, 3, 30, 1, 22, 9, 2, 15, 7, 40, 4][n % 12]);
        let (e, f) = (e % domains[a].pids, f % domains[b].pids);
        let [here, there] = sides;
        let mut side = |at: usize, border, peer: usize, peer_border, (relationship, costs)| {
            let link = StatedLink {
                border,
                peer: LABELS[peer],
                peer_border,
                relationship,
                costs,
            };
            domains[at].links.insert(id.clone(), link);
        };
        if !one_sided {
            side(a, e, b, f, here);
        }
        side(b, f, a, e, there);
    }
    domains
}

/// Generates federations of 2 to 6 domains with up to 12 interconnects.
pub(super) fn world() -> impl Strategy<Value = World> {
    (2..7_usize)
        .prop_flat_map(|count| {
            let domains: Vec<_> = LABELS[..count].iter().map(|label| stated(label)).collect();
            (
                domains,
                prop::collection::vec(pair(count), 1..13),
                prop::sample::select(vec![
                    "routingcost",
                    "routingcost",
                    "hopcount",
                    "delay-ow:p95",
                ]),
                prop_oneof![2 => 2..5_usize, 3 => 5..9_usize],
                prop::collection::btree_map(
                    prop::sample::select(LABELS.to_vec()),
                    prop_oneof![Just(2.0), Just(0.5), Just(0.1), Just(0.0)],
                    0..3,
                ),
                any::<bool>(),
            )
        })
        .prop_map(
            |(domains, pairs, select_by, max_domains, scale, cash)| World {
                domains: connected(domains, pairs),
                select_by,
                max_domains,
                scale,
                cash,
                blocks: BTreeMap::new(),
                private_prefixes: true,
            },
        )
}
