//! The table of the best ways between the borders of domains.

/// For each border and each border of another domain, the best way between them: its cost in the
/// metric that selects ways, and its measure in every other metric. Borders are numbered through,
/// domain by domain.
#[derive(Debug)]
pub struct Routes {
    /// The first border of each domain, and after the last the number of borders.
    pub first: Box<[u32]>,
    /// The ways from the borders of each domain.
    pub from: Box<[RoutesFrom]>,
}

/// The ways from the borders of one domain: tables with a row for each of its borders and a column
/// for each border of any domain.
#[derive(Debug, Default)]
pub struct RoutesFrom {
    /// The cost in thousandths; infinite without a way.
    pub cost: Box<[f64]>,
    /// The place of the way among all between the same two domains, in the order of ways of equal
    /// cost.
    pub rank: Box<[u32]>,
    /// By metric that does not select ways, the measure along the way.
    pub measures: Box<[Box<[f64]>]>,
    /// The domains without a way because the labels did not suffice to find the best one.
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
