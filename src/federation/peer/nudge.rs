//! How the task that reads a peer is told to read it now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, watch};

use crate::ident::DomainLabel;
use crate::runtime::lock;

/// Asks for readings, and tells when they are over.
#[derive(Debug, Default)]
pub(in crate::federation) struct Nudge {
    wanted: AtomicU64,
    notify: Notify,
    again: Notify,
    done: watch::Sender<u64>,
}

impl Nudge {
    /// Asks for a reading, which is the one that this number tells of.
    pub(in crate::federation) fn read(&self) -> u64 {
        let number = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.notify.notify_one();
        number
    }

    /// Asks for a reading when it is due, since what others say of a domain may have
    /// it taken now.
    pub(in crate::federation) fn again(&self) {
        self.again.notify_one();
    }

    /// Comes back when such a reading is asked for.
    pub(in crate::federation) async fn asked_again(&self) {
        self.again.notified().await;
    }

    /// Comes back when a reading is asked for.
    pub(in crate::federation) async fn asked(&self) {
        self.notify.notified().await;
    }

    /// The last reading that was asked for: a reading that begins now is that.
    pub(in crate::federation) fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst)
    }

    /// A reading is over, whatever came of it.
    pub(in crate::federation) fn is_done(&self, number: u64) {
        self.done.send_modify(|done| *done = (*done).max(number));
    }

    /// Comes back when that reading, or one that began later, is over.
    pub(in crate::federation) async fn until_done(&self, number: u64) {
        // We hold the sender, so that it is not gone.
        let mut done = self.done.subscribe();
        let _done = done.wait_for(|done| *done >= number).await;
    }
}

/// How each peer's task is told to read it now.
#[derive(Debug, Default)]
pub(in crate::federation) struct Nudges(Mutex<BTreeMap<DomainLabel, Arc<Nudge>>>);

impl Nudges {
    /// Has these tasks, and no others, told from now on.
    pub(in crate::federation) fn set(
        &self,
        tasks: impl IntoIterator<Item = (DomainLabel, Arc<Nudge>)>,
    ) {
        *self.lock() = tasks.into_iter().collect();
    }

    /// Those of a peer, if it has a task; one without is read as soon as it has one.
    pub(in crate::federation) fn of(&self, peer: &DomainLabel) -> Option<Arc<Nudge>> {
        self.lock().get(peer).cloned()
    }

    /// Has all peers read now, whatever was read before.
    pub(in crate::federation) fn nudge_all(&self) {
        self.lock().values().for_each(|nudge| _ = nudge.read());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DomainLabel, Arc<Nudge>>> {
        lock(&self.0)
    }
}
