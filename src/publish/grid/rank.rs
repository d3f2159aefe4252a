//! Ordinal costs, RFC 7285 §6.1.2.2: the ranks of numerical costs.

/// The ranks of costs: dense from 0, the best first; equal costs have equal ranks.
#[derive(Debug)]
pub(super) struct Ranks {
    /// The distinct costs, ascending.
    costs: Vec<f64>,
    more_is_better: bool,
}

/// Collects costs to be ranked.
#[derive(Debug)]
pub(super) struct Ranking {
    /// The first `distinct` are ascending and without duplicates.
    costs: Vec<f64>,
    distinct: usize,
    more_is_better: bool,
}

impl Ranking {
    /// Starts without costs.
    pub(super) fn new(more_is_better: bool) -> Self {
        Self {
            costs: Vec::new(),
            distinct: 0,
            more_is_better,
        }
    }

    /// Adds costs; NaN is none.
    pub(super) fn note(&mut self, costs: &[f64]) {
        /// The least number of costs that is worth sorting.
        const WAITING: usize = 64 * 1024;
        self.costs
            .extend(costs.iter().copied().filter(|cost| !cost.is_nan()));
        // At least as many as are distinct, so that each is sorted only a few times.
        if self.costs.len() > 2 * self.distinct + WAITING {
            self.sort();
        }
    }

    /// The ranks over all costs that were added.
    pub(super) fn finish(mut self) -> Ranks {
        self.sort();
        Ranks {
            costs: self.costs,
            more_is_better: self.more_is_better,
        }
    }

    fn sort(&mut self) {
        self.costs.sort_unstable_by(f64::total_cmp);
        self.costs.dedup();
        self.distinct = self.costs.len();
    }
}

impl Ranks {
    /// The rank of one of the costs; NaN for any other and for NaN.
    pub(super) fn rank(&self, cost: f64) -> f64 {
        match self.costs.binary_search_by(|known| known.total_cmp(&cost)) {
            Ok(place) if self.more_is_better => (self.costs.len() - 1 - place) as f64,
            Ok(place) => place as f64,
            Err(_) => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(costs: &[f64], more_is_better: bool) -> Ranks {
        let mut ranking = Ranking::new(more_is_better);
        ranking.note(costs);
        ranking.finish()
    }

    #[test]
    fn ranks_are_dense_and_equal_costs_share_one() {
        let costs = [7.0, 1.5, f64::NAN, 7.0, 0.0];
        let ranks = |more| {
            let ranks = ranks(&costs, more);
            costs.map(|cost| ranks.rank(cost))
        };
        assert_eq!(format!("{:?}", ranks(false)), "[2.0, 1.0, NaN, 2.0, 0.0]");
        assert_eq!(format!("{:?}", ranks(true)), "[0.0, 1.0, NaN, 0.0, 2.0]");
    }

    #[test]
    fn costs_are_sorted_only_when_as_many_are_new_as_were_distinct_and_more() {
        let mut ranking = Ranking::new(false);
        let mut note = |costs: std::ops::Range<u32>| {
            let costs: Vec<f64> = costs.map(f64::from).collect();
            ranking.note(&costs);
            ranking.distinct
        };
        const WAITING: u32 = 64 * 1024;
        assert_eq!(note(0..WAITING), 0, "too few to be sorted");
        let distinct = WAITING + 1;
        assert_eq!(note(WAITING..distinct), distinct as usize);
        let full = 2 * distinct + WAITING;
        assert_eq!(note(distinct..full), distinct as usize, "too few are new");
        assert_eq!(note(full..full + 1), full as usize + 1);
    }

    #[test]
    fn costs_that_repeat_take_no_room() {
        let mut ranking = Ranking::new(false);
        for _ in 0..100 {
            let costs: Vec<f64> = (0..10_000).map(|n| f64::from(n % 10)).collect();
            ranking.note(&costs);
            assert!(ranking.costs.len() < 80_000);
        }
        assert_eq!(ranking.finish().rank(9.0), 9.0);
    }
}
