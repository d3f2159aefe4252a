//! Writes that remove too much of what their source states.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

use crate::api::difference::Difference;
use crate::brake::{Held, Hold, References, Share, Stated, Table, Thresholds, Verdict, judge};
use crate::facts::{Document, DocumentPath, SourceFacts};
use crate::ident::SourceName;
use crate::runtime::{Clock, Moment, lock};

/// How much of what it states a source may remove at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceBrake {
    /// The largest share of its prefixes, PIDs, interconnects or costs that one write may remove.
    pub max_removed: Share,
    /// How long a write that removes more is refused.
    pub hold: Hold,
}

impl SourceBrake {
    /// Returns the thresholds above which a write is refused. There are none for changes of
    /// costs: a source states costs as it measures them.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            max_removed: self.max_removed,
            ..Thresholds::NONE
        }
    }
}

/// A source whose writes are refused because they remove too much.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldSource {
    /// When its first write was refused.
    pub since: Timestamp,
    /// When such a write is accepted after all; `None` if never.
    pub until: Option<Timestamp>,
    /// What the last refused write removes.
    pub difference: Difference,
    /// The same in words.
    pub reason: String,
}

/// The sources whose writes are refused, and what each stated before.
#[derive(Debug, Default)]
pub(super) struct HeldSources(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<SourceName, (Held, Timestamp)>,
    references: References<SourceName, SourceFacts>,
}

impl HeldSources {
    /// Returns what a source stated before its recent changes.
    pub(super) fn reference(&self, source: &SourceName, now: Moment) -> Option<SourceFacts> {
        self.lock().references.current(source, now).cloned()
    }

    /// Returns what is held if a write with this difference is refused, and `None` if it passes.
    /// A dry run leaves no trace.
    pub(super) fn refuses(
        &self,
        source: &SourceName,
        brake: &SourceBrake,
        difference: Difference,
        is_dry: bool,
        clock: &Clock,
    ) -> Option<HeldSource> {
        let (now, wall) = (clock.now(), clock.wall());
        let mut state = self.lock();
        let former = state.held.get(source);
        if former.is_some_and(|(held, _)| held.lets_pass(&difference, brake.hold, now)) {
            return None;
        }
        let held = Held::new(difference, former.map(|(held, _)| held), now);
        let goes_on = former.filter(|(former, _)| held.goes_on_from(former));
        let since = goes_on.map_or(wall, |(_, since)| *since);
        let shown = shown(&held, since, brake, clock);
        if !is_dry {
            if goes_on.is_none() {
                let reason = &shown.reason;
                tracing::warn!(%source, "a write takes too much and is refused: {reason}");
            }
            state.held.insert(source.clone(), (held, since));
        }
        Some(shown)
    }

    /// Notes that a write of a source passed: nothing of it is held any more. Later writes are
    /// compared with `before` too, unless they are to be compared `anew`, with what the source
    /// states now.
    pub(super) fn taken(&self, source: &SourceName, before: SourceFacts, anew: bool, now: Moment) {
        let mut state = self.lock();
        state.held.remove(source);
        if anew {
            state.references.forget(source)
        } else {
            state.references.changes_from(source.clone(), before, now)
        }
    }

    /// Returns the sources whose writes are refused, among those that have a brake.
    pub(super) fn shown(
        &self,
        brakes: &BTreeMap<SourceName, SourceBrake>,
        clock: &Clock,
    ) -> BTreeMap<SourceName, HeldSource> {
        let state = self.lock();
        let held = state.held.iter().filter_map(|(source, (held, since))| {
            let brake = brakes.get(source)?;
            Some((source.clone(), shown(held, *since, brake, clock)))
        });
        held.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn shown(held: &Held, since: Timestamp, brake: &SourceBrake, clock: &Clock) -> HeldSource {
    let left = held.left(brake.hold, clock.now());
    HeldSource {
        since,
        until: left.and_then(|left| clock.wall().saturating_add(left).ok()),
        difference: held.difference.clone(),
        reason: held.difference.excess(&brake.thresholds()),
    }
}

/// Judges whether a source may state `new` after `old`, and after `reference`, which it stated
/// before its recent changes.
pub(super) fn judge_source(
    old: &SourceFacts,
    reference: Option<&SourceFacts>,
    new: &SourceFacts,
    brake: &SourceBrake,
) -> Verdict {
    let (thresholds, new) = (brake.thresholds(), stated(new));
    match judge(&stated(old), &new, &thresholds) {
        Verdict::Pass { grows } => reference.map_or(Verdict::Pass { grows }, |reference| {
            judge(&stated(reference), &new, &thresholds)
        }),
        held => held,
    }
}

fn stated(facts: &SourceFacts) -> Stated<'_> {
    let mut stated = Stated::default();
    for (path, document) in facts.documents() {
        match (path, &document.document) {
            (_, Document::Network(network)) => {
                let groups = network.groups.iter();
                stated.pids = groups.map(|(name, group)| (name, &**group)).collect();
            }
            (DocumentPath::Costs(metric), Document::Costs(table)) => {
                let table = Table {
                    srcs: &table.srcs,
                    dsts: &table.dsts,
                    cells: &table.cells,
                };
                stated.costs.insert(metric, table);
            }
            (_, Document::Interconnects(links)) => stated.interconnects = Some(links),
            _ => {}
        }
    }
    stated
}
