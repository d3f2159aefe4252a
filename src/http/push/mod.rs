//! Push: clients that follow resources are told when they change, and what.
//!
//! [`Followed`] holds the histories of the answers that somebody follows. On it
//! stand update streams (RFC 8895; `open`, `stream`, `control`) and the
//! transport information publication service (RFC 9569; `tips`). Peers have a
//! stream of their own (`peers`), over what manifests were signed for.

mod advance;
mod behind;
mod cells;
mod control;
mod event;
mod followed;
mod follower;
mod kept;
mod moves;
mod open;
mod peers;
mod settings;
mod state;
mod stream;
mod tips;
mod tokens;
mod whole;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use followed::Followed;
pub use settings::Settings;

pub(super) use control::routes as control_routes;
pub(super) use open::open;
pub(super) use peers::open_for_peer;
pub(super) use tips::{open as open_tips, routes as tips_routes, waiting_routes};

use super::socket::{Client, Place, Shares};
use stream::Controlled;

/// What is pushed: the answers that are followed, and who follows them.
pub struct Push {
    followed: Arc<Followed>,
    streams: Mutex<HashMap<String, Arc<Controlled>>>,
    polls: AtomicUsize,
    stream_shares: Arc<Shares>,
    poll_shares: Arc<Shares>,
    misses: AtomicU64,
}

/// A place among the open streams, given back when dropped.
struct Open {
    push: Arc<Push>,
    name: String,
    _of_client: Option<Place>,
}

/// A place among the requests that wait, given back when dropped.
struct Poll {
    push: Arc<Push>,
    _of_client: Place,
}

impl Push {
    /// Nobody follows anything yet.
    pub fn new(followed: Arc<Followed>) -> Arc<Self> {
        Arc::new(Self {
            followed,
            streams: Mutex::default(),
            polls: AtomicUsize::new(0),
            stream_shares: Arc::default(),
            poll_shares: Arc::default(),
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

    /// Opens a stream, of a client unless it is a peer's; none if as many are open
    /// as may be.
    fn admit(
        self: &Arc<Self>,
        controlled: Arc<Controlled>,
        client: Option<Client>,
    ) -> Option<Open> {
        let name = tokens::unguessable()?;
        let settings = self.followed.settings();
        let of_client = match client {
            Some(client) => Some(self.stream_shares.take(client, settings.max_per_client)?),
            None => None,
        };
        let mut streams = self.streams();
        if streams.len() >= settings.max_streams {
            return None;
        }
        streams.insert(name.clone(), controlled);
        Some(Open {
            push: self.clone(),
            name,
            _of_client: of_client,
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

    /// Lets a request of a client wait; none if as many wait as may.
    fn wait(self: &Arc<Self>, client: Client) -> Option<Poll> {
        let settings = self.followed.settings();
        let of_client = self.poll_shares.take(client, settings.max_per_client)?;
        let one_more = |count| (count < settings.max_polls).then_some(count + 1);
        let waiting = self
            .polls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        waiting.ok().map(|_| Poll {
            push: self.clone(),
            _of_client: of_client,
        })
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
        self.push.polls.fetch_sub(1, Ordering::Relaxed);
    }
}
