//! Limits what answers that are being sent keep in memory of replaced views.
//!
//! An answer that is written by rows uses one view to its end, however slowly its client takes
//! it. What such answers keep of replaced views, besides what the views in force share, has a
//! budget. Above it the answers of the view that was begun first are cut off, whether they are
//! being read or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;

use crate::publish::{Content, Rendering, Snapshot};
use crate::runtime::{Task, lock};

/// The answers that are being sent.
#[derive(Debug, Default)]
pub struct Pins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    under_way: BTreeMap<u64, Arc<Slot>>,
    /// The bytes that replaced views took when the last view was published.
    bytes: usize,
    /// How many answers were cut off since the start.
    cut: u64,
}

#[derive(Debug)]
struct Slot {
    content: Weak<Content>,
    rows: Mutex<Rows>,
}

#[derive(Debug)]
enum Rows {
    Here(Box<Rendering>),
    /// A piece is being written.
    Out,
    Cut,
}

/// An answer that is being sent.
#[derive(Debug)]
pub struct Pinned {
    pins: Arc<Pins>,
    number: u64,
    slot: Arc<Slot>,
}

/// The answer was cut off because it kept a replaced view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the view that the answer is of was replaced long ago, and answers that are taken too slowly \
     keep more of such views than may be (limits.max_replaced_bytes); ask again"
)]
pub struct CutOff;

impl Pins {
    /// Registers an answer until it is dropped.
    pub fn note(self: &Arc<Self>, rendering: Box<Rendering>) -> Pinned {
        let slot = Arc::new(Slot {
            content: Arc::downgrade(rendering.content()),
            rows: Mutex::new(Rows::Here(rendering)),
        });
        let mut state = lock(&self.0);
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, slot.clone());
        Pinned {
            pins: self.clone(),
            number,
            slot,
        }
    }

    /// Returns the bytes that replaced views took when the last view was published.
    pub fn bytes(&self) -> usize {
        lock(&self.0).bytes
    }

    /// Returns how many answers were cut off since the start.
    pub fn cut(&self) -> u64 {
        lock(&self.0).cut
    }

    /// Limits what replaced views take to `most` bytes whenever another snapshot is published.
    pub fn watch(
        self: &Arc<Self>,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        most: watch::Receiver<u64>,
    ) -> Task<()> {
        let pins = self.clone();
        Task::spawn("pins", async move {
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                let most = *most.borrow();
                pins.hold_to(&snapshot, usize::try_from(most).unwrap_or(usize::MAX));
            }
        })
    }

    /// Cuts off answers of views that are not in a snapshot, starting with the view whose
    /// answers began first, until such views take no more than `most` bytes besides the
    /// snapshot.
    fn hold_to(&self, snapshot: &Snapshot, most: usize) {
        let under_way: Vec<(u64, Arc<Slot>)> = {
            let state = lock(&self.0);
            let under_way = state.under_way.iter();
            under_way.map(|(n, slot)| (*n, slot.clone())).collect()
        };
        let mut replaced: Vec<Replaced> = Vec::new();
        for (_, slot) in under_way {
            let Some(content) = slot.content.upgrade() else {
                continue;
            };
            let newest = snapshot.view(content.name()).map(|view| view.content());
            if newest.is_some_and(|newest| Arc::ptr_eq(newest, &content)) {
                continue;
            }
            match replaced
                .iter_mut()
                .find(|r| Arc::ptr_eq(&r.content, &content))
            {
                Some(known) => known.slots.push(slot),
                None => replaced.push(Replaced {
                    bytes: content.bytes_beside(newest.map(Arc::as_ref)),
                    content,
                    slots: vec![slot],
                }),
            }
        }
        let mut bytes: usize = replaced.iter().map(|r| r.bytes).sum();
        let mut cut = 0;
        for replaced in &replaced {
            if bytes <= most {
                break;
            }
            bytes -= replaced.bytes;
            for slot in &replaced.slots {
                // Dropped after the lock on its rows is released.
                let rows = std::mem::replace(&mut *lock(&slot.rows), Rows::Cut);
                cut += u64::from(!matches!(rows, Rows::Cut));
            }
        }
        let mut state = lock(&self.0);
        state.bytes = bytes;
        state.cut += cut;
    }
}

/// A view that is not the newest any more, and the answers that keep it in memory.
struct Replaced {
    content: Arc<Content>,
    bytes: usize,
    slots: Vec<Arc<Slot>>,
}

impl Pinned {
    /// Takes the answer, to write its next piece.
    ///
    /// # Errors
    /// It was cut off.
    pub(super) fn take(&self) -> Result<Box<Rendering>, CutOff> {
        let mut rows = lock(&self.slot.rows);
        match std::mem::replace(&mut *rows, Rows::Out) {
            Rows::Here(rendering) => Ok(rendering),
            Rows::Out | Rows::Cut => {
                *rows = Rows::Cut;
                Err(CutOff)
            }
        }
    }

    /// Returns the answer until its next piece is wanted; drops it if it was cut off.
    pub(super) fn put(&self, rendering: Box<Rendering>) {
        let mut rows = lock(&self.slot.rows);
        if matches!(*rows, Rows::Out) {
            *rows = Rows::Here(rendering);
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        lock(&self.pins.0).under_way.remove(&self.number);
    }
}
