//! Writing costs: full maps, filtered maps, costs of endpoints.

use super::meta::MetaWriter;
use super::table::{Block, Table};
use crate::alto::cost::{self, GridWriter};
use crate::alto::endpoint;
use crate::alto::network::write_member_name;
use crate::ident::{Digest, Tag};
use crate::publish::content::Content;
use crate::publish::costs::Costs;
use crate::publish::rendering::Body;
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
    pub(in crate::publish) fn new(content: &Content, table: Table, member: Member) -> Self {
        let dsts = (0..table.dsts.len()).map(|place| table.dsts.name(content, place));
        Self {
            grid: Some(GridWriter::new(dsts)),
            table,
            member,
            block: Block::default(),
            next: 0,
        }
    }

    /// The costs of the view that are returned; of several types, those of the first.
    fn costs<'v>(&self, content: &'v Content) -> Option<&'v Costs> {
        content
            .costs()
            .get(&self.table.wanted().next()?.cost_metric)
    }

    /// Writes `meta`, the last member. The member `cost-type` of a multi-cost
    /// answer is an empty object (RFC 8189 §4.1.3).
    fn write_meta(&self, content: &Content, out: &mut Vec<u8>) {
        let (wanted, multi) = (self.table.wanted(), self.table.multi);
        out.push(b',');
        let mut meta = MetaWriter::begin(out);
        meta.cost_type(wanted.clone().next().filter(|_| !multi));
        if self.member == Member::CostMap {
            meta.dependent_vtags(&[content.vtag()]);
        }
        if multi {
            meta.multi_cost_types(wanted);
        }
        meta.finish();
        out.push(b'}');
    }
}

impl Body for CostsBody {
    fn work(&self, content: &Content) -> Work {
        self.table.work(content)
    }

    fn sized_by(&self) -> &'static str {
        match self.member {
            Member::CostMap => "pids",
            Member::EndpointCosts => "endpoints",
        }
    }

    fn cells_read(&self) -> u64 {
        self.block.cells_read()
    }

    /// Writes the next piece; returns whether there are more.
    fn write_piece(&mut self, content: &Content, out: &mut Vec<u8>) -> bool {
        if !self.table.prepare(content, &mut self.block) {
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
            let src = self.table.srcs.name(content, self.next);
            let row = self.table.row(content, self.next, &mut self.block);
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
        self.write_meta(content, out);
        false
    }

    fn tag(&self, content: &Content, digest: Digest) -> Tag {
        match self.costs(content) {
            Some(Costs::Composed(composed)) => composed.tag.clone(),
            _ => digest.into(),
        }
    }
}
