//! The pipeline: the only task that publishes.
//!
//! It compiles our domain and publishes its view at once. What our domain and the
//! others state then goes to the merger, which takes as long as it takes; its
//! result is published when it comes. Nothing of ours waits for it.
//!
//! ```text
//! durable facts ─► compile ─► publish our view ─► sign
//! imports ───────────────┬──► publish their views
//! policy ────────────────┤
//!                        ▼
//!                     merger ────► publish the merged view
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;

use crate::compile::{Conflicts, MergePolicy, Merged};
use crate::federation::{Imports, OwnDomain, Restoring};
use crate::http::Merging;
use crate::ingest::{FactsAtRevision, Rules};
use crate::publish::{Snapshot, ViewName};
use crate::runtime::{Clock, Gate, Pool, PoolError, Task};

use super::lanes::Lanes;
use super::merger::{self, Made, Present};
use super::own::OwnCompiled;

/// What our domain is compiled from.
pub(super) struct Inputs {
    /// Its facts.
    pub(super) durable: watch::Receiver<FactsAtRevision>,
    /// The policy for them.
    pub(super) rules: watch::Receiver<Arc<Rules>>,
}

/// What our domain is joined with.
pub(super) struct Others {
    /// The domains of others.
    pub(super) imports: watch::Receiver<Arc<Imports>>,
    /// Whether those from before the start are among them.
    pub(super) restoring: watch::Receiver<Restoring>,
    /// The policy for joining them.
    pub(super) merge: watch::Receiver<Arc<MergePolicy>>,
}

/// What the pipeline publishes.
#[derive(Clone)]
pub(super) struct Published {
    /// The views in force.
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The facts that are not used.
    pub(super) conflicts: watch::Receiver<Arc<Conflicts>>,
    /// How the merged view was made; none before it was made once.
    pub(super) merged: watch::Receiver<Option<Arc<Merged>>>,
    /// How it follows what the domains state.
    pub(super) merging: watch::Receiver<Merging>,
}

impl Inputs {
    fn now(&mut self) -> FactsAtRevision {
        let current = self.durable.borrow_and_update().clone();
        let rules = self.rules.borrow_and_update().clone();
        current.under(&rules.policy)
    }
}

/// Compiles our domain alone.
///
/// # Errors
/// The compilation panicked.
pub(super) async fn domain(
    inputs: &mut Inputs,
    pool: &Pool,
    clock: &Clock,
) -> Result<Arc<OwnCompiled>, PoolError> {
    let (current, clock) = (inputs.now(), clock.clone());
    let compiled = pool.run(move || OwnCompiled::compile(current, &clock, None));
    Ok(Arc::new(compiled.await?))
}

/// Publishes our domain's view before it comes back, and then whatever becomes
/// durable, arrives from peers or changes by policy. `own` is told what our
/// domain says; `gate` is where a test holds the merger.
pub(super) fn start(
    domain: Arc<OwnCompiled>,
    inputs: Inputs,
    others: Others,
    own: watch::Sender<OwnDomain>,
    lanes: &Lanes,
    gate: Gate,
    clock: Clock,
) -> ([Task<()>; 2], Published) {
    let (snapshots, snapshots_read) = watch::channel(Arc::default());
    let (conflicts, conflicts_read) = watch::channel(Arc::default());
    let (merged, merged_read) = watch::channel(None);
    let (merging, merging_read) = watch::channel(Merging {
        behind_since: Some(clock.now()),
        took: None,
    });
    let present = Present {
        own: domain.clone(),
        imports: Arc::default(),
        policy: others.merge.borrow().clone(),
        is_complete: false,
    };
    let (to_merge, to_be_merged) = watch::channel(Arc::new(present));
    let (made, arriving) = watch::channel(None);
    let mut pipeline = Pipeline {
        inputs,
        others,
        own: domain,
        imports: Arc::default(),
        is_restored: false,
        generation: 0,
        made: arriving,
        to_merge,
        outlets: Outlets {
            snapshots,
            conflicts,
            merged,
            merging,
            own,
        },
        pool: lanes.facts.clone(),
        clock: clock.clone(),
    };
    pipeline.publish_own();
    pipeline.publish();
    let merging = merger::run(to_be_merged, made, gate, lanes.joins.clone(), clock);
    let tasks = [
        Task::spawn("pipeline", pipeline.run()),
        Task::spawn("merger", merging),
    ];
    let published = Published {
        snapshots: snapshots_read,
        conflicts: conflicts_read,
        merged: merged_read,
        merging: merging_read,
    };
    (tasks, published)
}

struct Pipeline {
    inputs: Inputs,
    others: Others,
    own: Arc<OwnCompiled>,
    /// The domains of others as they are published.
    imports: Arc<Imports>,
    /// Whether those from before the start are among them.
    is_restored: bool,
    /// Counts the snapshots.
    generation: u64,
    /// What the merger made last, and what it makes next.
    made: watch::Receiver<Option<Arc<Made>>>,
    to_merge: watch::Sender<Arc<Present>>,
    outlets: Outlets,
    pool: Pool,
    clock: Clock,
}

/// Where things are published.
struct Outlets {
    snapshots: watch::Sender<Arc<Snapshot>>,
    conflicts: watch::Sender<Arc<Conflicts>>,
    merged: watch::Sender<Option<Arc<Merged>>>,
    merging: watch::Sender<Merging>,
    own: watch::Sender<OwnDomain>,
}

impl Pipeline {
    /// Runs for as long as anything can change.
    async fn run(mut self) {
        loop {
            let is_new = [self.take_own().await, self.take_imports(), self.take_made()];
            // Before: who sees what is new can ask whether it is joined.
            self.hand_on();
            if is_new != [false; 3] {
                self.publish();
            }
            if self.changed().await.is_err() {
                return;
            }
        }
    }

    /// Comes back when something changed; an error if nothing can any more.
    async fn changed(&mut self) -> Result<(), RecvError> {
        tokio::select! {
            changed = self.inputs.durable.changed() => changed,
            changed = self.inputs.rules.changed() => changed,
            changed = self.others.merge.changed() => changed,
            changed = self.others.imports.changed() => changed,
            changed = self.others.restoring.changed() => changed,
            changed = self.made.changed() => changed,
        }
    }

    /// Compiles our domain if its facts or their policy are others.
    async fn take_own(&mut self) -> bool {
        let current = self.inputs.now();
        if self.own.is_of(&current) {
            return false;
        }
        let begun = self.clock.now();
        let (former, clock) = (self.own.clone(), self.clock.clone());
        let compiling = self
            .pool
            .run(move || OwnCompiled::compile(current, &clock, Some(&former)));
        match compiling.await {
            Ok(compiled) => {
                tracing::info!(
                    revision = compiled.made_of.facts.revision,
                    conflicts = compiled.compiled.conflicts.total(),
                    took_us = self.clock.now().since(begun).as_micros(),
                    "published"
                );
                self.own = Arc::new(compiled);
                self.publish_own();
                true
            }
            // What was published stays; the facts are safe in the store.
            Err(error) => {
                tracing::error!(%error, "the facts could not be compiled");
                false
            }
        }
    }

    /// Takes the domains of others if one of them says something else. Signed
    /// again or grown stale, they say what they said.
    fn take_imports(&mut self) -> bool {
        // Looked at first: what is restored by then is among the imports.
        self.is_restored = self.others.restoring.borrow_and_update().is_over();
        let imports = self.others.imports.borrow_and_update().clone();
        if say_the_same(&imports, &self.imports) {
            return false;
        }
        self.imports = imports;
        true
    }

    /// Takes what the merger made.
    fn take_made(&mut self) -> bool {
        let Some(made) = self.made.borrow_and_update().clone() else {
            return false;
        };
        let before = self.outlets.merged.borrow().clone();
        if before.is_some_and(|before| Arc::ptr_eq(&before, &made.merged)) {
            return false;
        }
        tracing::info!(
            revision = made.of.own.made_of.facts.revision,
            domains = made.of.imports.len() + 1,
            conflicts = made.merged.conflicts.total(),
            took_us = made.took.as_micros(),
            "merged"
        );
        let is_last = Arc::ptr_eq(&made.of, &self.to_merge.borrow());
        self.outlets.merged.send_replace(Some(made.merged.clone()));
        self.outlets.merging.send_modify(|merging| {
            merging.took = Some(made.took);
            // What came since then was not taken.
            merging.behind_since = (!is_last).then_some(made.begun);
        });
        true
    }

    /// Hands the merger what there is now, if it is not what it has.
    fn hand_on(&mut self) {
        let present = Present {
            own: self.own.clone(),
            imports: self.imports.clone(),
            policy: self.others.merge.borrow_and_update().clone(),
            is_complete: self.is_restored,
        };
        if present.is_same(&self.to_merge.borrow()) {
            return;
        }
        self.to_merge.send_replace(Arc::new(present));
        let now = self.clock.now();
        self.outlets.merging.send_modify(|merging| {
            merging.behind_since.get_or_insert(now);
        });
    }

    /// Tells what our domain says, and which facts it does not use.
    fn publish_own(&self) {
        let conflicts = self.own.compiled.conflicts.clone();
        self.outlets.conflicts.send_replace(Arc::new(conflicts));
        self.outlets.own.send_replace(self.own.own());
    }

    /// Publishes the views as they are now.
    fn publish(&mut self) {
        self.generation += 1;
        let others = self
            .imports
            .values()
            .map(|copy| (ViewName::Domain(copy.domain.clone()), copy.view.clone()));
        let mut views: BTreeMap<_, _> = others.collect();
        let OwnCompiled { compiled, made_of } = &*self.own;
        let own = ViewName::Domain(made_of.policy.domain.clone());
        views.insert(own, compiled.view.clone());
        let merged = self.outlets.merged.borrow().clone();
        if let Some(merged) = &merged {
            views.insert(ViewName::Merged, merged.view.clone());
        }
        self.outlets.snapshots.send_replace(Arc::new(Snapshot {
            generation: self.generation,
            revision: made_of.facts.revision,
            views,
            paths: merged.map(|merged| merged.paths.clone()),
        }));
    }
}

/// Whether domains say the same, however they came by it.
fn say_the_same(some: &Imports, others: &Imports) -> bool {
    let mut pairs = some.values().zip(others.values());
    some.len() == others.len()
        && pairs.all(|(a, b)| {
            // Our links to a plain domain are no part of its digest.
            a.domain == b.domain && a.digest == b.digest && a.ours == b.ours
        })
}
