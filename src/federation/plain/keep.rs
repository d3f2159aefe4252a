//! What is kept of a plain domain.

use std::sync::Arc;

use bytes::Bytes;

use crate::api::s2s::{Manifest, Scope};
use crate::federation::archive::CopyName;
use crate::federation::copy::DomainCopy;
use crate::federation::manifest::resources;
use crate::federation::refusal::Refusal;
use crate::federation::shared::Shared;
use crate::ident::DomainLabel;
use crate::publish::{Rendering, View};

use super::fetch::Plain;

/// What is had of a plain domain.
pub(in crate::federation) fn copy(domain: &DomainLabel, plain: &Plain) -> DomainCopy {
    DomainCopy {
        domain: domain.clone(),
        path: vec![domain.clone()],
        serial: plain.view.origin().serial,
        signed: None,
        view: plain.view.clone(),
        interconnects: plain.interconnects.clone(),
        ours: plain.ours.clone(),
        digest: plain.digest.clone(),
        ignored: plain.ignored.clone(),
        rewritten: Vec::new(),
    }
}

/// Keeps a plain domain as it is read again after a restart: its maps as we
/// write them, named by a manifest that nobody signed.
///
/// # Errors
/// The store failed.
pub(in crate::federation) async fn keep(
    shared: &Shared,
    domain: &DomainLabel,
    plain: &Plain,
) -> Result<(), Refusal> {
    let (view, owner) = (plain.view.clone(), domain.clone());
    let made = shared.pool.run(move || unsigned(&owner, &view));
    let (manifest, bodies) = made.await?;
    let name = CopyName {
        sender: domain.clone(),
        domain: domain.clone(),
    };
    let path = [domain.clone()];
    let archive = &shared.archive;
    archive
        .keep_copy(&name, &path, manifest, false, bodies)
        .await?;
    Ok(())
}

/// A manifest of a view that nobody signed, as a document, and the bodies that
/// it names. Ordinal costs are left out: they are made of the others.
fn unsigned(domain: &DomainLabel, view: &Arc<View>) -> (Bytes, Vec<Bytes>) {
    let ordinal = format!("{domain}:ordinal-");
    let mut stated = resources(view);
    stated.retain(|resource| !resource.resource_id.as_str().starts_with(&ordinal));
    let named = |id| stated.iter().any(|stated| stated.resource_id == id);
    let bodies = view.catalog().iter().filter(|r| named(r.id.clone()));
    let bodies = bodies.filter_map(|resource| {
        let rendering = Rendering::new(view.clone(), resource)?;
        rendering.finish(usize::MAX).1.map(Bytes::from)
    });
    let bodies = bodies.collect();
    let received = view.origin().received;
    let manifest = Manifest {
        domain: domain.clone(),
        serial: view.origin().serial,
        issued: received,
        next_update: received,
        scope: Scope::None,
        keys: Vec::new(),
        interconnects: Default::default(),
        resources: stated,
    };
    let text = serde_json::to_vec(&manifest).unwrap_or_default();
    (text.into(), bodies)
}
