//! The union of the interconnects that all sources state.

use std::collections::BTreeMap;

use crate::ident::{InterconnectId, SourceName};

use super::conflict::Conflicts;
use super::network::NetworkUnion;
use crate::api::conflict::{Conflict, ConflictKind};
use crate::facts::{DocumentPath, Facts, Interconnects, Policy};

/// Joins the interconnects of all sources. Of two with one id, the stronger source's is used; one
/// whose border is no PID is left out.
pub fn union_interconnects(
    facts: &Facts,
    policy: &Policy,
    network: &NetworkUnion,
) -> (Interconnects, Conflicts) {
    let mut joined = Interconnects::new();
    let mut owners: BTreeMap<&InterconnectId, &SourceName> = BTreeMap::new();
    let mut conflicts = Conflicts::default();
    for (source, links) in facts.contents::<Interconnects>(policy, &DocumentPath::Interconnects) {
        for (id, link) in links.iter() {
            if network.pids().get(link.border.as_str()).is_none() {
                conflicts.add(ConflictKind::Dangling, || Conflict {
                    kind: ConflictKind::Dangling,
                    subject: id.to_string(),
                    kept: None,
                    dropped: source.clone(),
                    detail: format!("no network map has its border, PID {}", link.border),
                });
                continue;
            }
            match owners.get(id) {
                None => {
                    owners.insert(id, source);
                    joined.insert(id.clone(), link.clone());
                }
                Some(kept) if joined.get(id) != Some(link) => {
                    conflicts.add(ConflictKind::Interconnect, || Conflict {
                        kind: ConflictKind::Interconnect,
                        subject: id.to_string(),
                        kept: Some((*kept).clone()),
                        dropped: source.clone(),
                        detail: format!("{kept} and {source} state it differently"),
                    });
                }
                Some(_) => {}
            }
        }
    }
    (joined, conflicts)
}
