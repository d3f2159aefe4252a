//! Who may see what.
//!
//! A caller that is bound to a configured peer gets the domains that its
//! `export` names; any other gets ours alone. Nothing goes back to whom it came from or came
//! through, and nothing to whom its origin's scope leaves out.

use std::sync::Arc;

use bytes::Bytes;

use crate::api::s2s::ManifestEntry;
use crate::ident::{Digest, DomainLabel};
use crate::publish::{Rendering, Resource, View};
use crate::runtime::Pool;

use super::archive::{Archive, CopyName};
use super::copy::{DomainCopy, Imports, SignedManifest};
use super::own::IssuedManifests;
use super::refusal::Refusal;
use super::restore::Restoring;
use super::settings::Settings;

/// The representation that a digest names.
#[derive(Debug, Clone)]
pub enum Blob {
    /// What a GET of this resource of this view returns.
    Resource(Arc<View>, Resource),
    /// These bytes, of this media type.
    Bytes(String, Bytes),
}

/// What is passed on, at one moment.
pub(super) struct Export {
    pub(super) settings: Arc<Settings>,
    pub(super) issued: IssuedManifests,
    pub(super) imports: Arc<Imports>,
}

impl Export {
    /// The manifests that a caller gets: by the label of the peer that it is
    /// bound to, if it is.
    pub(super) fn entries(&self, caller: Option<&DomainLabel>) -> Vec<ManifestEntry> {
        let ours = self.ours().filter(|_| self.shows_own(caller));
        let others = self
            .shown(caller)
            .map(|(copy, signed)| self.entry(copy, signed));
        ours.map(|(entry, _)| entry)
            .into_iter()
            .chain(others)
            .collect()
    }

    /// Whether all is here that a caller gets.
    pub(super) fn is_complete(&self, caller: Option<&DomainLabel>, restoring: &Restoring) -> bool {
        let is_signed = !self.issued.is_empty() || !self.shows_own(caller);
        let own = &self.settings.own.domain;
        let wanted = |domain: &DomainLabel| {
            domain != own && caller.is_some_and(|caller| self.exports(caller, domain))
        };
        is_signed && !restoring.awaits(wanted)
    }

    /// Whether a caller gets a domain.
    pub(super) fn passes(&self, caller: Option<&DomainLabel>, domain: &DomainLabel) -> bool {
        match *domain == self.settings.own.domain {
            true => self.shows_own(caller),
            false => self.shown(caller).any(|(copy, _)| copy.domain == *domain),
        }
    }

    /// All that somebody may get: each manifest with the view that it is of.
    pub(super) fn all(&self) -> Vec<(ManifestEntry, Arc<View>)> {
        let others = self.imports.values().filter_map(|imported| {
            let copy = &*imported.copy;
            let entry = self.entry(copy, copy.signed.as_ref()?);
            Some((entry, copy.view.clone()))
        });
        self.ours().into_iter().chain(others).collect()
    }

    fn ours(&self) -> Option<(ManifestEntry, Arc<View>)> {
        let own = &self.settings.own.domain;
        let issued = self.issued.first()?;
        let entry = ManifestEntry {
            domain: own.clone(),
            serial: issued.manifest.serial,
            path: vec![own.clone()],
            manifest: issued.text.clone(),
        };
        Some((entry, issued.view.clone()))
    }

    fn entry(&self, copy: &DomainCopy, signed: &SignedManifest) -> ManifestEntry {
        let own = &self.settings.own.domain;
        ManifestEntry {
            domain: copy.domain.clone(),
            serial: copy.serial,
            path: copy.path.iter().chain([own]).cloned().collect(),
            manifest: signed.text.to_string(),
        }
    }

    /// The representation with a digest, if one of the last manifests of a
    /// domain that the caller gets names it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn blob(
        &self,
        caller: Option<&DomainLabel>,
        digest: &Digest,
        archive: &Archive,
        pool: &Pool,
    ) -> Result<Option<Blob>, Refusal> {
        let issued = self.issued.iter().filter(|_| self.shows_own(caller));
        for issued in issued {
            let named = |r: &&Resource| {
                let stated = issued.manifest.resources.iter();
                let mut stated = stated.filter(|stated| stated.sha_256 == *digest);
                stated.any(|stated| stated.resource_id == r.id)
            };
            if let Some(resource) = issued.view.catalog().iter().find(named) {
                let blob = Blob::Resource(issued.view.clone(), resource.clone());
                return Ok(Some(blob));
            }
        }
        for (copy, signed) in self.shown(caller) {
            let name = CopyName {
                sender: copy.sender().clone(),
                domain: copy.domain.clone(),
            };
            let Some(media_type) = archive.named(&name, digest).await? else {
                continue;
            };
            if let Some(bytes) = archive.blob(digest).await? {
                return Ok(Some(Blob::Bytes(media_type, bytes)));
            }
            // Ordinal costs are not fetched: what we make of the numerical
            // ones is the same, or it is nothing.
            let stated = signed.manifest.resources.iter();
            let mut stated = stated.filter(|stated| stated.sha_256 == *digest);
            let id = stated.next().map(|stated| &stated.resource_id);
            let resource = copy.view.catalog().iter().find(|r| Some(&r.id) == id);
            if let Some(resource) = resource.cloned() {
                let (view, made) = (copy.view.clone(), resource.clone());
                let is_same = pool.run(move || has_digest(&view, &made)).await?;
                if is_same.as_ref() == Some(digest) {
                    return Ok(Some(Blob::Resource(copy.view.clone(), resource)));
                }
            }
        }
        Ok(None)
    }

    fn shows_own(&self, caller: Option<&DomainLabel>) -> bool {
        let own = &self.settings.own;
        match caller.filter(|caller| self.settings.peers.contains_key(*caller)) {
            Some(peer) => own.scope.admits(peer, true) && self.exports(peer, &own.domain),
            None => own.scope.admits_anybody(),
        }
    }

    fn exports(&self, caller: &DomainLabel, domain: &DomainLabel) -> bool {
        let peer = self.settings.peers.get(caller);
        let own = &self.settings.own.domain;
        peer.is_some_and(|peer| peer.export.domains.includes(domain, own))
    }

    /// The domains of others that a caller gets.
    fn shown<'a>(
        &'a self,
        caller: Option<&'a DomainLabel>,
    ) -> impl Iterator<Item = (&'a DomainCopy, &'a SignedManifest)> + 'a {
        let copies = self.imports.values().map(|imported| &*imported.copy);
        copies.filter_map(move |copy| {
            let (caller, signed) = (caller?, copy.signed.as_ref()?);
            let may = self.exports(caller, &copy.domain)
                && !copy.path.contains(caller)
                && signed.manifest.scope.admits(caller, false);
            may.then_some((copy, signed))
        })
    }
}

/// The digest of what a GET of a resource returns.
fn has_digest(view: &Arc<View>, resource: &Resource) -> Option<Digest> {
    if let Some(version) = resource.version.get() {
        return Some(version.digest);
    }
    let (version, _) = Rendering::new(view.clone(), resource)?.finish(0);
    Some(resource.version.get_or_init(|| version).digest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::s2s::Scope;
    use crate::compile::Interconnects;
    use crate::federation::copy::Imported;
    use crate::federation::manifest::{Signed, Statement, content_digest, resources};
    use crate::federation::own::Issued;
    use crate::federation::settings::Domains;
    use crate::federation::testing::{
        at, domain_view, domain_view_with, label, peer, settings, small_store,
    };
    use crate::federation::trust::Signer;
    use crate::federation::{Keyring, SigningKey};

    fn statement(view: &Arc<View>, domain: &str, scope: &Scope) -> (Arc<Issued>, Signer) {
        let ring = Keyring::new(SigningKey::generate().expect("a key"), Vec::new());
        let statement = Statement {
            domain: &label(domain),
            resources: resources(view),
            interconnects: &Interconnects::new(),
            scope,
            keys: ring.documents(at(0)),
        };
        let Signed {
            manifest,
            text,
            fingerprint,
        } = statement.sign(1, at(0), ring.signer(at(0)));
        let issued = Issued {
            manifest,
            text,
            fingerprint,
            view: view.clone(),
        };
        let signer = Signer {
            key: *ring.signer(at(0)).public(),
            trust: crate::api::s2s::KeyTrust::Direct,
        };
        (Arc::new(issued), signer)
    }

    fn imported(path: &[&str], scope: Scope) -> (DomainLabel, Imported) {
        let view = domain_view(path[0]);
        let (issued, signer) = statement(&view, path[0], &scope);
        let copy = DomainCopy {
            domain: label(path[0]),
            path: path.iter().map(|name| label(name)).collect(),
            serial: 1,
            digest: content_digest(&issued.manifest),
            signed: Some(SignedManifest {
                manifest: Arc::new(issued.manifest.clone()),
                text: issued.text.clone().into(),
                fingerprint: issued.fingerprint,
                signer,
            }),
            view,
            interconnects: Arc::default(),
            ours: Arc::default(),
            ignored: Vec::new(),
            rewritten: Vec::new(),
        };
        let imported = Imported {
            copy: Arc::new(copy),
            stale: false,
        };
        (label(path[0]), imported)
    }

    /// What `isp-a` has of `isp-b`, and through it of `isp-c` and `isp-d`; its
    /// peers are `isp-b`, `isp-e` and `isp-f`.
    fn export(scope: Scope) -> Export {
        let mut settings = settings();
        for (name, export) in [("isp-b", "*"), ("isp-e", "*"), ("isp-f", "own")] {
            let mut peer = peer(name, "https://alto.example/");
            peer.export.domains = Domains::try_from(vec![export.to_owned()]).expect("a choice");
            settings.peers.insert(label(name), peer);
        }
        let imports = [
            imported(&["isp-b"], Scope::Any),
            imported(&["isp-c", "isp-e", "isp-b"], Scope::Any),
            imported(&["isp-d", "isp-b"], scope),
        ];
        Export {
            settings: Arc::new(settings),
            issued: [statement(&domain_view("isp-a"), "isp-a", &Scope::Any).0].into(),
            imports: Arc::new(BTreeMap::from(imports)),
        }
    }

    fn seen(export: &Export, caller: Option<&str>) -> Vec<String> {
        let caller = caller.map(label);
        let entries = export.entries(caller.as_ref());
        entries
            .iter()
            .map(|entry| entry.domain.to_string())
            .collect()
    }

    #[test]
    fn nothing_goes_back_to_whom_it_came_from_or_came_through() {
        let export = export(Scope::Any);
        assert_eq!(seen(&export, Some("isp-b")), ["isp-a"]);
        assert_eq!(seen(&export, Some("isp-e")), ["isp-a", "isp-b", "isp-d"]);
        let entries = export.entries(Some(&label("isp-e")));
        let path: Vec<_> = entries[2].path.iter().map(DomainLabel::as_str).collect();
        assert_eq!(path, ["isp-d", "isp-b", "isp-a"]);
    }

    #[test]
    fn a_caller_gets_what_its_export_names_and_an_unbound_one_ours_alone() {
        let export = export(Scope::Any);
        assert_eq!(seen(&export, Some("isp-f")), ["isp-a"]);
        assert_eq!(seen(&export, None), ["isp-a"]);
        assert_eq!(seen(&export, Some("isp-x")), ["isp-a"], "it is no peer");
    }

    #[test]
    fn what_is_out_of_scope_is_not_passed_on() {
        let only = |name| Scope::Only([label(name)].into());
        assert_eq!(
            seen(&export(Scope::None), Some("isp-e")),
            ["isp-a", "isp-b"]
        );
        let some = export(only("isp-e"));
        assert_eq!(seen(&some, Some("isp-e")), ["isp-a", "isp-b", "isp-d"]);
        let others = export(only("isp-f"));
        assert_eq!(seen(&others, Some("isp-e")), ["isp-a", "isp-b"]);
        let mut ours = export(Scope::Any);
        for (scope, peers, anybody) in [(Scope::None, 1, 1), (only("isp-e"), 0, 0)] {
            Arc::make_mut(&mut ours.settings).own.scope = scope;
            assert_eq!(seen(&ours, Some("isp-b")).len(), peers);
            assert_eq!(seen(&ours, None).len(), anybody);
        }
    }

    #[test]
    fn plain_domains_are_not_passed_on() {
        let mut export = export(Scope::Any);
        let imports = Arc::make_mut(&mut export.imports);
        let plain = imports.get_mut(&label("isp-d")).expect("there");
        Arc::make_mut(&mut plain.copy).signed = None;
        assert_eq!(seen(&export, Some("isp-e")), ["isp-a", "isp-b"]);
    }

    #[tokio::test]
    async fn a_blob_is_for_who_may_see_a_manifest_that_names_it() {
        let (_directory, store) = small_store();
        let (archive, _) = Archive::open(&store).await.expect("opened");
        let pool = Pool::new(1).expect("a pool");
        let mut export = export(Scope::Any);
        let d = export.imports[&label("isp-d")].copy.clone();
        let signed = d.signed.as_ref().expect("signed");
        let name = CopyName {
            sender: label("isp-b"),
            domain: label("isp-d"),
        };
        let text = Bytes::from(signed.text.to_string());
        let map = d.view.catalog().get("networkmap").expect("a map");
        let (version, body) = Rendering::new(d.view.clone(), map)
            .expect("a map")
            .finish(usize::MAX);
        let body = Bytes::from(body.expect("a body"));
        archive
            .keep_copy(&name, &d.path, text, true, [body.clone()])
            .await
            .expect("kept");
        let ask = async |export: &Export, caller: Option<&str>, digest: Digest| {
            let caller = caller.map(label);
            let blob = export.blob(caller.as_ref(), &digest, &archive, &pool);
            match blob.await.expect("read") {
                Some(Blob::Bytes(_, bytes)) => Some(bytes),
                Some(Blob::Resource(view, resource)) => {
                    let rendering = Rendering::new(view, &resource)?;
                    rendering.finish(usize::MAX).1.map(Bytes::from)
                }
                None => None,
            }
        };
        let e = Some("isp-e");
        assert_eq!(ask(&export, e, version.digest).await, Some(body));
        assert_eq!(ask(&export, Some("isp-f"), version.digest).await, None);
        assert_eq!(ask(&export, Some("isp-b"), version.digest).await, None);
        assert_eq!(ask(&export, None, version.digest).await, None);
        // Ordinal costs are made, and are what was signed.
        let stated = signed.manifest.resources.iter();
        for resource in stated.filter(|r| r.resource_id.as_str().contains("ordinal")) {
            let body = ask(&export, e, resource.sha_256).await.expect("made");
            assert_eq!(Digest::of(&body), resource.sha_256);
        }
        // Ours are seen by all who may, also those of the manifests before.
        let before = resources(&export.issued[0].view)[0].clone();
        let newer = domain_view_with("isp-a", 9.0);
        let newer = statement(&newer, "isp-a", &Scope::Any).0;
        export.issued = [newer, export.issued[0].clone()].into();
        for caller in [None, e, Some("isp-f")] {
            let body = ask(&export, caller, before.sha_256).await.expect("kept");
            assert_eq!(Digest::of(&body), before.sha_256);
        }
        assert_eq!(ask(&export, e, Digest::ZERO).await, None);
    }
}
