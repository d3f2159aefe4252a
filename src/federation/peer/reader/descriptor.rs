//! What a node says of itself: where its server-to-server API is, and which keys it shows.

use url::Url;

use crate::alto::media;
use crate::api::s2s::{Descriptor, KeyDocument};
use crate::client::{Ask, PeerError};
use crate::federation::import_error::ImportError;
use crate::ident::DomainLabel;

use super::{Reader, read};

/// Where a node's descriptor is, on the origin of its directory.
const WELL_KNOWN: &str = "/.well-known/alto-federation";

/// How many bytes a descriptor may have.
const MAX_DESCRIPTOR: usize = 64 * 1024;

impl Reader {
    /// Reads the descriptor: where the rest is, and which keys there are. It is
    /// never asked for by an entity tag: nothing signs it, and one that came
    /// damaged would be confirmed for ever. It is short.
    ///
    /// It is at the well-known place of the origin, or where the directory announces it: the
    /// origin of a node below a path may be another's.
    pub(in crate::federation) async fn describe(&mut self) -> Result<(), ImportError> {
        let well_known = self.join(&self.peer.directory, WELL_KNOWN)?;
        let known = self.announced.take();
        let place = known.clone().unwrap_or(well_known);
        let refusal = match self.describe_at(&place).await {
            Err(refusal) if may_be_elsewhere(&refusal) => refusal,
            outcome => {
                self.announced = known;
                return outcome;
            }
        };
        let most = self.peer.import.max_bytes;
        // Whoever has no directory for us has no announcement either.
        let announced = self.client.announced(&self.peer.directory, most).await;
        let Some(url) = announced.ok().flatten().filter(|url| *url != place) else {
            return Err(refusal);
        };
        self.client.check_url(&url)?;
        match self.describe_at(&url).await {
            Err(refusal) if may_be_elsewhere(&refusal) => Err(ImportError::Peer(format!(
                "its directory announces a descriptor, which cannot be had ({refusal}); what is \
                 in front of the peer has to forward it, as `altofed check` says there"
            ))),
            outcome => {
                self.announced = Some(url);
                outcome
            }
        }
    }

    async fn describe_at(&mut self, url: &Url) -> Result<(), ImportError> {
        let ask = Ask {
            max_bytes: Some(MAX_DESCRIPTOR),
            ..Ask::new(url, media::JSON)
        };
        let document: Descriptor = read(url, &self.fetch(ask).await?)?;
        if document.domain != self.peer.domain {
            return Err(ImportError::Peer(format!(
                "{url} is of the domain {}, and {} is configured; mend `domain` or `directory`",
                document.domain, self.peer.domain
            )));
        }
        if self.shown() != document.keys {
            // It may be signed by one that it did not show.
            let own = &self.peer.domain;
            let is_own = |peer: &DomainLabel, domain: &DomainLabel| peer == own && domain == own;
            self.shared.copies.reconsider(is_own);
        }
        self.descriptor = Some(document);
        Ok(())
    }

    /// The keys that the peer shows.
    pub(super) fn shown(&self) -> &[KeyDocument] {
        let descriptor = self.descriptor.as_ref();
        descriptor.map_or(&[], |known| &known.keys)
    }
}

/// Whether the answer tells only of the place that was asked: nothing or something else
/// is there.
fn may_be_elsewhere(refusal: &ImportError) -> bool {
    match refusal {
        // Who wants to be left alone for a while is the right one.
        ImportError::Client(PeerError::Status { retry_after, .. }) => retry_after.is_none(),
        ImportError::Client(error) => matches!(
            error,
            PeerError::MediaType { .. } | PeerError::Body { .. } | PeerError::Elsewhere { .. }
        ),
        ImportError::Form(_) | ImportError::Peer(_) => true,
        _ => false,
    }
}
