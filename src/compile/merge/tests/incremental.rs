//! Merging with the former result equals merging from scratch.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::alto::property::PropertyMap;
use crate::api::interconnect::Relationship;
use crate::compile::{Domain, Merged, merged_view};
use crate::paths::Across;
use crate::publish::Costs;

use super::paths::path;
use super::world::{METRICS, Stated, World, metric, world};

/// Asserts that two merged views are equal, bit by bit.
pub(super) fn assert_same(one: &Merged, other: &Merged) {
    let (a, b) = (&one.view, &other.view);
    assert_eq!(a.network().tag(), b.network().tag());
    assert_eq!(a.network().pids(), b.network().pids());
    assert!(a.costs().keys().eq(b.costs().keys()));
    let (mut row, mut other_row) = (Vec::new(), Vec::new());
    for (metric, costs) in a.costs() {
        let other_costs = &b.costs()[metric];
        assert!(costs.same(other_costs), "{metric}: the tags differ");
        for src in 0..costs.size() as u32 {
            costs.row(src, &mut row);
            other_costs.row(src, &mut other_row);
            let bits = |row: &[f64]| row.iter().map(|cost| cost.to_bits()).collect::<Vec<_>>();
            let known = |row: &[f64]| row.iter().map(|cost| cost.is_nan()).collect::<Vec<_>>();
            assert_eq!(known(&row), known(&other_row));
            let numbers = |row: &[f64]| {
                bits(
                    &row.iter()
                        .copied()
                        .filter(|c| !c.is_nan())
                        .collect::<Vec<_>>(),
                )
            };
            assert_eq!(numbers(&row), numbers(&other_row), "{metric}");
        }
    }
    for src in 0..a.network().pids().len() as u32 {
        for dst in 0..a.network().pids().len() as u32 {
            assert_eq!(
                path(one, src, dst, u64::MAX),
                path(other, src, dst, u64::MAX)
            );
        }
    }
    assert_eq!(one.conflicts, other.conflicts);
    assert_eq!(one.interconnects, other.interconnects);
    assert_eq!(a.properties().map(), b.properties().map());
}

/// A change from one merge to the next.
#[derive(Debug, Clone)]
enum Change {
    /// One cost of a domain in a metric.
    Cell(Index, &'static str, Index, Option<f64>),
    /// Whether a domain has a metric.
    Metric(Index, &'static str),
    /// Whether a domain is there.
    Presence(Index),
    /// A prefix of a domain is added to one of its PIDs or removed.
    Prefix(Index, Index, &'static str),
    /// One side of an interconnect: its costs or its relationship.
    Link(Index, Index, &'static str, f64),
    Relationship(Index, Index, Relationship),
    /// A domain gets one more PID, before its others.
    Pid(Index),
    Scale(Index, f64),
    SelectBy(&'static str),
    MaxDomains(usize),
    /// A block of a domain is configured or no longer configured.
    Block(Index, &'static str),
    PrivatePrefixes(bool),
    Nothing,
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let name = || prop::sample::select(METRICS.to_vec());
    let few = || (0..4_u8).prop_map(f64::from);
    let prefix = || {
        prop::sample::select(vec![
            "10.0.0.0/8",
            "10.1.0.0/16",
            "20.0.0.0/8",
            "0.0.0.0/0",
            "2001:db8::/32",
        ])
    };
    prop_oneof![
        4 => (index(), name(), index(), prop::option::of(few()))
            .prop_map(|(d, m, c, cost)| Change::Cell(d, m, c, cost)),
        1 => (index(), name()).prop_map(|(d, m)| Change::Metric(d, m)),
        1 => index().prop_map(Change::Presence),
        1 => (index(), index(), prefix()).prop_map(|(d, p, net)| Change::Prefix(d, p, net)),
        1 => (index(), index(), name(), few()).prop_map(|(d, l, m, cost)| Change::Link(d, l, m, cost)),
        1 => (index(), index(), prop::sample::select(vec![Relationship::Open, Relationship::Peer]))
            .prop_map(|(d, l, r)| Change::Relationship(d, l, r)),
        1 => index().prop_map(Change::Pid),
        1 => (index(), prop_oneof![Just(1.0), Just(0.5)]).prop_map(|(d, s)| Change::Scale(d, s)),
        1 => prop::sample::select(vec!["routingcost", "hopcount"]).prop_map(Change::SelectBy),
        1 => (2..7_usize).prop_map(Change::MaxDomains),
        1 => (index(), prefix()).prop_map(|(d, net)| Change::Block(d, net)),
        1 => any::<bool>().prop_map(Change::PrivatePrefixes),
        1 => Just(Change::Nothing),
    ]
}

impl Change {
    fn apply(&self, world: &mut World, absent: &mut BTreeSet<usize>) {
        let count = world.domains.len();
        match self {
            Change::Cell(domain, name, cell, cost) => {
                let stated = &mut world.domains[domain.index(count)];
                if let Some(cells) = stated.costs.get_mut(name) {
                    let at = cell.index(cells.len());
                    cells[at] = *cost;
                }
            }
            Change::Metric(domain, name) => {
                let stated = &mut world.domains[domain.index(count)];
                if stated.costs.remove(name).is_none() || *name == "routingcost" {
                    let cells = vec![Some(1.0); stated.pids.pow(2)];
                    stated.costs.insert(name, cells);
                }
            }
            Change::Presence(domain) => {
                let domain = domain.index(count);
                if !absent.remove(&domain) {
                    absent.insert(domain);
                }
            }
            Change::Prefix(domain, pid, net) => {
                let stated = &mut world.domains[domain.index(count)];
                let pid = pid.index(stated.pids);
                match stated
                    .prefixes
                    .iter_mut()
                    .find(|of_pid| of_pid.contains(net))
                {
                    Some(of_pid) => of_pid.retain(|known| known != net),
                    None => stated.prefixes[pid].push(net),
                }
            }
            Change::Link(domain, link, name, cost) => {
                let links = &mut world.domains[domain.index(count)].links;
                if !links.is_empty() {
                    let at = link.index(links.len());
                    let link = links.values_mut().nth(at).expect("a link");
                    link.costs.insert(name, *cost);
                }
            }
            Change::Relationship(domain, link, relationship) => {
                let links = &mut world.domains[domain.index(count)].links;
                if !links.is_empty() {
                    let at = link.index(links.len());
                    links.values_mut().nth(at).expect("a link").relationship = *relationship;
                }
            }
            Change::Pid(domain) => grow(&mut world.domains, domain.index(count)),
            Change::Scale(domain, scale) => {
                let label = world.domains[domain.index(count)].label;
                world.scale.insert(label, *scale);
            }
            Change::SelectBy(name) => world.select_by = name,
            Change::MaxDomains(max) => world.max_domains = *max,
            Change::Block(domain, net) => {
                let label = world.domains[domain.index(count)].label;
                let blocks = world.blocks.entry(label).or_default();
                if !blocks.remove(net) {
                    blocks.insert(net);
                }
            }
            Change::PrivatePrefixes(taken) => world.private_prefixes = *taken,
            Change::Nothing => {}
        }
    }
}

/// Gives a domain one more PID, which moves all others and the borders.
fn grow(domains: &mut [Stated], at: usize) {
    let stated = &mut domains[at];
    let (label, pids) = (stated.label, stated.pids);
    for cells in stated.costs.values_mut() {
        let old = std::mem::take(cells);
        cells.extend(vec![Some(2.0); pids + 1]);
        for row in old.chunks(pids) {
            cells.push(None);
            cells.extend_from_slice(row);
        }
    }
    stated.pids += 1;
    stated.prefixes.insert(0, Vec::new());
    stated.links.values_mut().for_each(|link| link.border += 1);
    for other in domains {
        let towards = other.links.values_mut().filter(|link| link.peer == label);
        towards.for_each(|link| link.peer_border += 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn merging_with_the_former_result_gives_what_merging_from_scratch_gives(
        mut world in world(), changes in prop::collection::vec(change(), 1..12),
    ) {
        let mut absent = BTreeSet::new();
        let mut domains = world.domains();
        let mut former = merged_view(&domains, &world.policy(), None);
        for change in changes {
            let before = world.clone();
            change.apply(&mut world, &mut absent);
            for (at, stated) in world.domains.iter().enumerate() {
                if *stated != before.domains[at] {
                    let known = Some((&before.domains[at], &domains[at]));
                    domains[at] = stated.domain_with(PropertyMap::new(), [None; 2], known);
                }
            }
            let there = domains.iter().enumerate().filter(|(at, _)| !absent.contains(at));
            let there: Vec<Domain> = there.map(|(_, domain)| domain.clone()).collect();
            let next = merged_view(&there, &world.policy(), Some(&former));
            let fresh = merged_view(&there, &world.policy(), None);
            assert_same(&next, &fresh);
            former = next;
        }
    }
}

/// Returns two domains of two PIDs each; they meet at `p0`.
fn two() -> World {
    let link = |peer| super::world::StatedLink {
        border: 0,
        peer,
        peer_border: 0,
        relationship: Relationship::Open,
        costs: [("routingcost", 1.0)].into(),
    };
    let stated = |label, peer, prefix| {
        let mut stated = Stated::new(label, &[&[prefix], &[]]);
        stated.costs.insert("routingcost", vec![Some(1.0); 4]);
        stated.links.insert("x".to_owned(), link(peer));
        stated
    };
    World {
        domains: vec![
            stated("b", "c", "10.0.0.0/8"),
            stated("c", "b", "11.0.0.0/8"),
        ],
        select_by: "routingcost",
        max_domains: 8,
        scale: [].into(),
        cash: false,
        blocks: [].into(),
        private_prefixes: true,
    }
}

/// Returns the merged view of two domains before and after a change.
fn before_and_after(change: impl FnOnce(&mut [Stated])) -> [Merged; 2] {
    let mut world = two();
    let before = (world.domains.clone(), world.domains());
    let former = merged_view(&before.1, &world.policy(), None);
    change(&mut world.domains);
    let domains = world.domains.iter().enumerate().map(|(at, stated)| {
        let known = Some((&before.0[at], &before.1[at]));
        stated.domain_with(PropertyMap::new(), [None; 2], known)
    });
    let next = merged_view(&domains.collect::<Vec<_>>(), &world.policy(), Some(&former));
    [former, next]
}

fn across(merged: &Merged) -> &Across {
    match &merged.view.costs()[&metric("routingcost")] {
        Costs::Composed(composed) => composed.across.as_ref().expect("composed"),
        Costs::Dense(_) => unreachable!("the merged view is composed"),
    }
}

/// Returns whether both merges share the network, the interconnects, the ways between borders, and
/// the costs to the borders of each domain.
fn shared([former, next]: &[Merged; 2]) -> (bool, bool, bool, [bool; 2]) {
    let crossings = |merged: &Merged| merged.paths.crossings.clone();
    let same_crossings = Arc::ptr_eq(&crossings(former), &crossings(next));
    assert_eq!(
        same_crossings,
        Arc::ptr_eq(&former.interconnects, &next.interconnects)
    );
    let properties = |merged: &Merged| merged.view.properties().clone();
    let same_network = Arc::ptr_eq(former.view.network(), next.view.network());
    assert_eq!(
        same_network,
        Arc::ptr_eq(&properties(former), &properties(next))
    );
    let (former, next) = (across(former), across(next));
    (
        same_network,
        same_crossings,
        Arc::ptr_eq(&former.routes, &next.routes),
        [0, 1].map(|domain| Arc::ptr_eq(&former.select[domain], &next.select[domain])),
    )
}

#[test]
fn what_a_change_does_not_touch_is_shared() {
    let nothing = before_and_after(|_| {});
    assert_eq!(shared(&nothing), (true, true, true, [true; 2]));
    let cost = |cell: usize| {
        before_and_after(|domains| {
            let costs = domains[1].costs.get_mut("routingcost").expect("stated");
            costs[cell] = Some(9.0);
        })
    };
    // From the PID that is no border to itself, then from the border to itself.
    assert_eq!(shared(&cost(3)), (true, true, true, [true, false]));
    assert_eq!(shared(&cost(0)), (true, true, false, [true, false]));
    let prefix = before_and_after(|domains| domains[0].prefixes[1].push("10.1.0.0/16"));
    assert_eq!(shared(&prefix), (false, true, true, [true; 2]));
    let link = before_and_after(|domains| {
        let mut links = domains[1].links.values_mut();
        links
            .next()
            .expect("a link")
            .costs
            .insert("routingcost", 2.0);
    });
    assert_eq!(shared(&link), (true, false, false, [true; 2]));
}
