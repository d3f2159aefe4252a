//! Links to other domains: `interconnects`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::MapAccess;
use serde_json::{Map, Value};

use crate::alto::canonical::{write_string, write_value};
use crate::alto::json::{
    FaultKind, Faults, MapOf, Once, Read, Step, Tree, Walk, members, once, read_below, skip, value,
};
use crate::alto::media;
use crate::alto::meta::named;
use crate::api::interconnect::{InterconnectDocument, Relationship};
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};

use super::kind::{Content, Description, EditKind, Kind};
use super::limits::Reader;
use super::merge::merge_patch;
use super::reading::{AtMost, Wrapped};
use super::rows::MapRows;

/// Links to other domains by id.
pub type Interconnects = BTreeMap<InterconnectId, Interconnect>;

/// A link from one of our border PIDs to one of another domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Interconnect {
    /// Our PID.
    pub border: PidName,
    /// The costs of crossing the link from here to there, by metric.
    pub costs: BTreeMap<MetricName, f64>,
    /// Their PID.
    pub peer_border: PidName,
    /// The other domain.
    pub peer_domain: DomainLabel,
    /// The relationship of the other domain to ours.
    pub relationship: Relationship,
}

/// Links to other domains.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct InterconnectsDocument {
    /// By id, which both sides agree on.
    interconnects: BTreeMap<String, InterconnectDocument>,
}

/// The member of a document that has its content.
const MEMBER: &str = "interconnects";

impl Kind for Interconnects {
    type Name = ();
    /// A merge patch as it is sent: only a whole interconnect can be checked.
    type Edit = Map<String, Value>;

    const DESCRIPTION: Description = Description {
        route: "/n2s/v1/interconnects",
        name: None,
        member: MEMBER,
        what: "the links to other domains",
        operations: [
            "getInterconnects",
            "putInterconnects",
            "patchInterconnects",
            "deleteInterconnects",
        ],
        media_types: &[media::JSON],
        schema: |generator| generator.subschema_for::<InterconnectsDocument>(),
        edits: &[EditKind::MergePatch],
    };

    fn read(
        reader: Reader<'_>,
        (): &(),
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self, Faults> {
        read_below(at, bytes, Wrapped::document(MEMBER, interconnects(reader)))
    }

    fn read_edit(
        _: Reader<'_>,
        _: EditKind,
        (): &(),
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Map<String, Value>, Faults> {
        read_below(at, bytes, Wrapped::patch(MEMBER, Object))
    }

    fn edited(
        reader: Reader<'_>,
        at: &[Step<'static>],
        current: Option<&Self>,
        patch: Map<String, Value>,
    ) -> Result<Self, Faults> {
        let mut tree = match current {
            Some(links) => serde_json::to_value(links).unwrap_or_default(),
            None => serde_json::json!({}),
        };
        merge_patch(&mut tree, Value::Object(patch));
        let text = tree.to_string();
        let patched = read_below(Vec::new(), text.as_bytes(), interconnects(reader));
        // The faults are located in the patched text, but the request has only the patch.
        let mut inside = at.to_vec();
        inside.push(Step::Member(MEMBER.into()));
        patched.map_err(|faults| faults.relocated(&inside))
    }
}

fn interconnects(reader: Reader<'_>) -> impl for<'de> Read<'de, Output = Interconnects> {
    AtMost {
        limit: reader.limits.max_interconnects,
        what: "max_interconnects",
        inner: ReadInterconnects {
            domain: reader.domain.clone(),
        },
    }
}

impl Content for Interconnects {
    fn text_rows(self: Arc<Self>) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        Box::new(MapRows::new(self, write_link))
    }

    fn bytes(&self) -> usize {
        /// An interconnect with its place in a map.
        const LINK: usize = 700;
        LINK * self.len()
    }

    fn bytes_of_rows(&self) -> usize {
        /// What an id takes while its row is written.
        const NAME: usize = 128;
        NAME * self.len()
    }

    fn find_pids(
        &self,
        is_wanted: &dyn Fn(&PidName) -> bool,
        found: &mut dyn FnMut(&[&str], &PidName),
    ) {
        for (id, link) in self.iter().filter(|(_, link)| is_wanted(&link.border)) {
            found(&[MEMBER, id.as_str(), "border"], &link.border);
        }
    }
}

fn write_link(out: &mut Vec<u8>, first: bool, id: &InterconnectId, link: &Interconnect) {
    out.extend_from_slice(if first { b"" } else { b"," });
    write_string(out, id.as_str());
    out.push(b':');
    write_value(out, &serde_json::to_value(link).unwrap_or_default());
}

/// Reads an object into a tree.
struct Object;

impl<'de> Read<'de> for Object {
    type Output = Map<String, Value>;
    const WANTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        Ok(match Tree.object(walk, map)? {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Document, DocumentPath, Limits};

    #[test]
    fn an_interconnect_has_the_costs_and_the_relationship_that_are_stated() {
        let relationships = [
            ("customer", Relationship::Customer),
            ("provider", Relationship::Provider),
            ("peer", Relationship::Peer),
            ("open", Relationship::Open),
        ];
        let (domain, limits) = (DomainLabel::new("us").expect("a label"), Limits::none());
        let reader = Reader {
            domain: &domain,
            limits: &limits,
        };
        for (name, relationship) in relationships {
            let text = format!(
                "{{\"interconnects\":{{\"i\":{{\"border\":\"p\",\"costs\":{{\"routingcost\":2}},\
                 \"peer-border\":\"q\",\"peer-domain\":\"them\",\"relationship\":\"{name}\"}}}}}}"
            );
            let read = DocumentPath::Interconnects.read(reader, Vec::new(), text.as_bytes());
            let Ok(Document::Interconnects(links)) = read else {
                panic!("{name}: {read:?}");
            };
            let link = links.values().next().expect("a link");
            assert_eq!(link.relationship, relationship);
            let costs = BTreeMap::from([(MetricName::routingcost(), 2.0)]);
            assert_eq!(link.costs, costs);
        }
    }
}
