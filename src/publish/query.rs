//! Queries: a resource of a view with its parameters. A query is answered from any version of the
//! view, and tells the difference between the answers of two versions.

use std::net::{IpAddr, Ipv4Addr};

use super::catalog::Resource;
use super::grid::{Change, Form};
use super::rendering::Rendering;
use super::service::{Parameters, PatchTerms, QueryError, Versions};
use super::view::View;

/// A resource of a view, by its path in the catalog, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    path: Box<str>,
    /// The body of the request; empty for a full map.
    input: Box<[u8]>,
    /// Who asks, if the answer depends on that.
    client: IpAddr,
}

impl Query {
    /// Creates the query for a resource. `input` is the body of the request, empty for a full map;
    /// `client` is who asks.
    pub fn new(resource: &Resource, input: Vec<u8>, client: IpAddr) -> Self {
        let service = resource.service();
        let matters = service.is_some_and(|service| service.depends_on_client(&input));
        Self {
            path: resource.path.as_str().into(),
            input: input.into(),
            client: if matters {
                client
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            },
        }
    }

    /// The length of the body of the request, in bytes.
    pub fn bytes(&self) -> usize {
        self.input.len()
    }

    /// The path of the resource.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The resource in a view.
    ///
    /// # Errors
    /// The view does not have it.
    pub fn resource<'v>(&self, view: &'v View) -> Result<&'v Resource, QueryError> {
        view.catalog().get(&self.path).ok_or(QueryError::Gone)
    }

    /// Returns whether it is for a full map.
    ///
    /// # Errors
    /// The view does not have the resource.
    pub fn is_full_map(&self, view: &View) -> Result<bool, QueryError> {
        Ok(self.resource(view)?.accepts().is_none())
    }

    /// Writes the whole answer.
    ///
    /// # Errors
    /// The view cannot answer it.
    pub fn answer(&self, view: &View) -> Result<Vec<u8>, QueryError> {
        Ok(self.rendering(view)?.write())
    }

    /// The answer, of which nothing is written yet.
    ///
    /// # Errors
    /// The view cannot answer it.
    pub fn rendering(&self, view: &View) -> Result<Rendering, QueryError> {
        view.answer(self.resource(view)?, self.parameters())
    }

    /// The difference between the answers of two versions of a view, in one of the
    /// forms and at most `limit` bytes.
    ///
    /// # Errors
    /// One of the versions cannot answer it.
    pub fn changes(
        &self,
        old: &View,
        new: &View,
        forms: &[Form],
        limit: usize,
    ) -> Result<Change, QueryError> {
        self.resource(old)?;
        let service = self.resource(new)?.service().ok_or(QueryError::Gone)?;
        service.changes(
            Versions { old, new },
            self.parameters(),
            PatchTerms { forms, limit },
        )
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            input: &self.input,
            client: self.client,
        }
    }
}
