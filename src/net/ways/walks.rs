//! The best walks from a border, whether or not they pass a domain twice.
//!
//! They are made longer by one link at a time. A domain is passed in two steps: first the best
//! walks to each border where it is entered, then the best of these to each border where it is
//! left. So it takes time by its links and its pairs of borders, not by its pairs of links. A walk
//! must not go straight back to the domain that it came from, so that at each border the second
//! best is kept too, from another domain than the best.

use std::cmp::Ordering;

use super::{ByLength, Links, MAX_LINKS, Topology};

/// The best walks: to the end of each link, and of each length. One that is no cheaper than a
/// shorter one is none.
pub(super) struct Walks {
    /// How many links a walk may have.
    pub(super) max_links: usize,
    /// By length, from 1.
    by_length: Vec<Vec<Walk>>,
    /// The best to each border.
    pub(super) to: Vec<Option<Reached>>,
    /// How many walks, pairs of borders and links were looked at.
    pub(super) looked: u64,
}

/// A walk that ends with a link.
#[derive(Debug, Clone, Copy)]
struct Walk {
    cost: f64,
    link: u32,
    /// The walk without it, by its place among those shorter by one.
    before: u32,
}

/// The best walk to a border.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) cost: f64,
    len: u32,
    /// Its place among those of this length.
    at: u32,
}

/// A walk to a border where a domain is entered, or on from there to one where it is left.
#[derive(Debug, Clone, Copy)]
struct Came {
    cost: f64,
    /// Its place among those of its length.
    at: u32,
    /// The domain before.
    from: u32,
}

/// The best walk to a border, and the best of those from another domain than that.
#[derive(Debug, Clone, Copy)]
struct Best {
    first: Came,
    second: Came,
}

/// What came to a border.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    /// Over whatever link,
    any: Best,
    /// and over one from which the domain carries anywhere.
    open: Best,
}

const NOWHERE: Came = Came {
    cost: f64::INFINITY,
    at: 0,
    from: u32::MAX,
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
    /// Takes a walk in, if it is among the two; `precedes` orders walks of equal cost.
    fn add(&mut self, came: Came, precedes: impl Fn(u32, u32) -> bool) {
        let better = |than: &Came| {
            came.cost < than.cost || (came.cost == than.cost && precedes(came.at, than.at))
        };
        if came.cost == f64::INFINITY {
            return;
        }
        if better(&self.first) {
            if self.first.from != came.from {
                self.second = self.first;
            }
            self.first = came;
        } else if came.from != self.first.from && better(&self.second) {
            self.second = came;
        }
    }

    /// Takes the walks of another in, some cost further.
    fn add_all(&mut self, others: &Best, cost: f64, precedes: impl Fn(u32, u32) -> bool) {
        for came in [others.first, others.second] {
            let further = Came {
                cost: came.cost + cost,
                ..came
            };
            self.add(further, &precedes);
        }
    }

    /// The best walk that does not come from a domain.
    fn avoiding(&self, domain: u32) -> Came {
        match self.first.from == domain {
            true => self.second,
            false => self.first,
        }
    }
}

impl Walks {
    /// The best walks from a border; none comes back to the domain where it starts.
    pub(super) fn new(topology: &Topology, source: u32, max_links: usize) -> Self {
        let mut walks = Self {
            max_links,
            by_length: Vec::with_capacity(max_links),
            to: vec![None; topology.borders()],
            looked: 0,
        };
        let home = topology.domain_of(source);
        // The least cost so far; nothing is less than that of coming home.
        let least = topology.entered_all().iter().map(|&domain| match domain {
            domain if domain == home => f64::NEG_INFINITY,
            _ => f64::INFINITY,
        });
        let mut least: Vec<f64> = least.collect();
        let mut passage = Passage::new(topology);
        let mut next: Vec<Walk> = Vec::new();
        for &link in topology.out(source) {
            let cost = topology.link(link).cost;
            if cost < least[link as usize] {
                least[link as usize] = cost;
                next.push(Walk {
                    cost,
                    link,
                    before: 0,
                });
            }
        }
        while !next.is_empty() && walks.by_length.len() < max_links {
            walks.by_length.push(next);
            walks.note_borders(topology);
            next = match walks.by_length.len() < max_links {
                true => passage.onward(&walks, &mut least),
                false => Vec::new(),
            };
        }
        walks.looked = passage.looked;
        walks
    }

    /// The links of a walk.
    pub(super) fn links(&self, reached: &Reached) -> Links {
        let mut links = Links {
            len: reached.len as usize,
            at: [0; MAX_LINKS],
        };
        let mut at = reached.at;
        for (place, walks) in self.by_length[..links.len].iter().enumerate().rev() {
            let walk = &walks[at as usize];
            links.at[place] = walk.link;
            at = walk.before;
        }
        links
    }

    /// By last link and length: the least cost of a walk of at most that length.
    pub(super) fn least(&self, links: usize) -> Vec<ByLength<f64>> {
        let mut least = vec![[f64::INFINITY; MAX_LINKS]; links];
        for (place, walks) in self.by_length.iter().enumerate() {
            for walk in walks {
                least[walk.link as usize][place] = walk.cost;
            }
        }
        for costs in &mut least {
            for len in 1..MAX_LINKS {
                costs[len] = costs[len].min(costs[len - 1]);
            }
        }
        least
    }

    /// Notes which of the longest walks are the best to a border.
    fn note_borders(&mut self, topology: &Topology) {
        let len = self.by_length.len();
        let Some(longest) = self.by_length.last() else {
            return;
        };
        for (at, walk) in (0..).zip(longest) {
            let border = topology.link(walk.link).to as usize;
            let better = self.to[border].is_none_or(|known| {
                walk.cost < known.cost
                    || (walk.cost == known.cost
                        && known.len as usize == len
                        && self.cmp(at, known.at).is_lt())
            });
            if better {
                self.to[border] = Some(Reached {
                    cost: walk.cost,
                    len: len as u32,
                    at,
                });
            }
        }
    }

    /// The order of the links of two of the longest walks: what comes first decides.
    fn cmp(&self, mut a: u32, mut b: u32) -> Ordering {
        let mut order = Ordering::Equal;
        for walks in self.by_length.iter().rev() {
            if a == b {
                break;
            }
            let (one, other) = (&walks[a as usize], &walks[b as usize]);
            order = one.link.cmp(&other.link).then(order);
            (a, b) = (one.before, other.before);
        }
        order
    }
}

/// The way through domains, with room to work in.
struct Passage<'a> {
    topology: &'a Topology,
    /// By border, what entered its domain there.
    entering: Vec<Arrived>,
    /// The borders where something did.
    entered: Vec<u32>,
    /// By border of one domain, what can leave it there.
    leaving: Vec<Arrived>,
    /// How many walks, pairs of borders and links were looked at.
    looked: u64,
}

impl<'a> Passage<'a> {
    fn new(topology: &'a Topology) -> Self {
        Self {
            topology,
            entering: vec![NOTHING; topology.borders()],
            entered: Vec::new(),
            leaving: Vec::new(),
            looked: 0,
        }
    }

    /// The walks that are one link longer than the longest, where they cost less than the `least`
    /// so far.
    fn onward(&mut self, walks: &Walks, least: &mut [f64]) -> Vec<Walk> {
        let topology = self.topology;
        self.enter(walks);
        let precedes = |a, b| walks.cmp(a, b).is_lt();
        let mut next = Vec::new();
        let domain_of = |border: &u32| topology.domain_of(*border);
        for entered in self.entered.chunk_by(|a, b| domain_of(a) == domain_of(b)) {
            let domain = domain_of(&entered[0]) as usize;
            let borders = topology.borders_of(domain);
            self.leaving.clear();
            self.leaving.resize(borders.len(), NOTHING);
            self.looked += (entered.len() * borders.len()) as u64;
            for &border in entered {
                let arrived = &self.entering[border as usize];
                let costs = topology.inside(domain, border).iter();
                for (leaving, &cost) in self.leaving.iter_mut().zip(costs) {
                    leaving.any.add_all(&arrived.any, cost, precedes);
                    leaving.open.add_all(&arrived.open, cost, precedes);
                }
            }
            for (border, leaving) in borders.zip(&self.leaving) {
                let links = topology.out(border as u32);
                self.looked += links.len() as u64;
                for &link in links {
                    let goes = topology.link(link);
                    let best = match goes.open_from {
                        true => &leaving.any,
                        false => &leaving.open,
                    };
                    let came = best.avoiding(topology.entered(link));
                    let cost = came.cost + goes.cost;
                    if cost < least[link as usize] {
                        least[link as usize] = cost;
                        next.push(Walk {
                            cost,
                            link,
                            before: came.at,
                        });
                    }
                }
            }
        }
        next
    }

    /// Takes the longest walks to the borders where they end.
    fn enter(&mut self, walks: &Walks) {
        let topology = self.topology;
        for border in self.entered.drain(..) {
            self.entering[border as usize] = NOTHING;
        }
        let precedes = |a, b| walks.cmp(a, b).is_lt();
        let longest = walks.by_length.last().map_or(&[][..], Vec::as_slice);
        self.looked += longest.len() as u64;
        for (at, walk) in (0..).zip(longest) {
            let link = topology.link(walk.link);
            let came = Came {
                cost: walk.cost,
                at,
                from: topology.domain_of(link.from),
            };
            let arrived = &mut self.entering[link.to as usize];
            if arrived.any.first.cost == f64::INFINITY {
                self.entered.push(link.to);
            }
            arrived.any.add(came, precedes);
            if link.open_to {
                arrived.open.add(came, precedes);
            }
        }
        // Those of one domain stand together then.
        self.entered.sort_unstable();
    }
}
