//! The interface between ALTO services and the rest of the node.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::alto::error::AltoError;
use crate::alto::ird::Capabilities;
use crate::alto::json;
use crate::ident::{MetricName, ResourceId, Tag};
use crate::publish::content::Content;
use crate::publish::grid::{Change, Form, PatchWriter, TagOf};
use crate::publish::rendering::Body;

/// An ALTO service, as one resource of a view offers it.
pub trait Service: fmt::Debug + Send + Sync {
    /// The ids of the resources that an answer depends on (RFC 7285 §9.1.5).
    fn uses(&self, _content: &Content) -> Vec<ResourceId> {
        Vec::new()
    }

    /// The capabilities of the resource (RFC 7285 §9.1.3).
    fn capabilities(&self, _content: &Content) -> Capabilities {
        Capabilities::default()
    }

    /// Returns whether the answer depends on who asks.
    fn depends_on_client(&self, _input: &[u8]) -> bool {
        false
    }

    /// The answer, of which nothing is written yet.
    ///
    /// # Errors
    /// The content cannot answer it.
    fn body(
        &self,
        content: &Content,
        parameters: Parameters<'_>,
    ) -> Result<Box<dyn Body>, QueryError>;

    /// The difference between the answers of two versions. It compares costs and prefixes, never text,
    /// with a few rows in memory at a time.
    ///
    /// # Errors
    /// One of the versions cannot answer it.
    fn changes(
        &self,
        versions: Versions<'_>,
        parameters: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError>;

    /// Returns whether the full map is known to be the same in both versions, so that the marks of one
    /// are those of the other.
    fn is_unchanged(&self, _versions: Versions<'_>) -> bool {
        false
    }

    /// The tag of the full map, if it is known before the map is written.
    fn known_tag(&self, _content: &Content) -> Option<Tag> {
        None
    }

    /// About how many bytes the full map has, as far as that is known without writing it.
    fn about_length(&self, _content: &Content) -> usize {
        usize::MAX
    }

    /// Returns whether the full map is composed for each version that is followed, and so held whole.
    fn is_composed(&self, _content: &Content) -> bool {
        false
    }

    /// Returns whether the work of updating a followed full map is in proportion to its changes.
    fn is_updated_incrementally(&self) -> bool {
        false
    }
}

/// What all resources of a service have in common.
#[derive(Debug)]
pub struct Signature {
    /// The media types of its responses: that of the whole, then those of the parts if there are
    /// several (RFC 9275).
    pub media_types: &'static [&'static str],
    /// The media type of its parameters; none if it takes none and is read by GET.
    pub accepts: Option<&'static str>,
    /// The forms of patches that its changes can be sent in; merge patches are always one of
    /// them.
    pub forms: &'static [Form],
    /// Its place among resources that are sent together: what depends on others comes after them
    /// (RFC 8895 §6.7.1).
    pub order: Order,
}

impl Signature {
    /// The media type of its responses.
    pub fn media_type(&self) -> &'static str {
        self.media_types[0]
    }
}

/// The order in which resources that depend on each other are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Others depend on it.
    First,
    /// It depends on others.
    Dependent,
}

/// A resource that a view offers.
pub struct NewResource {
    /// Its path in the catalog.
    pub path: String,
    /// Its service.
    pub service: Arc<dyn Service>,
}

impl NewResource {
    pub(super) fn new(path: impl Into<String>, service: impl Service + 'static) -> Self {
        Self {
            path: path.into(),
            service: Arc::new(service),
        }
    }
}

/// A line of the table of services.
pub(super) struct Line {
    pub(super) signature: &'static Signature,
    /// The resources of the service that a view offers.
    pub(super) offered: fn(&Content) -> Vec<NewResource>,
    /// What a copy of a full map has, by its path; none if full maps are not copied.
    pub(super) copied: Option<fn(&str) -> Option<Copied>>,
}

/// What a peer that copies the full maps of a domain takes from one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// The PIDs and their prefixes.
    Network,
    /// The costs in a metric.
    Costs(MetricName),
    /// Nothing: its content follows from the others.
    Nothing,
    /// Costs in a metric that this node does not know.
    UnknownMetric,
}

/// The parameters of a request.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'r> {
    /// The body of the request; empty for a full map.
    pub input: &'r [u8],
    /// Who asks.
    pub client: IpAddr,
}

impl Parameters<'_> {
    /// The parameters of a request for a full map.
    pub fn none() -> Self {
        Self {
            input: &[],
            client: Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

/// Two versions of a view's content.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'v> {
    /// The older version.
    pub old: &'v Content,
    /// The newer version.
    pub new: &'v Content,
}

impl Versions<'_> {
    /// Returns whether both have the same network map.
    pub(super) fn have_same_network(&self) -> bool {
        self.old.network().tag() == self.new.network().tag()
    }
}

/// The patches that are accepted.
#[derive(Debug, Clone, Copy)]
pub struct PatchTerms<'t> {
    /// Their forms.
    pub forms: &'t [Form],
    /// The most bytes of one.
    pub limit: usize,
}

impl PatchTerms<'_> {
    /// Begins a patch of an answer whose data are in this member: a merge patch, unless only JSON
    /// patches are accepted. If the network map changed, the patch begins with its new tag.
    pub(super) fn writer(
        &self,
        member: &'static str,
        versions: Versions<'_>,
        tag_of: Option<TagOf>,
    ) -> PatchWriter {
        let form = if self.forms.contains(&Form::Merge) {
            Form::Merge
        } else {
            Form::Json
        };
        self.writer_of(form, member, versions, tag_of)
    }

    /// Like [`Self::writer`], in a given form.
    pub(super) fn writer_of(
        &self,
        form: Form,
        member: &'static str,
        versions: Versions<'_>,
        tag_of: Option<TagOf>,
    ) -> PatchWriter {
        let mut patch = PatchWriter::new(form, member, self.limit);
        if let Some(tag_of) = tag_of
            && !versions.have_same_network()
        {
            patch.tag(tag_of, &versions.new.vtag());
        }
        patch
    }
}

/// A query that cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The view has no such resource.
    #[error("the view no longer has this resource; read its directory again")]
    Gone,
    /// The parameters do not fit the view.
    #[error("the view can no longer answer this: {}", String::from_utf8_lossy(&.0.body()))]
    Refused(AltoError),
}

impl From<AltoError> for QueryError {
    fn from(error: AltoError) -> Self {
        QueryError::Refused(error)
    }
}

impl From<json::Faults> for QueryError {
    fn from(faults: json::Faults) -> Self {
        QueryError::Refused(faults.into())
    }
}
