//! Remembers the keys of domains and the serials that were seen under them, and learns both.

use std::collections::BTreeSet;

use crate::api::s2s::{KeyTrust, ManifestEntry};
use crate::ident::DomainLabel;
use crate::store::StoreError;

use super::copies::DomainCopy;
use super::import_error::ImportError;
use super::judge::Trusted;
use super::manifest::{
    KnownKeys, Mark, MarkName, PublicKey, Received, Reception, Signer, Via, Worth,
};
use super::settings::{PeerSettings, Settings};
use super::shared::{Shared, Trust};

/// How many keys are remembered for each peer beyond two for each domain that it may pass on.
/// This is for a peer that may pass on few.
const SHARE: usize = 16;

impl Shared {
    /// Whether the domain must be read by signed manifests.
    pub(super) async fn must_be_signed(&self, domain: &DomainLabel) -> bool {
        let settings = self.settings();
        let trust = self.trust.lock().await;
        let known = trust.keys.get(domain).cloned().unwrap_or_default();
        known.must_be_signed(settings.pins(domain))
    }

    /// Whether a copy still counts by the keys that are pinned now.
    pub(super) fn counts(&self, copy: &DomainCopy) -> bool {
        let settings = self.settings();
        let pins = settings.pins(&copy.domain);
        match &copy.signed {
            _ if pins.is_empty() => true,
            Some(signed) => pins.contains(&signed.signer.key),
            None => false,
        }
    }

    /// Reads a manifest that a peer passes on, and checks all that can be checked without a key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn receive(
        &self,
        peer: &PeerSettings,
        entry: ManifestEntry,
    ) -> Result<Received, ImportError> {
        let settings = self.settings();
        let (sender, import) = (peer.domain.clone(), peer.import.clone());
        let read = self.pool.run(move || {
            let reception = Reception {
                own: &settings.own.domain,
                sender: &sender,
                max_path: import.max_path,
                max_bytes: import.limits().max_manifest_bytes,
            };
            reception.read(&entry)
        });
        read.await?
    }

    /// Judges who signed a manifest, and remembers what it teaches. That is on the disk before
    /// the manifest is used.
    ///
    /// # Errors
    /// It is not signed by a key that may sign it, or it does not count; or the store failed.
    pub(super) async fn believe(
        &self,
        via: Via<'_>,
        received: &Received,
    ) -> Result<Signer, ImportError> {
        let settings = self.settings();
        let domain = &received.manifest.domain;
        let now = self.clock.wall();
        let mut trust = self.trust.lock().await;
        let known = self.known(&trust, domain);
        let trusted = Trusted {
            pins: settings.pins(domain),
            keys: &known,
            marks: &trust.marks,
            now,
        };
        let signer = trusted.judge(via, received)?;
        let name = MarkName {
            domain: domain.clone(),
            kid: signer.key.kid(),
        };
        let before = trust.marks.get(&name).cloned();
        let sender = received.path.last().unwrap_or(domain);
        let by = match before.as_ref().and_then(|mark| mark.by.clone()) {
            // The share of the domain itself is for what it passes on itself.
            Some(by) if sender != domain => by,
            _ => sender.clone(),
        };
        if before.is_none() {
            self.make_room(&mut trust, &settings, &by, domain).await?;
        }
        let mark = Mark {
            highest: received.mark(),
            by: Some(by),
        };
        if before.as_ref() != Some(&mark) {
            self.archive.keep_mark(&name, &mark).await?;
            trust.marks.insert(name, mark);
        }
        // Making room may have made it forget keys of this domain.
        let kept = trust.keys.get(domain).cloned().unwrap_or_default();
        let mut learned = self.known(&trust, domain);
        let agreed = learned.learn(via, &signer, received);
        if learned != kept {
            self.archive.keep_keys(domain, &kept, &learned).await?;
            if learned.direct != kept.direct {
                self.drop_unvouched(domain, &learned.direct.at(now)).await?;
            }
            let is_shown = kept.direct.is_empty() && !learned.direct.is_empty();
            let is_agreed = agreed.is_ok() && learned.vouched != kept.vouched;
            trust.keys.insert(domain.clone(), learned);
            self.copies.reconsider(|_, other| other == domain);
            if is_shown || is_agreed {
                // What relays pass on of it is now judged by other keys.
                self.nudge_held(domain);
            }
        }
        agreed.map(|()| signer)
    }

    /// Forgets the keys of held domains that peers vouched for which do not pass them on any
    /// more, and has those domains read again.
    pub(super) async fn release_held(&self) -> Result<(), StoreError> {
        let held = self.copies.held().into_iter();
        let domains: BTreeSet<DomainLabel> = held.map(|held| held.domain).collect();
        for domain in domains {
            let mut trust = self.trust.lock().await;
            let is_gone = |peer: &DomainLabel| !self.copies.passes(peer, &domain);
            if self.unlearn(&mut trust, &domain, is_gone).await? {
                self.nudge_held(&domain);
            }
        }
        Ok(())
    }

    /// Returns the known keys of a domain, without those that peers vouched for which do not
    /// pass it on any more.
    fn known(&self, trust: &Trust, domain: &DomainLabel) -> KnownKeys {
        let mut known = trust.keys.get(domain).cloned().unwrap_or_default();
        known.keep_vouched(|peer| self.copies.passes(peer, domain));
        known
    }

    /// Has the peers read again whose change of a domain is held. The readings are paced, since
    /// a peer may be able to cause them.
    fn nudge_held(&self, domain: &DomainLabel) {
        let held = self.copies.held().into_iter();
        for held in held.filter(|held| held.domain == *domain) {
            if let Some(nudge) = self.nudges.of(&held.sender) {
                nudge.again();
            }
        }
    }

    /// Drops the copies of a domain that relays vouched for under other keys than these, which
    /// the domain itself showed. Otherwise a copy with a later serial would stay in use.
    async fn drop_unvouched(
        &self,
        domain: &DomainLabel,
        shown: &[PublicKey],
    ) -> Result<(), StoreError> {
        self.drop_where(|copy| {
            let signer = copy.signed.as_ref().map(|signed| signed.signer);
            let vouched = signer.filter(|signer| signer.trust == KeyTrust::Vouched);
            copy.domain == *domain && vouched.is_some_and(|signer| !shown.contains(&signer.key))
        })
        .await
    }

    /// Makes room for one more mark of a peer: forgets those of its share that guard least.
    async fn make_room(
        &self,
        trust: &mut Trust,
        settings: &Settings,
        by: &DomainLabel,
        domain: &DomainLabel,
    ) -> Result<(), ImportError> {
        let peer = settings.peers.get(by);
        let passed = peer.map_or(0, |peer| peer.import.max_domains);
        let share = passed.saturating_mul(2).saturating_add(SHARE);
        let worth = |MarkName { domain, kid }: &MarkName, mark: &Mark| {
            let pins = settings.pins(domain);
            let known = trust.keys.get(domain);
            let counts = match pins {
                [] => known.is_some_and(|known| known.count(kid)),
                pins => pins.iter().any(|pin| pin.kid() == *kid),
            };
            let is_vouched = pins.is_empty() && known.is_none_or(|it| it.direct.is_empty());
            let by = mark.by.as_ref().unwrap_or(domain);
            if !counts {
                Worth::Nothing
            } else if is_vouched && self.copies.copy(by, domain).is_none() {
                Worth::Little
            } else {
                Worth::All
            }
        };
        let gone = trust
            .marks
            .room(by, domain, share, self.clock.wall(), worth)?;
        self.forget(trust, &gone).await?;
        Ok(())
    }

    /// Forgets these marks, and the keys that their peers vouched for of domains that they no
    /// longer pass on.
    async fn forget(&self, trust: &mut Trust, names: &[MarkName]) -> Result<(), StoreError> {
        self.archive.drop_marks(names).await?;
        for name in names {
            let by = trust.marks.get(name).and_then(|mark| mark.by.clone());
            trust.marks.remove(name);
            let domain = &name.domain;
            let Some(by) = by.filter(|by| self.copies.copy(by, domain).is_none()) else {
                continue;
            };
            self.unlearn(trust, domain, |peer| *peer == by).await?;
        }
        Ok(())
    }

    /// Forgets the keys of a domain that some peers vouched for; returns whether there were any.
    async fn unlearn(
        &self,
        trust: &mut Trust,
        domain: &DomainLabel,
        is_gone: impl Fn(&DomainLabel) -> bool,
    ) -> Result<bool, StoreError> {
        let Some(known) = trust.keys.get(domain) else {
            return Ok(false);
        };
        let mut left = known.clone();
        left.keep_vouched(|peer| !is_gone(peer));
        if left == *known {
            return Ok(false);
        }
        self.archive.keep_keys(domain, known, &left).await?;
        if left == KnownKeys::default() {
            drop(trust.keys.remove(domain))
        } else {
            drop(trust.keys.insert(domain.clone(), left))
        }
        self.copies.reconsider(|_, other| other == domain);
        Ok(true)
    }

    /// Forgets which keys a domain has and which serials were seen under them; returns whether
    /// any were known. The next key that comes is trusted.
    pub(super) async fn forget_key(&self, domain: &DomainLabel) -> Result<bool, StoreError> {
        let mut trust = self.trust.lock().await;
        let marks: Vec<_> = trust
            .marks
            .of_domain(domain)
            .map(|(name, _)| name.clone())
            .collect();
        let known = trust.keys.get(domain);
        if known.is_none() && marks.is_empty() {
            return Ok(false);
        }
        if let Some(known) = known {
            let none = KnownKeys::default();
            self.archive.keep_keys(domain, known, &none).await?;
            trust.keys.remove(domain);
        }
        self.forget(&mut trust, &marks).await?;
        self.copies.reconsider(|_, other| other == domain);
        Ok(true)
    }

    /// Drops what was learned from peers that are no longer configured: the keys that they
    /// vouched for, and their marks. The mark of a domain that another peer passes on too moves
    /// to the share of that peer.
    pub(super) async fn drop_unconfigured(&self) -> Result<(), StoreError> {
        let settings = self.settings();
        let is_peer = |label: &DomainLabel| settings.peers.contains_key(label);
        let mut trust = self.trust.lock().await;
        let mut loose = Vec::new();
        for name in trust.marks.without(is_peer) {
            let heir = self.copies.passed_by(&name.domain, &name.kid);
            let mark = trust.marks.get(&name).cloned();
            match heir.zip(mark) {
                None => loose.push(name),
                Some((heir, mark)) => {
                    let mark = Mark {
                        by: Some(heir),
                        ..mark
                    };
                    self.archive.keep_mark(&name, &mark).await?;
                    trust.marks.insert(name, mark);
                }
            }
        }
        self.forget(&mut trust, &loose).await?;
        let domains: Vec<DomainLabel> = trust.keys.keys().cloned().collect();
        for domain in domains {
            self.unlearn(&mut trust, &domain, |peer| !is_peer(peer))
                .await?;
        }
        Ok(())
    }
}
