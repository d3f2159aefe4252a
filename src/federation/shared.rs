//! What the tasks of all peers share.

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
        if self.copies.drop_where(is_due) {
            self.sweep().await
        } else {
            Ok(())
        }
    }

    /// A peer passes these domains and no others.
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

    /// Drops what is over a budget by now.
    pub(super) async fn enforce(&self) -> Result<(), StoreError> {
        if self.copies.enforce() {
            self.sweep().await
        } else {
            Ok(())
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
}
