//! What came on the update stream of a peer, until a manifest names it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::client::{Room, Rooms};
use crate::federation::pending::{Readings, Taken};
use crate::federation::refusal::Refusal;
use crate::ident::{Digest, DomainLabel};

use super::Reader;

/// A document that came on the update stream.
pub(super) struct Given {
    digest: Digest,
    body: Bytes,
    _room: Taken,
}

impl Reader {
    /// The document with a digest, if it is here.
    pub(in crate::federation) async fn body(
        &self,
        digest: &Digest,
    ) -> Result<Option<Bytes>, Refusal> {
        match self.given(digest) {
            Some(body) => Ok(Some(body.clone())),
            None => Ok(self.shared.archive.blob(digest).await?),
        }
    }

    /// Room for the events of the update stream.
    pub(in crate::federation) fn room(&self) -> Box<dyn Room> {
        Readings::of(&self.shared, &self.peer).room()
    }

    /// Keeps a map of a domain that came on the stream until a manifest names it; whether
    /// there is room for it.
    pub(in crate::federation) fn give(
        &mut self,
        domain: &DomainLabel,
        id: String,
        digest: Digest,
        body: Bytes,
    ) -> bool {
        let of_it = self.given.entry(domain.clone()).or_default();
        // What it replaces makes room for it.
        of_it.remove(&id);
        let given = self.given.values().flat_map(BTreeMap::values);
        let pending: usize = given.map(|given| given.body.len()).sum();
        if pending.saturating_add(body.len()) > self.peer.import.max_pending {
            return false;
        }
        let room = self
            .shared
            .pending
            .try_take(&self.peer.domain, body.len() as u64);
        let Some(_room) = room else {
            return false;
        };
        let given = Given {
            digest,
            body,
            _room,
        };
        self.given
            .entry(domain.clone())
            .or_default()
            .insert(id, given);
        true
    }

    /// Whether maps of a domain wait for its manifest.
    pub(in crate::federation) fn has_given(&self, domain: &DomainLabel) -> bool {
        self.given.contains_key(domain)
    }

    /// A document that came on the stream.
    pub(super) fn given(&self, digest: &Digest) -> Option<&Bytes> {
        let mut given = self.given.values().flat_map(BTreeMap::values);
        let found = given.find(|given| given.digest == *digest);
        found.map(|given| &given.body)
    }

    /// Keeps nothing any longer that came of a domain.
    pub(in crate::federation) fn give_up(&mut self, domain: &DomainLabel) {
        self.given.remove(domain);
    }

    /// Keeps nothing any longer that came on the stream: it is no more.
    pub(in crate::federation) fn give_up_all(&mut self) {
        self.given.clear();
    }

    /// # Errors
    /// So many bytes came on the stream since it told something new. All maps of all domains
    /// that are within the budgets of a peer may come before the first manifest does, and have
    /// twice as many as may wait.
    pub(in crate::federation) fn check_flood(&self, bytes: usize) -> Result<(), Refusal> {
        let most = self.peer.import.max_pending.saturating_mul(2);
        match bytes > most {
            true => Err(Refusal::Limit(format!(
                "the peer pushed {bytes} bytes, and no manifest among them that tells something \
                 new; at most {most} are taken, twice what may wait for one (max_pending)"
            ))),
            false => Ok(()),
        }
    }
}
