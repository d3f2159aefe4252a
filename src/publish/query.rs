//! Queries: a resource of a view with its parameters, answered from any version
//! of the view, and told how the answer differs from one version to another.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::alto::canonical::{write_ipv4_prefix, write_ipv6_prefix, write_string};
use crate::alto::cost;
use crate::alto::endpoint::{self, ReadEndpointPropertyParams};
use crate::alto::error::AltoError;
use crate::alto::json;
use crate::alto::network::{self, AddressGroup, ReadNetworkMapFilter};
use crate::alto::query::ReadEndpointCostParams;
use crate::ident::{Family, PidName};

use super::catalog::{Kind, Resource};
use super::endpoint::Asked;
use super::grid::Filtered;
use super::grid::Table;
use super::grid::{Change, Form, PatchWriter, TagOf};
use super::grid::{Grid, join};
use super::rendering::{Rendering, endpoints_table, filtered_table};
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

impl Query {
    /// A resource, by its kind and its path, with the body of a request for it, which is empty for
    /// a full map. `client` asks.
    pub fn new(kind: &Kind, path: &str, input: Vec<u8>, client: IpAddr) -> Self {
        let matters = match kind {
            Kind::EndpointCosts => json::read(&input, ReadEndpointCostParams)
                .is_ok_and(|p| p.endpoints.srcs.is_empty() || p.endpoints.dsts.is_empty()),
            _ => false,
        };
        Self {
            path: path.into(),
            input: input.into(),
            client: match matters {
                true => client,
                false => Ipv4Addr::UNSPECIFIED.into(),
            },
        }
    }

    /// The bytes of the body of the request.
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

    /// Whether it is for a full map of a view.
    ///
    /// # Errors
    /// The view does not have the resource.
    pub fn is_full_map(&self, view: &View) -> Result<bool, QueryError> {
        Ok(self.resource(view)?.kind.accepts().is_none())
    }

    /// The whole answer.
    ///
    /// # Errors
    /// The view cannot answer it.
    pub fn answer(&self, view: &Arc<View>) -> Result<Vec<u8>, QueryError> {
        Ok(self.rendering(view)?.write())
    }

    /// The whole answer, to be written.
    ///
    /// # Errors
    /// The view cannot answer it.
    pub fn rendering(&self, view: &Arc<View>) -> Result<Rendering, QueryError> {
        let resource = self.resource(view)?;
        let view = view.clone();
        if resource.kind.accepts().is_none() {
            return Rendering::new(view, resource).ok_or(QueryError::Gone);
        }
        Ok(Rendering::query(
            view,
            &resource.kind,
            &self.input,
            self.client,
        )?)
    }

    /// What makes the answer of `new` of that of `old`, in one of the forms and
    /// at most `limit` bytes. Costs and prefixes are compared, never text, and
    /// a few rows of costs are in memory at a time.
    ///
    /// # Errors
    /// One of the views cannot answer it.
    pub fn changes(
        &self,
        old: &View,
        new: &View,
        forms: &[Form],
        limit: usize,
    ) -> Result<Change, QueryError> {
        let kind = &self.resource(new)?.kind;
        if self.resource(old)?.kind != *kind {
            return Err(QueryError::Gone);
        }
        let form = if forms.contains(&Form::Merge) {
            Form::Merge
        } else {
            Form::Json
        };
        let tag = (old.network().tag() != new.network().tag()).then(|| new.network().tag());
        let of_map = |patch: &mut PatchWriter, tag_of| {
            if let Some(tag) = tag {
                patch.tag(tag_of, new.network_id().as_str(), tag);
            }
        };
        let mut patch = PatchWriter::new(form, cost::MEMBER, limit);
        match kind {
            Kind::NetworkMap | Kind::FilteredNetworkMap => {
                let before = Groups::new(old, self.filtered(old, kind)?);
                let after = Groups::new(new, self.filtered(new, kind)?);
                let form = match forms {
                    [only] => *only,
                    _ => before.shorter_form(&after),
                };
                patch = PatchWriter::new(form, network::MEMBER, limit);
                of_map(&mut patch, TagOf::Itself);
                before.changes(&after, form, &mut patch);
            }
            Kind::CostMap(cost_type) => {
                of_map(&mut patch, TagOf::Network);
                let full = |view: &View| match view.costs().get(&cost_type.cost_metric) {
                    Some(_) => Ok(Table::full(view, cost_type)),
                    None => Err(QueryError::Gone),
                };
                cost_changes((old, full(old)?), (new, full(new)?), &mut patch);
            }
            Kind::FilteredCostMap => {
                of_map(&mut patch, TagOf::Network);
                let table = |view| filtered_table(view, &self.input);
                cost_changes((old, table(old)?), (new, table(new)?), &mut patch);
            }
            Kind::EndpointCosts => {
                patch = PatchWriter::new(form, endpoint::COSTS_MEMBER, limit);
                let table = |view| endpoints_table(view, &self.input, self.client);
                cost_changes((old, table(old)?), (new, table(new)?), &mut patch);
            }
            Kind::EndpointProperties => {
                patch = PatchWriter::new(form, endpoint::PROPERTIES_MEMBER, limit);
                let params = json::read(&self.input, ReadEndpointPropertyParams)?;
                let (before, asked) = (Asked::new(old, &params)?, Asked::new(new, &params)?);
                if asked.tells_pids() {
                    of_map(&mut patch, TagOf::Network);
                }
                property_changes((&before, old), (&asked, new), &mut patch);
            }
            Kind::UpdateStream | Kind::Tips => return Err(QueryError::Gone),
        }
        Ok(patch.finish())
    }

    /// The PIDs and families of a network map, full or filtered.
    fn filtered(&self, view: &View, kind: &Kind) -> Result<Filtered, json::Faults> {
        if *kind == Kind::NetworkMap {
            return Ok(Filtered::all(view));
        }
        let filter = json::read(&self.input, ReadNetworkMapFilter)?;
        Ok(Filtered::new(view, &filter))
    }
}

/// Writes what makes the costs of one version of a view of those of another.
fn cost_changes(
    (old, mut before): (&View, Table),
    (new, mut after): (&View, Table),
    patch: &mut PatchWriter,
) {
    if before.is_same(old, &after, new) {
        return;
    }
    before.prepare_all(old);
    after.prepare_all(new);
    let grid = |view, table| Grid { view, table };
    grid(old, &before).changes(grid(new, &after), patch);
}

fn property_changes(
    (before, old): (&Asked, &View),
    (asked, new): (&Asked, &View),
    patch: &mut PatchWriter,
) {
    // Every endpoint has its row, if only an empty one.
    for (text, addr) in &asked.endpoints {
        if patch.is_too_long() {
            return;
        }
        for name in &asked.names {
            let value = asked.value(new, *addr, name);
            match value {
                value if value == before.value(old, *addr, name) => {}
                Some(value) => {
                    let write = |out: &mut Vec<u8>| write_string(out, value);
                    patch.set_cell(text, name, write);
                }
                None => patch.remove_cell(text, name),
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
            if patch.is_too_long() {
                return;
            }
            match (pid.old, pid.new) {
                (_, None) => patch.remove_row(pid.name),
                (None, Some(n)) => {
                    let (group, families) = (new.groups[n], &new.families);
                    let prefixes = |family: &Family| match family {
                        Family::V4 => group.ipv4.len(),
                        Family::V6 => group.ipv6.len(),
                    };
                    if patch.has_room(least(families.iter().map(prefixes).sum())) {
                        patch.add_row(pid.name, |out| group.write(out, families));
                    }
                }
                (Some(o), Some(n)) => {
                    let (a, b) = (self.groups[o], new.groups[n]);
                    if Arc::ptr_eq(a, b) {
                        continue;
                    }
                    for family in &new.families {
                        let cell = (pid.name, *family);
                        let (v4, v6) = ([&a.ipv4[..], &b.ipv4], [&a.ipv6[..], &b.ipv6]);
                        match family {
                            Family::V4 => family_changes(cell, v4, write_ipv4_prefix, form, patch),
                            Family::V6 => family_changes(cell, v6, write_ipv6_prefix, form, patch),
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

/// The bytes that so many prefixes take at least.
fn least(prefixes: usize) -> usize {
    const SHORTEST: usize = r#""::/0","#.len();
    prefixes * SHORTEST
}

/// Writes how the prefixes of a PID in one family differ.
fn family_changes<T: Ord>(
    (pid, family): (&str, Family),
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
        if !patch.has_room(least(new.len())) {
            return;
        }
        patch.set_cell(pid, family, |out| {
            for (i, prefix) in new.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                quoted(out, prefix);
            }
            out.push(b']');
        });
    } else {
        for edit in edits(old, new) {
            if patch.is_too_long() {
                return;
            }
            let (place, added) = match edit {
                Edit::Remove(place) => (place, None),
                Edit::Add(place, prefix) => (place, Some(prefix)),
            };
            let write = added.map(|prefix| |out: &mut Vec<u8>| quoted(out, prefix));
            patch.element([pid, family], place, write);
        }
    }
}
