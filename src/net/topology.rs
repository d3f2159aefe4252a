//! Domains joined by links, as numbers: what the best ways between their
//! borders are found in.

/// Costs between the borders of domains, and the links from border to border.
///
/// Costs are whole numbers not below 0 held in doubles; infinity is none.
/// Borders are numbered through, those of the first domain first.
#[derive(Debug)]
pub struct Topology {
    /// The first border of each domain, and the end.
    first: Vec<u32>,
    /// The domain of each border.
    domains: Vec<u32>,
    links: Vec<Link>,
    /// The domain that each link leads into.
    entered: Vec<u32>,
    /// What leads on from each link, and back to it.
    onward: Steps,
    back: Steps,
    /// The links out of each border, and those into it.
    out: Grouped,
    into: Grouped,
}

/// A link from a border of one domain to one of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// The border where it starts.
    pub from: u32,
    /// The border where it ends.
    pub to: u32,
    /// What crossing it costs.
    pub cost: f64,
    /// Whether the domain where it starts sends traffic over it that came from
    /// anywhere.
    pub open_from: bool,
    /// Whether the domain where it ends carries what comes over it anywhere.
    pub open_to: bool,
}

/// From one link through a domain to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The other link: the one that follows, or the one that came before.
    pub(super) link: u32,
    /// What the domain and the later link cost.
    pub(super) cost: f64,
}

/// The steps of each link, in one allocation.
#[derive(Debug, Default)]
struct Steps {
    first: Vec<u32>,
    steps: Vec<Step>,
}

impl Steps {
    /// Groups steps by the link that each is given with.
    fn new(links: usize, all: &[(u32, Step)]) -> Self {
        let first = offsets(links, all.iter().map(|(link, _)| *link));
        let mut place = first.clone();
        let nothing = Step {
            link: 0,
            cost: f64::INFINITY,
        };
        let mut steps = vec![nothing; all.len()];
        for (link, step) in all {
            let at = &mut place[*link as usize];
            steps[*at as usize] = *step;
            *at += 1;
        }
        Self { first, steps }
    }

    fn of(&self, link: u32) -> &[Step] {
        let (first, end) = (self.first[link as usize], self.first[link as usize + 1]);
        &self.steps[first as usize..end as usize]
    }
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

/// Where each group begins when members are sorted by group, and the end.
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

impl Topology {
    /// A topology of domains, each given as the costs from each of its borders
    /// to each, row by row, and of links, whose order decides between ways that
    /// are else alike.
    ///
    /// # Panics
    /// A link starts or ends at no border.
    pub fn new(domains: &[&[f64]], links: Vec<Link>) -> Self {
        let mut first = vec![0];
        let mut of_border = Vec::new();
        for (domain, costs) in (0..).zip(domains) {
            of_border.resize(of_border.len() + costs.len().isqrt(), domain);
            first.push(of_border.len() as u32);
        }
        let borders = of_border.len();
        let out = Grouped::new(borders, links.iter().map(|link| link.from));
        let into = Grouped::new(borders, links.iter().map(|link| link.to));
        let (mut onward, mut back) = (Vec::new(), Vec::new());
        for (at, came) in (0..).zip(&links) {
            let domain = of_border[came.to as usize] as usize;
            let (begin, end) = (first[domain], first[domain + 1]);
            let row = (came.to - begin) as usize * (end - begin) as usize;
            for leaving in begin..end {
                let inside = domains[domain][row + (leaving - begin) as usize];
                for &next in out.of(leaving) {
                    let goes = &links[next as usize];
                    let cost = inside + goes.cost;
                    let carried = came.open_to || goes.open_from;
                    let returns = of_border[goes.to as usize] == of_border[came.from as usize];
                    if carried && !returns && cost.is_finite() {
                        onward.push((at, Step { link: next, cost }));
                        back.push((next, Step { link: at, cost }));
                    }
                }
            }
        }
        let count = links.len();
        let entered = links.iter().map(|link| of_border[link.to as usize]);
        Self {
            entered: entered.collect(),
            first,
            domains: of_border,
            links,
            onward: Steps::new(count, &onward),
            back: Steps::new(count, &back),
            out,
            into,
        }
    }

    /// How many domains there are.
    pub fn domains(&self) -> usize {
        self.first.len() - 1
    }

    /// How many borders there are.
    pub fn borders(&self) -> usize {
        self.domains.len()
    }

    /// The borders of a domain.
    ///
    /// # Panics
    /// There is no such domain.
    pub fn borders_of(&self, domain: usize) -> std::ops::Range<usize> {
        self.first[domain] as usize..self.first[domain + 1] as usize
    }

    /// The link with this number.
    ///
    /// # Panics
    /// There is no such link.
    pub fn link(&self, at: u32) -> &Link {
        &self.links[at as usize]
    }

    /// The domain of a border.
    ///
    /// # Panics
    /// There is no such border.
    pub fn domain_of(&self, border: u32) -> u32 {
        self.domains[border as usize]
    }

    /// The links that start at a border.
    pub(super) fn out(&self, border: u32) -> &[u32] {
        self.out.of(border)
    }

    /// The links that end at a border.
    pub(super) fn into(&self, border: u32) -> &[u32] {
        self.into.of(border)
    }

    /// The domain that a link leads into.
    pub(super) fn entered(&self, link: u32) -> u32 {
        self.entered[link as usize]
    }

    /// All links.
    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The links that traffic may take which came over this one; none leads
    /// straight back to the domain that it came from.
    pub(super) fn onward(&self, link: u32) -> &[Step] {
        self.onward.of(link)
    }

    /// The links that traffic may have come over which takes this one.
    pub(super) fn back(&self, link: u32) -> &[Step] {
        self.back.of(link)
    }
}
