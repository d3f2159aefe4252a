//! Readers of cost maps and of merge patches to them.

use std::collections::{BTreeMap, HashMap};

use serde::de::MapAccess;

use super::{CostPatch, CostTable};
use crate::alto::canonical::number_text;
use crate::alto::json::{FaultKind, OrNull, Read, Walk, members, skip, value};
use crate::alto::network::pid_name;
use crate::ident::{PidName, ValueCheck};
use crate::net::{PidIndex, Row};

/// Reads the value of `cost-map` into a matrix.
///
/// Rows are expected to name their destinations in the same order as the rows before, which
/// costs one comparison per cell; any other order costs a look-up.
#[derive(Clone, Copy)]
pub struct ReadCosts {
    /// Which numbers are costs.
    pub check: ValueCheck,
    /// The most characters of a PID name, at most 64.
    pub max_name: usize,
    /// The most sources, and the most destinations.
    pub max_pids: usize,
    /// The most costs. One takes at most 32 bytes, or 8 in a map that has a cost for most pairs.
    pub max_cells: usize,
}

impl<'de> Read<'de> for ReadCosts {
    type Output = CostTable;
    const WANTED: &'static str = "an object of source PIDs";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<CostTable>, A::Error> {
        let mut columns = Columns::default();
        let read = |walk: &mut Walk<'de>, map: &mut A, columns: &mut Columns| {
            let cell = || ReadCost(self.check);
            let row = ReadRow::new(&self, columns, cell);
            let read = value(walk, map, row)?;
            Ok(read.map(|()| columns.row()))
        };
        let rows = self.rows(walk, map, &mut columns, read)?;
        Ok(rows.map(|rows| table(columns, rows)))
    }
}

/// Reads a merge patch to a cost table: like the table, with `null` for a source or pair to
/// remove. The limits are those of a table.
pub struct ReadCostPatch(pub ReadCosts);

impl<'de> Read<'de> for ReadCostPatch {
    type Output = CostPatch;
    const WANTED: &'static str = ReadCosts::WANTED;

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<CostPatch>, A::Error> {
        let mut columns = Columns::default();
        let read = |walk: &mut Walk<'de>, map: &mut A, columns: &mut Columns| {
            let cell = || ReadChange(self.0.check);
            let row = OrNull(ReadRow::new(&self.0, columns, cell));
            let read = value(walk, map, row)?;
            Ok(read.map(|row| row.map(|()| columns.sorted().into())))
        };
        let rows = self.0.rows(walk, map, &mut columns, read)?;
        Ok(rows.map(|rows| CostPatch {
            rows,
            dsts: columns.names,
        }))
    }
}

/// Makes the table of rows whose columns are still in the order in which they were met. A row
/// may be shorter than the number of columns, if some were met after it. Rows without costs are
/// left out; a column without costs only comes with a fault.
fn table(columns: Columns, rows: BTreeMap<PidName, Row>) -> CostTable {
    let width = columns.names.len();
    let sorted = columns.names.is_sorted();
    let dsts = PidIndex::new(columns.names);
    let mut places = vec![None; width];
    for (name, place) in &columns.places {
        places[*place as usize] = dsts.get(name.as_str());
    }
    let rows = rows.into_iter().filter(|(_, row)| !row.is_empty());
    let rows = rows.map(|(src, row)| {
        let row = if sorted && row.fits(width) {
            row
        } else {
            row.moved(&places, width)
        };
        (src, row)
    });
    CostTable::new(rows, dsts)
}

impl ReadCosts {
    /// Reads rows by calling `read` for each, up to the limits.
    fn rows<'de, A: MapAccess<'de>, R>(
        &self,
        walk: &mut Walk<'de>,
        mut map: A,
        columns: &mut Columns,
        mut read: impl FnMut(&mut Walk<'de>, &mut A, &mut Columns) -> Result<Option<R>, A::Error>,
    ) -> Result<Option<BTreeMap<PidName, R>>, A::Error> {
        let mut rows = BTreeMap::new();
        members(walk, &mut map, |walk, key, map| {
            if columns.over.is_some() {
                return skip(map);
            }
            let src = pid_name(walk, key, self.max_name);
            let row = read(walk, map, columns)?;
            if let (Some(src), Some(row)) = (src, row) {
                if rows.len() == self.max_pids {
                    columns.over = Some(Over::Pids);
                } else if rows.insert(src, row).is_some() {
                    walk.duplicate();
                }
            }
            Ok(())
        })?;
        let detail = match columns.over {
            None => return Ok(Some(rows)),
            Some(Over::Pids) => {
                let most = self.max_pids;
                format!("costs from or to more than {most} PIDs; the limit is max_pids")
            }
            Some(Over::Cells) => {
                format!("more than {} costs; the limit is max_cells", self.max_cells)
            }
        };
        walk.fault(FaultKind::Limit, detail);
        Ok(None)
    }
}

/// The limit that a map exceeds; the rest of the map is then skipped.
#[derive(Clone, Copy)]
enum Over {
    Pids,
    Cells,
}

/// The destinations in the order in which they were met, and the row being read.
#[derive(Default)]
struct Columns {
    names: Vec<PidName>,
    /// All names concatenated, and where each ends. They are read for each cell; in this form
    /// they stay in the processor's nearest cache.
    text: String,
    ends: Vec<usize>,
    places: HashMap<PidName, u32>,
    /// For each column, the row that had it last, counted from 1.
    met: Vec<u32>,
    /// How many rows were begun.
    begun: u32,
    /// The cells of the row being read, in the order in which they were met.
    cells: Vec<(u32, f64)>,
    /// How many cells all rows have.
    count: usize,
    over: Option<Over>,
}

impl Columns {
    /// Returns the column of a destination, which is usually the one after the last.
    #[inline]
    fn column(
        &mut self,
        walk: &mut Walk<'_>,
        expected: usize,
        key: &str,
        limits: &ReadCosts,
    ) -> Option<usize> {
        if self.name(expected) == Some(key) {
            return Some(expected);
        }
        if let Some(&place) = self.places.get(key) {
            return Some(place as usize);
        }
        let name = pid_name(walk, key, limits.max_name)?;
        let place = u32::try_from(self.names.len()).ok();
        let Some(place) = place.filter(|_| self.names.len() < limits.max_pids) else {
            self.over = Some(Over::Pids);
            return None;
        };
        self.text.push_str(key);
        self.ends.push(self.text.len());
        self.names.push(name.clone());
        self.met.push(0);
        self.places.insert(name, place);
        Some(place as usize)
    }

    /// Returns the name of a column.
    #[inline]
    fn name(&self, column: usize) -> Option<&str> {
        let start = match column.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(column)?)
    }

    fn begin_row(&mut self) {
        self.cells.clear();
        self.begun = self.begun.wrapping_add(1);
    }

    /// Adds a cell to the row being read, unless there are too many.
    #[inline]
    fn take(&mut self, column: usize, cost: f64, max_cells: usize) {
        if self.count == max_cells {
            self.over = Some(Over::Cells);
            return;
        }
        self.count += 1;
        self.cells.push((column as u32, cost));
    }

    /// Returns the cells of the row that was read, sorted by column.
    fn sorted(&mut self) -> &[(u32, f64)] {
        if !self.cells.is_sorted_by_key(|(column, _)| *column) {
            self.cells.sort_unstable_by_key(|(column, _)| *column);
        }
        &self.cells
    }

    /// Returns the row that was read.
    fn row(&mut self) -> Row {
        let width = self.names.len();
        Row::from_pairs(width, self.sorted())
    }
}

/// Reads the cells of a row into the columns.
struct ReadRow<'r, F> {
    limits: &'r ReadCosts,
    columns: &'r mut Columns,
    cell: F,
}

impl<'r, F> ReadRow<'r, F> {
    /// Makes a reader; `cell` makes the reader of each cell.
    fn new(limits: &'r ReadCosts, columns: &'r mut Columns, cell: F) -> Self {
        Self {
            limits,
            columns,
            cell,
        }
    }
}

impl<'de, F: Fn() -> R, R: Read<'de, Output = f64>> Read<'de> for ReadRow<'_, F> {
    type Output = ();
    const WANTED: &'static str = "an object of destination PIDs";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<()>, A::Error> {
        let Self {
            limits,
            columns,
            cell,
        } = self;
        columns.begin_row();
        let mut expected = 0;
        members(walk, &mut map, |walk, key, map| {
            if columns.over.is_some() {
                return skip(map);
            }
            let place = columns.column(walk, expected, key, limits);
            let cost = value(walk, map, cell())?;
            let Some(place) = place else { return Ok(()) };
            expected = place + 1;
            if std::mem::replace(&mut columns.met[place], columns.begun) == columns.begun {
                walk.duplicate();
            }
            if let Some(cost) = cost {
                columns.take(place, cost, limits.max_cells);
            }
            Ok(())
        })?;
        Ok(Some(()))
    }
}

/// Reads one cost.
struct ReadCost(ValueCheck);

impl<'de> Read<'de> for ReadCost {
    type Output = f64;
    const WANTED: &'static str = "a number (leave a pair without a cost out)";

    #[inline]
    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<f64> {
        match self.0.check(number) {
            Ok(()) => Some(number),
            Err(reason) => {
                refuse(walk, number, reason);
                None
            }
        }
    }
}

/// Reads one cost, or NaN for `null`.
struct ReadChange(ValueCheck);

impl<'de> Read<'de> for ReadChange {
    type Output = f64;
    const WANTED: &'static str = "a number, or null for a pair that is to go";

    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<f64> {
        ReadCost(self.0).number(walk, number)
    }

    fn null(self, _: &mut Walk<'de>) -> Option<f64> {
        Some(f64::NAN)
    }
}

/// A separate, cold function, so that reading a sound cost is small enough to be inlined.
#[cold]
fn refuse(walk: &mut Walk<'_>, number: f64, reason: &str) {
    walk.invalid(&number_text(number), reason);
}
