//! Makes a domain of what was obtained of a plain server. Nothing here does I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use crate::api::s2s::Ignored;
use crate::client::Followed;
use crate::facts::Interconnects;
use crate::federation::copies::assemble;
use crate::federation::{Limits, PlainInterconnect};
use crate::ident::{DomainLabel, InterconnectId, MetricName, Tag};
use crate::publish::{Costs, Origin, View};

use super::choice::{Choice, Source};
use super::documents::{Documents, Mark};
use super::links::{Links, digest, links};

/// The settings of a plain server.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainSettings {
    /// Our own domain.
    pub own: DomainLabel,
    /// The server's domain.
    pub domain: DomainLabel,
    /// The URI of its directory.
    pub directory: Url,
    /// The id of the network map to take; absent: its default.
    pub network_map: Option<String>,
    /// The links between it and us, which it cannot state itself.
    pub interconnects: BTreeMap<InterconnectId, PlainInterconnect>,
    /// The limits on what is taken.
    pub limits: Limits,
}

/// A plain domain as it was fetched.
#[derive(Debug)]
pub struct Plain {
    /// Its view.
    pub view: Arc<View>,
    /// Its links to us, as it would state them.
    pub interconnects: Arc<Interconnects>,
    /// The same links as we state them.
    pub ours: Arc<Interconnects>,
    /// The digest of view and links, which is equal whenever the content is.
    pub digest: Tag,
    /// What was left out, and why.
    pub ignored: Vec<Ignored>,
    pub(super) settings: PlainSettings,
    pub(super) documents: Documents,
    pub(super) pushed: Vec<Followed>,
}

/// The marks by which a domain that is not used is recognised. None of its maps is kept.
#[derive(Debug)]
pub(in crate::federation) struct Seen {
    /// The digest of view and links.
    pub(in crate::federation) digest: Tag,
    pub(super) settings: PlainSettings,
    pub(super) map: (String, Url),
    pub(super) network: Mark,
    pub(super) costs: BTreeMap<Source, Mark>,
}

/// The documents of a domain, which fit together, and the choice of their sources.
#[derive(Debug)]
pub(super) struct PlainDocuments {
    pub(super) settings: PlainSettings,
    pub(super) documents: Documents,
    pub(super) choice: Choice,
    /// The resources to follow; empty if the server does not offer to push all of them.
    pub(super) pushed: Vec<Followed>,
}

/// The domain as it was made before, under the same settings.
#[derive(Debug)]
pub(super) struct FormerPlain {
    view: Arc<View>,
    /// Whether the server had no routing cost.
    is_without_costs: bool,
}

impl FormerPlain {
    pub(super) fn of(plain: &Plain) -> Self {
        let routingcost = MetricName::routingcost();
        let mut sources = plain.documents.costs.keys();
        Self {
            view: plain.view.clone(),
            is_without_costs: !sources.any(|source| source.metric == routingcost),
        }
    }
}

impl PlainDocuments {
    /// Makes the domain from its documents. `serial` is the least that it may have. Takes CPU
    /// time in proportion to the size of the maps.
    pub(super) fn judge(self, former: Option<FormerPlain>, serial: u64, now: Timestamp) -> Plain {
        let Self {
            settings,
            documents,
            mut choice,
            pushed,
        } = self;
        let network = &documents.network.content;
        let Links {
            theirs,
            ours,
            ignored,
        } = links(
            &settings.own,
            &settings.domain,
            &settings.interconnects,
            &network.map,
        );
        for left in ignored {
            choice.ignore(&left.what, left.reason);
        }
        let content = documents.costs.iter();
        let mut costs: BTreeMap<MetricName, Costs> = content
            .map(|(source, had)| (source.metric.clone(), had.content.clone()))
            .collect();
        let routingcost = MetricName::routingcost();
        if !costs.contains_key(&routingcost) {
            let reason = "the server has no numerical costs in it; no pair of its PIDs has one";
            choice.ignore("metric routingcost", reason);
        }
        let former_view = former.as_ref().map(|former| &former.view);
        let kept = former_view.filter(|view| Arc::ptr_eq(view.network(), &network.map));
        if let Some(view) = kept
            && let (None, Some(without)) = (costs.get(&routingcost), view.costs().get(&routingcost))
            && former
                .as_ref()
                .is_some_and(|former| former.is_without_costs)
        {
            costs.insert(routingcost, without.clone());
        }
        let same = |view: &&Arc<View>| {
            let mut pairs = view.costs().iter().zip(&costs);
            view.costs().len() == costs.len()
                && pairs.all(|(was, is)| was.0 == is.0 && was.1.same(is.1))
        };
        let view = match kept.filter(same) {
            Some(view) => view.clone(),
            None => {
                let origin = Origin {
                    serial: serial.max(now.as_millisecond().unsigned_abs()),
                    received: now,
                };
                let map = network.map.clone();
                let former = former_view.map(|view| &**view);
                assemble(&settings.domain, origin, map, costs, former)
            }
        };
        Plain {
            digest: digest(&view, &theirs),
            view,
            interconnects: theirs,
            ours,
            ignored: choice.ignored,
            settings,
            documents,
            pushed,
        }
    }
}

impl Plain {
    /// Returns the resources that it was made of, without directories, if the server offers to
    /// push all of them.
    pub(in crate::federation) fn pushed(&self) -> Option<&[Followed]> {
        Some(&*self.pushed).filter(|pushed| !pushed.is_empty())
    }

    /// Returns the marks by which the domain is recognised.
    pub(in crate::federation) fn seen(&self) -> Seen {
        let documents = &self.documents;
        let costs = documents.costs.iter();
        Seen {
            digest: self.digest.clone(),
            settings: self.settings.clone(),
            map: documents.map.clone(),
            network: documents.network.mark.clone(),
            costs: costs
                .map(|(source, had)| (source.clone(), had.mark.clone()))
                .collect(),
        }
    }
}
