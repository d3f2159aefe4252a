//! The documents of a plain domain, and the marks by which each is recognised.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::client::Page;
use crate::ident::Digest;
use crate::publish::Costs;

use super::choice::Source;
use super::read::Network;

/// The documents that a domain was made of.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    pub(super) directories: BTreeMap<Url, Had<Page>>,
    /// The id and URL of the network map.
    pub(super) map: (String, Url),
    pub(super) network: Had<Arc<Network>>,
    pub(super) costs: BTreeMap<Source, Had<Costs>>,
}

/// What was made of a document, and the mark of the document.
#[derive(Debug, Clone)]
pub(super) struct Had<T> {
    pub(super) mark: Mark,
    pub(super) content: T,
}

/// A document's entity tag, and its digest for servers without entity tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) etag: Option<String>,
    pub(super) digest: Digest,
}

impl Documents {
    /// Whether all documents are the same.
    pub(super) fn same(&self, other: &Documents) -> bool {
        let directories = |documents: &Documents| -> Vec<(Url, Url, Mark)> {
            let all = documents.directories.iter();
            let marks =
                all.map(|(url, had)| (url.clone(), had.content.place.clone(), had.mark.clone()));
            marks.collect()
        };
        let costs = |documents: &Documents| -> Vec<(Source, Mark)> {
            let all = documents.costs.iter();
            all.map(|(source, had)| (source.clone(), had.mark.clone()))
                .collect()
        };
        self.map == other.map
            && self.network.mark == other.network.mark
            && directories(self) == directories(other)
            && costs(self) == costs(other)
    }
}
