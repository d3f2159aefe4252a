//! The best walks from a border, whether or not they pass a domain twice.
//!
//! Walks are extended by one link at a time. A domain is passed in two steps: from the borders
//! where it is entered to those where it is left, and over the links from there. So it takes time
//! in proportion to the links and the pairs of borders, not to the pairs of links. A walk must not
//! return at once to the domain that it came from; therefore each border also keeps the second best
//! walk, from another domain than the best. A walk that is no better than these two leads nowhere
//! that they do not lead to, and is dropped.

use std::cmp::Ordering;

use super::way::{ByLength, Links, MAX_LINKS, Way};
use crate::paths::borders::{BorderGraph, Departure};

/// The best walks from one border, by length.
pub(super) struct Walks<'a> {
    graph: &'a BorderGraph,
    source: u32,
    /// How many links a walk may have.
    pub(super) max_links: usize,
    /// By length, from 1: the walks that can be extended, by the borders where they end.
    arrived: Vec<Vec<(u32, Arrived)>>,
    /// By length, from 1: the last link of each of these, and the place of the walk before it.
    steps: Vec<Vec<(u32, u32)>>,
    /// By border, the best walks to it.
    best: Vec<Arrived>,
    /// How many links and pairs of borders were looked at.
    pub(super) looked: u64,
}

/// A walk.
#[derive(Debug, Clone, Copy)]
struct Came {
    cost: f64,
    /// How many links it has.
    len: u32,
    /// The domain before its last link.
    from: u32,
    /// Its last link.
    link: u32,
    /// The place of the walk without that link, among those shorter by one.
    before: u32,
    /// Its own place, once it can be extended.
    at: u32,
}

/// The best walk to a border, and the best from another domain than the first.
#[derive(Debug, Clone, Copy)]
struct Best {
    first: Came,
    second: Came,
}

/// The best walks to a border.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    /// Over any link.
    any: Best,
    /// Over links from which the domain carries traffic anywhere.
    open: Best,
}

const NOWHERE: Came = Came {
    cost: f64::INFINITY,
    len: 0,
    from: u32::MAX,
    link: 0,
    before: 0,
    at: 0,
};

const NOTHING: Arrived = {
    let best = Best {
        first: NOWHERE,
        second: NOWHERE,
    };
    Arrived {
        any: best,
        open: best,
    }
};

impl Best {
    /// Keeps a walk if it is one of the two best; returns whether it is.
    fn add(&mut self, came: Came, precedes: impl Fn(&Came, &Came) -> bool) -> bool {
        if came.cost > self.second.cost || came.cost == f64::INFINITY {
            return false;
        }
        if precedes(&came, &self.first) {
            if self.first.from != came.from {
                self.second = self.first;
            }
            self.first = came;
            return true;
        }
        let is_second = came.from != self.first.from && precedes(&came, &self.second);
        if is_second {
            self.second = came;
        }
        is_second
    }

    /// Adds the walks of `others`, at this much more cost.
    fn add_all(&mut self, others: &Best, cost: f64, precedes: impl Fn(&Came, &Came) -> bool) {
        for came in [others.first, others.second] {
            let further = Came {
                cost: came.cost + cost,
                ..came
            };
            self.add(further, &precedes);
        }
    }

    /// Returns the best walk that does not come from this domain.
    fn avoiding(&self, domain: u32) -> &Came {
        if self.first.from == domain {
            &self.second
        } else {
            &self.first
        }
    }

    fn both(&mut self) -> [&mut Came; 2] {
        [&mut self.first, &mut self.second]
    }
}

impl<'a> Walks<'a> {
    /// Finds the best walks from a border; none returns to the domain where it starts.
    pub(super) fn new(graph: &'a BorderGraph, source: u32, max_links: usize) -> Self {
        let mut walks = Self {
            graph,
            source,
            max_links,
            arrived: Vec::with_capacity(max_links),
            steps: Vec::with_capacity(max_links),
            best: vec![NOTHING; graph.borders()],
            looked: 0,
        };
        if max_links == 0 {
            return walks;
        }
        let mut reached = Vec::new();
        let home = graph.domain_of(source);
        let start = Came {
            cost: 0.0,
            ..NOWHERE
        };
        for departure in graph.departures(source) {
            let came = arriving(departure, &start, home);
            if walks.best[departure.to as usize].takes(departure, came, &walks.steps) {
                reached.push(departure.to);
            }
        }
        walks.lead_on(reached);
        while walks.arrived.len() < max_links
            && walks.arrived.last().is_some_and(|it| !it.is_empty())
        {
            walks.extend();
        }
        walks
    }

    /// Returns the best walk to a border.
    fn to(&self, border: u32) -> Option<&Came> {
        let first = &self.best[border as usize].any.first;
        (first.cost < f64::INFINITY).then_some(first)
    }

    /// Returns the best walk to a border if it is a way, otherwise a domain that it passes twice;
    /// `None` if there is no walk.
    pub(super) fn answer(&self, target: u32) -> Option<Result<Way, u32>> {
        let best = self.to(target)?;
        let (cost, links) = (best.cost, self.links(best));
        Some(match links.twice(self.graph) {
            None => Ok(Way { cost, links }),
            Some(domain) => Err(domain),
        })
    }

    /// Returns the links of a walk.
    fn links(&self, walk: &Came) -> Links {
        let mut links = Links {
            len: walk.len as usize,
            at: [0; MAX_LINKS],
        };
        let (mut link, mut before) = (walk.link, walk.before);
        for place in (1..links.len).rev() {
            links.at[place] = link;
            (link, before) = self.steps[place - 1][before as usize];
        }
        links.at[0] = link;
        links
    }

    /// Returns, by last link and length, the least cost of a walk of at most that length.
    pub(super) fn least(&self) -> Vec<ByLength<f64>> {
        let graph = self.graph;
        let home = graph.domain_of(self.source);
        let mut least = vec![[f64::INFINITY; MAX_LINKS]; graph.link_count()];
        for departure in graph.departures(self.source) {
            least[departure.link as usize][0] = departure.cost;
        }
        for (place, arrived) in self
            .arrived
            .iter()
            .enumerate()
            .take(self.max_links.saturating_sub(1))
        {
            let mut looked = 0;
            leave(
                graph,
                &self.steps,
                arrived,
                &mut looked,
                |departure, came, _| {
                    if departure.into != home {
                        least[departure.link as usize][place + 1] = came.cost + departure.cost;
                    }
                },
            );
        }
        for costs in &mut least {
            for len in 1..MAX_LINKS {
                costs[len] = costs[len].min(costs[len - 1]);
            }
        }
        least
    }

    /// Extends the walks by one link.
    fn extend(&mut self) {
        let Self {
            graph,
            source,
            arrived,
            steps,
            best,
            looked,
            ..
        } = self;
        let home = graph.domain_of(*source);
        let longest = arrived.last().map_or(&[][..], Vec::as_slice);
        let mut reached = Vec::new();
        leave(graph, steps, longest, looked, |departure, came, domain| {
            if departure.into != home {
                let came = arriving(departure, came, domain);
                if best[departure.to as usize].takes(departure, came, steps) {
                    reached.push(departure.to);
                }
            }
        });
        self.lead_on(reached);
    }

    /// Keeps the walks of the next length that are among the best to these borders.
    fn lead_on(&mut self, mut reached: Vec<u32>) {
        let len = self.arrived.len() as u32 + 1;
        // Sorting brings the borders of one domain together.
        reached.sort_unstable();
        reached.dedup();
        let (mut arrived, mut steps) = (Vec::with_capacity(reached.len()), Vec::new());
        for border in reached {
            let mut of_border = self.best[border as usize];
            let mut known: [Option<Came>; 2] = [None; 2];
            let Arrived { any, open } = &mut of_border;
            for (place, came) in any.both().into_iter().chain(open.both()).enumerate() {
                if came.len != len {
                    *came = NOWHERE;
                    continue;
                }
                let same = known.iter().flatten().find(|same| same.link == came.link);
                if let Some(same) = same {
                    came.at = same.at;
                    continue;
                }
                came.at = steps.len() as u32;
                steps.push((came.link, came.before));
                if let Some(known) = known.get_mut(place) {
                    *known = Some(*came);
                }
            }
            arrived.push((border, of_border));
        }
        self.arrived.push(arrived);
        self.steps.push(steps);
    }
}

impl Arrived {
    /// Keeps a walk if it is among the best; returns whether it is.
    fn takes(&mut self, over: &Departure, came: Came, steps: &[Vec<(u32, u32)>]) -> bool {
        let precedes = |a: &Came, b: &Came| precedes(steps, a, b);
        let is_any = self.any.add(came, precedes);
        let is_open = over.open_to && self.open.add(came, precedes);
        is_any || is_open
    }
}

/// Extends a walk by a link.
fn arriving(departure: &Departure, came: &Came, from: u32) -> Came {
    Came {
        cost: came.cost + departure.cost,
        len: came.len + 1,
        from,
        link: departure.link,
        before: came.at,
        at: 0,
    }
}

/// Passes through the domains that the walks of one length have reached, and calls `over` for each
/// link from there, with the best walk to it and the domain that it leaves.
fn leave(
    graph: &BorderGraph,
    steps: &[Vec<(u32, u32)>],
    arrived: &[(u32, Arrived)],
    looked: &mut u64,
    mut over: impl FnMut(&Departure, &Came, u32),
) {
    let precedes = |a: &Came, b: &Came| precedes(steps, a, b);
    let domain_of = |(border, _): &(u32, Arrived)| graph.domain_of(*border);
    let mut leaving: Vec<Arrived> = Vec::new();
    for arrived in arrived.chunk_by(|a, b| domain_of(a) == domain_of(b)) {
        let domain = domain_of(&arrived[0]);
        let borders = graph.borders_of(domain as usize);
        leaving.clear();
        leaving.resize(borders.len(), NOTHING);
        *looked += (arrived.len() * borders.len()) as u64;
        for (border, arrived) in arrived {
            let costs = graph.inside(domain as usize, *border).iter();
            for (leaving, &cost) in leaving.iter_mut().zip(costs) {
                leaving.any.add_all(&arrived.any, cost, precedes);
                leaving.open.add_all(&arrived.open, cost, precedes);
            }
        }
        for (border, leaving) in borders.zip(&leaving) {
            let departures = graph.departures(border as u32);
            *looked += departures.len() as u64;
            for departure in departures {
                let best = if departure.open_from {
                    &leaving.any
                } else {
                    &leaving.open
                };
                let came = best.avoiding(departure.into);
                if came.cost < f64::INFINITY {
                    over(departure, came, domain);
                }
            }
        }
    }
}

/// Returns whether `a` is the better walk.
fn precedes(steps: &[Vec<(u32, u32)>], a: &Came, b: &Came) -> bool {
    let by_links = || {
        let before = &steps[..steps.len().min((a.len as usize).saturating_sub(1))];
        cmp(before, a.before, b.before).then(a.link.cmp(&b.link))
    };
    a.cost < b.cost || (a.cost == b.cost && a.len.cmp(&b.len).then_with(by_links).is_lt())
}

/// Compares the links of two walks of one length, by their places; the first difference decides.
fn cmp(steps: &[Vec<(u32, u32)>], mut a: u32, mut b: u32) -> Ordering {
    let mut order = Ordering::Equal;
    for steps in steps.iter().rev() {
        if a == b {
            break;
        }
        let ((link, before), (other, before_other)) = (steps[a as usize], steps[b as usize]);
        order = link.cmp(&other).then(order);
        (a, b) = (before, before_other);
    }
    order
}
