//! The state that the tasks of all peers share, in memory and on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::api::s2s::Manifest;
use crate::ident::DomainLabel;
use crate::runtime::{Clock, Pool};
use crate::store::StoreError;

use super::copies::{Archive, Copies, DomainCopy};
use super::manifest::{KnownKeys, Marks, Received};
use super::peer::{Nudges, Pending};
use super::settings::Settings;

/// The state that the tasks of all peers share.
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

/// The known keys and serials.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) keys: BTreeMap<DomainLabel, KnownKeys>,
    pub(super) marks: Marks,
}

impl Shared {
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Drops the copies of a domain, whoever passed them on, that are older than this manifest
    /// of it and that its scope denies us. A peer that still passes them on is refused, because
    /// their serial is too low.
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

    /// Drops the copies, of any peer, that must not be used any more, also from the disk, so
    /// that they do not come back at a restart.
    pub(super) async fn drop_where(
        &self,
        is_due: impl Fn(&DomainCopy) -> bool,
    ) -> Result<(), StoreError> {
        if self.copies.drop_where(is_due) {
            self.sweep().await
        } else {
            Ok(())
        }
    }

    /// Drops the copies of a peer except those of the domains to keep, which are all that it
    /// passes on.
    pub(super) async fn retain(
        &self,
        peer: &DomainLabel,
        keep: impl Fn(&DomainLabel) -> bool,
    ) -> Result<(), StoreError> {
        if self.copies.retain(peer, keep) {
            self.sweep().await
        } else {
            Ok(())
        }
    }

    /// Drops the copies that exceed a budget now.
    pub(super) async fn enforce(&self) -> Result<(), StoreError> {
        if self.copies.enforce() {
            self.sweep().await
        } else {
            Ok(())
        }
    }

    /// Drops from the disk what the copies do not have any more. If this is stopped in the
    /// middle or fails, the next call does the rest, because each call works out anew what that
    /// is.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        let copies = &self.copies;
        let (has, has_held) = (
            |name: &_| copies.has(name),
            |name: &_| copies.has_held(name),
        );
        self.archive.retain(has, has_held).await
    }
}
