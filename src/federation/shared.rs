//! What the tasks of all peers share, and what is known of keys and serials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard};

use tokio::sync::{Mutex, watch};

use crate::api::s2s::{KeyTrust, Manifest};
use crate::ident::DomainLabel;
use crate::runtime::{Clock, Pool, lock};
use crate::store::StoreError;

use super::copies::{Archive, Copies, DomainCopy};
use super::import_error::ImportError;
use super::manifest::{KnownKeys, Mark, MarkName, Marks, PublicKey, Received, Signer, Via, Worth};
use super::peer::{Nudge, Pending};
use super::settings::Settings;

/// How many keys are remembered for each peer beyond two for each domain that it
/// may pass: the share of one that passes few.
const SHARE: usize = 16;

/// What all peers' tasks share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) pool: Pool,
    pub(super) archive: Arc<Archive>,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) copies: Copies,
    pub(super) pending: Arc<Pending>,
    pub(super) trust: Mutex<Trust>,
    pub(super) nudges: Nudges,
}

/// How each peer's task is told to read it now.
#[derive(Debug, Default)]
pub(super) struct Nudges(std::sync::Mutex<BTreeMap<DomainLabel, Arc<Nudge>>>);

impl Nudges {
    /// Has these tasks, and no others, told from now on.
    pub(super) fn set(&self, tasks: impl IntoIterator<Item = (DomainLabel, Arc<Nudge>)>) {
        *self.lock() = tasks.into_iter().collect();
    }

    /// Those of a peer, if it has a task; one without is read as soon as it has one.
    pub(super) fn of(&self, peer: &DomainLabel) -> Option<Arc<Nudge>> {
        self.lock().get(peer).cloned()
    }

    /// Has all peers read now, whatever was read before.
    pub(super) fn nudge_all(&self) {
        self.lock().values().for_each(|nudge| _ = nudge.read());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DomainLabel, Arc<Nudge>>> {
        lock(&self.0)
    }
}

/// What is known of keys and serials.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) keys: BTreeMap<DomainLabel, KnownKeys>,
    pub(super) marks: Marks,
}

impl Shared {
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Whether the domain may only be read with signed manifests.
    pub(super) async fn must_be_signed(&self, domain: &DomainLabel) -> bool {
        let settings = self.settings();
        let trust = self.trust.lock().await;
        let known = trust.keys.get(domain).cloned().unwrap_or_default();
        known.must_be_signed(settings.pins(domain))
    }

    /// Whether a verified manifest still counts by the keys that are pinned
    /// now.
    pub(super) fn counts(&self, copy: &DomainCopy) -> bool {
        let settings = self.settings();
        let pins = settings.pins(&copy.domain);
        match &copy.signed {
            _ if pins.is_empty() => true,
            Some(signed) => pins.contains(&signed.signer.key),
            None => false,
        }
    }

    /// Who signed a manifest, if it is new and somebody who may. What is
    /// learned from it is on disk before anything is made of it.
    pub(super) async fn admit(
        &self,
        via: Via<'_>,
        received: &Received,
    ) -> Result<Signer, ImportError> {
        let settings = self.settings();
        let domain = &received.manifest.domain;
        let now = self.clock.wall();
        let mut trust = self.trust.lock().await;
        let known = self.known(&trust, domain);
        let signer = known.verify(settings.pins(domain), via, received, now)?;
        received.check_clock(now)?;
        let name = (domain.clone(), signer.key.kid());
        let before = trust.marks.get(&name).cloned();
        received.check_serial(before.as_ref().map(|mark| &mark.highest))?;
        let sender = received.path.last().unwrap_or(domain);
        let by = match before.as_ref().and_then(|mark| mark.by.clone()) {
            // The domain's own share is for what it passes itself.
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
        // Some of it may have been forgotten for it.
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
                // What relays pass of it is judged by other keys now.
                self.nudge_held(domain);
            }
        }
        agreed.map(|()| signer)
    }

    /// Has held domains read again for which somebody vouched who does not pass them
    /// any more.
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

    /// What is known of the keys of a domain: a word holds for as long as the peer
    /// passes what it was given for.
    fn known(&self, trust: &Trust, domain: &DomainLabel) -> KnownKeys {
        let mut known = trust.keys.get(domain).cloned().unwrap_or_default();
        known.keep_vouched(|peer| self.copies.passes(peer, domain));
        known
    }

    /// Has the peers read again of which a domain is held: they may be made to be, so
    /// that it is paced.
    fn nudge_held(&self, domain: &DomainLabel) {
        let held = self.copies.held().into_iter();
        for held in held.filter(|held| held.domain == *domain) {
            if let Some(nudge) = self.nudges.of(&held.sender) {
                nudge.again();
            }
        }
    }

    /// Drops the copies of a domain, whoever passed them, that are older than this
    /// manifest of it and that it wants us not to have. Those who still pass them are refused
    /// by their serial.
    pub(super) async fn withdraw_beyond_scope(&self, newer: &Received) -> Result<(), StoreError> {
        let own = &self.settings().own.domain;
        let Manifest {
            domain,
            serial,
            scope,
            ..
        } = &newer.manifest;
        self.drop_where(|copy| {
            copy.domain == *domain
                && copy.signed.is_some()
                && copy.serial < *serial
                && !scope.admits(own, copy.path.len() == 1)
        })
        .await
    }

    /// Drops the copies, of any peer, that must not be used any more: they are not to come back
    /// with a restart.
    pub(super) async fn drop_where(
        &self,
        is_due: impl Fn(&DomainCopy) -> bool,
    ) -> Result<(), StoreError> {
        match self.copies.drop_where(is_due) {
            true => self.sweep().await,
            false => Ok(()),
        }
    }

    /// A peer passes these domains and no others.
    pub(super) async fn retain(
        &self,
        peer: &DomainLabel,
        keep: impl Fn(&DomainLabel) -> bool,
    ) -> Result<(), StoreError> {
        match self.copies.retain(peer, keep) {
            true => self.sweep().await,
            false => Ok(()),
        }
    }

    /// Drops what is over a budget by now.
    pub(super) async fn enforce(&self) -> Result<(), StoreError> {
        match self.copies.enforce() {
            true => self.sweep().await,
            false => Ok(()),
        }
    }

    /// Drops from the disk what is not had any more. Who is stopped in the middle, or fails,
    /// leaves the rest to the next one: it is worked out anew what that is.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        let copies = &self.copies;
        let (has, has_held) = (
            |name: &_| copies.has(name),
            |name: &_| copies.has_held(name),
        );
        self.archive.retain(has, has_held).await
    }

    /// Drops what relays vouched for under other keys than these, which the
    /// domain itself showed: a later serial must not keep it in use.
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

    /// Sees to it that a peer may have one more key of a domain remembered: forgets
    /// of its share what guards least.
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
        let worth = |(domain, kid): &MarkName, mark: &Mark| {
            let pins = settings.pins(domain);
            let known = trust.keys.get(domain);
            let counts = match pins {
                [] => known.is_some_and(|known| known.count(kid)),
                pins => pins.iter().any(|pin| pin.kid() == *kid),
            };
            let is_vouched = pins.is_empty() && known.is_none_or(|it| it.direct.is_empty());
            let by = mark.by.as_ref().unwrap_or(domain);
            match counts {
                false => Worth::Nothing,
                true if is_vouched && self.copies.copy(by, domain).is_none() => Worth::Little,
                true => Worth::All,
            }
        };
        let gone = trust
            .marks
            .room(by, domain, share, self.clock.wall(), worth)?;
        self.forget(trust, &gone).await?;
        Ok(())
    }

    /// Forgets these marks, and the keys that their peers vouched for of domains
    /// that they no longer pass.
    async fn forget(&self, trust: &mut Trust, names: &[MarkName]) -> Result<(), StoreError> {
        self.archive.drop_marks(names).await?;
        for name in names {
            let by = trust.marks.get(name).and_then(|mark| mark.by.clone());
            trust.marks.remove(name);
            let domain = &name.0;
            let Some(by) = by.filter(|by| self.copies.copy(by, domain).is_none()) else {
                continue;
            };
            self.unlearn(trust, domain, |peer| *peer == by).await?;
        }
        Ok(())
    }

    /// Forgets the keys of a domain that these peers vouched for; whether there were
    /// any.
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
        match left == KnownKeys::default() {
            true => drop(trust.keys.remove(domain)),
            false => drop(trust.keys.insert(domain.clone(), left)),
        }
        self.copies.reconsider(|_, other| other == domain);
        Ok(true)
    }

    /// Forgets which keys a domain has, and which serials were seen under them;
    /// whether any were known. Whoever comes next is believed.
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

    /// Drops what is known of peers that are no longer configured: the keys that they vouched
    /// for, and their marks. A mark of what another peer
    /// passes too is of that one's share from now on.
    pub(super) async fn drop_unconfigured(&self) -> Result<(), StoreError> {
        let settings = self.settings();
        let is_peer = |label: &DomainLabel| settings.peers.contains_key(label);
        let mut trust = self.trust.lock().await;
        let mut loose = Vec::new();
        for name in trust.marks.without(is_peer) {
            let heir = self.copies.passed_by(&name.0, &name.1);
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
