//! The graph of borders in which the best ways are found.

/// The borders of domains, the costs between them, and the links between domains, all as numbers.
///
/// Costs are whole numbers from 0 on, held in doubles; infinity is no cost. Borders are numbered
/// through, domain by domain.
#[derive(Debug)]
pub struct BorderGraph {
    /// The first border of each domain, and after the last the number of borders.
    first: Vec<u32>,
    /// The domain of each border.
    domains: Vec<u32>,
    /// By domain, the costs from each of its borders to each, row by row.
    inside: Vec<Box<[f64]>>,
    links: Vec<Link>,
    /// The domain that each link leads into.
    entered: Vec<u32>,
    /// The links from each border, and those to it.
    out: Grouped,
    into: Grouped,
    /// The links, in the order of `out`.
    departures: Vec<Departure>,
}

/// A link from a border of one domain to one of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// The border where it starts.
    pub from: u32,
    /// The border where it ends.
    pub to: u32,
    /// The cost of crossing it.
    pub cost: f64,
    /// Whether the domain where it starts sends traffic from anywhere over it.
    pub open_from: bool,
    /// Whether the domain where it ends carries traffic that comes over it anywhere.
    pub open_to: bool,
}

/// A link as seen from the border where it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Departure {
    pub(super) cost: f64,
    /// Its number.
    pub(super) link: u32,
    /// The border where it ends.
    pub(super) to: u32,
    /// The domain of that border.
    pub(super) into: u32,
    pub(super) open_from: bool,
    pub(super) open_to: bool,
}

/// Numbers grouped by another number, in one allocation.
#[derive(Debug, Default)]
struct Grouped {
    first: Vec<u32>,
    members: Vec<u32>,
}

impl Grouped {
    fn new(groups: usize, group_of: impl Iterator<Item = u32> + Clone) -> Self {
        let first = offsets(groups, group_of.clone());
        let mut place = first.clone();
        let mut members = vec![0; *first.last().unwrap_or(&0) as usize];
        for (member, group) in (0..).zip(group_of) {
            let at = &mut place[group as usize];
            members[*at as usize] = member;
            *at += 1;
        }
        Self { first, members }
    }

    fn of(&self, group: u32) -> &[u32] {
        let (first, end) = (self.first[group as usize], self.first[group as usize + 1]);
        &self.members[first as usize..end as usize]
    }
}

/// Returns where each group begins if members are sorted by group, and after the last the number of
/// members.
fn offsets(groups: usize, members: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut first = vec![0; groups + 1];
    for group in members {
        first[group as usize + 1] += 1;
    }
    for group in 0..groups {
        first[group + 1] += first[group];
    }
    first
}

impl BorderGraph {
    /// Creates the graph. `inside` has, for each domain, the costs from each of its borders to
    /// each, row by row. The order of `links` decides between ways of equal cost and length.
    ///
    /// # Panics
    /// A link names a border that does not exist.
    pub fn new(inside: Vec<Box<[f64]>>, links: Vec<Link>) -> Self {
        let mut first = vec![0];
        let mut domains = Vec::new();
        for (domain, costs) in (0..).zip(&inside) {
            domains.resize(domains.len() + costs.len().isqrt(), domain);
            first.push(domains.len() as u32);
        }
        let borders = domains.len();
        let entered = links.iter().map(|link| domains[link.to as usize]);
        let out = Grouped::new(borders, links.iter().map(|link| link.from));
        let departures = out.members.iter().map(|&number| {
            let link = &links[number as usize];
            Departure {
                cost: link.cost,
                link: number,
                to: link.to,
                into: domains[link.to as usize],
                open_from: link.open_from,
                open_to: link.open_to,
            }
        });
        Self {
            departures: departures.collect(),
            entered: entered.collect(),
            out,
            into: Grouped::new(borders, links.iter().map(|link| link.to)),
            first,
            domains,
            inside,
            links,
        }
    }

    /// Returns how many domains there are.
    pub fn domains(&self) -> usize {
        self.first.len() - 1
    }

    /// Returns how many borders there are.
    pub fn borders(&self) -> usize {
        self.domains.len()
    }

    /// Returns the borders of a domain.
    ///
    /// # Panics
    /// There is no such domain.
    pub fn borders_of(&self, domain: usize) -> std::ops::Range<usize> {
        self.first[domain] as usize..self.first[domain + 1] as usize
    }

    /// Returns the link with this number.
    ///
    /// # Panics
    /// There is no such link.
    pub fn link(&self, at: u32) -> &Link {
        &self.links[at as usize]
    }

    /// Returns the domain of a border.
    ///
    /// # Panics
    /// There is no such border.
    pub fn domain_of(&self, border: u32) -> u32 {
        self.domains[border as usize]
    }

    /// Returns the links that start at a border.
    pub(super) fn departures(&self, border: u32) -> &[Departure] {
        let (first, end) = (
            self.out.first[border as usize],
            self.out.first[border as usize + 1],
        );
        &self.departures[first as usize..end as usize]
    }

    /// Returns the links that end at a border.
    pub(super) fn into(&self, border: u32) -> &[u32] {
        self.into.of(border)
    }

    /// Returns the domain that a link leads into.
    pub(super) fn entered(&self, link: u32) -> u32 {
        self.entered[link as usize]
    }

    /// Returns the costs inside a domain from one of its borders to each.
    pub(super) fn inside(&self, domain: usize, border: u32) -> &[f64] {
        let borders = self.borders_of(domain);
        let row = (border as usize - borders.start) * borders.len();
        &self.inside[domain][row..row + borders.len()]
    }

    /// Iterates over the links that may come before this one on a way, without those from the
    /// domain that it leads to; each with the cost of this link and of the domain between the two.
    pub(super) fn back(&self, link: u32) -> impl Iterator<Item = (u32, f64)> {
        let goes = &self.links[link as usize];
        let domain = self.domain_of(goes.from) as usize;
        let leaving = goes.from as usize - self.first[domain] as usize;
        let entering = self.borders_of(domain).filter_map(move |border| {
            let border = border as u32;
            let cost = self.inside(domain, border)[leaving] + goes.cost;
            cost.is_finite().then_some((border, cost))
        });
        entering.flat_map(move |(border, cost)| {
            let all = self.into(border).iter().copied();
            let carried = all.filter(move |&came| {
                let came = &self.links[came as usize];
                let returns = self.domain_of(came.from) == self.entered(link);
                (came.open_to || goes.open_from) && !returns
            });
            carried.map(move |came| (came, cost))
        })
    }

    /// Returns how many borders and links [`Self::back`] looks at.
    pub(super) fn ways_back(&self, link: u32) -> usize {
        let domain = self.domain_of(self.links[link as usize].from);
        let borders = self.borders_of(domain as usize);
        let links = self.into.first[borders.end] - self.into.first[borders.start];
        borders.len() + links as usize
    }

    /// Returns how many links there are.
    pub(super) fn link_count(&self) -> usize {
        self.links.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_a_link_is_found_by_the_borders_of_a_domain_and_the_links_to_them() {
        // Domain 1 has the borders 1, 2 and 3; domains 0 and 2 have one each.
        let no = f64::INFINITY;
        let inside = vec![
            Box::from([0.0]),
            Box::from([0.0, no, 5.0, no, 0.0, no, no, no, 0.0]),
            Box::from([0.0]),
        ];
        let link = |from, to, open_to| Link {
            from,
            to,
            cost: 7.0,
            open_from: false,
            open_to,
        };
        let links = vec![
            link(0, 1, true),
            link(0, 1, false),
            link(0, 2, true),
            link(4, 3, true),
            link(3, 4, false),
            link(3, 0, false),
        ];
        let graph = BorderGraph::new(inside, links);
        assert_eq!(graph.ways_back(4), 3 + 4);
        // Not link 1, which domain 1 does not carry on, nor link 2, since no way leads from border
        // 2 to border 3, nor link 3, which comes from where link 4 leads.
        assert_eq!(graph.back(4).collect::<Vec<_>>(), [(0, 12.0)]);
        assert_eq!(graph.back(5).collect::<Vec<_>>(), [(3, 7.0)]);
        assert_eq!(graph.ways_back(0), 1 + 1);
    }
}
