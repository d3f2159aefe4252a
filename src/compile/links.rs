//! The interconnects of all domains: which both sides declare.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ident::{DomainLabel, InterconnectId, PidName};

use super::compose::Domain;
use super::facts::{Interconnect, Relationship};
use super::merge_conflict::{MergeConflictKind, MergeConflicts};

/// An interconnect as one side declares it, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct InterconnectStanding {
    /// Its id.
    #[schemars(with = "String")]
    pub id: InterconnectId,
    /// Who declares it.
    #[schemars(with = "String")]
    pub domain: DomainLabel,
    /// The PID at this side.
    #[schemars(with = "String")]
    pub border: PidName,
    /// The domain at the other side.
    #[schemars(with = "String")]
    pub peer_domain: DomainLabel,
    /// The PID at the other side.
    #[schemars(with = "String")]
    pub peer_border: PidName,
    /// What the other domain is to this one.
    pub relationship: Relationship,
    /// Whether it is used.
    pub state: InterconnectState,
}

/// Whether an interconnect is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InterconnectState {
    /// Both sides declare it, with mirrored borders: it is used.
    Confirmed,
    /// We hold the other domain, and it does not declare it.
    Pending,
    /// We do not hold the other domain.
    Unseen,
    /// The sides do not agree, or a border is no PID of its domain.
    Differing,
}

/// A confirmed interconnect in one direction, by the places of the domains and
/// the indices of the PIDs in them.
#[derive(Debug)]
pub(super) struct Confirmed<'d> {
    pub(super) id: &'d InterconnectId,
    pub(super) from: (usize, u32),
    pub(super) to: (usize, u32),
    /// What the domain where it starts declares.
    pub(super) here: &'d Interconnect,
    /// What the domain where it ends declares.
    pub(super) there: &'d Interconnect,
}

/// All interconnects, and those that are used, by id and then by the domain
/// where they start.
pub(super) fn interconnects<'d>(
    domains: &[&'d Domain],
) -> (
    Vec<InterconnectStanding>,
    Vec<Confirmed<'d>>,
    MergeConflicts,
) {
    let mut standings = Vec::new();
    let mut confirmed = Vec::new();
    let mut conflicts = MergeConflicts::default();
    let places: HashMap<&DomainLabel, usize> = domains
        .iter()
        .map(|domain| &domain.label)
        .zip(0..)
        .collect();
    for (place, domain) in domains.iter().enumerate() {
        for (id, here) in domain.interconnects.iter() {
            let other = places.get(&here.peer_domain).copied();
            let there = other.and_then(|other| domains[other].interconnects.get(id));
            let (state, detail) = match (other, there) {
                (None, _) => (
                    InterconnectState::Unseen,
                    format!("domain {} is not here", here.peer_domain),
                ),
                (Some(other), _) if other == place => (
                    InterconnectState::Differing,
                    "it leads to its own domain".to_owned(),
                ),
                (Some(_), None) => (
                    InterconnectState::Pending,
                    format!("domain {} does not declare it", here.peer_domain),
                ),
                (Some(other), Some(there)) => match agree(domain, here, domains[other], there) {
                    Err(detail) => (InterconnectState::Differing, detail),
                    Ok((from, to)) => {
                        confirmed.push(Confirmed {
                            id,
                            from: (place, from),
                            to: (other, to),
                            here,
                            there,
                        });
                        (InterconnectState::Confirmed, String::new())
                    }
                },
            };
            let kind = match state {
                InterconnectState::Confirmed => None,
                InterconnectState::Pending => Some(MergeConflictKind::PendingInterconnect),
                InterconnectState::Unseen => Some(MergeConflictKind::UnseenInterconnect),
                InterconnectState::Differing => Some(MergeConflictKind::DifferingInterconnect),
            };
            if let Some(kind) = kind {
                conflicts.add(kind, &domain.label, || {
                    (Some(here.peer_domain.clone()), id.to_string(), detail)
                });
            }
            standings.push(InterconnectStanding {
                id: id.clone(),
                domain: domain.label.clone(),
                border: here.border.clone(),
                peer_domain: here.peer_domain.clone(),
                peer_border: here.peer_border.clone(),
                relationship: here.relationship,
                state,
            });
        }
    }
    confirmed.sort_by(|a, b| (a.id, a.from.0).cmp(&(b.id, b.from.0)));
    (standings, confirmed, conflicts)
}

/// The indices of the border PIDs at both sides, if the sides agree.
fn agree(
    domain: &Domain,
    here: &Interconnect,
    other: &Domain,
    there: &Interconnect,
) -> Result<(u32, u32), String> {
    if there.peer_domain != domain.label {
        return Err(format!(
            "domain {} declares it to lead to domain {}",
            other.label, there.peer_domain
        ));
    }
    for (border, peer_border, side) in [
        (&here.border, &there.peer_border, &domain.label),
        (&there.border, &here.peer_border, &other.label),
    ] {
        if border != peer_border {
            return Err(format!(
                "at the side of domain {side} its border is PID {border} by that domain and {peer_border} by the other"
            ));
        }
    }
    let pid = |domain: &Domain, border: &PidName| {
        let pid = domain.view.network().pids().get(border.as_str());
        pid.ok_or_else(|| format!("domain {} has no PID {border}", domain.label))
    };
    Ok((pid(domain, &here.border)?, pid(other, &there.border)?))
}
