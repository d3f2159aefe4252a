//! Makes the links that are configured for a plain domain, and its digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::s2s::Ignored;
use crate::facts::{Interconnect, Interconnects};
use crate::federation::PlainInterconnect;
use crate::ident::{DomainLabel, InterconnectId, Sha256, Tag};
use crate::publish::{Costs, NetworkMap, View};

use super::read::pid_under;

/// The links between a plain domain and ours, as either would state them.
#[derive(Debug)]
pub struct Links {
    /// The links as the plain domain would state them.
    pub theirs: Arc<Interconnects>,
    /// The links as we would state them.
    pub ours: Arc<Interconnects>,
    /// The links whose PID the plain domain does not have.
    pub ignored: Vec<Ignored>,
}

/// Makes the links that are configured between `own` and the plain `domain` with this network
/// map.
pub fn links(
    own: &DomainLabel,
    domain: &DomainLabel,
    configured: &BTreeMap<InterconnectId, PlainInterconnect>,
    map: &NetworkMap,
) -> Links {
    let (mut theirs, mut ours) = (Interconnects::new(), Interconnects::new());
    let mut ignored = Vec::new();
    for (id, link) in configured {
        let border = pid_under(domain, &link.peer_border);
        if map.pids().get(border.as_str()).is_none() {
            ignored.push(Ignored {
                what: format!("interconnect {id}"),
                reason: format!("the network map has no PID {}", link.peer_border),
            });
            continue;
        }
        let their_side = Interconnect {
            border: border.clone(),
            costs: link.reverse_costs.clone(),
            peer_border: link.border.clone(),
            peer_domain: own.clone(),
            relationship: link.peer_relationship,
        };
        let our_side = Interconnect {
            border: link.border.clone(),
            costs: link.costs.clone(),
            peer_border: border,
            peer_domain: domain.clone(),
            relationship: link.relationship,
        };
        theirs.insert(id.clone(), their_side);
        ours.insert(id.clone(), our_side);
    }
    Links {
        theirs: Arc::new(theirs),
        ours: Arc::new(ours),
        ignored,
    }
}

/// Returns the digest of a plain domain: of its network map's tag, its costs and its links.
pub fn digest(view: &View, links: &Interconnects) -> Tag {
    let mut hasher = Sha256::new();
    hasher.update(view.network().tag().as_str().as_bytes());
    let mut bytes = Vec::new();
    for (metric, costs) in view.costs() {
        hasher.update(metric.as_str().as_bytes());
        hasher.update(b"\n");
        // The costs of a plain domain are always dense.
        let Costs::Dense(matrix) = costs else {
            continue;
        };
        for row in (0..matrix.rows()).map(|row| matrix.row(row)) {
            bytes.clear();
            bytes.extend_from_slice(&(row.count() as u64).to_le_bytes());
            for (column, cost) in row.costs() {
                bytes.extend_from_slice(&(column as u64).to_le_bytes());
                bytes.extend_from_slice(&cost.to_le_bytes());
            }
            hasher.update(&bytes);
        }
    }
    for (id, link) in links {
        let text = serde_json::to_vec(&(id, link)).unwrap_or_default();
        hasher.update(&text);
    }
    hasher.finish().into()
}
