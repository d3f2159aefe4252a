//! Reads and compares what manifests state.

use std::collections::BTreeMap;

use crate::api::interconnect::InterconnectDocument;
use crate::api::s2s::{Ignored, Manifest, Scope};
use crate::facts::{Interconnect, Interconnects};
use crate::ident::{DomainLabel, InterconnectId, MetricName, NameError, PidName, Sha256, Tag};

use super::sign::Compact;

/// Reads a manifest that was verified when it was kept: a compact JWS, or the document itself if
/// it is not signed.
pub fn read_kept(text: &[u8]) -> Option<Manifest> {
    match Compact::parse(str::from_utf8(text).ok()?) {
        Ok(compact) => serde_json::from_slice(compact.unverified()).ok(),
        Err(_) => serde_json::from_slice(text).ok(),
    }
}

impl Scope {
    /// Whether a domain may have what has this scope; `direct` says whether it comes from the
    /// origin itself.
    pub fn admits(&self, domain: &DomainLabel, direct: bool) -> bool {
        match self {
            Scope::Any => true,
            Scope::None => direct,
            Scope::Only(domains) => domains.contains(domain),
        }
    }

    /// Whether a caller that belongs to no known domain may have it from its origin.
    pub fn admits_anybody(&self) -> bool {
        matches!(self, Scope::Any | Scope::None)
    }
}

/// Returns a hash of what a manifest states. It stays the same if the manifest is only signed
/// again.
pub fn content_digest(manifest: &Manifest) -> Tag {
    let mut hasher = Sha256::new();
    let mut resources: Vec<_> = manifest.resources.iter().collect();
    resources.sort_unstable_by(|a, b| a.resource_id.cmp(&b.resource_id));
    for resource in resources {
        hasher.update(resource.resource_id.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(resource.sha_256.as_bytes());
    }
    hasher.update(&serde_json::to_vec(&manifest.interconnects).unwrap_or_default());
    if !manifest.off_net.is_empty() {
        hasher.update(&serde_json::to_vec(&manifest.off_net).unwrap_or_default());
    }
    hasher.finish().into()
}

/// Returns the interconnects of a manifest, and those that cannot be used, with the reason.
pub fn interconnects(manifest: &Manifest) -> (Interconnects, Vec<Ignored>) {
    let mut links = Interconnects::new();
    let mut ignored = Vec::new();
    for (id, document) in &manifest.interconnects {
        let read = InterconnectId::new(id)
            .map_err(|error| error.to_string())
            .and_then(|id| Ok((id, link(&manifest.domain, document)?)));
        match read {
            Ok((id, link)) => drop(links.insert(id, link)),
            Err(reason) => ignored.push(Ignored {
                what: format!("interconnect {}", id.chars().take(64).collect::<String>()),
                reason,
            }),
        }
    }
    (links, ignored)
}

/// Reads one interconnect. A metric that is not known here is left out; the link stays.
fn link(domain: &DomainLabel, document: &InterconnectDocument) -> Result<Interconnect, String> {
    let text = |error: NameError| error.to_string();
    let peer_domain = DomainLabel::new(&document.peer_domain).map_err(text)?;
    if peer_domain == *domain {
        return Err("it links the domain to itself".to_owned());
    }
    let mut costs = BTreeMap::new();
    for (metric, &cost) in &document.costs {
        let Ok(metric) = MetricName::new(metric) else {
            continue;
        };
        metric
            .check()
            .check(cost)
            .map_err(|reason| format!("its {metric} is {cost}: {reason}"))?;
        costs.insert(metric, cost + 0.0);
    }
    Ok(Interconnect {
        border: PidName::new(&document.border).map_err(text)?,
        costs,
        peer_border: PidName::new(&document.peer_border).map_err(text)?,
        peer_domain,
        relationship: document.relationship,
    })
}
