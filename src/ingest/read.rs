//! Reading documents and patches, with every fault located.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::MapAccess;

use crate::alto::cost::{CostPatch, ReadCostPatch, ReadCosts};
use crate::alto::json::{
    FaultKind, Faults, ListOf, MapOf, Once, OrNull, Read, Step, Tree, Walk, members, once,
    read_below, skip, value,
};
use crate::alto::meta::named;
use crate::alto::network::{ReadGroups, pid_name, prefix};
use crate::alto::property::{PropertyPatch, read_property_map, read_property_patch};
use crate::api::interconnect::Relationship;
use crate::facts::{Interconnect, Interconnects};
use crate::ident::{
    DomainLabel, InterconnectId, MetricName, PidName, PrefixError, parse_ipv4_prefix,
    parse_ipv6_prefix,
};

use super::document::{Document, DocumentPath};

/// How much a source may state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// PIDs of all sources together.
    pub max_pids: usize,
    /// Prefixes of all sources together.
    pub max_prefixes: usize,
    /// Costs of one cost map.
    pub max_cells: usize,
    /// Entities with properties, of one source.
    pub max_entities: usize,
    /// Interconnects of one source.
    pub max_interconnects: usize,
    /// Operations of one transaction.
    pub max_operations: usize,
    /// Idempotency keys of one principal in a day.
    pub max_keys: usize,
}

impl Limits {
    /// No limits: for what was within them when it was stated.
    pub fn none() -> Self {
        Self {
            max_pids: usize::MAX,
            max_prefixes: usize::MAX,
            max_cells: usize::MAX,
            max_entities: usize::MAX,
            max_interconnects: usize::MAX,
            max_operations: usize::MAX,
            max_keys: usize::MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pids: 5_000,
            max_prefixes: 4_000_000,
            max_cells: 25_000_000,
            max_entities: 1_000_000,
            max_interconnects: 10_000,
            max_operations: 1_000,
            max_keys: 100_000,
        }
    }
}

/// A merge patch (RFC 7396) of a document.
#[derive(Debug, Clone)]
pub enum Patch {
    /// Of `network-map`: a PID that is `None` goes, and so does a family.
    Network(BTreeMap<PidName, Option<GroupPatch>>),
    /// Of `cost-maps/{metric}`.
    Costs(CostPatch),
    /// Of `properties`.
    Properties(PropertyPatch),
    /// Of `interconnects`, as they are written: an interconnect is only sound
    /// as a whole.
    Interconnects(serde_json::Map<String, serde_json::Value>),
}

/// The families of a PID that a merge patch replaces or removes.
#[derive(Debug, Clone, Default)]
pub struct GroupPatch {
    /// `ipv4`, if the patch has it.
    pub ipv4: Option<Option<Vec<ipnet::Ipv4Net>>>,
    /// `ipv6`, if the patch has it.
    pub ipv6: Option<Option<Vec<ipnet::Ipv6Net>>>,
}

/// Prefixes by PID, as `announce` and `withdraw` have them.
pub type Prefixes = BTreeMap<PidName, Vec<IpNet>>;

/// What a reader of our domain's documents goes by.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Our domain, whose label limits the length of PID names.
    pub domain: &'a DomainLabel,
    /// How much may be stated.
    pub limits: &'a Limits,
}

impl Reader<'_> {
    /// Reads a document that stands at `at` in the request.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn document(
        &self,
        path: &DocumentPath,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Document, Faults> {
        let member = path.member();
        Ok(match path {
            DocumentPath::NetworkMap => Document::Network(Arc::new(read_below(
                at,
                bytes,
                Wrapped::document(member, self.groups()),
            )?)),
            DocumentPath::CostMap(metric) => Document::Costs(Arc::new(read_below(
                at,
                bytes,
                Wrapped::document(member, self.costs(metric)),
            )?)),
            DocumentPath::Properties => Document::Properties(Arc::new(read_below(
                at,
                bytes,
                Wrapped::document(
                    member,
                    AtMost {
                        limit: self.limits.max_entities,
                        what: "max_entities",
                        inner: read_property_map(),
                    },
                ),
            )?)),
            DocumentPath::Interconnects => Document::Interconnects(Arc::new(read_below(
                at,
                bytes,
                Wrapped::document(member, self.interconnects()),
            )?)),
        })
    }

    /// Reads a merge patch of a document.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn patch(
        &self,
        path: &DocumentPath,
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Patch, Faults> {
        let member = path.member();
        let max_name = self.domain.max_pid_len();
        Ok(match path {
            DocumentPath::NetworkMap => {
                let name = |walk: &mut Walk<'_>, key: &str| pid_name(walk, key, max_name);
                let inner = MapOf::new(name, || OrNull(ReadGroupPatch));
                Patch::Network(read_below(at, bytes, Wrapped::patch(member, inner))?)
            }
            DocumentPath::CostMap(metric) => {
                let inner = ReadCostPatch(self.costs(metric));
                Patch::Costs(read_below(at, bytes, Wrapped::patch(member, inner))?)
            }
            DocumentPath::Properties => {
                let inner = read_property_patch();
                Patch::Properties(read_below(at, bytes, Wrapped::patch(member, inner))?)
            }
            DocumentPath::Interconnects => {
                let inner = Object;
                Patch::Interconnects(read_below(at, bytes, Wrapped::patch(member, inner))?)
            }
        })
    }

    /// Reads prefixes to announce or withdraw, `{"ams": ["192.0.2.0/24"]}`.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn prefixes(&self, at: Vec<Step<'static>>, bytes: &[u8]) -> Result<Prefixes, Faults> {
        let max_name = self.domain.max_pid_len();
        let name = |walk: &mut Walk<'_>, key: &str| pid_name(walk, key, max_name);
        read_below(at, bytes, MapOf::new(name, || ListOf::new(any_prefix)))
    }

    fn costs(&self, metric: &MetricName) -> ReadCosts {
        ReadCosts {
            check: metric.check(),
            max_name: self.domain.max_pid_len(),
            max_pids: self.limits.max_pids,
            max_cells: self.limits.max_cells,
        }
    }

    fn groups(&self) -> ReadGroups {
        ReadGroups {
            max_name: self.domain.max_pid_len(),
            max_pids: self.limits.max_pids,
            max_prefixes: self.limits.max_prefixes,
            known_families_only: true,
        }
    }

    fn interconnects(&self) -> impl for<'de> Read<'de, Output = Interconnects> {
        AtMost {
            limit: self.limits.max_interconnects,
            what: "max_interconnects",
            inner: ReadInterconnects {
                domain: self.domain.clone(),
            },
        }
    }
}

/// Interconnects from a tree, as a merge patch leaves one.
///
/// # Errors
/// All that is wrong with them.
pub fn interconnects_of(
    reader: Reader<'_>,
    at: Vec<Step<'static>>,
    tree: &serde_json::Value,
) -> Result<Interconnects, Faults> {
    let text = tree.to_string();
    // The faults are located in the patch, which is not in scope of the text.
    let faulty = |faults: Faults| faults.relocated(&at);
    read_below(Vec::new(), text.as_bytes(), reader.interconnects()).map_err(faulty)
}

/// A prefix of either family.
fn any_prefix<'de>() -> impl Read<'de, Output = IpNet> {
    prefix(|text: &str| -> Result<IpNet, PrefixError> {
        match text.contains(':') {
            true => parse_ipv6_prefix(text).map(IpNet::V6),
            false => parse_ipv4_prefix(text).map(IpNet::V4),
        }
    })
}

/// A document: an object with one member that counts; `meta` is ignored, so
/// that what a GET of an ALTO resource returned can be put as it is.
struct Wrapped<'de, R: Read<'de>> {
    member: &'static str,
    inner: R,
    /// What stands for the content where the member is not there; `None`
    /// where it must be.
    absent: Option<R::Output>,
}

impl<'de, R: Read<'de>> Wrapped<'de, R> {
    fn document(member: &'static str, inner: R) -> Self {
        let absent = None;
        Self {
            member,
            inner,
            absent,
        }
    }

    /// A patch that does not mention the content leaves it as it is.
    fn patch(member: &'static str, inner: R) -> Self
    where
        R::Output: Default,
    {
        let absent = Some(R::Output::default());
        Self {
            member,
            inner,
            absent,
        }
    }
}

impl<'de, R: Read<'de>> Read<'de> for Wrapped<'de, R> {
    type Output = R::Output;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<R::Output>, A::Error> {
        let mut content = Once::default();
        let mut inner = Some(self.inner);
        members(walk, &mut map, |walk, key, map| match key {
            "meta" => skip(map),
            key if key == self.member => match inner.take() {
                Some(inner) => once(walk, map, &mut content, inner),
                None => {
                    walk.duplicate();
                    skip(map)
                }
            },
            _ => {
                walk.unknown(&[self.member, "meta"]);
                skip(map)
            }
        })?;
        match self.absent {
            Some(absent) if !content.is_present() => Ok(Some(absent)),
            _ => Ok(content.required(walk, self.member)),
        }
    }
}

/// Refuses an object with more members than a limit.
struct AtMost<R> {
    limit: usize,
    what: &'static str,
    inner: R,
}

impl<'de, K, V, R: Read<'de, Output = BTreeMap<K, V>>> Read<'de> for AtMost<R> {
    type Output = BTreeMap<K, V>;
    const WANTED: &'static str = R::WANTED;

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let read = self.inner.object(walk, map)?;
        let count = read.as_ref().map_or(0, BTreeMap::len);
        if count > self.limit {
            let detail = format!(
                "{count} members; at most {} are taken ({})",
                self.limit, self.what
            );
            walk.fault(FaultKind::Value(None), detail);
            return Ok(None);
        }
        Ok(read)
    }
}

/// Reads an object into a tree.
struct Object;

impl<'de> Read<'de> for Object {
    type Output = serde_json::Map<String, serde_json::Value>;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        Ok(match Tree.object(walk, map)? {
            Some(serde_json::Value::Object(object)) => Some(object),
            _ => None,
        })
    }
}

struct ReadGroupPatch;

impl<'de> Read<'de> for ReadGroupPatch {
    type Output = GroupPatch;
    const WANTED: &'static str = "an object of address types, or null";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<GroupPatch>, A::Error> {
        let (mut ipv4, mut ipv6) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "ipv4" => {
                let list = ListOf::new(|| prefix(parse_ipv4_prefix));
                once(walk, map, &mut ipv4, OrNull(list))
            }
            "ipv6" => {
                let list = ListOf::new(|| prefix(parse_ipv6_prefix));
                once(walk, map, &mut ipv6, OrNull(list))
            }
            _ => {
                walk.unknown(&["ipv4", "ipv6"]);
                skip(map)
            }
        })?;
        Ok(Some(GroupPatch {
            ipv4: ipv4.get(),
            ipv6: ipv6.get(),
        }))
    }
}

struct ReadInterconnects {
    domain: DomainLabel,
}

impl<'de> Read<'de> for ReadInterconnects {
    type Output = Interconnects;
    const WANTED: &'static str = "an object of interconnects";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Interconnects>, A::Error> {
        let id = |walk: &mut Walk<'de>, key: &str| {
            InterconnectId::new(key)
                .map_err(|error| walk.fault(FaultKind::Value(None), error.to_string()))
                .ok()
        };
        let link = || ReadInterconnect {
            domain: &self.domain,
        };
        MapOf::new(id, link).object(walk, map)
    }
}

struct ReadInterconnect<'d> {
    domain: &'d DomainLabel,
}

impl<'de> Read<'de> for ReadInterconnect<'_> {
    type Output = Interconnect;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Interconnect>, A::Error> {
        const MEMBERS: [&str; 5] = [
            "border",
            "peer-domain",
            "peer-border",
            "relationship",
            "costs",
        ];
        let (mut border, mut peer_border) = (Once::default(), Once::default());
        let (mut peer_domain, mut relationship) = (Once::default(), Once::default());
        let mut costs = Once::default();
        members(walk, &mut map, |walk, key, map| match key {
            "border" => once(walk, map, &mut border, named(PidName::new)),
            "peer-border" => once(walk, map, &mut peer_border, named(PidName::new)),
            "peer-domain" => once(
                walk,
                map,
                &mut peer_domain,
                named(|text: &str| match DomainLabel::new(text) {
                    Ok(label) if label == *self.domain => Err(format!(
                        "{label} is our own domain; name the one at the other side"
                    )),
                    Ok(label) => Ok(label),
                    Err(error) => Err(error.to_string()),
                }),
            ),
            "relationship" => once(walk, map, &mut relationship, named(relationship_of)),
            "costs" => once(walk, map, &mut costs, ReadLinkCosts),
            _ => {
                walk.unknown(&MEMBERS);
                skip(map)
            }
        })?;
        let border = border.required(walk, "border");
        let peer_domain = peer_domain.required(walk, "peer-domain");
        let peer_border = peer_border.required(walk, "peer-border");
        let relationship = relationship.required(walk, "relationship");
        let costs = costs.required(walk, "costs");
        Ok(
            match (border, peer_domain, peer_border, relationship, costs) {
                (
                    Some(border),
                    Some(peer_domain),
                    Some(peer_border),
                    Some(relationship),
                    Some(costs),
                ) => Some(Interconnect {
                    border,
                    costs,
                    peer_border,
                    peer_domain,
                    relationship,
                }),
                _ => None,
            },
        )
    }
}

fn relationship_of(text: &str) -> Result<Relationship, String> {
    match text {
        "customer" => Ok(Relationship::Customer),
        "provider" => Ok(Relationship::Provider),
        "peer" => Ok(Relationship::Peer),
        "open" => Ok(Relationship::Open),
        _ => Err(format!(
            "{text:?} is no relationship; write customer, provider, peer or open"
        )),
    }
}

/// Reads the costs of crossing a link, by metric.
struct ReadLinkCosts;

impl<'de> Read<'de> for ReadLinkCosts {
    type Output = BTreeMap<MetricName, f64>;
    const WANTED: &'static str = "an object of costs by metric";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let mut costs = BTreeMap::new();
        members(walk, &mut map, |walk, key, map| {
            let metric = MetricName::new(key)
                .map_err(|error| walk.fault(FaultKind::Value(None), error.to_string()))
                .ok();
            let cost = value(walk, map, LinkCost(metric.as_ref()))?;
            if let (Some(metric), Some(cost)) = (metric, cost)
                && costs.insert(metric, cost).is_some()
            {
                walk.duplicate();
            }
            Ok(())
        })?;
        Ok(Some(costs))
    }
}

struct LinkCost<'m>(Option<&'m MetricName>);

impl<'de> Read<'de> for LinkCost<'_> {
    type Output = f64;
    const WANTED: &'static str = "a number";

    fn number(self, walk: &mut Walk<'de>, number: f64) -> Option<f64> {
        match self.0.map(|metric| metric.check().check(number)) {
            Some(Err(reason)) => {
                walk.fault(FaultKind::Value(None), reason);
                None
            }
            _ => Some(number + 0.0),
        }
    }
}
