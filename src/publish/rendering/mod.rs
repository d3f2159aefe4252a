//! Answers on their way out, written piece by piece.
//!
//! An answer is written whole into a buffer, into a hash, or into a stream when
//! it is too large to be held; all take the same pieces, so that they cannot
//! differ. Full maps and the answers to queries are written by the same code.

mod network;
mod properties;

use std::net::IpAddr;
use std::sync::Arc;

use crate::alto::endpoint::ReadEndpointPropertyParams;
use crate::alto::error::AltoError;
use crate::alto::json;
use crate::alto::network::ReadNetworkMapFilter;
use crate::alto::query::{ReadCostMapFilter, ReadEndpointCostParams};
use crate::ident::{Digest, Sha256, Tag};

use network::NetworkBody;
use properties::PropertiesBody;

use super::catalog::{Kind, Resource, ResourceMarks};
use super::costs::Costs;
use super::endpoint::{Asked, endpoint_table};
use super::grid::{CostsBody, Member, Table};
use super::grid::{Filtered, filtered_costs};
use super::view::View;
use super::work::Work;

/// A body on its way out.
#[derive(Debug)]
pub struct Rendering {
    view: Arc<View>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Network(NetworkBody),
    Costs(Box<CostsBody>),
    Properties(PropertiesBody),
}

impl Rendering {
    /// The body that a GET of the resource returns; `None` if it takes
    /// parameters.
    pub fn new(view: Arc<View>, resource: &Resource) -> Option<Self> {
        let body = match &resource.kind {
            Kind::NetworkMap => Body::Network(NetworkBody::new(Filtered::all(&view))),
            Kind::CostMap(cost_type) => {
                view.costs().get(&cost_type.cost_metric)?;
                let table = Table::full(&view, cost_type);
                Body::Costs(Box::new(CostsBody::new(&view, table, Member::CostMap)))
            }
            _ => return None,
        };
        Some(Self { view, body })
    }

    /// The body that answers a query by POST; `client` asks.
    ///
    /// # Errors
    /// The error that RFC 7285 §8.5.2 wants.
    pub fn query(
        view: Arc<View>,
        kind: &Kind,
        input: &[u8],
        client: IpAddr,
    ) -> Result<Self, AltoError> {
        let body = match kind {
            Kind::FilteredNetworkMap => {
                let filter = json::read(input, ReadNetworkMapFilter)?;
                Body::Network(NetworkBody::new(Filtered::new(&view, &filter)))
            }
            Kind::EndpointProperties => {
                let params = json::read(input, ReadEndpointPropertyParams)?;
                Body::Properties(PropertiesBody::new(Asked::new(&view, &params)?))
            }
            Kind::FilteredCostMap => {
                let table = filtered_table(&view, input)?;
                Body::Costs(Box::new(CostsBody::new(&view, table, Member::CostMap)))
            }
            Kind::EndpointCosts => {
                let table = endpoints_table(&view, input, client)?;
                Body::Costs(Box::new(CostsBody::new(
                    &view,
                    table,
                    Member::EndpointCosts,
                )))
            }
            Kind::NetworkMap | Kind::CostMap(_) | Kind::UpdateStream | Kind::Tips => {
                return Err(AltoError::syntax("the resource takes no query"));
            }
        };
        Ok(Self { view, body })
    }

    /// What it takes, before it is begun.
    pub fn work(&self) -> Work {
        match &self.body {
            Body::Network(body) => body.work(&self.view),
            Body::Costs(body) => body.work(&self.view),
            Body::Properties(body) => body.work(&self.view),
        }
    }

    /// The member of the request that makes the answer as large as it is.
    pub fn sized_by(&self) -> &'static str {
        match &self.body {
            Body::Network(_) => "pids",
            Body::Costs(body) => body.sized_by(),
            Body::Properties(_) => "endpoints",
        }
    }

    /// The view that it is of.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The cells that were read so far; of what has none, the values.
    pub fn cells_read(&self) -> u64 {
        match &self.body {
            Body::Network(body) => body.prefixes_written(),
            Body::Costs(body) => body.cells_read(),
            Body::Properties(body) => body.values_read(),
        }
    }

    /// Does the next step, some ten thousand cells at most, and writes what comes
    /// of it, which may be nothing; whether there are more steps.
    pub fn write_piece(&mut self, out: &mut Vec<u8>) -> bool {
        match &mut self.body {
            Body::Network(body) => body.write_piece(&self.view, out),
            Body::Costs(body) => body.write_piece(&self.view, out),
            Body::Properties(body) => body.write_piece(&self.view, out),
        }
    }

    /// Writes all that is left.
    pub fn write(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.write_piece(&mut out) {}
        out
    }

    /// The tag of the body, given its digest.
    pub fn tag(&self, digest: Digest) -> Tag {
        match &self.body {
            // The one tag that is of the data member alone, so that a cost
            // map's `dependent-vtags` do not depend on the `meta` around it.
            Body::Network(_) => self.view.network().tag().clone(),
            Body::Costs(body) => match body.costs(&self.view) {
                Some(Costs::Composed(composed)) => composed.tag.clone(),
                _ => digest.into(),
            },
            Body::Properties(_) => digest.into(),
        }
    }

    /// Writes it all: its marks, and the body if it has at most `limit` bytes.
    pub fn finish(mut self, limit: usize) -> (ResourceMarks, Option<Vec<u8>>) {
        const HASH_AT: usize = 64 * 1024;
        let mut hasher = Sha256::new();
        let mut length = 0;
        let mut body = Some(Vec::new());
        let mut piece = Vec::with_capacity(2 * HASH_AT);
        let mut more = true;
        while more {
            more = self.write_piece(&mut piece);
            if piece.len() < HASH_AT && more {
                continue;
            }
            hasher.update(&piece);
            length += piece.len();
            body = body.filter(|_| length <= limit);
            if let Some(body) = &mut body {
                body.extend_from_slice(&piece);
            }
            piece.clear();
        }
        let digest = hasher.finish();
        let marks = ResourceMarks {
            tag: self.tag(digest),
            digest,
            length: length as u64,
        };
        (marks, body)
    }
}

/// The costs that the parameters of a filtered cost map select.
///
/// # Errors
/// The error that RFC 7285 §8.5.2 wants.
pub(super) fn filtered_table(view: &View, input: &[u8]) -> Result<Table, AltoError> {
    let filter = json::read(input, ReadCostMapFilter)?;
    let selection = filter.query.select(view.capabilities())?;
    Ok(filtered_costs(view, &filter, selection))
}

/// The costs that the parameters of the endpoint cost service select.
///
/// # Errors
/// The error that RFC 7285 §8.5.2 wants.
pub(super) fn endpoints_table(
    view: &View,
    input: &[u8],
    client: IpAddr,
) -> Result<Table, AltoError> {
    let params = json::read(input, ReadEndpointCostParams)?;
    let selection = params.query.select(view.capabilities())?;
    endpoint_table(view, &params, selection, client)
}
