//! The open streams and the requests that wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::follow::{Followed, unguessable};
use crate::ident::Client;
use crate::runtime::{Place, Shares, lock};

use super::controlled::Controlled;

/// What is pushed: the followed answers, and who follows them.
pub struct Push {
    followed: Arc<Followed>,
    streams: Mutex<HashMap<String, Arc<Controlled>>>,
    polls: AtomicUsize,
    stream_shares: Arc<Shares<Client>>,
    poll_shares: Arc<Shares<Client>>,
    misses: AtomicU64,
}

/// A place among the open streams, given back when dropped.
pub(super) struct Open {
    push: Arc<Push>,
    pub(super) name: String,
    _of_client: Option<Place<Client>>,
}

/// A place among the requests that wait, given back when dropped.
pub(super) struct Poll {
    push: Arc<Push>,
    _of_client: Place<Client>,
}

impl Push {
    /// Starts without streams and waiting requests.
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

    /// Returns the followed answers.
    pub fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }

    /// Returns how many update streams are open.
    pub fn open_streams(&self) -> usize {
        self.streams().len()
    }

    /// Returns how many requests wait for the next edge of a TIPS view.
    pub fn waiting(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }

    /// Returns how many requests named a stream that does not exist: somebody may be guessing
    /// (RFC 8895 §7.1).
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Opens a stream. `client` is none for a peer, which has no share. None if the limit of
    /// streams is reached.
    pub(super) fn admit(
        self: &Arc<Self>,
        controlled: Arc<Controlled>,
        client: Option<Client>,
    ) -> Option<Open> {
        let name = unguessable()?;
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

    /// Returns the stream with this name.
    pub(super) fn stream(&self, name: &str) -> Option<Arc<Controlled>> {
        let stream = self.streams().get(name).cloned();
        if stream.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        stream
    }

    /// Lets a request of a client wait; none if the limit of such requests is reached.
    pub(super) fn wait(self: &Arc<Self>, client: Client) -> Option<Poll> {
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
        lock(&self.streams)
    }
}

impl Open {
    /// Returns the followed answers.
    pub(super) fn followed(&self) -> &Arc<Followed> {
        &self.push.followed
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
