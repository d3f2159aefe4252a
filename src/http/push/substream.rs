//! Substreams of an update stream: what each follows, and what it is sent next.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::alto::media;
use crate::alto::tips::{TipsView, UpdatesGraphSummary};
use crate::follow::{AllAnswers, Answer, Follower};
use crate::ident::DomainLabel;
use crate::publish::service::Order;
use crate::publish::{Form, View, ViewName};

use super::behind::{Behind, Watched};

/// What a substream follows.
pub(super) enum Source {
    /// An answer: whole at first, then patches; always whole if patches are not wanted.
    Answer {
        follower: Follower,
        patches: bool,
        /// The version that the client has.
        at: Option<u64>,
    },
    /// The summary of a TIPS view (RFC 9569 §6.3.3).
    Summary {
        follower: Follower,
        uri: String,
        tag: Option<String>,
        /// The summary that the client has.
        told: Option<UpdatesGraphSummary>,
    },
    /// The manifest of a domain, always whole.
    Manifest {
        domain: DomainLabel,
        told: Option<Bytes>,
    },
    /// The list of the domains that the client gets, always whole.
    Domains { told: Option<Bytes> },
}

/// A substream.
pub(super) struct Substream {
    pub(super) id: String,
    pub(super) source: Source,
}

/// What a substream is sent next.
pub(super) enum Step {
    /// A patch to a version.
    Patch { form: Form, text: Bytes, to: u64 },
    /// The whole of a version.
    Whole { view: Arc<View>, to: u64 },
    /// A summary.
    Summary(UpdatesGraphSummary),
    /// A document of the federation.
    Document(Bytes),
    /// Nothing any more, for this reason.
    End(String),
}

impl Source {
    /// Returns what the substream follows.
    pub(super) fn watched(&self) -> Watched<'_> {
        match self {
            Source::Answer { follower, .. } | Source::Summary { follower, .. } => {
                Watched::Answer(follower.id())
            }
            Source::Manifest { domain, .. } => Watched::Manifest(domain),
            Source::Domains { .. } => Watched::Domains,
        }
    }

    /// Returns the domain that it follows something of.
    pub(super) fn domain<'s>(&'s self, answers: AllAnswers<'s>) -> Option<&'s DomainLabel> {
        match self {
            Source::Manifest { domain, .. } => Some(domain),
            Source::Domains { .. } => None,
            Source::Answer { follower, .. } | Source::Summary { follower, .. } => {
                match &answers.get(follower.id())?.view {
                    ViewName::Domain(domain) => Some(domain),
                    ViewName::Merged => None,
                }
            }
        }
    }

    /// Returns what it is sent next, if it is behind.
    pub(super) fn step(
        &self,
        answers: AllAnswers<'_>,
        passed: Option<&BTreeSet<DomainLabel>>,
    ) -> Option<Step> {
        match self {
            Source::Manifest { domain, told } => {
                let Some(manifest) = answers.edition().documents.get(domain) else {
                    return Some(Step::End("the domain is not here any more".to_owned()));
                };
                (told.as_ref() != Some(manifest)).then(|| Step::Document(manifest.clone()))
            }
            Source::Domains { told } => {
                let domains = answers.edition().documents.keys();
                let domains: Vec<&DomainLabel> = domains
                    .filter(|domain| passed.is_none_or(|passed| passed.contains(*domain)))
                    .collect();
                let text = serde_json::json!({ "domains": domains }).to_string();
                (told.as_deref() != Some(text.as_bytes())).then(|| Step::Document(text.into()))
            }
            Source::Summary {
                follower,
                tag,
                told,
                ..
            } => {
                let answer = answers.get(follower.id())?;
                if let Some(why) = &answer.ended {
                    return Some(Step::End(why.clone()));
                }
                let tag = tag.as_deref().filter(|_| told.is_none());
                let mut summary = summary(answer, tag);
                if let Some(told) = told {
                    // The recommendation was made for the version that the client had then.
                    summary.start_edge_rec = told.start_edge_rec;
                }
                (*told != Some(summary)).then_some(Step::Summary(summary))
            }
            Source::Answer {
                follower,
                patches,
                at,
            } => {
                let answer = answers.get(follower.id())?;
                if let Some(why) = &answer.ended {
                    return Some(Step::End(why.clone()));
                }
                let history = &answer.history;
                if *at == Some(history.end()) {
                    return None;
                }
                let patch = at.filter(|_| *patches);
                let patch = patch.and_then(|at| history.next_patch(at));
                Some(match patch {
                    Some((to, patch)) => Step::Patch {
                        form: patch.form,
                        text: patch.text.clone(),
                        to,
                    },
                    None => Step::Whole {
                        view: history.newest()?.clone(),
                        to: history.end(),
                    },
                })
            }
        }
    }

    /// Returns the order in which substreams are sent, so that nothing is sent before what it
    /// depends on (RFC 8895 §6.7.1): network maps, other answers, then the manifests that cover
    /// them.
    fn rank(&self) -> u8 {
        match self {
            Source::Answer { follower, .. } => {
                let order = follower.look(|answer| answer.signature.order);
                u8::from(order != Some(Order::First))
            }
            Source::Summary { .. } => 1,
            Source::Manifest { .. } => 2,
            Source::Domains { .. } => 3,
        }
    }
}

/// Returns the summary of a TIPS view, for a client that has the version with a tag.
pub(super) fn summary(answer: &Answer, tag: Option<&str>) -> UpdatesGraphSummary {
    let history = &answer.history;
    UpdatesGraphSummary {
        start_seq: history.start(),
        end_seq: history.end(),
        start_edge_rec: history.first_edge(tag.and_then(|tag| history.tagged(tag))),
    }
}

/// Returns a summary as its substream is sent it: whole at first, then what changed.
pub(super) fn tell(
    uri: &str,
    told: Option<UpdatesGraphSummary>,
    now: UpdatesGraphSummary,
) -> (&'static str, Bytes) {
    let Some(told) = told else {
        let view = TipsView::new(uri, now);
        return (
            media::TIPS,
            serde_json::to_vec(&view).unwrap_or_default().into(),
        );
    };
    let mut changed = serde_json::Map::new();
    if now.end_seq != told.end_seq {
        changed.insert("end-seq".into(), now.end_seq.into());
    }
    if now.start_seq != told.start_seq {
        changed.insert("start-seq".into(), now.start_seq.into());
    }
    let patch = serde_json::json!({"tips-view-summary": {"updates-graph-summary": changed}});
    (Form::Merge.media_type(), patch.to_string().into())
}

/// Starts with these substreams, all of which may be behind.
pub(super) fn behind(substreams: &[Substream]) -> Behind {
    Behind::all_of(
        substreams
            .iter()
            .map(|substream| substream.source.watched()),
    )
}

pub(super) fn sort(substreams: &mut [Substream]) {
    substreams.sort_by_cached_key(|substream| (substream.source.rank(), substream.id.clone()));
}
