//! What a server offers: its directory and all it delegates to.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::alto::ird::{Directory, Entry};
use crate::alto::media;
use crate::alto::meta::StatedCostType;

use super::http::{Client, ClientError};

/// The resources of a directory and of those it delegates to (RFC 7285
/// §9.1.1: their ids are unique among all of them).
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The id of the root directory's default network map.
    pub default_network_map: Option<String>,
    offers: BTreeMap<String, Offer>,
}

/// A resource that is offered.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: Url,
    /// The entry in its directory.
    pub entry: Entry,
    /// The cost types that the entry names, resolved in its own directory.
    pub cost_types: Vec<StatedCostType<'static>>,
}

/// How many directories are read.
const MAX_DIRECTORIES: usize = 1000;

impl Catalog {
    /// Reads the directory at `root` and those it delegates to, each once.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub async fn read(client: &Client, root: &Url) -> Result<Self, ClientError> {
        let mut catalog = Self {
            default_network_map: None,
            offers: BTreeMap::new(),
        };
        let mut waiting = vec![root.clone()];
        let mut seen = BTreeSet::new();
        while let Some(url) = waiting.pop() {
            if !seen.insert(url.to_string()) {
                continue;
            }
            if seen.len() > MAX_DIRECTORIES {
                let reason =
                    format!("the server delegates to more than {MAX_DIRECTORIES} directories");
                return Err(ClientError::NotOffered(reason));
            }
            let is_root = seen.len() == 1;
            let (place, directory) = directory(client, &url).await?;
            seen.insert(place.to_string());
            if is_root {
                catalog.default_network_map = directory.meta.default_alto_network_map.clone();
            }
            waiting.extend(catalog.add(&place, directory)?);
        }
        Ok(catalog)
    }

    /// Adds a directory's resources; the URLs it delegates to are returned.
    fn add(&mut self, base: &Url, directory: Directory) -> Result<Vec<Url>, ClientError> {
        let mut delegated = Vec::new();
        for (id, entry) in directory.resources {
            let url = base
                .join(&entry.uri)
                .map_err(|error| ClientError::Transport {
                    url: base.to_string(),
                    reason: format!("the uri of {id:?} cannot be used: {error}"),
                })?;
            if entry.media_type == media::DIRECTORY {
                delegated.push(url);
                continue;
            }
            let names = entry.capabilities.cost_type_names.iter();
            let types = &directory.meta.cost_types;
            let cost_types = names.filter_map(|name| types.get(name).cloned()).collect();
            let offer = Offer {
                id: id.clone(),
                url,
                entry,
                cost_types,
            };
            self.offers.entry(id).or_insert(offer);
        }
        Ok(delegated)
    }

    /// Every resource, by id.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values()
    }

    /// The resource with an id.
    pub fn get(&self, id: &str) -> Option<&Offer> {
        self.offers.get(id)
    }

    /// The network map with this id, or the default one.
    ///
    /// # Errors
    /// There is none.
    pub fn network_map(&self, id: Option<&str>) -> Result<&Offer, ClientError> {
        let wanted = id.or(self.default_network_map.as_deref());
        let is_map = |offer: &&Offer| {
            offer.entry.media_type == media::NETWORK_MAP && offer.entry.accepts.is_none()
        };
        let found = match wanted {
            Some(id) => self.get(id).filter(is_map),
            None => self.offers().find(is_map),
        };
        found.ok_or_else(|| {
            let ids: Vec<&str> = self
                .offers()
                .filter(is_map)
                .map(|offer| offer.id.as_str())
                .collect();
            ClientError::NotOffered(format!(
                "the server has no network map {:?}; it has {}",
                wanted.unwrap_or("at all"),
                ids.join(", ")
            ))
        })
    }
}

/// A directory, and where it was found.
async fn directory(client: &Client, url: &Url) -> Result<(Url, Directory), ClientError> {
    let (place, body) = client.locate(url, media::DIRECTORY).await?;
    let directory = serde_json::from_slice(&body).map_err(|error| ClientError::Transport {
        url: place.to_string(),
        reason: format!("the directory cannot be read: {error}"),
    })?;
    Ok((place, directory))
}
