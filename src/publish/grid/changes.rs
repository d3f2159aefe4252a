//! The differences between two versions of a table of costs.

use crate::alto::canonical::write_cost;
use crate::alto::network::write_member_name;

use super::patch::{Change, PatchWriter};
use super::table::{Block, Row, Table};
use crate::publish::content::Content;

/// A table over one version of a view.
pub(in crate::publish) struct Grid<'v> {
    content: &'v Content,
    table: Table,
}

impl<'v> Grid<'v> {
    pub(in crate::publish) fn new(content: &'v Content, table: Table) -> Self {
        Self { content, table }
    }

    /// The difference from this grid to `new`, which has the same cost types. `patch` has what else
    /// differs.
    pub(in crate::publish) fn changes(
        mut self,
        mut new: Grid<'_>,
        mut patch: PatchWriter,
    ) -> Change {
        if !self.table.is_same(self.content, &new.table, new.content) {
            self.table.prepare_all(self.content);
            new.table.prepare_all(new.content);
            self.write_changes(&new, &mut patch);
        }
        patch.finish()
    }

    fn row<'r>(&'r self, row: usize, block: &'r mut Block) -> Row<'r> {
        self.table.row(self.content, row, block)
    }

    /// Writes the patch from this grid to another, unless it gets too long. Both are prepared.
    fn write_changes(&self, new: &Grid<'_>, patch: &mut PatchWriter) {
        let srcs = [
            self.table.srcs.names(self.content),
            new.table.srcs.names(new.content),
        ];
        let dsts = [
            self.table.dsts.names(self.content),
            new.table.dsts.names(new.content),
        ];
        let columns = (dsts[0] != dsts[1]).then(|| join(&dsts[0], &dsts[1]));
        let (mut before, mut after) = (Block::default(), Block::default());
        for pair in join(&srcs[0], &srcs[1]) {
            if patch.is_too_long() {
                return;
            }
            let old_row = pair.old.map(|row| self.row(row, &mut before));
            let new_row = pair.new.map(|row| new.row(row, &mut after));
            let src = pair.name;
            let old_row = old_row.filter(Row::has_costs);
            let new_row = new_row.filter(Row::has_costs);
            match (old_row, new_row) {
                (None, None) => {}
                (Some(_), None) => patch.remove_row(src),
                (None, Some(row)) => {
                    patch.add_row(src, |out| new.write_row(&row, &dsts[1], out));
                }
                (Some(a), Some(b)) => {
                    match &columns {
                        None => a.differing(&b, |column| {
                            new.write_change(&b, src, Some(column), dsts[1][column], patch);
                        }),
                        Some(columns) => {
                            for column in columns {
                                if !a.same(column.old, &b, column.new) {
                                    new.write_change(&b, src, column.new, column.name, patch);
                                }
                            }
                        }
                    }
                    patch.end_row();
                }
            }
        }
    }

    /// Writes the change of a cell. `row` is of this grid; `column` is none if the grid no longer has
    /// it.
    fn write_change(
        &self,
        row: &Row<'_>,
        src: &str,
        column: Option<usize>,
        dst: &str,
        patch: &mut PatchWriter,
    ) {
        match column.filter(|column| row.has_cost(*column)) {
            Some(column) => patch.set_cell(src, dst, |out| self.write_cell(row, column, out)),
            None => patch.remove_cell(src, dst),
        }
    }

    fn write_row(&self, row: &Row<'_>, dsts: &[&str], out: &mut Vec<u8>) {
        let mut separator = b'{';
        for (column, dst) in dsts.iter().enumerate() {
            if row.has_cost(column) {
                out.push(separator);
                write_member_name(out, dst);
                self.write_cell(row, column, out);
                separator = b',';
            }
        }
        out.push(b'}');
    }

    fn write_cell(&self, row: &Row<'_>, column: usize, out: &mut Vec<u8>) {
        if !self.table.multi {
            return write_cost(out, row.0[0][column]);
        }
        for (place, layer) in row.0.iter().enumerate() {
            out.push(if place == 0 { b'[' } else { b',' });
            write_cost(out, layer[column]);
        }
        out.push(b']');
    }
}

impl Row<'_> {
    /// Returns whether a column of this row has the same costs as one of another row; an absent
    /// column has no costs.
    fn same(&self, column: Option<usize>, other: &Row<'_>, theirs: Option<usize>) -> bool {
        let cost = |layer: &[f64], column: Option<usize>| column.map_or(f64::NAN, |c| layer[c]);
        let mut layers = self.0.iter().zip(&other.0);
        layers.all(|(a, b)| same(cost(a, column), cost(b, theirs)))
    }

    /// Calls `each` for the columns that differ from those of a row over the same columns.
    #[inline(always)]
    fn differing(&self, other: &Row<'_>, each: impl FnMut(usize)) {
        if let ([costs], [others]) = (&self.0[..], &other.0[..]) {
            differing(costs, others, each);
        } else {
            let columns = self.0.first().map_or(0, |layer| layer.len());
            (0..columns)
                .filter(|&column| !self.same(Some(column), other, Some(column)))
                .for_each(each);
        }
    }
}

/// Calls `each` for the places at which two slices of one length differ. Inlined, it takes a
/// quarter fewer instructions.
#[inline(always)]
fn differing(a: &[f64], b: &[f64], mut each: impl FnMut(usize)) {
    const LANES: usize = 8;
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (chunk, (a, b)) in a_lanes.iter().zip(b_lanes).enumerate() {
        // Most chunks have the same bits, which is tested for all lanes at a time.
        let bits = |lane: usize| a[lane].to_bits() ^ b[lane].to_bits();
        if (0..LANES).fold(0, |all, lane| all | bits(lane)) != 0 {
            (0..LANES)
                .filter(|&lane| !same(a[lane], b[lane]))
                .for_each(|lane| each(chunk * LANES + lane));
        }
    }
    (0..a_rest.len().min(b_rest.len()))
        .filter(|&lane| !same(a_rest[lane], b_rest[lane]))
        .for_each(|lane| each(a_lanes.len() * LANES + lane));
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// A name of one of two lists or of both, with its places there.
pub(in crate::publish) struct Joined<'a> {
    pub(in crate::publish) name: &'a str,
    pub(in crate::publish) old: Option<usize>,
    pub(in crate::publish) new: Option<usize>,
}

/// Merges the names of two sorted lists.
pub(in crate::publish) fn join<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Joined<'a>> {
    let mut joined = Vec::with_capacity(old.len().max(new.len()));
    let (mut o, mut n) = (0, 0);
    loop {
        let (name, in_old, in_new) = match (old.get(o), new.get(n)) {
            (None, None) => return joined,
            (Some(a), Some(b)) if a == b => (*a, true, true),
            (Some(a), Some(b)) if a < b => (*a, true, false),
            (Some(a), None) => (*a, true, false),
            (_, Some(b)) => (*b, false, true),
        };
        joined.push(Joined {
            name,
            old: in_old.then_some(o),
            new: in_new.then_some(n),
        });
        o += usize::from(in_old);
        n += usize::from(in_new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn cost() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(f64::NAN),
            Just(-f64::NAN),
            Just(0.0),
            Just(-0.0),
            Just(1.0)
        ]
    }

    proptest! {
        #[test]
        fn the_places_that_differ_are_found_in_rows_of_any_length(
            cells in vec((cost(), cost()), 0..40),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = cells.iter().copied().unzip();
            let mut found = Vec::new();
            differing(&a, &b, |place| found.push(place));
            let differs = |(a, b): (f64, f64)| a != b && !(a.is_nan() && b.is_nan());
            let expected: Vec<usize> = (0..cells.len()).filter(|at| differs(cells[*at])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
