//! The interconnects of all domains: which both sides declare.

use std::collections::{HashMap, HashSet};

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
    /// Both sides declare it, and there are too many.
    Excess,
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

/// How many interconnects are used at most. The table of ways takes memory for
/// each pair of borders, and time for each border and each way through a
/// domain, and peers control both.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// The most borders.
    borders: usize,
    /// The most borders times pairs of interconnects that meet in a domain.
    work: usize,
}

/// The most borders, and some seconds on two cores.
const ROOM: Room = Room {
    borders: 4096,
    work: 1 << 30,
};

/// How many bytes the table of ways may take.
const MAX_TABLE: usize = 1 << 30;

/// All interconnects, and those that are used, by id and then by the domain
/// where they start. Costs between domains are composed in so many `metrics`.
pub(super) fn interconnects<'d>(
    domains: &[&'d Domain],
    metrics: usize,
) -> (
    Vec<InterconnectStanding>,
    Vec<Confirmed<'d>>,
    MergeConflicts,
) {
    let mut judged = Vec::new();
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
            judged.push((place, id, here, state, detail));
        }
    }
    confirmed.sort_by(|a, b| (a.id, a.from.0).cmp(&(b.id, b.from.0)));
    let room = Room::over(metrics);
    let used = room.used(&confirmed);
    confirmed.retain(|link| used.contains(&(link.from.0, link.id)));
    let mut standings = Vec::with_capacity(judged.len());
    for (place, id, here, mut state, mut detail) in judged {
        if state == InterconnectState::Confirmed && !used.contains(&(place, id)) {
            state = InterconnectState::Excess;
            detail = format!("there are too many: at most {} borders", room.borders);
        }
        let domain = domains[place];
        let kind = match state {
            InterconnectState::Confirmed => None,
            InterconnectState::Pending => Some(MergeConflictKind::PendingInterconnect),
            InterconnectState::Unseen => Some(MergeConflictKind::UnseenInterconnect),
            InterconnectState::Differing => Some(MergeConflictKind::DifferingInterconnect),
            InterconnectState::Excess => Some(MergeConflictKind::ExcessInterconnect),
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
    (standings, confirmed, conflicts)
}

impl Room {
    /// The room for ways that are measured in so many metrics.
    fn over(metrics: usize) -> Self {
        /// A cost and a rank; and a measure in each metric but the selecting one.
        const WAY: usize = size_of::<f64>() + size_of::<u32>();
        let pair = WAY + size_of::<f64>() * metrics.saturating_sub(1);
        Self {
            borders: ROOM.borders.min((MAX_TABLE / pair).isqrt()),
            ..ROOM
        }
    }

    /// The interconnects that there is room for, by the domains where they start:
    /// the first of each domain before the second of any, so that a domain that
    /// declares many crowds out only its own. `confirmed` is in order of id.
    fn used<'d>(&self, confirmed: &[Confirmed<'d>]) -> HashSet<(usize, &'d InterconnectId)> {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        let mut turns: HashMap<(usize, &InterconnectId), usize> = HashMap::new();
        for link in confirmed {
            let count = counts.entry(link.from.0).or_default();
            turns.insert((link.from.0, link.id), *count);
            *count += 1;
        }
        let mut links: Vec<(usize, &Confirmed<'d>)> = confirmed
            .iter()
            .filter(|link| link.from.0 < link.to.0)
            .map(|link| {
                let sides = [link.from.0, link.to.0].map(|domain| turns[&(domain, link.id)]);
                (sides[0].max(sides[1]), link)
            })
            .collect();
        links.sort_by_key(|(turn, link)| (*turn, link.id, link.from.0));
        let mut used = HashSet::new();
        let mut borders = HashSet::new();
        let mut meeting: HashMap<usize, usize> = HashMap::new();
        let mut pairs = 0;
        for (_, link) in links {
            for end in [link.from, link.to] {
                borders.insert(end);
                let before = meeting.entry(end.0).or_default();
                pairs += 2 * *before + 1;
                *before += 1;
            }
            if borders.len() > self.borders || borders.len() * pairs > self.work {
                break;
            }
            used.extend([(link.from.0, link.id), (link.to.0, link.id)]);
        }
        used
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Links between domains by their numbers; each end is a border of its own.
    fn used(room: Room, ends: &[[usize; 2]]) -> Vec<bool> {
        let ids: Vec<InterconnectId> = (0..ends.len())
            .map(|at| InterconnectId::new(&format!("x{at:03}")).expect("an id"))
            .collect();
        let side = Interconnect {
            border: PidName::new("b").expect("a name"),
            costs: [].into(),
            peer_border: PidName::new("b").expect("a name"),
            peer_domain: DomainLabel::new("d").expect("a label"),
            relationship: Relationship::Open,
        };
        let mut confirmed = Vec::new();
        for ((at, id), &[a, b]) in (0..).zip(&ids).zip(ends) {
            for (from, to) in [((a, at), (b, at)), ((b, at), (a, at))] {
                confirmed.push(Confirmed {
                    id,
                    from,
                    to,
                    here: &side,
                    there: &side,
                });
            }
        }
        let used = room.used(&confirmed);
        let both = |(id, [a, b]): (&InterconnectId, &[usize; 2])| {
            let sides = [a, b].map(|domain| used.contains(&(*domain, id)));
            assert_eq!(sides[0], sides[1], "a link is used in both directions");
            sides[0]
        };
        ids.iter().zip(ends).map(both).collect()
    }

    #[test]
    fn a_domain_that_declares_many_crowds_out_only_its_own() {
        let ends = [[0, 1], [0, 1], [0, 1], [2, 3], [3, 4]];
        let room = |borders| Room {
            borders,
            work: usize::MAX,
        };
        assert_eq!(used(room(10), &ends), [true; 5]);
        assert_eq!(used(room(9), &ends), [true, true, false, true, true]);
        assert_eq!(used(room(5), &ends), [true, false, false, true, false]);
        assert_eq!(used(room(0), &ends), [false; 5]);
    }

    #[test]
    fn the_table_of_ways_is_bounded_however_many_metrics_there_are() {
        assert_eq!(Room::over(1).borders, 4096);
        assert_eq!(Room::over(6).borders, 4096);
        for metrics in [7, 32, 1000] {
            let borders = Room::over(metrics).borders;
            assert!(borders * borders * (12 + 8 * (metrics - 1)) <= MAX_TABLE);
            assert!(borders > 100);
        }
    }

    #[test]
    fn the_ways_through_domains_are_bounded_with_the_borders() {
        let star = [[0, 1], [0, 2], [0, 3]];
        let room = |work| Room { borders: 100, work };
        assert_eq!(used(room(6 * 12), &star), [true; 3]);
        assert_eq!(used(room(6 * 12 - 1), &star), [true, true, false]);
    }
}
