//! Writes a plain domain as it is kept on the disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::api::s2s::{Manifest, Scope};
use crate::federation::copies::{DomainCopy, Holding, is_part};
use crate::federation::judge::Candidate;
use crate::federation::manifest::resources;
use crate::ident::DomainLabel;
use crate::publish::View;

/// Writes a plain domain in the form in which a restart reads it: its maps as we render them,
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

/// Returns the unsigned manifest of a view as a document, and the bodies that it names. Ordinal
/// costs are left out, since they are made from the numerical ones.
fn unsigned(domain: &DomainLabel, view: &Arc<View>) -> (Bytes, Vec<Bytes>) {
    let mut stated = resources(view);
    stated.retain(|resource| is_part(resource, domain));
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
        off_net: BTreeSet::new(),
        resources: stated,
    };
    let text = serde_json::to_vec(&manifest).unwrap_or_default();
    (text.into(), bodies)
}
