//! What it takes to get from the PIDs of a domain to its borders and back.

use crate::net::Row;

/// What it takes to get from the PIDs of a domain to its borders and back, as
/// measures of one metric; a missing one is NaN. It takes memory by its measures.
#[derive(Debug)]
pub struct BorderCosts {
    /// Border by border, from each PID to it.
    out: Box<[Row]>,
    /// Border by border, from it to each PID.
    into: Box<[Row]>,
}

/// How many cells are computed together: what fits into registers.
pub(super) const LANES: usize = 8;

impl BorderCosts {
    /// The access over borders: by border, from each PID to it, and from it to
    /// each PID.
    pub fn new(out: Vec<Row>, into: Vec<Row>) -> Self {
        Self {
            out: out.into(),
            into: into.into(),
        }
    }

    /// How many columns the rows have that fit together as [`LANES`]: the PIDs,
    /// and what completes the last group of them.
    pub fn width(pids: usize) -> usize {
        pids.next_multiple_of(LANES)
    }

    /// The bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let rows = self.out.iter().chain(&self.into);
        rows.map(|row| row.heap_bytes() + size_of::<Row>()).sum()
    }

    /// From a PID to each border that it has access to.
    pub(super) fn outward(&self, pid: usize) -> impl Iterator<Item = (usize, f64)> {
        let all = self.out.iter().enumerate();
        all.filter_map(move |(border, row)| Some((border, row.get(pid)?)))
    }

    /// From a PID to a border.
    pub(super) fn outward_to(&self, border: usize, pid: usize) -> f64 {
        self.out[border].get(pid).unwrap_or(f64::NAN)
    }

    /// From a border to a PID.
    pub(super) fn inward(&self, border: usize, pid: usize) -> f64 {
        self.into[border].get(pid).unwrap_or(f64::NAN)
    }

    /// From a border to [`LANES`] PIDs.
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
