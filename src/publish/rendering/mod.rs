//! The bodies of full maps, written piece by piece.
//!
//! A body is written whole into a buffer, into a hash, or into a stream when it
//! is too large to be held; all three take the same pieces, so that they cannot
//! differ.

use std::sync::Arc;

use crate::alto::cost::GridWriter;
use crate::alto::meta::{CostMode, CostType, VersionTag};
use crate::ident::{PidName, Sha256};

use super::catalog::{Kind, Resource, Version};
use super::costs::Costs;
use super::network::write_group;
use super::rank::Ranks;
use super::view::View;

/// A body on its way out.
pub struct Rendering {
    view: Arc<View>,
    body: Body,
    /// How many pieces were written.
    written: usize,
}

enum Body {
    Network,
    Costs {
        cost_type: CostType,
        grid: Option<GridWriter>,
        ranks: Option<Ranks>,
        row: Vec<f64>,
    },
}

impl Rendering {
    /// The body that a GET of the resource returns; `None` if it takes
    /// parameters.
    pub fn new(view: Arc<View>, resource: &Resource) -> Option<Self> {
        let body = match &resource.kind {
            Kind::NetworkMap => Body::Network,
            Kind::CostMap(cost_type) => {
                let costs = view.costs().get(&cost_type.cost_metric)?;
                let names = view.network().pids().names();
                Body::Costs {
                    cost_type: cost_type.clone(),
                    grid: Some(GridWriter::new(names.iter().map(PidName::as_str))),
                    ranks: (cost_type.cost_mode == CostMode::Ordinal)
                        .then(|| ranks(costs, cost_type)),
                    row: Vec::new(),
                }
            }
            _ => return None,
        };
        Some(Self {
            view,
            body,
            written: 0,
        })
    }

    /// Writes the next piece; whether there are more.
    pub fn write_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let pids = self.view.network().pids();
        let piece = self.written;
        self.written += 1;
        match &mut self.body {
            Body::Network => {
                if piece == 0 {
                    out.extend_from_slice(b"{\"meta\":{\"vtag\":");
                    write_vtag(out, &self.view.vtag());
                    out.extend_from_slice(b"},\"network-map\":");
                    if pids.is_empty() {
                        out.push(b'{');
                    }
                }
                let index = u32::try_from(piece).unwrap_or(u32::MAX);
                let member = pids.name(index).zip(self.view.network().group(index));
                if let Some(member) = member {
                    write_group(out, piece, member);
                }
                let more = piece + 1 < pids.len();
                if !more {
                    out.extend_from_slice(b"}}");
                }
                more
            }
            Body::Costs {
                cost_type,
                grid,
                ranks,
                row,
            } => {
                if piece == 0 {
                    out.extend_from_slice(b"{\"cost-map\":");
                }
                let index = u32::try_from(piece).unwrap_or(u32::MAX);
                let costs = self.view.costs().get(&cost_type.cost_metric);
                if let (Some(src), Some(grid), Some(costs)) = (pids.name(index), &mut *grid, costs)
                {
                    costs.row(index, row);
                    if let Some(ranks) = ranks {
                        row.iter_mut().for_each(|cost| *cost = ranks.rank(*cost));
                    }
                    grid.row(out, src.as_str(), row);
                }
                let more = piece + 1 < pids.len();
                if !more && let Some(grid) = grid.take() {
                    grid.finish(out);
                    out.extend_from_slice(b",\"meta\":{\"cost-type\":");
                    cost_type.write(out);
                    out.extend_from_slice(b",\"dependent-vtags\":[");
                    write_vtag(out, &self.view.vtag());
                    out.extend_from_slice(b"]}}");
                }
                more
            }
        }
    }

    /// Writes it all: its marks, and the body if it has at most `limit` bytes.
    pub fn finish(mut self, limit: usize) -> (Version, Option<Vec<u8>>) {
        const HASH_AT: usize = 64 * 1024;
        let mut hasher = Sha256::new();
        let mut length = 0;
        let mut body = Some(Vec::new());
        let mut piece = Vec::with_capacity(2 * HASH_AT);
        let mut more = true;
        while more {
            more = self.write_piece(&mut piece);
            if piece.len() < HASH_AT && more {
                continue;
            }
            hasher.update(&piece);
            length += piece.len();
            body = body.filter(|_| length <= limit);
            if let Some(body) = &mut body {
                body.extend_from_slice(&piece);
            }
            piece.clear();
        }
        let digest = hasher.finish();
        let tag = match &self.body {
            // The one tag that is of the data member alone, so that a cost
            // map's `dependent-vtags` do not depend on the `meta` around it.
            Body::Network => self.view.network().tag().clone(),
            Body::Costs { cost_type, .. } => match self.view.costs().get(&cost_type.cost_metric) {
                Some(Costs::Composed(composed)) => composed.tag.clone(),
                _ => digest.into(),
            },
        };
        let version = Version {
            tag,
            digest,
            length: length as u64,
        };
        (version, body)
    }
}

/// Ranks over every cost of a metric.
pub(super) fn ranks(costs: &Costs, cost_type: &CostType) -> Ranks {
    let mut row = Vec::new();
    let mut all = Vec::new();
    for src in 0..u32::try_from(costs.size()).unwrap_or(u32::MAX) {
        costs.row(src, &mut row);
        all.extend_from_slice(&row);
    }
    Ranks::over(all, cost_type.cost_metric.more_is_better())
}

/// Writes a version tag as canonical JSON.
pub(super) fn write_vtag(out: &mut Vec<u8>, vtag: &VersionTag) {
    out.extend_from_slice(b"{\"resource-id\":\"");
    out.extend_from_slice(vtag.resource_id.as_str().as_bytes());
    out.extend_from_slice(b"\",\"tag\":");
    crate::alto::canonical::write_string(out, vtag.tag.as_str());
    out.push(b'}');
}
