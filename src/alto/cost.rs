//! Cost maps (RFC 7285 §11.2.3), read straight into a matrix and written straight from one.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::canonical::write_cost;
use super::network::write_member_name;
use crate::ident::PidName;
use crate::net::{Matrix, PidIndex, Row};

pub use read::{ReadCostPatch, ReadCosts};

/// The name of the data member.
pub const MEMBER: &str = "cost-map";

/// Costs as one party states them: a matrix with the names of its rows (sources) and columns
/// (destinations), both in canonical order. Every row and every column has a cost.
#[derive(Debug, Clone, PartialEq)]
pub struct CostTable {
    /// The sources.
    pub srcs: Arc<PidIndex>,
    /// The destinations.
    pub dsts: Arc<PidIndex>,
    /// The costs; NaN where none is stated.
    pub cells: Arc<Matrix>,
}

/// Changes to a row: costs by the place of the destination, NaN where the cost is removed.
type Changes = Box<[(u32, f64)]>;

/// Changes to a cost table (RFC 7396).
#[derive(Debug, Clone, Default)]
pub struct CostPatch {
    /// The sources that change; `None` removes all costs of a source.
    rows: BTreeMap<PidName, Option<Changes>>,
    /// The destinations that the changes name.
    dsts: Vec<PidName>,
}

impl CostTable {
    /// Returns a table without costs.
    pub fn empty() -> Self {
        Self {
            srcs: Arc::default(),
            dsts: Arc::default(),
            cells: Arc::new(Matrix::new(0, 0)),
        }
    }

    /// Makes a table of the costs in a matrix from each of `srcs` to each of `dsts`. Sources and
    /// destinations without any cost are left out.
    pub fn of(srcs: &Arc<PidIndex>, dsts: &Arc<PidIndex>, cells: &Arc<Matrix>) -> Self {
        let mut used = vec![false; dsts.len()];
        for (column, _) in (0..cells.rows()).flat_map(|row| cells.row(row).costs()) {
            used[column] = true;
        }
        let is_full = |row: usize| !cells.row(row).is_empty();
        if used.iter().all(|used| *used) && (0..srcs.len()).all(is_full) {
            return Self {
                srcs: srcs.clone(),
                dsts: dsts.clone(),
                cells: cells.clone(),
            };
        }
        let names = dsts.names().iter().zip(&used).filter(|(_, used)| **used);
        let kept = PidIndex::new(names.map(|(name, _)| name.clone()).collect());
        let places = dsts.names().iter().map(|name| kept.get(name.as_str()));
        let places: Vec<Option<u32>> = places.collect();
        let rows = srcs.names().iter().enumerate();
        let rows = rows.filter(|(row, _)| is_full(*row));
        let width = kept.len();
        let rows = rows.map(|(row, src)| (src.clone(), cells.row(row).moved(&places, width)));
        Self::new(rows, kept)
    }

    /// Makes a table of rows, sorted by source, over the destinations.
    fn new(rows: impl Iterator<Item = (PidName, Row)>, dsts: PidIndex) -> Self {
        let (srcs, rows): (Vec<PidName>, Vec<Row>) = rows.unzip();
        let srcs = Arc::new(PidIndex::new(srcs));
        let cells = Arc::new(Matrix::from_rows(dsts.len(), rows));
        let same = *srcs == dsts;
        Self {
            dsts: if same { srcs.clone() } else { Arc::new(dsts) },
            srcs,
            cells,
        }
    }

    /// Returns the cost of a pair.
    pub fn get(&self, src: &str, dst: &str) -> Option<f64> {
        let (src, dst) = (self.srcs.get(src)?, self.dsts.get(dst)?);
        self.cells.get(src as usize, dst as usize)
    }

    /// Iterates over the sources with their rows, whose columns are places in `dsts`.
    pub fn rows(&self) -> impl Iterator<Item = (&PidName, &Row)> + '_ {
        let rows = (0..self.cells.rows()).map(|row| self.cells.row(row));
        self.srcs.names().iter().zip(rows)
    }

    /// Returns how many pairs have a cost.
    pub fn len(&self) -> usize {
        self.cells.count()
    }

    /// Whether no pair has a cost.
    pub fn is_empty(&self) -> bool {
        self.rows().all(|(_, row)| row.is_empty())
    }

    /// Returns the table with the patch applied. Rows that the patch does not name are shared
    /// with this table, unless destinations are added or removed.
    pub fn patched(&self, patch: &CostPatch) -> Self {
        let srcs = grown(&self.srcs, patch.sources());
        let dsts = grown(&self.dsts, patch.destinations());
        let moved = self.dsts.names().iter();
        let moved = moved.map(|dst| dsts.get(dst.as_str()));
        let moved: Vec<Option<u32>> = moved.collect();
        let places = patch.dsts.iter().map(|dst| dsts.get(dst.as_str()));
        let places: Vec<Option<u32>> = places.collect();
        let mut cells = Vec::new();
        let rows = srcs.names().iter().map(|src| {
            let before = self.srcs.get(src.as_str());
            let before = before.map_or(Row::NONE, |row| self.cells.row(row as usize));
            let before = if Arc::ptr_eq(&dsts, &self.dsts) {
                before.clone()
            } else {
                before.moved(&moved, dsts.len())
            };
            let Some(change) = patch.rows.get(src) else {
                return before;
            };
            let Some(change) = change else {
                return Row::default();
            };
            before.copy_to(dsts.len(), &mut cells);
            for (place, cost) in change {
                if let Some(place) = places[*place as usize] {
                    cells[place as usize] = *cost;
                }
            }
            Row::of(&cells)
        });
        let cells = Matrix::from_rows(dsts.len(), rows.collect());
        let none_is_unused =
            !patch.removes() && (0..srcs.len()).all(|src| !cells.row(src).is_empty());
        let cells = Arc::new(cells);
        if none_is_unused {
            Self { srcs, dsts, cells }
        } else {
            Self::of(&srcs, &dsts, &cells)
        }
    }

    /// Writes `{"src": {"dst": cost, …}, …}` as canonical JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut grid = GridWriter::new(self.dsts.names().iter().map(PidName::as_str));
        for (src, row) in self.rows() {
            grid.costs(out, src.as_str(), row);
        }
        grid.finish(out);
    }
}

impl CostPatch {
    /// Iterates over the sources that may have costs after the patch.
    fn sources(&self) -> impl Iterator<Item = &PidName> {
        let rows = self.rows.iter().filter(|(_, row)| row.is_some());
        rows.map(|(src, _)| src)
    }

    /// Iterates over the destinations that the patch sets a cost to.
    fn destinations(&self) -> impl Iterator<Item = &PidName> {
        let mut set = vec![false; self.dsts.len()];
        for (place, cost) in self.cells() {
            set[*place as usize] |= !cost.is_nan();
        }
        let named = self.dsts.iter().zip(set);
        named.filter(|(_, set)| *set).map(|(dst, _)| dst)
    }

    /// Whether the patch removes costs.
    fn removes(&self) -> bool {
        self.rows.values().any(Option::is_none) || self.cells().any(|(_, cost)| cost.is_nan())
    }

    fn cells(&self) -> impl Iterator<Item = &(u32, f64)> {
        self.rows.values().flatten().flatten()
    }
}

/// Returns the index with those of the names added that it lacks.
fn grown<'p>(index: &Arc<PidIndex>, named: impl Iterator<Item = &'p PidName>) -> Arc<PidIndex> {
    let is_new = |name: &&PidName| index.get(name.as_str()).is_none();
    let new: BTreeSet<&PidName> = named.filter(is_new).collect();
    if new.is_empty() {
        return index.clone();
    }
    let names = index.names().iter().chain(new).cloned();
    Arc::new(PidIndex::new(names.collect()))
}

/// Writes costs row by row: sources in the order given, destinations in the order fixed at the
/// start. Pairs without a cost, and rows without any, are left out.
#[derive(Debug)]
pub struct GridWriter {
    /// The text `"dst":` of every destination, concatenated; `ends` has where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
    begun: bool,
}

impl GridWriter {
    /// Makes a writer for rows over these destinations. No character of the names may need
    /// escaping in JSON, which holds for PID names and addresses.
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

    /// Writes a row of single costs; NaN means that there is none.
    pub fn row(&mut self, out: &mut Vec<u8>, src: &str, costs: &[f64]) {
        let present = |column: usize| !costs[column].is_nan();
        self.cells(out, src, costs.len(), present, |out, column| {
            write_cost(out, costs[column]);
        });
    }

    /// Writes a row of arrays of costs (RFC 8189 §4.1.3). Each slice is the row of one cost
    /// type, and all have the same length. An element without a cost is `null`; a pair without
    /// any cost is left out.
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

    /// Writes a row, which must have as many columns as there are destinations.
    pub fn costs(&mut self, out: &mut Vec<u8>, src: &str, row: &Row) {
        let mut separator = b'{';
        for (column, cost) in row.costs() {
            let Some(&end) = self.ends.get(column) else {
                break;
            };
            let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
            if separator == b'{' {
                self.begin_row(out, src);
            }
            out.push(separator);
            out.extend_from_slice(&self.keys[start..end]);
            write_cost(out, cost);
            separator = b',';
        }
        if separator == b',' {
            out.push(b'}');
        }
    }

    fn begin_row(&mut self, out: &mut Vec<u8>, src: &str) {
        out.push(if self.begun { b',' } else { b'{' });
        self.begun = true;
        write_member_name(out, src);
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
        for column in 0..columns.min(self.ends.len()) {
            let end = self.ends[column];
            if !present(column) {
                start = end;
                continue;
            }
            if separator == b'{' {
                self.begin_row(out, src);
            }
            out.push(separator);
            out.extend_from_slice(&self.keys[start..end]);
            start = end;
            write(out, column);
            separator = b',';
        }
        if separator == b',' {
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::json::{Fault, Faults, read};
    use crate::ident::{MetricName, ValueCheck};
    use proptest::prelude::*;

    fn hopcount() -> ValueCheck {
        MetricName::new("hopcount").expect("valid").check()
    }

    fn reader() -> ReadCosts {
        ReadCosts {
            check: hopcount(),
            max_name: 10,
            max_pids: 20,
            max_cells: 100,
        }
    }

    fn table(text: &str) -> Result<CostTable, Faults> {
        read(text.as_bytes(), reader())
    }

    fn patch(text: &str) -> CostPatch {
        read(text.as_bytes(), ReadCostPatch(reader())).expect("sound")
    }

    fn canonical(table: &CostTable) -> String {
        let mut out = Vec::new();
        table.write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn patched(text: &str, change: &str) -> String {
        canonical(&table(text).expect("sound").patched(&patch(change)))
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

    /// Returns a document with this many rows, each with the same costs.
    fn rows(rows: usize, cells: usize) -> String {
        let row: Vec<String> = (0..cells).map(|i| format!(r#""q{i}":1"#)).collect();
        let row = row.join(",");
        let rows: Vec<String> = (0..rows).map(|i| format!(r#""p{i}":{{{row}}}"#)).collect();
        format!("{{{}}}", rows.join(","))
    }

    #[test]
    fn more_costs_than_the_limit_are_refused_with_its_name() {
        assert_eq!(table(&rows(10, 10)).expect("sound").len(), 100);
        let faults = table(&rows(12, 9)).expect_err("too many");
        assert!(
            faults.to_string().contains("more than 100 costs"),
            "{faults}"
        );
        assert!(faults.over_limit());
    }

    #[test]
    fn more_pids_than_the_limit_are_refused_with_its_name() {
        assert!(table(&rows(20, 1)).is_ok());
        assert!(table(&rows(1, 20)).is_ok());
        for text in [rows(21, 1), rows(1, 21), rows(100_000, 0), rows(1, 100_000)] {
            let faults = table(&text).expect_err("too many");
            assert!(faults.to_string().contains("max_pids"), "{faults}");
            assert!(faults.over_limit());
        }
    }

    #[test]
    fn a_table_takes_memory_by_its_costs() {
        const SIZE: usize = 3_000;
        let diagonal: Vec<String> = (0..SIZE)
            .map(|i| format!(r#""p{i}":{{"p{}":1}}"#, SIZE - 1 - i))
            .collect();
        let text = format!("{{{}}}", diagonal.join(","));
        let reader = ReadCosts {
            max_pids: SIZE,
            max_cells: SIZE,
            ..reader()
        };
        let table = read(text.as_bytes(), reader).expect("sound");
        assert_eq!(table.len(), SIZE);
        assert!(table.cells.heap_bytes() <= SIZE * 64);
        assert_eq!(table.get("p0", "p2999"), Some(1.0));
        let patched = table.patched(&patch(r#"{"new":{"p0":2}}"#));
        assert_eq!(patched.len(), SIZE + 1);
        assert!(patched.cells.heap_bytes() <= (SIZE + 1) * 64);
    }

    #[test]
    fn a_patch_of_a_cell_shares_all_other_rows() {
        let before = table(&rows(9, 9)).expect("sound");
        let after = before.patched(&patch(r#"{"p3":{"q4":7}}"#));
        assert_eq!(after.get("p3", "q4"), Some(7.0));
        for row in 0..9 {
            let shared = before.cells.row(row).shares(after.cells.row(row));
            assert_eq!(shared, row != 3);
        }
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

    /// Applies a merge patch to a tree (RFC 7396 §2).
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
