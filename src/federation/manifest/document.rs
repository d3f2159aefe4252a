//! Manifests: what a domain's view is made of, in the words of its origin.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alto::json::{Tree, read};
use crate::api::interconnect::InterconnectDocument;
use crate::api::s2s::{Ignored, KeyDocument, Manifest, ManifestEntry, ManifestResource, Scope};
use crate::facts::{Interconnect, Interconnects};
use crate::federation::import_error::ImportError;
use crate::ident::{
    Digest, DomainLabel, InterconnectId, MetricName, NameError, PidName, Sha256, Tag,
};
use crate::publish::{Rendering, View};

use super::key::{PublicKey, SigningKey};
use super::sign::Compact;
use super::validity::{TOLERANCE, VALID_FOR};

/// The resources of a view that are read by GET, with their marks, which are
/// worked out where they were not before: renders every map.
pub fn resources(view: &Arc<View>) -> Vec<ManifestResource> {
    let mut resources = Vec::new();
    for resource in view.catalog().iter() {
        if resource.marks.get().is_none() {
            let Some(rendering) = Rendering::new(view.clone(), resource) else {
                continue;
            };
            resource.marks.get_or_init(|| rendering.finish(0).0);
        }
        resources.extend(resource.marks.get().map(|version| ManifestResource {
            resource_id: resource.id.clone(),
            media_type: resource.kind.media_type().to_owned(),
            tag: version.tag.clone(),
            length: version.length,
            sha_256: version.digest,
        }));
    }
    resources
}

/// The serial after `last`: no clock that was set back and no restored backup
/// makes it fall.
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
    /// Its links to others.
    pub interconnects: &'a Interconnects,
    /// Who may have it.
    pub scope: &'a Scope,
    /// The keys that count.
    pub keys: Vec<KeyDocument>,
}

/// A manifest as it was signed.
pub struct Signed {
    /// What it says.
    pub manifest: Manifest,
    /// The text with its signature.
    pub text: String,
    /// The digest of its payload.
    pub fingerprint: Digest,
}

impl Statement<'_> {
    /// The manifest of this, signed.
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

/// A manifest that came from a peer.
#[derive(Debug, Clone)]
pub struct Received {
    /// What it says.
    pub manifest: Manifest,
    /// The domains it came through: the origin first, the sender last.
    pub path: Vec<DomainLabel>,
    /// As it was signed.
    pub text: String,
    compact: Compact,
}

/// What a manifest is held against as it is received.
#[derive(Debug, Clone, Copy)]
pub struct Reception<'a> {
    /// Our domain.
    pub own: &'a DomainLabel,
    /// The peer that passes it.
    pub sender: &'a DomainLabel,
    /// How many domains it may have come through.
    pub max_path: usize,
    /// How many bytes it may have.
    pub max_bytes: usize,
}

impl Reception<'_> {
    /// Takes what a peer passes, as far as that can be judged without a key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, entry: &ManifestEntry) -> Result<Received, ImportError> {
        self.check_path(entry)?;
        if entry.manifest.len() > self.max_bytes {
            return Err(ImportError::Limit(format!(
                "the manifest has {} bytes; at most {} are taken",
                entry.manifest.len(),
                self.max_bytes
            )));
        }
        let form = |error: &dyn std::fmt::Display| ImportError::Form(error.to_string());
        let compact = Compact::parse(&entry.manifest).map_err(|error| form(&error))?;
        // A member that stands twice would be read differently elsewhere.
        read(compact.unverified(), Tree).map_err(|faults| form(&faults))?;
        let manifest: Manifest =
            serde_json::from_slice(compact.unverified()).map_err(|error| form(&error))?;
        if manifest.domain != entry.domain || manifest.serial != entry.serial {
            return Err(ImportError::Mismatch(format!(
                "the manifest is of {} with serial {}, not of {} with serial {} as the peer says",
                manifest.domain, manifest.serial, entry.domain, entry.serial
            )));
        }
        Ok(Received {
            manifest,
            path: entry.path.clone(),
            text: entry.manifest.clone(),
            compact,
        })
    }

    fn check_path(&self, entry: &ManifestEntry) -> Result<(), ImportError> {
        let path = &entry.path;
        if entry.domain == *self.own || path.contains(self.own) {
            return Err(ImportError::Loop(self.own.clone()));
        }
        let wrong = |text: String| Err(ImportError::Path(text));
        if path.len() > self.max_path {
            let (hops, most) = (path.len(), self.max_path);
            return wrong(format!(
                "its path has {hops} domains; at most {most} are taken"
            ));
        }
        if path.first() != Some(&entry.domain) {
            return wrong(format!("its path does not begin with {}", entry.domain));
        }
        if path.last() != Some(self.sender) {
            return wrong(format!(
                "its path does not end with the peer {}",
                self.sender
            ));
        }
        let twice =
            |at: usize, label: &DomainLabel| path.iter().skip(at + 1).any(|other| *other == *label);
        match path
            .iter()
            .enumerate()
            .find(|(at, label)| twice(*at, label))
        {
            Some((_, label)) => wrong(format!("its path has {label} twice")),
            None => Ok(()),
        }
    }
}

/// The newest manifest that was seen under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Highest {
    /// Its serial.
    pub serial: u64,
    /// The digest of its payload.
    pub payload: Digest,
    /// Until when it counts: those before it count no longer.
    pub until: Timestamp,
}

impl Received {
    /// The key that signed it, of those given.
    ///
    /// # Errors
    /// None of them has the thumbprint that the manifest names; or the one
    /// that has did not sign it; or the manifest itself does not state it.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<PublicKey, ImportError> {
        let kid = self.compact.kid();
        let Some(key) = keys.iter().find(|key| key.kid() == kid) else {
            return Err(ImportError::Key(format!(
                "it is signed with the key {kid}, which is not one that counts for {}; if the \
                 domain has a new key, pin it, or drop the known one with `altofed peer NAME \
                 --forget-key`",
                self.manifest.domain
            )));
        };
        self.compact.verify(key).map_err(ImportError::Signature)?;
        match self.stated_keys().contains(key) {
            true => Ok(*key),
            false => Err(ImportError::Key(
                "it is signed with a key that it does not state itself".to_owned(),
            )),
        }
    }

    /// The keys that it states: an unknown kind of key, or one whose
    /// thumbprint is another's, is none.
    pub fn stated_keys(&self) -> Vec<PublicKey> {
        let keys = self.manifest.keys.iter();
        keys.filter_map(|key| PublicKey::from_document(key).ok())
            .collect()
    }

    /// Whether `own` may have it by the way that it came. Asked once it is known who
    /// signed it: what a domain leaves us out of is withdrawn.
    ///
    /// # Errors
    /// It may not.
    pub fn check_scope(&self, own: &DomainLabel) -> Result<(), ImportError> {
        match self.manifest.scope.admits(own, self.path.len() == 1) {
            true => Ok(()),
            false => Err(ImportError::Scope(own.clone())),
        }
    }

    /// Holds it against our clock.
    ///
    /// # Errors
    /// It is signed too far ahead, or stopped counting.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), ImportError> {
        let (issued, end) = (self.manifest.issued, self.manifest.end());
        let tolerance: SignedDuration = TOLERANCE.try_into().unwrap_or_default();
        if issued.duration_since(now) > tolerance {
            return Err(ImportError::Clock {
                text: format!(
                    "it says that it was signed at {issued}, and here it is {now}: one of the \
                     clocks is wrong"
                ),
                until: issued.saturating_sub(tolerance).unwrap_or(Timestamp::MAX),
            });
        }
        if end <= now {
            return Err(ImportError::Expired {
                text: format!(
                    "it stopped counting at {end}, and here it is {now}: the origin is out of \
                     reach, or one of the clocks is wrong"
                ),
                since: end,
            });
        }
        Ok(())
    }

    /// Holds it against the newest one seen under its key.
    ///
    /// # Errors
    /// It is older, or as new and another.
    pub fn check_serial(&self, highest: Option<&Highest>) -> Result<(), ImportError> {
        let Some(highest) = highest else {
            return Ok(());
        };
        let mine = self.mark();
        match mine.serial.cmp(&highest.serial) {
            std::cmp::Ordering::Less => Err(ImportError::OldSerial {
                serial: mine.serial,
                highest: highest.serial,
            }),
            std::cmp::Ordering::Equal if mine.payload != highest.payload => {
                Err(ImportError::Equivocation(mine.serial))
            }
            _ => Ok(()),
        }
    }

    /// What is remembered of it.
    pub fn mark(&self) -> Highest {
        Highest {
            serial: self.manifest.serial,
            payload: Digest::of(self.compact.unverified()),
            until: self.manifest.end(),
        }
    }
}

/// A manifest that was verified when it was kept: a compact JWS, or the
/// document itself where it is not signed.
pub fn read_kept(text: &[u8]) -> Option<Manifest> {
    match Compact::parse(str::from_utf8(text).ok()?) {
        Ok(compact) => serde_json::from_slice(compact.unverified()).ok(),
        Err(_) => serde_json::from_slice(text).ok(),
    }
}

impl Scope {
    /// Whether a domain may have what is in this scope; `direct` says whether
    /// it comes from the origin itself.
    pub fn admits(&self, domain: &DomainLabel, direct: bool) -> bool {
        match self {
            Scope::Any => true,
            Scope::None => direct,
            Scope::Only(domains) => domains.contains(domain),
        }
    }

    /// Whether a caller of no known domain may have it from its origin.
    pub fn admits_anybody(&self) -> bool {
        matches!(self, Scope::Any | Scope::None)
    }
}

/// A hash of what a manifest states, the same for one that is only signed
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
    hasher.finish().into()
}

/// The interconnects of a manifest; what cannot be used of them is left aside.
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

/// A metric that is not known here is no reason to do without the link.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::interconnect::Relationship;
    use crate::federation::Keyring;
    use crate::federation::testing::{at, domain_view, label, links};

    fn ring() -> Keyring {
        Keyring::new(SigningKey::generate().expect("a key"), Vec::new())
    }

    /// A manifest of `isp-c` and the entry by which `path` passes it.
    fn entry(ring: &Keyring, scope: Scope, serial: u64, path: &[&str]) -> ManifestEntry {
        let now = at(0);
        let statement = Statement {
            domain: &label("isp-c"),
            resources: resources(&domain_view("isp-c")),
            interconnects: &links("isp-d"),
            scope: &scope,
            keys: ring.documents(now),
        };
        let manifest = statement.sign(serial, now, ring.signer(now)).text;
        ManifestEntry {
            domain: label("isp-c"),
            serial,
            path: path.iter().map(|name| label(name)).collect(),
            manifest,
        }
    }

    fn receive(entry: &ManifestEntry) -> Result<Received, ImportError> {
        let reception = Reception {
            own: &label("isp-a"),
            sender: &label("isp-b"),
            max_path: 3,
            max_bytes: 100_000,
        };
        reception.read(entry)
    }

    fn code<T>(result: Result<T, ImportError>) -> &'static str {
        result.err().map_or("taken", |refusal| refusal.code())
    }

    const PATH: [&str; 2] = ["isp-c", "isp-b"];

    #[test]
    fn what_is_signed_is_what_is_received() {
        let ring = ring();
        let received = receive(&entry(&ring, Scope::Any, 7, &PATH)).expect("sound");
        let key = *ring.signer(at(0)).public();
        assert_eq!(received.verify(&[key]).expect("signed"), key);
        assert_eq!(received.manifest.serial, 7);
        assert_eq!(received.manifest.next_update, at(6));
        let (read, ignored) = interconnects(&received.manifest);
        assert_eq!((read, ignored.len()), (links("isp-d"), 0));
        let view = domain_view("isp-c");
        let resources = &received.manifest.resources;
        let map = &resources[0];
        assert_eq!(map.resource_id.as_str(), "isp-c:networkmap");
        assert_eq!(map.tag, *view.network().tag());
        let rendering = Rendering::new(view.clone(), view.catalog().get("networkmap").expect("it"));
        let (_, body) = rendering.expect("a map").finish(usize::MAX);
        let body = body.expect("a body");
        assert_eq!(map.sha_256, Digest::of(&body));
        assert_eq!(map.length, body.len() as u64);
        let gets = view.catalog().iter().filter(|r| r.kind.accepts().is_none());
        assert_eq!(resources.len(), gets.count());
    }

    #[test]
    fn the_serial_never_falls() {
        let hour = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        assert_eq!(next_serial(0, hour), 3_600_000);
        assert_eq!(next_serial(3_600_000, hour), 3_600_001);
        assert_eq!(next_serial(9_000_000, hour), 9_000_001);
        assert_eq!(next_serial(0, Timestamp::MIN), 1);
    }

    #[test]
    fn a_path_that_the_sender_cannot_state_is_refused() {
        let ring = ring();
        let refused = |path: &[&str]| code(receive(&entry(&ring, Scope::Any, 1, path)));
        assert_eq!(refused(&PATH), "taken");
        assert_eq!(refused(&["isp-c", "isp-d", "isp-b"]), "taken");
        assert_eq!(refused(&["isp-c", "isp-a", "isp-b"]), "loop");
        assert_eq!(refused(&["isp-c", "isp-d", "isp-e", "isp-b"]), "path");
        assert_eq!(refused(&["isp-c", "isp-d"]), "path");
        assert_eq!(refused(&["isp-d", "isp-b"]), "path");
        assert_eq!(refused(&["isp-c", "isp-b", "isp-b"]), "path");
        assert_eq!(refused(&[]), "path");
    }

    #[test]
    fn our_own_domain_is_never_taken_from_others() {
        let entry = ManifestEntry {
            domain: label("isp-a"),
            path: vec![label("isp-b")],
            ..entry(&ring(), Scope::Any, 1, &PATH)
        };
        assert_eq!(code(receive(&entry)), "loop");
    }

    #[test]
    fn what_the_peer_says_around_a_manifest_must_be_what_it_says() {
        let good = entry(&ring(), Scope::Any, 5, &PATH);
        let serial = ManifestEntry {
            serial: 6,
            ..good.clone()
        };
        assert_eq!(code(receive(&serial)), "mismatch");
        let domain = ManifestEntry {
            domain: label("isp-d"),
            path: vec![label("isp-d"), label("isp-b")],
            ..good
        };
        assert_eq!(code(receive(&domain)), "mismatch");
    }

    #[test]
    fn a_manifest_too_large_or_with_a_member_twice_is_refused() {
        let ring = ring();
        let mut entry = entry(&ring, Scope::Any, 5, &PATH);
        let payload = br#"{"domain":"isp-c","domain":"isp-c"}"#;
        entry.manifest = Compact::sign(ring.signer(at(0)), payload);
        assert_eq!(code(receive(&entry)), "form");
        entry.manifest = "x".repeat(100_001);
        assert_eq!(code(receive(&entry)), "limit");
    }

    #[test]
    fn who_is_out_of_scope_does_not_take_it() {
        let ring = ring();
        let only = |names: &[&str]| Scope::Only(names.iter().map(|name| label(name)).collect());
        let taken = |scope, path: &[&str]| {
            let received = receive(&entry(&ring, scope, 1, path)).expect("sound");
            code(received.check_scope(&label("isp-a")))
        };
        assert_eq!(taken(only(&["isp-a"]), &PATH), "taken");
        assert_eq!(taken(only(&["isp-e"]), &PATH), "scope");
        assert_eq!(taken(Scope::None, &PATH), "scope");
        assert!(Scope::None.admits(&label("isp-a"), true));
        assert!(!only(&["isp-e"]).admits(&label("isp-a"), true));
    }

    #[test]
    fn only_a_key_that_counts_and_is_stated_verifies() {
        let (ring, other) = (ring(), ring());
        let key = *ring.signer(at(0)).public();
        let stranger = *other.signer(at(0)).public();
        let received = receive(&entry(&ring, Scope::Any, 1, &PATH)).expect("sound");
        assert_eq!(code(received.verify(&[stranger])), "key");
        assert_eq!(code(received.verify(&[])), "key");
        let statement = Statement {
            domain: &label("isp-c"),
            resources: Vec::new(),
            interconnects: &Interconnects::new(),
            scope: &Scope::Any,
            keys: other.documents(at(0)),
        };
        let manifest = statement.sign(1, at(0), ring.signer(at(0))).text;
        let unstated = ManifestEntry {
            manifest,
            ..entry(&ring, Scope::Any, 1, &PATH)
        };
        let unstated = receive(&unstated).expect("sound");
        assert_eq!(code(unstated.verify(&[key])), "key");
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_from_a_signature_that_is() {
        let received = receive(&entry(&ring(), Scope::Any, 1, &PATH)).expect("sound");
        let second = SignedDuration::from_secs(1);
        assert_eq!(code(received.check_clock(at(-2))), "taken");
        assert_eq!(code(received.check_clock(at(-2) - second)), "clock");
        assert_eq!(code(received.check_clock(at(6) - second)), "taken");
        assert_eq!(code(received.check_clock(at(6))), "expired");
    }

    #[test]
    fn an_old_serial_and_a_second_content_of_one_serial_are_refused() {
        let ring = ring();
        let received = |serial, scope| receive(&entry(&ring, scope, serial, &PATH)).expect("sound");
        let seen = received(5, Scope::Any).mark();
        let check = |received: Received| code(received.check_serial(Some(&seen)));
        assert_eq!(check(received(5, Scope::Any)), "taken");
        assert_eq!(check(received(6, Scope::Any)), "taken");
        assert_eq!(check(received(4, Scope::Any)), "old-serial");
        let other = Scope::Only([label("isp-a")].into());
        assert_eq!(check(received(5, other)), "equivocation");
        assert_eq!(code(received(1, Scope::Any).check_serial(None)), "taken");
    }

    #[test]
    fn signing_again_does_not_change_the_content() {
        let ring = ring();
        let content = |serial| {
            let received = receive(&entry(&ring, Scope::Any, serial, &PATH)).expect("sound");
            content_digest(&received.manifest)
        };
        assert_eq!(content(1), content(2));
        let mut manifest = receive(&entry(&ring, Scope::Any, 1, &PATH))
            .expect("sound")
            .manifest;
        let before = content_digest(&manifest);
        manifest.resources[0].sha_256 = Digest::ZERO;
        assert_ne!(content_digest(&manifest), before);
        let mut manifest = receive(&entry(&ring, Scope::Any, 1, &PATH))
            .expect("sound")
            .manifest;
        manifest.interconnects.clear();
        assert_ne!(content_digest(&manifest), before);
    }

    #[test]
    fn an_interconnect_that_cannot_be_used_is_left_aside_with_the_reason() {
        let ring = ring();
        let received = receive(&entry(&ring, Scope::Any, 1, &PATH)).expect("sound");
        let with = |change: &dyn Fn(&mut InterconnectDocument)| {
            let mut manifest = received.manifest.clone();
            manifest.interconnects.values_mut().for_each(change);
            let (links, ignored) = interconnects(&manifest);
            (links.len(), ignored.len())
        };
        let costing = |metric: &str, cost: f64| {
            with(&|link| {
                link.costs.insert(metric.to_owned(), cost);
            })
        };
        assert_eq!(with(&|_| {}), (1, 0));
        assert_eq!(with(&|link| link.border = "a b".into()), (0, 1));
        assert_eq!(with(&|link| link.peer_domain = "ISP-C".into()), (0, 1));
        assert_eq!(costing("routingcost", -1.0), (0, 1));
        assert_eq!(costing("hopcount", 1.5), (0, 1));
        assert_eq!(costing("colour", -1.0), (1, 0));
        assert_eq!(with(&|link| link.relationship = Relationship::Peer), (1, 0));
    }
}
