//! The directory of a server, and all that it delegates to.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use url::Url;

use crate::alto::ird::{self, Entry};
use crate::alto::media;
use crate::alto::meta::StatedCostType;

use super::connection::shown;

/// The resources of a directory and of those that it delegates to (RFC 7285 §9.1.1: their ids
/// are unique among all of them).
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The URI of the node's descriptor, if the root directory announces one.
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
    /// Its URL.
    pub url: Url,
    /// The entry in its directory.
    pub entry: Entry,
    /// The cost types that the entry names, resolved in its own directory.
    pub cost_types: Vec<StatedCostType<'static>>,
}

/// Why the directories of a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There are too many.
    #[error("the server delegates to more than {0} directories")]
    TooMany(usize),
    /// One cannot be read.
    #[error("{url}: {reason}")]
    Unreadable {
        /// Where it was found.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// None has the network map that is wanted.
    #[error("the server has no network map {wanted:?}; it has {known}")]
    NoNetworkMap {
        /// Its id.
        wanted: String,
        /// The ids of those that there are.
        known: String,
    },
}

/// A directory document as it was found.
#[derive(Debug, Clone)]
pub struct Page {
    /// The URL after redirects, against which relative URIs are resolved.
    pub place: Url,
    /// Its text.
    pub body: Bytes,
}

/// Fetches the directories of a crawl.
pub trait Pages: Send {
    /// Why a directory cannot be fetched.
    type Error: From<DirectoryError> + Send;

    /// Fetches the directory at a URL, or `None` if it is to be left out.
    fn page(&mut self, url: &Url)
    -> impl Future<Output = Result<Option<Page>, Self::Error>> + Send;
}

impl Directory {
    /// Reads the directory at `root` and those that it delegates to, each once,
    /// `max_directories` at most.
    ///
    /// # Errors
    /// One of them cannot be fetched or read, or there are too many.
    pub async fn crawl<P: Pages>(
        root: &Url,
        max_directories: usize,
        mut pages: P,
    ) -> Result<Self, P::Error> {
        let mut crawl = Crawl::new(root, max_directories);
        while let Some(url) = crawl.next_directory()? {
            if let Some(page) = pages.page(&url).await? {
                crawl.take(&page)?;
            }
        }
        Ok(crawl.finish())
    }

    /// Iterates over all resources, by id.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// Returns the resource with an id.
    pub fn get(&self, id: &str) -> Option<&Resource> {
        self.resources.get(id)
    }

    /// Returns the network map with this id, or the default one.
    ///
    /// # Errors
    /// There is none.
    pub fn network_map(&self, id: Option<&str>) -> Result<&Resource, DirectoryError> {
        let wanted = id.or(self.default_network_map.as_deref());
        let is_map = |resource: &&Resource| {
            resource.entry.media_type == media::NETWORK_MAP && resource.entry.accepts.is_none()
        };
        let found = match wanted {
            Some(id) => self.get(id).filter(is_map),
            None => self.resources().find(is_map),
        };
        found.ok_or_else(|| {
            let maps = self.resources().filter(is_map);
            let known: Vec<&str> = maps.map(|resource| resource.id.as_str()).collect();
            DirectoryError::NoNetworkMap {
                wanted: wanted.unwrap_or("at all").to_owned(),
                known: known.join(", "),
            }
        })
    }
}

/// A crawl without its fetching: each directory that [`Crawl::next_directory`] names is given
/// to [`Crawl::take`].
#[derive(Debug)]
struct Crawl {
    directory: Directory,
    waiting: Vec<Url>,
    seen: BTreeSet<Url>,
    max_directories: usize,
}

impl Crawl {
    /// Starts a crawl at `root`, of this many directories at most.
    fn new(root: &Url, max_directories: usize) -> Self {
        Self {
            directory: Directory::default(),
            waiting: vec![root.clone()],
            seen: BTreeSet::new(),
            max_directories,
        }
    }

    /// Returns the next directory to read, each once, also where they delegate in a circle.
    ///
    /// # Errors
    /// There are too many.
    fn next_directory(&mut self) -> Result<Option<Url>, DirectoryError> {
        while let Some(url) = self.waiting.pop() {
            if !self.seen.insert(url.clone()) {
                continue;
            }
            if self.seen.len() > self.max_directories {
                return Err(DirectoryError::TooMany(self.max_directories));
            }
            return Ok(Some(url));
        }
        Ok(None)
    }

    /// Takes the directory that was to be read.
    ///
    /// # Errors
    /// It cannot be read.
    fn take(&mut self, page: &Page) -> Result<(), DirectoryError> {
        let Page { place, body } = page;
        let failed = |reason: String| DirectoryError::Unreadable {
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

    /// Returns the resources of all directories together.
    fn finish(self) -> Directory {
        self.directory
    }
}
