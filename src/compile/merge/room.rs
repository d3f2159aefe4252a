//! The bound on how many interconnects are used.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::ident::InterconnectId;
use crate::paths::Place;

/// The ends of a confirmed interconnect in one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends<'d> {
    pub(super) id: &'d InterconnectId,
    pub(super) from: Place,
    pub(super) to: Place,
}

/// The bound on interconnects. The table of ways takes memory for each pair of borders, and time
/// for each border and all that is looked at from there; peers control both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// The most borders.
    pub(super) borders: usize,
    /// The most work: borders times the directions of interconnects and the pairs of borders of one
    /// domain.
    pub(super) work: usize,
}

/// As many borders as the table has room for, and half a minute of CPU time.
const ROOM: Room = Room {
    borders: 4096,
    work: 1 << 27,
};

/// How many bytes the table of ways may take.
const MAX_TABLE: usize = 1 << 30;

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { borders, work } = self;
        write!(
            f,
            "there are too many: at most {borders} borders, and {work} steps to find the ways between them"
        )
    }
}

impl Room {
    /// Returns the room for ways that are measured in this many metrics.
    pub(super) fn over(metrics: usize) -> Self {
        /// The cost and the rank of a way. Each metric that does not select ways adds a measure.
        const WAY: usize = size_of::<f64>() + size_of::<u32>();
        let pair = WAY + size_of::<f64>() * metrics.saturating_sub(1);
        Self {
            borders: ROOM.borders.min((MAX_TABLE / pair).isqrt()),
            ..ROOM
        }
    }

    /// Returns the interconnects that there is room for, with the domains where they start. The
    /// first of each domain is taken before the second of any, so that a domain that declares many
    /// crowds out only its own. `confirmed` is in order of id.
    pub(super) fn used<'d>(&self, confirmed: &[Ends<'d>]) -> HashSet<(usize, &'d InterconnectId)> {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        let mut turns: HashMap<(usize, &InterconnectId), usize> = HashMap::new();
        for link in confirmed {
            let count = counts.entry(link.from.domain).or_default();
            turns.insert((link.from.domain, link.id), *count);
            *count += 1;
        }
        let mut links: Vec<(usize, &Ends<'d>)> = confirmed
            .iter()
            .filter(|link| link.from.domain < link.to.domain)
            .map(|link| {
                let sides =
                    [link.from.domain, link.to.domain].map(|domain| turns[&(domain, link.id)]);
                (sides[0].max(sides[1]), link)
            })
            .collect();
        links.sort_by_key(|(turn, link)| (*turn, link.id, link.from.domain));
        let mut used = HashSet::new();
        let mut borders = HashSet::new();
        let mut of_domain: HashMap<usize, usize> = HashMap::new();
        // The work for each border: two steps for each link, and one for each pair of borders of a
        // domain.
        let mut steps = 0;
        for (_, link) in links {
            steps += 2;
            for end in [link.from, link.to] {
                if borders.insert(end) {
                    let before = of_domain.entry(end.domain).or_default();
                    steps += 2 * *before + 1;
                    *before += 1;
                }
            }
            if borders.len() > self.borders || borders.len() * steps > self.work {
                break;
            }
            used.extend([(link.from.domain, link.id), (link.to.domain, link.id)]);
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns which of these links between domains, given by their numbers, are used. Each end is
    /// a border of its own.
    fn used(room: Room, ends: &[[usize; 2]]) -> Vec<bool> {
        let ids: Vec<InterconnectId> = (0..ends.len())
            .map(|at| InterconnectId::new(&format!("x{at:03}")).expect("an id"))
            .collect();
        let mut confirmed = Vec::new();
        for ((at, id), &[a, b]) in (0..).zip(&ids).zip(ends) {
            let [a, b] = [a, b].map(|domain| Place { domain, pid: at });
            for (from, to) in [(a, b), (b, a)] {
                confirmed.push(Ends { id, from, to });
            }
        }
        let used = room.used(&confirmed);
        let both = |(id, [a, b]): (&InterconnectId, &[usize; 2])| {
            let sides = [a, b].map(|domain| used.contains(&(*domain, id)));
            assert_eq!(sides[0], sides[1], "a link is used in both directions");
            sides[0]
        };
        ids.iter().zip(ends).map(both).collect()
    }

    #[test]
    fn a_domain_that_declares_many_crowds_out_only_its_own() {
        let ends = [[0, 1], [0, 1], [0, 1], [2, 3], [3, 4]];
        let room = |borders| Room {
            borders,
            work: usize::MAX,
        };
        assert_eq!(used(room(10), &ends), [true; 5]);
        assert_eq!(used(room(9), &ends), [true, true, false, true, true]);
        assert_eq!(used(room(5), &ends), [true, false, false, true, false]);
        assert_eq!(used(room(0), &ends), [false; 5]);
    }

    #[test]
    fn a_graph_of_401_domains_with_40_000_links_is_used_whole() {
        const DOMAINS: usize = 401;
        let links = (0..40_000).map(|link| {
            let from = link % DOMAINS;
            let step = 1 + link / DOMAINS * 37 % (DOMAINS - 1);
            (link % 3, from, (from + step) % DOMAINS)
        });
        let links: Vec<_> = links.collect();
        let ids = (0..links.len()).map(|at| InterconnectId::new(&format!("x{at:05}")));
        let ids: Vec<_> = ids.map(|id| id.expect("an id")).collect();
        let mut confirmed = Vec::new();
        for (id, &(border, a, b)) in ids.iter().zip(&links) {
            let [a, b] = [a, b].map(|domain| Place {
                domain,
                pid: border,
            });
            for (from, to) in [(a, b), (b, a)] {
                confirmed.push(Ends { id, from, to });
            }
        }
        assert_eq!(Room::over(4).used(&confirmed).len(), 2 * links.len());
    }

    #[test]
    fn the_table_of_ways_is_bounded_however_many_metrics_there_are() {
        assert_eq!(Room::over(1).borders, 4096);
        assert_eq!(Room::over(6).borders, 4096);
        for metrics in [7, 32, 1000] {
            let borders = Room::over(metrics).borders;
            assert!(borders * borders * (12 + 8 * (metrics - 1)) <= MAX_TABLE);
            assert!(borders > 100);
        }
    }

    #[test]
    fn the_ways_through_domains_are_bounded_with_the_borders() {
        // Six borders and six directions. The domain 0 has nine pairs of borders, each other has
        // one.
        let star = [[0, 1], [0, 2], [0, 3]];
        let room = |work| Room { borders: 100, work };
        assert_eq!(used(room(6 * 18), &star), [true; 3]);
        assert_eq!(used(room(6 * 18 - 1), &star), [true, true, false]);
    }
}
