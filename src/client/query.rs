//! The queries of RFC 7285, put to a server by its directory.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};
use url::Url;

use crate::alto::cost::{CostTable, MEMBER as COST_MAP, ReadCosts};
use crate::alto::endpoint::{COSTS_MEMBER, PROPERTIES_MEMBER};
use crate::alto::json::{Faults, MapOf, Walk, read};
use crate::alto::media;
use crate::alto::meta::{ReadResponse, ResourceMeta, StatedCostType, any_text};
use crate::alto::network::{Groups, MEMBER as NETWORK_MAP, ReadGroups};
use crate::ident::{TypedAddress, ValueCheck};

use super::client_error::ClientError;
use super::directory::{Directory, Resource};
use super::people::Client;

/// The most prefixes of a network map.
const MAX_PREFIXES: usize = 20_000_000;

/// The most costs of a cost map: 800 MB where most pairs have one.
const MAX_CELLS: usize = 100_000_000;

/// A network map that a server sent.
pub struct NetworkMap {
    /// Its `meta`.
    pub meta: ResourceMeta,
    /// Its PIDs and their prefixes.
    pub groups: Groups,
}

/// A cost map that a server sent.
pub struct CostMap {
    /// Its `meta`.
    pub meta: ResourceMeta,
    /// Its costs.
    pub costs: CostTable,
}

/// The cost type that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `cost-metric`
    pub metric: String,
    /// `cost-mode`
    pub mode: String,
}

impl Wanted {
    fn is(&self, stated: &StatedCostType<'_>) -> bool {
        stated.cost_metric == self.metric && stated.cost_mode == self.mode
    }

    fn json(&self) -> Value {
        json!({"cost-metric": self.metric, "cost-mode": self.mode})
    }
}

/// Costs by source, then destination, as they were sent.
pub type EndpointCosts = BTreeMap<String, BTreeMap<String, f64>>;

impl Client {
    /// Gets a network map.
    ///
    /// # Errors
    /// There is no sound answer.
    pub async fn network_map(&self, resource: &Resource) -> Result<NetworkMap, ClientError> {
        let body = self.get(&resource.url, media::NETWORK_MAP).await?;
        let reader = ReadResponse {
            member: NETWORK_MAP,
            data: ReadGroups::lenient(MAX_PREFIXES),
        };
        let (meta, groups) = sound(&resource.url, read(&body, reader))?;
        Ok(NetworkMap { meta, groups })
    }

    /// Gets the full cost map of a type over a network map; where there is
    /// none, a filtered one over all PIDs.
    ///
    /// # Errors
    /// There is no sound answer.
    pub async fn cost_map(
        &self,
        directory: &Directory,
        network: &Resource,
        wanted: &Wanted,
    ) -> Result<CostMap, ClientError> {
        let suits = |resource: &&Resource, accepts: Option<&str>| {
            resource.entry.media_type == media::COST_MAP
                && resource.entry.accepts.as_deref() == accepts
                && resource.entry.uses.contains(&network.id)
                && resource.cost_types.iter().any(|stated| wanted.is(stated))
        };
        let full = directory.resources().find(|resource| suits(resource, None));
        let filtered = || {
            directory
                .resources()
                .find(|resource| suits(resource, Some(media::COST_MAP_FILTER)))
        };
        let (url, body) = match (full, full.is_none().then(filtered).flatten()) {
            (Some(resource), _) => (
                &resource.url,
                self.get(&resource.url, media::COST_MAP).await?,
            ),
            (None, Some(resource)) => {
                let query = json!({"cost-type": wanted.json(), "pids": {"srcs": [], "dsts": []}});
                let sent = media::COST_MAP_FILTER;
                (
                    &resource.url,
                    self.post(&resource.url, sent, &query, media::COST_MAP)
                        .await?,
                )
            }
            (None, None) => return Err(not_offered(directory, "cost map", wanted)),
        };
        let reader = ReadResponse {
            member: COST_MAP,
            data: ReadCosts {
                check: ValueCheck::Finite,
                max_name: 64,
                max_pids: usize::MAX,
                max_cells: MAX_CELLS,
            },
        };
        let (meta, costs) = sound(url, read(&body, reader))?;
        Ok(CostMap { meta, costs })
    }

    /// Asks for the costs between endpoints. Without sources: from here.
    ///
    /// # Errors
    /// There is no sound answer.
    pub async fn endpoint_costs(
        &self,
        directory: &Directory,
        wanted: &Wanted,
        srcs: &[IpAddr],
        dsts: &[IpAddr],
    ) -> Result<EndpointCosts, ClientError> {
        let suits = |resource: &&Resource| {
            resource.entry.media_type == media::ENDPOINT_COSTS
                && resource.cost_types.iter().any(|stated| wanted.is(stated))
        };
        let resource = directory
            .resources()
            .filter(suits)
            .min_by_key(|resource| resource.id.contains(':'));
        let resource =
            resource.ok_or_else(|| not_offered(directory, "endpoint cost service", wanted))?;
        let query = json!({
            "cost-type": wanted.json(),
            "endpoints": {"srcs": typed(srcs), "dsts": typed(dsts)},
        });
        let sent = media::ENDPOINT_COST_PARAMS;
        let body = self
            .post(&resource.url, sent, &query, media::ENDPOINT_COSTS)
            .await?;
        let name = |_: &mut Walk<'_>, key: &str| Some(key.to_owned());
        let reader = ReadResponse {
            member: COSTS_MEMBER,
            data: MapOf::new(name, || MapOf::new(name, || crate::alto::json::Number)),
        };
        Ok(sound(&resource.url, read(&body, reader))?.1)
    }

    /// Asks for the PID of each endpoint in a network map.
    ///
    /// # Errors
    /// There is no sound answer.
    pub async fn pids(
        &self,
        directory: &Directory,
        network: &Resource,
        endpoints: &[IpAddr],
    ) -> Result<BTreeMap<String, Option<String>>, ClientError> {
        let property = format!("{}.pid", network.id);
        let suits =
            |resource: &&Resource| resource.entry.capabilities.prop_types.contains(&property);
        let resource = directory.resources().find(suits).ok_or_else(|| {
            ClientError::NotOffered(format!("the server has no endpoint property {property}"))
        })?;
        let query = json!({"properties": [property], "endpoints": typed(endpoints)});
        let sent = media::ENDPOINT_PROPERTY_PARAMS;
        let body = self
            .post(&resource.url, sent, &query, media::ENDPOINT_PROPERTIES)
            .await?;
        let name = |_: &mut Walk<'_>, key: &str| Some(key.to_owned());
        let reader = ReadResponse {
            member: PROPERTIES_MEMBER,
            data: MapOf::new(name, || MapOf::new(name, any_text)),
        };
        let (_, answered) = sound(&resource.url, read(&body, reader))?;
        let pid = |(endpoint, mut set): (String, BTreeMap<String, _>)| {
            (
                endpoint,
                set.remove(&property).map(std::borrow::Cow::into_owned),
            )
        };
        Ok(answered.into_iter().map(pid).collect())
    }
}

fn typed(addresses: &[IpAddr]) -> Vec<String> {
    addresses
        .iter()
        .map(|&address| TypedAddress(address).to_string())
        .collect()
}

fn not_offered(directory: &Directory, what: &str, wanted: &Wanted) -> ClientError {
    let types = directory
        .resources()
        .flat_map(|resource| &resource.cost_types);
    let mut names: Vec<String> = types
        .map(|t| format!("{} {}", t.cost_metric, t.cost_mode))
        .collect();
    names.sort_unstable();
    names.dedup();
    ClientError::NotOffered(format!(
        "the server has no {what} for {} {}; its cost types are {}",
        wanted.metric,
        wanted.mode,
        names.join(", ")
    ))
}

/// Adds to a reading error where the document came from.
fn sound<T>(url: &Url, read: Result<T, Faults>) -> Result<T, ClientError> {
    read.map_err(|faults| ClientError::Faulty {
        url: url.to_string(),
        faults,
    })
}
