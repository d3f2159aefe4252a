//! Compares the judgement with a plain one, made name by name and address by address.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

use super::*;
use crate::alto::network::AddressGroup;
use crate::api::difference::{CostsMoved, Difference};
use crate::api::interconnect::Relationship;
use crate::facts::{Interconnect, Interconnects};
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::{Matrix, PidIndex};

/// What a domain states, in plain collections.
#[derive(Debug, Clone, Default)]
struct World {
    pids: BTreeMap<PidName, AddressGroup>,
    costs: BTreeMap<MetricName, BTreeMap<(PidName, PidName), f64>>,
    links: Interconnects,
}

/// The same in the form that is judged.
struct Held {
    index: PidIndex,
    costs: BTreeMap<MetricName, Matrix>,
}

impl World {
    fn hold(&self) -> Held {
        let index = PidIndex::new(self.pids.keys().cloned().collect());
        let matrix = |cells: &BTreeMap<(PidName, PidName), f64>| {
            let mut matrix = Matrix::new(index.len(), index.len());
            for ((src, dst), cost) in cells {
                if let (Some(src), Some(dst)) = (index.get(src.as_str()), index.get(dst.as_str())) {
                    matrix.set(src as usize, dst as usize, *cost);
                }
            }
            matrix
        };
        let costs = self.costs.iter();
        Held {
            costs: costs.map(|(m, cells)| (m.clone(), matrix(cells))).collect(),
            index,
        }
    }

    fn stated<'a>(&'a self, held: &'a Held) -> Stated<'a> {
        let table = |(metric, cells): (&'a MetricName, &'a Matrix)| {
            let table = Table {
                srcs: &held.index,
                dsts: &held.index,
                cells,
            };
            (metric, table)
        };
        Stated {
            pids: self.pids.iter().collect(),
            costs: held.costs.iter().map(table).collect(),
            interconnects: Some(&self.links),
        }
    }

    fn judge(&self, new: &World, thresholds: &Thresholds) -> Verdict {
        let (old_held, new_held) = (self.hold(), new.hold());
        judge(&self.stated(&old_held), &new.stated(&new_held), thresholds)
    }

    /// Returns the addresses of the prefixes, without those of all addresses.
    fn addresses(&self) -> BTreeSet<u32> {
        let prefixes = self.pids.values().flat_map(AddressGroup::prefixes);
        let prefixes = prefixes.filter(|prefix| prefix.prefix_len() > 0);
        prefixes.flat_map(|prefix| addresses(&prefix)).collect()
    }

    /// A domain of this many PIDs with one prefix each, and one link.
    fn of(count: u8) -> Self {
        let mut world = Self::default();
        for n in 0..count {
            let group = world.pids.entry(pid(n)).or_default();
            group.insert(net([10, n, 0, 0], 16));
        }
        let costs = world.costs.entry(MetricName::routingcost()).or_default();
        for src in 0..count {
            costs.extend((0..count).map(|dst| ((pid(src), pid(dst)), 5.0)));
        }
        world.links.insert(link_id("x-0"), link(1.0));
        world
    }
}

fn addresses(prefix: &IpNet) -> Vec<u32> {
    match prefix {
        IpNet::V4(net) => (net.network().to_bits()..=net.broadcast().to_bits()).collect(),
        IpNet::V6(_) => Vec::new(),
    }
}

fn pid(n: u8) -> PidName {
    PidName::new(&format!("p{n}")).expect("a name")
}

fn net(address: [u8; 4], len: u8) -> IpNet {
    Ipv4Net::new(address.into(), len)
        .expect("a prefix")
        .trunc()
        .into()
}

fn link_id(text: &str) -> InterconnectId {
    InterconnectId::new(text).expect("an id")
}

fn link(cost: f64) -> Interconnect {
    Interconnect {
        border: pid(0),
        costs: BTreeMap::from([(MetricName::routingcost(), cost)]),
        peer_border: pid(1),
        peer_domain: DomainLabel::new("isp-z").expect("a label"),
        relationship: Relationship::Open,
    }
}

/// Returns the difference of a change that must be held.
fn held(verdict: Verdict) -> Difference {
    match verdict {
        Verdict::Held(difference) => difference,
        Verdict::Pass { .. } => panic!("it passes"),
    }
}

fn passes(verdict: Verdict) {
    assert!(matches!(verdict, Verdict::Pass { .. }), "{verdict:?}");
}

#[test]
fn a_domain_that_shrinks_to_one_address_is_held() {
    let old = World::of(12);
    let mut new = World::of(0);
    new.pids
        .entry(pid(3))
        .or_default()
        .insert(net([10, 3, 0, 1], 32));
    let difference = held(old.judge(&new, &Thresholds::default()));
    assert_eq!(
        (difference.prefixes.of, difference.prefixes.removed),
        (12, 12)
    );
    assert_eq!((difference.pids.of, difference.pids.removed), (12, 11));
    assert_eq!(
        (
            difference.interconnects.of,
            difference.interconnects.removed
        ),
        (1, 0)
    );
    let text = difference.excess(&Thresholds::default());
    for words in [
        "12 of 12 prefixes go",
        "11 of 12 PIDs go",
        "at once 50 % may go (max_removed)",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    passes(old.judge(&new, &Thresholds::NONE));
}

#[test]
fn one_interconnect_carries_all_prefixes_so_that_its_cost_alone_is_held() {
    let old = World::of(12);
    let mut new = old.clone();
    new.links.insert(link_id("x-0"), link(5_000_000.0));
    let difference = held(old.judge(&new, &Thresholds::default()));
    let routingcost = MetricName::routingcost();
    let moved = difference.interconnect_costs[&routingcost];
    assert_eq!((moved.of, moved.removed, moved.changed), (1, 0, 1));
    let text = difference.excess(&Thresholds::default());
    let words = "1 of 1 costs across interconnects in routingcost move; at once 20 % may become \
                 10 times what they were, or less by as much (max_change)";
    assert_eq!(text, words);
    // The way back is as far.
    assert_eq!(held(new.judge(&old, &Thresholds::default())), difference);
    let few = World::of(3);
    let mut new = few.clone();
    new.links.insert(link_id("x-0"), link(5_000_000.0));
    passes(few.judge(&new, &Thresholds::default()));
}

#[test]
fn half_may_go_and_a_fifth_may_move_and_no_more() {
    let old = World::of(10);
    let mut new = old.clone();
    for n in 0..5 {
        new.pids.remove(&pid(n));
    }
    passes(old.judge(&new, &Thresholds::default()));
    new.pids.remove(&pid(5));
    held(old.judge(&new, &Thresholds::default()));
    let mut new = old.clone();
    let costs = new.costs.get_mut(&MetricName::routingcost()).expect("it");
    let mut cells = costs.values_mut();
    cells.by_ref().take(20).for_each(|cost| *cost = 50.0);
    cells.by_ref().take(70).for_each(|cost| *cost = 49.0);
    drop(cells);
    passes(old.judge(&new, &Thresholds::default()));
    let costs = new.costs.get_mut(&MetricName::routingcost()).expect("it");
    costs.insert((pid(9), pid(9)), 50.0);
    let difference = held(old.judge(&new, &Thresholds::default()));
    assert_eq!(difference.costs[&MetricName::routingcost()].changed, 21);
}

#[test]
fn a_cost_that_moves_however_little_is_compared_with_what_it_was_the_next_time_too() {
    let old = World::of(12);
    let mut new = old.clone();
    new.links.insert(link_id("x-0"), link(9.0));
    let moved = Verdict::Pass { grows: false };
    assert_eq!(old.judge(&new, &Thresholds::default()), moved);
    // Where costs may move as they like, they are no reason to hold a change.
    let grown = Verdict::Pass { grows: true };
    assert_eq!(old.judge(&new, &Thresholds::NONE), grown);
    let mut new = old.clone();
    let costs = new.costs.get_mut(&MetricName::routingcost()).expect("it");
    costs.insert((pid(3), pid(3)), 5.5);
    assert_eq!(old.judge(&new, &Thresholds::default()), moved);
    let mut more = old.clone();
    more.pids.entry(pid(20)).or_default();
    more.links.insert(link_id("x-1"), link(1e9));
    assert_eq!(old.judge(&more, &Thresholds::default()), grown);
}

#[test]
fn of_fewer_than_ten_all_may_go() {
    let old = World::of(9);
    // 81 costs are more than ten, but none of them is between PIDs that stay.
    passes(old.judge(&World::of(0), &Thresholds::default()));
    held(World::of(10).judge(&World::of(0), &Thresholds::default()));
}

#[test]
fn prefixes_that_are_joined_or_split_are_not_gone_but_the_default_route_joins_nothing() {
    let old = World::of(16);
    let mut joined = old.clone();
    joined
        .pids
        .values_mut()
        .for_each(|group| *group = AddressGroup::default());
    joined
        .pids
        .entry(pid(0))
        .or_default()
        .insert(net([10, 0, 0, 0], 12));
    let lost = held(old.judge(&joined, &Thresholds::default()));
    assert_eq!((lost.prefixes.removed, lost.pids.removed), (0, 15));
    // It is split again into the PIDs that it was joined from.
    let mut split = old.clone();
    for (n, group) in (0..).zip(split.pids.values_mut()) {
        let n = old
            .pids
            .keys()
            .nth(n)
            .map_or(0, |name| name.as_str()[1..].parse().unwrap_or(0));
        *group = AddressGroup::default();
        group.insert(net([10, n, 0, 0], 17));
        group.insert(net([10, n, 128, 0], 17));
    }
    passes(old.judge(&split, &Thresholds::default()));
    passes(split.judge(&old, &Thresholds::default()));
    let mut all = World::of(0);
    all.pids
        .entry(pid(0))
        .or_default()
        .insert(net([0, 0, 0, 0], 0));
    let lost = held(old.judge(&all, &Thresholds::default()));
    assert_eq!(lost.prefixes.removed, 16);
}

#[test]
fn a_metric_that_goes_is_held_and_one_that_comes_is_not() {
    let old = World::of(5);
    let mut more = old.clone();
    let cells = old.costs[&MetricName::routingcost()].clone();
    let hopcount = MetricName::new("hopcount").expect("a metric");
    more.costs.insert(hopcount.clone(), cells);
    passes(old.judge(&more, &Thresholds::default()));
    let lost = held(more.judge(&old, &Thresholds::default()));
    assert_eq!(
        (lost.costs[&hopcount].removed, lost.costs[&hopcount].of),
        (25, 25)
    );
}

#[test]
fn losses_below_one_percent_are_alike_and_so_are_costs_below_the_least() {
    let lossrate = MetricName::new("lossrate").expect("a metric");
    let world = |metric: &MetricName, cost: f64| {
        let mut world = World::of(4);
        let cells = world.costs.remove(&MetricName::routingcost()).expect("it");
        let cells = cells.into_keys().map(|pair| (pair, cost)).collect();
        world.costs.insert(metric.clone(), cells);
        world
    };
    let far = |metric: &MetricName, was: f64, is: f64| {
        let (old, new) = (world(metric, was), world(metric, is));
        matches!(old.judge(&new, &Thresholds::default()), Verdict::Held(_))
    };
    assert!(!far(&lossrate, 0.0, 9.0) && far(&lossrate, 0.0, 10.0));
    assert!(!far(&lossrate, 0.02, 0.2));
    let routingcost = MetricName::routingcost();
    assert!(!far(&routingcost, 0.0, 9.0) && far(&routingcost, 0.0, 10.0));
    assert!(far(&routingcost, 0.02, 0.2) && !far(&routingcost, 0.02, 0.1));
}

#[test]
fn a_difference_is_graver_when_it_takes_a_tenth_more_of_something() {
    let old = World::of(20);
    let without = |count: u8| {
        let mut new = old.clone();
        (0..count).for_each(|n| drop(new.pids.remove(&pid(n))));
        held(old.judge(&new, &Thresholds::default())).gravity()
    };
    let (twelve, fourteen, fifteen) = (without(12), without(14), without(15));
    assert!(!fourteen.exceeds(&twelve) && fifteen.exceeds(&twelve));
    assert!(!twelve.exceeds(&fifteen));
    assert!(!without(20).exceeds(&twelve.join(&without(20))));
}

/// Costs that are 0, equal, and far apart.
fn cost() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(0.5),
        Just(1.0),
        Just(4.0),
        Just(10.0),
        Just(45.0),
        Just(1e6)
    ]
}

fn world() -> impl Strategy<Value = World> {
    let prefixes = proptest::collection::vec((0..6_u8, any::<u8>(), 24..=32_u8), 0..30);
    let pids = proptest::collection::btree_set(0..6_u8, 0..6);
    let cells = proptest::collection::btree_map((0..6_u8, 0..6_u8), cost(), 0..36);
    let metrics = proptest::collection::btree_map(0..2_usize, cells, 0..3);
    let links = proptest::collection::btree_map(0..14_u8, proptest::option::of(cost()), 0..14);
    (prefixes, pids, metrics, links).prop_map(|(prefixes, pids, metrics, links)| {
        let mut world = World::default();
        for n in pids {
            world.pids.entry(pid(n)).or_default();
        }
        let mut seen = BTreeSet::new();
        for (n, low, len) in prefixes {
            let prefix = net([10, 0, 0, low], len);
            if seen.insert(prefix) {
                world.pids.entry(pid(n)).or_default().insert(prefix);
            }
        }
        let names = ["routingcost", "lossrate"].map(|name| MetricName::new(name).expect("one"));
        for (n, cells) in metrics {
            let there = |n: u8| world.pids.contains_key(&pid(n));
            let cells = cells
                .into_iter()
                .filter(|((a, b), _)| there(*a) && there(*b));
            let cells = cells
                .map(|((a, b), cost)| ((pid(a), pid(b)), cost))
                .collect();
            world.costs.insert(names[n].clone(), cells);
        }
        for (n, cost) in links {
            let mut link = link(cost.unwrap_or(0.0));
            if cost.is_none() {
                link.costs.clear();
            }
            world.links.insert(link_id(&format!("x-{n}")), link);
        }
        world
    })
}

/// Whether a cost moves tenfold, as the documentation defines it.
fn moves(was: f64, is: f64, floor: f64) -> bool {
    let (less, more) = (was.min(is).max(floor), was.max(is).max(floor));
    more >= 10.0 * less
}

/// Computes the difference as the documentation defines it.
fn plainly(old: &World, new: &World) -> Difference {
    let covered = new.addresses();
    let mut difference = Difference::default();
    for (name, group) in &old.pids {
        difference.pids.of += 1;
        let now = new.pids.get(name);
        let gone = now.is_none_or(|now| now.is_empty() && !group.is_empty());
        difference.pids.removed += usize::from(gone);
        for prefix in group.prefixes() {
            difference.prefixes.of += 1;
            let stays = addresses(&prefix)
                .iter()
                .all(|address| covered.contains(address));
            difference.prefixes.removed += usize::from(!stays);
        }
    }
    let none = BTreeMap::new();
    for (metric, cells) in &old.costs {
        let now = new.costs.get(metric).unwrap_or(&none);
        let least = cells.values().copied().filter(|cost| *cost > 0.0);
        let least = match metric.as_str() {
            "lossrate" => 1.0,
            _ => least.fold(1.0, f64::min),
        };
        let mut moved = CostsMoved::default();
        for ((src, dst), cost) in cells {
            if !new.pids.contains_key(src) || !new.pids.contains_key(dst) {
                continue;
            }
            moved.of += 1;
            match now.get(&(src.clone(), dst.clone())) {
                None => moved.removed += 1,
                Some(now) => moved.changed += usize::from(moves(*cost, *now, least)),
            }
        }
        if moved.removed + moved.changed > 0 {
            difference.costs.insert(metric.clone(), moved);
        }
    }
    let mut crossing = CostsMoved::default();
    let routingcost = MetricName::routingcost();
    for (id, link) in &old.links {
        difference.interconnects.of += 1;
        let Some(now) = new.links.get(id) else {
            difference.interconnects.removed += 1;
            continue;
        };
        let Some(cost) = link.costs.get(&routingcost) else {
            continue;
        };
        crossing.of += 1;
        let least = if *cost > 0.0 { cost.min(1.0) } else { 1.0 };
        match now.costs.get(&routingcost) {
            None => crossing.removed += 1,
            Some(now) => crossing.changed += usize::from(moves(*cost, *now, least)),
        }
    }
    if crossing.removed + crossing.changed > 0 {
        difference.interconnect_costs.insert(routingcost, crossing);
    }
    difference
}

/// Whether any cost that was there, between PIDs that stay or over a link that does, has
/// another value.
fn is_other(old: &World, new: &World) -> bool {
    let inside = old.costs.iter().any(|(metric, cells)| {
        let now = new.costs.get(metric);
        cells.iter().any(|(pair, cost)| {
            let stays = new.pids.contains_key(&pair.0) && new.pids.contains_key(&pair.1);
            let is = now.and_then(|now| now.get(pair));
            stays && is.is_some_and(|is| is != cost)
        })
    });
    let across = old.links.iter().any(|(id, link)| {
        let now = new.links.get(id);
        link.costs.iter().any(|(metric, cost)| {
            let is = now.and_then(|now| now.costs.get(metric));
            is.is_some_and(|is| is != cost)
        })
    });
    inside || across
}

/// Whether a difference is too much, as the documentation of the settings defines it.
fn is_too_much(difference: &Difference) -> bool {
    let lost = [
        difference.prefixes,
        difference.pids,
        difference.interconnects,
    ];
    let over =
        |part: usize, of: usize, items: usize, parts: usize| items >= 10 && part * parts > of;
    let moved = |moved: &CostsMoved, weight: usize| {
        let items = moved.of * weight;
        over(2 * moved.removed, moved.of, items, 1) || over(moved.changed, moved.of, items, 5)
    };
    let weight = difference.prefixes.of.max(1);
    lost.iter()
        .any(|lost| over(lost.removed, lost.of, lost.of, 2))
        || difference.costs.values().any(|costs| moved(costs, 1))
        || difference
            .interconnect_costs
            .values()
            .any(|costs| moved(costs, weight))
}

proptest! {
    #[test]
    fn the_decision_is_the_one_made_name_by_name(old in world(), new in world()) {
        let plain = plainly(&old, &new);
        let verdict = old.judge(&new, &Thresholds::default());
        if is_too_much(&plain) {
prop_assert_eq!(verdict, Verdict::Held(plain))
        } else {
                let parts = [plain.prefixes, plain.pids, plain.interconnects];
                let grows = parts.iter().all(|lost| lost.removed == 0)
                    && plain.costs.is_empty()
                    && plain.interconnect_costs.is_empty()
                    && !is_other(&old, &new);
                prop_assert_eq!(verdict, Verdict::Pass { grows });

        }
    }

    #[test]
    fn what_stays_the_same_passes_whatever_the_thresholds(world in world()) {
        let strict = Thresholds {
            max_removed: Share::new(0.0).expect("a share"),
            max_change: MaxChange { factor: 1.5, share: Share::new(0.0).expect("a share") },
        };
        let same = Verdict::Pass { grows: true };
        prop_assert_eq!(world.judge(&world, &strict), same);
    }
}
