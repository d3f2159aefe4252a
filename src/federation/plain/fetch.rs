//! Fetches a plain domain, and after that only what changed of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use url::Url;

use crate::alto::media;
use crate::alto::patch::compact;
use crate::client::{
    Answer, Ask, Directory, Document, Follower, Page, Pages, PeerClient, Resource,
};
use crate::federation::copies::{check_costs, count};
use crate::federation::import_error::ImportError;
use crate::ident::Digest;
use crate::publish::Costs;
use crate::runtime::Pool;

use super::choice::{Choice, Source};
use super::documents::{Documents, Had, Mark};
use super::domain::{FormerPlain, Plain, PlainDocuments, PlainSettings, Seen};
use super::follow::{Pushed, followed};
use super::kind::one_domain;
use super::read::{self, Network, Read};

/// The outcome of a fetch.
#[derive(Debug)]
pub enum Fetched {
    /// Every document is the same as before.
    Unchanged,
    /// Some document has changed. The view is the former one, by `Arc`, if the change makes no
    /// difference to it.
    Changed(Box<Plain>),
}

/// The most directories that a server may have, and the most bytes of all of them together.
const MAX_DIRECTORIES: usize = 64;
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;

/// How often maps are requested that do not fit together, before this fetch is given up.
const ROUNDS: usize = 3;

/// Fetches the domain of a plain server. `former` is what was fetched before.
///
/// # Errors
/// It cannot be fetched, is not valid, or its maps do not fit together yet. Nothing of it is
/// taken; the former domain stays as it is.
pub async fn fetch(
    client: &PeerClient,
    pool: &Pool,
    settings: &PlainSettings,
    former: Option<&Plain>,
) -> Result<Fetched, ImportError> {
    take(client, pool, settings, former, None).await
}

/// Makes the domain anew from what the server pushed, which is everything that `former` was made
/// of except its directories. Nothing is requested.
///
/// # Errors
/// As for [`fetch`].
pub(in crate::federation) async fn fetch_pushed(
    client: &PeerClient,
    pool: &Pool,
    former: &Plain,
    pushed: &Pushed,
) -> Result<Fetched, ImportError> {
    take(client, pool, &former.settings, Some(former), Some(pushed)).await
}

/// Whether a server still states what was seen. Reads its directories, and requests its maps by
/// their entity tags without making anything of them.
///
/// # Errors
/// The documents cannot be fetched.
pub(in crate::federation) async fn says(
    client: &PeerClient,
    pool: &Pool,
    settings: &PlainSettings,
    seen: &Seen,
) -> Result<bool, ImportError> {
    if seen.settings != *settings {
        return Ok(false);
    }
    let server = Server {
        client,
        pool,
        settings,
        pushed: None,
    };
    let crawled = server.crawl(None).await?;
    let resource = server.resource(&crawled.directory)?;
    let choice = server.choose(&crawled, resource);
    let sources = &choice.sources;
    let has = |source: &Source| seen.costs.contains_key(source);
    if (&resource.id, &resource.url) != (&seen.map.0, &seen.map.1)
        || sources.len() != seen.costs.len()
        || !sources.values().all(has)
    {
        return Ok(false);
    }
    let had = |mark: &Mark| Had {
        mark: mark.clone(),
        content: (),
    };
    let mut found = server
        .find_network(resource, Some(&had(&seen.network)))
        .await?;
    for (source, mark) in &seen.costs {
        if matches!(found, Found::Other(..)) {
            return Ok(false);
        }
        found = server.find_costs(source, Some(&had(mark))).await?;
    }
    Ok(matches!(found, Found::Same(_)))
}

async fn take(
    client: &PeerClient,
    pool: &Pool,
    settings: &PlainSettings,
    former: Option<&Plain>,
    pushed: Option<&Pushed>,
) -> Result<Fetched, ImportError> {
    let serial = former.map_or(0, |former| former.view.origin().serial + 1);
    let former = former.filter(|former| former.settings == *settings);
    let server = Server {
        client,
        pool,
        settings,
        pushed,
    };
    let known = former.map(|former| &former.documents);
    let crawled = server.crawl(known).await?;
    let resource = server.resource(&crawled.directory)?;
    let mut choice = server.choose(&crawled, resource);
    for (what, reason) in crawled.ignored {
        choice.ignore(&what, reason);
    }
    let limits = &settings.limits;
    if choice.sources.len() > limits.max_metrics {
        return Err(ImportError::Limit(format!(
            "the server has costs in {} metrics; at most {} are taken (max_metrics)",
            choice.sources.len(),
            limits.max_metrics
        )));
    }
    let (network, costs) = server.maps(resource, &choice, known).await?;
    one_domain(
        &settings.domain,
        &crawled.directory,
        &resource.id,
        network.content.map.pids(),
    )?;
    let documents = Documents {
        directories: crawled.directories,
        map: (resource.id.clone(), resource.url.clone()),
        network,
        costs,
    };
    if known.is_some_and(|known| known.same(&documents)) {
        return Ok(Fetched::Unchanged);
    }
    let mut pushed = followed(&resource.id, choice.sources.values());
    let connection = client.connection();
    let root = &settings.directory;
    if !Follower::is_pushed(&connection, root, &crawled.directory, &pushed) {
        pushed.clear();
    }
    let obtained = PlainDocuments {
        settings: settings.clone(),
        documents,
        choice,
        pushed,
    };
    let former = former.map(FormerPlain::of);
    let now = client.clock().wall();
    let plain = pool
        .run(move || obtained.judge(former, serial, now))
        .await?;
    Ok(Fetched::Changed(Box::new(plain)))
}

/// A plain server, and what is needed to ask it.
struct Server<'a> {
    client: &'a PeerClient,
    pool: &'a Pool,
    settings: &'a PlainSettings,
    /// Pushed bodies, which take the place of answers.
    pushed: Option<&'a Pushed>,
}

/// The directories of a server, as they were crawled.
struct Crawled {
    directories: BTreeMap<Url, Had<Page>>,
    directory: Directory,
    ignored: Vec<(String, String)>,
}

/// A document compared to the one before: the same, or another.
enum Found<T> {
    Same(Had<T>),
    Other(Mark, Document),
}

/// Fetches the directories at the origin of a server, and collects them.
struct OwnPages<'a> {
    server: &'a Server<'a>,
    known: Option<&'a Documents>,
    /// How many bytes the remaining directories may have.
    left: usize,
    directories: BTreeMap<Url, Had<Page>>,
    ignored: Vec<(String, String)>,
}

impl Pages for &mut OwnPages<'_> {
    type Error = ImportError;

    async fn page(&mut self, url: &Url) -> Result<Option<Page>, ImportError> {
        let server = self.server;
        let is_root = self.directories.is_empty();
        if !is_root && let Err(error) = server.client.check_url(url) {
            let what = "a directory that is delegated to".to_owned();
            self.ignored.push((what, error.to_string()));
            return Ok(None);
        }
        let had = self.known.and_then(|known| known.directories.get(url));
        let ask = Ask {
            max_bytes: Some(self.left),
            ..Ask::new(url, media::DIRECTORY)
        };
        let found = match (server.pushed, had) {
            (Some(_), Some(had)) => Found::Same(had.clone()),
            _ => server.get(ask, had).await?,
        };
        let found = match found {
            Found::Same(had) => had,
            Found::Other(mark, Document { place, body, .. }) => Had {
                mark,
                content: Page { place, body },
            },
        };
        let page = found.content.clone();
        self.left = self.left.saturating_sub(page.body.len());
        self.directories.insert(url.clone(), found);
        Ok(Some(page))
    }
}

impl Server<'_> {
    /// Reads the directory, and those that it delegates to at the same origin.
    async fn crawl(&self, known: Option<&Documents>) -> Result<Crawled, ImportError> {
        let mut pages = OwnPages {
            server: self,
            known,
            left: MAX_DIRECTORY_BYTES,
            directories: BTreeMap::new(),
            ignored: Vec::new(),
        };
        let root = &self.settings.directory;
        let directory = Directory::crawl(root, MAX_DIRECTORIES, &mut pages).await?;
        Ok(Crawled {
            directories: pages.directories,
            directory,
            ignored: pages.ignored,
        })
    }

    /// Returns the network map to take.
    fn resource<'c>(&self, directory: &'c Directory) -> Result<&'c Resource, ImportError> {
        let resource = directory.network_map(self.settings.network_map.as_deref())?;
        self.client.check_url(&resource.url)?;
        Ok(resource)
    }

    /// Chooses the cost maps over a network map.
    fn choose(&self, crawled: &Crawled, resource: &Resource) -> Choice {
        let may_ask = |url: &Url| self.client.check_url(url).is_ok();
        Choice::of(&crawled.directory, &resource.id, may_ask)
    }

    /// Obtains the network map and the costs over it. A cost map may be ahead of the network map
    /// or behind it; then they are requested again.
    async fn maps(
        &self,
        resource: &Resource,
        choice: &Choice,
        known: Option<&Documents>,
    ) -> Result<(Had<Arc<Network>>, BTreeMap<Source, Had<Costs>>), ImportError> {
        let at = |known: &&Documents| known.map.0 == resource.id && known.map.1 == resource.url;
        let known = known.filter(at);
        let mut network = known.map(|known| known.network.clone());
        let mut costs = known.map(|known| known.costs.clone()).unwrap_or_default();
        costs.retain(|source, _| choice.sources.get(&source.metric) == Some(source));
        let mut settled = BTreeSet::new();
        let mut waiting = String::new();
        for _ in 0..ROUNDS {
            let next = self.network(resource, network.as_ref()).await?;
            let same = |had: &Had<Arc<Network>>| Arc::ptr_eq(&had.content, &next.content);
            if !network.as_ref().is_some_and(same) {
                costs.clear();
                settled.clear();
            }
            for source in choice.sources.values() {
                if settled.contains(source) {
                    continue;
                }
                let had = costs.remove(source);
                let others = costs.values().map(|had| count(&had.content)).sum();
                match self
                    .costs(source, &next.content, had.as_ref(), others)
                    .await?
                {
                    Ok(had) => {
                        costs.insert(source.clone(), had);
                        let all = costs.values().map(|had| &had.content);
                        check_costs(all, &self.settings.limits)?;
                        settled.insert(source);
                    }
                    Err(lag) => waiting = lag,
                }
            }
            if settled.len() == choice.sources.len() {
                return Ok((next, costs));
            }
            network = Some(next);
        }
        Err(ImportError::Lagging(waiting))
    }

    async fn network(
        &self,
        resource: &Resource,
        had: Option<&Had<Arc<Network>>>,
    ) -> Result<Had<Arc<Network>>, ImportError> {
        let (mark, document) = match self.find_network(resource, had).await? {
            Found::Same(had) => return Ok(had),
            Found::Other(mark, document) => (mark, document),
        };
        let (domain, limits) = (self.settings.domain.clone(), self.settings.limits.clone());
        let id = resource.id.clone();
        let read = move || read::network(&domain, &id, &document.body, &limits);
        let content = Arc::new(self.pool.run(read).await??);
        Ok(Had { mark, content })
    }

    async fn find_network<T: Clone>(
        &self,
        resource: &Resource,
        had: Option<&Had<T>>,
    ) -> Result<Found<T>, ImportError> {
        let ask = self.ask(&resource.url, media::NETWORK_MAP);
        match self.pushed(&resource.id, None, &resource.url) {
            Some(document) => self.found(document?, had).await,
            None => self.get(ask, had).await,
        }
    }

    /// Obtains the costs of a source, of which there are `others` in other metrics already. The
    /// inner error says which version of the network map they are for.
    async fn costs(
        &self,
        source: &Source,
        network: &Arc<Network>,
        had: Option<&Had<Costs>>,
        others: usize,
    ) -> Result<Result<Had<Costs>, String>, ImportError> {
        let (mark, document) = match self.find_costs(source, had).await? {
            Found::Same(had) => return Ok(Ok(had)),
            Found::Other(mark, document) => (mark, document),
        };
        let (domain, mut limits) = (self.settings.domain.clone(), self.settings.limits.clone());
        limits.max_cells = limits.max_cells.saturating_sub(others);
        let (over, from) = (network.clone(), source.clone());
        let read = move || read::costs(&domain, &from, &over, &document.body, &limits);
        Ok(match self.pool.run(read).await?? {
            Read::Costs(content) => Ok(Had { mark, content }),
            Read::Waits(vtag) => Err(format!(
                "{:?} is over version {} of the network map, which has version {}",
                source.id, vtag.tag, network.vtag.tag
            )),
        })
    }

    async fn find_costs<T: Clone>(
        &self,
        source: &Source,
        had: Option<&Had<T>>,
    ) -> Result<Found<T>, ImportError> {
        let ask = self.ask(&source.url, media::COST_MAP);
        let input = source.input();
        let pushed = self.pushed(&source.id, input.as_ref(), &source.url);
        match (pushed, input) {
            (Some(document), _) => self.found(document?, had).await,
            (None, None) => self.get(ask, had).await,
            (None, Some(query)) => {
                let sent = media::COST_MAP_FILTER;
                let document = self.client.post(ask, sent, &query).await?;
                self.found(document, had).await
            }
        }
    }

    fn ask<'a>(&self, url: &'a Url, wanted: &'a str) -> Ask<'a> {
        Ask {
            max_bytes: Some(self.settings.limits.max_bytes),
            ..Ask::new(url, wanted)
        }
    }

    async fn get<T: Clone>(
        &self,
        ask: Ask<'_>,
        had: Option<&Had<T>>,
    ) -> Result<Found<T>, ImportError> {
        let ask = Ask {
            known: had.and_then(|had| had.mark.etag.as_deref()),
            ..ask
        };
        match (self.client.get(ask).await?, had) {
            (Answer::Document(document), _) => self.found(document, had).await,
            (Answer::NotModified, Some(had)) => Ok(Found::Same(had.clone())),
            (Answer::NotModified, None) => Err(ImportError::Peer(format!(
                "{}: the peer answers 304 (not modified) for a document that it never sent",
                ask.url
            ))),
        }
    }

    /// Returns what the server pushed of a resource, as an answer.
    fn pushed(
        &self,
        id: &str,
        input: Option<&Value>,
        url: &Url,
    ) -> Option<Result<Document, ImportError>> {
        let body = self.pushed?.body(id, input)?;
        let max_bytes = self.settings.limits.max_bytes;
        Some(if body.len() > max_bytes {
            Err(ImportError::Limit(format!(
                "{id:?} has more than {max_bytes} bytes (max_bytes)"
            )))
        } else {
            Ok(Document {
                place: url.clone(),
                etag: None,
                body: body.clone(),
            })
        })
    }

    /// Compares a document to the one before. White space between tokens makes no difference,
    /// since pushed documents have none.
    async fn found<T: Clone>(
        &self,
        document: Document,
        had: Option<&Had<T>>,
    ) -> Result<Found<T>, ImportError> {
        let body = document.body.clone();
        let digest = self.pool.run(move || Digest::of(&compact(&body))).await?;
        let etag = document.etag.clone();
        Ok(match had {
            // A pushed document has no entity tag; the tag of the same content still applies.
            Some(had) if had.mark.digest == digest => Found::Same(Had {
                mark: Mark {
                    etag: etag.or_else(|| had.mark.etag.clone().filter(|_| self.pushed.is_some())),
                    digest,
                },
                content: had.content.clone(),
            }),
            _ => Found::Other(Mark { etag, digest }, document),
        })
    }
}
