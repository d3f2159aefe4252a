//! Checks of the facts after a write, and warnings to its writer.

use std::collections::{BTreeMap, BTreeSet};

use crate::alto::json::{FaultKind, Faults, Step, Walk};
use crate::compile::NetworkUnion;
use crate::facts::{Document, DocumentPath, Facts, Limits, SourceFacts};
use crate::ident::{Family, PidName};
use crate::net::PidIndex;

/// Adds a fault if all sources together state too many PIDs or prefixes.
pub(super) fn check_size(union: &NetworkUnion, limits: &Limits, faults: &mut Faults) {
    let pids = union.pids().len();
    if pids > limits.max_pids {
        let detail = format!(
            "{pids} PIDs in all; at most {} are taken (max_pids)",
            limits.max_pids
        );
        faults.at(&["network-map"], detail);
    }
    let prefixes = union.prefix_count();
    if prefixes > limits.max_prefixes {
        let limit = limits.max_prefixes;
        let detail =
            format!("{prefixes} prefixes in all; at most {limit} are taken (max_prefixes)");
        faults.at(&["network-map"], detail);
    }
}

/// Adds a fault for each place where the source itself names a PID that no network map has. What
/// was dangling before, in a document that this write does not touch, is not its fault: another
/// source withdrew the PID, and the owner may mend its documents one by one.
pub(super) fn check_dangling(
    own: &SourceFacts,
    before: &PidIndex,
    pids: &PidIndex,
    places: &BTreeMap<DocumentPath, Vec<Step<'static>>>,
    faults: &mut Faults,
) {
    for (path, stated) in own.documents() {
        let place = places.get(path);
        find_dangling(&stated.document, pids, |members, pid| {
            let (at, members, detail) = match place {
                Some(at) => (at, members, format!("no network map has PID {pid}")),
                None if before.get(pid.as_str()).is_none() => return,
                // It dangles because this write changed the network map, so the fault is there.
                None => (
                    places
                        .get(&DocumentPath::Network)
                        .unwrap_or(const { &Vec::new() }),
                    &[][..],
                    format!("{path} still names PID {pid}; change both in one transaction"),
                ),
            };
            let mut walk = Walk::below(at.clone());
            nest(&mut walk, members, detail);
            faults.append(walk.into_faults());
        });
    }
}

/// Calls `found` for each PID that a document names and that is not among `pids`, with the
/// members that lead to the place.
fn find_dangling(document: &Document, pids: &PidIndex, mut found: impl FnMut(&[&str], &PidName)) {
    document.find_pids(&|pid| pids.get(pid.as_str()).is_none(), &mut found);
}

/// Adds a fault below some members.
fn nest(walk: &mut Walk<'static>, members: &[&str], detail: String) {
    match members {
        [] => walk.fault(FaultKind::Value(None), detail),
        [first, rest @ ..] => walk.step(Step::Member((*first).to_owned().into()), |walk| {
            nest(walk, rest, detail);
        }),
    }
}

/// Warns of addresses that no PID has, and of prefixes that two sources state.
pub(super) fn network_warnings(union: &NetworkUnion) -> Vec<String> {
    let mut warnings: Vec<String> = union
        .uncovered()
        .map(|family| {
            let all = match family {
                Family::V4 => "0.0.0.0/0",
                Family::V6 => "::/0",
            };
            format!(
                "not every {family} address is in a PID: {all} is added to the PID \"default\" \
                 when the map is published (RFC 7285 section 11.2.1.6)"
            )
        })
        .collect();
    let prefixes = union.conflicts().total();
    if prefixes > 0 {
        warnings.push(format!(
            "{prefixes} prefixes are stated by two sources in different PIDs; see /n2s/v1/conflicts"
        ));
    }
    warnings
}

/// Warns of facts about PIDs that no source has.
pub(super) fn dangling_warnings(facts: &Facts, union: &NetworkUnion) -> Vec<String> {
    let mut warnings = Vec::new();
    for (source, stated) in &facts.sources {
        let mut missing = BTreeSet::new();
        for (_, stated) in stated.documents() {
            find_dangling(&stated.document, union.pids(), |_, pid| {
                missing.insert(pid.clone());
            });
        }
        if let Some(first) = missing.first() {
            warnings.push(format!(
                "source {source} states facts about PIDs that are in no network map ({}, the first \
                 is {first}): those facts are kept and not used; see /n2s/v1/conflicts",
                missing.len()
            ));
        }
    }
    warnings
}
