//! The best ways between the borders of domains.

/// Which way leads from each border to each border of another domain: what it
/// costs in the metric that ways are selected by, and its measure in every
/// other. Borders are numbered through, those of the first domain first.
#[derive(Debug)]
pub struct Routes {
    /// The first border of each domain, and the end.
    pub first: Box<[u32]>,
    /// The ways from the borders of each domain.
    pub from: Box<[RoutesFrom]>,
}

/// The ways from the borders of one domain: tables of its borders by all.
#[derive(Debug, Default)]
pub struct RoutesFrom {
    /// The cost in thousandths; infinite where there is no way.
    pub cost: Box<[f64]>,
    /// The place of the way among all between the same two domains, in the
    /// order of ways of equal cost.
    pub rank: Box<[u32]>,
    /// The measure of each other metric along the way, by metric.
    pub measures: Box<[Box<[f64]>]>,
    /// The domains that no way leads to, since the labels did not suffice to
    /// say which is the best.
    pub unsettled: Box<[u32]>,
}

impl Routes {
    /// How many borders there are.
    pub fn borders(&self) -> usize {
        self.first.last().map_or(0, |end| *end as usize)
    }

    /// The borders of a domain.
    pub fn borders_of(&self, domain: usize) -> std::ops::Range<usize> {
        self.first[domain] as usize..self.first[domain + 1] as usize
    }

    /// The bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let from = self.from.iter().map(|from| {
            let cells = from.cost.len() * (1 + from.measures.len());
            cells * size_of::<f64>() + (from.rank.len() + from.unsettled.len()) * size_of::<u32>()
        });
        self.first.len() * size_of::<u32>() + from.sum::<usize>()
    }
}
