//! The filtered network map, RFC 7285 §11.3.1.

use crate::alto::json;
use crate::alto::media;
use crate::alto::network::ReadNetworkMapFilter;
use crate::ident::ResourceId;
use crate::publish::content::Content;
use crate::publish::grid::{Change, Filtered, Form};
use crate::publish::rendering::Body;

use super::interface::{
    Line, NewResource, Order, Parameters, PatchTerms, QueryError, Service, Signature, Versions,
};
use super::network_map::NetworkBody;
use super::prefixes::changes;

pub(super) const LINE: Line = Line {
    signature: &SIGNATURE,
    offered: |_| vec![NewResource::new("filtered-networkmap", FilteredNetworkMap)],
    copied: None,
};

static SIGNATURE: Signature = Signature {
    media_types: &[media::NETWORK_MAP],
    accepts: Some(media::NETWORK_MAP_FILTER),
    forms: &[Form::Merge, Form::Json],
    order: Order::First,
};

/// The part of the network map of a view that is asked for.
#[derive(Debug)]
struct FilteredNetworkMap;

impl FilteredNetworkMap {
    fn filtered(content: &Content, input: &[u8]) -> Result<Filtered, QueryError> {
        let filter = json::read(input, ReadNetworkMapFilter)?;
        Ok(Filtered::new(content, &filter))
    }
}

impl Service for FilteredNetworkMap {
    fn uses(&self, content: &Content) -> Vec<ResourceId> {
        vec![content.network_id().clone()]
    }

    fn body(
        &self,
        content: &Content,
        parameters: Parameters<'_>,
    ) -> Result<Box<dyn Body>, QueryError> {
        let filtered = Self::filtered(content, parameters.input)?;
        Ok(Box::new(NetworkBody::new(filtered)))
    }

    fn changes(
        &self,
        versions: Versions<'_>,
        parameters: Parameters<'_>,
        terms: PatchTerms<'_>,
    ) -> Result<Change, QueryError> {
        let filtered = |content| Self::filtered(content, parameters.input);
        let (before, after) = (filtered(versions.old)?, filtered(versions.new)?);
        Ok(changes(versions, before, after, terms))
    }
}
