//! Tells the task that reads a peer to read it now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, watch};

use crate::ident::DomainLabel;
use crate::runtime::lock;

/// Asks for readings of a peer, and tells when they are over.
#[derive(Debug, Default)]
pub(in crate::federation) struct Nudge {
    wanted: AtomicU64,
    notify: Notify,
    again: Notify,
    done: watch::Sender<u64>,
}

impl Nudge {
    /// Asks for a reading now; returns its number.
    pub(in crate::federation) fn read(&self) -> u64 {
        let number = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.notify.notify_one();
        number
    }

    /// Asks for a reading when the pace allows it, since a domain may now be taken because of
    /// what others say of it.
    pub(in crate::federation) fn again(&self) {
        self.again.notify_one();
    }

    /// Waits until a reading is asked for by [`again`](Self::again).
    pub(in crate::federation) async fn asked_again(&self) {
        self.again.notified().await;
    }

    /// Waits until a reading is asked for by [`read`](Self::read).
    pub(in crate::federation) async fn asked(&self) {
        self.notify.notified().await;
    }

    /// Returns the number of the last reading that was asked for, which is that of a reading
    /// that begins now.
    pub(in crate::federation) fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Notes that a reading is over, whether it failed or not.
    pub(in crate::federation) fn is_done(&self, number: u64) {
        self.done.send_modify(|done| *done = (*done).max(number));
    }

    /// Waits until this reading, or one that began later, is over.
    pub(in crate::federation) async fn until_done(&self, number: u64) {
        // The channel cannot close, since `self` owns its sender.
        let mut done = self.done.subscribe();
        let _done = done.wait_for(|done| *done >= number).await;
    }
}

/// The nudges of all peers that have a task.
#[derive(Debug, Default)]
pub(in crate::federation) struct Nudges(Mutex<BTreeMap<DomainLabel, Arc<Nudge>>>);

impl Nudges {
    /// Replaces the tasks that are told.
    pub(in crate::federation) fn set(
        &self,
        tasks: impl IntoIterator<Item = (DomainLabel, Arc<Nudge>)>,
    ) {
        *self.lock() = tasks.into_iter().collect();
    }

    /// Returns the nudge of a peer, if it has a task. A peer without one is read as soon as it
    /// has one.
    pub(in crate::federation) fn of(&self, peer: &DomainLabel) -> Option<Arc<Nudge>> {
        self.lock().get(peer).cloned()
    }

    /// Asks for a reading of every peer now, whatever was read before.
    pub(in crate::federation) fn nudge_all(&self) {
        self.lock().values().for_each(|nudge| _ = nudge.read());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DomainLabel, Arc<Nudge>>> {
        lock(&self.0)
    }
}
