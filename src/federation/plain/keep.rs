//! What is kept of a plain domain.

use std::sync::Arc;

use bytes::Bytes;

use crate::api::s2s::{Manifest, Scope};
use crate::federation::copies::{DomainCopy, Holding};
use crate::federation::judge::Candidate;
use crate::federation::manifest::resources;
use crate::ident::DomainLabel;
use crate::publish::View;

use super::domain::Plain;

/// Returns the copy that a plain domain is, as far as it is charged before it is written down.
pub(in crate::federation) fn copy(domain: &DomainLabel, plain: &Plain) -> DomainCopy {
    DomainCopy {
        amount: Holding::default().of_domain(&plain.view, &plain.interconnects),
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

/// Writes a plain domain down, as it is read again after a restart: its maps as we write them,
/// named by a manifest that nobody signed. Takes CPU time in proportion to the size of the maps.
pub(in crate::federation) fn written(mut copy: DomainCopy) -> Candidate {
    let (manifest, documents) = unsigned(&copy.domain, &copy.view);
    copy.amount = Holding::read(&manifest).of_domain(&copy.view, &copy.interconnects);
    Candidate {
        copy,
        manifest,
        documents,
    }
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
