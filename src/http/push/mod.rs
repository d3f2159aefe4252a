//! Push: clients that follow resources are told when they change, and what.
//!
//! [`Followed`] holds the histories of the answers that somebody follows. On it
//! stand update streams (RFC 8895; `open`, `stream`, `control`) and the
//! transport information publication service (RFC 9569; `tips`). Peers have a
//! stream of their own (`peers`), over what manifests were signed for.

mod control;
mod event;
mod followed;
mod open;
mod peers;
mod settings;
mod stream;
mod tips;
mod tokens;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use followed::Followed;
pub use settings::Settings;

pub(super) use control::routes as control_routes;
pub(super) use open::open;
pub(super) use peers::open_for_peer;
pub(super) use tips::{open as open_tips, routes as tips_routes, waiting_routes};

use stream::Controlled;

/// What is pushed: the answers that are followed, and who follows them.
pub struct Push {
    followed: Arc<Followed>,
    streams: Mutex<HashMap<String, Arc<Controlled>>>,
    polls: AtomicUsize,
    misses: AtomicU64,
}

/// A place among the open streams, given back when dropped.
struct Open {
    push: Arc<Push>,
    name: String,
}

/// A place among the requests that wait, given back when dropped.
struct Poll(Arc<Push>);

impl Push {
    /// Nobody follows anything yet.
    pub fn new(followed: Arc<Followed>) -> Arc<Self> {
        Arc::new(Self {
            followed,
            streams: Mutex::default(),
            polls: AtomicUsize::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The answers that are followed.
    pub fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }

    /// How many update streams are open.
    pub fn open_streams(&self) -> usize {
        self.streams().len()
    }

    /// How many requests wait for the next edge of a TIPS view.
    pub fn waiting(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    /// How many requests named a stream that there is not: somebody may be
    /// guessing (RFC 8895 §7.1).
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Opens a stream; none if as many are open as may be.
    fn admit(self: &Arc<Self>, controlled: Arc<Controlled>) -> Option<Open> {
        let name = tokens::unguessable()?;
        let max = self.followed.settings().max_streams;
        let mut streams = self.streams();
        if streams.len() >= max {
            return None;
        }
        streams.insert(name.clone(), controlled);
        Some(Open {
            push: self.clone(),
            name,
        })
    }

    /// The stream with a name.
    fn stream(&self, name: &str) -> Option<Arc<Controlled>> {
        let stream = self.streams().get(name).cloned();
        if stream.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        stream
    }

    /// Lets a request wait; none if as many wait as may.
    fn wait(self: &Arc<Self>) -> Option<Poll> {
        let max = self.followed.settings().max_polls;
        let one_more = |count| (count < max).then_some(count + 1);
        let waiting = self
            .polls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        waiting.ok().map(|_| Poll(self.clone()))
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, Arc<Controlled>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.push.streams().remove(&self.name);
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.polls.fetch_sub(1, Ordering::Relaxed);
    }
}
