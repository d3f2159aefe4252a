//! The cost matrix: what it costs to go from each source to each destination.

use super::row::Row;

/// Costs from `rows` sources to `cols` destinations, row by row.
///
/// A cell is a cost or, as NaN, no cost. A matrix takes memory in proportion to its costs, not to
/// its size: see [`Row`]. Rows are shared between the clones of a matrix, and between matrices over
/// the same destinations.
///
/// Reading outside the matrix finds no cost; writing outside it panics, as with a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    cols: usize,
    rows: Box<[Row]>,
}

impl Matrix {
    /// Creates a matrix without costs, which takes `rows` × 24 bytes. The caller bounds the rows.
    pub fn new(rows: usize, cols: usize) -> Matrix {
        Matrix {
            cols,
            rows: vec![Row::default(); rows].into(),
        }
    }

    /// Creates a matrix of these rows, which have `cols` columns each.
    ///
    /// # Panics
    ///
    /// A row holds all its columns, and they are not `cols`.
    pub fn from_rows(cols: usize, rows: Vec<Row>) -> Matrix {
        for row in &rows {
            row.check_width(cols);
        }
        Matrix {
            cols,
            rows: rows.into(),
        }
    }

    /// Creates a matrix of these cells, row by row; `None` unless there are `rows × cols`.
    pub fn from_cells(rows: usize, cols: usize, cells: Vec<f64>) -> Option<Matrix> {
        let fits = rows.checked_mul(cols) == Some(cells.len());
        fits.then(|| Matrix {
            cols,
            rows: match cols {
                0 => vec![Row::default(); rows].into(),
                _ => cells.chunks(cols).map(Row::of).collect(),
            },
        })
    }

    /// Returns the number of sources.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Returns the number of destinations.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns how many cells have a cost.
    pub fn count(&self) -> usize {
        self.rows.iter().map(Row::count).sum()
    }

    /// Returns the bytes held on the heap, shared ones included.
    pub fn heap_bytes(&self) -> usize {
        let rows = self.rows.iter().map(Row::heap_bytes).sum::<usize>();
        self.rows.len() * size_of::<Row>() + rows
    }

    /// Returns the bytes held on the heap in addition to those of `other`, which may share rows.
    pub fn bytes_beside(&self, other: &Matrix) -> usize {
        let pairs = self.rows.iter().zip(&other.rows);
        let shared = pairs.filter(|(row, others)| row.shares(others));
        let shared: usize = shared.map(|(row, _)| row.heap_bytes()).sum();
        self.heap_bytes() - shared
    }

    /// Returns the cost from `row` to `col`, if there is one.
    pub fn get(&self, row: usize, col: usize) -> Option<f64> {
        self.rows.get(row)?.get(col)
    }

    /// Sets the cost from `row` to `col`, a finite number; NaN removes the cost. A negative zero
    /// is stored as zero. Takes time in proportion to the columns: see [`Matrix::edit_row`].
    ///
    /// # Panics
    ///
    /// The matrix has no such cell.
    pub fn set(&mut self, row: usize, col: usize, cost: f64) {
        self.edit_row(row, |cells| cells[col] = cost);
    }

    /// Changes the costs from `row`: `edit` receives a cell for each column, NaN without a cost.
    ///
    /// # Panics
    ///
    /// The matrix has no such row.
    pub fn edit_row(&mut self, row: usize, edit: impl FnOnce(&mut [f64])) {
        let mut cells = Vec::new();
        self.row(row).copy_to(self.cols, &mut cells);
        edit(&mut cells);
        self.set_row(row, Row::of(&cells));
    }

    /// Replaces a row by one over the matrix's columns.
    ///
    /// # Panics
    ///
    /// The matrix has no such row, or as [`Matrix::from_rows`] does.
    pub fn set_row(&mut self, row: usize, costs: Row) {
        costs.check_width(self.cols);
        self.rows[row] = costs;
    }

    /// Returns the costs from `row`; a row without costs if the matrix has no such row.
    #[inline]
    pub fn row(&self, row: usize) -> &Row {
        self.rows.get(row).unwrap_or(Row::NONE)
    }

    /// Returns a cell for each column of `row`, NaN without a cost: the matrix's own cells if it
    /// holds all of the row, otherwise written into `scratch`.
    #[inline]
    pub fn cells<'m>(&'m self, row: usize, scratch: &'m mut Vec<f64>) -> &'m [f64] {
        self.row(row).cells(self.cols, scratch)
    }

    /// Replaces the content of `out` by the costs from each of `srcs` to each of `dsts`, source by
    /// source. A cell is NaN where there is no cost and where an index lies outside the matrix.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>) {
        out.clear();
        out.reserve(srcs.len() * dsts.len());
        for &src in srcs {
            self.row(src as usize).gather(dsts, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        let cells = rows.concat();
        Matrix::from_cells(rows.len(), rows[0].len(), cells).expect("a rectangle")
    }

    const NO: f64 = f64::NAN;

    #[test]
    fn a_new_matrix_has_no_cost() {
        let matrix = Matrix::new(2, 3);
        assert_eq!((matrix.rows(), matrix.cols()), (2, 3));
        assert_eq!(matrix.cells(1, &mut Vec::new()).len(), 3);
        assert!((0..2).all(|row| (0..3).all(|col| matrix.get(row, col).is_none())));
    }

    #[test]
    fn a_cost_is_where_it_was_set_and_nowhere_else() {
        let mut costs = Matrix::new(2, 3);
        costs.set(1, 2, 7.5);
        assert_eq!(costs, matrix(&[&[NO, NO, NO], &[NO, NO, 7.5]]));
        assert_eq!(costs.get(1, 2), Some(7.5));
        assert_eq!(costs.count(), 1);
        costs.set(1, 2, f64::NAN);
        assert_eq!(costs, Matrix::new(2, 3));
    }

    #[test]
    fn reading_outside_finds_no_cost() {
        let matrix = matrix(&[&[1.0, 2.0], &[3.0, 4.0]]);
        assert_eq!(matrix.get(0, 2), None);
        assert_eq!(matrix.get(2, 0), None);
        assert_eq!(matrix.get(usize::MAX, usize::MAX), None);
        assert_eq!(matrix.row(2), &Row::default());
    }

    #[test]
    #[should_panic(expected = "the len is 2 but the index is 2")]
    fn writing_outside_panics() {
        Matrix::new(2, 2).set(2, 0, 1.0);
    }

    #[test]
    #[should_panic(expected = "a row of 2 columns in a matrix of 3")]
    fn a_row_over_other_destinations_is_not_taken() {
        Matrix::from_rows(3, vec![Row::of(&[1.0, 2.0])]);
    }

    #[test]
    fn a_matrix_may_have_no_rows_or_no_columns() {
        for (rows, cols) in [(0, 0), (0, 4), (4, 0), (0, usize::MAX)] {
            let matrix = Matrix::new(rows, cols);
            assert_eq!((matrix.rows(), matrix.cols()), (rows, cols));
            assert_eq!(matrix.get(0, 0), None);
            let cells = Vec::new();
            let of_cells = Matrix::from_cells(rows, cols, cells).expect("no cells");
            assert_eq!(of_cells, matrix);
        }
    }

    #[test]
    fn negative_zero_is_stored_as_zero() {
        let mut matrix = Matrix::new(1, 1);
        matrix.set(0, 0, -0.0);
        assert!(matrix.get(0, 0).is_some_and(f64::is_sign_positive));
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
    fn a_matrix_takes_memory_by_its_costs() {
        const SIZE: usize = 5_000;
        let headers = SIZE * size_of::<Row>();
        let mut matrix = Matrix::new(SIZE, SIZE);
        assert_eq!(matrix.heap_bytes(), headers);
        for row in 0..SIZE {
            matrix.set(row, SIZE - 1 - row, 1.0);
        }
        assert!(matrix.heap_bytes() <= headers + SIZE * 40);
        let full = Matrix::from_cells(30, 40, vec![1.0; 30 * 40]).expect("a rectangle");
        let most = 30 * (40 * 8 + 16 + size_of::<Row>());
        assert!(full.heap_bytes() <= most, "{}", full.heap_bytes());
    }

    #[test]
    fn a_clone_shares_the_rows_that_stay() {
        let old = matrix(&[&[1.0, 2.0], &[3.0, 4.0]]);
        let mut new = old.clone();
        new.set(0, 1, 9.0);
        assert!(old.row(1).shares(new.row(1)));
        assert!(!old.row(0).shares(new.row(0)));
        let beside = new.bytes_beside(&old);
        assert!(beside < new.heap_bytes() && beside > new.row(0).heap_bytes());
        assert_eq!(old.get(0, 1), Some(2.0));
    }
}
