//! Makes the view of a domain from its documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::alto::cost::{self, CostTable, ReadCosts};
use crate::alto::json::{Read, read};
use crate::alto::meta::{CostMode, CostType, ReadResponse, ResourceMeta, VersionTag};
use crate::alto::network::{self, Groups, ReadGroups};
use crate::api::s2s::{Ignored, Manifest, ManifestResource};
use crate::facts::Interconnects;
use crate::federation::import_error::ImportError;
use crate::federation::manifest::interconnects;
use crate::federation::settings::Limits;
use crate::ident::{Digest, DomainLabel, MetricName, PidName, ResourceId};
use crate::net::{Lpm, Matrix, PidIndex};
use crate::publish::service::{Copied, copied, names};
use crate::publish::{Costs, Lookup, NetworkMap, Origin, Properties, View, ViewName};

use super::copy::DomainCopy;

/// A domain as it was imported.
#[derive(Debug)]
pub struct Import {
    /// Its view.
    pub view: Arc<View>,
    /// Its off-net PIDs.
    pub off_net: Arc<BTreeSet<PidName>>,
    /// Its links to other domains.
    pub interconnects: Arc<Interconnects>,
    /// What was left out, and why.
    pub ignored: Vec<Ignored>,
    /// The resources that we would render differently from what we received. The received bytes
    /// are passed on.
    pub rewritten: Vec<ResourceId>,
}

/// The resources of a manifest that a view is made of.
#[derive(Debug)]
pub struct Parts<'m> {
    network: &'m ManifestResource,
    costs: BTreeMap<MetricName, &'m ManifestResource>,
    ignored: Vec<Ignored>,
}

impl<'m> Parts<'m> {
    /// Finds the resources that a view is made of. Ordinal costs are made from the numerical
    /// ones, and resources of an unknown kind are left out.
    ///
    /// # Errors
    /// There is no network map; a resource belongs to another domain, is listed twice or is too
    /// large; or there are too many.
    pub fn of(manifest: &'m Manifest, limits: &Limits) -> Result<Self, ImportError> {
        let domain = &manifest.domain;
        let mut network = None;
        let mut costs = BTreeMap::new();
        let mut ignored = Vec::new();
        for resource in &manifest.resources {
            let id = resource.resource_id.as_str();
            let Some(path) = path_in(domain, resource) else {
                let text = format!("the manifest of {domain} has {id}");
                return Err(ImportError::Content(text));
            };
            let media_type = resource.media_type.as_str();
            let twice = match copied(media_type, path) {
                Some(Copied::Network) => network.replace(resource).is_some(),
                Some(Copied::Costs(metric)) => costs.insert(metric, resource).is_some(),
                Some(Copied::Nothing) => continue,
                Some(Copied::UnknownMetric) => {
                    ignored.push(left_aside(id, "its metric is not known here"));
                    continue;
                }
                None => {
                    let reason = format!("its media type {media_type:?} is not imported");
                    ignored.push(left_aside(id, reason));
                    continue;
                }
            };
            if twice {
                return Err(ImportError::Content(format!("the manifest has {id} twice")));
            }
        }
        let links = manifest.interconnects.len();
        if links > limits.max_interconnects {
            return Err(ImportError::Limit(format!(
                "the domain has {links} interconnects; at most {} are taken (max_interconnects)",
                limits.max_interconnects
            )));
        }
        if costs.len() > limits.max_metrics {
            return Err(ImportError::Limit(format!(
                "the domain has costs in {} metrics; at most {} are taken (max_metrics)",
                costs.len(),
                limits.max_metrics
            )));
        }
        let network = network.ok_or_else(|| {
            let id = ViewName::Domain(domain.clone()).resource_id(names::NETWORK_MAP);
            ImportError::Content(format!("the manifest has no {id}"))
        })?;
        let parts = Self {
            network,
            costs,
            ignored,
        };
        let bytes = parts.resources().map(|resource| resource.length);
        let bytes = bytes.fold(0, u64::saturating_add);
        if bytes > limits.max_bytes as u64 {
            Err(ImportError::Limit(format!(
                "the maps of the domain have {bytes} bytes; at most {} are taken (max_bytes)",
                limits.max_bytes
            )))
        } else {
            Ok(parts)
        }
    }

    /// Iterates over the resources whose representations are needed.
    pub fn resources(&self) -> impl Iterator<Item = &'m ManifestResource> {
        [self.network]
            .into_iter()
            .chain(self.costs.values().copied())
    }
}

/// Whether a resource is one that the view of this domain is made of.
pub(in crate::federation) fn is_part(resource: &ManifestResource, domain: &DomainLabel) -> bool {
    let path = path_in(domain, resource);
    let copied = path.and_then(|path| copied(&resource.media_type, path));
    matches!(copied, Some(Copied::Network | Copied::Costs(_)))
}

/// Returns the path of a resource in the view of this domain; `None` if it is of another view.
fn path_in<'m>(domain: &DomainLabel, resource: &'m ManifestResource) -> Option<&'m str> {
    match ViewName::split(resource.resource_id.as_str())? {
        (ViewName::Domain(label), path) if label == *domain => Some(path),
        _ => None,
    }
}

/// The previous import of a domain.
#[derive(Debug, Clone, Copy)]
pub struct Former<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The view.
    pub view: &'a Arc<View>,
}

impl<'a> Former<'a> {
    /// Returns the import of a signed copy; `None` for a plain domain.
    pub fn of(copy: &'a DomainCopy) -> Option<Self> {
        let signed = copy.signed.as_ref()?;
        Some(Self {
            manifest: &signed.manifest,
            view: &copy.view,
        })
    }

    /// Whether a resource is the same as then, so that its representation is not needed again.
    pub fn has(&self, resource: &ManifestResource) -> bool {
        let same = |other: &ManifestResource| {
            // The stated length is compared too, since it is what is charged.
            other.resource_id == resource.resource_id
                && other.sha_256 == resource.sha_256
                && other.length == resource.length
        };
        self.manifest.resources.iter().any(same)
    }
}

/// Makes the view of a domain from the representations that its manifest
/// names. `bodies` has those that `former` does not have. Takes CPU time in
/// proportion to the size of the maps.
///
/// # Errors
/// A representation is not what the manifest says, cannot be read, does not fit the others, or
/// exceeds a limit. Nothing of the domain is taken then.
pub fn import(
    manifest: &Manifest,
    bodies: &BTreeMap<Digest, Bytes>,
    former: Option<Former<'_>>,
    limits: &Limits,
    received: Timestamp,
) -> Result<Import, ImportError> {
    let parts = Parts::of(manifest, limits)?;
    let domain = &manifest.domain;
    let kept = former.filter(|former| former.has(parts.network));
    let network = match kept {
        Some(former) => former.view.network().clone(),
        None => {
            let body = body(bodies, parts.network)?;
            Arc::new(read_network(domain, parts.network, body, limits)?)
        }
    };
    let pids = network.pids();
    let vtag = VersionTag {
        resource_id: parts.network.resource_id.clone(),
        tag: parts.network.tag.clone(),
    };
    let mut costs = BTreeMap::new();
    for (metric, resource) in &parts.costs {
        let known = kept.filter(|former| former.has(resource));
        let known = known.and_then(|former| former.view.costs().get(metric).cloned());
        let read = match known {
            Some(known) => known,
            None => {
                let body = body(bodies, resource)?;
                let limits = Limits {
                    max_cells: limits
                        .max_cells
                        .saturating_sub(costs.values().map(count).sum()),
                    ..limits.clone()
                };
                let table = read_costs(domain, metric, resource, body, &vtag, &limits)?;
                square(resource.resource_id.as_str(), &table, pids)?
            }
        };
        costs.insert(metric.clone(), read);
        check_costs(costs.values(), limits)?;
    }
    let (mut links, mut ignored) = interconnects(manifest);
    ignored.extend(parts.ignored);
    links.retain(|id, link| {
        let there = pids.get(link.border.as_str()).is_some();
        if !there {
            let reason = format!("its border {} is no PID of the domain", link.border);
            ignored.push(left_aside(&format!("interconnect {id}"), reason));
        }
        there
    });
    let mut off_net = BTreeSet::new();
    for name in &manifest.off_net {
        match pids.get(name).and_then(|pid| pids.name(pid)) {
            Some(pid) => drop(off_net.insert(pid.clone())),
            None => {
                let what = format!("off-net PID {}", name.chars().take(64).collect::<String>());
                ignored.push(left_aside(&what, "it is no PID of the domain"));
            }
        }
    }
    let origin = Origin {
        serial: manifest.serial,
        received,
    };
    let view = assemble(domain, origin, network, costs, former.map(|f| &**f.view));
    let rewritten = rewritten(&view, manifest);
    Ok(Import {
        view,
        off_net: Arc::new(off_net),
        interconnects: Arc::new(links),
        ignored,
        rewritten,
    })
}

/// Counts the costs of a domain's own; composed costs count 0.
pub(in crate::federation) fn count(costs: &Costs) -> usize {
    match costs {
        Costs::Dense(matrix) => matrix.count(),
        Costs::Composed(_) => 0,
    }
}

/// Checks that the costs of a domain, in all metrics that were read so far, are within the
/// limits.
///
/// # Errors
/// There are too many, or they take too much memory.
pub fn check_costs<'c>(
    costs: impl Iterator<Item = &'c Costs>,
    limits: &Limits,
) -> Result<(), ImportError> {
    let (mut bytes, mut cells) = (0_u64, 0);
    for costs in costs {
        bytes += costs.bytes() as u64;
        cells += count(costs);
    }
    if cells > limits.max_cells {
        return Err(ImportError::Limit(format!(
            "the domain has {cells} costs; at most {} are taken (max_cells)",
            limits.max_cells
        )));
    }
    if bytes > limits.max_memory {
        return Err(ImportError::Limit(format!(
            "the costs of the domain take {bytes} bytes of memory; at most {} are taken \
             (max_memory)",
            limits.max_memory
        )));
    }
    Ok(())
}

/// Makes the view of a domain from its parts. Every ALTO server has `routingcost` (RFC 7285
/// §6.1.1.1), so a domain that states none gets one without any cost.
pub fn assemble(
    domain: &DomainLabel,
    origin: Origin,
    network: Arc<NetworkMap>,
    mut costs: BTreeMap<MetricName, Costs>,
    former: Option<&View>,
) -> Arc<View> {
    let size = network.pids().len();
    costs
        .entry(MetricName::routingcost())
        .or_insert_with(|| Costs::Dense(Arc::new(Matrix::new(size, size))));
    Arc::new(View::new(
        ViewName::Domain(domain.clone()),
        origin,
        network,
        costs,
        Arc::new(Properties::default()),
        former,
    ))
}

/// Makes a network map of these PIDs.
///
/// # Errors
/// There are too many PIDs or prefixes, or a prefix occurs twice.
pub fn network_of(groups: Groups, limits: &Limits) -> Result<NetworkMap, ImportError> {
    if groups.len() > limits.max_pids {
        return Err(ImportError::Limit(format!(
            "the network map has {} PIDs; at most {} are taken (max_pids)",
            groups.len(),
            limits.max_pids
        )));
    }
    let count: usize = groups.values().map(|group| group.len()).sum();
    if count > limits.max_prefixes {
        return Err(ImportError::Limit(format!(
            "the network map has {count} prefixes; at most {} are taken (max_prefixes)",
            limits.max_prefixes
        )));
    }
    let prefixes = (0..)
        .zip(groups.values())
        .flat_map(|(place, group)| group.prefixes().map(move |prefix| (prefix, place)));
    let lpm = Lpm::build(prefixes).map_err(|twice| ImportError::Content(twice.to_string()))?;
    let lookup = Lookup {
        lpm: Arc::new(lpm),
        ..Lookup::default()
    };
    let (names, groups) = groups.into_iter().unzip();
    Ok(NetworkMap::new(
        Arc::new(PidIndex::new(names)),
        groups,
        lookup,
    ))
}

/// Brings the costs of a table into the order of all PIDs of a domain. `what` names the table in
/// errors.
///
/// # Errors
/// The table has a PID that the domain does not have.
pub fn square(what: &str, table: &CostTable, pids: &PidIndex) -> Result<Costs, ImportError> {
    if *table.srcs == *pids && *table.dsts == *pids {
        return Ok(Costs::Dense(table.cells.clone()));
    }
    let place = |name: &PidName| {
        pids.get(name.as_str()).ok_or_else(|| {
            ImportError::Content(format!(
                "{what} has costs of {name}, which is no PID of the network map"
            ))
        })
    };
    let columns = table.dsts.names().iter().map(|dst| place(dst).map(Some));
    let columns = columns.collect::<Result<Vec<_>, ImportError>>()?;
    let mut matrix = Matrix::new(pids.len(), pids.len());
    for (src, costs) in table.rows() {
        let costs = if *table.dsts == *pids {
            costs.clone()
        } else {
            costs.moved(&columns, pids.len())
        };
        matrix.set_row(place(src)? as usize, costs);
    }
    Ok(Costs::Dense(Arc::new(matrix)))
}

fn read_network(
    domain: &DomainLabel,
    resource: &ManifestResource,
    body: &Bytes,
    limits: &Limits,
) -> Result<NetworkMap, ImportError> {
    let reader = ReadGroups {
        max_name: domain.max_pid_len(),
        max_pids: limits.max_pids,
        max_prefixes: limits.max_prefixes,
        known_families_only: false,
    };
    let (meta, groups) = response(resource, body, network::MEMBER, reader)?;
    let stated = meta
        .vtag
        .filter(|vtag| vtag.resource_id == resource.resource_id && vtag.tag == resource.tag);
    if stated.is_none() {
        let text = "the network map has another version tag than the manifest says";
        return Err(ImportError::Content(text.to_owned()));
    }
    network_of(groups, limits)
}

fn read_costs(
    domain: &DomainLabel,
    metric: &MetricName,
    resource: &ManifestResource,
    body: &Bytes,
    network: &VersionTag,
    limits: &Limits,
) -> Result<CostTable, ImportError> {
    let reader = ReadCosts {
        check: metric.check(),
        max_name: domain.max_pid_len(),
        max_pids: limits.max_pids,
        max_cells: limits.max_cells,
    };
    let (meta, table) = response(resource, body, cost::MEMBER, reader)?;
    let id = &resource.resource_id;
    let cost_type = CostType::new(metric, CostMode::Numerical);
    if meta.cost_type.is_none_or(|stated| cost_type != stated) {
        return Err(ImportError::Content(format!(
            "{id} does not have the numerical costs in {metric} that its id promises"
        )));
    }
    if meta.dependent_vtags.contains(network) {
        Ok(table)
    } else {
        Err(ImportError::Content(format!(
            "{id} is not of the network map that the manifest names"
        )))
    }
}

/// Reads the representation of a resource.
fn response<'de, R: Read<'de>>(
    resource: &ManifestResource,
    body: &'de Bytes,
    member: &'static str,
    data: R,
) -> Result<(ResourceMeta, R::Output), ImportError> {
    let reader = ReadResponse { member, data };
    read(body, reader)
        .map_err(|faults| ImportError::unsound(resource.resource_id.as_str(), &faults))
}

/// Returns the representation of a resource, if it is what the manifest says.
fn body<'b>(
    bodies: &'b BTreeMap<Digest, Bytes>,
    resource: &ManifestResource,
) -> Result<&'b Bytes, ImportError> {
    let right = |body: &&Bytes| {
        body.len() as u64 == resource.length && Digest::of(body) == resource.sha_256
    };
    bodies.get(&resource.sha_256).filter(right).ok_or_else(|| {
        ImportError::Digest(format!(
            "the document of {} is missing, or is not what was signed",
            resource.resource_id
        ))
    })
}

/// Returns the resources that we render differently from what the manifest says. Sets their
/// marks in the view.
fn rewritten(view: &Arc<View>, manifest: &Manifest) -> Vec<ResourceId> {
    let mut rewritten = Vec::new();
    for resource in view.catalog().iter() {
        let stated = manifest
            .resources
            .iter()
            .find(|r| r.resource_id == resource.id);
        let Some(stated) = stated.filter(|stated| is_part(stated, &manifest.domain)) else {
            continue;
        };
        if resource.marks.get().is_none()
            && let Some(rendering) = view.rendering(resource)
        {
            resource.marks.get_or_init(|| rendering.finish(0).0);
        }
        let same = resource
            .marks
            .get()
            .is_some_and(|version| version.digest == stated.sha_256 && version.tag == stated.tag);
        if !same {
            rewritten.push(resource.id.clone());
        }
    }
    rewritten
}

fn left_aside(what: &str, reason: impl Into<String>) -> Ignored {
    Ignored {
        what: what.to_owned(),
        reason: reason.into(),
    }
}
