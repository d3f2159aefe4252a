//! How the costs of one metric compose along a path through several domains.

use serde::{Deserialize, Serialize};

use crate::ident::MetricName;

/// How the costs of a metric compose, ⊕.
///
/// Not the cost itself is composed but a number that stands for it, its *measure*. NaN is the
/// measure of no cost; composing with it gives NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The sum. The measure is in whole thousandths, so that a sum does not depend on its order.
    Add,
    /// The smaller. The measure is the cost.
    #[serde(rename = "min")]
    Smaller,
    /// The loss in percent, `100·(1 − Π(1 − l/100))`. The measure is the share that is not lost.
    Loss,
}

/// The largest measure of an additive cost, that of 5·10¹¹. The sum of as many as a path can have
/// stays below 2⁵³, up to which whole numbers are exact.
const MOST: f64 = 5e14;

impl Rule {
    /// Returns the rule of a metric unless the operator decides otherwise. Registered metrics are
    /// composed without a statistic, or with one that is a typical or an extreme value; percentiles
    /// and deviations are not.
    pub fn of(metric: &MetricName) -> Option<Rule> {
        let base = metric.base();
        let statistic = metric.as_str().get(base.len() + 1..);
        if !matches!(
            statistic,
            None | Some("cur" | "mean" | "median" | "min" | "max")
        ) {
            return None;
        }
        match base {
            "routingcost" | "hopcount" | "delay-ow" | "delay-rt" | "delay-variation" => {
                Some(Rule::Add)
            }
            "tput" | "bw-residual" | "bw-available" => Some(Rule::Smaller),
            "lossrate" => Some(Rule::Loss),
            _ => None,
        }
    }

    /// Returns the measure of a cost. An additive cost that is too large to be summed exactly
    /// counts as no cost.
    #[inline]
    pub fn measure(self, cost: f64) -> f64 {
        match self {
            Rule::Add => {
                let exact = cost * 1000.0;
                // A cost that the cast cannot represent is out of range as well.
                let whole = exact as i64 as f64;
                let rounded = if exact - whole >= 0.5 {
                    whole + 1.0
                } else {
                    whole
                };
                if exact >= 0.0 && rounded <= MOST {
                    rounded
                } else {
                    f64::NAN
                }
            }
            Rule::Smaller => cost,
            Rule::Loss => 1.0 - cost / 100.0,
        }
    }

    /// Returns the measure that leaves every other as it is: that from a PID to itself without a
    /// stated cost.
    pub fn identity(self) -> f64 {
        match self {
            Rule::Add => 0.0,
            Rule::Smaller => f64::INFINITY,
            Rule::Loss => 1.0,
        }
    }

    /// Composes two measures in sequence; `first` must not be infinite.
    #[inline(always)]
    pub(super) fn join(self, first: f64, then: f64) -> f64 {
        match self {
            Rule::Add => first + then,
            // The result is NaN if either is NaN: NaN compares as not less, and NaN times 0 is NaN.
            Rule::Smaller => (if first < then { first } else { then }) + first * 0.0,
            Rule::Loss => first * then,
        }
    }

    /// Composes any two measures in sequence.
    pub fn compose(self, first: f64, then: f64) -> f64 {
        match self {
            Rule::Smaller if first == f64::INFINITY => then,
            _ => self.join(first, then),
        }
    }

    /// Returns the cost of a measure.
    #[inline(always)]
    pub(super) fn cost(self, measure: f64) -> f64 {
        match self {
            Rule::Add => measure / 1000.0,
            Rule::Smaller => measure,
            Rule::Loss => 100.0 * (1.0 - measure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(metric: &str) -> Option<Rule> {
        Rule::of(&MetricName::new(metric).expect("a metric"))
    }

    #[test]
    fn typical_and_extreme_values_are_composed_and_others_are_not() {
        for add in [
            "routingcost",
            "hopcount",
            "delay-ow:median",
            "delay-rt:max",
            "delay-variation:cur",
        ] {
            assert_eq!(of(add), Some(Rule::Add), "{add}");
        }
        for smaller in ["tput", "tput:mean", "bw-residual:min", "bw-available"] {
            assert_eq!(of(smaller), Some(Rule::Smaller), "{smaller}");
        }
        assert_eq!(of("lossrate:mean"), Some(Rule::Loss));
        for none in [
            "delay-ow:p95",
            "lossrate:stddev",
            "tput:stdvar",
            "priv:cash",
            "priv:delay-ow:cur",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_measure_that_is_missing_or_too_large_leaves_none() {
        for rule in [Rule::Add, Rule::Smaller, Rule::Loss] {
            for (first, then) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::NAN, f64::NAN)] {
                assert!(
                    rule.compose(first, then).is_nan(),
                    "{rule:?} {first} {then}"
                );
            }
            assert!(rule.measure(f64::NAN).is_nan());
            let cost = rule.cost(rule.compose(rule.identity(), rule.measure(12.5)));
            assert_eq!(cost, 12.5);
        }
        assert_eq!(Rule::Add.measure(5e11), 5e14);
        assert!(Rule::Add.measure(5.000_000_000_01e11).is_nan());
        assert!(Rule::Add.measure(-0.0).is_sign_positive());
    }
}
