//! The costs from one source to each destination.

use std::sync::Arc;

/// A row of a matrix: for each column a cost, or none.
///
/// It takes memory in proportion to its costs: a row with few is kept as pairs of column and cost,
/// any other as a double for each column, NaN without a cost. So a cost takes at most 32 bytes, and
/// a row without costs takes nothing. The form depends only on the costs and the number of columns.
/// Clones share the costs.
#[derive(Debug, Clone)]
pub struct Row(Form);

#[derive(Debug, Clone)]
enum Form {
    /// Ascending by column, without NaN.
    Few(Option<Arc<[(u32, f64)]>>),
    /// By column.
    Full(Arc<[f64]>),
}

/// A row with costs in at most one of so many columns takes at most half the memory as pairs.
const FEW: usize = 4;

impl Default for Row {
    fn default() -> Self {
        Self(Form::Few(None))
    }
}

impl Row {
    /// The row without costs.
    pub const NONE: &'static Self = &Self(Form::Few(None));

    /// Creates a row of these cells, NaN without a cost. A negative zero is stored as zero.
    pub fn of(cells: &[f64]) -> Self {
        let count = cells.iter().filter(|cost| !cost.is_nan()).count();
        if count.saturating_mul(FEW) > cells.len() {
            // −0 + 0 is 0, and every other number stays as it is.
            return Self(Form::Full(cells.iter().map(|cost| cost + 0.0).collect()));
        }
        let columns = (0..).zip(cells).filter(|(_, cost)| !cost.is_nan());
        Self::few(columns.map(|(column, cost)| (column, cost + 0.0)).collect())
    }

    /// Creates a row of `cols` columns with these costs: pairs of column and cost, ascending by
    /// column. NaN is no cost; columns from `cols` on are ignored.
    pub fn from_pairs(cols: usize, pairs: &[(u32, f64)]) -> Self {
        let is_cost = |(column, cost): &&(u32, f64)| !cost.is_nan() && (*column as usize) < cols;
        let stated = || {
            pairs
                .iter()
                .filter(is_cost)
                .map(|(column, cost)| (*column, cost + 0.0))
        };
        let count = stated().count();
        if count.saturating_mul(FEW) <= cols {
            return Self::few(stated().collect());
        }
        if count == cols && count == pairs.len() {
            return Self(Form::Full(
                pairs.iter().map(|(_, cost)| cost + 0.0).collect(),
            ));
        }
        let mut cells: Arc<[f64]> = std::iter::repeat_n(f64::NAN, cols).collect();
        let places = Arc::get_mut(&mut cells).expect("it is not shared yet");
        stated().for_each(|(column, cost)| places[column as usize] = cost);
        Self(Form::Full(cells))
    }

    fn few(pairs: Vec<(u32, f64)>) -> Self {
        Self(Form::Few((!pairs.is_empty()).then(|| pairs.into())))
    }

    /// Returns how many columns have a cost.
    pub fn count(&self) -> usize {
        match &self.0 {
            Form::Few(_) => self.pairs().len(),
            Form::Full(cells) => cells.iter().filter(|cost| !cost.is_nan()).count(),
        }
    }

    /// Returns whether no column has a cost.
    pub fn is_empty(&self) -> bool {
        // A full row has a cost in more than a quarter of its columns.
        matches!(self.0, Form::Few(None))
    }

    /// Returns the cost in a column, if there is one.
    #[inline]
    pub fn get(&self, column: usize) -> Option<f64> {
        match &self.0 {
            Form::Few(_) => {
                let pairs = self.pairs();
                let place = pairs.binary_search_by_key(&column, |(column, _)| *column as usize);
                place.ok().map(|place| pairs[place].1)
            }
            Form::Full(cells) => cells.get(column).copied().filter(|cost| !cost.is_nan()),
        }
    }

    /// Iterates over the columns that have a cost, ascending, with their costs.
    pub fn costs(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let cells: &[f64] = match &self.0 {
            Form::Few(_) => &[],
            Form::Full(cells) => cells,
        };
        let full = cells.iter().copied().enumerate();
        let full = full.filter(|(_, cost)| !cost.is_nan());
        let few = self.pairs().iter();
        full.chain(few.map(|&(column, cost)| (column as usize, cost)))
    }

    /// Returns all cells, if the row holds them as such.
    #[inline]
    pub fn full(&self) -> Option<&[f64]> {
        match &self.0 {
            Form::Full(cells) => Some(cells),
            Form::Few(_) => None,
        }
    }

    /// Returns all cells, NaN without a cost: the row's own if it holds them as such, otherwise
    /// written into `scratch`.
    #[inline]
    pub fn cells<'r>(&'r self, cols: usize, scratch: &'r mut Vec<f64>) -> &'r [f64] {
        match &self.0 {
            Form::Full(cells) => cells,
            Form::Few(_) => {
                self.copy_to(cols, scratch);
                scratch
            }
        }
    }

    /// Replaces the content of `out` by all cells, NaN without a cost.
    pub fn copy_to(&self, cols: usize, out: &mut Vec<f64>) {
        out.clear();
        match &self.0 {
            Form::Full(cells) => out.extend_from_slice(cells),
            Form::Few(_) => {
                out.resize(cols, f64::NAN);
                self.scatter(out);
            }
        }
    }

    /// Writes all cells, NaN without a cost, into `out`, which has one place for each.
    pub fn fill(&self, out: &mut [f64]) {
        match &self.0 {
            Form::Full(cells) => out.copy_from_slice(cells),
            Form::Few(_) => {
                out.fill(f64::NAN);
                self.scatter(out);
            }
        }
    }

    fn scatter(&self, out: &mut [f64]) {
        for &(column, cost) in self.pairs() {
            out[column as usize] = cost;
        }
    }

    /// Returns the cells of `N` columns from `first` on, NaN without a cost and beyond the last
    /// column: the row's own if it holds them as such, otherwise written into `scratch`.
    #[inline(always)]
    pub fn lanes<'r, const N: usize>(
        &'r self,
        first: usize,
        scratch: &'r mut [f64; N],
    ) -> &'r [f64; N] {
        match &self.0 {
            Form::Full(cells) => match cells.get(first..).and_then(<[f64]>::first_chunk) {
                Some(lanes) => lanes,
                None => self.few_lanes(first, scratch),
            },
            Form::Few(_) => self.few_lanes(first, scratch),
        }
    }

    #[inline(never)]
    fn few_lanes<'r, const N: usize>(
        &self,
        first: usize,
        scratch: &'r mut [f64; N],
    ) -> &'r [f64; N] {
        scratch.fill(f64::NAN);
        match &self.0 {
            Form::Full(cells) => {
                let rest = cells.get(first..).unwrap_or_default();
                scratch
                    .iter_mut()
                    .zip(rest)
                    .for_each(|(lane, cost)| *lane = *cost);
            }
            Form::Few(_) => {
                let pairs = self.pairs();
                let begin = pairs.partition_point(|(column, _)| (*column as usize) < first);
                for (column, cost) in &pairs[begin..] {
                    match scratch.get_mut(*column as usize - first) {
                        Some(lane) => *lane = *cost,
                        None => break,
                    }
                }
            }
        }
        scratch
    }

    /// Appends the cost in each of these columns to `out`, NaN without a cost.
    pub fn gather(&self, columns: &[u32], out: &mut Vec<f64>) {
        match &self.0 {
            Form::Full(cells) => {
                let cost = |&column: &u32| cells.get(column as usize).copied().unwrap_or(f64::NAN);
                out.extend(columns.iter().map(cost));
            }
            Form::Few(None) => out.resize(out.len() + columns.len(), f64::NAN),
            Form::Few(Some(_)) => {
                let cost = |&column: &u32| self.get(column as usize).unwrap_or(f64::NAN);
                out.extend(columns.iter().map(cost));
            }
        }
    }

    /// Returns the row over `cols` other columns: the cost of column `c` moves to column
    /// `places[c]`, and is dropped for `None`.
    ///
    /// # Panics
    ///
    /// `places` is shorter than the row.
    pub fn moved(&self, places: &[Option<u32>], cols: usize) -> Self {
        let moved = self.costs();
        let moved = moved.filter_map(|(column, cost)| Some((places[column]?, cost)));
        let mut pairs: Vec<(u32, f64)> = moved.collect();
        pairs.sort_unstable_by_key(|(column, _)| *column);
        Self::from_pairs(cols, &pairs)
    }

    /// Returns whether the row has the right form for a matrix of this many columns, which are no
    /// fewer than it was made for.
    pub fn fits(&self, cols: usize) -> bool {
        match &self.0 {
            Form::Few(_) => true,
            Form::Full(cells) => cells.len() == cols,
        }
    }

    /// Returns whether both have the same costs in memory, so that they are known to be equal.
    pub fn shares(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Few(Some(a)), Form::Few(Some(b))) => Arc::ptr_eq(a, b),
            (Form::Full(a), Form::Full(b)) => Arc::ptr_eq(a, b),
            (Form::Few(None), Form::Few(None)) => true,
            _ => false,
        }
    }

    /// Returns the bytes held on the heap, shared ones included.
    pub fn heap_bytes(&self) -> usize {
        /// The two counts of an [`Arc`].
        const COUNTS: usize = 2 * size_of::<usize>();
        match &self.0 {
            Form::Few(None) => 0,
            Form::Few(Some(pairs)) => COUNTS + size_of_val::<[_]>(pairs),
            Form::Full(cells) => COUNTS + size_of_val::<[_]>(cells),
        }
    }

    /// Panics if the row holds all its columns, and they are not this many.
    pub(super) fn check_width(&self, cols: usize) {
        if let Form::Full(cells) = &self.0 {
            let width = cells.len();
            assert_eq!(
                width, cols,
                "a row of {width} columns in a matrix of {cols}"
            );
        }
    }

    #[inline]
    fn pairs(&self) -> &[(u32, f64)] {
        match &self.0 {
            Form::Few(Some(pairs)) => pairs,
            _ => &[],
        }
    }
}

/// Two rows of one width are equal if they have equal costs in the same columns.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.shares(other)
            || match (&self.0, &other.0) {
                (Form::Few(_), Form::Few(_)) => self.pairs() == other.pairs(),
                (Form::Full(a), Form::Full(b)) => {
                    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
                    a.len() == b.len() && a.iter().zip(&b[..]).all(same)
                }
                _ => false,
            }
    }
}

impl Eq for Row {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: &[f64], b: &[f64]) -> bool {
        let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        a.len() == b.len() && a.iter().zip(b).all(same)
    }

    fn cells() -> impl Strategy<Value = Vec<f64>> {
        let density = prop_oneof![Just(0.01), Just(0.1), Just(0.3), Just(0.99)];
        (density, 0..70_usize).prop_flat_map(|(density, width)| {
            let cost = prop_oneof![
                1 => Just(-0.0),
                6 => (0..9_u32).prop_map(f64::from),
            ];
            let cell = proptest::option::weighted(density, cost);
            proptest::collection::vec(cell.prop_map(|c| c.unwrap_or(f64::NAN)), width)
        })
    }

    proptest! {
        #[test]
        fn a_row_says_what_its_cells_say_in_whatever_form(cells in cells()) {
            let row = Row::of(&cells);
            let stated = || (0..).zip(&cells).filter(|(_, cost)| !cost.is_nan());
            let pairs: Vec<(u32, f64)> = stated().map(|(column, cost)| (column, *cost)).collect();
            prop_assert_eq!(row.count(), pairs.len());
            prop_assert_eq!(row.is_empty(), pairs.is_empty());
            prop_assert_eq!(&Row::from_pairs(cells.len(), &pairs), &row);
            let mut scratch = vec![7.0; 3];
            prop_assert!(same(row.cells(cells.len(), &mut scratch), &cells));
            let mut filled = vec![7.0; cells.len()];
            row.fill(&mut filled);
            prop_assert!(same(&filled, &cells));
            prop_assert!(filled.iter().all(|cost| cost.to_bits() != (-0.0_f64).to_bits()));
            for column in 0..cells.len() + 2 {
                let cost = cells.get(column).copied().filter(|cost| !cost.is_nan());
                prop_assert_eq!(row.get(column), cost);
                let mut lanes = [7.0; 8];
                let lanes = *row.lanes(column, &mut lanes);
                let padded: Vec<f64> = cells.iter().copied().skip(column)
                    .chain([f64::NAN; 8]).take(8).collect();
                prop_assert!(same(&lanes, &padded));
            }
            let positive = |(_, cost): (usize, f64)| cost.is_sign_positive();
            prop_assert!(Row::from_pairs(cells.len(), &pairs).costs().all(positive));
            // So sparse that only the pairs are kept, which fit any width.
            let wide = Row::from_pairs(4 * cells.len() + 4, &pairs);
            prop_assert!(wide.costs().all(positive) && wide.fits(0));
            let is_full = row.full().is_some();
            prop_assert!(row.fits(cells.len()) && row.fits(cells.len() + 1) != is_full);
            let columns: Vec<u32> = (0..cells.len() as u32).rev().chain([u32::MAX]).collect();
            let mut gathered = Vec::new();
            row.gather(&columns, &mut gathered);
            let mut backwards: Vec<f64> = cells.iter().copied().rev().collect();
            backwards.push(f64::NAN);
            prop_assert!(same(&gathered, &backwards));
            // Reversed, and back again.
            let width = cells.len();
            let places: Vec<Option<u32>> = (0..width as u32).rev().map(Some).collect();
            let moved = row.moved(&places, width);
            prop_assert_eq!(&moved.moved(&places, width), &row);
            prop_assert!(width == 0 || moved.get(width - 1) == row.get(0));
        }

        #[test]
        fn a_row_takes_at_most_32_bytes_a_cost(cells in cells()) {
            let row = Row::of(&cells);
            let most = if row.is_empty() { 0 } else { 16 + row.count() * 32 };
            prop_assert!(row.heap_bytes() <= most);
            prop_assert!(row.heap_bytes() <= 16 + cells.len() * 8);
        }
    }
}
