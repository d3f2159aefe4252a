//! The costs between the PIDs of a domain and its borders.

use crate::net::Row;

/// The costs between the PIDs of a domain and its borders, both ways, as measures of one metric;
/// NaN without a cost. Takes memory in proportion to the costs.
#[derive(Debug)]
pub struct BorderCosts {
    /// For each border, the measures from each PID to it.
    out: Box<[Row]>,
    /// For each border, the measures from it to each PID.
    into: Box<[Row]>,
}

/// How many cells are computed at a time: as many as fit into registers.
pub(super) const LANES: usize = 8;

impl BorderCosts {
    /// Creates the costs from one row for each border: `out` has the measures from each PID to it,
    /// `into` those from it to each PID.
    pub fn new(out: Vec<Row>, into: Vec<Row>) -> Self {
        Self {
            out: out.into(),
            into: into.into(),
        }
    }

    /// Returns how many columns the rows need for this many PIDs: a multiple of the cells computed
    /// at a time.
    pub fn width(pids: usize) -> usize {
        pids.next_multiple_of(LANES)
    }

    /// Returns the bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let rows = self.out.iter().chain(&self.into);
        rows.map(|row| row.heap_bytes() + size_of::<Row>()).sum()
    }

    /// Iterates over the borders that a PID has costs to, by place, with the measures.
    pub(super) fn outward(&self, pid: usize) -> impl Iterator<Item = (usize, f64)> {
        let all = self.out.iter().enumerate();
        all.filter_map(move |(border, row)| Some((border, row.get(pid)?)))
    }

    /// Returns the measure from a PID to a border.
    pub(super) fn outward_to(&self, border: usize, pid: usize) -> f64 {
        self.out[border].get(pid).unwrap_or(f64::NAN)
    }

    /// Returns the measure from a border to a PID.
    pub(super) fn inward(&self, border: usize, pid: usize) -> f64 {
        self.into[border].get(pid).unwrap_or(f64::NAN)
    }

    /// Returns the measures from a border to [`LANES`] PIDs.
    #[inline(always)]
    pub(super) fn lanes<'r>(
        &'r self,
        border: usize,
        first: usize,
        scratch: &'r mut [f64; LANES],
    ) -> &'r [f64; LANES] {
        self.into[border].lanes(first, scratch)
    }
}
