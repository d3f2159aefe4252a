//! Ordinal costs, RFC 7285 §6.1.2.2: ranks made from numbers.

/// The ranks of some costs: dense from 0, the best first, equal costs equal.
pub(super) struct Ranks {
    /// The distinct costs, ascending.
    costs: Vec<f64>,
    more_is_better: bool,
}

impl Ranks {
    /// Ranks over these costs; NaN is none.
    pub(super) fn over(costs: impl IntoIterator<Item = f64>, more_is_better: bool) -> Self {
        let mut costs: Vec<f64> = costs.into_iter().filter(|cost| !cost.is_nan()).collect();
        costs.sort_unstable_by(f64::total_cmp);
        costs.dedup();
        Self {
            costs,
            more_is_better,
        }
    }

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

    #[test]
    fn ranks_are_dense_and_equal_costs_share_one() {
        let costs = [7.0, 1.5, f64::NAN, 7.0, 0.0];
        let ranks = |more| {
            let ranks = Ranks::over(costs, more);
            costs.map(|cost| ranks.rank(cost))
        };
        assert_eq!(format!("{:?}", ranks(false)), "[2.0, 1.0, NaN, 2.0, 0.0]");
        assert_eq!(format!("{:?}", ranks(true)), "[0.0, 1.0, NaN, 0.0, 2.0]");
    }
}
