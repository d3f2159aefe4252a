//! The server-to-server API of a peer: finds it, and fetches from it.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use crate::alto::media;
use crate::api::s2s::{Descriptor, KeyDocument, ManifestResource, UPDATES};
use crate::client::{Answer, Ask, Connection, PeerClient, PeerError};
use crate::federation::import_error::ImportError;
use crate::federation::settings::PeerSettings;
use crate::ident::Digest;

/// The path of a node's descriptor, on the origin of its directory.
const WELL_KNOWN: &str = "/.well-known/alto-federation";

/// The most bytes that a descriptor may have.
const MAX_DESCRIPTOR: usize = 64 * 1024;

/// The server-to-server API of a peer.
pub(super) struct PeerApi {
    peer: Arc<PeerSettings>,
    client: PeerClient,
    descriptor: Option<Descriptor>,
    /// The URL of the descriptor, if it was not found at the well-known path.
    announced: Option<Url>,
}

/// The manifests that a peer passes on, and their entity tag.
pub(super) type Manifests = (Vec<Box<RawValue>>, Option<String>);

impl PeerApi {
    /// Makes the API of the peer that this client asks.
    pub(super) fn new(peer: Arc<PeerSettings>, client: PeerClient) -> Self {
        Self {
            peer,
            client,
            descriptor: None,
            announced: None,
        }
    }

    /// Reads the descriptor, which says where the rest of the API is and which keys there are;
    /// returns whether it shows other keys than before. It is never requested by an entity tag:
    /// nothing signs it, so a damaged one would be confirmed for ever. It is short.
    ///
    /// The descriptor is at the well-known path of the origin, or where the directory announces
    /// it, since the origin of a node below a path may belong to another server.
    ///
    /// # Errors
    /// There is none, or it is of another domain.
    pub(super) async fn describe(&mut self) -> Result<bool, ImportError> {
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
        // A server that gives us no directory announces nothing either.
        let announced = self.client.announced(&self.peer.directory, most).await;
        let Some(url) = announced.ok().flatten().filter(|url| *url != place) else {
            return Err(refusal);
        };
        self.client.check_url(&url)?;
        match self.describe_at(&url).await {
            Err(refusal) if may_be_elsewhere(&refusal) => Err(ImportError::Peer(format!(
                "the descriptor that its directory announces cannot be fetched ({refusal}); a proxy \
                 in front of the peer has to forward it, as `altofed check` says there"
            ))),
            outcome => {
                self.announced = Some(url);
                outcome
            }
        }
    }

    async fn describe_at(&mut self, url: &Url) -> Result<bool, ImportError> {
        let ask = Ask {
            max_bytes: Some(MAX_DESCRIPTOR),
            ..Ask::new(url, media::JSON)
        };
        let document: Descriptor = read(url, &self.fetch(ask).await?)?;
        if document.domain != self.peer.domain {
            return Err(ImportError::Peer(format!(
                "{url} is of the domain {}, and {} is configured; correct `domain` or `directory`",
                document.domain, self.peer.domain
            )));
        }
        let shows_others = self.shown() != document.keys;
        self.descriptor = Some(document);
        Ok(shows_others)
    }

    /// Returns the keys that the peer shows.
    pub(super) fn shown(&self) -> &[KeyDocument] {
        let descriptor = self.descriptor.as_ref();
        descriptor.map_or(&[], |known| &known.keys)
    }

    /// Whether the peer has an update stream.
    pub(super) fn has_updates(&self) -> bool {
        let mut features = self.descriptor.iter().flat_map(|known| &known.features);
        features.any(|feature| feature == UPDATES)
    }

    /// Returns the URL of the peer's update stream.
    ///
    /// # Errors
    /// The URL that the peer states may not be asked.
    pub(super) fn updates(&self) -> Result<Url, ImportError> {
        self.url("updates")
    }

    /// Returns the connection to the peer.
    pub(super) fn connection(&self) -> Connection {
        self.client.connection()
    }

    /// Fetches the manifests that the peer passes on; returns `None` if they still have the
    /// entity tag `known`.
    ///
    /// # Errors
    /// The peer gave no usable answer, or passes on too many domains.
    pub(super) async fn manifests(
        &self,
        known: Option<&str>,
    ) -> Result<Option<Manifests>, ImportError> {
        let url = self.url("manifests")?;
        let ask = Ask {
            known,
            max_bytes: Some(self.peer.import.max_bytes),
            ..Ask::new(&url, media::JSON)
        };
        let Answer::Document(found) = self.client.get(ask).await? else {
            return Ok(None);
        };
        let entries: Vec<Box<RawValue>> = read(&url, &found.body)?;
        if entries.len() > self.peer.import.max_domains {
            return Err(ImportError::Limit(format!(
                "the peer passes {} domains; at most {} are taken (max_domains)",
                entries.len(),
                self.peer.import.max_domains
            )));
        }
        Ok(Some((entries, found.etag)))
    }

    /// Fetches the document of a resource.
    ///
    /// # Errors
    /// The peer gave no usable answer, or another document than was signed.
    pub(super) async fn document(&self, resource: &ManifestResource) -> Result<Bytes, ImportError> {
        let url = self.url(&format!("blobs/{}", resource.sha_256))?;
        let limit = usize::try_from(resource.length).unwrap_or(usize::MAX);
        let ask = Ask {
            max_bytes: Some(limit),
            ..Ask::new(&url, &resource.media_type)
        };
        let body = self.fetch(ask).await?;
        if Digest::of(&body) != resource.sha_256 {
            let id = &resource.resource_id;
            let text = format!("{id} is not as it was signed; its digest is another");
            return Err(ImportError::Digest(text));
        }
        Ok(body)
    }

    async fn fetch(&self, ask: Ask<'_>) -> Result<Bytes, ImportError> {
        match self.client.get(ask).await? {
            Answer::Document(document) => Ok(document.body),
            Answer::NotModified => Err(ImportError::Peer(format!(
                "the peer answers 304 (not modified) for {}, which was requested without an entity tag",
                ask.url
            ))),
        }
    }

    /// Returns a URL of the API.
    fn url(&self, path: &str) -> Result<Url, ImportError> {
        let base = self.descriptor.as_ref().map(|known| &known.s2s);
        let base = base
            .map_or("/s2s/v1/", String::as_str)
            .trim_end_matches('/');
        self.join(&self.peer.directory, &format!("{base}/{path}"))
    }

    fn join(&self, base: &Url, reference: &str) -> Result<Url, ImportError> {
        let url = base.join(reference).map_err(|error| {
            ImportError::Peer(format!("{reference:?} of the peer is no URI: {error}"))
        })?;
        self.client.check_url(&url)?;
        Ok(url)
    }
}

/// Whether the refusal is about the asked URL only: there is nothing, or something else.
fn may_be_elsewhere(refusal: &ImportError) -> bool {
    match refusal {
        // A server that asks us to wait is the right one.
        ImportError::Client(PeerError::Status { retry_after, .. }) => retry_after.is_none(),
        ImportError::Client(error) => matches!(
            error,
            PeerError::MediaType { .. } | PeerError::Body { .. } | PeerError::Elsewhere { .. }
        ),
        ImportError::Form(_) | ImportError::Peer(_) => true,
        _ => false,
    }
}

/// Reads a document of the peer. One that cannot be read is not of the kind that was asked for.
fn read<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(body)
        .map_err(|error| ImportError::Form(format!("{url} cannot be read: {error}")))
}
