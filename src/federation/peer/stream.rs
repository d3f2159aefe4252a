//! Follows a peer's update stream, which brings only the changes of what the peer passes on.
//!
//! What comes is treated as if it had been fetched. A map that is rebuilt from patches waits
//! until the manifest that names its digest has come; a manifest is taken as any other, except
//! that the documents it names may be here already.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::alto::media;
use crate::alto::patch::merge_patch;
use crate::alto::update::{AddUpdate, UpdateStreamParams};
use crate::client::{DataEvent, StreamError, StreamEvent, UpdateStream};
use crate::federation::import_error::ImportError;
use crate::ident::{Digest, DomainLabel};

use super::reader::{Reader, Told};

/// The resources of the stream that are not maps.
const DOMAINS: &str = "domains";
const MANIFEST: &str = "manifest";

/// The open stream of a peer, and what is followed on it.
pub(super) struct Pushed {
    stream: UpdateStream,
    substreams: BTreeMap<String, Substream>,
    /// The domains of which only the manifest is followed.
    left: BTreeMap<DomainLabel, Left>,
    /// How many bytes came since a manifest said something new.
    came: usize,
}

/// The resource of a substream.
enum Substream {
    /// The list of the domains that the peer passes on.
    Domains,
    /// The manifest of a domain. `begun` says whether it has come, as it does once at the
    /// beginning.
    Manifest { domain: DomainLabel, begun: bool },
    /// A map of a domain, and the digest of the map that we have.
    Map {
        domain: DomainLabel,
        id: String,
        digest: Digest,
    },
}

/// Why the maps of a domain are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The domain made of them is not taken, so the next patch finds nothing here to patch.
    Refused,
    /// They are more than may wait for a manifest. The documents that the manifest names are
    /// fetched instead.
    Large,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing changes for others.
    Nothing,
    /// A copy was replaced: the domain changed, or was signed again.
    Taken,
    /// The peer passes on something else than what is followed. Read it when the pace allows
    /// that, and then open another stream; go on with this one until then.
    Reread,
    /// The stream has ended. Read the peer after a while, and not before it allows that.
    Broken(Option<Duration>),
}

/// Why a stream cannot be continued.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It ended, or its events make no sense.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// What came cannot be used.
    #[error(transparent)]
    Refused(#[from] ImportError),
}

impl Broken {
    /// Returns the exceeded limit, if that is the reason.
    pub(super) fn limit(&self) -> Option<&ImportError> {
        match self {
            Broken::Refused(refusal @ ImportError::Limit(_)) => Some(refusal),
            _ => None,
        }
    }

    /// Returns how long the peer asks us to wait, if it does.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Broken::Stream(StreamError::Request(error)) => error.retry_after(),
            Broken::Refused(refusal) => refusal.retry_after(),
            Broken::Stream(_) => None,
        }
    }
}

impl Pushed {
    /// Opens the stream for everything that the peer passes on, as it was just read.
    pub(super) async fn open(reader: &Reader) -> Result<Self, Broken> {
        let mut substreams = BTreeMap::from([("d".to_owned(), Substream::Domains)]);
        let mut params = UpdateStreamParams::default();
        params.add.insert("d".to_owned(), wanted(DOMAINS, None));
        let mut left = BTreeMap::new();
        let copies = reader.copies();
        let refused = reader
            .only_refused()
            .into_iter()
            .map(|domain| (domain, None));
        let had = copies.iter().map(|copy| (copy.domain.clone(), Some(copy)));
        for (number, (domain, copy)) in had.chain(refused).enumerate() {
            let is_refused = reader.is_refused(&domain);
            let copy = copy.filter(|_| !is_refused);
            if is_refused {
                left.insert(domain.clone(), Left::Refused);
            }
            let needed = copy.map_or(Vec::new(), |copy| reader.needed(copy));
            for (place, resource) in needed.into_iter().enumerate() {
                let name = format!("{number}-{place}");
                let id = resource.resource_id.to_string();
                let update = wanted(&id, Some(resource.tag.to_string()));
                params.add.insert(name.clone(), update);
                let map = Substream::Map {
                    domain: domain.clone(),
                    id,
                    digest: resource.sha_256,
                };
                substreams.insert(name, map);
            }
            let update = wanted(&format!("{domain}:{MANIFEST}"), None);
            params.add.insert(number.to_string(), update);
            let begun = false;
            let manifest = Substream::Manifest { domain, begun };
            substreams.insert(number.to_string(), manifest);
        }
        let stream = UpdateStream::open(
            &reader.api().connection(),
            &reader.api().updates()?,
            &params,
        )
        .await?;
        let stream = stream.within(reader.room());
        Ok(Self {
            stream,
            substreams,
            left,
            came: 0,
        })
    }

    /// Whether the maps of some domain are not followed because it was refused or held, and it
    /// is not any more.
    pub(super) fn is_behind(&self, reader: &Reader) -> bool {
        let mut left = self.left.iter();
        left.any(|(domain, why)| *why == Left::Refused && !reader.is_refused(domain))
    }

    /// Waits for the next event. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<StreamEvent, StreamError> {
        self.stream.next().await
    }

    /// Returns the domain and the entry of an event that is a manifest.
    pub(super) fn manifest<'a>(
        &'a self,
        event: &'a StreamEvent,
    ) -> Option<(&'a DomainLabel, &'a Bytes)> {
        let StreamEvent::Data(event) = event else {
            return None;
        };
        match self.substreams.get(&event.substream)? {
            Substream::Manifest { domain, .. } => Some((domain, &event.data)),
            Substream::Domains | Substream::Map { .. } => None,
        }
    }

    /// Handles an event.
    pub(super) async fn take(
        &mut self,
        event: StreamEvent,
        reader: &mut Reader,
    ) -> Result<Heard, Broken> {
        let event = match event {
            StreamEvent::Control(control) if control.stopped.is_empty() => {
                return Ok(Heard::Nothing);
            }
            StreamEvent::Control(_) => return Ok(Heard::Reread),
            StreamEvent::Lost { substream, bytes } => return self.lost(&substream, bytes, reader),
            StreamEvent::Data(event) => event,
        };
        let substream = self.substreams.get_mut(&event.substream);
        let is_first = match substream {
            Some(Substream::Manifest { begun, .. }) => !std::mem::replace(begun, true),
            _ => false,
        };
        if !is_first {
            self.came = self.came.saturating_add(event.data.len());
            reader.check_flood(self.came)?;
        }
        match self.substreams.get_mut(&event.substream) {
            None => Ok(Heard::Nothing),
            Some(Substream::Domains) => self.domains(&event, reader),
            Some(Substream::Map { domain, id, digest }) => {
                let domain = domain.clone();
                let left = match rebuild(id, digest, event, reader).await? {
                    Rebuilt::Map(is, body) => {
                        *digest = is;
                        let id = id.clone();
                        if reader.give(&domain, id, is, body) {
                            return Ok(Heard::Nothing);
                        } else {
                            Left::Large
                        }
                    }
                    Rebuilt::Large => Left::Large,
                    Rebuilt::Unfit => Left::Refused,
                };
                self.leave_maps(domain, left, reader);
                Ok(match left {
                    Left::Large => Heard::Nothing,
                    Left::Refused => Heard::Reread,
                })
            }
            Some(Substream::Manifest { domain, .. }) => {
                let domain = domain.clone();
                self.manifest_came(domain, event.data, reader).await
            }
        }
    }

    /// Handles an event for which there was no room.
    fn lost(
        &mut self,
        substream: &str,
        bytes: usize,
        reader: &mut Reader,
    ) -> Result<Heard, Broken> {
        self.came = self.came.saturating_add(bytes);
        reader.check_flood(self.came)?;
        Ok(match self.substreams.get(substream) {
            Some(Substream::Map { domain, .. }) => {
                self.leave_maps(domain.clone(), Left::Large, reader);
                Heard::Nothing
            }
            Some(Substream::Domains | Substream::Manifest { .. }) => Heard::Reread,
            None => Heard::Nothing,
        })
    }

    /// Takes the manifest of a domain. The rest of the stream goes on, whatever becomes of it.
    async fn manifest_came(
        &mut self,
        domain: DomainLabel,
        entry: Bytes,
        reader: &mut Reader,
    ) -> Result<Heard, Broken> {
        if reader.is_had(&domain, &entry) {
            // A reading was faster.
            if reader.has_given(&domain) {
                self.came = 0;
            }
            return Ok(if self.covers(&domain, reader) {
                reader.give_up(&domain);
                Heard::Nothing
            } else {
                Heard::Reread
            });
        }
        // The count starts anew even if this manifest is refused, since the judging of manifests
        // is paced.
        self.came = 0;
        let told = reader.take_pushed(&domain, entry).await?;
        Ok(match told {
            Told::Taken if self.covers(&domain, reader) => Heard::Taken,
            Told::Taken => Heard::Reread,
            Told::Known => {
                self.leave_maps(domain, Left::Refused, reader);
                Heard::Nothing
            }
            Told::Again => {
                self.leave_maps(domain, Left::Refused, reader);
                Heard::Reread
            }
        })
    }

    /// Stops following the maps of a domain. Its next manifest is judged all the same.
    fn leave_maps(&mut self, domain: DomainLabel, why: Left, reader: &mut Reader) {
        self.substreams
            .retain(|_, one| !matches!(one, Substream::Map { domain: of, .. } if *of == domain));
        reader.give_up(&domain);
        self.left.insert(domain, why);
    }

    /// Checks whether all domains that are passed on and wanted are followed.
    fn domains(&self, event: &DataEvent, reader: &Reader) -> Result<Heard, Broken> {
        #[derive(Deserialize)]
        struct Passed {
            domains: Vec<DomainLabel>,
        }
        let passed: Passed = serde_json::from_slice(&event.data)
            .map_err(|error| ImportError::Form(format!("the list of domains: {error}")))?;
        let wanted = passed.domains.iter().filter(|domain| reader.wants(domain));
        let is_followed = |domain: &&DomainLabel| {
            let mut all = self.substreams.values();
            all.any(|one| matches!(one, Substream::Manifest { domain: of, .. } if of == *domain))
        };
        let unknown = wanted.clone().filter(|domain| !is_followed(domain)).count();
        Ok(match unknown {
            0 => Heard::Nothing,
            _ => Heard::Reread,
        })
    }

    /// Whether the maps that the manifest of a domain names are followed, and have the digests
    /// that it names. Also true if they are too large to be followed.
    fn covers(&self, domain: &DomainLabel, reader: &Reader) -> bool {
        if self.left.get(domain) == Some(&Left::Large) {
            return true;
        }
        let Some(copy) = reader.copy(domain) else {
            return false;
        };
        let needed = reader.needed(&copy);
        let have = |id: &str, sha_256: &Digest| {
            let mut all = self.substreams.values();
            all.any(|one| {
                matches!(one, Substream::Map { id: map, digest, .. } if map == id && digest == sha_256)
            })
        };
        needed
            .iter()
            .all(|resource| have(resource.resource_id.as_str(), &resource.sha_256))
    }
}

/// A map after an event.
enum Rebuilt {
    /// The map and its digest.
    Map(Digest, Bytes),
    /// It is larger than a document may be.
    Large,
    /// The event is a patch of a map that is not here.
    Unfit,
}

/// Rebuilds a map from an event.
async fn rebuild(
    id: &str,
    digest: &Digest,
    event: DataEvent,
    reader: &Reader,
) -> Result<Rebuilt, Broken> {
    let text = event.data;
    let before = if event.media_type == media::MERGE_PATCH {
        match reader.body(digest).await? {
            Some(before) => Some(before),
            None => {
                tracing::debug!(id, "a change of it does not fit what is here");
                return Ok(Rebuilt::Unfit);
            }
        }
    } else {
        None
    };
    let most = reader.max_bytes();
    let rebuilt = reader.work(move || {
        let body = match before {
            // Line breaks that were inserted are not part of the map.
            None => crate::alto::patch::compact(&text).into_owned(),
            Some(before) => match merge_patch(&before, &text) {
                Ok(patched) => patched,
                Err(_) => return Rebuilt::Unfit,
            },
        };
        if body.len() > most {
            Rebuilt::Large
        } else {
            Rebuilt::Map(Digest::of(&body), body.into())
        }
    });
    Ok(rebuilt.await?)
}

fn wanted(resource_id: &str, tag: Option<String>) -> AddUpdate {
    AddUpdate {
        resource_id: resource_id.to_owned(),
        tag,
        incremental_changes: true,
        input: None,
    }
}
