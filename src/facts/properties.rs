//! Properties of entities: `properties`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::alto::json::{FaultKind, Faults, Step, Walk, read_below};
use crate::alto::media;
use crate::alto::property::{
    Entity, MEMBER, PropertyMap, PropertyPatch, read_property_map, read_property_patch,
    write_member,
};
use crate::ident::PidName;

use super::kind::{Content, Description, EditKind, Kind};
use super::limits::Reader;
use super::merge::merge_patch;
use super::reading::{AtMost, Wrapped};

/// Properties of entities (RFC 9240 §8.4.6).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct PropertiesDocument {
    /// By entity (`ipv4:192.0.2.0/24`, `ipv6:2001:db8::1`, `pid:ams`), the
    /// values by property name, `priv:…`.
    property_map: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Kind for PropertyMap {
    type Name = ();
    type Edit = PropertyPatch;

    const DESCRIPTION: Description = Description {
        route: "/n2s/v1/properties",
        name: None,
        member: MEMBER,
        what: "the properties of prefixes and PIDs",
        operations: [
            "getProperties",
            "putProperties",
            "patchProperties",
            "deleteProperties",
        ],
        media_types: &[media::JSON],
        schema: |generator| generator.subschema_for::<PropertiesDocument>(),
        edits: &[EditKind::MergePatch],
    };

    fn read(
        reader: Reader<'_>,
        (): &(),
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self, Faults> {
        let inner = AtMost {
            limit: reader.limits.max_entities,
            what: "max_entities",
            inner: read_property_map(),
        };
        read_below(at, bytes, Wrapped::document(MEMBER, inner))
    }

    fn read_edit(
        _: Reader<'_>,
        _: EditKind,
        (): &(),
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<PropertyPatch, Faults> {
        read_below(at, bytes, Wrapped::patch(MEMBER, read_property_patch()))
    }

    fn edited(
        reader: Reader<'_>,
        at: &[Step<'static>],
        current: Option<&Self>,
        patch: PropertyPatch,
    ) -> Result<Self, Faults> {
        let mut map = current.cloned().unwrap_or_default();
        for (entity, change) in patch {
            let Some(change) = change else {
                map.remove(&entity);
                continue;
            };
            let set = map.entry(entity).or_default();
            for (name, value) in change {
                match value {
                    Some(value) => merge_patch(set.entry(name).or_default(), value),
                    None => drop(set.remove(&name)),
                }
            }
        }
        let mut walk = Walk::below(at.to_vec());
        if map.len() > reader.limits.max_entities {
            walk.fault(
                FaultKind::Value(None),
                format!("{} entities; the limit is max_entities", map.len()),
            );
        }
        walk.into_faults().or(map)
    }
}

impl Content for PropertyMap {
    fn text_rows(self: Arc<Self>) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        let texts = self
            .keys()
            .map(|entity| (entity.to_string(), entity.clone()));
        let mut order: Vec<(String, Entity)> = texts.collect();
        order.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let rows = order.into_iter().enumerate();
        Box::new(rows.map(move |(index, (text, entity))| {
            let mut out = Vec::new();
            if let Some(set) = self.get(&entity) {
                write_member(&mut out, index == 0, &text, set);
            }
            out
        }))
    }

    fn bytes(&self) -> usize {
        /// An entity with a property and its place in a map.
        const ENTITY: usize = 700;
        ENTITY * self.len()
    }

    fn bytes_of_rows(&self) -> usize {
        /// What the name of an entity takes, which is kept until its row is written.
        const NAME: usize = 128;
        NAME * self.len()
    }

    fn find_pids(
        &self,
        is_wanted: &dyn Fn(&PidName) -> bool,
        found: &mut dyn FnMut(&[&str], &PidName),
    ) {
        for entity in self.keys() {
            if let Entity::Pid(pid) = entity
                && is_wanted(pid)
            {
                found(&[MEMBER, &entity.to_string()], pid);
            }
        }
    }
}
