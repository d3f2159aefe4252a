//! Reads a peer that signs manifests.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::s2s::{ManifestEntry, ManifestResource, SpokenProtocol};
use crate::client::{PeerClient, PeerError, Room, Rooms};
use crate::federation::admit::Outcome;
use crate::federation::copies::{DomainCopy, Parts, Refused, SignedManifest};
use crate::federation::import_error::{ImportError, Lasts};
use crate::federation::judge::{Candidate, Verified};
use crate::federation::manifest::Via;
use crate::federation::settings::PeerSettings;
use crate::federation::shared::Shared;
use crate::ident::{Digest, DomainLabel};

use super::api::{Manifests, PeerApi};
use super::documents::{Obtained, Sources};
use super::given::{Given, Map};
use super::pending::Readings;

/// How often the manifests are read in a row if a document that they name is gone.
const ATTEMPTS: usize = 3;

/// Reads one peer repeatedly.
pub(super) struct Reader {
    shared: Arc<Shared>,
    peer: Arc<PeerSettings>,
    api: PeerApi,
    /// The entity tag of the manifests if all of them were judged for good, and the grounds of
    /// that.
    manifests: Option<(String, u64)>,
    given: Given,
}

/// An entry of the list of manifests whose domain we want.
struct Wanted {
    domain: DomainLabel,
    /// The entry as it came.
    text: Bytes,
    entry: Result<ManifestEntry, ImportError>,
}

/// What became of an entry.
enum Became {
    /// We have what it states.
    Had,
    /// It changes too much at once, and is held.
    Held,
    /// It was refused before; the next reading examines it again.
    Known,
    /// It is refused, for this long.
    Refused(Lasts),
    /// It names a document that is gone, and the peer is to be asked again at once.
    Gone,
}

/// What became of an entry that was pushed.
pub(super) enum Told {
    /// It is refused or held, and would be again.
    Known,
    /// We have what it states.
    Taken,
    /// It is refused, but may be taken later.
    Again,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, peer: Arc<PeerSettings>, client: PeerClient) -> Self {
        Self {
            api: PeerApi::new(peer.clone(), client),
            shared,
            peer,
            manifests: None,
            given: Given::default(),
        }
    }

    /// Reads the descriptor of the peer.
    ///
    /// # Errors
    /// There is none, or it is of another domain.
    pub(super) async fn describe(&mut self) -> Result<(), ImportError> {
        if self.api.describe().await? {
            // A refused manifest may be signed by a key that was not shown before.
            let own = &self.peer.domain;
            let is_own = |peer: &DomainLabel, domain: &DomainLabel| peer == own && domain == own;
            self.shared.copies.reconsider(is_own);
        }
        Ok(())
    }

    /// Returns the server-to-server API of the peer.
    pub(super) fn api(&self) -> &PeerApi {
        &self.api
    }

    /// Returns the signed copies from this peer.
    pub(super) fn copies(&self) -> Vec<Arc<DomainCopy>> {
        let mut copies = self.shared.copies.copies(&self.peer.domain);
        copies.retain(|copy| copy.signed.is_some());
        copies
    }

    /// Whether what the peer says of a domain is refused or held.
    pub(super) fn is_refused(&self, domain: &DomainLabel) -> bool {
        let copies = &self.shared.copies;
        copies.refused(&self.peer.domain, domain).is_some()
    }

    /// Whether we have what an entry from the stream states, or refused it already.
    pub(super) fn is_known(&self, domain: &DomainLabel, entry: &Bytes) -> bool {
        let refused = self.shared.copies.refused(&self.peer.domain, domain);
        let Some(refused) = refused.filter(|it| it.entry.is_some()) else {
            return self.is_had(domain, entry);
        };
        let Ok(text) = serde_json::from_slice::<&RawValue>(entry) else {
            return false;
        };
        let digest = Digest::of(text.get().as_bytes());
        refused.is_known(&digest, self.shared.clock.wall()) || self.is_had(domain, entry)
    }

    /// Returns the copy of a domain that the peer passed on.
    pub(super) fn copy(&self, domain: &DomainLabel) -> Option<Arc<DomainCopy>> {
        self.shared.copies.copy(&self.peer.domain, domain)
    }

    /// Returns the refused domains of the peer of which there is no copy.
    pub(super) fn only_refused(&self) -> Vec<DomainLabel> {
        self.shared.copies.only_refused(&self.peer.domain)
    }

    /// Returns the documents that a copy was made of; none if they exceed the present limits.
    pub(super) fn needed(&self, copy: &DomainCopy) -> Vec<ManifestResource> {
        let signed = copy.signed.iter();
        let limits = self.peer.import.limits();
        let parts = signed.filter_map(|signed| Parts::of(&signed.manifest, &limits).ok());
        parts
            .flat_map(|parts| parts.resources().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Whether we want a domain from this peer.
    pub(super) fn wants(&self, domain: &DomainLabel) -> bool {
        self.peer.import.domains.includes(domain, &self.peer.domain)
    }

    /// Whether an entry from the stream states what we have, or something older, as a reading
    /// may have been faster.
    pub(super) fn is_had(&self, domain: &DomainLabel, entry: &[u8]) -> bool {
        let Some(copy) = self.copy(domain) else {
            return false;
        };
        let Ok(entry) = serde_json::from_slice::<ManifestEntry>(entry) else {
            return false;
        };
        let is_same = |it: &SignedManifest| *it.text == *entry.manifest;
        let is_same = copy.path == entry.path && copy.signed.as_ref().is_some_and(is_same);
        entry.domain == *domain && (is_same || entry.serial < copy.serial)
    }

    /// Returns the document with a digest, if it is here.
    pub(super) async fn body(&self, digest: &Digest) -> Result<Option<Bytes>, ImportError> {
        match self.given.find(digest) {
            Some(body) => Ok(Some(body.clone())),
            None => Ok(self.shared.archive.blob(digest).await?),
        }
    }

    /// Makes room for the events of the update stream.
    pub(super) fn room(&self) -> Box<dyn Room> {
        Readings::of(&self.shared.pending, &self.peer).room()
    }

    /// Keeps a map that came on the stream until a manifest names it; returns whether there is
    /// room for it.
    pub(super) fn give(
        &mut self,
        domain: &DomainLabel,
        id: String,
        digest: Digest,
        body: Bytes,
    ) -> bool {
        // The map that it replaces makes room for it.
        self.given.remove(domain, &id);
        let pending = self.given.bytes();
        if pending.saturating_add(body.len()) > self.peer.import.max_pending {
            return false;
        }
        let bytes = body.len() as u64;
        let Some(_room) = self.shared.pending.try_take(&self.peer.domain, bytes) else {
            return false;
        };
        let map = Map {
            digest,
            body,
            _room,
        };
        self.given.insert(domain, id, map);
        true
    }

    /// Whether maps of a domain wait for its manifest.
    pub(super) fn has_given(&self, domain: &DomainLabel) -> bool {
        self.given.has(domain)
    }

    /// Drops the maps of a domain that wait for its manifest.
    pub(super) fn give_up(&mut self, domain: &DomainLabel) {
        self.given.clear_domain(domain);
    }

    /// Drops all maps that came on the stream, since the stream has ended.
    pub(super) fn give_up_all(&mut self) {
        self.given.clear();
    }

    /// # Errors
    /// More bytes came on the stream than may come before something new. All maps of all domains
    /// that are within the budgets of a peer may come before the first manifest does, and may
    /// have twice as many bytes as may wait.
    pub(super) fn check_flood(&self, bytes: usize) -> Result<(), ImportError> {
        let most = self.peer.import.max_pending.saturating_mul(2);
        if bytes > most {
            return Err(ImportError::Limit(format!(
                "the peer pushed {bytes} bytes without a new manifest among them; at most {most} are \
                 accepted, twice what may wait for one (max_pending)"
            )));
        }
        Ok(())
    }

    /// Returns the most bytes that a document may have.
    pub(super) fn max_bytes(&self) -> usize {
        self.peer.import.max_bytes
    }

    /// Runs CPU-bound work on the pool.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ImportError> {
        Ok(self.shared.pool.run(work).await?)
    }

    /// Takes an entry that came on the manifest stream of a domain. The documents that it names
    /// and that were not pushed are fetched, and counted.
    pub(super) async fn take_pushed(
        &mut self,
        followed: &DomainLabel,
        entry: Bytes,
    ) -> Result<Told, ImportError> {
        let unreadable =
            |error| ImportError::Form(format!("the entry of {followed} cannot be read: {error}"));
        let entry: Box<RawValue> = serde_json::from_slice(&entry).map_err(unreadable)?;
        let entry = self.wanted(entry).filter(|it| it.domain == *followed);
        let entry = entry.ok_or_else(|| {
            ImportError::Mismatch(format!("the entry of {followed} is of another domain"))
        })?;
        let became = self.take_entry(entry, true, false).await;
        self.give_up(followed);
        Ok(match became? {
            Became::Had => {
                let peer = &self.peer.domain;
                self.shared.copies.synced(peer, SpokenProtocol::Altofed);
                Told::Taken
            }
            Became::Refused(Lasts::Not) | Became::Gone => Told::Again,
            Became::Held | Became::Known | Became::Refused(_) => Told::Known,
        })
    }

    /// Takes an entry, unless it is known to be refused. If it names a document that is gone and
    /// the peer is asked again at once, nothing is noted of it.
    ///
    /// # Errors
    /// The peer gave no answer.
    async fn take_entry(
        &self,
        entry: Wanted,
        pushed: bool,
        may_repeat: bool,
    ) -> Result<Became, ImportError> {
        let (peer, copies) = (&self.peer.domain, &self.shared.copies);
        let Wanted {
            domain,
            text,
            entry,
        } = entry;
        let grounds = copies.grounds();
        let mut digest = None;
        let refused = || copies.refused(peer, &domain);
        if refused().is_some_and(|known| known.entry.is_some()) {
            let text = text.clone();
            let found = self.work(move || Digest::of(&text)).await?;
            let now = self.shared.clock.wall();
            match refused() {
                Some(known) if pushed && known.is_known(&found, now) => return Ok(Became::Known),
                Some(known) if known.covers(&found, now) => {
                    return Ok(Became::Refused(known.lasts));
                }
                _ => digest = Some(found),
            }
        }
        let (path, taken) = match entry {
            Ok(entry) => (entry.path.clone(), self.take(entry, pushed).await),
            Err(refusal) => (Vec::new(), Err(refusal)),
        };
        let refusal = match taken {
            Ok(Outcome::Taken) => {
                copies.confirm(peer, &domain);
                return Ok(Became::Had);
            }
            Ok(Outcome::Held) => return Ok(Became::Held),
            Err(ImportError::Client(PeerError::Status { status: 404, .. })) if may_repeat => {
                return Ok(Became::Gone);
            }
            Err(refusal) if refusal.is_absence() => return Err(refusal),
            Err(refusal) => refusal,
        };
        let digest = match digest {
            Some(digest) => digest,
            None => self.work(move || Digest::of(&text)).await?,
        };
        let refused = Refused::of(&refusal, &path, Some(digest));
        let lasts = refused.lasts;
        self.refuse(&domain, refused, grounds, &refusal);
        Ok(Became::Refused(lasts))
    }

    /// Notes a refusal, and logs it as a warning if it is new.
    fn refuse(&self, domain: &DomainLabel, refused: Refused, grounds: u64, refusal: &ImportError) {
        let (peer, code) = (&self.peer.domain, refusal.code());
        let copies = &self.shared.copies;
        copies.count(refusal);
        if copies.refuse(peer, domain, refused, grounds) {
            tracing::warn!(%peer, %domain, reason = code, "refused: {refusal}")
        } else {
            tracing::debug!(%peer, %domain, reason = code, "refused: {refusal}")
        }
    }

    /// Reads the manifests that the peer passes on, and the new documents that they name. The
    /// descriptor must have been read before. If the manifest of a domain is refused, its copy
    /// is kept.
    pub(super) async fn read(&mut self) -> Result<(), ImportError> {
        for attempt in 1..=ATTEMPTS {
            let grounds = self.shared.copies.grounds();
            self.manifests.take_if(|(_, before)| *before != grounds);
            let Some((entries, etag)) = self.manifests().await? else {
                return Ok(());
            };
            self.manifests = etag.map(|etag| (etag, grounds));
            let missing = self.take_all(entries, attempt < ATTEMPTS).await?;
            if !missing {
                break;
            }
            self.manifests = None;
        }
        Ok(())
    }

    /// Returns the manifests that the peer passes on and their entity tag; `None` if they are
    /// those that were judged.
    async fn manifests(&self) -> Result<Option<Manifests>, ImportError> {
        // A domain that was held or over a budget is to be taken now, even if nothing has
        // changed.
        let is_due = self.shared.copies.has_due(&self.peer.domain);
        let known = self.manifests.as_ref().filter(|_| !is_due);
        self.api
            .manifests(known.map(|(etag, _)| etag.as_str()))
            .await
    }

    /// Takes every manifest that is wanted; returns whether a document that one names was gone.
    async fn take_all(
        &mut self,
        entries: Vec<Box<RawValue>>,
        may_repeat: bool,
    ) -> Result<bool, ImportError> {
        let peer = self.peer.domain.clone();
        let mut passed = BTreeSet::new();
        // Whether the same manifests would be judged the same again.
        let mut lasts = true;
        for entry in entries {
            let Some(entry) = self.wanted(entry) else {
                continue;
            };
            let domain = entry.domain.clone();
            if !passed.insert(domain.clone()) {
                continue;
            }
            match self.take_entry(entry, false, may_repeat).await {
                Ok(Became::Had | Became::Held | Became::Known) => {}
                Ok(Became::Refused(Lasts::Always | Lasts::Over)) => {}
                Ok(Became::Refused(_)) => lasts = false,
                Ok(Became::Gone) => return Ok(true),
                Err(refusal) => {
                    self.manifests = None;
                    return Err(refusal);
                }
            }
        }
        // A domain that is not on the list is not for us any more, not even the peer's own.
        let keep = |domain: &DomainLabel| passed.contains(domain);
        self.shared.retain(&peer, keep).await?;
        self.shared.release_held().await?;
        if self.wants(&peer) && !passed.contains(&peer) {
            let text = "the peer does not pass its own domain to us; its `export` and `scope` \
                        must let us have it";
            let refusal = ImportError::Content(text.to_owned());
            let grounds = self.shared.copies.grounds();
            self.refuse(&peer, Refused::of(&refusal, &[], None), grounds, &refusal);
        }
        if !lasts {
            // What is refused now may be taken later without a change.
            self.manifests = None;
        }
        Ok(false)
    }

    /// Reads an entry, if we want its domain from this peer. An entry whose domain cannot be
    /// read is skipped.
    fn wanted(&self, text: Box<RawValue>) -> Option<Wanted> {
        #[derive(Deserialize)]
        struct Name {
            domain: DomainLabel,
        }
        let Name { domain } = serde_json::from_str(text.get()).ok()?;
        if !self.wants(&domain) {
            return None;
        }
        let entry = serde_json::from_str(text.get())
            .map_err(|error| ImportError::Form(format!("the entry cannot be read: {error}")));
        let text: Box<str> = text.into();
        Some(Wanted {
            domain,
            text: Bytes::from(String::from(text)),
            entry,
        })
    }

    /// Takes what the peer passes on of a domain. If it was `pushed`, the documents that it
    /// names should be here already.
    async fn take(&self, entry: ManifestEntry, pushed: bool) -> Result<Outcome, ImportError> {
        let (shared, peer) = (&self.shared, &self.peer.domain);
        let current = shared.copies.copy(peer, &entry.domain);
        let received = shared.receive(&self.peer, entry).await?;
        let via = match received.path.len() {
            1 => Via::Origin(self.api.shown()),
            _ => Via::Relay(peer),
        };
        let signer = shared.believe(via, &received).await?;
        shared.withdraw_beyond_scope(&received).await?;
        received.check_scope(&shared.settings().own.domain)?;
        let verified = Verified { received, signer };
        let manifest = &verified.received.manifest;
        if current.as_ref().is_some_and(|copy| verified.is_of(copy)) {
            shared.release(peer, &manifest.domain).await?;
            return Ok(Outcome::Taken);
        }
        let content = verified.content();
        if shared.is_still_held(&self.peer, manifest, &content).await? {
            return Ok(Outcome::Held);
        }
        let former = current.filter(|copy| copy.signed.is_some());
        let text = Bytes::from(verified.received.text.clone());
        let (copy, documents, room) = match former {
            Some(former) if former.digest == content => (verified.again(&former), Vec::new(), None),
            former => {
                shared.copies.check_over(peer, &manifest.domain, &content)?;
                let sources = Sources {
                    shared,
                    peer: &self.peer,
                    given: &self.given,
                    api: &self.api,
                };
                let obtained = sources.obtain(manifest, former.as_deref(), pushed).await?;
                let Obtained {
                    documents,
                    new,
                    room,
                } = obtained;
                let (limits, now) = (self.peer.import.limits(), shared.clock.wall());
                let judged = shared
                    .pool
                    .run(move || verified.judge(&documents, former.as_deref(), &limits, now));
                (judged.await??, new, Some(room))
            }
        };
        let candidate = Candidate {
            copy,
            manifest: text,
            documents,
        };
        let outcome = shared.admit(&self.peer, candidate, room).await?;
        if outcome == Outcome::Taken {
            shared.enforce().await?;
        }
        Ok(outcome)
    }
}
