//! Writing costs: full maps, filtered maps, costs of endpoints.

use super::meta::write_vtag;
use super::table::{Block, Table};
use crate::alto::cost::{self, GridWriter};
use crate::alto::endpoint;
use crate::alto::network::write_member_name;
use crate::publish::costs::Costs;
use crate::publish::view::View;
use crate::publish::work::Work;

/// The member of the answer that the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::publish) enum Member {
    /// RFC 7285 §11.2.3.6
    CostMap,
    /// RFC 7285 §11.5.1.6
    EndpointCosts,
}

/// A table of costs that is being written.
#[derive(Debug)]
pub(in crate::publish) struct CostsBody {
    table: Table,
    member: Member,
    /// The writer, until all rows are written.
    grid: Option<GridWriter>,
    block: Block,
    next: usize,
}

impl CostsBody {
    pub(in crate::publish) fn new(view: &View, table: Table, member: Member) -> Self {
        let dsts = (0..table.dsts.len()).map(|place| table.dsts.name(view, place));
        Self {
            grid: Some(GridWriter::new(dsts)),
            table,
            member,
            block: Block::default(),
            next: 0,
        }
    }

    pub(in crate::publish) fn work(&self, view: &View) -> Work {
        self.table.work(view)
    }

    pub(in crate::publish) fn sized_by(&self) -> &'static str {
        match self.member {
            Member::CostMap => "pids",
            Member::EndpointCosts => "endpoints",
        }
    }

    /// The costs of the view that are returned; of several types, those of the first.
    pub(in crate::publish) fn costs<'v>(&self, view: &'v View) -> Option<&'v Costs> {
        view.costs().get(&self.table.wanted().next()?.cost_metric)
    }

    pub(in crate::publish) fn cells_read(&self) -> u64 {
        self.block.cells_read()
    }

    /// Writes the next piece; returns whether there are more.
    pub(in crate::publish) fn write_piece(&mut self, view: &View, out: &mut Vec<u8>) -> bool {
        if !self.table.prepare(view, &mut self.block) {
            return true;
        }
        let Some(grid) = &mut self.grid else {
            return false;
        };
        if self.next == 0 {
            out.push(b'{');
            write_member_name(
                out,
                match self.member {
                    Member::CostMap => cost::MEMBER,
                    Member::EndpointCosts => endpoint::COSTS_MEMBER,
                },
            );
        }
        if self.next < self.table.srcs.len() {
            let src = self.table.srcs.name(view, self.next);
            let row = self.table.row(view, self.next, &mut self.block);
            match &row.0[..] {
                [costs] if !self.table.multi => grid.row(out, src, costs),
                layers => grid.row_of_arrays(out, src, layers),
            }
            self.next += 1;
        }
        if self.next < self.table.srcs.len() {
            return true;
        }
        if let Some(grid) = self.grid.take() {
            grid.finish(out);
        }
        self.write_meta(view, out);
        false
    }

    /// Writes `meta`, the last member. The member `cost-type` of a multi-cost
    /// answer is an empty object (RFC 8189 §4.1.3).
    fn write_meta(&self, view: &View, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"meta\":{\"cost-type\":");
        match self.table.wanted().next() {
            Some(cost_type) if !self.table.multi => cost_type.write(out),
            _ => out.extend_from_slice(b"{}"),
        }
        if self.member == Member::CostMap {
            out.extend_from_slice(b",\"dependent-vtags\":[");
            write_vtag(out, &view.vtag());
            out.push(b']');
        }
        if self.table.multi {
            out.extend_from_slice(b",\"multi-cost-types\":");
            for (i, cost_type) in self.table.wanted().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                cost_type.write(out);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}}");
    }
}
