//! The merger: joins what all domains state into the merged view, one merge at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::compile::{Domain, MergePolicy, Merged, merged_view};
use crate::federation::Imports;
use crate::ident::Digest;
use crate::runtime::{Clock, Gate, Moment, Pool};

use super::own::OwnCompiled;

/// The inputs of a merge at one moment.
pub(super) struct Present {
    pub(super) own: Arc<OwnCompiled>,
    pub(super) imports: Arc<Imports>,
    pub(super) policy: Arc<MergePolicy>,
    /// Whether what peers passed before the start is among the imports, or will not come.
    pub(super) is_complete: bool,
}

/// The merged view, and what it was made from.
pub(super) struct Made {
    pub(super) of: Arc<Present>,
    pub(super) merged: Arc<Merged>,
    /// When the merge began.
    pub(super) begun: Moment,
    /// How long the merge took.
    pub(super) took: Duration,
}

/// Waits until all that was there before the start is restored, then merges whenever an input
/// changes. One merge ends before the next begins; the changes that come meanwhile are merged
/// together then.
pub(super) async fn run(
    mut presents: watch::Receiver<Arc<Present>>,
    made: watch::Sender<Option<Arc<Made>>>,
    gate: Gate,
    pool: Pool,
    clock: Clock,
) {
    if presents.wait_for(|it| it.is_complete).await.is_err() {
        return;
    }
    let mut former: Option<Arc<Merged>> = None;
    loop {
        let of = presents.borrow_and_update().clone();
        let begun = clock.now();
        gate.pass().await;
        let (present, before) = (of.clone(), former.clone());
        match pool.run(move || present.join(before.as_deref())).await {
            Ok(merged) => {
                let merged = Arc::new(merged);
                former = Some(merged.clone());
                let took = clock.now().since(begun);
                made.send_replace(Some(Arc::new(Made {
                    of,
                    merged,
                    begun,
                    took,
                })));
            }
            // What was published remains in force.
            Err(error) => tracing::error!(%error, "the domains could not be joined"),
        }
        if presents.changed().await.is_err() {
            return;
        }
    }
}

impl Present {
    /// Whether a merge would give the same result.
    pub(super) fn is_same(&self, other: &Present) -> bool {
        Arc::ptr_eq(&self.own, &other.own)
            && Arc::ptr_eq(&self.imports, &other.imports)
            && Arc::ptr_eq(&self.policy, &other.policy)
            && self.is_complete == other.is_complete
    }

    fn join(&self, former: Option<&Merged>) -> Merged {
        let mut domains = vec![self.our_domain()];
        domains.extend(self.imports.values().map(|copy| Domain {
            label: copy.domain.clone(),
            view: copy.view.clone(),
            off_net: copy.off_net.clone(),
            is_plain: copy.signed.is_none(),
            interconnects: copy.interconnects.clone(),
            digest: copy.digest.clone(),
        }));
        merged_view(&domains, &self.policy, former)
    }

    /// Returns our domain as the merged view has it: with our links to plain domains, which are
    /// configured with the peers and not stated as facts.
    fn our_domain(&self) -> Domain {
        let compiled = &self.own.compiled;
        let mut interconnects = compiled.interconnects.clone();
        let mut digest = compiled.digest.clone();
        for copy in self.imports.values() {
            if copy.ours.is_empty() {
                continue;
            }
            let stated = copy.ours.iter();
            let stated = stated.map(|(id, link)| (id.clone(), link.clone()));
            Arc::make_mut(&mut interconnects).extend(stated);
            let parts = [digest.as_str().as_bytes(), copy.digest.as_str().as_bytes()];
            digest = Digest::of_parts(&parts).into();
        }
        Domain {
            label: self.own.made_of.policy.domain.clone(),
            view: compiled.view.clone(),
            off_net: compiled.off_net.clone(),
            is_plain: false,
            interconnects,
            digest,
        }
    }
}
