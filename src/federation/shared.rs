//! What the tasks of all peers share, and what is known of keys and serials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::{Mutex, Notify, watch};

use crate::api::s2s::{KeyTrust, Manifest};
use crate::ident::DomainLabel;
use crate::runtime::{Clock, Pool};
use crate::store::StoreError;

use super::archive::Archive;
use super::copies::Copies;
use super::copy::DomainCopy;
use super::key::PublicKey;
use super::manifest::{Highest, Received};
use super::refusal::Refusal;
use super::settings::Settings;
use super::trust::{KnownKeys, Signer, Via};

/// How many keys of how many domains are remembered: who may pass any domain
/// could fill the disk with them.
const MAX_KNOWN: usize = 10_000;

/// What all peers' tasks share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) pool: Pool,
    pub(super) archive: Arc<Archive>,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) copies: Copies,
    pub(super) trust: Mutex<Trust>,
    pub(super) nudges: Nudges,
}

/// How each peer's task is told to read it now.
#[derive(Debug, Default)]
pub(super) struct Nudges(std::sync::Mutex<BTreeMap<DomainLabel, Arc<Notify>>>);

impl Nudges {
    /// Has these tasks, and no others, told from now on.
    pub(super) fn set(&self, tasks: impl IntoIterator<Item = (DomainLabel, Arc<Notify>)>) {
        *self.lock() = tasks.into_iter().collect();
    }

    /// Has a peer read now, if it has a task; one without is read as soon as it has
    /// one.
    pub(super) fn nudge(&self, peer: &DomainLabel) {
        if let Some(nudge) = self.lock().get(peer) {
            nudge.notify_one();
        }
    }

    /// Has all peers read now.
    pub(super) fn nudge_all(&self) {
        self.lock().values().for_each(|nudge| nudge.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DomainLabel, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of keys and serials.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) keys: BTreeMap<DomainLabel, KnownKeys>,
    pub(super) highest: BTreeMap<(DomainLabel, String), Highest>,
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
    pub(super) async fn admit(&self, via: Via<'_>, received: &Received) -> Result<Signer, Refusal> {
        let settings = self.settings();
        let domain = &received.manifest.domain;
        let now = self.clock.wall();
        let mut trust = self.trust.lock().await;
        let kept = trust.keys.get(domain).cloned().unwrap_or_default();
        let mut known = kept.clone();
        known.keep_vouched(|peer| self.copies.passes(peer, domain));
        let signer = known.verify(settings.pins(domain), via, received, now)?;
        received.check_clock(now)?;
        let name = (domain.clone(), signer.key.kid());
        let highest = trust.highest.get(&name).copied();
        received.check_serial(highest.as_ref())?;
        if highest.is_none() && trust.highest.len() >= MAX_KNOWN {
            self.make_room(&mut trust).await?;
        }
        let mark = received.mark();
        if highest != Some(mark) {
            self.archive.keep_highest(domain, &name.1, &mark).await?;
            trust.highest.insert(name, mark);
        }
        let mut learned = known.clone();
        let agreed = learned.learn(via, &signer, received);
        if learned != kept {
            self.archive.keep_keys(domain, &kept, &learned).await?;
            if learned.direct != kept.direct {
                self.drop_unvouched(domain, &learned.direct.at(now)).await?;
            }
            let is_shown = kept.direct.is_empty() && !learned.direct.is_empty();
            if is_shown || (agreed.is_ok() && learned.vouched != kept.vouched) {
                // What relays pass of it is judged by other keys now.
                self.nudge_held(domain);
            }
            trust.keys.insert(domain.clone(), learned);
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
            let Some(kept) = trust.keys.get(&domain) else {
                continue;
            };
            let mut known = kept.clone();
            known.keep_vouched(|peer| self.copies.passes(peer, &domain));
            if known != *kept {
                self.archive.keep_keys(&domain, kept, &known).await?;
                self.nudge_held(&domain);
                trust.keys.insert(domain, known);
            }
        }
        Ok(())
    }

    /// Has the peers read now of which a domain is held.
    fn nudge_held(&self, domain: &DomainLabel) {
        let held = self.copies.held().into_iter();
        for held in held.filter(|held| held.domain == *domain) {
            self.nudges.nudge(&held.sender);
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
        let gone = self.copies.drop_where(|copy| {
            copy.domain == *domain
                && copy.signed.is_some()
                && copy.serial < *serial
                && !scope.admits(own, copy.path.len() == 1)
        });
        self.archive.drop_copies(gone).await
    }

    /// Drops what relays vouched for under other keys than these, which the
    /// domain itself showed: a later serial must not keep it in use.
    async fn drop_unvouched(
        &self,
        domain: &DomainLabel,
        shown: &[PublicKey],
    ) -> Result<(), StoreError> {
        let gone = self.copies.drop_where(|copy| {
            let signer = copy.signed.as_ref().map(|signed| signed.signer);
            let vouched = signer.filter(|signer| signer.trust == KeyTrust::Vouched);
            copy.domain == *domain && vouched.is_some_and(|signer| !shown.contains(&signer.key))
        });
        // Nor is it to come back with a restart.
        self.archive.drop_copies(gone).await
    }

    /// Forgets serials that guard against nothing any more, since every
    /// manifest before them has stopped counting, and the vouched keys of
    /// domains that nobody passes.
    async fn make_room(&self, trust: &mut Trust) -> Result<(), Refusal> {
        let now = self.clock.wall();
        let over = trust.highest.iter().filter(|(_, mark)| mark.until < now);
        let over: Vec<_> = over.map(|(name, _)| name.clone()).collect();
        if over.is_empty() {
            return Err(Refusal::Limit(format!(
                "{MAX_KNOWN} keys of domains are remembered, and no further one; choose the \
                 domains that are imported"
            )));
        }
        for (domain, kid) in over {
            self.archive.drop_highest(&domain, &kid).await?;
            trust.highest.remove(&(domain.clone(), kid));
            let known = trust.keys.get(&domain);
            if let Some(known) = known.filter(|known| known.direct.is_empty())
                && !self.copies.has(&domain)
            {
                let none = KnownKeys::default();
                self.archive.keep_keys(&domain, known, &none).await?;
                trust.keys.remove(&domain);
            }
        }
        Ok(())
    }

    /// Forgets which keys a domain has; whether any were known. The serials
    /// seen under them stay: what is old under a key stays old.
    pub(super) async fn forget_key(&self, domain: &DomainLabel) -> Result<bool, StoreError> {
        let mut trust = self.trust.lock().await;
        let Some(known) = trust.keys.get(domain) else {
            return Ok(false);
        };
        let none = KnownKeys::default();
        self.archive.keep_keys(domain, known, &none).await?;
        trust.keys.remove(domain);
        Ok(true)
    }

    /// Drops what is kept of peers that are no longer configured.
    pub(super) async fn drop_unconfigured(&self) -> Result<(), StoreError> {
        let settings = self.settings();
        let mut gone = self.archive.names().await;
        gone.retain(|name| !settings.peers.contains_key(&name.sender));
        self.archive.drop_copies(gone).await
    }
}
