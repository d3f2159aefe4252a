//! The pipeline: the only task that compiles and publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::compile::{Compiled, Conflicts, Domain, MergePolicy, Merged, domain_view, merged_view};
use crate::federation::{Imports, OwnDomain};
use crate::ident::{Digest, DomainLabel, Tag};
use crate::ingest::{Rules, Standing};
use crate::publish::{Snapshot, ViewName};
use crate::runtime::{Clock, Pool, PoolError, Task};

/// What our domain is compiled from.
pub(super) struct Inputs {
    /// Its facts.
    pub(super) durable: watch::Receiver<Standing>,
    /// The policy for them.
    pub(super) rules: watch::Receiver<Arc<Rules>>,
}

/// What our domain is joined with.
pub(super) struct Others {
    /// The domains of others.
    pub(super) imports: watch::Receiver<Arc<Imports>>,
    /// The policy for joining them.
    pub(super) merge: watch::Receiver<Arc<MergePolicy>>,
}

/// What the pipeline publishes.
pub(super) struct Published {
    /// The views in force.
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The facts that are not used.
    pub(super) conflicts: watch::Receiver<Arc<Conflicts>>,
    /// How the merged view was made.
    pub(super) merged: watch::Receiver<Arc<Merged>>,
}

/// Our domain as it was compiled last, for the next time to share.
#[derive(Clone)]
pub(super) struct OwnCompiled {
    compiled: Arc<Compiled>,
    /// What it was compiled from.
    standing: Standing,
}

impl OwnCompiled {
    /// What our domain says.
    pub(super) fn own(&self) -> OwnDomain {
        OwnDomain {
            view: self.compiled.view.clone(),
            interconnects: self.compiled.interconnects.clone(),
        }
    }

    /// Whether it would be the same if it were compiled from this.
    fn is_of(&self, standing: &Standing) -> bool {
        Arc::ptr_eq(&self.standing.facts, &standing.facts)
            && self.standing.policy == standing.policy
    }
}

/// What the last compilation left, for the next to share.
struct Former {
    domain: OwnCompiled,
    merged: Option<Arc<Merged>>,
    generation: u64,
}

/// What there is at one moment.
struct Present {
    standing: Standing,
    imports: Arc<Imports>,
    merge: Arc<MergePolicy>,
}

impl Inputs {
    fn now(&mut self) -> Standing {
        let standing = self.durable.borrow_and_update().clone();
        let rules = self.rules.borrow_and_update().clone();
        standing.under(&rules.policy)
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
) -> Result<OwnCompiled, PoolError> {
    let (standing, clock) = (inputs.now(), clock.clone());
    pool.run(move || own_domain(&standing, &clock, None)).await
}

/// Our domain, compiled; the former one itself while it says the same, so that
/// a change of another domain has ours neither compiled nor signed again.
fn own_domain(standing: &Standing, clock: &Clock, former: Option<&OwnCompiled>) -> OwnCompiled {
    if let Some(former) = former.filter(|former| former.is_of(standing)) {
        return former.clone();
    }
    let Standing {
        facts,
        union,
        policy,
    } = standing;
    // A restart and a change of policy make the facts no newer.
    let received = facts.accepted.unwrap_or_else(|| clock.wall());
    let former = former.map(|former| &*former.compiled);
    let compiled = domain_view(facts, union, policy, received, former);
    OwnCompiled {
        compiled: Arc::new(compiled),
        standing: standing.clone(),
    }
}

/// Publishes what there is, and then whatever becomes durable, arrives from
/// peers or changes by policy. `own` is told what our domain says.
///
/// # Errors
/// The first compilation panicked.
pub(super) async fn start(
    domain: OwnCompiled,
    mut inputs: Inputs,
    mut others: Others,
    own: watch::Sender<OwnDomain>,
    pool: Pool,
    clock: Clock,
) -> Result<(Task<()>, Published), PoolError> {
    let former = Former {
        domain,
        merged: None,
        generation: 0,
    };
    let present = at_present(&mut inputs, &mut others);
    let (snapshot, merged, former) = compile(&pool, &clock, present, Arc::new(former)).await?;
    let (snapshots, snapshots_read) = watch::channel(Arc::new(snapshot));
    let first_conflicts = Arc::new(former.domain.compiled.conflicts.clone());
    let (conflicts, conflicts_read) = watch::channel(first_conflicts);
    let (merges, merges_read) = watch::channel(merged);
    let mut former = Arc::new(former);
    let task = Task::spawn("pipeline", async move {
        let mut joined = contents(&others.imports.borrow());
        while let Ok(what) = changed(&mut inputs, &mut others).await {
            let now = contents(&others.imports.borrow_and_update());
            // Signed again or grown stale, domains say what they said.
            if what == Changed::Imports && now == joined {
                continue;
            }
            joined = now;
            let begun = clock.now();
            let present = at_present(&mut inputs, &mut others);
            match compile(&pool, &clock, present, former.clone()).await {
                Ok((snapshot, merged, compiled)) => {
                    tracing::info!(
                        revision = snapshot.revision,
                        generation = snapshot.generation,
                        domains = snapshot.views.len() - 1,
                        conflicts = compiled.domain.compiled.conflicts.total(),
                        took_us = clock.now().since(begun).as_micros(),
                        "published"
                    );
                    conflicts.send_replace(Arc::new(compiled.domain.compiled.conflicts.clone()));
                    merges.send_replace(merged);
                    own.send_replace(compiled.domain.own());
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
        merged: merges_read,
    };
    Ok((task, published))
}

fn at_present(inputs: &mut Inputs, others: &mut Others) -> Present {
    Present {
        standing: inputs.now(),
        imports: others.imports.borrow_and_update().clone(),
        merge: others.merge.borrow_and_update().clone(),
    }
}

/// What domains say, by digest.
fn contents(imports: &Imports) -> Vec<(DomainLabel, Tag)> {
    let copies = imports.values().map(|imported| &imported.copy);
    copies
        .map(|copy| (copy.domain.clone(), copy.digest.clone()))
        .collect()
}

/// What there is another of.
#[derive(PartialEq)]
enum Changed {
    /// What domains of others say, or only how they say it.
    Imports,
    /// Anything else.
    Other,
}

/// Comes back when something changed; an error if nothing can any more.
async fn changed(
    inputs: &mut Inputs,
    others: &mut Others,
) -> Result<Changed, watch::error::RecvError> {
    tokio::select! {
        biased;
        changed = inputs.durable.changed() => changed.map(|()| Changed::Other),
        changed = inputs.rules.changed() => changed.map(|()| Changed::Other),
        changed = others.merge.changed() => changed.map(|()| Changed::Other),
        changed = others.imports.changed() => changed.map(|()| Changed::Imports),
    }
}

/// Our domain as the merged view has it: with our links to plain domains,
/// which are configured with the peers and not stated as facts.
fn joined(present: &Present, domain: &Compiled) -> Domain {
    let mut interconnects = domain.interconnects.clone();
    let mut digest = domain.digest.clone();
    for imported in present.imports.values() {
        if imported.copy.ours.is_empty() {
            continue;
        }
        let stated = imported.copy.ours.iter();
        let stated = stated.map(|(id, link)| (id.clone(), link.clone()));
        Arc::make_mut(&mut interconnects).extend(stated);
        let parts = [
            digest.as_str().as_bytes(),
            imported.copy.digest.as_str().as_bytes(),
        ];
        digest = Digest::of_parts(&parts).into();
    }
    Domain {
        label: present.standing.policy.domain.clone(),
        view: domain.view.clone(),
        interconnects,
        digest,
    }
}

async fn compile(
    pool: &Pool,
    clock: &Clock,
    present: Present,
    former: Arc<Former>,
) -> Result<(Snapshot, Arc<Merged>, Former), PoolError> {
    let clock = clock.clone();
    let compiled = pool.run(move || {
        let domain = own_domain(&present.standing, &clock, Some(&former.domain));
        let mut domains = vec![joined(&present, &domain.compiled)];
        domains.extend(present.imports.values().map(|imported| Domain {
            label: imported.copy.domain.clone(),
            view: imported.copy.view.clone(),
            interconnects: imported.copy.interconnects.clone(),
            digest: imported.copy.digest.clone(),
        }));
        let merged = merged_view(&domains, &present.merge, former.merged.as_deref());
        let merged = Arc::new(merged);
        let views = domains
            .into_iter()
            .map(|domain| (ViewName::Domain(domain.label), domain.view));
        let mut views: BTreeMap<_, _> = views.collect();
        views.insert(ViewName::Merged, merged.view.clone());
        let generation = former.generation + 1;
        let snapshot = Snapshot {
            generation,
            revision: present.standing.facts.revision,
            views,
            manifests: BTreeMap::new(),
        };
        let former = Former {
            domain,
            merged: Some(merged.clone()),
            generation,
        };
        (snapshot, merged, former)
    });
    compiled.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Facts, Policy};

    fn policy(priority: i64) -> Policy {
        let source = "noc".parse().expect("a source");
        Policy {
            domain: DomainLabel::new("isp-a").expect("a label"),
            priorities: [(source, priority)].into(),
        }
    }

    #[test]
    fn our_domain_is_another_only_when_its_facts_or_their_policy_are() {
        let clock = Clock::system();
        let first = Standing::new(Arc::new(Facts::default()), policy(0));
        let compiled = own_domain(&first, &clock, None);
        let again = own_domain(&first.under(&policy(0)), &clock, Some(&compiled));
        assert!(Arc::ptr_eq(&again.own().view, &compiled.own().view));

        let written = Facts {
            revision: 1,
            ..Facts::default()
        };
        for standing in [
            first.under(&policy(1)),
            Standing::new(Arc::new(written), policy(0)),
        ] {
            let other = own_domain(&standing, &clock, Some(&compiled));
            assert!(!Arc::ptr_eq(&other.own().view, &compiled.own().view));
            assert_eq!(other.own().view.origin().serial, standing.facts.revision);
            let again = own_domain(&standing, &clock, Some(&other));
            assert!(Arc::ptr_eq(&again.own().view, &other.own().view));
        }
    }
}
