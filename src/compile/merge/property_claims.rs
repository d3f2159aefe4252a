//! Which domains may state properties of which prefixes.
//!
//! A prefix inherits the properties of those around it (RFC 9240 §6.1.3), so that a property of a
//! prefix that covers another domain's addresses holds for these as well. There it is overridden:
//! by the value of a domain that may state it, or else by `null`, which ends the inheritance.

use ipnet::IpNet;
use serde_json::Value;

use crate::alto::property::{Entity, PropertySet};

use super::claims::{Claim, Claims, Others, by_strength, judge};
use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::marks::{Fate, Mark};
use super::policy::MergePolicy;
use crate::api::conflict::MergeConflictKind;

/// How many values are overridden at most. The domains other than ours have equal shares: a prefix
/// that takes its domain over its share is dropped.
const MAX_CUTS: usize = 100_000;

/// The properties that domains state, and which of them are dropped.
pub(super) struct Stated<'d> {
    domains: &'d [&'d Domain],
    /// By domain, the dropped entities by their place, ascending.
    dropped: Vec<Vec<usize>>,
}

/// Properties of a prefix that override those of the prefixes around it.
pub(super) struct Cut {
    pub(super) net: IpNet,
    pub(super) set: PropertySet,
}

impl<'d> Stated<'d> {
    pub(super) fn new(domains: &'d [&'d Domain]) -> Self {
        Self {
            domains,
            dropped: vec![Vec::new(); domains.len()],
        }
    }

    /// Iterates over the properties of a domain's entities that are not dropped.
    pub(super) fn kept(&self, place: usize) -> impl Iterator<Item = (&'d Entity, &'d PropertySet)> {
        let dropped = &self.dropped[place];
        let stated = self.domains[place]
            .view
            .properties()
            .map()
            .iter()
            .enumerate();
        stated
            .filter(|(at, _)| dropped.binary_search(at).is_err())
            .map(|(_, stated)| stated)
    }

    /// Drops the prefixes that a domain may not make statements about, and those that would take
    /// more overriding values than there is room for.
    pub(super) fn drop_refused(
        &mut self,
        policy: &MergePolicy,
        marks: &[Mark<'_>],
        conflicts: &mut MergeConflicts,
    ) {
        let mut claims = Claims::default();
        let mut sizes: Vec<Vec<usize>> = vec![Vec::new(); self.domains.len()];
        for (domain, of) in self.domains.iter().enumerate() {
            for (place, (entity, set)) in of.view.properties().map().iter().enumerate() {
                sizes[domain].push(set.len());
                if let Entity::Prefix(net) = *entity {
                    claims.on_net.push(Claim { net, domain, place });
                }
            }
        }
        let others = self.others(policy).count();
        let mut room = vec![MAX_CUTS / others.max(1); self.domains.len()];
        let domains = self.domains;
        judge(
            domains,
            policy,
            marks,
            claims,
            Others::Share,
            |claim, verdict| {
                let cuts =
                    sizes[claim.domain][claim.place].saturating_mul(inside(marks, claim.net));
                let label = &domains[claim.domain].label;
                let is_own = *label == policy.own;
                let refused = match verdict {
                    // Several domains may each state properties of what they hold together.
                    Err(reason) if reason.kind == MergeConflictKind::EqualPrefix => None,
                    Err(reason) => Some((reason.other.cloned(), reason.detail(Fate::Dropped))),
                    Ok(_) if !is_own && cuts > room[claim.domain] => Some((
                        None,
                        "it covers too much that is others'; state it for parts".into(),
                    )),
                    Ok(_) => {
                        room[claim.domain] = room[claim.domain].saturating_sub(cuts);
                        return;
                    }
                };
                self.dropped[claim.domain].push(claim.place);
                if let Some((other, detail)) = refused {
                    let subject = || Entity::Prefix(claim.net).to_string();
                    conflicts.add(MergeConflictKind::Property, label, || {
                        (other, subject(), detail)
                    });
                }
            },
        );
        self.dropped
            .iter_mut()
            .for_each(|places| places.sort_unstable());
    }

    /// Returns the properties that override, in each mark, those of prefixes of domains that may
    /// not speak for it.
    pub(super) fn cut_out(
        &self,
        policy: &MergePolicy,
        marks: &[Mark<'_>],
        conflicts: &mut MergeConflicts,
    ) -> Vec<Cut> {
        let covers = |stated: &OfPrefix<'_>| inside(marks, stated.net) > 0;
        let decides = marks.iter().any(Mark::is_theirs);
        let mut others = self
            .others(policy)
            .flat_map(|(place, _)| self.of_prefixes(place));
        if !decides && !others.any(|stated| covers(&stated)) {
            return Vec::new();
        }
        let mut sweep = Vec::new();
        // The strongest domain comes last, so that of equal prefixes its own is the closest.
        for place in by_strength(self.domains, policy).into_iter().rev() {
            sweep.extend(self.of_prefixes(place));
        }
        sweep.sort_by_key(|stated| stated.net);
        let mut sweep = sweep.into_iter().peekable();
        let mut around: Vec<OfPrefix<'_>> = Vec::new();
        let mut closed: Option<IpNet> = None;
        let mut cuts = Vec::new();
        for mark in marks {
            while let Some(next) = sweep.next_if(|stated| stated.net < mark.net) {
                leave(&mut around, next.net);
                around.push(next);
            }
            leave(&mut around, mark.net);
            if closed.is_some_and(|closed| closed.contains(&mark.net)) && !mark.is_theirs() {
                continue;
            }
            closed = mark.is_closed().then_some(mark.net).or(closed);
            let label = |stated: &OfPrefix<'_>| &self.domains[stated.domain].label;
            let may = |stated: &OfPrefix<'_>| {
                mark.allows(label(stated)) || !mark.is_theirs() && *label(stated) == policy.own
            };
            // The closest prefix comes first.
            let known: Vec<_> = around.iter().rev().filter(|stated| may(stated)).collect();
            let mut set = PropertySet::new();
            // Where somebody's word counts inside of what is ours, what ours took back holds again.
            let overridden = |stated: &&OfPrefix<'_>| mark.is_theirs() || !may(stated);
            for stated in around.iter().filter(overridden) {
                for name in stated.set.keys() {
                    set.entry(name.clone()).or_insert_with(|| {
                        let value = known.iter().find_map(|stated| stated.set.get(name));
                        value.cloned().unwrap_or(Value::Null)
                    });
                }
                if mark.is_theirs() {
                    continue;
                }
                let why = mark.reason();
                conflicts.add(MergeConflictKind::Property, label(stated), || {
                    let subject = Entity::Prefix(stated.net).to_string();
                    (why.other.cloned(), subject, why.detail(Fate::Cut))
                });
            }
            if !set.is_empty() {
                cuts.push(Cut { net: mark.net, set });
            }
        }
        cuts
    }

    /// Iterates over the domains except ours, with their places.
    fn others(&self, policy: &MergePolicy) -> impl Iterator<Item = (usize, &'d Domain)> {
        let others = self.domains.iter().copied().enumerate();
        others.filter(|(_, domain)| domain.label != policy.own)
    }

    /// Iterates over the properties of a domain's prefixes that are not dropped.
    fn of_prefixes(&self, domain: usize) -> impl Iterator<Item = OfPrefix<'d>> {
        self.kept(domain)
            .filter_map(move |(entity, set)| match entity {
                Entity::Prefix(net) => Some(OfPrefix {
                    net: *net,
                    domain,
                    set,
                }),
                Entity::Pid(_) => None,
            })
    }
}

/// The properties that a domain states of a prefix.
struct OfPrefix<'d> {
    net: IpNet,
    domain: usize,
    set: &'d PropertySet,
}

/// Removes the prefixes that do not contain this one.
fn leave(around: &mut Vec<OfPrefix<'_>>, net: IpNet) {
    around.truncate(around.partition_point(|stated| stated.net.contains(&net)));
}

/// Returns how many marks are inside a prefix, not counting one that is equal to it.
fn inside(marks: &[Mark<'_>], net: IpNet) -> usize {
    let first = marks.partition_point(|mark| mark.net <= net);
    let last = net.broadcast();
    let rest = &marks[first..];
    rest.partition_point(|mark| mark.net.addr() <= last)
}
