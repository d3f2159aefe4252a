//! The side of an update stream that its control service holds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::http::caller::Caller;
use crate::publish::ViewName;
use crate::runtime::lock;

use super::substream::Substream;

/// What the control service makes a stream do.
pub(super) struct Command {
    pub(super) add: Vec<Substream>,
    /// The substreams to end.
    pub(super) remove: Vec<String>,
}

/// The side of a stream that its control service holds.
pub(super) struct Controlled {
    pub(super) view: ViewName,
    /// The caller that opened it, and that alone may control it.
    pub(super) opener: Caller,
    pub(super) ids: Mutex<Ids>,
    pub(super) woken: Notify,
}

/// The ids of a stream's substreams.
#[derive(Default)]
pub(super) struct Ids {
    /// Every id that was ever used, and whether it is active.
    pub(super) ever: BTreeMap<String, bool>,
    /// The commands that are still to be executed.
    pub(super) commands: VecDeque<Command>,
    /// Whether the stream ends once they are executed.
    pub(super) closing: bool,
}

impl Controlled {
    pub(super) fn ids(&self) -> MutexGuard<'_, Ids> {
        lock(&self.ids)
    }
}
