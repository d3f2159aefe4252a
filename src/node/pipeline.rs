//! The pipeline: the only task that compiles and publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::compile::{Compiled, Conflicts, Domain, MergePolicy, Merged, domain_view, merged_view};
use crate::ingest::{Rules, Standing};
use crate::publish::{Snapshot, ViewName};
use crate::runtime::{Clock, Pool, PoolError, Task};

/// What the pipeline publishes.
pub(super) struct Published {
    /// The views in force.
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The facts that are not used.
    pub(super) conflicts: watch::Receiver<Arc<Conflicts>>,
}

/// What the last compilation left, for the next to share.
struct Former {
    domain: Compiled,
    merged: Merged,
    generation: u64,
}

/// Publishes what there is, and then whatever becomes durable or changes by
/// policy.
///
/// # Errors
/// The first compilation panicked.
pub(super) async fn start(
    mut durable: watch::Receiver<Standing>,
    mut rules: watch::Receiver<Arc<Rules>>,
    pool: Pool,
    clock: Clock,
) -> Result<(Task<()>, Published), PoolError> {
    let standing = durable.borrow_and_update().clone();
    let policy = rules.borrow_and_update().policy.clone();
    let first = compile(&pool, &clock, standing.under(&policy), None).await?;
    let (snapshots, snapshots_read) = watch::channel(Arc::new(first.0));
    let (conflicts, conflicts_read) = watch::channel(Arc::new(first.1.domain.conflicts.clone()));
    let mut former = Arc::new(first.1);
    let task = Task::spawn("pipeline", async move {
        loop {
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return },
                changed = rules.changed() => if changed.is_err() { return },
            }
            let standing = durable.borrow_and_update().clone();
            let policy = rules.borrow_and_update().policy.clone();
            let begun = clock.now();
            match compile(&pool, &clock, standing.under(&policy), Some(former.clone())).await {
                Ok((snapshot, compiled)) => {
                    tracing::info!(
                        revision = snapshot.revision,
                        generation = snapshot.generation,
                        conflicts = compiled.domain.conflicts.total(),
                        took_us = clock.now().since(begun).as_micros(),
                        "published"
                    );
                    conflicts.send_replace(Arc::new(compiled.domain.conflicts.clone()));
                    snapshots.send_replace(Arc::new(snapshot));
                    former = Arc::new(compiled);
                }
                // What was published stays; the facts are safe in the store.
                Err(error) => tracing::error!(%error, "the facts could not be compiled"),
            }
        }
    });
    let published = Published {
        snapshots: snapshots_read,
        conflicts: conflicts_read,
    };
    Ok((task, published))
}

async fn compile(
    pool: &Pool,
    clock: &Clock,
    standing: Standing,
    former: Option<Arc<Former>>,
) -> Result<(Snapshot, Former), PoolError> {
    // A restart and a change of policy make the facts no newer.
    let received = standing.facts.accepted.unwrap_or_else(|| clock.wall());
    let compiled = pool.run(move || {
        let Standing {
            facts,
            union,
            policy,
        } = &standing;
        let former = former.as_deref();
        let domain = domain_view(facts, union, policy, received, former.map(|f| &f.domain));
        let own = Domain {
            label: policy.domain.clone(),
            view: domain.view.clone(),
            interconnects: domain.interconnects.clone(),
            digest: domain.digest.clone(),
        };
        let merge = MergePolicy::new(policy.domain.clone());
        let merged = merged_view(&[own], &merge, former.map(|f| &f.merged));
        let generation = former.map_or(0, |former| former.generation) + 1;
        let own = ViewName::Domain(policy.domain.clone());
        let views = [
            (ViewName::Merged, merged.view.clone()),
            (own, domain.view.clone()),
        ];
        let snapshot = Snapshot {
            generation,
            revision: facts.revision,
            views: BTreeMap::from(views),
        };
        let former = Former {
            domain,
            merged,
            generation,
        };
        (snapshot, former)
    });
    compiled.await
}
