//! A peer's update stream: what it changes comes by itself, and only what
//! changed.
//!
//! What comes is treated as if it had been fetched. A map that is rebuilt from
//! patches waits until the manifest that names its digest has come; a manifest
//! is taken as any is, except that what it names may be here already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::alto::media;
use crate::alto::patch::merge_patch;
use crate::alto::update::{AddUpdate, UpdateStreamParams};
use crate::client::{DataEvent, StreamError, StreamEvent, UpdateStream};
use crate::ident::{Digest, DomainLabel};

use super::refusal::Refusal;
use super::sync::{Reader, Told};

/// The resources of the stream that are no maps.
const DOMAINS: &str = "domains";
const MANIFEST: &str = "manifest";

/// The open stream of a peer, and what is followed on it.
pub(super) struct Pushed {
    stream: UpdateStream,
    substreams: BTreeMap<String, Substream>,
    /// The domains whose changes are held: only their manifests are followed.
    held: BTreeSet<DomainLabel>,
    /// How many bytes came since something was taken.
    came: usize,
}

/// What a substream is of.
enum Substream {
    /// The list of the domains that the peer passes.
    Domains,
    /// The manifest of a domain.
    Manifest(DomainLabel),
    /// A map, and the digest of what we have of it.
    Map { id: String, digest: Digest },
}

/// What came of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that others see.
    Nothing,
    /// A domain says something else, or was signed again.
    Taken,
    /// What is followed is not what is passed any more: read the peer when it is due,
    /// and open another stream; go on with this one until then.
    Reread,
    /// The stream is no more: read the peer after a while, and not before it wants
    /// to be.
    Broken(Option<Duration>),
}

/// Why a stream cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It ended, or its events make no sense.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// What came cannot be used.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A patch does not fit what we have.
    #[error("a change of {0} does not fit what is here")]
    Unfit(String),
}

impl Broken {
    /// That it is more than may be.
    pub(super) fn limit(&self) -> Option<&Refusal> {
        match self {
            Broken::Refused(refusal @ Refusal::Limit(_)) => Some(refusal),
            _ => None,
        }
    }

    /// How long the peer wants to be left alone, if it says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Broken::Stream(StreamError::Request(error)) => error.retry_after(),
            Broken::Refused(refusal) => refusal.retry_after(),
            Broken::Stream(_) | Broken::Unfit(_) => None,
        }
    }
}

impl Pushed {
    /// Opens the stream for everything that the peer was just read to pass.
    pub(super) async fn open(reader: &Reader) -> Result<Self, Broken> {
        let mut substreams = BTreeMap::from([("d".to_owned(), Substream::Domains)]);
        let mut params = UpdateStreamParams::default();
        params.add.insert("d".to_owned(), wanted(DOMAINS, None));
        let mut held = BTreeSet::new();
        let copies = reader.copies();
        let refused = reader
            .only_refused()
            .into_iter()
            .map(|domain| (domain, None));
        let had = copies.iter().map(|copy| (copy.domain.clone(), Some(copy)));
        for (number, (domain, copy)) in had.chain(refused).enumerate() {
            let is_held = reader.is_held(&domain);
            let copy = copy.filter(|_| !is_held);
            if is_held {
                held.insert(domain.clone());
            }
            let needed = copy.map_or(Vec::new(), |copy| reader.needed(copy));
            for (place, resource) in needed.into_iter().enumerate() {
                let name = format!("{number}-{place}");
                let id = resource.resource_id.to_string();
                let update = wanted(&id, Some(resource.tag.to_string()));
                params.add.insert(name.clone(), update);
                let digest = resource.sha_256;
                substreams.insert(name, Substream::Map { id, digest });
            }
            let update = wanted(&format!("{domain}:{MANIFEST}"), None);
            params.add.insert(number.to_string(), update);
            substreams.insert(number.to_string(), Substream::Manifest(domain));
        }
        let stream = UpdateStream::open(&reader.link(), &reader.updates()?, &params).await?;
        Ok(Self {
            stream,
            substreams,
            held,
            came: 0,
        })
    }

    /// Whether the maps of a domain are not followed since a change of it was held,
    /// and none is any more.
    pub(super) fn is_behind(&self, reader: &Reader) -> bool {
        self.held.iter().any(|domain| !reader.is_held(domain))
    }

    /// The next event. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<StreamEvent, StreamError> {
        self.stream.next().await
    }

    /// The domain whose manifest an event is, and the entry that it has.
    pub(super) fn manifest<'a>(
        &'a self,
        event: &'a StreamEvent,
    ) -> Option<(&'a DomainLabel, &'a Bytes)> {
        let StreamEvent::Data(event) = event else {
            return None;
        };
        match self.substreams.get(&event.substream)? {
            Substream::Manifest(domain) => Some((domain, &event.data)),
            Substream::Domains | Substream::Map { .. } => None,
        }
    }

    /// Takes an event in.
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
            StreamEvent::Data(event) => event,
        };
        self.came = self.came.saturating_add(event.data.len());
        reader.check_pending(self.came)?;
        match self.substreams.get_mut(&event.substream) {
            None => Ok(Heard::Nothing),
            Some(Substream::Domains) => self.domains(&event, reader),
            Some(Substream::Map { id, digest }) => {
                let body = rebuild(id, digest, event, reader).await?;
                *digest = Digest::of(&body);
                reader.give(id, *digest, body)?;
                Ok(Heard::Nothing)
            }
            Some(Substream::Manifest(domain)) => {
                let domain = domain.clone();
                if reader.is_had(&domain, &event.data) {
                    reader.give_up();
                    return Ok(match self.covers(&domain, reader) {
                        true => Heard::Nothing,
                        false => Heard::Reread,
                    });
                }
                let told = reader.take_pushed(&domain, event.data).await?;
                if matches!(told, Told::Taken) {
                    self.came = 0;
                }
                Ok(match told {
                    Told::Known => Heard::Nothing,
                    Told::Held => {
                        self.leave_maps(domain);
                        Heard::Nothing
                    }
                    Told::Taken if self.covers(&domain, reader) => Heard::Taken,
                    Told::Taken | Told::Again => Heard::Reread,
                })
            }
        }
    }

    /// Follows the maps of a domain no more, since its change is held: what patches
    /// make of it is not here to be patched again. Its next manifest is judged.
    fn leave_maps(&mut self, domain: DomainLabel) {
        let maps = format!("{domain}:");
        self.substreams
            .retain(|_, one| !matches!(one, Substream::Map { id, .. } if id.starts_with(&maps)));
        self.held.insert(domain);
    }

    /// Whether the domains that are passed are those that are followed.
    fn domains(&self, event: &DataEvent, reader: &Reader) -> Result<Heard, Broken> {
        #[derive(Deserialize)]
        struct Passed {
            domains: Vec<DomainLabel>,
        }
        let passed: Passed = serde_json::from_slice(&event.data)
            .map_err(|error| Refusal::Form(format!("the list of domains: {error}")))?;
        let wanted = passed.domains.iter().filter(|domain| reader.wants(domain));
        let is_followed = |domain: &&DomainLabel| {
            let mut all = self.substreams.values();
            all.any(|one| matches!(one, Substream::Manifest(followed) if followed == *domain))
        };
        let unknown = wanted.clone().filter(|domain| !is_followed(domain)).count();
        Ok(match unknown {
            0 => Heard::Nothing,
            _ => Heard::Reread,
        })
    }

    /// Whether the maps that a domain's manifest names are followed, and as it
    /// has them.
    fn covers(&self, domain: &DomainLabel, reader: &Reader) -> bool {
        let Some(copy) = reader.copy(domain) else {
            return false;
        };
        let needed = reader.needed(&copy);
        let have = |id: &str, sha_256: &Digest| {
            let mut all = self.substreams.values();
            all.any(|one| {
                matches!(one, Substream::Map { id: map, digest } if map == id && digest == sha_256)
            })
        };
        needed
            .iter()
            .all(|resource| have(resource.resource_id.as_str(), &resource.sha_256))
    }
}

/// A map after an event.
async fn rebuild(
    id: &str,
    digest: &Digest,
    event: DataEvent,
    reader: &Reader,
) -> Result<Bytes, Broken> {
    if event.media_type != media::MERGE_PATCH {
        // Lines that it was broken into are no part of it.
        let text = event.data;
        let body = reader.work(move || crate::alto::patch::compact(&text).into_owned());
        return Ok(body.await?.into());
    }
    let unfit = || Broken::Unfit(id.to_owned());
    let before = reader.body(digest).await?.ok_or_else(unfit)?;
    let patched = reader
        .work(move || merge_patch(&before, &event.data))
        .await?;
    let body = patched.map_err(|_| unfit())?;
    reader.check_size(id, body.len())?;
    Ok(body.into())
}

fn wanted(resource_id: &str, tag: Option<String>) -> AddUpdate {
    AddUpdate {
        resource_id: resource_id.to_owned(),
        tag,
        incremental_changes: true,
        input: None,
    }
}
