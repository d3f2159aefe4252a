//! States our domain in a manifest and signs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::interconnect::InterconnectDocument;
use crate::api::s2s::{KeyDocument, Manifest, ManifestResource, Scope};
use crate::facts::{Interconnect, Interconnects};
use crate::ident::{Digest, DomainLabel, PidName};
use crate::publish::View;

use super::key::SigningKey;
use super::sign::Compact;
use super::validity::VALID_FOR;

/// Returns the resources of a view that are read by GET, with their marks. Renders every map
/// whose marks are not known yet.
pub fn resources(view: &Arc<View>) -> Vec<ManifestResource> {
    let mut resources = Vec::new();
    for resource in view.catalog().iter() {
        if resource.marks.get().is_none() {
            let Some(rendering) = view.rendering(resource) else {
                continue;
            };
            resource.marks.get_or_init(|| rendering.finish(0).0);
        }
        resources.extend(resource.marks.get().map(|version| ManifestResource {
            resource_id: resource.id.clone(),
            media_type: resource.media_type().to_owned(),
            tag: version.tag.clone(),
            length: version.length,
            sha_256: version.digest,
        }));
    }
    resources
}

/// Returns the serial after `last`. It rises even if the clock was set back or an old backup was
/// restored.
pub fn next_serial(last: u64, now: Timestamp) -> u64 {
    let clock = u64::try_from(now.as_millisecond()).unwrap_or(0);
    clock.max(last.saturating_add(1))
}

/// What our domain states.
pub struct Statement<'a> {
    /// Our domain.
    pub domain: &'a DomainLabel,
    /// The resources of its view.
    pub resources: Vec<ManifestResource>,
    /// Its off-net PIDs.
    pub off_net: &'a BTreeSet<PidName>,
    /// Its links to others.
    pub interconnects: &'a Interconnects,
    /// Who may have it.
    pub scope: &'a Scope,
    /// The keys that count for the domain.
    pub keys: Vec<KeyDocument>,
}

/// A manifest as it was signed.
pub struct Signed {
    /// Its content.
    pub manifest: Manifest,
    /// The signed text, a compact JWS.
    pub text: String,
    /// The digest of its payload.
    pub fingerprint: Digest,
}

impl Statement<'_> {
    /// Makes the manifest and signs it.
    pub fn sign(self, serial: u64, now: Timestamp, key: &SigningKey) -> Signed {
        let manifest = Manifest {
            domain: self.domain.clone(),
            serial,
            issued: now,
            next_update: now.saturating_add(VALID_FOR).unwrap_or(Timestamp::MAX),
            scope: self.scope.clone(),
            keys: self.keys,
            interconnects: self
                .interconnects
                .iter()
                .map(|(id, link)| (id.to_string(), link_document(link)))
                .collect(),
            off_net: self.off_net.iter().map(PidName::to_string).collect(),
            resources: self.resources,
        };
        let payload = serde_json::to_vec(&manifest).unwrap_or_default();
        Signed {
            manifest,
            text: Compact::sign(key, &payload),
            fingerprint: Digest::of(&payload),
        }
    }
}

fn link_document(link: &Interconnect) -> InterconnectDocument {
    InterconnectDocument {
        border: link.border.to_string(),
        peer_domain: link.peer_domain.to_string(),
        peer_border: link.peer_border.to_string(),
        relationship: link.relationship,
        costs: link
            .costs
            .iter()
            .map(|(metric, cost)| (metric.to_string(), *cost))
            .collect(),
    }
}
