//! The search for the best way to a border whose best walk passes a domain twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Deref;

use super::walks::Walks;
use super::way::{ByLength, Links, Way};
use crate::paths::borders::BorderGraph;

/// The labels of the border where the search starts are used up.
#[derive(Debug)]
pub(super) struct OutOfLabels;

/// A walk backwards from a target.
#[derive(Debug, Clone, Copy)]
struct Label {
    /// The link before the walk, which is not part of its cost and length; [`NONE`] at the border
    /// where ways start.
    over: u32,
    /// The place of the label that it extends; [`NONE`] at the target.
    after: u32,
    cost: f64,
    /// The place of the label that was kept before it for the same link; [`NONE`] for the first.
    kept: u32,
    /// How many links it has.
    len: u32,
    /// A bit for each critical domain that it passes; from [`BITS`] on, domains share the last bit.
    critical: u64,
}

/// How many links and labels may be looked at for each label counted.
const LOOKS: u64 = 128;

/// The bits for critical domains; in tests so few that domains do share one.
const BITS: u32 = if cfg!(test) { 2 } else { 64 };

/// Stands for no link or label.
const NONE: u32 = u32::MAX;

/// The outcome of a step of a search.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// The search is to be continued.
    Unfinished,
    /// The search has found the best, or that there is none.
    Finished(Option<T>),
}

/// The search for ways from one border, to one target at a time.
#[derive(Debug)]
pub(super) struct Search<T> {
    graph: T,
    source: u32,
    /// The border that the current search is for.
    target: u32,
    max_links: usize,
    /// By link and by the most links up to its end, the least cost from the source.
    ahead: Vec<ByLength<f64>>,
    labels_left: u64,
    /// How much was looked at that does not count as a label yet, and how much in all, labels
    /// included.
    looked: u64,
    looked_in_all: u64,
    /// The critical domains, and by domain its place among them.
    critical: Vec<u32>,
    place: Vec<Option<u32>>,
    labels: Vec<Label>,
    /// The cost of a walk that was found: walks that cost more are dropped.
    enough: f64,
    /// The best walk that was found: its rank and its label.
    found: Option<(u128, u32)>,
    /// By link, the last label that was kept for it.
    kept: Vec<u32>,
    queue: BinaryHeap<Reverse<u128>>,
}

impl<T: Deref<Target = BorderGraph> + Clone> Search<T> {
    pub(super) fn new(graph: T, source: u32, walks: &Walks<'_>, max_labels: u64) -> Self {
        Self {
            source,
            target: source,
            max_links: walks.max_links,
            ahead: walks.least(),
            labels_left: max_labels,
            looked: 0,
            looked_in_all: 0,
            critical: Vec::new(),
            place: vec![None; graph.domains()],
            labels: Vec::new(),
            enough: f64::INFINITY,
            found: None,
            kept: vec![NONE; graph.link_count()],
            queue: BinaryHeap::new(),
            graph,
        }
    }

    /// Returns about how many bytes of memory the search takes.
    pub(super) fn memory(&self) -> usize {
        let of_link = size_of::<ByLength<f64>>() + size_of::<u32>();
        self.ahead.len() * of_link
            + self.labels.capacity() * size_of::<Label>()
            + self.queue.capacity() * size_of::<u128>()
    }

    /// Counts what is looked at against the labels: one for each [`LOOKS`].
    fn look(&mut self, count: usize) -> Result<(), OutOfLabels> {
        self.looked += count as u64;
        self.looked_in_all += count as u64;
        let labels = self.looked / LOOKS;
        self.looked %= LOOKS;
        match self.labels_left.checked_sub(labels) {
            Some(left) => self.labels_left = left,
            None => {
                self.labels_left = 0;
                return Err(OutOfLabels);
            }
        }
        Ok(())
    }

    /// Returns how many labels are left.
    pub(super) fn labels_left(&self) -> u64 {
        self.labels_left
    }

    /// Finds the best way to a border whose best walk passes the domain `twice` twice.
    pub(super) fn way(&mut self, target: u32, twice: u32) -> Result<Option<Way>, OutOfLabels> {
        self.seek(target, twice)?;
        loop {
            if let Step::Finished(way) = self.step(u64::MAX)? {
                return Ok(way);
            }
        }
    }

    /// Begins the search for the best way to a border whose best walk passes the domain `twice`
    /// twice.
    pub(super) fn seek(&mut self, target: u32, twice: u32) -> Result<(), OutOfLabels> {
        for domain in self.critical.drain(..) {
            self.place[domain as usize] = None;
        }
        self.target = target;
        self.begin(twice)
    }

    /// Continues the search by about so many links and labels; returns the way if it has finished.
    pub(super) fn step(&mut self, looks: u64) -> Result<Step<Way>, OutOfLabels> {
        let until = self.looked_in_all.saturating_add(looks);
        loop {
            let found = match self.walk(until)? {
                Step::Unfinished => return Ok(Step::Unfinished),
                Step::Finished(None) => return Ok(Step::Finished(None)),
                Step::Finished(Some(found)) => found,
            };
            let mut links = Links::NONE;
            for (place, link) in links.at.iter_mut().zip(self.links(found)) {
                *place = link;
                links.len += 1;
            }
            match links.twice(&self.graph) {
                Some(domain) => self.begin(domain)?,
                None => {
                    let cost = self.labels[found as usize].cost;
                    return Ok(Step::Finished(Some(Way { cost, links })));
                }
            }
        }
    }

    /// Starts the search again with one more critical domain.
    fn begin(&mut self, critical: u32) -> Result<(), OutOfLabels> {
        self.place[critical as usize] = Some(self.critical.len() as u32);
        self.critical.push(critical);
        self.queue.clear();
        (self.enough, self.found) = (f64::INFINITY, None);
        for label in self.labels.drain(..) {
            if label.over != NONE {
                self.kept[label.over as usize] = NONE;
            }
        }
        let held = self.graph.clone();
        let graph: &BorderGraph = &held;
        for &link in graph.into(self.target) {
            self.look(1)?;
            self.push(Label {
                over: link,
                after: NONE,
                kept: NONE,
                cost: 0.0,
                len: 0,
                critical: self.bit(link),
            })?;
        }
        Ok(())
    }

    /// Searches for the best walk to the target that is not too long and passes no critical domain
    /// twice, until `until` links and labels were looked at in all; returns its label.
    fn walk(&mut self, until: u64) -> Result<Step<u32>, OutOfLabels> {
        let held = self.graph.clone();
        let graph: &BorderGraph = &held;
        while let Some(Reverse(next)) = self.queue.pop() {
            let (rank, at) = (next >> 32, next as u32);
            if let Some((least, label)) = self.found
                && least < rank
            {
                return Ok(Step::Finished(Some(label)));
            }
            if self.looked_in_all >= until {
                self.queue.push(Reverse(next));
                return Ok(Step::Unfinished);
            }
            self.looked_in_all += 1;
            let label = self.labels[at as usize];
            if label.over == NONE {
                // All walks of this cost and length are in the queue by now.
                let smaller = |(_, other)| self.links(at).lt(self.links(other));
                if self.found.is_none_or(smaller) {
                    self.found = Some((rank, at));
                }
                continue;
            }
            let link = label.over;
            let last = self.kept[link as usize];
            if self.is_dominated(at, last)? {
                continue;
            }
            self.labels[at as usize].kept = last;
            self.kept[link as usize] = at;
            let extended = Label {
                after: at,
                len: label.len + 1,
                ..label
            };
            if graph.link(link).from == self.source {
                self.push(Label {
                    over: NONE,
                    cost: label.cost + graph.link(link).cost,
                    ..extended
                })?;
            }
            self.look(graph.ways_back(link))?;
            for (came, cost) in graph.back(link) {
                let domain = graph.entered(came);
                let critical = self.place[domain as usize].is_some();
                if critical && self.passes(at, domain) {
                    continue;
                }
                self.push(Label {
                    over: came,
                    cost: label.cost + cost,
                    critical: label.critical | self.bit(came),
                    ..extended
                })?;
            }
        }
        Ok(Step::Finished(self.found.map(|(_, label)| label)))
    }

    /// Adds a label, unless no walk from the source can lead up to it.
    fn push(&mut self, label: Label) -> Result<(), OutOfLabels> {
        let ahead = match (label.over, self.max_links - label.len as usize) {
            (NONE, _) => 0.0,
            (_, 0) => return Ok(()),
            (link, room) => self.ahead[link as usize][room - 1],
        };
        let (bound, at) = (label.cost + ahead, self.labels.len() as u32);
        if bound > self.enough || bound == f64::INFINITY {
            return Ok(());
        }
        if label.over == NONE {
            self.enough = bound;
        }
        self.labels_left = self.labels_left.checked_sub(1).ok_or(OutOfLabels)?;
        // These numbers are ordered by bound, then by length.
        let rank = u128::from(bound.to_bits()) << 64 | u128::from(label.len) << 32;
        self.queue.push(Reverse(rank | u128::from(at)));
        self.labels.push(label);
        Ok(())
    }

    /// Iterates over a label and those that `next` leads to, with their places.
    fn follow(
        &self,
        first: u32,
        next: impl Fn(&Label) -> u32,
    ) -> impl Iterator<Item = (u32, &Label)> {
        let label = |at: u32| Some((at, self.labels.get(at as usize)?));
        std::iter::successors(label(first), move |(_, before)| label(next(before)))
    }

    /// Iterates over the links of a label.
    fn links(&self, label: u32) -> impl Iterator<Item = u32> {
        let chain = self.follow(label, |label| label.after);
        chain.skip(1).map(|(_, label)| label.over)
    }

    /// Returns the bit of the domain that a link leads into, or 0 if that is not critical.
    fn bit(&self, link: u32) -> u64 {
        let domain = self.graph.entered(link);
        self.place[domain as usize].map_or(0, |place| 1 << place.min(BITS - 1))
    }

    /// Returns whether a label passes a domain.
    fn passes(&self, label: u32, domain: u32) -> bool {
        let mut passed = self.follow(label, |label| label.after);
        passed.any(|(_, label)| self.graph.entered(label.over) == domain)
    }

    /// Returns whether one of the labels kept for the same link dominates this one.
    fn is_dominated(&mut self, label: u32, last_kept: u32) -> Result<bool, OutOfLabels> {
        let mut looked = 0;
        let each = match self.critical.len() {
            few if few <= BITS as usize => 1,
            many => many,
        };
        let dominated = self
            .follow(last_kept, |label| label.kept)
            .any(|(other, _)| {
                looked += each;
                self.dominates(other, label)
            });
        self.look(looked)?;
        Ok(dominated)
    }

    /// Returns whether one label is better than another of the same link and can be extended in the
    /// same ways: it is no longer, and passes no critical domain that the other does not pass.
    fn dominates(&self, one: u32, other: u32) -> bool {
        let [a, b] = [one, other].map(|at| &self.labels[at as usize]);
        let exactly = || {
            let critical = self.critical.iter();
            let mut passed = critical.filter(|domain| self.passes(one, **domain));
            passed.all(|domain| self.passes(other, *domain))
        };
        let better = a.cost < b.cost
            || (a.cost == b.cost && { a.len < b.len || self.links(one).le(self.links(other)) });
        better
            && a.len <= b.len
            && a.critical & !b.critical == 0
            && (self.critical.len() <= BITS as usize || exactly())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::borders::Link;

    /// Returns a chain of domains of one border each, with links in both directions.
    fn chain(domains: u32) -> BorderGraph {
        let link = |from, to| Link {
            from,
            to,
            cost: 1.0,
            open_from: true,
            open_to: true,
        };
        let pairs = (1..domains).flat_map(|to| [link(to - 1, to), link(to, to - 1)]);
        BorderGraph::new(vec![Box::from([0.0]); domains as usize], pairs.collect())
    }

    #[test]
    fn critical_domains_beyond_the_bits_share_the_last() {
        let graph = chain(6);
        let walks = Walks::new(&graph, 0, 7);
        let mut search = Search::new(&graph, 0, &walks, u64::MAX);
        for (place, domain) in [1, 2, 3, 4].into_iter().enumerate() {
            search.place[domain] = Some(place as u32);
        }
        // The links into the domains 1 to 5.
        let bits = [0, 2, 4, 6, 8].map(|link| search.bit(link));
        assert_eq!(bits, [1, 2, 2, 2, 0]);
    }

    #[test]
    fn a_search_takes_bytes_by_its_links_labels_and_what_waits() {
        let graph = chain(6);
        let walks = Walks::new(&graph, 0, 7);
        let mut search = Search::new(&graph, 0, &walks, u64::MAX);
        let of_links = graph.link_count() * (8 * 8 + 4);
        assert_eq!(search.memory(), of_links);
        search.labels = Vec::with_capacity(10);
        search.queue = BinaryHeap::with_capacity(20);
        let label = size_of::<Label>();
        assert_eq!(search.memory(), of_links + 10 * label + 20 * 16);
    }
}
