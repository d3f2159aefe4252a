//! Properties of endpoints, stated for prefixes and found by address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::alto::property::{Entity, PropertyMap, PropertySet, text_value};
use crate::ident::PropertyName;
use crate::net::Lpm;

/// The properties of a view.
#[derive(Debug, Default)]
pub struct Properties {
    map: PropertyMap,
    names: BTreeSet<PropertyName>,
    lpm: Lpm,
    /// By place in the prefix table, all properties of the addresses whose longest prefix this is.
    sets: Vec<BTreeMap<PropertyName, String>>,
    /// The length of the longest value, in bytes.
    longest: usize,
}

impl Properties {
    /// Indexes the properties of a map by address. A prefix has the properties that are stated for
    /// it, and inherits each other one from the longest prefix around it that has it (RFC 9240
    /// §6.1.3). A value of `null` is none, and ends the inheritance.
    pub fn new(map: PropertyMap) -> Self {
        let prefixes = map.iter().filter_map(|(entity, set)| match entity {
            Entity::Prefix(net) => Some((*net, set)),
            Entity::Pid(_) => None,
        });
        let mut stated: Vec<(IpNet, &PropertySet)> = prefixes.collect();
        // Sorted by address, then length, a prefix comes after all around it.
        stated.sort_unstable_by_key(|(net, _)| *net);
        let mut sets: Vec<BTreeMap<PropertyName, String>> = Vec::with_capacity(stated.len());
        let mut around: Vec<usize> = Vec::new();
        for (place, (net, set)) in stated.iter().enumerate() {
            while around
                .last()
                .is_some_and(|&outer| !stated[outer].0.contains(net))
            {
                around.pop();
            }
            let mut inherited = around
                .last()
                .map(|&outer| sets[outer].clone())
                .unwrap_or_default();
            for (name, value) in *set {
                match value {
                    Value::Null => drop(inherited.remove(name)),
                    value => drop(inherited.insert(name.clone(), text_value(value))),
                }
            }
            sets.push(inherited);
            around.push(place);
        }
        let names = sets.iter().flat_map(BTreeMap::keys).cloned().collect();
        let places = stated.iter().map(|(net, _)| *net).zip(0..);
        // Entities are the keys of a map, so that no prefix is there twice.
        let lpm = Lpm::build(places).unwrap_or_default();
        let values = sets.iter().flat_map(BTreeMap::values);
        Self {
            longest: values.map(String::len).max().unwrap_or(0),
            map,
            names,
            lpm,
            sets,
        }
    }

    /// The stated properties by entity.
    pub fn map(&self) -> &PropertyMap {
        &self.map
    }

    /// The names of the properties that some endpoint has.
    pub fn names(&self) -> &BTreeSet<PropertyName> {
        &self.names
    }

    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        /// The bytes of a value in both places, with its name, its text not counted.
        const VALUE: usize = 200;
        let values = self.sets.iter().flat_map(BTreeMap::values);
        values.map(|value| VALUE + 2 * value.len()).sum()
    }

    /// The length of the longest value of an endpoint's property, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The value of a property at an address.
    pub fn get(&self, addr: IpAddr, name: &str) -> Option<&str> {
        let set = self.sets.get(self.lpm.lookup(addr)? as usize)?;
        set.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::json::read;
    use crate::alto::property::read_property_map;

    #[test]
    fn an_address_inherits_each_property_from_the_longest_prefix_that_has_it() {
        let map = read(
            br#"{"ipv4:10.0.0.0/8":{"priv:a":"1","priv:b":"1"},"ipv4:10.1.0.0/16":{"priv:b":"2"},
                "ipv4:10.1.0.9":{"priv:c":true},"ipv4:10.1.1.0/24":{"priv:b":null},"ipv6:::/0":{"priv:a":6},"pid:x":{"priv:p":"x"}}"#,
            read_property_map(),
        )
        .expect("sound");
        let properties = Properties::new(map);
        let get = |addr: &str, name: &str| {
            properties
                .get(addr.parse().expect("valid"), name)
                .map(str::to_owned)
        };
        assert_eq!(get("10.2.0.1", "priv:b").as_deref(), Some("1"));
        assert_eq!(get("10.1.0.1", "priv:b").as_deref(), Some("2"));
        assert_eq!(get("10.1.0.1", "priv:a").as_deref(), Some("1"));
        assert_eq!(get("10.1.0.9", "priv:c").as_deref(), Some("true"));
        assert_eq!(get("10.1.0.9", "priv:b").as_deref(), Some("2"));
        assert_eq!(get("10.1.1.1", "priv:b"), None, "null is no value");
        assert_eq!(get("10.1.1.1", "priv:a").as_deref(), Some("1"));
        assert_eq!(get("11.0.0.1", "priv:a"), None);
        assert_eq!(get("2001:db8::1", "priv:a").as_deref(), Some("6"));
        assert_eq!(properties.names().len(), 3);
    }
}
