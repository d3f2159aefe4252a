//! The pipeline: the only task that publishes.
//!
//! It compiles our domain and publishes its view at once. The merger then gets what our domain
//! and the others state; its result is published whenever it comes. Nothing of our domain waits
//! for it.
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
    /// The facts that are kept but not used.
    pub(super) conflicts: watch::Receiver<Arc<Conflicts>>,
    /// How the merged view was made; none before the first merge.
    pub(super) merged: watch::Receiver<Option<Arc<Merged>>>,
    /// How far the merged view is behind what the domains state.
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

/// Publishes our domain's view before it returns, and afterwards whatever becomes durable,
/// arrives from peers or changes by policy. `own` is sent what our domain states; a test can
/// hold the merger at `gate`.
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
    /// The domains of others, as published.
    imports: Arc<Imports>,
    /// Whether those from before the start are among them.
    is_restored: bool,
    /// Counts the snapshots.
    generation: u64,
    /// The result of the merger, and what it is to merge next.
    made: watch::Receiver<Option<Arc<Made>>>,
    to_merge: watch::Sender<Arc<Present>>,
    outlets: Outlets,
    pool: Pool,
    clock: Clock,
}

/// Where results are published.
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
            // Before publishing: a reader of the new views can then see that a merge is still
            // due.
            self.hand_on();
            if is_new != [false; 3] {
                self.publish();
            }
            if self.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits for a change. Returns an error when nothing can change any more.
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

    /// Compiles our domain if its facts or their policy have changed.
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
            // What was published remains in force; the facts are safe in the store.
            Err(error) => {
                tracing::error!(%error, "the facts could not be compiled");
                false
            }
        }
    }

    /// Takes the domains of others if one of them states something else. A copy that was signed
    /// again or became stale states what it stated before.
    fn take_imports(&mut self) -> bool {
        // Read first: what is restored by now is among the imports that are read next.
        self.is_restored = self.others.restoring.borrow_and_update().is_over();
        let imports = self.others.imports.borrow_and_update().clone();
        if say_the_same(&imports, &self.imports) {
            return false;
        }
        self.imports = imports;
        true
    }

    /// Takes the result of the merger.
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
            // What has arrived since the merge began is not in it.
            merging.behind_since = (!is_last).then_some(made.begun);
        });
        true
    }

    /// Sends the merger the present inputs if they differ from those it has.
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

    /// Publishes what our domain states, and which facts it does not use.
    fn publish_own(&self) {
        let conflicts = self.own.compiled.conflicts.clone();
        self.outlets.conflicts.send_replace(Arc::new(conflicts));
        self.outlets.own.send_replace(self.own.own());
    }

    /// Publishes the present views.
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
            views: Arc::new(views),
            paths: merged.map(|merged| merged.paths.clone()),
        }));
    }
}

/// Whether domains state the same, whatever their signatures and age.
fn say_the_same(some: &Imports, others: &Imports) -> bool {
    let mut pairs = some.values().zip(others.values());
    some.len() == others.len()
        && pairs.all(|(a, b)| {
            // Our links to a plain domain are not part of its digest.
            a.domain == b.domain && a.digest == b.digest && a.ours == b.ours
        })
}
