//! Cost maps, RFC 7285 §11.2.3: read straight into a matrix and written
//! straight from one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use serde::de::MapAccess;

use super::canonical::{number_text, write_cost};
use super::json::{FaultKind, MapOf, OrNull, Read, Walk, members, value};
use super::network::{pid_name, write_member_name};
use crate::ident::{PidName, ValueCheck};
use crate::net::{Matrix, PidIndex};

/// The name of the data member.
pub const MEMBER: &str = "cost-map";

/// Costs as one party states them: a matrix with the names of its rows
/// (sources) and columns (destinations), both in canonical order.
#[derive(Debug, Clone, PartialEq)]
pub struct CostTable {
    /// The sources.
    pub srcs: Arc<PidIndex>,
    /// The destinations.
    pub dsts: Arc<PidIndex>,
    /// The costs; NaN where none is stated.
    pub cells: Arc<Matrix>,
}

/// Changes to a cost table (RFC 7396): a source with `None` loses its row, a
/// pair with `None` its cost.
pub type CostPatch = BTreeMap<PidName, Option<BTreeMap<PidName, Option<f64>>>>;

impl CostTable {
    /// A table without costs.
    pub fn empty() -> Self {
        Self {
            srcs: Arc::default(),
            dsts: Arc::default(),
            cells: Arc::new(Matrix::new(0, 0)),
        }
    }

    /// The cost of a pair.
    pub fn get(&self, src: &str, dst: &str) -> Option<f64> {
        let (src, dst) = (self.srcs.get(src)?, self.dsts.get(dst)?);
        self.cells.get(src as usize, dst as usize)
    }

    /// Every source with its row of costs, parallel to `dsts`.
    pub fn rows(&self) -> impl Iterator<Item = (&PidName, &[f64])> + '_ {
        let rows = (0..self.cells.rows()).map(|row| self.cells.row(row));
        self.srcs.names().iter().zip(rows)
    }

    /// How many pairs have a cost.
    pub fn len(&self) -> usize {
        let costs = |row: &[f64]| row.iter().filter(|cost| !cost.is_nan()).count();
        self.rows().map(|(_, row)| costs(row)).sum()
    }

    /// Whether no pair has a cost.
    pub fn is_empty(&self) -> bool {
        self.rows()
            .all(|(_, row)| row.iter().all(|cost| cost.is_nan()))
    }

    /// The table with the patch applied.
    pub fn patched(&self, patch: &CostPatch) -> Self {
        let mut rows: BTreeMap<&PidName, BTreeMap<&PidName, f64>> = BTreeMap::new();
        let mut grown = false;
        for (src, row) in patch {
            grown |= self.srcs.get(src.as_str()).is_none();
            let dsts = row.iter().flat_map(BTreeMap::keys);
            grown |= dsts
                .into_iter()
                .any(|dst| self.dsts.get(dst.as_str()).is_none());
        }
        if !grown && let Some(patched) = self.patched_in_place(patch) {
            return patched;
        }
        for (src, row) in self.rows() {
            let stated = self.dsts.names().iter().zip(row.iter().copied());
            rows.insert(src, stated.filter(|(_, cost)| !cost.is_nan()).collect());
        }
        for (src, change) in patch {
            let Some(change) = change else {
                rows.remove(src);
                continue;
            };
            let row = rows.entry(src).or_default();
            for (dst, cost) in change {
                match cost {
                    Some(cost) => row.insert(dst, *cost),
                    None => row.remove(dst),
                };
            }
        }
        Self::from_rows(&rows)
    }

    /// The table of these rows; rows and columns without costs are left out.
    pub fn from_rows(rows: &BTreeMap<&PidName, BTreeMap<&PidName, f64>>) -> Self {
        let stated = || rows.iter().filter(|(_, row)| !row.is_empty());
        let srcs = PidIndex::new(stated().map(|(src, _)| (*src).clone()).collect());
        let names = stated().flat_map(|(_, row)| row.keys().map(|dst| (*dst).clone()));
        let dsts = PidIndex::new(names.collect());
        let mut cells = Matrix::new(srcs.len(), dsts.len());
        for (index, (_, row)) in stated().enumerate() {
            for (dst, cost) in row {
                if let Some(column) = dsts.get(dst.as_str()) {
                    cells.set(index, column as usize, *cost);
                }
            }
        }
        Self::new(srcs, dsts, cells)
    }

    fn new(srcs: PidIndex, dsts: PidIndex, cells: Matrix) -> Self {
        let srcs = Arc::new(srcs);
        let same = *srcs == dsts;
        Self {
            dsts: if same { srcs.clone() } else { Arc::new(dsts) },
            srcs,
            cells: Arc::new(cells),
        }
    }

    /// The patched table when it keeps its rows and columns; `None` when a row
    /// or column would be left without any cost.
    fn patched_in_place(&self, patch: &CostPatch) -> Option<Self> {
        let mut cells = Matrix::clone(&self.cells);
        let mut removed = false;
        for (src, change) in patch {
            let row = cells.row_mut(self.srcs.get(src.as_str())? as usize);
            let change = change.as_ref()?;
            for (dst, cost) in change {
                removed |= cost.is_none();
                row[self.dsts.get(dst.as_str())? as usize] = cost.map_or(f64::NAN, |c| c + 0.0);
            }
        }
        let mut used = vec![false; cells.cols()];
        for row in (0..cells.rows()).take_while(|_| removed) {
            let row = cells.row(row);
            if row.iter().all(|cost| cost.is_nan()) {
                return None;
            }
            used.iter_mut()
                .zip(row)
                .for_each(|(used, cost)| *used |= !cost.is_nan());
        }
        (!removed || used.into_iter().all(|used| used)).then(|| Self {
            srcs: self.srcs.clone(),
            dsts: self.dsts.clone(),
            cells: Arc::new(cells),
        })
    }

    /// Writes `{"src": {"dst": cost, …}, …}` as canonical JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut grid = GridWriter::new(self.dsts.names().iter().map(PidName::as_str));
        for (src, row) in self.rows() {
            grid.row(out, src.as_str(), row);
        }
        grid.finish(out);
    }
}

/// Writes costs row by row: sources in the order given, destinations in the
/// order fixed at the start; pairs without a cost and rows without any are left
/// out.
#[derive(Debug)]
pub struct GridWriter {
    /// `"dst":` of every destination, one after the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
    begun: bool,
}

impl GridWriter {
    /// A writer for rows over these destinations. The names must have nothing
    /// that JSON escapes, which holds for PID names and addresses.
    pub fn new<'a>(dsts: impl Iterator<Item = &'a str>) -> Self {
        let (mut keys, mut ends) = (Vec::new(), Vec::new());
        for dst in dsts {
            write_member_name(&mut keys, dst);
            ends.push(keys.len());
        }
        Self {
            keys,
            ends,
            begun: false,
        }
    }

    /// Writes a row of single costs, NaN for none.
    pub fn row(&mut self, out: &mut Vec<u8>, src: &str, costs: &[f64]) {
        let present = |column: usize| !costs[column].is_nan();
        self.cells(out, src, costs.len(), present, |out, column| {
            write_cost(out, costs[column]);
        });
    }

    /// Writes a row of arrays of costs (RFC 8189 §4.1.3): each slice is one
    /// cost type's row, all of one length; an element without a cost is `null`,
    /// and a pair without any cost is left out.
    pub fn row_of_arrays(&mut self, out: &mut Vec<u8>, src: &str, types: &[&[f64]]) {
        let columns = types.iter().map(|row| row.len()).min().unwrap_or(0);
        let present = |column: usize| types.iter().any(|row| !row[column].is_nan());
        self.cells(out, src, columns, present, |out, column| {
            for (i, row) in types.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                write_cost(out, row[column]);
            }
            out.push(b']');
        });
    }

    /// Ends the object.
    pub fn finish(self, out: &mut Vec<u8>) {
        let end: &[u8] = if self.begun { b"}" } else { b"{}" };
        out.extend_from_slice(end);
    }

    fn cells(
        &mut self,
        out: &mut Vec<u8>,
        src: &str,
        columns: usize,
        present: impl Fn(usize) -> bool,
        write: impl Fn(&mut Vec<u8>, usize),
    ) {
        let mut separator = b'{';
        let mut start = 0;
        for (column, &end) in self.ends.iter().enumerate().take(columns) {
            let key = &self.keys[start..end];
            start = end;
            if !present(column) {
                continue;
            }
            if separator == b'{' {
                out.push(if self.begun { b',' } else { b'{' });
                self.begun = true;
                write_member_name(out, src);
            }
            out.push(separator);
            out.extend_from_slice(key);
            write(out, column);
            separator = b',';
        }
        if separator == b',' {
            out.push(b'}');
        }
    }
}

/// Reads the value of `cost-map` into a matrix.
///
/// Each row is expected to name its destinations in the order of the rows
/// before, which costs one comparison a cell; any other order costs a look-up.
pub struct ReadCosts {
    /// Which numbers are costs.
    pub check: ValueCheck,
    /// The longest PID name that is taken, at most 64.
    pub max_name: usize,
    /// How many cells the matrix may have, 8 bytes each.
    pub max_cells: usize,
}

impl<'de> Read<'de> for ReadCosts {
    type Output = CostTable;
    const WANTED: &'static str = "an object of source PIDs";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<CostTable>, A::Error> {
        let mut table = Building::default();
        members(walk, &mut map, |walk, key, map| {
            let src = pid_name(walk, key, self.max_name);
            let row = ReadRow {
                reader: &self,
                table: &mut table,
            };
            let row = value(walk, map, row)?;
            if let (Some(src), Some(row)) = (src, row)
                && table.rows.insert(src, row).is_some()
            {
                walk.duplicate();
            }
            Ok(())
        })?;
        let cells = table.rows.len().saturating_mul(table.columns.len());
        if table.full || cells > self.max_cells {
            walk.fault(
                FaultKind::Limit,
                format!(
                    "more than {} pairs of PIDs; the limit is max_cells",
                    self.max_cells
                ),
            );
            return Ok(None);
        }
        Ok(Some(table.finish()))
    }
}

/// A table whose columns are still in the order in which they were met.
#[derive(Default)]
struct Building {
    columns: Vec<PidName>,
    /// The names of the columns one after the other, and where each ends: read
    /// for each cell, they stay in the processor's nearest cache like this.
    text: String,
    ends: Vec<usize>,
    places: HashMap<PidName, usize>,
    /// The cells of the rows, one row after the other as they were met, and
    /// where each row's are. A row has no cells for columns met after it.
    cells: Vec<f64>,
    rows: BTreeMap<PidName, Range<usize>>,
    full: bool,
}

impl Building {
    /// The column of this destination, which is most often the one after the last.
    #[inline]
    fn column(
        &mut self,
        walk: &mut Walk<'_>,
        expected: usize,
        key: &str,
        max_name: usize,
    ) -> Option<usize> {
        if self.name(expected) == Some(key) {
            return Some(expected);
        }
        if let Some(&place) = self.places.get(key) {
            return Some(place);
        }
        let name = pid_name(walk, key, max_name)?;
        self.text.push_str(key);
        self.ends.push(self.text.len());
        self.columns.push(name.clone());
        self.places.insert(name, self.columns.len() - 1);
        Some(self.columns.len() - 1)
    }

    /// The name of a column.
    #[inline]
    fn name(&self, column: usize) -> Option<&str> {
        let start = match column.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(column)?)
    }

    /// Makes room for cells before `end`, unless there would be too many.
    #[inline]
    fn reach(&mut self, end: usize, max_cells: usize) {
        if end > max_cells {
            self.full = true;
        } else if end > self.cells.len() {
            self.cells.resize(end, f64::NAN);
        }
    }

    /// Sorts the columns, and leaves out rows and columns without costs.
    fn finish(mut self) -> CostTable {
        let mut used = vec![false; self.columns.len()];
        let cells = |range: &Range<usize>| self.cells.get(range.clone()).unwrap_or_default();
        let rows: Vec<_> = self
            .rows
            .into_iter()
            .filter(|(_, range)| cells(range).iter().any(|cost| !cost.is_nan()))
            .inspect(|(_, range)| {
                used.iter_mut()
                    .zip(cells(range))
                    .for_each(|(used, cost)| *used |= !cost.is_nan());
            })
            .collect();
        let names = self.columns.iter().zip(&used).filter(|(_, used)| **used);
        let dsts = PidIndex::new(names.map(|(name, _)| name.clone()).collect());
        let order: Vec<usize> = dsts
            .names()
            .iter()
            .filter_map(|name| self.places.get(name.as_str()).copied())
            .collect();
        let width = order.len();
        let in_order = order.iter().copied().eq(0..self.columns.len())
            && rows.len() * width == self.cells.len()
            && (0..)
                .zip(&rows)
                .all(|(row, (_, range))| range.start == row * width);
        if in_order {
            self.cells.shrink_to_fit();
        } else {
            let mut sorted = Vec::with_capacity(rows.len() * width);
            for (_, range) in &rows {
                let row = cells(range);
                let cost = |&place: &usize| row.get(place).copied().unwrap_or(f64::NAN);
                sorted.extend(order.iter().map(cost));
            }
            self.cells = sorted;
        }
        let srcs = PidIndex::new(rows.into_iter().map(|(src, _)| src).collect());
        match Matrix::from_cells(srcs.len(), dsts.len(), self.cells) {
            Some(cells) => CostTable::new(srcs, dsts, cells),
            None => CostTable::empty(),
        }
    }
}

struct ReadRow<'r> {
    reader: &'r ReadCosts,
    table: &'r mut Building,
}

impl<'de> Read<'de> for ReadRow<'_> {
    type Output = Range<usize>;
    const WANTED: &'static str = "an object of destination PIDs";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Range<usize>>, A::Error> {
        let Self { reader, table } = self;
        let start = table.cells.len();
        table.reach(start + table.columns.len(), reader.max_cells);
        let mut expected = 0;
        members(walk, &mut map, |walk, key, map| {
            let place = table.column(walk, expected, key, reader.max_name);
            let cost = value(walk, map, ReadCost(reader.check))?;
            let Some(place) = place else { return Ok(()) };
            expected = place + 1;
            table.reach(start + expected, reader.max_cells);
            let Some(cell) = table.cells.get_mut(start + place) else {
                return Ok(());
            };
            if !cell.is_nan() {
                walk.duplicate();
            }
            if let Some(cost) = cost {
                *cell = cost;
            }
            Ok(())
        })?;
        Ok(Some(start..table.cells.len()))
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

/// Apart and cold, so that reading a sound cost is little enough to be inlined.
#[cold]
fn refuse(walk: &mut Walk<'_>, number: f64, reason: &str) {
    walk.invalid(&number_text(number), reason);
}

/// Reads a merge patch of a cost table: like the table, with `null` for a
/// source or pair that is to go.
pub struct ReadCostPatch {
    /// Which numbers are costs.
    pub check: ValueCheck,
    /// The longest PID name that is taken, at most 64.
    pub max_name: usize,
}

impl<'de> Read<'de> for ReadCostPatch {
    type Output = CostPatch;
    const WANTED: &'static str = "an object of source PIDs";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<CostPatch>, A::Error> {
        let name = |walk: &mut Walk<'de>, key: &str| pid_name(walk, key, self.max_name);
        let cell = || OrNull(ReadCost(self.check));
        let row = || OrNull(MapOf::new(name, cell));
        MapOf::new(name, row).object(walk, map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::json::{Fault, Faults, read};
    use crate::ident::MetricName;
    use proptest::prelude::*;

    fn hopcount() -> ValueCheck {
        MetricName::new("hopcount").expect("valid").check()
    }

    fn table(text: &str) -> Result<CostTable, Faults> {
        let reader = ReadCosts {
            check: hopcount(),
            max_name: 10,
            max_cells: 100,
        };
        read(text.as_bytes(), reader)
    }

    fn canonical(table: &CostTable) -> String {
        let mut out = Vec::new();
        table.write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn patched(text: &str, patch: &str) -> String {
        let reader = ReadCostPatch {
            check: hopcount(),
            max_name: 10,
        };
        let patch = read(patch.as_bytes(), reader).expect("sound");
        canonical(&table(text).expect("sound").patched(&patch))
    }

    #[test]
    fn rows_and_columns_are_sorted_whatever_order_they_came_in() {
        let table = table(r#"{"b":{"c":3,"a":1},"a":{"b":2,"c":-0,"a":7},"z":{}}"#).expect("sound");
        assert_eq!(
            canonical(&table),
            r#"{"a":{"a":7,"b":2,"c":0},"b":{"a":1,"c":3}}"#
        );
        assert_eq!(
            (table.get("b", "c"), table.get("b", "b")),
            (Some(3.0), None)
        );
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn what_is_no_cost_is_reported_with_its_pair() {
        let faults = table(
            r#"{"a":{"b":-1,"c":"1","d":null,"e":2.5},"f":7,"g.":{"b":1},"h":{"b":1,"b":2},"a":{"b":1}}"#,
        )
        .expect_err("faults");
        let pointers: Vec<_> = faults.listed().iter().map(Fault::pointer).collect();
        assert_eq!(
            pointers,
            ["/a/b", "/a/c", "/a/d", "/a/e", "/f", "/g.", "/h/b", "/a"]
        );
    }

    #[test]
    fn a_table_that_would_grow_beyond_the_limit_is_refused() {
        let rows = |n: usize| {
            let row = |i: usize| format!(r#""p{i}":{{"q{i}":1}}"#);
            format!("{{{}}}", (0..n).map(row).collect::<Vec<_>>().join(","))
        };
        assert!(table(&rows(10)).is_ok());
        assert!(table(&rows(11)).is_err());
        assert!(table(&rows(10_000)).is_err());
    }

    #[test]
    fn a_patch_sets_adds_and_removes_pairs_and_rows() {
        let base = r#"{"a":{"a":0,"b":2},"b":{"a":1,"b":0}}"#;
        assert_eq!(
            patched(base, r#"{"a":{"b":5}}"#),
            r#"{"a":{"a":0,"b":5},"b":{"a":1,"b":0}}"#
        );
        assert_eq!(
            patched(base, r#"{"a":{"b":null},"b":null}"#),
            r#"{"a":{"a":0}}"#
        );
        assert_eq!(
            patched(base, r#"{"c":{"a":9},"a":null}"#),
            r#"{"b":{"a":1,"b":0},"c":{"a":9}}"#
        );
        assert_eq!(patched(base, r#"{"x":{"y":null}}"#), base);
        assert_eq!(patched(base, "{}"), base);
    }

    proptest! {
        #[test]
        fn a_patch_does_to_the_table_what_rfc_7396_does_to_the_document(
            base in document(false), patch in document(true),
        ) {
            let mut expected = base.clone();
            merge(&mut expected, &patch);
            if let Some(rows) = expected.as_object_mut() {
                rows.retain(|_, row| row.as_object().is_some_and(|row| !row.is_empty()));
            }
            prop_assert_eq!(
                patched(&base.to_string(), &patch.to_string()),
                crate::alto::canonical::value_text(&expected)
            );
        }
    }

    /// RFC 7396 §2, on trees.
    fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
        let Some(patch) = patch.as_object() else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = serde_json::json!({});
        }
        let Some(object) = target.as_object_mut() else {
            return;
        };
        for (key, value) in patch {
            if value.is_null() {
                object.remove(key);
            } else {
                merge(
                    object.entry(key.clone()).or_insert(serde_json::Value::Null),
                    value,
                );
            }
        }
    }

    fn document(nulls: bool) -> impl Strategy<Value = serde_json::Value> {
        let cost = prop_oneof![3 => (0..5u8).prop_map(Some), 1 => Just(None)];
        let row = prop::collection::btree_map("[a-d]", cost, 0..4);
        let row = prop_oneof![4 => row.prop_map(Some), 1 => Just(None)];
        prop::collection::btree_map("[a-d]", row, 0..4).prop_map(move |rows| {
            let mut document = serde_json::json!({});
            for (src, row) in rows {
                match row {
                    Some(row) => {
                        document[&src] = serde_json::json!({});
                        for (dst, cost) in row {
                            if nulls || cost.is_some() {
                                document[&src][&dst] = serde_json::json!(cost);
                            }
                        }
                    }
                    None if nulls => document[&src] = serde_json::Value::Null,
                    None => {}
                }
            }
            document
        })
    }

    #[test]
    fn arrays_of_costs_have_null_where_one_is_missing() {
        let mut out = Vec::new();
        let mut grid = GridWriter::new(["x", "y", "z"].into_iter());
        let (a, b) = ([1.0, f64::NAN, f64::NAN], [2.5, 3.0, f64::NAN]);
        grid.row_of_arrays(&mut out, "s", &[&a, &b]);
        grid.row_of_arrays(&mut out, "t", &[&[f64::NAN; 3], &[f64::NAN; 3]]);
        grid.finish(&mut out);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"s":{"x":[1,2.5],"y":[null,3]}}"#
        );
    }
}
