//! What a server offers: its directory and all it delegates to.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::alto::ird::{self, Entry};
use crate::alto::media;
use crate::alto::meta::StatedCostType;

use super::connection::shown;
use super::http::{Client, ClientError};

/// The resources of a directory and of those it delegates to (RFC 7285
/// §9.1.1: their ids are unique among all of them).
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Where the descriptor of the node is, if the root directory announces one.
    pub descriptor: Option<String>,
    /// The id of the root directory's default network map.
    pub default_network_map: Option<String>,
    resources: BTreeMap<String, Resource>,
}

/// A resource that is offered.
#[derive(Debug, Clone)]
pub struct Resource {
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

impl Directory {
    /// Reads the directory at `root` and those it delegates to, each once.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub async fn read(client: &Client, root: &Url) -> Result<Self, ClientError> {
        let mut crawl = Crawl::new(root, MAX_DIRECTORIES);
        while let Some(url) = crawl.next_directory()? {
            let (place, body) = client.locate(&url, media::DIRECTORY).await?;
            crawl.take(&place, &body)?;
        }
        Ok(crawl.finish())
    }

    /// Every resource, by id.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// The resource with an id.
    pub fn get(&self, id: &str) -> Option<&Resource> {
        self.resources.get(id)
    }

    /// The network map with this id, or the default one.
    ///
    /// # Errors
    /// There is none.
    pub fn network_map(&self, id: Option<&str>) -> Result<&Resource, ClientError> {
        let wanted = id.or(self.default_network_map.as_deref());
        let is_map = |resource: &&Resource| {
            resource.entry.media_type == media::NETWORK_MAP && resource.entry.accepts.is_none()
        };
        let found = match wanted {
            Some(id) => self.get(id).filter(is_map),
            None => self.resources().find(is_map),
        };
        found.ok_or_else(|| {
            let ids: Vec<&str> = self
                .resources()
                .filter(is_map)
                .map(|resource| resource.id.as_str())
                .collect();
            ClientError::NotOffered(format!(
                "the server has no network map {:?}; it has {}",
                wanted.unwrap_or("at all"),
                ids.join(", ")
            ))
        })
    }
}

/// The reading of a directory and of those it delegates to, without the
/// fetching: what [`Crawl::next_directory`] names is to be given to [`Crawl::take`].
#[derive(Debug)]
pub struct Crawl {
    directory: Directory,
    waiting: Vec<Url>,
    seen: BTreeSet<Url>,
    max_directories: usize,
}

impl Crawl {
    /// A crawl that starts at `root` and reads this many directories at most.
    pub fn new(root: &Url, max_directories: usize) -> Self {
        Self {
            directory: Directory::default(),
            waiting: vec![root.clone()],
            seen: BTreeSet::new(),
            max_directories,
        }
    }

    /// The next directory that is to be read, each once, also where they
    /// delegate in a circle.
    ///
    /// # Errors
    /// There are too many.
    pub fn next_directory(&mut self) -> Result<Option<Url>, ClientError> {
        while let Some(url) = self.waiting.pop() {
            if !self.seen.insert(url.clone()) {
                continue;
            }
            if self.seen.len() > self.max_directories {
                return Err(ClientError::NotOffered(format!(
                    "the server delegates to more than {} directories",
                    self.max_directories
                )));
            }
            return Ok(Some(url));
        }
        Ok(None)
    }

    /// Takes the directory that was to be read, and was found at `place`.
    ///
    /// # Errors
    /// It is no directory.
    pub fn take(&mut self, place: &Url, body: &[u8]) -> Result<(), ClientError> {
        let failed = |reason: String| ClientError::Transport {
            url: shown(place),
            reason,
        };
        let document: ird::Directory = serde_json::from_slice(body)
            .map_err(|error| failed(format!("the directory cannot be read: {error}")))?;
        if self.seen.len() == 1 {
            self.directory.default_network_map = document.meta.default_alto_network_map.clone();
            self.directory.descriptor = document.meta.alto_federation.clone();
        }
        self.seen.insert(place.clone());
        for (id, mut entry) in document.resources {
            let url = place
                .join(&entry.uri)
                .map_err(|error| failed(format!("the uri of {id:?} cannot be used: {error}")))?;
            entry.media_type = media::essence(&entry.media_type);
            entry.accepts = entry.accepts.as_deref().map(media::essence);
            if entry.media_type == media::DIRECTORY {
                self.waiting.push(url);
                continue;
            }
            let names = entry.capabilities.cost_type_names.iter();
            let types = &document.meta.cost_types;
            let cost_types = names.filter_map(|name| types.get(name).cloned()).collect();
            let resource = Resource {
                id: id.clone(),
                url,
                entry,
                cost_types,
            };
            self.directory.resources.entry(id).or_insert(resource);
        }
        Ok(())
    }

    /// Returns what all the directories offer together.
    pub fn finish(self) -> Directory {
        self.directory
    }
}
