//! What is kept of a plain domain.

use std::sync::Arc;

use bytes::Bytes;

use crate::api::s2s::{Manifest, Scope};
use crate::federation::copies::{Amount, CopyName, DomainCopy, Stated};
use crate::federation::import_error::ImportError;
use crate::federation::manifest::resources;
use crate::federation::shared::Shared;
use crate::ident::DomainLabel;
use crate::publish::View;

use super::fetch::Plain;

/// What is had of a plain domain.
pub(in crate::federation) fn copy(
    domain: &DomainLabel,
    plain: &Plain,
    amount: Amount,
) -> DomainCopy {
    DomainCopy {
        amount,
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

/// A plain domain as it is read again after a restart: its maps as we write them, named by a
/// manifest that nobody signed.
pub(in crate::federation) struct Written {
    manifest: Bytes,
    bodies: Vec<Bytes>,
    /// What it takes, in memory too.
    pub(in crate::federation) amount: Amount,
}

/// What it takes, without what is kept of it.
pub(in crate::federation) fn amount(plain: &Plain) -> Amount {
    Stated::default().of_domain(&plain.view, &plain.interconnects)
}

/// Writes a plain domain down.
///
/// # Errors
/// The program failed.
pub(in crate::federation) async fn written(
    shared: &Shared,
    domain: &DomainLabel,
    plain: &Plain,
) -> Result<Written, ImportError> {
    let (view, owner) = (plain.view.clone(), domain.clone());
    let links = plain.interconnects.clone();
    let made = shared.pool.run(move || {
        let (manifest, bodies) = unsigned(&owner, &view);
        let amount = Stated::read(&manifest).of_domain(&view, &links);
        Written {
            manifest,
            bodies,
            amount,
        }
    });
    Ok(made.await?)
}

/// Keeps it.
///
/// # Errors
/// The store failed.
pub(in crate::federation) async fn keep(
    shared: &Shared,
    domain: &DomainLabel,
    written: Written,
) -> Result<(), ImportError> {
    let Written {
        manifest,
        bodies,
        amount,
    } = written;
    let name = CopyName {
        sender: domain.clone(),
        domain: domain.clone(),
    };
    let path = [domain.clone()];
    let archive = &shared.archive;
    archive
        .keep_copy(&name, &path, manifest, false, amount, bodies)
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
        let rendering = view.rendering(resource)?;
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
