//! Entities and their properties (RFC 9240 §4), as far as a provider states them.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;
use serde_json::Value;

use super::canonical::{value_text, write_string, write_value};
use super::json::{FaultKind, MapOf, OrNull, Read, Tree, Walk};
use crate::ident::{Family, PidName, PropertyName, parse_ipv4_prefix, parse_ipv6_prefix};

/// The name of the data member.
pub const MEMBER: &str = "property-map";

/// What can have properties: a prefix, which for an address has full length, or a PID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// `ipv4:192.0.2.0/24`, `ipv6:2001:db8::1`
    Prefix(IpNet),
    /// `pid:ams`
    Pid(PidName),
}

impl Entity {
    /// Parses an entity id, `<domain>:<id>`.
    ///
    /// # Errors
    /// What is wrong and how to mend it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (domain, id) = text.split_once(':').unwrap_or((text, ""));
        let with_length = |full: &str| {
            if id.contains('/') {
                id.to_owned()
            } else {
                format!("{id}/{full}")
            }
        };
        match domain {
            "ipv4" => parse_ipv4_prefix(&with_length("32"))
                .map(|net| Self::Prefix(IpNet::V4(net)))
                .map_err(|error| error.to_string()),
            "ipv6" => parse_ipv6_prefix(&with_length("128"))
                .map(|net| Self::Prefix(IpNet::V6(net)))
                .map_err(|error| error.to_string()),
            "pid" => PidName::new(id)
                .map(Self::Pid)
                .map_err(|error| error.to_string()),
            _ => Err(format!(
                "{domain:?} is no entity domain; write ipv4:192.0.2.0/24, ipv6:2001:db8::/32 or pid:ams"
            )),
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entity::Prefix(net) if net.prefix_len() == net.max_prefix_len() => {
                write!(f, "{}:{}", Family::of(net.addr()), net.addr())
            }
            Entity::Prefix(net) => write!(f, "{}:{net}", Family::of(net.addr())),
            Entity::Pid(pid) => write!(f, "pid:{pid}"),
        }
    }
}

/// The properties of one entity.
pub type PropertySet = BTreeMap<PropertyName, Value>;

/// The properties of entities.
pub type PropertyMap = BTreeMap<Entity, PropertySet>;

/// Changes to a property map (RFC 7396); `None` removes an entity or a property.
pub type PropertyPatch = BTreeMap<Entity, Option<BTreeMap<PropertyName, Option<Value>>>>;

/// Returns the value of a property as the endpoint property service states it. RFC 7285
/// §11.4.1.6 requires strings: strings stay as they are, anything else becomes canonical JSON.
pub fn text_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => value_text(other),
    }
}

/// Reads the value of `property-map`.
pub fn read_property_map<'de>() -> impl Read<'de, Output = PropertyMap> {
    MapOf::new(entity, || MapOf::new(property_name, || Tree))
}

/// Reads a merge patch of a property map.
pub fn read_property_patch<'de>() -> impl Read<'de, Output = PropertyPatch> {
    let property = || OrNull(Tree);
    MapOf::new(entity, move || OrNull(MapOf::new(property_name, property)))
}

fn entity(walk: &mut Walk<'_>, key: &str) -> Option<Entity> {
    Entity::parse(key)
        .map_err(|reason| walk.fault(FaultKind::Value(None), reason))
        .ok()
}

/// Accepts private properties only: the registered one, `pid`, is derived by the node.
fn property_name(walk: &mut Walk<'_>, key: &str) -> Option<PropertyName> {
    let reason = match PropertyName::new(key) {
        Ok(name) if name.is_private() => return Some(name),
        Ok(_) => format!("{key:?} is not a private property; start its name with `priv:`"),
        Err(error) => error.to_string(),
    };
    walk.fault(FaultKind::Value(None), reason);
    None
}

/// Writes an entity with its properties as a member of an object, after a comma unless it is the
/// first.
pub fn write_member(out: &mut Vec<u8>, first: bool, entity: &str, set: &PropertySet) {
    out.extend_from_slice(if first { b"" } else { b"," });
    write_string(out, entity);
    let mut separator = b'{';
    out.push(b':');
    for (name, value) in set {
        out.push(separator);
        write_string(out, name.as_str());
        out.push(b':');
        write_value(out, value);
        separator = b',';
    }
    if set.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::json::{Fault, read};

    #[test]
    fn an_entity_has_one_text() {
        let same = |text: &str| Entity::parse(text).expect("valid").to_string();
        assert_eq!(same("ipv4:192.0.2.1/32"), "ipv4:192.0.2.1");
        assert_eq!(same("ipv6:2001:DB8::/32"), "ipv6:2001:db8::/32");
        assert_eq!(same("pid:a:b"), "pid:a:b");
        for bad in [
            "ipv4:192.0.2.1/24",
            "ane:x",
            "pid:",
            "ipv4:",
            "",
            "IPv4:192.0.2.1",
        ] {
            assert!(Entity::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_property_map_is_checked_and_written_in_canonical_order() {
        let map = read(
            br#"{"pid:b":{"priv:y":[2,{"b":1,"a":null}],"priv:x":true},"ipv4:192.0.2.9":{}}"#,
            read_property_map(),
        )
        .expect("sound");
        let mut text = Vec::new();
        for (place, (entity, set)) in map.iter().enumerate() {
            write_member(&mut text, place == 0, &entity.to_string(), set);
        }
        assert_eq!(
            String::from_utf8(text).expect("text"),
            r#""ipv4:192.0.2.9":{},"pid:b":{"priv:x":true,"priv:y":[2,{"a":null,"b":1}]}"#
        );
        let faults = read(
            br#"{"pid:b":{"pid":"x","priv:":1},"x":{},"pid:c":7}"#,
            read_property_map(),
        )
        .expect_err("faults");
        let pointers: Vec<_> = faults.listed().iter().map(Fault::pointer).collect();
        assert_eq!(pointers, ["/pid:b/pid", "/pid:b/priv:", "/x", "/pid:c"]);
    }

    #[test]
    fn the_endpoint_property_service_states_values_as_strings() {
        let text = |json: &str| text_value(&serde_json::from_str(json).expect("valid"));
        assert_eq!(text("\"fibre\""), "fibre");
        assert_eq!(text("64"), "64");
        assert_eq!(text(r#"{"b":1,"a":true}"#), r#"{"a":true,"b":1}"#);
    }
}
