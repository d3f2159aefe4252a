//! What a directory offers for following some resources.

use url::Url;

use super::error::FollowError;
use super::news::Followed;
use crate::alto::media;
use crate::client::PeerError;
use crate::client::catalog::{Catalog, Crawl, Offer};
use crate::client::link::{Call, Link, shown};

/// How many directories a server may have, and how large each may be.
const MAX_DIRECTORIES: usize = 64;
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;

/// What a directory offers for following some resources.
#[derive(Debug)]
pub(super) struct Plan {
    /// The resources themselves, in the order in which they were wanted.
    pub(super) offers: Vec<Offer>,
    /// An update stream that has them all.
    pub(super) stream: Option<Offer>,
    /// A TIPS that has them all, in patches that we can apply.
    pub(super) tips: Option<Offer>,
}

impl Plan {
    /// Reads a directory and those it delegates to.
    ///
    /// # Errors
    /// It cannot be read, or does not have what is wanted.
    pub(super) async fn read(
        link: &Link,
        directory: &Url,
        wanted: &[Followed],
    ) -> Result<Self, FollowError> {
        let mut crawl = Crawl::new(directory, MAX_DIRECTORIES);
        while let Some(url) = crawl.next_directory()? {
            let call = Call {
                max_bytes: Some(MAX_DIRECTORY_BYTES),
                ..Call::new(&url, &[media::DIRECTORY])
            };
            match link.fetch(call).await {
                Ok(Some(received)) => crawl.take(&received.place, &received.body)?,
                // A directory elsewhere may delegate to what we do not ask.
                Err(PeerError::Elsewhere { .. }) if url != *directory => {}
                Ok(None) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Self::of(&crawl.finish(), link, directory, wanted)
    }

    /// What a catalog offers for following these.
    ///
    /// # Errors
    /// It does not have what is wanted.
    pub(super) fn of(
        catalog: &Catalog,
        link: &Link,
        directory: &Url,
        wanted: &[Followed],
    ) -> Result<Self, FollowError> {
        let offers = wanted.iter().map(|wanted| {
            let offer = catalog
                .get(&wanted.resource_id)
                .filter(|offer| is_followed(offer));
            let offer = offer.ok_or_else(|| not_offered(catalog, directory, wanted))?;
            let mend = match (&offer.entry.accepts, &wanted.input) {
                (Some(_), None) => "is asked by POST; give the input to ask it with",
                (None, Some(_)) => "is got without input; leave the input out",
                _ => return Ok(offer.clone()),
            };
            Err(FollowError::Input {
                resource_id: wanted.resource_id.clone(),
                mend,
            })
        });
        let offers: Vec<Offer> = offers.collect::<Result<_, _>>()?;
        let service = |media_type: &str, accepts: &str| {
            catalog.offers().find(|offer| {
                let entry = &offer.entry;
                entry.media_type == media_type
                    && entry.accepts.as_deref() == Some(accepts)
                    && offers.iter().all(|offer| entry.uses.contains(&offer.id))
                    && (media_type != media::TIPS
                        || offers.iter().all(|o| applies_all(offer, &o.id)))
                    && link.check_url(&offer.url).is_ok()
            })
        };
        Ok(Self {
            stream: service(media::EVENT_STREAM, media::UPDATE_STREAM_PARAMS).cloned(),
            tips: service(media::TIPS, media::TIPS_PARAMS).cloned(),
            offers,
        })
    }

    /// For each resource, those others that it is to be read with.
    pub(super) fn bases(&self, wanted: &[Followed]) -> Vec<Vec<usize>> {
        let is_base = |offer: &Offer, base: usize| {
            let whole = wanted.get(base).is_some_and(|base| base.input.is_none());
            let used = self.offers.get(base);
            whole
                && used
                    .is_some_and(|used| used.id != offer.id && offer.entry.uses.contains(&used.id))
        };
        let bases = |offer: &Offer| {
            (0..wanted.len())
                .filter(|&base| is_base(offer, base))
                .collect()
        };
        self.offers.iter().map(bases).collect()
    }
}

/// Whether the server sends no patches of a resource that we cannot apply (RFC
/// 8895 §6.5, RFC 9569 §5.2).
pub(super) fn applies_all(service: &Offer, resource_id: &str) -> bool {
    let types = &service.entry.capabilities.incremental_change_media_types;
    let listed = types.get(resource_id).map_or("", String::as_str);
    listed
        .split(',')
        .map(media::essence)
        .all(|one| matches!(one.as_str(), "" | media::MERGE_PATCH | media::JSON_PATCH))
}

/// Whether a resource is one whose content can be followed, not a way to follow.
fn is_followed(offer: &Offer) -> bool {
    !matches!(
        offer.entry.media_type.as_str(),
        media::EVENT_STREAM | media::TIPS
    )
}

fn not_offered(catalog: &Catalog, directory: &Url, wanted: &Followed) -> FollowError {
    let known: Vec<&str> = catalog
        .offers()
        .filter(|offer| is_followed(offer))
        .take(50)
        .map(|offer| offer.id.as_str())
        .collect();
    FollowError::NotOffered {
        url: shown(directory),
        resource_id: wanted.resource_id.clone(),
        known: known.join(", "),
    }
}
