//! The best ways, compared with an enumeration of every way.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Effort, MAX_DOMAINS, Way, WaySearch, Ways};
use crate::paths::borders::{BorderGraph, Link};

/// Domains, each as the costs between its borders, and links.
type Given = (Vec<Vec<f64>>, Vec<Link>);

const NO: f64 = f64::INFINITY;

/// Generates costs: so few that many ways cost the same, and so different that passing a domain
/// twice is often cheaper.
fn cost() -> impl Strategy<Value = f64> {
    prop_oneof![3 => Just(NO), 4 => (0..3_u8).prop_map(f64::from), 3 => Just(30.0)]
}

fn given(domains: std::ops::Range<usize>, links: usize) -> impl Strategy<Value = Given> {
    let domain = (1..4_usize).prop_flat_map(|borders| vec(cost(), borders * borders));
    vec(domain, domains).prop_flat_map(move |domains| {
        let count = domains.len();
        let sizes: Vec<usize> = domains.iter().map(|costs| costs.len().isqrt()).collect();
        let border = move |domain: usize, place: usize| {
            let before: usize = sizes[..domain].iter().sum();
            (before + place % sizes[domain]) as u32
        };
        let ends = (0..count, 1..count, any::<usize>(), any::<usize>());
        let cost = prop_oneof![9 => (0..3_u8).prop_map(f64::from), 1 => Just(NO)];
        let link = (ends, cost, any::<bool>(), any::<bool>());
        let link = link.prop_map(move |((a, step, e, f), cost, open_from, open_to)| Link {
            from: border(a, e),
            to: border((a + step) % count, f),
            cost,
            open_from,
            open_to,
        });
        (Just(domains), vec(link, 2 * count..links))
    })
}

fn graph((domains, links): &Given) -> BorderGraph {
    let inside = domains.iter().map(|costs| costs.as_slice().into());
    BorderGraph::new(inside.collect(), links.clone())
}

/// Returns the least of cost, length and links over all ways, by trying each.
fn every_way(
    given: &Given,
    graph: &BorderGraph,
    source: u32,
    max_domains: usize,
) -> Vec<Option<(f64, usize, Vec<u32>)>> {
    let mut best = vec![None; graph.borders()];
    let mut stack = vec![(0.0, Vec::<u32>::new())];
    while let Some((cost, way)) = stack.pop() {
        let mut passed: Vec<u32> = way.iter().map(|at| graph.entered(*at)).collect();
        passed.push(graph.domain_of(source));
        if let Some(last) = way.last() {
            let known = &mut best[given.1[*last as usize].to as usize];
            let key = (cost, way.len(), way.clone());
            if known.as_ref().is_none_or(|known| key < *known) {
                *known = Some(key);
            }
        }
        if passed.len() >= max_domains {
            continue;
        }
        for (next, link) in (0..).zip(&given.1) {
            let inside = match way.last().map(|at| &given.1[*at as usize]) {
                None if link.from == source => 0.0,
                Some(came) if came.open_to || link.open_from => {
                    let domain = graph.domain_of(came.to) as usize;
                    let borders = graph.borders_of(domain);
                    if !borders.contains(&(link.from as usize)) {
                        continue;
                    }
                    let row = (came.to as usize - borders.start) * borders.len();
                    given.0[domain][row + link.from as usize - borders.start]
                }
                _ => continue,
            };
            let cost = cost + inside + link.cost;
            if cost < NO && !passed.contains(&graph.domain_of(link.to)) {
                stack.push((cost, [&way[..], &[next]].concat()));
            }
        }
    }
    best
}

fn found(ways: &Ways) -> Vec<Option<(f64, usize, Vec<u32>)>> {
    let known = |way: &Way| (way.cost, way.links().len(), way.links().to_vec());
    ways.to.iter().map(|way| way.as_ref().map(known)).collect()
}

/// Returns a graph of domains of one border each, named by letters from A on, and links: from and
/// to, the cost, and whether traffic from anywhere leaves by it. Traffic from S leaves domains only
/// by such links.
fn drawn(links: &[(&str, f64, bool)]) -> BorderGraph {
    let border = |name: &str, at: usize| u32::from(name.as_bytes()[at] - b'A');
    let link = |&(name, cost, open_from): &(&str, f64, bool)| Link {
        from: border(name, 0),
        to: border(name, 1),
        cost,
        open_from,
        open_to: !name.starts_with('S'),
    };
    graph(&(vec![vec![0.0]; 26], links.iter().map(link).collect()))
}

/// Returns the links of the way from S to T.
fn from_s_to_t(graph: &BorderGraph, max_domains: usize) -> Vec<u32> {
    let effort = Effort {
        max_domains,
        max_labels: u64::MAX,
    };
    let ways = graph.ways(u32::from(b'S' - b'A'), effort);
    let way = ways.to[usize::from(b'T' - b'A')];
    way.expect("a way").links().to_vec()
}

/// From S to D the way over R is shorter than that over U and W; from D to T the way over R and M
/// is cheaper than that over R alone. Only U W V D R T is short enough.
#[test]
fn a_cheaper_walk_that_is_longer_does_not_hide_one_that_there_is_room_for() {
    let graph = drawn(&[
        ("SR", 0.0, true),
        ("RV", 0.0, true),
        ("VD", 0.0, true),
        ("DR", 0.0, true),
        ("RT", 5.0, false),
        ("RM", 0.0, false),
        ("MT", 0.0, false),
        ("SU", 0.0, true),
        ("UW", 0.0, true),
        ("WV", 0.0, true),
    ]);
    assert_eq!(from_s_to_t(&graph, 7), [7, 8, 9, 2, 3, 4]);
}

/// S E G H E T costs least and passes E twice; next are S A V X A T, which passes A twice, and
/// S B Y Z B T, which passes B twice, where A and B share a bit. The best way is S A V X B T: at X,
/// the walk that passes A is cheaper than the one that passes B.
#[test]
fn critical_domains_that_share_a_bit_are_told_apart() {
    let graph = drawn(&[
        ("SA", 0.0, true),
        ("AV", 0.0, true),
        ("VX", 0.0, true),
        ("XA", 0.5, true),
        ("AT", 0.0, false),
        ("XB", 2.0, true),
        ("BT", 0.0, false),
        ("SB", 1.0, true),
        ("BY", 0.0, true),
        ("YZ", 0.0, true),
        ("ZB", 0.0, true),
        ("SE", 0.0, true),
        ("EG", 0.0, true),
        ("GH", 0.0, true),
        ("HE", 0.0, true),
        ("ET", 0.0, false),
    ]);
    assert_eq!(from_s_to_t(&graph, 8), [0, 1, 2, 5, 6]);
}

/// A hundred domains around one, each with links to it and from it: passing the one looks at its
/// links, not at each pair of them.
#[test]
fn a_domain_is_passed_in_time_by_its_links_and_not_by_pairs_of_them() {
    const AROUND: usize = 100;
    let link = |from, to| Link {
        from: from as u32,
        to: to as u32,
        cost: 1.0,
        open_from: true,
        open_to: true,
    };
    let around = 1..=AROUND;
    let links: Vec<Link> = around.flat_map(|at| [link(0, at), link(at, 0)]).collect();
    let count = links.len();
    let graph = graph(&(vec![vec![0.0]; AROUND + 1], links));
    let effort = Effort {
        max_domains: MAX_DOMAINS,
        max_labels: 0,
    };
    let ways = graph.ways(1, effort);
    assert_eq!(ways.to.iter().flatten().count(), AROUND);
    let walks_pairs_and_links = ways.looked;
    assert!(
        walks_pairs_and_links <= 2 * (count + AROUND + 1) as u64,
        "{walks_pairs_and_links}"
    );
}

/// The cheapest walk to the second border of A passes A itself and returns at once; the walk from
/// another domain is kept as well.
#[test]
fn who_must_not_go_straight_back_comes_another_way_without_labels() {
    let link = |from, to, cost| Link {
        from,
        to,
        cost,
        open_from: true,
        open_to: true,
    };
    let [s, a1, a2, b, c] = [0, 1, 2, 3, 4];
    let inside = vec![vec![0.0], vec![0.0, NO, NO, 0.0], vec![0.0], vec![0.0]];
    let links = vec![
        link(s, a1, 1.0),
        link(a1, b, 1.0),
        link(s, c, 5.0),
        link(c, b, 1.0),
        link(b, a2, 1.0),
    ];
    let effort = Effort {
        max_domains: MAX_DOMAINS,
        max_labels: 0,
    };
    let ways = graph(&(inside, links)).ways(s, effort);
    let way = ways.to[a2 as usize].expect("a way");
    assert_eq!((way.cost, way.links()), (7.0, &[2, 3, 4][..]));
}

/// Returns a graph where the cheapest walk from S to T passes R twice. `closed` more domains have
/// links to R from which it carries nothing to T.
fn around_by_r(closed: u32) -> BorderGraph {
    let [s, r, v, w, t] = [0, 1, 2, 3, 4];
    let link = |from, to, cost, open_from, open_to| Link {
        from,
        to,
        cost,
        open_from,
        open_to,
    };
    let mut links = vec![
        link(s, r, 0.0, false, false),
        link(r, v, 0.0, true, false),
        link(v, w, 0.0, true, false),
        link(w, r, 0.0, true, true),
        link(r, t, 9.0, false, false),
        link(w, t, 20.0, true, false),
    ];
    links.extend((0..closed).map(|at| link(5 + at, r, 0.0, false, false)));
    graph(&(vec![vec![0.0]; 5 + closed as usize], links))
}

#[test]
fn what_the_search_looks_at_to_no_avail_counts_as_labels_too() {
    const CLOSED: u32 = 100_000;
    let effort = |max_labels| Effort {
        max_domains: 8,
        max_labels,
    };
    let needed = |closed| around_by_r(closed).ways(0, effort(u64::MAX)).labels;
    let (few, many) = (needed(0), needed(CLOSED));
    assert!(few < 100, "{few}");
    assert!(many > few + u64::from(CLOSED) / 128, "{many}");
    let ways = around_by_r(CLOSED).ways(0, effort(many - 1));
    assert_eq!(ways.unsettled, [4]);
}

/// A ladder where the cheapest walks lead back through the first domain: a step looks at a bounded
/// number of links, and the memory is known.
#[test]
fn a_search_ends_its_step_after_so_many_looks() {
    const CLOSED: u32 = 1000;
    let graph = Arc::new(around_by_r(CLOSED));
    let effort = Effort {
        max_domains: 8,
        max_labels: u64::MAX,
    };
    let steps = |looks| {
        let mut search = WaySearch::new(&graph, 0, 4, effort);
        let (mut steps, mut memory) = (1, search.memory());
        while search.step(looks) {
            steps += 1;
            memory = memory.max(search.memory());
        }
        assert_eq!(search.way(), graph.ways(0, effort).to[4].as_ref());
        assert!(search.memory() == 0 && memory > 0);
        steps
    };
    assert_eq!(steps(u64::MAX), 1);
    assert!(steps(1) > 3, "{} steps of one look", steps(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_best_of_all_ways_through_different_domains_is_found(
        given in given(2..9, 40), max_domains in 1..10_usize,
    ) {
        let graph = Arc::new(graph(&given));
        let effort = Effort { max_domains, max_labels: u64::MAX };
        let last = graph.borders() as u32 - 1;
        for source in 0..graph.borders() as u32 {
            let ways = graph.ways(source, effort);
            prop_assert_eq!(found(&ways), every_way(&given, &graph, source, max_domains));
            prop_assert_eq!(ways.unsettled, Vec::<u32>::new());
            let pairs: usize = given.0.iter().map(Vec::len).sum();
            let most = (max_domains - 1) * (2 * given.1.len() + pairs);
            prop_assert!(ways.looked <= most as u64);
            // A search for one way, in steps of any size, finds the same.
            let mut search = WaySearch::new(&graph, source, last, effort);
            while search.step(1) {}
            prop_assert_eq!(search.way(), ways.to[last as usize].as_ref());
        }
    }

    #[test]
    fn what_too_few_labels_leave_open_is_said(
        given in given(4..8, 30), max_labels in 0..60_u64,
    ) {
        let graph = graph(&given);
        for source in 0..graph.borders() as u32 {
            let ways = graph.ways(source, Effort { max_domains: 8, max_labels });
            let best = every_way(&given, &graph, source, 8);
            for (target, (found, best)) in (0..).zip(found(&ways).into_iter().zip(best)) {
                if ways.unsettled.contains(&target) {
                    prop_assert_eq!(found, None);
                } else {
                    prop_assert_eq!(found, best);
                }
            }
        }
    }
}
