//! A view: what a client can ask of one domain, or of all.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::ident::MetricName;

use super::catalog::{Catalog, Resource};
use super::content::{Content, Origin};
use super::costs::Costs;
use super::name::ViewName;
use super::network::NetworkMap;
use super::properties::Properties;
use super::rendering::Rendering;
use super::service::{Parameters, QueryError};

/// A view: its content, and the resources that it is asked by.
#[derive(Debug)]
pub struct View {
    content: Arc<Content>,
    catalog: Catalog,
}

impl View {
    /// Creates a view of this content. `former` is the view that it replaces; the marks of resources
    /// with the same content are taken from there.
    ///
    /// `costs` must be over the PIDs of `network` and have `routingcost`, as every ALTO server does
    /// (RFC 7285 §6.1.1.1).
    pub fn new(
        name: ViewName,
        origin: Origin,
        network: Arc<NetworkMap>,
        costs: BTreeMap<MetricName, Costs>,
        properties: Arc<Properties>,
        former: Option<&View>,
    ) -> Self {
        let content = Content::new(name, origin, network, costs, properties);
        let former = former.map(|former| (&*former.content, &former.catalog));
        Self {
            catalog: Catalog::new(&content, former),
            content: Arc::new(content),
        }
    }

    /// Its content.
    pub fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// Its resources.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The body that a GET of a resource returns; none if it takes parameters.
    pub fn rendering(&self, resource: &Resource) -> Option<Rendering> {
        if resource.accepts().is_some() {
            return None;
        }
        self.answer(resource, Parameters::none()).ok()
    }

    /// The answer to a request for a resource, of which nothing is written yet.
    ///
    /// # Errors
    /// The view cannot answer it.
    pub fn answer(
        &self,
        resource: &Resource,
        parameters: Parameters<'_>,
    ) -> Result<Rendering, QueryError> {
        let service = resource.service().ok_or(QueryError::Gone)?;
        let body = service.body(&self.content, parameters)?;
        Ok(Rendering::new(self.content.clone(), body))
    }
}

impl Deref for View {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.content
    }
}
