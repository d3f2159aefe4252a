//! Costs in one metric: `cost-maps/{metric}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::alto::cost::{CostPatch, CostTable, GridWriter, MEMBER, ReadCostPatch, ReadCosts};
use crate::alto::json::{FaultKind, Faults, Step, Walk, read_below};
use crate::alto::media;
use crate::ident::{MetricName, PidName};
use crate::net::Matrix;

use super::kind::{Content, Description, EditKind, Kind, NameDescription};
use super::limits::Reader;
use super::reading::Wrapped;

/// Numerical costs (RFC 7285 §11.2.3.6); a member `meta` is ignored.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct CostMapDocument {
    /// By source PID, the costs by destination PID.
    cost_map: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Kind for CostTable {
    type Name = MetricName;
    type Edit = CostPatch;

    const DESCRIPTION: Description = Description {
        route: "/n2s/v1/cost-maps/{metric}",
        name: Some(NameDescription {
            parameter: "metric",
            what: "A cost metric of RFC 7285 or RFC 9439, for example `delay-ow:p95`, or `priv:…`",
        }),
        member: MEMBER,
        what: "the numerical costs in a metric",
        operations: ["getCostMap", "putCostMap", "patchCostMap", "deleteCostMap"],
        media_types: &[media::JSON, media::COST_MAP],
        schema: |generator| generator.subschema_for::<CostMapDocument>(),
        edits: &[EditKind::MergePatch],
    };

    fn read(
        reader: Reader<'_>,
        metric: &MetricName,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self, Faults> {
        let inner = costs(reader, metric);
        read_below(at, bytes, Wrapped::document(MEMBER, inner))
    }

    fn read_edit(
        reader: Reader<'_>,
        _: EditKind,
        metric: &MetricName,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<CostPatch, Faults> {
        let inner = ReadCostPatch(costs(reader, metric));
        read_below(at, bytes, Wrapped::patch(MEMBER, inner))
    }

    fn edited(
        reader: Reader<'_>,
        at: &[Step<'static>],
        current: Option<&Self>,
        patch: CostPatch,
    ) -> Result<Self, Faults> {
        let patched = match current {
            Some(table) => table.patched(&patch),
            None => CostTable::empty().patched(&patch),
        };
        let mut walk = Walk::below(at.to_vec());
        let (cells, limit) = (patched.len(), reader.limits.max_cells);
        if cells > limit {
            walk.fault(
                FaultKind::Limit,
                format!("{cells} costs; at most {limit} are taken (max_cells)"),
            );
        }
        walk.into_faults().or(patched)
    }
}

fn costs(reader: Reader<'_>, metric: &MetricName) -> ReadCosts {
    ReadCosts {
        check: metric.check(),
        max_name: reader.domain.max_pid_len(),
        max_pids: reader.limits.max_pids,
        max_cells: reader.limits.max_cells,
    }
}

impl Content for CostTable {
    fn text_rows(self: Arc<Self>) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        let grid = GridWriter::new(self.dsts.names().iter().map(PidName::as_str));
        Box::new(Rows {
            table: self,
            grid,
            next: 0,
            has_begun: false,
        })
    }

    fn bytes(&self) -> usize {
        self.cells.bytes_beside(&Matrix::new(0, 0))
    }

    fn bytes_of_rows(&self) -> usize {
        /// The bytes of the text of a cost; few take more.
        const TEXT: usize = 44;
        let names = self.dsts.names().iter();
        let keys: usize = names.map(|name| name.as_str().len() + 4).sum();
        3 * keys + 2 * TEXT * self.dsts.len()
    }

    fn find_pids(
        &self,
        is_wanted: &dyn Fn(&PidName) -> bool,
        found: &mut dyn FnMut(&[&str], &PidName),
    ) {
        for src in self.srcs.names().iter().filter(|src| is_wanted(src)) {
            found(&[MEMBER, src.as_str()], src);
        }
        let dsts = self.dsts.names();
        let mut left: Vec<bool> = dsts.iter().map(is_wanted).collect();
        if !left.contains(&true) {
            return;
        }
        for (src, row) in self.rows() {
            for (column, _) in row.costs() {
                if std::mem::take(&mut left[column]) {
                    let dst = &dsts[column];
                    found(&[MEMBER, src.as_str(), dst.as_str()], dst);
                }
            }
        }
    }
}

/// The rows of a cost table, one for each source PID.
struct Rows {
    table: Arc<CostTable>,
    grid: GridWriter,
    next: usize,
    has_begun: bool,
}

impl Iterator for Rows {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let src = self.table.srcs.names().get(self.next)?;
        let mut out = Vec::new();
        let costs = self.table.cells.row(self.next);
        self.grid.costs(&mut out, src.as_str(), costs);
        self.next += 1;
        // The writer opens the object, which is done before the rows here.
        if !self.has_begun && !out.is_empty() {
            out.remove(0);
            self.has_begun = true;
        }
        Some(out)
    }
}
