//! What the merged view must say, found by enumerating every path. Written from the specification
//! alone, it shares nothing with the code under test.

use std::collections::BTreeMap;

use crate::api::interconnect::Relationship;

use super::world::{Stated, StatedLink, World};

/// The best path between two PIDs and its costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Best {
    /// The ids of the interconnects.
    pub(super) ids: Vec<String>,
    /// The labels of the domains.
    pub(super) domains: Vec<&'static str>,
    /// The costs in every metric that the whole path has.
    pub(super) costs: BTreeMap<&'static str, f64>,
}

/// The sum in thousandths, the number of links, their ids: the least key is the best.
type Key = (i128, usize, Vec<String>);

/// One step of a path: the link as both sides declare it.
type Taken<'w> = (&'w String, &'w StatedLink, &'w StatedLink, usize);

/// Returns the best path between PIDs of different domains, each given by the places of domain and
/// PID.
pub(super) fn best(
    world: &World,
    (from, a): (usize, usize),
    (to, b): (usize, usize),
) -> Option<Best> {
    let mut paths = Vec::new();
    extend(world, &mut vec![from], &mut Vec::new(), to, &mut paths);
    let mut best: Option<(Key, Best)> = None;
    for links in paths {
        let selecting = numbers(world, world.select_by, (from, a), &links, (to, b));
        let Some(total) = selecting.and_then(|numbers| thousandths(&numbers)) else {
            continue;
        };
        let ids: Vec<String> = links.iter().map(|link| link.0.clone()).collect();
        let key = (total, links.len(), ids.clone());
        if best.as_ref().is_some_and(|(least, _)| *least <= key) {
            continue;
        }
        let mut costs = BTreeMap::new();
        for name in super::world::METRICS {
            let stated_by_any = world
                .domains
                .iter()
                .any(|domain| domain.costs.contains_key(name));
            if !stated_by_any && name != "routingcost" {
                continue;
            }
            let Some(numbers) = numbers(world, name, (from, a), &links, (to, b)) else {
                continue;
            };
            let composed = compose(world, name, &numbers);
            if let Some(cost) = composed {
                costs.insert(name, cost);
            }
        }
        let mut domains = vec![world.domains[from].label];
        domains.extend(links.iter().map(|link| world.domains[link.3].label));
        best = Some((
            key,
            Best {
                ids,
                domains,
                costs,
            },
        ));
    }
    best.map(|(_, best)| best)
}

/// Finds all sequences of links from the last of `passed` to `to` that pass no domain twice and
/// that every domain between carries.
fn extend<'w>(
    world: &'w World,
    passed: &mut Vec<usize>,
    links: &mut Vec<Taken<'w>>,
    to: usize,
    paths: &mut Vec<Vec<Taken<'w>>>,
) {
    let here = *passed.last().expect("a start");
    if here == to {
        paths.push(links.clone());
        return;
    }
    if passed.len() == world.max_domains {
        return;
    }
    for (id, link) in &world.domains[here].links {
        let Some(next) = world
            .domains
            .iter()
            .position(|domain| domain.label == link.peer)
        else {
            continue;
        };
        let Some(mirror) = mirror(&world.domains[here], id, link, &world.domains[next]) else {
            continue;
        };
        let carries = |side: &StatedLink| {
            side.relationship == Relationship::Customer || side.relationship == Relationship::Open
        };
        let transit = match links.last() {
            None => true,
            Some((_, _, incoming, _)) => carries(incoming) || carries(link),
        };
        if passed.contains(&next) || !transit {
            continue;
        }
        passed.push(next);
        links.push((id, link, mirror, next));
        extend(world, passed, links, to, paths);
        links.pop();
        passed.pop();
    }
}

/// Returns the other side's declaration of an interconnect, if it mirrors this one.
fn mirror<'w>(
    domain: &Stated,
    id: &str,
    link: &StatedLink,
    other: &'w Stated,
) -> Option<&'w StatedLink> {
    let mirror = other.links.get(id)?;
    let agreed = mirror.peer == domain.label
        && mirror.border == link.peer_border
        && mirror.peer_border == link.border;
    agreed.then_some(mirror)
}

fn scale(world: &World, name: &str, domain: usize) -> f64 {
    match name {
        "routingcost" => world
            .scale
            .get(world.domains[domain].label)
            .copied()
            .unwrap_or(1.0),
        _ => 1.0,
    }
}

/// A segment or an interconnect of a path: its cost, or the identity.
#[derive(Debug, Clone, Copy)]
enum Number {
    Cost(f64),
    Identity,
}

fn segment(world: &World, name: &str, domain: usize, a: usize, b: usize) -> Option<Number> {
    let stated = &world.domains[domain];
    let cost = stated
        .costs
        .get(name)
        .and_then(|cells| cells[a * stated.pids + b]);
    match cost {
        Some(cost) => Some(Number::Cost(cost * scale(world, name, domain))),
        None if a == b => Some(Number::Identity),
        None => None,
    }
}

/// Returns the numbers to compose along a path, in order; `None` if one is missing.
fn numbers(
    world: &World,
    name: &str,
    (from, a): (usize, usize),
    links: &[Taken<'_>],
    (to, b): (usize, usize),
) -> Option<Vec<Number>> {
    let mut numbers = Vec::new();
    let (mut domain, mut pid) = (from, a);
    for (_, link, _, next) in links {
        numbers.push(segment(world, name, domain, pid, link.border)?);
        let cost = link.costs.get(name)?;
        numbers.push(Number::Cost(cost * scale(world, name, domain)));
        (domain, pid) = (*next, link.peer_border);
    }
    assert_eq!(domain, to);
    numbers.push(segment(world, name, domain, pid, b)?);
    Some(numbers)
}

/// Returns the sum in thousandths, each rounded; `None` if one is over 5·10¹¹.
fn thousandths(numbers: &[Number]) -> Option<i128> {
    let mut sum = 0;
    for number in numbers {
        if let Number::Cost(cost) = number {
            let rounded = (cost * 1000.0).round();
            if rounded > 5e14 {
                return None;
            }
            sum += rounded as i128;
        }
    }
    Some(sum)
}

fn compose(world: &World, name: &str, numbers: &[Number]) -> Option<f64> {
    let add = match name {
        "routingcost" | "hopcount" | "delay-ow:mean" => true,
        "priv:cash" => world.cash,
        "delay-ow:p95" => false,
        _ => false,
    };
    if add || name == world.select_by {
        return thousandths(numbers).map(|sum| sum as f64 / 1000.0);
    }
    let costs = numbers.iter().filter_map(|number| match number {
        Number::Cost(cost) => Some(*cost),
        Number::Identity => None,
    });
    match name {
        "tput" => costs.reduce(f64::min),
        "lossrate" => {
            let kept = |number: &Number| match number {
                Number::Cost(cost) => 1.0 - cost / 100.0,
                Number::Identity => 1.0,
            };
            let (first, rest) = numbers.split_first()?;
            let (last, middle) = rest.split_last()?;
            let middle: f64 = middle.iter().map(kept).product();
            Some(100.0 * (1.0 - kept(first) * middle * kept(last)))
        }
        _ => None,
    }
}
