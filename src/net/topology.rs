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
    /// What leads on from each state, and back to it.
    onward: Steps,
    back: Steps,
    /// The links out of each border.
    out: Grouped,
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

/// Where traffic is that came over a link: at which border, and whether it may
/// go on anywhere or over open links only.
pub(super) type State = u32;

/// The state of traffic that came over this link.
pub(super) fn arrived(link: &Link) -> State {
    link.to * 2 + u32::from(link.open_to)
}

/// The border of a state.
pub(super) fn border(state: State) -> u32 {
    state / 2
}

/// From one state through a domain and over a link to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The other state: where it leads to, or comes from.
    pub(super) state: State,
    pub(super) link: u32,
    /// What both the domain and the link cost.
    pub(super) cost: f64,
}

/// The steps of each state, in one allocation.
#[derive(Debug, Default)]
pub(super) struct Steps {
    first: Vec<u32>,
    steps: Vec<Step>,
}

impl Steps {
    /// The steps of a state.
    pub(super) fn of(&self, state: State) -> &[Step] {
        &self.steps[self.first[state as usize] as usize..self.first[state as usize + 1] as usize]
    }

    /// Groups steps by the state that each is given with.
    fn new(states: usize, all: &[(State, Step)]) -> Self {
        let first = offsets(states, all.iter().map(|(state, _)| *state));
        let mut place = first.clone();
        let nowhere = Step {
            state: 0,
            link: 0,
            cost: f64::INFINITY,
        };
        let mut steps = vec![nowhere; all.len()];
        for (state, step) in all {
            let at = &mut place[*state as usize];
            steps[*at as usize] = *step;
            *at += 1;
        }
        Self { first, steps }
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
        let mut states: Vec<State> = links.iter().map(arrived).collect();
        states.sort_unstable();
        states.dedup();
        let (mut onward, mut back) = (Vec::new(), Vec::new());
        for state in states {
            let (border, open) = (border(state), state % 2 == 1);
            let domain = of_border[border as usize] as usize;
            let (begin, end) = (first[domain], first[domain + 1]);
            let row = (border - begin) as usize * (end - begin) as usize;
            for leaving in begin..end {
                let inside = domains[domain][row + (leaving - begin) as usize];
                for &at in out.of(leaving) {
                    let link = &links[at as usize];
                    let cost = inside + link.cost;
                    if (open || link.open_from) && cost.is_finite() {
                        let step = |state| Step {
                            state,
                            link: at,
                            cost,
                        };
                        onward.push((state, step(arrived(link))));
                        back.push((arrived(link), step(state)));
                    }
                }
            }
        }
        Self {
            first,
            domains: of_border,
            links,
            onward: Steps::new(borders * 2, &onward),
            back: Steps::new(borders * 2, &back),
            out,
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

    /// How many states there are.
    pub(super) fn states(&self) -> usize {
        self.domains.len() * 2
    }

    /// Where traffic can go from a state.
    pub(super) fn onward(&self, state: State) -> &[Step] {
        self.onward.of(state)
    }

    /// Where traffic can come from to a state.
    pub(super) fn back(&self, state: State) -> &[Step] {
        self.back.of(state)
    }
}
