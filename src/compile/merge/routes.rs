//! The best ways between the borders of domains.

use std::sync::Arc;

use rayon::prelude::*;

use crate::ident::{Digest, Sha256};
use crate::paths::{BorderGraph, Crossing, Effort, Link, Place, Routes, RoutesFrom, Way};

use super::interconnects::MergedInterconnects;
use super::measures::Measured;

/// How many borders may each use the labels of one in full; if there are more, each has less.
pub(super) const FULL_SHARES: u64 = 16;

/// The best ways, and the input that they depend on.
#[derive(Debug)]
pub(super) struct MergedRoutes {
    pub(super) graph: Arc<BorderGraph>,
    pub(super) routes: Arc<Routes>,
    /// The digest of the input.
    pub(super) inputs: Digest,
    /// The limits of the search.
    pub(super) effort: Effort,
}

/// Returns a measure of the metric that selects ways, infinite instead of NaN.
fn infinite(measure: f64) -> f64 {
    if measure.is_nan() {
        f64::INFINITY
    } else {
        measure
    }
}

impl MergedRoutes {
    /// Finds the best ways in the metric `select`, and their measures in the metrics `others`.
    /// `names` are the names of the borders, which must be comparable with those of `former`.
    pub(super) fn new(
        select: &Measured,
        others: &[Measured],
        interconnects: &MergedInterconnects,
        names: &[Vec<String>],
        effort: Effort,
        former: Option<&Arc<MergedRoutes>>,
    ) -> Arc<Self> {
        let links = links(select, interconnects);
        let inputs = digest(
            select,
            others,
            names,
            &interconnects.crossings,
            &links,
            effort,
        );
        if let Some(former) = former.filter(|former| former.inputs == inputs) {
            return former.clone();
        }
        let inside = select.domains.iter().map(|domain| {
            let measures = domain.between.iter().copied();
            measures.map(infinite).collect()
        });
        let graph = BorderGraph::new(inside.collect(), links);
        let from = all_routes(&graph, others, effort);
        let end = graph.borders() as u32;
        let first = (0..graph.domains()).map(|domain| graph.borders_of(domain).start as u32);
        let routes = Routes {
            first: first.chain([end]).collect(),
            from,
        };
        Arc::new(Self {
            graph: Arc::new(graph),
            routes: Arc::new(routes),
            inputs,
            effort,
        })
    }
}

/// Returns the confirmed interconnects as links between numbered borders.
fn links(select: &Measured, interconnects: &MergedInterconnects) -> Vec<Link> {
    let mut first = vec![0];
    for borders in &interconnects.borders {
        first.push(first.last().unwrap_or(&0) + borders.len() as u32);
    }
    // Every border of a confirmed interconnect is among the borders.
    let border = |place: Place| {
        let borders = &interconnects.borders[place.domain];
        let before = borders.partition_point(|border| (*border as usize) < place.pid);
        first[place.domain] + before as u32
    };
    let costs = interconnects.confirmed.iter().zip(&*select.links);
    let links = costs.map(|(link, cost)| Link {
        from: border(link.from),
        to: border(link.to),
        cost: infinite(*cost),
        open_from: link.open_from,
        open_to: link.open_to,
    });
    links.collect()
}

/// Returns the digest of all input that ways depend on.
fn digest(
    select: &Measured,
    others: &[Measured],
    names: &[Vec<String>],
    crossings: &[Crossing],
    links: &[Link],
    effort: Effort,
) -> Digest {
    let mut hasher = Sha256::new();
    let number = |hasher: &mut Sha256, n: u64| hasher.update(&n.to_le_bytes());
    number(&mut hasher, effort.max_domains as u64);
    number(&mut hasher, effort.max_labels);
    number(&mut hasher, names.len() as u64);
    for names in names {
        number(&mut hasher, names.len() as u64);
        for border in names {
            hasher.update(border.as_bytes());
            hasher.update(b"\n");
        }
    }
    number(&mut hasher, links.len() as u64);
    for (link, crossing) in links.iter().zip(crossings) {
        number(&mut hasher, u64::from(link.from) << 32 | u64::from(link.to));
        hasher.update(&[u8::from(link.open_from), u8::from(link.open_to)]);
        hasher.update(crossing.id.as_str().as_bytes());
        hasher.update(b"\n");
    }
    for measured in std::iter::once(select).chain(others) {
        hasher.update(measured.metric.as_str().as_bytes());
        hasher.update(&[b'\n', measured.rule as u8]);
        let between = measured.domains.iter().flat_map(|domain| &*domain.between);
        for measure in between.chain(&*measured.links) {
            number(&mut hasher, measure.to_bits());
        }
    }
    hasher.finish()
}

/// Finds the ways from the borders of each domain.
///
/// Each border has an equal share of all labels. Labels that are left are shared among the domains
/// for which they did not suffice; these start again, as long as a share is the most that a border
/// may have, or at least twice the share before.
fn all_routes(graph: &BorderGraph, others: &[Measured], effort: Effort) -> Box<[RoutesFrom]> {
    let mut left = effort.max_labels.saturating_mul(FULL_SHARES);
    let mut all = Vec::new();
    all.resize_with(graph.domains(), RoutesFrom::default);
    let mut unsettled: Vec<usize> = (0..all.len()).collect();
    let mut former = None;
    loop {
        let borders = unsettled.iter().map(|&from| graph.borders_of(from).len());
        let borders = borders.sum::<usize>().max(1) as u64;
        let share = effort.max_labels.min(left / borders);
        let worthwhile = former.is_none_or(|former| {
            share > former && (share == effort.max_labels || share / 2 >= former)
        });
        if unsettled.is_empty() || !worthwhile {
            return all.into();
        }
        let effort = Effort {
            max_labels: share,
            ..effort
        };
        let from = unsettled
            .par_iter()
            .map(|&domain| routes_from(graph, others, domain, effort));
        let from: Vec<(RoutesFrom, u64)> = from.collect();
        for (domain, (routes, labels)) in unsettled.drain(..).zip(from) {
            all[domain] = routes;
            left -= labels;
        }
        unsettled.extend((0..all.len()).filter(|&from| !all[from].unsettled.is_empty()));
        former = Some(share);
    }
}

/// Finds the ways from the borders of a domain; also returns how many labels that took.
fn routes_from(
    graph: &BorderGraph,
    others: &[Measured],
    domain: usize,
    effort: Effort,
) -> (RoutesFrom, u64) {
    let exits = graph.borders_of(domain);
    let borders = graph.borders();
    let mut unsettled = Vec::new();
    let mut labels = 0;
    let ways: Vec<Vec<Option<Way>>> = exits
        .clone()
        .map(|exit| {
            let ways = graph.ways(exit as u32, effort);
            labels += ways.labels;
            unsettled.extend(ways.unsettled.iter().map(|&border| graph.domain_of(border)));
            ways.to
        })
        .collect();
    unsettled.sort_unstable();
    unsettled.dedup();
    let cells = exits.len() * borders;
    let mut routes = RoutesFrom {
        cost: vec![f64::INFINITY; cells].into(),
        rank: vec![u32::MAX; cells].into(),
        measures: others
            .iter()
            .map(|_| vec![f64::NAN; cells].into())
            .collect(),
        unsettled: unsettled.into(),
    };
    let mut between: Vec<(usize, &Way)> = Vec::new();
    for to in 0..graph.domains() {
        if to == domain || routes.unsettled.contains(&(to as u32)) {
            continue;
        }
        between.clear();
        for (exit, ways) in ways.iter().enumerate() {
            for border in graph.borders_of(to) {
                if let Some(way) = &ways[border] {
                    between.push((exit * borders + border, way));
                }
            }
        }
        between.sort_unstable_by(|(_, a), (_, b)| a.cmp_at_equal_cost(b));
        for (rank, (cell, way)) in (0..).zip(&between) {
            routes.cost[*cell] = way.cost;
            routes.rank[*cell] = rank;
            for (measures, measured) in routes.measures.iter_mut().zip(others) {
                measures[*cell] = along(graph, measured, way.links());
            }
        }
    }
    (routes, labels)
}

/// Returns the measure along links and through the domains between them, composed from left to
/// right.
fn along(graph: &BorderGraph, measured: &Measured, links: &[u32]) -> f64 {
    let rule = measured.rule;
    let mut all = links.iter();
    let Some(first) = all.next() else {
        return rule.identity();
    };
    let mut measure = measured.links[*first as usize];
    let mut entered = graph.link(*first).to;
    for at in all {
        let link = graph.link(*at);
        let domain = graph.domain_of(entered) as usize;
        let borders = graph.borders_of(domain);
        let row = (entered as usize - borders.start) * borders.len();
        let inside = measured.domains[domain].between[row + link.from as usize - borders.start];
        measure = rule.compose(measure, inside);
        measure = rule.compose(measure, measured.links[*at as usize]);
        entered = link.to;
    }
    measure
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ident::{InterconnectId, MetricName};
    use crate::paths::Rule;

    /// Returns a graph of domains with one border each. From each of `sources` domains to T the
    /// cheapest walk passes R twice, since R sends over the cheap link to T only what comes from W.
    /// Nothing leads to the `idle` domains.
    fn graph(sources: u32, idle: usize) -> BorderGraph {
        let [r, v, w, t] = [0, 1, 2, 3].map(|at| sources + at);
        let link = |from, to, cost, open_from, open_to| Link {
            from,
            to,
            cost,
            open_from,
            open_to,
        };
        let mut links = vec![
            link(r, v, 0.0, true, false),
            link(v, w, 0.0, true, false),
            link(w, r, 0.0, true, true),
            link(r, t, 9.0, false, false),
            link(w, t, 20.0, true, false),
        ];
        links.extend((0..sources).map(|source| link(source, r, 0.0, false, false)));
        let inside = vec![Box::from([0.0]); sources as usize + 4 + idle];
        BorderGraph::new(inside, links)
    }

    fn effort(max_labels: u64) -> Effort {
        Effort {
            max_domains: 8,
            max_labels,
        }
    }

    fn settled(graph: &BorderGraph, max_labels: u64) -> usize {
        let routes = all_routes(graph, &[], effort(max_labels));
        routes
            .iter()
            .filter(|from| from.unsettled.is_empty())
            .count()
    }

    #[test]
    fn what_some_borders_leave_others_have() {
        let graph = graph(10, 0);
        let needed = graph.ways(0, effort(u64::MAX)).labels;
        assert!(needed > 0);
        let domains = graph.domains();
        assert_eq!(settled(&graph, needed), domains);
        assert_eq!(settled(&graph, needed - 1), domains - 10);
    }

    #[test]
    fn all_borders_together_have_some_times_the_labels_of_one() {
        let graph = graph(100, 0);
        let needed = graph.ways(0, effort(u64::MAX)).labels;
        let domains = graph.domains() as u64;
        assert_eq!(settled(&graph, needed), domains as usize - 100);
        let enough = needed * domains / FULL_SHARES + 1;
        assert_eq!(settled(&graph, enough), domains as usize);
    }

    #[test]
    fn who_lacks_labels_starts_again_with_all_that_one_may_have_or_twice_as_many() {
        let needed = graph(1, 0).ways(0, effort(u64::MAX)).labels;
        // Each of 20 domains gets 16/20 of the labels at first, then each of 4 gets all.
        let few = graph(4, 12);
        assert_eq!(settled(&few, needed), 20);
        // Each of 100 domains gets 16/100 of them, then each of 20 gets 64/100.
        let some = graph(20, 76);
        assert_eq!(settled(&some, 5 * needed), 100);
        // Each of 100 domains gets 16/100 of them; each of 40 would then get 24/100.
        let many = graph(40, 56);
        assert_eq!(settled(&many, 5 * needed), 60);
    }

    #[test]
    fn the_digest_of_links_tells_their_ends_apart() {
        let select = Measured {
            metric: MetricName::routingcost(),
            rule: Rule::Add,
            domains: Vec::new(),
            links: Arc::new([]),
        };
        let crossing = Crossing {
            id: InterconnectId::new("x1").expect("an id"),
            costs: BTreeMap::new(),
        };
        let digest = |from, to| {
            let link = Link {
                from,
                to,
                cost: 1.0,
                open_from: true,
                open_to: true,
            };
            let crossings = [crossing.clone()];
            super::digest(&select, &[], &[], &crossings, &[link], effort(1))
        };
        let digests = [(1, 2), (2, 1), (1, 3), (3, 2)].map(|(from, to)| digest(from, to));
        for (place, one) in digests.iter().enumerate() {
            assert!(!digests[..place].contains(one), "ends {place}");
        }
        assert_eq!(digest(1, 2), digests[0]);
    }
}
