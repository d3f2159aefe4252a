//! Decides who may see which domains.
//!
//! A caller that is bound to a configured peer gets the domains that its `export` names; any
//! other caller gets only ours. A domain is never passed back to a peer that it came from or
//! through, nor to one that the scope of its origin leaves out.
//!
//! What each peer gets is a set that is updated when the settings or a domain change; a request
//! only looks it up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;

use crate::api::s2s::ManifestEntry;
use crate::follow::Edition;
use crate::ident::{Digest, DomainLabel};
use crate::publish::{Resource, View, ViewName};
use crate::runtime::{Pool, lock};
use crate::store::BlobReader;

use super::copies::{Archive, DomainCopy, Imports, Restoring};
use super::import_error::ImportError;
use super::manifest::{Issued, IssuedManifests};
use super::settings::{PeerSettings, Settings};

/// A representation, found by its digest.
#[derive(Debug)]
pub enum Blob {
    /// What a GET of this resource of this view returns.
    Resource(Arc<View>, Resource),
    /// A representation of this media type that is on the disk. The sender must first check that
    /// it matches its digest.
    Kept(String, BlobReader),
}

/// The domains that a caller gets. The `Arc` stays the same until the set changes.
pub type Passed = Arc<BTreeSet<DomainLabel>>;

/// What is passed on, kept up to date.
#[derive(Debug)]
pub(super) struct Exports {
    settings: watch::Receiver<Arc<Settings>>,
    issued: watch::Receiver<IssuedManifests>,
    used: watch::Receiver<Arc<Imports>>,
    last: Mutex<Arc<Export>>,
}

impl Exports {
    /// Watches the settings, our manifests and the copies that are used.
    pub(super) fn new(
        settings: watch::Receiver<Arc<Settings>>,
        issued: watch::Receiver<IssuedManifests>,
        used: watch::Receiver<Arc<Imports>>,
    ) -> Self {
        let first = Export::of(
            settings.borrow().clone(),
            issued.borrow().clone(),
            used.borrow().clone(),
            None,
        );
        Self {
            settings,
            issued,
            used,
            last: Mutex::new(Arc::new(first)),
        }
    }

    /// Returns what is passed on now.
    pub(super) fn now(&self) -> Arc<Export> {
        let mut last = lock(&self.last);
        let settings = self.settings.borrow().clone();
        let issued = self.issued.borrow().clone();
        let imports = self.used.borrow().clone();
        let is_last = Arc::ptr_eq(&settings, &last.settings)
            && Arc::ptr_eq(&issued, &last.issued)
            && Arc::ptr_eq(&imports, &last.imports);
        if !is_last {
            *last = Arc::new(Export::of(settings, issued, imports, Some(&last)));
        }
        last.clone()
    }

    /// Publishes what peers may get, whenever that changes. Returns when the senders are
    /// dropped.
    pub(super) async fn publish(self: Arc<Self>, publishing: watch::Sender<Edition>) {
        let (mut settings, mut issued, mut used) = (
            self.settings.clone(),
            self.issued.clone(),
            self.used.clone(),
        );
        let mut are_settings_open = true;
        let mut generation = 0;
        let mut published: Option<Arc<Export>> = None;
        loop {
            settings.mark_unchanged();
            issued.mark_unchanged();
            used.mark_unchanged();
            let export = self.now();
            if !published.is_some_and(|former| former.is_same(&export)) {
                generation += 1;
                publishing.send_replace(export.edition(generation));
            }
            published = Some(export);
            tokio::select! {
                changed = settings.changed(), if are_settings_open => {
                    are_settings_open = changed.is_ok();
                }
                changed = issued.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = used.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// What is passed on, at one moment.
#[derive(Debug)]
pub(super) struct Export {
    settings: Arc<Settings>,
    issued: IssuedManifests,
    imports: Arc<Imports>,
    /// Every domain that some peer may get.
    domains: BTreeMap<DomainLabel, Exported>,
    /// The domains that each peer gets.
    passed: BTreeMap<DomainLabel, Passed>,
    /// The domains that a caller gets which is not bound to a peer.
    passed_to_others: Passed,
}

/// A domain that some peer may get.
#[derive(Debug, Clone)]
struct Exported {
    origin: Origin,
    entry: Arc<ManifestEntry>,
    /// The entry as JSON.
    text: Bytes,
}

/// Where a domain is from.
#[derive(Debug, Clone)]
enum Origin {
    /// It is our own domain.
    Own(Arc<Issued>),
    /// A peer passed it on, by a manifest.
    Import(Arc<DomainCopy>),
}

impl Export {
    /// Works out what is passed on. What has not changed is taken from `former`, so that the
    /// work depends on what changed.
    fn of(
        settings: Arc<Settings>,
        issued: IssuedManifests,
        imports: Arc<Imports>,
        former: Option<&Export>,
    ) -> Self {
        let own = &settings.own.domain;
        let former = former.filter(|former| former.settings.own.domain == *own);
        let known = |domain: &DomainLabel| former.and_then(|former| former.domains.get(domain));
        let mut changed = Vec::new();
        let mut domains = BTreeMap::new();
        let origins = issued.first().cloned().map(Origin::Own).into_iter();
        let others = imports.values().cloned();
        let others = others.filter(|copy| copy.signed.is_some());
        for origin in origins.chain(others.map(Origin::Import)) {
            let domain = origin.domain().clone();
            let same = known(&domain).filter(|known| known.origin.is_same(&origin));
            let exported = same.cloned().unwrap_or_else(|| {
                changed.push(domain.clone());
                Exported::new(origin, own)
            });
            domains.insert(domain, exported);
        }
        let before = former.into_iter().flat_map(|former| former.domains.keys());
        changed.extend(
            before
                .filter(|domain| !domains.contains_key(*domain))
                .cloned(),
        );
        let passed = settings.peers.iter().map(|(label, peer)| {
            let may = |domain: &DomainLabel| match domains.get(domain) {
                _ if domain == own => shows_own(&settings, Some(peer)),
                Some(exported) => exported.is_for(peer, own),
                None => false,
            };
            let known = former.and_then(|former| former.passed_to(label, &settings));
            let all = [own].into_iter().chain(domains.keys());
            (label.clone(), set(known, all, &changed, may))
        });
        let known = former.filter(|former| former.settings.own.scope == settings.own.scope);
        let known = known.map(|former| former.passed_to_others.clone());
        let may = |domain: &DomainLabel| domain == own && shows_own(&settings, None);
        Self {
            passed: passed.collect(),
            passed_to_others: set(known, [own].into_iter(), &[], may),
            domains,
            issued,
            imports,
            settings: settings.clone(),
        }
    }

    /// Returns the domains that a peer gets, if they were chosen by the same rules.
    fn passed_to(&self, peer: &DomainLabel, settings: &Settings) -> Option<Passed> {
        let (before, now) = (self.settings.peers.get(peer)?, settings.peers.get(peer)?);
        let same = before.export == now.export && self.settings.own.scope == settings.own.scope;
        self.passed.get(peer).filter(|_| same).cloned()
    }

    /// Whether all peers get the same by both.
    fn is_same(&self, other: &Export) -> bool {
        let domains = self.domains.iter().zip(&other.domains);
        let passed = self.passed.iter().zip(&other.passed);
        self.domains.len() == other.domains.len()
            && self.passed.len() == other.passed.len()
            && Arc::ptr_eq(&self.passed_to_others, &other.passed_to_others)
            && domains
                .into_iter()
                .all(|((a, before), (b, now))| a == b && Arc::ptr_eq(&before.entry, &now.entry))
            && passed
                .into_iter()
                .all(|((a, before), (b, now))| a == b && Arc::ptr_eq(before, now))
    }

    /// Returns the domains that a caller gets, given the label of the peer that it is bound to,
    /// if any.
    pub(super) fn passed(&self, caller: Option<&DomainLabel>) -> &Passed {
        let peer = caller.and_then(|caller| self.passed.get(caller));
        peer.unwrap_or(&self.passed_to_others)
    }

    /// Whether everything that a caller gets is here.
    pub(super) fn is_complete(&self, caller: Option<&DomainLabel>, restoring: &Restoring) -> bool {
        let own = &self.settings.own.domain;
        let is_signed = !self.issued.is_empty() || !self.passed(caller).contains(own);
        let peer = caller.and_then(|caller| self.settings.peers.get(caller));
        let wanted = |domain: &DomainLabel| {
            domain != own && peer.is_some_and(|peer| peer.export.domains.includes(domain, own))
        };
        is_signed && !restoring.awaits(wanted)
    }

    /// Returns the manifests that a caller gets, ours first.
    pub(super) fn entries(&self, caller: Option<&DomainLabel>) -> Vec<ManifestEntry> {
        let own = &self.settings.own.domain;
        let passed = self.passed(caller);
        let ours = passed.get(own).into_iter();
        let others = passed.iter().filter(|domain| *domain != own);
        let entries = ours.chain(others).filter_map(|domain| {
            let exported = self.domains.get(domain)?;
            Some(ManifestEntry::clone(&exported.entry))
        });
        entries.collect()
    }

    /// Returns all that any peer may follow.
    fn edition(&self, generation: u64) -> Edition {
        let domains = || self.domains.iter();
        let views = domains().map(|(domain, exported)| {
            let name = ViewName::Domain(domain.clone());
            (name, exported.origin.view().clone())
        });
        let manifests = domains().map(|(domain, it)| (domain.clone(), it.text.clone()));
        Edition {
            generation,
            views: Arc::new(views.collect()),
            documents: Arc::new(manifests.collect()),
        }
    }

    /// Returns the representation with a digest, if one of the last manifests of a domain that
    /// the caller gets names it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn blob(
        &self,
        caller: Option<&DomainLabel>,
        digest: &Digest,
        archive: &Archive,
        pool: &Pool,
    ) -> Result<Option<Blob>, ImportError> {
        let passed = self.passed(caller);
        if passed.contains(&self.settings.own.domain)
            && let Some(blob) = self.own_blob(digest)
        {
            return Ok(Some(blob));
        }
        for (name, media_type) in archive.named(digest).await? {
            let used = self.imports.get(&name.domain);
            let is_used = used.is_some_and(|used| *used.sender() == name.sender);
            if is_used
                && passed.contains(&name.domain)
                && let Some(reader) = archive.blob_reader(digest).await?
            {
                return Ok(Some(Blob::Kept(media_type, reader)));
            }
        }
        for domain in passed.iter() {
            let Some((view, resource)) = self.made(domain, digest) else {
                continue;
            };
            let made = (view.clone(), resource.clone());
            let found = pool.run(move || digest_of(&made.0, &made.1)).await?;
            if found.as_ref() == Some(digest) {
                return Ok(Some(Blob::Resource(view, resource)));
            }
        }
        Ok(None)
    }

    fn own_blob(&self, digest: &Digest) -> Option<Blob> {
        self.issued.iter().find_map(|issued| {
            let named = |resource: &&Resource| {
                let mut stated = issued.manifest.resources.iter();
                stated.any(|it| it.sha_256 == *digest && it.resource_id == resource.id)
            };
            let resource = issued.view.catalog().iter().find(named)?;
            Some(Blob::Resource(issued.view.clone(), resource.clone()))
        })
    }

    /// Finds the resource of an imported domain that its manifest lists with a digest. What we
    /// make of it may differ: ordinal costs are not fetched, and those that we make of the
    /// numerical costs are either the same or not used.
    fn made(&self, domain: &DomainLabel, digest: &Digest) -> Option<(Arc<View>, Resource)> {
        let Origin::Import(copy) = &self.domains.get(domain)?.origin else {
            return None;
        };
        let mut stated = copy.signed.as_ref()?.manifest.resources.iter();
        let stated = stated.find(|stated| stated.sha_256 == *digest)?;
        let mut resources = copy.view.catalog().iter();
        let resource = resources.find(|resource| resource.id == stated.resource_id)?;
        Some((copy.view.clone(), resource.clone()))
    }
}

impl Exported {
    fn new(origin: Origin, own: &DomainLabel) -> Self {
        let entry = match &origin {
            Origin::Own(issued) => ManifestEntry {
                domain: own.clone(),
                serial: issued.manifest.serial,
                path: vec![own.clone()],
                manifest: issued.text.clone(),
            },
            Origin::Import(copy) => ManifestEntry {
                domain: copy.domain.clone(),
                serial: copy.serial,
                path: copy.path.iter().chain([own]).cloned().collect(),
                manifest: copy
                    .signed
                    .as_ref()
                    .map_or(String::new(), |signed| signed.text.to_string()),
            },
        };
        Self {
            origin,
            text: serde_json::to_vec(&entry).unwrap_or_default().into(),
            entry: Arc::new(entry),
        }
    }

    /// Whether a peer gets this imported domain; false for our own.
    fn is_for(&self, peer: &PeerSettings, own: &DomainLabel) -> bool {
        let Origin::Import(copy) = &self.origin else {
            return false;
        };
        let scope = copy.signed.as_ref().map(|signed| &signed.manifest.scope);
        peer.export.domains.includes(&copy.domain, own)
            && !copy.path.contains(&peer.domain)
            && scope.is_some_and(|scope| scope.admits(&peer.domain, false))
    }
}

impl Origin {
    fn domain(&self) -> &DomainLabel {
        match self {
            Origin::Own(issued) => &issued.manifest.domain,
            Origin::Import(copy) => &copy.domain,
        }
    }

    fn view(&self) -> &Arc<View> {
        match self {
            Origin::Own(issued) => &issued.view,
            Origin::Import(copy) => &copy.view,
        }
    }

    fn is_same(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::Own(a), Origin::Own(b)) => Arc::ptr_eq(a, b),
            (Origin::Import(a), Origin::Import(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Whether a caller gets our own domain.
fn shows_own(settings: &Settings, caller: Option<&PeerSettings>) -> bool {
    let own = &settings.own;
    match caller {
        Some(peer) => {
            own.scope.admits(&peer.domain, true)
                && peer.export.domains.includes(&own.domain, &own.domain)
        }
        None => own.scope.admits_anybody(),
    }
}

/// Returns those of the domains that a caller may have. `known` is the set before, if it was
/// chosen by the same rules; then only the changed domains are examined.
fn set<'a>(
    known: Option<Passed>,
    all: impl Iterator<Item = &'a DomainLabel>,
    changed: &[DomainLabel],
    may: impl Fn(&DomainLabel) -> bool,
) -> Passed {
    let Some(mut passed) = known else {
        return Arc::new(all.filter(|domain| may(domain)).cloned().collect());
    };
    for domain in changed {
        match (may(domain), passed.contains(domain)) {
            (true, false) => drop(Arc::make_mut(&mut passed).insert(domain.clone())),
            (false, true) => drop(Arc::make_mut(&mut passed).remove(domain)),
            _ => {}
        }
    }
    passed
}

/// Returns the digest of what a GET of a resource returns.
fn digest_of(view: &Arc<View>, resource: &Resource) -> Option<Digest> {
    if let Some(version) = resource.marks.get() {
        return Some(version.digest);
    }
    let (version, _) = view.rendering(resource)?.finish(0);
    Some(resource.marks.get_or_init(|| version).digest)
}

#[cfg(test)]
mod tests;
