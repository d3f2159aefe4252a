//! Costs and paths between domains are those that the specification gives.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::api::conflict::MergeConflictKind;
use crate::compile::{MergePolicy, Merged, merged_view};
use crate::ident::{InterconnectId, MetricName};
use crate::paths::{Hop, Path};
use crate::publish::Costs;

use super::brute::{Best, best};
use super::world::{METRICS, Stated, World, metric, world};

/// Returns how many cases of a property are tried: the full count if `ALTOFED_HEAVY` is set.
fn cases() -> ProptestConfig {
    let heavy = std::env::var_os("ALTOFED_HEAVY").is_some();
    ProptestConfig::with_cases(if heavy { 3_000 } else { 1_000 })
}

/// Returns the index in the merged view of a domain's PID.
pub(super) fn index(merged: &Merged, label: &str, pid: usize) -> u32 {
    let pids = merged.view.network().pids();
    let name = format!("{label}:p{pid}");
    pids.get(&name).unwrap_or_else(|| panic!("no PID {name}"))
}

pub(super) fn cell(costs: &Costs, src: u32, dst: u32) -> Option<f64> {
    let mut out = Vec::new();
    costs.gather(&[src], &[dst], &mut out);
    out.first().copied().filter(|cost| !cost.is_nan())
}

/// Finds the path between two PIDs of a merged view, in steps of `looks`.
pub(super) fn path(merged: &Merged, src: u32, dst: u32, looks: u64) -> Option<Path> {
    let mut search = merged.paths.search(src, dst);
    while search.step(looks) {}
    search.path()
}

fn merged(world: &World) -> Merged {
    merged_view(&world.domains(), &world.policy(), None)
}

/// Returns the place of every PID of a world.
fn places(world: &World) -> Vec<(usize, usize)> {
    let domains = world.domains.iter().enumerate();
    domains
        .flat_map(|(domain, stated)| (0..stated.pids).map(move |pid| (domain, pid)))
        .collect()
}

/// Asserts that a path is the one that the enumeration found.
fn assert_path(path: &Path, best: &Best, world: &World, from: (usize, usize), to: (usize, usize)) {
    let (mut ids, mut domains) = (Vec::new(), Vec::new());
    let mut at = (
        world.domains[from.0].label.to_owned(),
        format!("p{}", from.1),
    );
    for hop in &path.hops {
        match hop {
            Hop::Domain {
                domain,
                from,
                to,
                costs,
            } => {
                assert_eq!(
                    at,
                    (domain.to_string(), from.to_string()),
                    "a path is joined up"
                );
                let stated = world
                    .domains
                    .iter()
                    .find(|stated| stated.label == domain.as_str());
                assert_stated(
                    costs,
                    stated.expect("a domain"),
                    from.as_str(),
                    to.as_str(),
                    world,
                );
                at.1 = to.to_string();
                domains.push(domain.to_string());
            }
            Hop::Interconnect {
                id,
                from,
                to,
                costs,
            } => {
                assert_eq!(at, (from.domain.to_string(), from.pid.to_string()));
                assert_eq!(*costs, crossing(world, from.domain.as_str(), id.as_str()));
                at = (to.domain.to_string(), to.pid.to_string());
                ids.push(InterconnectId::to_string(id));
            }
        }
    }
    assert_eq!(
        at,
        (world.domains[to.0].label.to_owned(), format!("p{}", to.1))
    );
    assert_eq!(
        (&ids, domains),
        (
            &best.ids,
            best.domains.iter().map(|d| (*d).to_owned()).collect()
        )
    );
    let total: Vec<_> = path
        .total
        .iter()
        .map(|(m, cost)| (m.as_str(), *cost))
        .collect();
    let mut expected: Vec<_> = best.costs.iter().map(|(m, cost)| (*m, *cost)).collect();
    expected.sort_by_key(|(metric, _)| metric.to_string());
    assert_eq!(
        total, expected,
        "the total is of the costs that the view has"
    );
}

/// Returns the costs of an interconnect, as the domain where it starts states them and policy
/// scales them.
fn crossing(world: &World, domain: &str, id: &str) -> BTreeMap<MetricName, f64> {
    let mut domains = world.domains.iter();
    let stated = domains.find(|stated| stated.label == domain);
    let link = &stated.expect("a domain").links[id];
    let scale = world.scale.get(domain).copied().unwrap_or(1.0);
    let costs = link.costs.iter().map(|(name, cost)| {
        let scale = if *name == "routingcost" { scale } else { 1.0 };
        (metric(name), cost * scale)
    });
    costs.collect()
}

/// Asserts that the costs of a hop are those that the domain states.
fn assert_stated(
    costs: &BTreeMap<MetricName, f64>,
    stated: &Stated,
    from: &str,
    to: &str,
    world: &World,
) {
    let place = |name: &str| name[1..].parse::<usize>().expect("a number");
    for name in METRICS {
        let cells = stated.costs.get(name);
        let cost = cells.and_then(|cells| cells[place(from) * stated.pids + place(to)]);
        let scale = world
            .scale
            .get(stated.label)
            .filter(|_| name == "routingcost");
        let scaled = cost.map(|cost| cost * scale.copied().unwrap_or(1.0));
        assert_eq!(costs.get(&metric(name)).copied(), scaled, "{name}");
    }
}

fn check(world: &World) {
    let merged = merged(world);
    assert_eq!(merged.conflicts.count(MergeConflictKind::UnsettledPair), 0);
    let all: Vec<u32> = (0..merged.view.network().pids().len() as u32).collect();
    for from in places(world) {
        let src = index(&merged, world.domains[from.0].label, from.1);
        for to in places(world) {
            let dst = index(&merged, world.domains[to.0].label, to.1);
            let path = path(&merged, src, dst, 1);
            let cost = |name| cell(merged.view.costs().get(&metric(name))?, src, dst);
            if from.0 == to.0 {
                let stated = &world.domains[from.0];
                let scale = world.scale.get(stated.label).copied().unwrap_or(1.0);
                for name in METRICS {
                    let cells = stated.costs.get(name);
                    let own = cells.and_then(|cells| cells[from.1 * stated.pids + to.1]);
                    let scale = if name == "routingcost" { scale } else { 1.0 };
                    assert_eq!(
                        cost(name),
                        own.map(|own| own * scale),
                        "{name} inside a domain"
                    );
                }
                continue;
            }
            match best(world, from, to) {
                None => {
                    assert_eq!(path, None);
                    for name in METRICS {
                        assert_eq!(cost(name), None, "{name} from {from:?} to {to:?}");
                    }
                }
                Some(best) => {
                    for name in METRICS {
                        let expected = best.costs.get(name).copied();
                        assert_eq!(
                            cost(name),
                            expected,
                            "{name} from {from:?} to {to:?}: {best:?}"
                        );
                    }
                    let path = path.expect("a path");
                    assert_path(&path, &best, world, from, to);
                }
            }
        }
    }
    for costs in merged.view.costs().values() {
        let (mut row, mut gathered) = (Vec::new(), Vec::new());
        for &src in &all {
            let steps = costs.row(src, &mut row);
            let to: u64 = all.iter().map(|dst| costs.steps_to(*dst)).sum();
            assert!(steps <= costs.steps_from(src) + to, "they are known before");
            costs.gather(&[src], &all, &mut gathered);
            let bits = |costs: &[f64]| {
                costs
                    .iter()
                    .map(|c| c.is_nan() || c.to_bits() == 0 || *c > 0.0)
                    .collect::<Vec<_>>()
            };
            assert_eq!(bits(&row), bits(&gathered));
            let same = row
                .iter()
                .zip(&gathered)
                .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
            assert!(same, "a row is what gathering all destinations gives");
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_cost_and_path_is_the_best_of_all_paths_through_different_domains(world in world()) {
        check(&world);
    }

    #[test]
    fn the_order_in_which_domains_are_given_does_not_matter(
        (world, domains) in world().prop_flat_map(|world| {
            let domains = Just(world.domains.clone()).prop_shuffle();
            (Just(world), domains)
        }),
    ) {
        let shuffled = World { domains, ..world.clone() };
        let (one, other) = (merged(&world), merged(&shuffled));
        super::incremental::assert_same(&one, &other);
    }

    #[test]
    fn with_few_labels_a_cost_is_right_or_missing_and_reported(
        world in world(), max_labels in 0..40_u64,
    ) {
        let policy = MergePolicy { max_labels, ..world.policy() };
        let exact = merged(&world);
        let hasty = merged_view(&world.domains(), &policy, None);
        let paths = &hasty.paths;
        let mut unsettled = BTreeSet::new();
        for from in places(&world) {
            let src = index(&exact, world.domains[from.0].label, from.1);
            for to in places(&world) {
                let dst = index(&exact, world.domains[to.0].label, to.1);
                for (name, costs) in exact.view.costs() {
                    let right = cell(costs, src, dst);
                    let found = cell(&hasty.view.costs()[name], src, dst);
                    prop_assert!(found == right || (found.is_none() && paths.is_unsettled(src, dst)));
                }
                if paths.is_unsettled(src, dst) {
                    unsettled.insert((from.0, to.0));
                    prop_assert_eq!(path(&hasty, src, dst, u64::MAX), None);
                }
            }
        }
        let reported = hasty.conflicts.count(MergeConflictKind::UnsettledPair);
        prop_assert_eq!(reported, unsettled.len() as u64);
    }
}
