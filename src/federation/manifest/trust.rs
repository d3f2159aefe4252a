//! Decides which keys count for a domain.
//!
//! A pinned key counts; else the keys that the domain itself showed; else the keys that the
//! relaying peer vouches for. The set of keys that a manifest states replaces every known set
//! that contains the key that signed it, and no other: a new key is trusted only if a trusted
//! key signed for it, never because a peer says so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::s2s::{KeyDocument, KeyTrust};
use crate::federation::import_error::ImportError;
use crate::ident::DomainLabel;

use super::key::PublicKey;
use super::received::Received;

/// The most keys that a domain may have at a time.
const MAX_KEYS: usize = 8;

/// The known keys of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownKeys {
    /// Those that the domain itself showed, or that it named in a manifest signed by one of
    /// them.
    pub direct: KeySet,
    /// Those that peers vouched for, by peer.
    pub vouched: BTreeMap<DomainLabel, KeySet>,
}

/// The keys that a domain may sign with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet(Vec<StatedKey>);

/// A key and how long it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StatedKey {
    key: PublicKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
}

/// The way by which a manifest came.
#[derive(Debug, Clone, Copy)]
pub enum Via<'a> {
    /// From its origin, whose descriptor states these keys.
    Origin(&'a [KeyDocument]),
    /// From this peer, which relays it.
    Relay(&'a DomainLabel),
}

/// The key that signed a manifest, and why it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// The key.
    pub key: PublicKey,
    /// Why it is trusted.
    pub trust: KeyTrust,
}

impl KeySet {
    /// Reads the keys of documents. Keys of an unknown kind are left out.
    ///
    /// # Errors
    /// There are too many.
    pub fn of(documents: &[KeyDocument]) -> Result<Self, ImportError> {
        if documents.len() > MAX_KEYS {
            return Err(ImportError::Limit(format!(
                "{} keys are stated; at most {MAX_KEYS} are taken",
                documents.len()
            )));
        }
        let key = |document: &KeyDocument| {
            let key = PublicKey::from_document(document).ok()?;
            let not_after = document.not_after;
            Some(StatedKey { key, not_after })
        };
        Ok(Self(documents.iter().filter_map(key).collect()))
    }

    /// Returns the keys that count now.
    pub fn at(&self, now: Timestamp) -> Vec<PublicKey> {
        let counts = |key: &&StatedKey| key.not_after.is_none_or(|end| end > now);
        self.0.iter().filter(counts).map(|key| key.key).collect()
    }

    /// Whether the set has no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, key: &PublicKey) -> bool {
        self.0.iter().any(|known| known.key == *key)
    }
}

impl KnownKeys {
    /// Whether the domain must be read by signed manifests: one of its keys is pinned, or it
    /// signed before.
    pub fn must_be_signed(&self, pins: &[PublicKey]) -> bool {
        !pins.is_empty() || !self.direct.is_empty()
    }

    /// Forgets the keys that peers vouched for which do not pass the domain on any more.
    pub fn keep_vouched(&mut self, passes: impl Fn(&DomainLabel) -> bool) {
        self.vouched.retain(|peer, _| passes(peer));
    }

    /// Whether the key with this thumbprint may sign for the domain, however a manifest comes.
    pub fn count(&self, kid: &str) -> bool {
        let mut sets = [&self.direct].into_iter().chain(self.vouched.values());
        sets.any(|set| set.0.iter().any(|known| known.key.kid() == kid))
    }

    /// Returns who signed a manifest, if that key may sign for the domain.
    ///
    /// # Errors
    /// The key may not sign, or the signature is wrong.
    pub fn verify(
        &self,
        pins: &[PublicKey],
        via: Via<'_>,
        received: &Received,
        now: Timestamp,
    ) -> Result<Signer, ImportError> {
        let (keys, trust) = if !pins.is_empty() {
            (pins.to_vec(), KeyTrust::Pinned)
        } else if !self.direct.is_empty() {
            (self.direct.at(now), KeyTrust::Direct)
        } else {
            match via {
                Via::Origin(shown) => (KeySet::of(shown)?.at(now), KeyTrust::Direct),
                Via::Relay(peer) => {
                    let keys = if self.vouched.contains_key(peer) {
                        // A peer that vouched for another key before, and now passes on what
                        // others vouch for, has come to agree with them.
                        self.vouched.values().flat_map(|set| set.at(now)).collect()
                    } else {
                        KeySet::of(&received.manifest.keys)?.at(now)
                    };
                    (keys, KeyTrust::Vouched)
                }
            }
        };
        let key = received.verify(&keys)?;
        Ok(Signer { key, trust })
    }

    /// Learns the keys that a manifest states which `signer` signed. The manifest must be the
    /// newest: an older one names old keys.
    ///
    /// # Errors
    /// [`ImportError::Held`]: different peers vouch for different keys. The caller must remember
    /// what was learned all the same.
    pub fn learn(
        &mut self,
        via: Via<'_>,
        signer: &Signer,
        received: &Received,
    ) -> Result<(), ImportError> {
        let stated = KeySet::of(&received.manifest.keys)?;
        let vouched = self.vouched.values_mut();
        for set in vouched.filter(|set| set.has(&signer.key)) {
            *set = stated.clone();
        }
        if self.direct.has(&signer.key) {
            self.direct = stated.clone();
        }
        match via {
            Via::Origin(_) if self.direct.is_empty() => self.direct = stated,
            Via::Relay(peer) => {
                let known = self.vouched.get(peer);
                if known.is_none_or(|known| !known.has(&signer.key)) {
                    self.vouched.insert(peer.clone(), stated);
                }
            }
            _ => {}
        }
        if signer.trust != KeyTrust::Vouched {
            return Ok(());
        }
        let other = self.vouched.iter().find(|(_, set)| !set.has(&signer.key));
        match other {
            None => Ok(()),
            Some((peer, _)) => Err(ImportError::Held(format!(
                "{peer} vouches for another key of {domain} than {key}: ask {domain} for its key \
                 and pin it as `keys` of `[domain.{domain}]`",
                domain = received.manifest.domain,
                key = signer.key,
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::s2s::{ManifestEntry, Scope};
    use crate::facts::Interconnects;
    use crate::federation::manifest::{Reception, Statement};
    use crate::federation::testing::{at, label};
    use crate::federation::{Keyring, SigningKey};

    /// Generates a key pair by which a domain signs.
    fn key() -> SigningKey {
        SigningKey::generate().expect("a key")
    }

    fn documents(keys: &[&SigningKey]) -> Vec<KeyDocument> {
        let document = |key: &&SigningKey| KeyDocument {
            kid: key.public().kid(),
            ed25519: key.public().encoded(),
            not_after: None,
        };
        keys.iter().map(document).collect()
    }

    /// Returns a manifest of `isp-c` that `signer` signed and that states `keys`.
    fn manifest(signer: &SigningKey, keys: &[&SigningKey]) -> Received {
        stating(signer, documents(keys))
    }

    fn stating(signer: &SigningKey, keys: Vec<KeyDocument>) -> Received {
        let statement = Statement {
            off_net: &Default::default(),
            domain: &label("isp-c"),
            resources: Vec::new(),
            interconnects: &Interconnects::new(),
            scope: &Scope::Any,
            keys,
        };
        let text = statement.sign(1, at(0), signer).text;
        let entry = ManifestEntry {
            domain: label("isp-c"),
            serial: 1,
            path: vec![label("isp-c"), label("isp-b")],
            manifest: text,
        };
        let reception = Reception {
            own: &label("isp-a"),
            sender: &label("isp-b"),
            max_path: 8,
            max_bytes: 100_000,
        };
        reception.read(&entry).expect("sound")
    }

    /// Verifies a manifest and learns from it; returns the trust or the code of the refusal.
    fn take(known: &mut KnownKeys, pins: &[PublicKey], via: Via<'_>, it: &Received) -> String {
        let taken = known.verify(pins, via, it, at(0)).and_then(|signer| {
            known.learn(via, &signer, it)?;
            Ok(signer.trust)
        });
        match taken {
            Ok(trust) => format!("{trust:?}"),
            Err(refusal) => refusal.code().to_owned(),
        }
    }

    #[test]
    fn a_pinned_key_beats_a_direct_one_and_a_direct_one_a_vouched_one() {
        let (pinned, direct, vouched) = (key(), key(), key());
        let (b, x) = (label("isp-b"), label("isp-x"));
        let relay = Via::Relay(&b);
        let shown = documents(&[&direct]);
        let by = |key| manifest(key, &[key]);

        let mut known = KnownKeys::default();
        assert_eq!(take(&mut known, &[], relay, &by(&vouched)), "Vouched");
        assert!(known.direct.is_empty(), "it is never remembered as direct");
        assert!(!known.must_be_signed(&[]));

        let origin = Via::Origin(&shown);
        assert_eq!(take(&mut known, &[], origin, &by(&vouched)), "key");
        assert_eq!(take(&mut known, &[], origin, &by(&direct)), "Direct");
        assert!(known.must_be_signed(&[]));
        assert_eq!(take(&mut known, &[], relay, &by(&vouched)), "key");
        assert_eq!(
            take(&mut known, &[], Via::Relay(&x), &by(&direct)),
            "Direct"
        );

        let pins = [*pinned.public()];
        assert!(KnownKeys::default().must_be_signed(&pins));
        assert_eq!(take(&mut known, &pins, origin, &by(&direct)), "key");
        assert_eq!(take(&mut known, &pins, relay, &by(&pinned)), "Pinned");
    }

    #[test]
    fn a_descriptor_that_shows_another_key_later_changes_nothing() {
        let (first, second) = (key(), key());
        let mut known = KnownKeys::default();
        let (one, two) = (documents(&[&first]), documents(&[&second]));
        let by = |key| manifest(key, &[key]);
        assert_eq!(
            take(&mut known, &[], Via::Origin(&one), &by(&first)),
            "Direct"
        );
        assert_eq!(
            take(&mut known, &[], Via::Origin(&two), &by(&second)),
            "key"
        );
        let mut forgotten = KnownKeys::default();
        let taken = take(&mut forgotten, &[], Via::Origin(&two), &by(&second));
        assert_eq!(taken, "Direct");
    }

    #[test]
    fn a_new_key_is_taken_under_one_that_is_trusted_now() {
        let (old, new) = (key(), key());
        let mut known = KnownKeys::default();
        let shown = documents(&[&old]);
        let origin = Via::Origin(&shown);
        assert_eq!(
            take(&mut known, &[], origin, &manifest(&old, &[&old])),
            "Direct"
        );
        let after = manifest(&new, &[&new]);
        assert_eq!(take(&mut known, &[], origin, &after), "key");
        let overlap = manifest(&old, &[&new, &old]);
        assert_eq!(take(&mut known, &[], origin, &overlap), "Direct");
        assert_eq!(take(&mut known, &[], origin, &after), "Direct");
        assert_eq!(
            take(&mut known, &[], origin, &overlap),
            "key",
            "the old one is gone"
        );
    }

    #[test]
    fn different_vouched_keys_are_held_until_one_is_pinned() {
        let (honest, squatter) = (key(), key());
        let (b, x) = (label("isp-b"), label("isp-x"));
        let (good, bad) = (
            manifest(&honest, &[&honest]),
            manifest(&squatter, &[&squatter]),
        );
        for (first, second) in [(&good, &bad), (&bad, &good)] {
            let mut known = KnownKeys::default();
            assert_eq!(take(&mut known, &[], Via::Relay(&b), first), "Vouched");
            assert_eq!(take(&mut known, &[], Via::Relay(&x), second), "held");
            assert_eq!(take(&mut known, &[], Via::Relay(&b), first), "held");
            // A key that nobody vouched for does not replace either of them.
            let third = key();
            let third = manifest(&third, &[&third]);
            assert_eq!(take(&mut known, &[], Via::Relay(&x), &third), "key");
            let pins = [*honest.public()];
            assert_eq!(take(&mut known, &pins, Via::Relay(&x), &good), "Pinned");
            assert_eq!(take(&mut known, &pins, Via::Relay(&b), &bad), "key");
        }
    }

    #[test]
    fn a_relay_that_comes_to_agree_or_passes_the_domain_no_more_holds_it_no_more() {
        let (honest, squatter) = (key(), key());
        let (b, x) = (label("isp-b"), label("isp-x"));
        let good = manifest(&honest, &[&honest]);
        let bad = manifest(&squatter, &[&squatter]);
        for (first, second) in [(&b, &x), (&x, &b)] {
            let mut known = KnownKeys::default();
            let by = |peer: &DomainLabel| if *peer == b { &good } else { &bad };
            take(&mut known, &[], Via::Relay(first), by(first));
            assert_eq!(
                take(&mut known, &[], Via::Relay(second), by(second)),
                "held"
            );
            assert_eq!(take(&mut known, &[], Via::Relay(&b), &good), "held");
            let mut without = known.clone();
            without.keep_vouched(|peer| *peer != x);
            assert_eq!(take(&mut without, &[], Via::Relay(&b), &good), "Vouched");
            assert_eq!(take(&mut without, &[], Via::Relay(&x), &bad), "held");

            assert_eq!(take(&mut known, &[], Via::Relay(&x), &good), "Vouched");
            assert_eq!(take(&mut known, &[], Via::Relay(&b), &good), "Vouched");
            assert_eq!(take(&mut known, &[], Via::Relay(&x), &bad), "key");
        }
    }

    #[test]
    fn a_squatter_gains_nothing_by_naming_the_honest_key_beside_its_own() {
        let (honest, squatter) = (key(), key());
        let (b, x) = (label("isp-b"), label("isp-x"));
        let good = manifest(&honest, &[&honest]);
        let both = manifest(&squatter, &[&squatter, &honest]);
        let mut known = KnownKeys::default();
        assert_eq!(take(&mut known, &[], Via::Relay(&b), &good), "Vouched");
        assert_eq!(take(&mut known, &[], Via::Relay(&x), &both), "held");
        assert_eq!(take(&mut known, &[], Via::Relay(&b), &good), "Vouched");
        assert_eq!(take(&mut known, &[], Via::Relay(&x), &both), "key");
    }

    #[test]
    fn a_change_of_key_that_one_relay_passes_holds_for_all() {
        let (old, new) = (key(), key());
        let (b, d) = (label("isp-b"), label("isp-d"));
        let mut known = KnownKeys::default();
        let before = manifest(&old, &[&old]);
        assert_eq!(take(&mut known, &[], Via::Relay(&b), &before), "Vouched");
        assert_eq!(take(&mut known, &[], Via::Relay(&d), &before), "Vouched");
        let overlap = manifest(&old, &[&new, &old]);
        assert_eq!(take(&mut known, &[], Via::Relay(&b), &overlap), "Vouched");
        let after = manifest(&new, &[&new]);
        assert_eq!(take(&mut known, &[], Via::Relay(&b), &after), "Vouched");
        assert_eq!(take(&mut known, &[], Via::Relay(&d), &after), "Vouched");
    }

    #[test]
    fn a_key_past_its_end_does_not_count() {
        let (current, old) = (key(), key());
        let old_documents = documents(&[&old]);
        let ring = Keyring::new(current, vec![(old, at(8))]);
        let mut known = KnownKeys::default();
        let overlap = stating(ring.signer(at(0)), ring.documents(at(0)));
        let origin = Via::Origin(&old_documents);
        assert_eq!(take(&mut known, &[], origin, &overlap), "Direct");
        assert_eq!(known.direct.at(at(7)).len(), 2);
        assert_eq!(known.direct.at(at(8)).len(), 1);
        let late = known.verify(&[], origin, &overlap, at(8));
        assert_eq!(late.expect_err("it is over").code(), "key");
    }

    #[test]
    fn too_many_keys_are_refused() {
        let keys: Vec<SigningKey> = (0..9).map(|_| key()).collect();
        let all: Vec<&SigningKey> = keys.iter().collect();
        let b = label("isp-b");
        let mut known = KnownKeys::default();
        let taken = take(&mut known, &[], Via::Relay(&b), &manifest(all[0], &all));
        assert_eq!(taken, "limit");
        let taken = take(
            &mut known,
            &[],
            Via::Relay(&b),
            &manifest(all[0], &all[..8]),
        );
        assert_eq!(taken, "Vouched");
    }
}
