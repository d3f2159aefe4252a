//! The interconnects of all domains, and which of them are used.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::interconnect::{InterconnectStanding, InterconnectState};
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::PidIndex;
use crate::paths::{Crossing, Place};

use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::policy::MergePolicy;
use super::room::{Ends, Room};
use crate::api::conflict::MergeConflictKind;
use crate::api::interconnect::Relationship;
use crate::facts::{Interconnect, Interconnects};

/// The interconnects of all domains, and what the verdicts on them depend on.
#[derive(Debug)]
pub(super) struct MergedInterconnects {
    /// All declared interconnects, those from and to our own domain first.
    pub(super) standings: Arc<[InterconnectStanding]>,
    /// The used ones, each in both directions, ordered by id and then by the domain where they
    /// start.
    pub(super) confirmed: Vec<Confirmed>,
    /// The costs of crossing each of these, scaled.
    pub(super) crossings: Arc<[Crossing]>,
    /// By domain, its borders: the PIDs where they start or end.
    pub(super) borders: Vec<Arc<[u32]>>,
    pub(super) conflicts: MergeConflicts,
    inputs: Vec<Input>,
    metrics: usize,
}

/// A confirmed interconnect in one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confirmed {
    pub(super) from: Place,
    pub(super) to: Place,
    /// Whether the domain where it starts sends traffic from anywhere over it, and whether the
    /// domain where it ends carries that anywhere.
    pub(super) open_from: bool,
    pub(super) open_to: bool,
}

/// The input from one domain that the verdicts depend on.
#[derive(Debug)]
struct Input {
    label: DomainLabel,
    interconnects: Arc<Interconnects>,
    pids: Arc<PidIndex>,
    scale: f64,
}

/// An interconnect that both sides declare, in one direction.
struct Agreed<'d> {
    ends: Ends<'d>,
    /// The declaration of the domain where it starts, and of the one where it ends.
    here: &'d Interconnect,
    there: &'d Interconnect,
}

/// An interconnect as one side declares it.
#[derive(Clone, Copy)]
struct Declared<'d> {
    /// The place of the domain that declares it.
    place: usize,
    id: &'d InterconnectId,
    here: &'d Interconnect,
}

/// The agreed interconnect, or why it is not used.
type Verdict<'d> = Result<Agreed<'d>, (InterconnectState, String)>;

impl MergedInterconnects {
    /// Judges all interconnects of domains. What did not change is shared with the last result,
    /// `former`. `metrics` is the number of metrics that are composed between domains.
    pub(super) fn new(
        domains: &[&Domain],
        policy: &MergePolicy,
        metrics: usize,
        former: Option<&Arc<MergedInterconnects>>,
    ) -> Arc<Self> {
        let same = |former: &&Arc<MergedInterconnects>| {
            former.metrics == metrics
                && former.inputs.len() == domains.len()
                && former
                    .inputs
                    .iter()
                    .zip(domains)
                    .all(|(input, domain)| input.is_of(domain, policy))
        };
        match former.filter(same) {
            Some(former) => former.clone(),
            None => Arc::new(Self::judge(domains, policy, metrics)),
        }
    }

    fn judge(domains: &[&Domain], policy: &MergePolicy, metrics: usize) -> Self {
        let places = domains.iter().map(|domain| &domain.label).zip(0..);
        let places: HashMap<&DomainLabel, usize> = places.collect();
        let declared = domains.iter().enumerate().flat_map(|(place, domain)| {
            let interconnects = domain.interconnects.iter();
            interconnects.map(move |(id, here)| Declared { place, id, here })
        });
        let mut agreed = Vec::new();
        let mut refused = Vec::new();
        for declared in declared.clone() {
            match verdict(domains, &places, declared) {
                Ok(link) => {
                    agreed.push(link);
                    refused.push(None);
                }
                Err(reason) => refused.push(Some(reason)),
            }
        }
        agreed.sort_by_key(|link| (link.ends.id, link.ends.from.domain));
        let ends: Vec<Ends<'_>> = agreed.iter().map(|link| link.ends).collect();
        let room = Room::over(metrics);
        let used = room.used(&ends);
        agreed.retain(|link| used.contains(&(link.ends.from.domain, link.ends.id)));

        let mut conflicts = MergeConflicts::default();
        let mut standings = Vec::with_capacity(refused.len());
        for (Declared { place, id, here }, refused) in declared.zip(refused) {
            let (state, detail) = match refused {
                Some(refused) => refused,
                None if used.contains(&(place, id)) => {
                    (InterconnectState::Confirmed, String::new())
                }
                None => (InterconnectState::Excess, room.to_string()),
            };
            let label = &domains[place].label;
            if let Some(kind) = state.conflict() {
                conflicts.add(kind, label, || {
                    (Some(here.peer_domain.clone()), id.to_string(), detail)
                });
            }
            standings.push(InterconnectStanding {
                id: id.clone(),
                domain: label.clone(),
                border: here.border.clone(),
                peer_domain: here.peer_domain.clone(),
                peer_border: here.peer_border.clone(),
                relationship: here.relationship,
                state,
            });
        }
        // A stable sort: the interconnects of our own domain come first.
        standings.sort_by_key(|it| it.domain != policy.own && it.peer_domain != policy.own);
        let crossing = |link: &Agreed<'_>| crossing(link, domains[link.ends.from.domain], policy);
        Self {
            standings: standings.into(),
            crossings: agreed.iter().map(crossing).collect(),
            borders: borders(domains.len(), &agreed),
            confirmed: agreed.iter().map(Confirmed::of).collect(),
            conflicts,
            inputs: domains.iter().map(|d| Input::of(d, policy)).collect(),
            metrics,
        }
    }
}

impl Input {
    fn of(domain: &Domain, policy: &MergePolicy) -> Self {
        Self {
            label: domain.label.clone(),
            interconnects: domain.interconnects.clone(),
            pids: domain.view.network().pids().clone(),
            scale: scale(domain, policy),
        }
    }

    /// Returns whether the input from a domain is still the same.
    fn is_of(&self, domain: &Domain, policy: &MergePolicy) -> bool {
        let pids = domain.view.network().pids();
        let same_links = Arc::ptr_eq(&self.interconnects, &domain.interconnects)
            || self.interconnects == domain.interconnects;
        let same_pids = Arc::ptr_eq(&self.pids, pids) || self.pids == *pids;
        self.label == domain.label && self.scale == scale(domain, policy) && same_links && same_pids
    }
}

/// Returns the factor of `routingcost`, the only metric that is scaled.
fn scale(domain: &Domain, policy: &MergePolicy) -> f64 {
    policy.scale(&domain.label, &MetricName::routingcost())
}

impl Confirmed {
    fn of(link: &Agreed<'_>) -> Self {
        let open = |side: &Interconnect| {
            matches!(
                side.relationship,
                Relationship::Customer | Relationship::Open
            )
        };
        Self {
            from: link.ends.from,
            to: link.ends.to,
            open_from: open(link.here),
            open_to: open(link.there),
        }
    }
}

impl InterconnectState {
    /// Returns the kind of conflict that this state is reported as; `None` if it is not a conflict.
    fn conflict(self) -> Option<MergeConflictKind> {
        match self {
            InterconnectState::Confirmed => None,
            InterconnectState::Pending => Some(MergeConflictKind::PendingInterconnect),
            InterconnectState::Unseen => Some(MergeConflictKind::UnseenInterconnect),
            InterconnectState::Differing => Some(MergeConflictKind::DifferingInterconnect),
            InterconnectState::Excess => Some(MergeConflictKind::ExcessInterconnect),
        }
    }
}

/// Judges a declared interconnect.
fn verdict<'d>(
    domains: &[&'d Domain],
    places: &HashMap<&DomainLabel, usize>,
    Declared { place, id, here }: Declared<'d>,
) -> Verdict<'d> {
    let Some(&other) = places.get(&here.peer_domain) else {
        let detail = format!("domain {} is not here", here.peer_domain);
        return Err((InterconnectState::Unseen, detail));
    };
    if other == place {
        let detail = "it leads to its own domain".to_owned();
        return Err((InterconnectState::Differing, detail));
    }
    let Some(there) = domains[other].interconnects.get(id) else {
        let detail = format!("domain {} does not declare it", here.peer_domain);
        return Err((InterconnectState::Pending, detail));
    };
    match agree(domains[place], here, domains[other], there) {
        Err(detail) => Err((InterconnectState::Differing, detail)),
        Ok((from, to)) => Ok(Agreed {
            ends: Ends {
                id,
                from: Place {
                    domain: place,
                    pid: from,
                },
                to: Place {
                    domain: other,
                    pid: to,
                },
            },
            here,
            there,
        }),
    }
}

/// Returns, by domain, the PIDs where interconnects start or end.
fn borders(domains: usize, agreed: &[Agreed<'_>]) -> Vec<Arc<[u32]>> {
    let mut borders = vec![BTreeSet::new(); domains];
    for link in agreed {
        let border = link.ends.from;
        borders[border.domain].insert(border.pid as u32);
    }
    let borders = borders.into_iter();
    borders.map(|pids| pids.into_iter().collect()).collect()
}

/// Returns the costs of crossing an interconnect.
fn crossing(link: &Agreed<'_>, domain: &Domain, policy: &MergePolicy) -> Crossing {
    let costs = link.here.costs.iter();
    let costs = costs.map(|(metric, cost)| {
        let scaled = cost * policy.scale(&domain.label, metric);
        (metric.clone(), scaled)
    });
    Crossing {
        id: link.ends.id.clone(),
        costs: costs.collect(),
    }
}

/// Returns the indices of the border PIDs at both sides if the sides agree; otherwise why they do
/// not.
fn agree(
    domain: &Domain,
    here: &Interconnect,
    other: &Domain,
    there: &Interconnect,
) -> Result<(usize, usize), String> {
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
        let pid = pid.ok_or_else(|| format!("domain {} has no PID {border}", domain.label));
        pid.map(|pid| pid as usize)
    };
    Ok((pid(domain, &here.border)?, pid(other, &there.border)?))
}
