//! One reading of a peer that signs manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use crate::alto::media;
use crate::api::s2s::{
    Descriptor, Manifest, ManifestEntry, ManifestResource, SpokenProtocol, UPDATES,
};
use crate::client::{Answer, Ask, Connection, PeerClient, PeerError, Room, Rooms, shown};
use crate::federation::copies::{
    CopyName, DomainCopy, Former, Import, Outcome, Parts, Refused, SignedManifest, Stated, import,
};
use crate::federation::import_error::{ImportError, Lasts};
use crate::federation::manifest::{Received, Reception, Signer, Via, content_digest};
use crate::federation::settings::PeerSettings;
use crate::federation::shared::Shared;
use crate::ident::{Digest, DomainLabel};

use super::given::{Given, Map};
use super::pending::Readings;

mod descriptor;

/// How long the documents of one domain may take together: others wait for the room.
const PENDING_FOR: Duration = Duration::from_secs(15 * 60);

/// How often the manifests are read in a row when what they name is gone.
const ATTEMPTS: usize = 3;

/// Reads one peer, again and again.
pub(in crate::federation) struct Reader {
    shared: Arc<Shared>,
    peer: Arc<PeerSettings>,
    client: PeerClient,
    descriptor: Option<Descriptor>,
    /// Where it was found, if not at the well-known place.
    announced: Option<Url>,
    /// The entity tag of the manifests that were all judged, and the grounds of
    /// that.
    manifests: Option<(String, u64)>,
    given: Given,
}

/// The manifests that a peer passes, and their entity tag.
type Manifests = (Vec<Box<RawValue>>, Option<String>);

/// An entry of the manifests, of a domain that we want.
struct Wanted {
    domain: DomainLabel,
    /// As it came.
    text: Bytes,
    entry: Result<ManifestEntry, ImportError>,
}

/// What came of an entry.
enum Judged {
    /// What it says is had.
    Had,
    /// It changes too much at once, and is held.
    Held,
    /// It was refused before: the next reading looks at it again.
    Known,
    /// It is refused, for this long.
    Refused(Lasts),
    /// It names what is gone, and the peer is to be asked again at once.
    Gone,
}

/// What came of an entry that was pushed.
pub(in crate::federation) enum Told {
    /// Nothing: it is refused or held, and will be.
    Known,
    /// What it says is had.
    Taken,
    /// It is refused, and may be taken later.
    Again,
}

impl Reader {
    pub(in crate::federation) fn new(
        shared: Arc<Shared>,
        peer: Arc<PeerSettings>,
        client: PeerClient,
    ) -> Self {
        Self {
            shared,
            peer,
            client,
            descriptor: None,
            announced: None,
            manifests: None,
            given: Given::default(),
        }
    }

    /// Whether the peer has an update stream.
    pub(in crate::federation) fn has_updates(&self) -> bool {
        let mut features = self.descriptor.iter().flat_map(|known| &known.features);
        features.any(|feature| feature == UPDATES)
    }

    /// Where the peer's update stream is.
    pub(in crate::federation) fn updates(&self) -> Result<Url, ImportError> {
        self.s2s("updates")
    }

    pub(in crate::federation) fn connection(&self) -> Connection {
        self.client.connection()
    }

    /// What is had of the peer by manifests.
    pub(in crate::federation) fn copies(&self) -> Vec<Arc<DomainCopy>> {
        let mut copies = self.shared.copies.copies(&self.peer.domain);
        copies.retain(|copy| copy.signed.is_some());
        copies
    }

    /// Whether what the peer says of a domain is refused, or held.
    pub(in crate::federation) fn is_refused(&self, domain: &DomainLabel) -> bool {
        let copies = &self.shared.copies;
        copies.refused(&self.peer.domain, domain).is_some()
    }

    /// Whether what the stream of a domain brings is had, or was refused already.
    pub(in crate::federation) fn is_known(&self, domain: &DomainLabel, entry: &Bytes) -> bool {
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

    /// What is had of a domain by a manifest that the peer passed.
    pub(in crate::federation) fn copy(&self, domain: &DomainLabel) -> Option<Arc<DomainCopy>> {
        self.shared.copies.copy(&self.peer.domain, domain)
    }

    /// The domains that the peer passes and that are refused, nothing being had of
    /// them.
    pub(in crate::federation) fn only_refused(&self) -> Vec<DomainLabel> {
        self.shared.copies.only_refused(&self.peer.domain)
    }

    /// The documents that a domain is made of; none that would not be taken by now.
    pub(in crate::federation) fn needed(&self, copy: &DomainCopy) -> Vec<ManifestResource> {
        let signed = copy.signed.iter();
        let limits = self.peer.import.limits();
        let parts = signed.filter_map(|signed| Parts::of(&signed.manifest, &limits).ok());
        parts
            .flat_map(|parts| parts.resources().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Whether we want a domain from this peer.
    pub(in crate::federation) fn wants(&self, domain: &DomainLabel) -> bool {
        self.peer.import.domains.includes(domain, &self.peer.domain)
    }

    /// Whether what the stream of a domain brings is what is had of it, or older: a
    /// reading may have been faster.
    pub(in crate::federation) fn is_had(&self, domain: &DomainLabel, entry: &[u8]) -> bool {
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

    /// The document with a digest, if it is here.
    pub(in crate::federation) async fn body(
        &self,
        digest: &Digest,
    ) -> Result<Option<Bytes>, ImportError> {
        match self.given.find(digest) {
            Some(body) => Ok(Some(body.clone())),
            None => Ok(self.shared.archive.blob(digest).await?),
        }
    }

    /// Room for the events of the update stream.
    pub(in crate::federation) fn room(&self) -> Box<dyn Room> {
        Readings::of(&self.shared.pending, &self.peer).room()
    }

    /// Keeps a map of a domain that came on the stream until a manifest names it; whether
    /// there is room for it.
    pub(in crate::federation) fn give(
        &mut self,
        domain: &DomainLabel,
        id: String,
        digest: Digest,
        body: Bytes,
    ) -> bool {
        // What it replaces makes room for it.
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
    pub(in crate::federation) fn has_given(&self, domain: &DomainLabel) -> bool {
        self.given.has(domain)
    }

    /// Keeps nothing any longer that came of a domain.
    pub(in crate::federation) fn give_up(&mut self, domain: &DomainLabel) {
        self.given.clear_domain(domain);
    }

    /// Keeps nothing any longer that came on the stream: it is no more.
    pub(in crate::federation) fn give_up_all(&mut self) {
        self.given.clear();
    }

    /// # Errors
    /// So many bytes came on the stream since it told something new. All maps of all domains
    /// that are within the budgets of a peer may come before the first manifest does, and have
    /// twice as many as may wait.
    pub(in crate::federation) fn check_flood(&self, bytes: usize) -> Result<(), ImportError> {
        let most = self.peer.import.max_pending.saturating_mul(2);
        if bytes > most {
            return Err(ImportError::Limit(format!(
                "the peer pushed {bytes} bytes, and no manifest among them that tells something \
                 new; at most {most} are taken, twice what may wait for one (max_pending)"
            )));
        }
        Ok(())
    }

    /// How many bytes a document may have.
    pub(in crate::federation) fn max_bytes(&self) -> usize {
        self.peer.import.max_bytes
    }

    /// Does work that takes long.
    pub(in crate::federation) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ImportError> {
        Ok(self.shared.pool.run(work).await?)
    }

    /// Takes an entry of the manifests that came on the stream of a domain. What it
    /// names and did not come is fetched, and counted.
    pub(in crate::federation) async fn take_pushed(
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
        let judged = self.judge(entry, true, false).await;
        self.give_up(followed);
        Ok(match judged? {
            Judged::Had => {
                let peer = &self.peer.domain;
                self.shared.copies.synced(peer, SpokenProtocol::Altofed);
                Told::Taken
            }
            Judged::Refused(Lasts::Not) | Judged::Gone => Told::Again,
            Judged::Held | Judged::Known | Judged::Refused(_) => Told::Known,
        })
    }

    /// Takes what the peer passes of a domain, unless it is known to be refused.
    /// Nothing is noted of what names a document that is gone if the peer is asked
    /// again at once.
    ///
    /// # Errors
    /// The peer gave no answer.
    async fn judge(
        &self,
        entry: Wanted,
        pushed: bool,
        may_repeat: bool,
    ) -> Result<Judged, ImportError> {
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
                Some(known) if pushed && known.is_known(&found, now) => return Ok(Judged::Known),
                Some(known) if known.covers(&found, now) => {
                    return Ok(Judged::Refused(known.lasts));
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
                return Ok(Judged::Had);
            }
            Ok(Outcome::Held) => return Ok(Judged::Held),
            Err(ImportError::Client(PeerError::Status { status: 404, .. })) if may_repeat => {
                return Ok(Judged::Gone);
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
        Ok(Judged::Refused(lasts))
    }

    /// Notes what was refused, and tells of it if it is news.
    fn refuse(&self, domain: &DomainLabel, refused: Refused, grounds: u64, refusal: &ImportError) {
        let (peer, code) = (&self.peer.domain, refusal.code());
        let copies = &self.shared.copies;
        copies.count(refusal);
        match copies.refuse(peer, domain, refused, grounds) {
            true => tracing::warn!(%peer, %domain, reason = code, "refused: {refusal}"),
            false => tracing::debug!(%peer, %domain, reason = code, "refused: {refusal}"),
        }
    }

    /// Reads the manifests that the peer passes, and what they name that is
    /// new; its descriptor must have been read. A domain whose manifest is refused keeps what was had of it.
    pub(in crate::federation) async fn read(&mut self) -> Result<(), ImportError> {
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

    /// The manifests that the peer passes and their entity tag; none if they are
    /// those that were judged.
    async fn manifests(&self) -> Result<Option<Manifests>, ImportError> {
        let url = self.s2s("manifests")?;
        // What was held or over is to be taken now, though nothing is another.
        let is_due = self.shared.copies.has_due(&self.peer.domain);
        let known = self.manifests.as_ref().filter(|_| !is_due);
        let ask = Ask {
            known: known.map(|(etag, _)| etag.as_str()),
            max_bytes: Some(self.peer.import.max_bytes),
            ..Ask::new(&url, media::JSON)
        };
        let Answer::Document(found) = self.client.get(ask).await? else {
            return Ok(None);
        };
        let entries: Vec<Box<RawValue>> = read(&url, &found.body)?;
        if entries.len() > self.peer.import.max_domains {
            return Err(ImportError::Limit(format!(
                "the peer passes {} domains; at most {} are taken (max_domains)",
                entries.len(),
                self.peer.import.max_domains
            )));
        }
        Ok(Some((entries, found.etag)))
    }

    /// Takes every manifest that is wanted; whether a body was missing that
    /// one names.
    async fn take_all(
        &mut self,
        entries: Vec<Box<RawValue>>,
        may_repeat: bool,
    ) -> Result<bool, ImportError> {
        let peer = self.peer.domain.clone();
        let mut passed = BTreeSet::new();
        // Whether the same manifests would be judged the same.
        let mut lasts = true;
        for entry in entries {
            let Some(entry) = self.wanted(entry) else {
                continue;
            };
            let domain = entry.domain.clone();
            if !passed.insert(domain.clone()) {
                continue;
            }
            match self.judge(entry, false, may_repeat).await {
                Ok(Judged::Had | Judged::Held | Judged::Known) => {}
                Ok(Judged::Refused(Lasts::Always | Lasts::Over)) => {}
                Ok(Judged::Refused(_)) => lasts = false,
                Ok(Judged::Gone) => return Ok(true),
                Err(refusal) => {
                    self.manifests = None;
                    return Err(refusal);
                }
            }
        }
        // What is not on the list is not for us any more, the peer's own domain too.
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
            // What is refused now may be taken later, though it did not change.
            self.manifests = None;
        }
        Ok(false)
    }

    /// An entry, if we want its domain from this peer. One whose domain cannot be
    /// read is passed over.
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

    /// Takes what the peer passes of a domain. What it names should be here if
    /// it was `pushed`.
    async fn take(&self, entry: ManifestEntry, pushed: bool) -> Result<Outcome, ImportError> {
        let peer = &self.peer.domain;
        let current = self.shared.copies.copy(peer, &entry.domain);
        let received = self.receive(entry).await?;
        let relay = Via::Relay(peer);
        let via = match received.path.len() {
            1 => Via::Origin(self.shown()),
            _ => relay,
        };
        let signer = self.shared.admit(via, &received).await?;
        self.shared.withdraw_beyond_scope(&received).await?;
        received.check_scope(&self.shared.settings().own.domain)?;
        let same = current.as_ref().filter(|copy| {
            let signed = copy.signed.as_ref();
            // A pin that came or went changes why the same key is trusted.
            let is_same = |it: &SignedManifest| *it.text == *received.text && it.signer == signer;
            signed.is_some_and(is_same) && copy.path == received.path
        });
        let domain = received.manifest.domain.clone();
        if same.is_some() {
            self.shared.release(peer, &domain).await?;
            return Ok(Outcome::Taken);
        }
        let digest = content_digest(&received.manifest);
        let shared = &self.shared;
        if shared
            .is_still_held(&self.peer, &received.manifest, &digest)
            .await?
        {
            return Ok(Outcome::Held);
        }
        let known = current.as_ref().filter(|copy| copy.signed.is_some());
        let mut room = None;
        let (import, bodies) = match known.filter(|copy| copy.digest == digest) {
            Some(copy) => (unchanged(copy), Vec::new()),
            None => {
                shared.copies.check_over(peer, &domain, &digest)?;
                let known = known.cloned();
                let wanted = self.wanted_of(&received.manifest, known.as_deref())?;
                // Until they are kept.
                room = Some(shared.pending.take(peer, self.missing(&wanted)).await?);
                let had = self.bodies(&wanted, pushed);
                let had = self.shared.clock.timeout(PENDING_FOR, had).await;
                let (bodies, fetched) = had.unwrap_or_else(|_| Err(self.too_slow()))?;
                (self.import(&received, known, bodies).await?, fetched)
            }
        };
        let text = Bytes::from(received.text.clone());
        let copy = signed_copy(received, signer, import);
        let copies = &shared.copies;
        let _room = copies.offer(peer, &domain, &copy.digest, copy.amount)?;
        if shared.brake(&self.peer, &copy).await? == Outcome::Held {
            return Ok(Outcome::Held);
        }
        let name = CopyName {
            sender: peer.clone(),
            domain,
        };
        let archive = &shared.archive;
        archive
            .keep_copy(&name, &copy.path, text, true, copy.amount, bodies)
            .await?;
        drop(room);
        tracing::info!(%peer, domain = %name.domain, serial = copy.serial, "taken");
        shared.copies.take(copy);
        archive.drop_held(&name).await?;
        shared.enforce().await?;
        Ok(Outcome::Taken)
    }

    async fn receive(&self, entry: ManifestEntry) -> Result<Received, ImportError> {
        let settings = self.shared.settings();
        let peer = self.peer.clone();
        let read = self.shared.pool.run(move || {
            let reception = Reception {
                own: &settings.own.domain,
                sender: &peer.domain,
                max_path: peer.import.max_path,
                max_bytes: peer.import.limits().max_manifest_bytes,
            };
            reception.read(&entry)
        });
        read.await?
    }

    /// The resources that a domain is made of and that are not as they were.
    fn wanted_of(
        &self,
        manifest: &Manifest,
        former: Option<&DomainCopy>,
    ) -> Result<Vec<ManifestResource>, ImportError> {
        let parts = Parts::of(manifest, &self.peer.import.limits())?;
        let former = former.and_then(former_of);
        let is_known = |resource: &ManifestResource| {
            former.as_ref().is_some_and(|former| former.has(resource))
        };
        let wanted = parts.resources().filter(|resource| !is_known(resource));
        Ok(wanted.cloned().collect())
    }

    /// How many bytes of these did not come on the stream.
    fn missing(&self, wanted: &[ManifestResource]) -> u64 {
        let missing = wanted.iter();
        let missing = missing.filter(|resource| self.given.find(&resource.sha_256).is_none());
        missing.fold(0, |sum, resource| sum.saturating_add(resource.length))
    }

    fn too_slow(&self) -> ImportError {
        ImportError::Client(PeerError::Timeout {
            url: shown(&self.peer.directory),
            limit: PENDING_FOR,
        })
    }

    /// The bodies of these, and those of them that are not kept yet.
    async fn bodies(
        &self,
        wanted: &[ManifestResource],
        pushed: bool,
    ) -> Result<(BTreeMap<Digest, Bytes>, Vec<Bytes>), ImportError> {
        let mut bodies = BTreeMap::new();
        let mut fetched = Vec::new();
        for resource in wanted {
            let digest = resource.sha_256;
            if let Some(body) = self.given.find(&digest) {
                fetched.push(body.clone());
                bodies.insert(digest, body.clone());
                continue;
            }
            let body = match self.shared.archive.blob(&digest).await? {
                Some(body) => body,
                None => {
                    if pushed {
                        self.shared.copies.count_unpushed();
                    }
                    let url = self.s2s(&format!("blobs/{digest}"))?;
                    let here: usize = fetched.iter().map(Bytes::len).sum();
                    let room = resource.length.saturating_add(here as u64);
                    self.shared.archive.check_room(room)?;
                    let limit = usize::try_from(resource.length).unwrap_or(usize::MAX);
                    let ask = Ask {
                        max_bytes: Some(limit),
                        ..Ask::new(&url, &resource.media_type)
                    };
                    let body = self.fetch(ask).await?;
                    if Digest::of(&body) != digest {
                        let id = &resource.resource_id;
                        let text = format!("{id} is not as it was signed; its digest is another");
                        return Err(ImportError::Digest(text));
                    }
                    fetched.push(body.clone());
                    body
                }
            };
            bodies.insert(digest, body);
        }
        Ok((bodies, fetched))
    }

    /// The domain that a manifest is of.
    async fn import(
        &self,
        received: &Received,
        former: Option<Arc<DomainCopy>>,
        bodies: BTreeMap<Digest, Bytes>,
    ) -> Result<Import, ImportError> {
        let manifest = received.manifest.clone();
        let (limits, now) = (self.peer.import.limits(), self.shared.clock.wall());
        let imported = self.shared.pool.run(move || {
            let former = former.as_deref().and_then(former_of);
            import(&manifest, &bodies, former, &limits, now)
        });
        imported.await?
    }

    async fn fetch(&self, ask: Ask<'_>) -> Result<Bytes, ImportError> {
        match self.client.get(ask).await? {
            Answer::Document(document) => Ok(document.body),
            Answer::NotModified => Err(ImportError::Peer(format!(
                "{} is said to be known, and was not asked for so",
                ask.url
            ))),
        }
    }

    /// A URL of the peer's server-to-server API.
    fn s2s(&self, path: &str) -> Result<Url, ImportError> {
        let base = self.descriptor.as_ref().map(|known| &known.s2s);
        let base = base
            .map_or("/s2s/v1/", String::as_str)
            .trim_end_matches('/');
        self.join(&self.peer.directory, &format!("{base}/{path}"))
    }

    fn join(&self, base: &Url, reference: &str) -> Result<Url, ImportError> {
        let url = base.join(reference).map_err(|error| {
            ImportError::Peer(format!("{reference:?} of the peer is no URI: {error}"))
        })?;
        self.client.check_url(&url)?;
        Ok(url)
    }
}

/// A copy of what was imported by a manifest.
pub(in crate::federation) fn signed_copy(
    received: Received,
    signer: Signer,
    import: Import,
) -> DomainCopy {
    let stated = Stated::by(&received.manifest, received.text.len());
    let amount = stated.of_domain(&import.view, &import.interconnects);
    DomainCopy {
        amount,
        domain: received.manifest.domain.clone(),
        serial: received.manifest.serial,
        digest: content_digest(&received.manifest),
        signed: Some(SignedManifest {
            fingerprint: received.mark().payload,
            manifest: Arc::new(received.manifest),
            text: received.text.into(),
            signer,
        }),
        path: received.path,
        ours: Arc::default(),
        view: import.view,
        interconnects: import.interconnects,
        ignored: import.ignored,
        rewritten: import.rewritten,
    }
}

/// What was imported before, as it is: signed again, a domain is no other.
fn unchanged(copy: &DomainCopy) -> Import {
    Import {
        view: copy.view.clone(),
        interconnects: copy.interconnects.clone(),
        ignored: copy.ignored.clone(),
        rewritten: copy.rewritten.clone(),
    }
}

fn former_of(copy: &DomainCopy) -> Option<Former<'_>> {
    let signed = copy.signed.as_ref()?;
    Some(Former {
        manifest: &signed.manifest,
        view: &copy.view,
    })
}

/// Reads a document of the peer. One that cannot be read is no document of
/// the kind that was asked for.
fn read<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(body)
        .map_err(|error| ImportError::Form(format!("{url} cannot be read: {error}")))
}
