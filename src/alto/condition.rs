//! The conditions that the costs of a pair must meet to be returned: the constraints of RFC 7285
//! §11.3.2.3 and RFC 8189 §4.1.2, folded into intervals.
//!
//! A request may hold a hundred thousand predicates. After folding, a pair is tested against at
//! most [`MAX_ALTERNATIVES`] groups of intervals, each with one interval per cost type.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::meta::CostType;

/// The most alternatives a query may have once its predicates are folded.
pub const MAX_ALTERNATIVES: usize = 100;

/// A comparison of RFC 7285 §11.3.2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `gt`
    Greater,
    /// `lt`
    Less,
    /// `ge`
    AtLeast,
    /// `le`
    AtMost,
    /// `eq`
    Equal,
}

/// All numbers from `low` to `high`, both included; none if `low > high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    /// Every number.
    pub const ALL: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// Returns the numbers that compare like this with `value`, which must be finite.
    pub fn of(operator: Operator, value: f64) -> Self {
        let mut interval = Self::ALL;
        match operator {
            Operator::Greater => interval.low = value.next_up(),
            Operator::Less => interval.high = value.next_down(),
            Operator::AtLeast => interval.low = value,
            Operator::AtMost => interval.high = value,
            Operator::Equal => (interval.low, interval.high) = (value, value),
        }
        interval
    }

    /// Whether a cost lies in the interval. NaN, which stands for no cost, never does.
    pub fn contains(&self, cost: f64) -> bool {
        self.low <= cost && cost <= self.high
    }

    fn is_empty(&self) -> bool {
        self.low > self.high
    }

    fn intersect(&mut self, other: Self) {
        self.low = self.low.max(other.low);
        self.high = self.high.min(other.high);
    }

    fn order(&self, other: &Self) -> Ordering {
        let lows = self.low.total_cmp(&other.low);
        lows.then(self.high.total_cmp(&other.high))
    }
}

/// One way to pass: each cost type, given by its place in [`Conditions::types`], with the
/// interval that its cost must lie in. Sorted, each type once.
type Alternative = Vec<(usize, Interval)>;

/// The conditions that a pair must meet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    types: Vec<CostType>,
    /// `None`: every pair passes; an empty list: no pair does.
    alternatives: Option<Vec<Alternative>>,
}

/// More than [`MAX_ALTERNATIVES`] alternatives are left after folding; how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany(pub usize);

impl Conditions {
    /// Folds groups of predicates. A pair passes if it meets all predicates of at least one
    /// group. A predicate is a place in `types` and the interval that passes.
    ///
    /// # Errors
    /// Too many alternatives are left.
    pub fn fold(
        types: Vec<CostType>,
        groups: impl IntoIterator<Item = Vec<(usize, Interval)>>,
    ) -> Result<Self, TooMany> {
        let mut named = BTreeSet::new();
        let mut alternatives: Vec<Alternative> = groups
            .into_iter()
            .inspect(|group| named.extend(group.iter().map(|test| test.0)))
            .map(all_of)
            .filter(|all| all.iter().all(|(_, interval)| !interval.is_empty()))
            .collect();
        alternatives.sort_unstable_by(order);
        alternatives.dedup();
        let mut alternatives = join_neighbours(alternatives);
        if alternatives.len() > MAX_ALTERNATIVES {
            return Err(TooMany(alternatives.len()));
        }
        Ok(Self {
            types: keep(&named, types, &mut alternatives),
            alternatives: Some(alternatives),
        })
    }

    /// Returns the cost types that predicates name, each once, even those that folding left no
    /// predicate of.
    pub fn types(&self) -> &[CostType] {
        &self.types
    }

    /// Whether there are no conditions, so that every pair passes, even one without costs.
    pub fn is_none(&self) -> bool {
        self.alternatives.is_none()
    }

    /// Returns how many comparisons a pair takes at most.
    pub fn tests(&self) -> usize {
        self.alternatives.iter().flatten().map(Vec::len).sum()
    }

    /// Whether a pair passes. `cost` returns its cost by the place of the cost type, NaN for
    /// none.
    pub fn pass(&self, cost: impl Fn(usize) -> f64) -> bool {
        let Some(alternatives) = &self.alternatives else {
            return true;
        };
        let meets = |all: &Alternative| {
            let mut all = all.iter();
            all.all(|(place, interval)| interval.contains(cost(*place)))
        };
        alternatives.iter().any(meets)
    }
}

/// Intersects the intervals of a group, so that one is left for each cost type.
fn all_of(mut group: Vec<(usize, Interval)>) -> Alternative {
    group.sort_unstable_by_key(|(place, _)| *place);
    let mut all: Alternative = Vec::with_capacity(1);
    for (place, interval) in group {
        match all.last_mut() {
            Some((last, known)) if *last == place => known.intersect(interval),
            _ => all.push((place, interval)),
        }
    }
    all.shrink_to_fit();
    all
}

/// Keeps only the named types, and changes the places in the alternatives accordingly.
fn keep(
    named: &BTreeSet<usize>,
    types: Vec<CostType>,
    alternatives: &mut [Alternative],
) -> Vec<CostType> {
    for (place, _) in alternatives.iter_mut().flatten() {
        *place = named.range(..*place).count();
    }
    let kept = types.into_iter().enumerate();
    kept.filter(|(place, _)| named.contains(place))
        .map(|(_, cost_type)| cost_type)
        .collect()
}

fn order(a: &Alternative, b: &Alternative) -> Ordering {
    let each = |(a, b): (&(usize, Interval), &(usize, Interval))| {
        a.0.cmp(&b.0).then_with(|| a.1.order(&b.1))
    };
    // Alternatives on one type come first, so that those on the same type are neighbours.
    let lengths = a.len().cmp(&b.len());
    lengths.then_with(|| {
        let mut pairs = a.iter().zip(b).map(each);
        pairs.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    })
}

/// Joins neighbouring alternatives on one cost type whose intervals overlap or touch.
fn join_neighbours(sorted: Vec<Alternative>) -> Vec<Alternative> {
    let mut joined: Vec<Alternative> = Vec::new();
    for next in sorted {
        if let (Some([(place, known)]), [(of, interval)]) =
            (joined.last_mut().map(Vec::as_mut_slice), &next[..])
            && place == of
            && interval.low <= known.high.next_up()
        {
            known.high = known.high.max(interval.high);
            continue;
        }
        joined.push(next);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::meta::CostMode;
    use crate::ident::MetricName;
    use proptest::prelude::*;

    /// Folds groups on three types.
    fn fold(groups: Vec<Vec<(usize, Interval)>>) -> Result<Conditions, TooMany> {
        Conditions::fold(types().to_vec(), groups)
    }

    fn types() -> [CostType; 3] {
        ["routingcost", "hopcount", "delay-ow"].map(|name| {
            let metric = MetricName::new(name).expect("a metric");
            CostType::new(&metric, CostMode::Numerical)
        })
    }

    fn below(value: f64) -> Vec<(usize, Interval)> {
        vec![(0, Interval::of(Operator::Less, value))]
    }

    #[test]
    fn predicates_on_one_metric_become_one_interval_however_many_there_are() {
        let equal = fold(vec![below(0.0); 100_000]).expect("one is left");
        assert_eq!(equal.tests(), 1);
        let nested = fold((0..100_000).map(|n| below(f64::from(n))).collect());
        let nested = nested.expect("one is left");
        assert_eq!(nested.tests(), 1);
        assert!(nested.pass(|_| 99_998.5) && !nested.pass(|_| 99_999.0));
        let all = (0..100_000).map(|n| (0, Interval::of(Operator::Greater, f64::from(n))));
        assert_eq!(fold(vec![all.collect()]).expect("one").tests(), 1);
    }

    #[test]
    fn what_stays_apart_is_bounded() {
        let equal = |n: usize| vec![(0, Interval::of(Operator::Equal, n as f64))];
        let apart = |count| fold((0..count).map(equal).collect());
        assert_eq!(apart(MAX_ALTERNATIVES).map(|c| c.tests()), Ok(100));
        assert_eq!(apart(101), Err(TooMany(101)));
    }

    #[test]
    fn a_contradiction_passes_nothing_and_no_condition_everything() {
        let between = [Operator::Less, Operator::Greater].map(|op| (0, Interval::of(op, 3.0)));
        let never = fold(vec![between.to_vec()]).expect("sound");
        assert!(!never.is_none() && never.tests() == 0);
        assert!(![2.0, 3.0, 4.0].into_iter().any(|cost| never.pass(|_| cost)));
        assert!(Conditions::default().pass(|_| f64::NAN));
    }

    fn plain(operator: Operator, cost: f64, value: f64) -> bool {
        match operator {
            Operator::Greater => cost > value,
            Operator::Less => cost < value,
            Operator::AtLeast => cost >= value,
            Operator::AtMost => cost <= value,
            Operator::Equal => cost == value,
        }
    }

    fn operators() -> impl Strategy<Value = Operator> {
        prop_oneof![
            Just(Operator::Greater),
            Just(Operator::Less),
            Just(Operator::AtLeast),
            Just(Operator::AtMost),
            Just(Operator::Equal),
        ]
    }

    proptest! {
        #[test]
        fn folded_predicates_pass_what_each_of_them_does(
            groups in proptest::collection::vec(
                proptest::collection::vec((0..3_usize, operators(), -3..4_i8), 1..4), 1..6),
            costs in proptest::collection::vec(
                proptest::array::uniform3(prop_oneof![
                    Just(f64::NAN), Just(-0.0), (-4..5_i8).prop_map(f64::from),
                    (-4..5_i8).prop_map(|n| f64::from(n).next_up()),
                    (-4..5_i8).prop_map(|n| f64::from(n).next_down()),
                ]), 1..20),
        ) {
            let interval = |&(place, operator, value): &(usize, Operator, i8)| {
                (place, Interval::of(operator, f64::from(value)))
            };
            let folded = groups.iter().map(|group| group.iter().map(interval).collect());
            let folded = fold(folded.collect()).expect("few");
            for costs in costs {
                let one_by_one = groups.iter().any(|group| {
                    group.iter().all(|(place, operator, value)| {
                        plain(*operator, costs[*place], f64::from(*value))
                    })
                });
                let cost = |place: usize| {
                    let tested = &folded.types()[place];
                    costs[types().iter().position(|known| known == tested).expect("known")]
                };
                prop_assert_eq!(folded.pass(cost), one_by_one);
            }
        }
    }
}
