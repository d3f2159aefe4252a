//! The catalog of a view: the one list of its resources, which directory, requests and caches use.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::ident::ResourceId;

use super::content::Content;
use super::marks::ResourceMarks;
use super::service::{Service, Signature, Versions, offered};
use super::transport::Transport;

/// The resources of a view.
#[derive(Debug, Default)]
pub struct Catalog {
    resources: Box<[Resource]>,
    by_path: BTreeMap<String, usize>,
}

/// An information resource, RFC 7285 §9.1.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its id, unique among all views.
    pub id: ResourceId,
    /// The last segment of its URL, which no other service or cost type has.
    pub path: String,
    /// The marks of the body that a GET returns, once they are known. Views with the same content
    /// share them.
    pub marks: Arc<OnceLock<ResourceMarks>>,
    offers: Offers,
}

/// What a resource offers.
#[derive(Debug, Clone)]
enum Offers {
    Service(&'static Signature, Arc<dyn Service>),
    Transport(Transport),
}

impl Resource {
    /// The media type of its responses.
    pub fn media_type(&self) -> &'static str {
        match &self.offers {
            Offers::Service(signature, _) => signature.media_type(),
            Offers::Transport(transport) => transport.media_type(),
        }
    }

    /// The media type of its parameters; none if it takes none and is read by GET.
    pub fn accepts(&self) -> Option<&'static str> {
        match &self.offers {
            Offers::Service(signature, _) => signature.accepts,
            Offers::Transport(transport) => Some(transport.accepts()),
        }
    }

    /// What it has in common with all resources of its service, unless it is a transport.
    pub fn signature(&self) -> Option<&'static Signature> {
        match self.offers {
            Offers::Service(signature, _) => Some(signature),
            Offers::Transport(_) => None,
        }
    }

    /// Its service, unless it is a transport.
    pub fn service(&self) -> Option<&Arc<dyn Service>> {
        match &self.offers {
            Offers::Service(_, service) => Some(service),
            Offers::Transport(_) => None,
        }
    }

    /// The transport, if it is one.
    pub fn transport(&self) -> Option<Transport> {
        match &self.offers {
            Offers::Service(..) => None,
            Offers::Transport(transport) => Some(*transport),
        }
    }
}

impl Catalog {
    /// Creates the catalog of a view with this content. Marks of the former version are kept for
    /// resources whose content is known to be the same.
    pub(super) fn new(content: &Content, former: Option<(&Content, &Catalog)>) -> Self {
        let services = offered(content).map(|(signature, resource)| {
            (resource.path, Offers::Service(signature, resource.service))
        });
        let transports = Transport::ALL.into_iter();
        let transports = transports.map(|t| (t.path().to_owned(), Offers::Transport(t)));
        let known_marks = |path: &str, offers: &Offers| {
            let (Some((old, catalog)), Offers::Service(_, service)) = (former, offers) else {
                return None;
            };
            let known = catalog.get(path)?;
            let versions = Versions { old, new: content };
            service.is_unchanged(versions).then(|| known.marks.clone())
        };
        let resources: Vec<Resource> = services
            .chain(transports)
            .map(|(path, offers)| Resource {
                id: content.name().resource_id(&path),
                marks: known_marks(&path, &offers).unwrap_or_default(),
                path,
                offers,
            })
            .collect();
        Self {
            by_path: resources.iter().map(|r| r.path.clone()).zip(0..).collect(),
            resources: resources.into(),
        }
    }

    /// The resource with this path.
    pub fn get(&self, path: &str) -> Option<&Resource> {
        self.by_path
            .get(path)
            .and_then(|&index| self.resources.get(index))
    }

    /// The resource that is a transport.
    pub fn transport(&self, transport: Transport) -> Option<&Resource> {
        self.get(transport.path())
    }

    /// Every resource.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter()
    }
}
