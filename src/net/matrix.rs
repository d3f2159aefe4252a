//! The cost matrix: what it costs to go from each source to each destination.

/// Costs from `rows` sources to `cols` destinations, row by row in one allocation.
///
/// A cell is a cost or, as NaN, no cost at all. Reading outside the matrix finds no cost, since an
/// index without a cell has none; writing outside it is a mistake of the program and panics, as
/// writing outside a slice does.
#[derive(Debug, Clone)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    cells: Vec<f64>,
}

/// One cell that two matrices hold differently; `None` is no cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The source.
    pub row: usize,
    /// The destination.
    pub col: usize,
    /// The cost before.
    pub old: Option<f64>,
    /// The cost now.
    pub new: Option<f64>,
}

impl Matrix {
    /// A matrix without any cost, of `rows` × `cols` × 8 bytes. The caller bounds the size.
    ///
    /// # Panics
    ///
    /// When no allocation can be that large (more than `isize::MAX` bytes).
    pub fn new(rows: usize, cols: usize) -> Matrix {
        Matrix {
            rows,
            cols,
            // A product that overflows must reach the allocator as too much, not wrap to little.
            cells: vec![f64::NAN; rows.saturating_mul(cols)],
        }
    }

    /// A matrix of these cells, row by row; `None` unless there are `rows × cols`.
    pub fn from_cells(rows: usize, cols: usize, mut cells: Vec<f64>) -> Option<Matrix> {
        cells.iter_mut().for_each(|cost| *cost += 0.0); // −0 is 0
        (rows.checked_mul(cols) == Some(cells.len())).then_some(Matrix { rows, cols, cells })
    }

    /// The number of sources.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of destinations.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<f64>()
    }

    /// The cost from `row` to `col`, if there is one.
    pub fn get(&self, row: usize, col: usize) -> Option<f64> {
        cost(self.row(row), col)
    }

    /// Sets the cost from `row` to `col`, a finite number; NaN takes the cost away. A negative
    /// zero is stored as zero.
    ///
    /// # Panics
    ///
    /// When the matrix has no such cell.
    pub fn set(&mut self, row: usize, col: usize, cost: f64) {
        // −0 + 0 is 0, and every other number stays as it is.
        self.row_mut(row)[col] = cost + 0.0;
    }

    /// The costs from `row`, NaN where there is none; empty when the matrix has no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        if row < self.rows {
            &self.cells[row * self.cols..][..self.cols]
        } else {
            &[]
        }
    }

    /// The costs from `row`, to be filled with finite numbers, and NaN for no cost.
    ///
    /// # Panics
    ///
    /// When the matrix has no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        assert!(row < self.rows, "row {row} of a matrix of {}", self.rows);
        &mut self.cells[row * self.cols..][..self.cols]
    }

    /// Replaces the content of `out` by the costs from each of `srcs` to each of `dsts`: for the
    /// first source to every destination, then for the second. A cost is NaN where there is none
    /// and where an index lies outside the matrix.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>) {
        out.clear();
        out.reserve(srcs.len() * dsts.len());
        for &src in srcs {
            let row = self.row(src as usize);
            out.extend(
                dsts.iter()
                    .map(|&dst| row.get(dst as usize).copied().unwrap_or(f64::NAN)),
            );
        }
    }

    /// The cells that differ from `old` to `new`, row by row. Where only one of the two has a cell,
    /// the other one has no cost there.
    pub fn changes<'a>(old: &'a Matrix, new: &'a Matrix) -> impl Iterator<Item = Change> + 'a {
        (0..old.rows.max(new.rows)).flat_map(move |row| {
            let (before, after) = (old.row(row), new.row(row));
            (0..before.len().max(after.len())).filter_map(move |col| {
                let (old, new) = (cost(before, col), cost(after, col));
                (old != new).then_some(Change { row, col, old, new })
            })
        })
    }
}

/// Two matrices are equal when they have the same shape, the same costs, and none in the same cells.
impl PartialEq for Matrix {
    fn eq(&self, other: &Matrix) -> bool {
        (self.rows, self.cols) == (other.rows, other.cols)
            && self
                .cells
                .iter()
                .zip(&other.cells)
                .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
    }
}

impl Eq for Matrix {}

fn cost(row: &[f64], col: usize) -> Option<f64> {
    row.get(col).copied().filter(|cost| !cost.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        let mut matrix = Matrix::new(rows.len(), rows[0].len());
        for (at, row) in rows.iter().enumerate() {
            matrix.row_mut(at).copy_from_slice(row);
        }
        matrix
    }

    const NO: f64 = f64::NAN;

    #[test]
    fn a_new_matrix_has_no_cost() {
        let matrix = Matrix::new(2, 3);
        assert_eq!((matrix.rows(), matrix.cols()), (2, 3));
        assert_eq!(matrix.row(1).len(), 3);
        assert!((0..2).all(|row| (0..3).all(|col| matrix.get(row, col).is_none())));
    }

    #[test]
    fn a_cost_is_where_it_was_set_and_nowhere_else() {
        let mut costs = Matrix::new(2, 3);
        costs.set(1, 2, 7.5);
        assert_eq!(costs, matrix(&[&[NO, NO, NO], &[NO, NO, 7.5]]));
        assert_eq!(costs.get(1, 2), Some(7.5));
        costs.set(1, 2, f64::NAN);
        assert_eq!(costs, Matrix::new(2, 3));
    }

    #[test]
    fn reading_outside_finds_no_cost() {
        let matrix = matrix(&[&[1.0, 2.0], &[3.0, 4.0]]);
        assert_eq!(matrix.get(0, 2), None);
        assert_eq!(matrix.get(2, 0), None);
        assert_eq!(matrix.get(usize::MAX, usize::MAX), None);
        assert!(matrix.row(2).is_empty());
    }

    #[test]
    #[should_panic(expected = "row 2 of a matrix of 2")]
    fn writing_outside_panics() {
        Matrix::new(2, 2).set(2, 0, 1.0);
    }

    #[test]
    fn a_matrix_may_have_no_rows_or_no_columns() {
        for (rows, cols) in [(0, 0), (0, 4), (4, 0), (0, usize::MAX), (usize::MAX, 0)] {
            let matrix = Matrix::new(rows, cols);
            assert_eq!((matrix.rows(), matrix.cols()), (rows, cols));
            assert_eq!(matrix.get(0, 0), None);
            assert_eq!(matrix.heap_bytes(), 0);
        }
    }

    #[test]
    fn negative_zero_is_stored_as_zero() {
        let mut matrix = Matrix::new(1, 1);
        matrix.set(0, 0, -0.0);
        assert!(matrix.row(0)[0].is_sign_positive());
    }

    #[test]
    fn gathering_takes_sources_by_destinations_in_the_order_asked() {
        let matrix = matrix(&[&[1.0, 2.0, NO], &[4.0, 5.0, 6.0]]);
        let mut out = vec![99.0; 3];
        matrix.gather(&[1, 0, 1], &[2, 0], &mut out);
        assert_eq!(out[..2], [6.0, 4.0]);
        assert!(out[2].is_nan());
        assert_eq!(out[3..], [1.0, 6.0, 4.0]);
    }

    #[test]
    fn gathering_outside_finds_no_cost() {
        let matrix = matrix(&[&[1.0, 2.0], &[3.0, 4.0]]);
        let mut out = Vec::new();
        matrix.gather(&[0, 2, u32::MAX], &[0, 2, u32::MAX], &mut out);
        assert_eq!(out[0], 1.0);
        assert_eq!(out.len(), 9);
        assert!(out[1..].iter().all(|cost| cost.is_nan()));
    }

    #[test]
    fn equality_is_of_shape_costs_and_their_absence() {
        let some = matrix(&[&[1.0, NO], &[NO, 0.0]]);
        assert_eq!(some, some.clone());
        assert_eq!(some, matrix(&[&[1.0, -f64::NAN], &[NO, -0.0]]));
        assert_ne!(some, matrix(&[&[1.0, 2.0], &[NO, 0.0]]));
        assert_ne!(some, matrix(&[&[NO, NO], &[NO, 0.0]]));
        assert_ne!(some, matrix(&[&[1.0, NO, NO, 0.0]]));
        assert_ne!(Matrix::new(0, 1), Matrix::new(1, 0));
    }

    #[test]
    fn changes_are_the_cells_that_differ_row_by_row() {
        let old = matrix(&[&[1.0, NO, 3.0], &[NO, 5.0, -0.0]]);
        let new = matrix(&[&[1.0, 2.0, 3.5], &[NO, NO, 0.0]]);
        let changes: Vec<_> = Matrix::changes(&old, &new).collect();
        let change = |row, col, old, new| Change { row, col, old, new };
        assert_eq!(
            changes,
            [
                change(0, 1, None, Some(2.0)),
                change(0, 2, Some(3.0), Some(3.5)),
                change(1, 1, Some(5.0), None),
            ]
        );
        assert_eq!(Matrix::changes(&old, &old).next(), None);
    }

    #[test]
    fn a_cell_of_only_one_matrix_changes_from_or_to_no_cost() {
        let small = matrix(&[&[1.0]]);
        let large = matrix(&[&[1.0, 2.0], &[NO, 4.0]]);
        let change = |row, col, old, new| Change { row, col, old, new };
        assert!(
            Matrix::changes(&small, &large)
                .eq([change(0, 1, None, Some(2.0)), change(1, 1, None, Some(4.0)),])
        );
        assert!(
            Matrix::changes(&large, &small)
                .eq([change(0, 1, Some(2.0), None), change(1, 1, Some(4.0), None),])
        );
    }

    #[test]
    fn a_cell_takes_eight_bytes() {
        assert_eq!(Matrix::new(30, 40).heap_bytes(), 30 * 40 * 8);
    }
}
