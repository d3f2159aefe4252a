//! What a directory offers for following some resources.

use url::Url;

use super::error::FollowError;
use super::news::Followed;
use crate::alto::media;
use crate::client::PeerError;
use crate::client::connection::{Call, Connection, Received, shown};
use crate::client::directory::{Directory, Page, Pages, Resource};

/// How many directories a server may have, and how large each may be.
const MAX_DIRECTORIES: usize = 64;
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;

/// What a directory offers for following some resources.
#[derive(Debug)]
pub(super) struct Offered {
    /// The resources, in the order in which they were wanted.
    pub(super) resources: Vec<Resource>,
    /// An update stream of all of them.
    pub(super) stream: Option<Resource>,
    /// A TIPS of all of them, in patches that can be applied.
    pub(super) tips: Option<Resource>,
}

/// The directories of a server, except those elsewhere that may not be asked for.
struct Nearby<'a> {
    connection: &'a Connection,
    root: &'a Url,
}

impl Pages for Nearby<'_> {
    type Error = FollowError;

    async fn page(&mut self, url: &Url) -> Result<Option<Page>, FollowError> {
        let call = Call {
            max_bytes: Some(MAX_DIRECTORY_BYTES),
            ..Call::new(url, &[media::DIRECTORY])
        };
        match self.connection.fetch(call).await {
            Ok(received) => Ok(received.map(|Received { place, body, .. }| Page { place, body })),
            // What a directory elsewhere delegates to is not asked for either.
            Err(PeerError::Elsewhere { .. }) if url != self.root => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Offered {
    /// Reads a directory and those that it delegates to.
    ///
    /// # Errors
    /// They cannot be read, or do not have what is wanted.
    pub(super) async fn read(
        connection: &Connection,
        root: &Url,
        wanted: &[Followed],
    ) -> Result<Self, FollowError> {
        let pages = Nearby { connection, root };
        let directory = Directory::crawl(root, MAX_DIRECTORIES, pages).await?;
        Self::of(&directory, connection, root, wanted)
    }

    /// Finds what a directory offers for following these resources.
    ///
    /// # Errors
    /// It does not have what is wanted.
    pub(super) fn of(
        directory: &Directory,
        connection: &Connection,
        root: &Url,
        wanted: &[Followed],
    ) -> Result<Self, FollowError> {
        let resources = wanted.iter().map(|wanted| {
            let resource = directory
                .get(&wanted.resource_id)
                .filter(|resource| is_followed(resource));
            let resource = resource.ok_or_else(|| not_offered(directory, root, wanted))?;
            let mend = match (&resource.entry.accepts, &wanted.input) {
                (Some(_), None) => "is asked by POST; give the input to ask it with",
                (None, Some(_)) => "is fetched by GET; leave the input out",
                _ => return Ok(resource.clone()),
            };
            Err(FollowError::Input {
                resource_id: wanted.resource_id.clone(),
                mend,
            })
        });
        let resources: Vec<Resource> = resources.collect::<Result<_, _>>()?;
        let service = |media_type: &str, accepts: &str| {
            directory.resources().find(|resource| {
                let entry = &resource.entry;
                entry.media_type == media_type
                    && entry.accepts.as_deref() == Some(accepts)
                    && resources
                        .iter()
                        .all(|resource| entry.uses.contains(&resource.id))
                    && (media_type != media::TIPS
                        || resources.iter().all(|o| applies_all(resource, &o.id)))
                    && connection.check_url(&resource.url).is_ok()
            })
        };
        Ok(Self {
            stream: service(media::EVENT_STREAM, media::UPDATE_STREAM_PARAMS).cloned(),
            tips: service(media::TIPS, media::TIPS_PARAMS).cloned(),
            resources,
        })
    }

    /// Returns for each resource those others that it depends on.
    pub(super) fn bases(&self, wanted: &[Followed]) -> Vec<Vec<usize>> {
        let is_base = |resource: &Resource, base: usize| {
            let whole = wanted.get(base).is_some_and(|base| base.input.is_none());
            let used = self.resources.get(base);
            whole
                && used.is_some_and(|used| {
                    used.id != resource.id && resource.entry.uses.contains(&used.id)
                })
        };
        let bases = |resource: &Resource| {
            (0..wanted.len())
                .filter(|&base| is_base(resource, base))
                .collect()
        };
        self.resources.iter().map(bases).collect()
    }
}

/// Whether every patch of a resource that the server may send can be applied (RFC 8895 §6.5,
/// RFC 9569 §5.2).
pub(super) fn applies_all(service: &Resource, resource_id: &str) -> bool {
    let types = &service.entry.capabilities.incremental_change_media_types;
    let listed = types.get(resource_id).map_or("", String::as_str);
    listed
        .split(',')
        .map(media::essence)
        .all(|one| matches!(one.as_str(), "" | media::MERGE_PATCH | media::JSON_PATCH))
}

/// Whether a resource has content that can be followed, rather than being a way to follow.
fn is_followed(resource: &Resource) -> bool {
    !matches!(
        resource.entry.media_type.as_str(),
        media::EVENT_STREAM | media::TIPS
    )
}

fn not_offered(directory: &Directory, root: &Url, wanted: &Followed) -> FollowError {
    let known: Vec<&str> = directory
        .resources()
        .filter(|resource| is_followed(resource))
        .take(50)
        .map(|resource| resource.id.as_str())
        .collect();
    FollowError::NotOffered {
        url: shown(root),
        resource_id: wanted.resource_id.clone(),
        known: known.join(", "),
    }
}
