//! Queries: a resource of a view with its parameters, answered from any version
//! of the view, and told how the answer differs from one version to another.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::alto::canonical::{write_ipv4_prefix, write_ipv6_prefix, write_string};
use crate::alto::cost;
use crate::alto::endpoint::{self, ReadEndpointPropertyParams};
use crate::alto::error::AltoError;
use crate::alto::json;
use crate::alto::meta::{CostMode, CostType};
use crate::alto::network::{self, AddressGroup, ReadNetworkMapFilter};
use crate::alto::query::{ReadCostMapFilter, ReadEndpointCostParams};
use crate::ident::{Family, PidName};

use super::catalog::{Kind, Resource};
use super::endpoint::{Asked, endpoint_costs, endpoint_grid, endpoint_properties, itself};
use super::filter::{Filtered, filtered, filtered_cost_map, filtered_costs, filtered_network_map};
use super::grid::{Grid, Layers, join};
use super::patch::{Form, Patch, PatchWriter, TagOf};
use super::rank::Ranks;
use super::rendering::{Rendering, ranks};
use super::view::View;

/// A resource of a view, by its path in the catalog, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    path: Box<str>,
    /// The body of the request; empty for a full map.
    input: Box<[u8]>,
    /// Who asks, if that matters.
    client: IpAddr,
}

/// A query that cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The view has no such resource.
    #[error("the view no longer has this resource; read its directory again")]
    Gone,
    /// The parameters do not fit it.
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

/// The body that answers a query by POST.
///
/// # Errors
/// The error that RFC 7285 §8.5.2 wants.
pub fn answer(
    view: &View,
    kind: &Kind,
    input: &[u8],
    client: IpAddr,
) -> Result<Vec<u8>, AltoError> {
    match kind {
        Kind::FilteredNetworkMap => {
            let filter = json::read(input, ReadNetworkMapFilter)?;
            Ok(filtered_network_map(view, &filter))
        }
        Kind::FilteredCostMap => {
            let filter = json::read(input, ReadCostMapFilter)?;
            let selection = filter.query.select(view.capabilities())?;
            Ok(filtered_cost_map(view, &filter, &selection))
        }
        Kind::EndpointProperties => {
            let params = json::read(input, ReadEndpointPropertyParams)?;
            endpoint_properties(view, &params)
        }
        Kind::EndpointCosts => {
            let params = json::read(input, ReadEndpointCostParams)?;
            let selection = params.query.select(view.capabilities())?;
            endpoint_costs(view, &params, &selection, client)
        }
        Kind::NetworkMap | Kind::CostMap(_) | Kind::UpdateStream | Kind::Tips => {
            Err(AltoError::syntax("the resource takes no query"))
        }
    }
}

impl Query {
    /// A resource with the body of a request for it, which is empty for a full
    /// map. `client` asks.
    pub fn new(resource: &Resource, input: &[u8], client: IpAddr) -> Self {
        let matters = match resource.kind {
            Kind::EndpointCosts => json::read(input, ReadEndpointCostParams)
                .is_ok_and(|p| p.endpoints.srcs.is_empty() || p.endpoints.dsts.is_empty()),
            _ => false,
        };
        Self {
            path: resource.path.as_str().into(),
            input: input.into(),
            client: match matters {
                true => client,
                false => Ipv4Addr::UNSPECIFIED.into(),
            },
        }
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

    /// The whole answer.
    ///
    /// # Errors
    /// The view cannot answer it.
    pub fn answer(&self, view: &Arc<View>) -> Result<Vec<u8>, QueryError> {
        let resource = self.resource(view)?;
        if resource.kind.accepts().is_some() {
            return Ok(answer(view, &resource.kind, &self.input, self.client)?);
        }
        let rendering = Rendering::new(view.clone(), resource).ok_or(QueryError::Gone)?;
        let (_, body) = rendering.finish(usize::MAX);
        Ok(body.unwrap_or_default())
    }

    /// What makes the answer of `new` of that of `old`, in one of the forms;
    /// none if they are the same. Costs and prefixes are compared, never text.
    ///
    /// # Errors
    /// One of the views cannot answer it.
    pub fn changes(
        &self,
        old: &View,
        new: &View,
        forms: &[Form],
    ) -> Result<Option<Patch>, QueryError> {
        let kind = &self.resource(new)?.kind;
        if self.resource(old)?.kind != *kind {
            return Err(QueryError::Gone);
        }
        let form = match forms.contains(&Form::Merge) {
            true => Form::Merge,
            false => Form::Json,
        };
        let tag = new.network().tag();
        let retagged = old.network().tag() != tag;
        let mut patch = PatchWriter::new(form, cost::MEMBER);
        match kind {
            Kind::NetworkMap | Kind::FilteredNetworkMap => {
                let leaves = |view| match kind {
                    Kind::NetworkMap => Ok::<_, json::Faults>(Filtered {
                        pids: (0..view_size(view)).collect(),
                        families: Family::ALL.to_vec(),
                    }),
                    _ => Ok(filtered(
                        view,
                        &json::read(&self.input, ReadNetworkMapFilter)?,
                    )),
                };
                let (before, after) = (
                    Groups::new(old, leaves(old)?),
                    Groups::new(new, leaves(new)?),
                );
                let form = match forms {
                    [only] => *only,
                    _ => before.shorter_form(&after),
                };
                patch = PatchWriter::new(form, network::MEMBER);
                if retagged {
                    patch.tag(TagOf::Itself, new.network_id().as_str(), tag);
                }
                before.changes(&after, form, &mut patch);
            }
            Kind::CostMap(cost_type) => {
                if retagged {
                    patch.tag(TagOf::Network, new.network_id().as_str(), tag);
                }
                let (before, after) = (full(old, cost_type)?, full(new, cost_type)?);
                before.changes(&after, &mut patch);
            }
            Kind::FilteredCostMap => {
                if retagged {
                    patch.tag(TagOf::Network, new.network_id().as_str(), tag);
                }
                let filter = json::read(&self.input, ReadCostMapFilter)?;
                let grid = |view| {
                    let selection = filter.query.select(View::capabilities(view))?;
                    Ok::<_, AltoError>(filtered_costs(view, &filter, &selection))
                };
                grid(old)?.changes(&grid(new)?, &mut patch);
            }
            Kind::EndpointCosts => {
                patch = PatchWriter::new(form, endpoint::COSTS_MEMBER);
                let params = json::read(&self.input, ReadEndpointCostParams)?;
                let itself = itself(self.client);
                let grid = |view| {
                    let selection = params.query.select(View::capabilities(view))?;
                    endpoint_grid(view, &params, &selection, &itself)
                };
                grid(old)?.changes(&grid(new)?, &mut patch);
            }
            Kind::EndpointProperties => {
                patch = PatchWriter::new(form, endpoint::PROPERTIES_MEMBER);
                let params = json::read(&self.input, ReadEndpointPropertyParams)?;
                let (before, asked) = (Asked::new(old, &params)?, Asked::new(new, &params)?);
                if retagged && asked.tells_pids() {
                    patch.tag(TagOf::Network, new.network_id().as_str(), tag);
                }
                property_changes((&before, old), (&asked, new), &mut patch);
            }
            Kind::UpdateStream | Kind::Tips => return Err(QueryError::Gone),
        }
        Ok(patch.finish())
    }
}

fn view_size(view: &View) -> u32 {
    u32::try_from(view.network().pids().len()).unwrap_or(u32::MAX)
}

/// All costs of a view of a type.
fn full<'v>(view: &'v View, cost_type: &CostType) -> Result<Grid<'v>, QueryError> {
    let costs = view.costs().get(&cost_type.cost_metric);
    let costs = costs.ok_or(QueryError::Gone)?;
    let names = view.network().pids().names().iter();
    let names: Vec<&str> = names.map(PidName::as_str).collect();
    let ranked = cost_type.cost_mode == CostMode::Ordinal;
    let ranks: Option<Ranks> = ranked.then(|| ranks(costs, cost_type));
    Ok(Grid {
        srcs: names.clone(),
        dsts: names,
        layers: Layers::Full(costs, ranks),
        multi: false,
    })
}

fn property_changes(
    (before, old): (&Asked<'_>, &View),
    (asked, new): (&Asked<'_>, &View),
    patch: &mut PatchWriter,
) {
    // Every endpoint has its row, if only an empty one.
    for endpoint in &asked.endpoints {
        for name in &asked.names {
            let value = asked.value(new, endpoint, name);
            match value {
                value if value == before.value(old, endpoint, name) => {}
                Some(value) => {
                    let write = |out: &mut Vec<u8>| write_string(out, value);
                    patch.set_cell(&endpoint.text, name, write);
                }
                None => patch.remove_cell(&endpoint.text, name),
            }
        }
        patch.end_row();
    }
}

/// The PIDs of a network map that are answered, with their prefixes.
struct Groups<'v> {
    names: Vec<&'v str>,
    groups: Vec<&'v Arc<AddressGroup>>,
    families: Vec<Family>,
}

impl<'v> Groups<'v> {
    fn new(view: &'v View, Filtered { pids, families }: Filtered) -> Self {
        let network = view.network();
        let member = |&pid: &u32| network.pids().name(pid).zip(network.group(pid));
        let (names, groups) = pids.iter().filter_map(member).unzip::<_, _, Vec<_>, _>();
        Self {
            names: names.into_iter().map(PidName::as_str).collect(),
            groups,
            families,
        }
    }

    /// The PIDs that are in both and differ: their places.
    fn differing(&self, new: &Groups<'v>) -> Vec<[usize; 2]> {
        let both = join(&self.names, &new.names).into_iter();
        both.filter_map(|pid| Some([pid.old?, pid.new?]))
            .filter(|&[o, n]| {
                let (a, b) = (self.groups[o], new.groups[n]);
                !Arc::ptr_eq(a, b) && a != b
            })
            .collect()
    }

    /// The form in which the changes are shorter: a merge patch has every
    /// prefix of a PID that changed, a JSON patch an operation for each that
    /// did.
    fn shorter_form(&self, new: &Groups<'v>) -> Form {
        /// What an operation takes beyond a prefix, in prefixes.
        const OPERATION: usize = 4;
        let (mut whole, mut changed) = (0, 0);
        for [o, n] in self.differing(new) {
            let (a, b) = (self.groups[o], new.groups[n]);
            whole += b.len();
            changed += edits(&a.ipv4, &b.ipv4).len() + edits(&a.ipv6, &b.ipv6).len();
        }
        match changed * OPERATION < whole {
            true => Form::Json,
            false => Form::Merge,
        }
    }

    fn changes(&self, new: &Groups<'v>, form: Form, patch: &mut PatchWriter) {
        for pid in join(&self.names, &new.names) {
            match (pid.old, pid.new) {
                (_, None) => patch.remove_row(pid.name),
                (None, Some(n)) => {
                    patch.add_row(pid.name, |out| new.groups[n].write(out, &new.families));
                }
                (Some(o), Some(n)) => {
                    let (a, b) = (self.groups[o], new.groups[n]);
                    if Arc::ptr_eq(a, b) {
                        continue;
                    }
                    for family in &new.families {
                        match family {
                            Family::V4 => {
                                let write = write_ipv4_prefix;
                                family_changes(
                                    pid.name,
                                    *family,
                                    [&a.ipv4, &b.ipv4],
                                    write,
                                    form,
                                    patch,
                                );
                            }
                            Family::V6 => {
                                let write = write_ipv6_prefix;
                                family_changes(
                                    pid.name,
                                    *family,
                                    [&a.ipv6, &b.ipv6],
                                    write,
                                    form,
                                    patch,
                                );
                            }
                        }
                    }
                    patch.end_row();
                }
            }
        }
    }
}

/// A difference between two sorted lists: the element that is to be taken away,
/// or put, at a place.
enum Edit<'t, T> {
    Remove(usize),
    Add(usize, &'t T),
}

/// What makes a sorted list of another, one edit after the other.
fn edits<'t, T: Ord>(old: &[T], new: &'t [T]) -> Vec<Edit<'t, T>> {
    let mut edits = Vec::new();
    let mut old = old.iter().peekable();
    let mut place = 0;
    for item in new {
        while old.next_if(|before| *before < item).is_some() {
            edits.push(Edit::Remove(place));
        }
        if old.next_if(|before| *before == item).is_none() {
            edits.push(Edit::Add(place, item));
        }
        place += 1;
    }
    edits.extend(old.map(|_| Edit::Remove(place)));
    edits
}

/// Writes how the prefixes of a PID in one family differ.
fn family_changes<T: Ord>(
    pid: &str,
    family: Family,
    [old, new]: [&[T]; 2],
    write: impl Fn(&mut Vec<u8>, &T),
    form: Form,
    patch: &mut PatchWriter,
) {
    if old == new {
        return;
    }
    let quoted = |out: &mut Vec<u8>, prefix: &T| {
        out.push(b'"');
        write(out, prefix);
        out.push(b'"');
    };
    let family = family.as_str();
    if new.is_empty() {
        patch.remove_cell(pid, family);
    } else if old.is_empty() || form == Form::Merge {
        patch.set_cell(pid, family, |out| {
            for (i, prefix) in new.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                quoted(out, prefix);
            }
            out.push(b']');
        });
    } else {
        for edit in edits(old, new) {
            let (place, added) = match edit {
                Edit::Remove(place) => (place, None),
                Edit::Add(place, prefix) => (place, Some(prefix)),
            };
            let write = added.map(|prefix| |out: &mut Vec<u8>| quoted(out, prefix));
            patch.element([pid, family], place, write);
        }
    }
}
