//! Obtains the documents that a manifest names: those that came on the update stream, those
//! that are on the disk, and the rest from the peer.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::api::s2s::{Manifest, ManifestResource};
use crate::client::{PeerError, shown};
use crate::federation::copies::{DomainCopy, Former, Parts};
use crate::federation::import_error::ImportError;
use crate::federation::settings::PeerSettings;
use crate::federation::shared::Shared;
use crate::ident::Digest;

use super::api::PeerApi;
use super::given::Given;
use super::pending::Taken;

/// How long obtaining all documents of one domain may take, since others wait for the room.
const PENDING_FOR: Duration = Duration::from_secs(15 * 60);

/// The documents of a domain that its last copy does not have.
pub(super) struct Obtained {
    pub(super) documents: BTreeMap<Digest, Bytes>,
    /// Those of the documents that are not on the disk.
    pub(super) new: Vec<Bytes>,
    /// The room that they take until they are on the disk.
    pub(super) room: Taken,
}

/// The places where the documents of a peer's domains are looked for.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) shared: &'a Shared,
    pub(super) peer: &'a PeerSettings,
    /// The maps that came on the update stream.
    pub(super) given: &'a Given,
    /// The peer.
    pub(super) api: &'a PeerApi,
}

impl Sources<'_> {
    /// Obtains the documents that a manifest names, except those that `former` was made of. If
    /// the manifest was `pushed`, they should be here already.
    ///
    /// # Errors
    /// The manifest names more than the limits allow, there is no room for the documents, or the
    /// peer does not deliver them in time.
    pub(super) async fn obtain(
        &self,
        manifest: &Manifest,
        former: Option<&DomainCopy>,
        pushed: bool,
    ) -> Result<Obtained, ImportError> {
        let parts = Parts::of(manifest, &self.peer.import.limits())?;
        let former = former.and_then(Former::of);
        let is_known = |resource: &ManifestResource| {
            former.as_ref().is_some_and(|former| former.has(resource))
        };
        let wanted = parts.resources().filter(|resource| !is_known(resource));
        let wanted: Vec<&ManifestResource> = wanted.collect();
        let missing = wanted.iter();
        let missing = missing.filter(|resource| self.given.find(&resource.sha_256).is_none());
        let missing = missing.fold(0_u64, |sum, resource| sum.saturating_add(resource.length));
        // The room is taken until the documents are kept.
        let room = self.shared.pending.take(&self.peer.domain, missing).await?;
        let found = self.find_all(&wanted, pushed);
        let found = self.shared.clock.timeout(PENDING_FOR, found).await;
        let (documents, new) = found.unwrap_or_else(|_| Err(self.too_slow()))?;
        Ok(Obtained {
            documents,
            new,
            room,
        })
    }

    /// Finds the documents of these resources; returns all of them, and again those that are not
    /// on the disk.
    async fn find_all(
        &self,
        wanted: &[&ManifestResource],
        pushed: bool,
    ) -> Result<(BTreeMap<Digest, Bytes>, Vec<Bytes>), ImportError> {
        let mut documents = BTreeMap::new();
        let mut new = Vec::new();
        for resource in wanted {
            let digest = resource.sha_256;
            if let Some(given) = self.given.find(&digest) {
                new.push(given.clone());
                documents.insert(digest, given.clone());
                continue;
            }
            let document = match self.shared.archive.blob(&digest).await? {
                Some(kept) => kept,
                None => {
                    if pushed {
                        self.shared.copies.count_unpushed();
                    }
                    let here: usize = new.iter().map(Bytes::len).sum();
                    let room = resource.length.saturating_add(here as u64);
                    self.shared.archive.check_room(room)?;
                    let fetched = self.api.document(resource).await?;
                    new.push(fetched.clone());
                    fetched
                }
            };
            documents.insert(digest, document);
        }
        Ok((documents, new))
    }

    fn too_slow(&self) -> ImportError {
        ImportError::Client(PeerError::Timeout {
            url: shown(&self.peer.directory),
            limit: PENDING_FOR,
        })
    }
}
