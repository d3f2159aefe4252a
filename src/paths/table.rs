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
    /// Returns how many borders there are.
    pub fn borders(&self) -> usize {
        self.first.last().map_or(0, |end| *end as usize)
    }

    /// Returns the borders of a domain.
    pub fn borders_of(&self, domain: usize) -> std::ops::Range<usize> {
        self.first[domain] as usize..self.first[domain + 1] as usize
    }

    /// Returns the bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let from = self.from.iter().map(|from| {
            let cells = from.cost.len() * (1 + from.measures.len());
            cells * size_of::<f64>() + (from.rank.len() + from.unsettled.len()) * size_of::<u32>()
        });
        self.first.len() * size_of::<u32>() + from.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_takes_a_cost_and_a_rank_and_a_measure_for_each_other_metric() {
        let from = |measures: usize| RoutesFrom {
            cost: vec![0.0; 6].into(),
            rank: vec![0; 6].into(),
            measures: vec![vec![0.0; 6].into(); measures].into(),
            unsettled: [1].into(),
        };
        let bytes = |measures| {
            let routes = Routes {
                first: [0, 2, 3].into(),
                from: [from(measures)].into(),
            };
            routes.heap_bytes()
        };
        assert_eq!(bytes(0), 3 * 4 + 6 * (8 + 4) + 4);
        assert_eq!(bytes(5) - bytes(0), 5 * 6 * 8);
    }
}
