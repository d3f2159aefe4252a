//! Network maps (RFC 7285 §11.2.1) and the parameters of filtered ones (§11.3.1).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::de::MapAccess;

use super::canonical::{write_ipv4_prefix, write_ipv6_prefix};
use super::json::{
    FaultKind, ListOf, Once, Read, Step, StringBy, Walk, members, once, skip, value,
};
use super::meta::{any_text, named};
use crate::ident::{Family, PidName, PrefixError, parse_ipv4_prefix, parse_ipv6_prefix};

/// The name of the data member.
pub const MEMBER: &str = "network-map";

/// The prefixes of one PID, each family sorted by address, then length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressGroup {
    /// The IPv4 prefixes.
    pub ipv4: Vec<Ipv4Net>,
    /// The IPv6 prefixes.
    pub ipv6: Vec<Ipv6Net>,
}

impl AddressGroup {
    /// Iterates over all prefixes, IPv4 before IPv6.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.ipv4.iter().copied().map(IpNet::V4);
        v4.chain(self.ipv6.iter().copied().map(IpNet::V6))
    }

    /// Returns how many prefixes there are.
    pub fn len(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// Whether there is no prefix.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a prefix; returns whether it is new.
    pub fn insert(&mut self, net: IpNet) -> bool {
        match net {
            IpNet::V4(net) => insert_sorted(&mut self.ipv4, net),
            IpNet::V6(net) => insert_sorted(&mut self.ipv6, net),
        }
    }

    /// Removes a prefix; returns whether it was there.
    pub fn remove(&mut self, net: &IpNet) -> bool {
        match net {
            IpNet::V4(net) => remove_sorted(&mut self.ipv4, net),
            IpNet::V6(net) => remove_sorted(&mut self.ipv6, net),
        }
    }

    /// Whether the group has the prefix.
    pub fn contains(&self, net: &IpNet) -> bool {
        match net {
            IpNet::V4(net) => self.ipv4.binary_search(net).is_ok(),
            IpNet::V6(net) => self.ipv6.binary_search(net).is_ok(),
        }
    }

    /// Returns how many bytes of memory the prefixes take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.ipv4[..]) + size_of_val(&self.ipv6[..])
    }

    fn is_sorted(&self) -> bool {
        self.ipv4.is_sorted() && self.ipv6.is_sorted()
    }

    fn sort(&mut self) {
        self.ipv4.sort_unstable();
        self.ipv6.sort_unstable();
    }

    /// Writes the group as canonical JSON. A family that is not in `families`, or has no
    /// prefixes, is left out.
    pub fn write(&self, out: &mut Vec<u8>, families: &[Family]) {
        out.push(b'{');
        let v4 = families.contains(&Family::V4) && !self.ipv4.is_empty();
        let v6 = families.contains(&Family::V6) && !self.ipv6.is_empty();
        if v4 {
            write_prefixes(out, Family::V4, &self.ipv4, write_ipv4_prefix);
        }
        if v4 && v6 {
            out.push(b',');
        }
        if v6 {
            write_prefixes(out, Family::V6, &self.ipv6, write_ipv6_prefix);
        }
        out.push(b'}');
    }
}

/// PIDs and their prefixes as one party states them, sorted by name.
pub type Groups = BTreeMap<PidName, Arc<AddressGroup>>;

/// Writes `{"pid": {…}, …}` as canonical JSON.
pub fn write_groups<'a>(
    out: &mut Vec<u8>,
    groups: impl IntoIterator<Item = (&'a PidName, &'a Arc<AddressGroup>)>,
    families: &[Family],
) {
    let mut separator = b'{';
    for (name, group) in groups {
        out.push(separator);
        write_member_name(out, name.as_str());
        group.write(out, families);
        separator = b',';
    }
    if separator == b'{' {
        out.push(separator);
    }
    out.push(b'}');
}

/// Writes `"name":`. No character of the name may need escaping.
pub fn write_member_name(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Reads the value of `network-map`. Unknown address types are ignored; the PIDs that have them
/// are kept (RFC 7285 §11.2.1.6).
pub struct ReadGroups {
    /// The most characters of a PID name, at most 64.
    pub max_name: usize,
    /// The most PIDs; further ones take no memory.
    pub max_pids: usize,
    /// The most prefixes.
    pub max_prefixes: usize,
    /// Whether an unknown address type is a fault.
    pub known_families_only: bool,
}

impl ReadGroups {
    /// Makes the reader of a client: it takes all that RFC 7285 allows, up to `max_prefixes`.
    pub fn lenient(max_prefixes: usize) -> Self {
        Self {
            max_name: 64,
            max_pids: usize::MAX,
            max_prefixes,
            known_families_only: false,
        }
    }
}

impl<'de> Read<'de> for ReadGroups {
    type Output = Groups;
    const WANTED: &'static str = "an object of PIDs";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Groups>, A::Error> {
        let mut groups = Groups::new();
        let (mut count, mut beyond) = (0, 0);
        members(walk, &mut map, |walk, key, map| {
            if groups.len() == self.max_pids {
                beyond += 1;
                return skip(map);
            }
            let name = pid_name(walk, key, self.max_name);
            let group = value(
                walk,
                map,
                ReadGroup {
                    known_families_only: self.known_families_only,
                },
            )?;
            if let (Some(name), Some(group)) = (name, group) {
                count += group.len();
                if groups.insert(name, Arc::new(group)).is_some() {
                    walk.duplicate();
                }
            }
            Ok(())
        })?;
        if beyond > 0 {
            let (pids, max) = (groups.len() + beyond, self.max_pids);
            let detail = format!("{pids} PIDs; at most {max} are taken (max_pids)");
            walk.fault(FaultKind::Limit, detail);
            return Ok(None);
        }
        if count > self.max_prefixes {
            walk.fault(
                FaultKind::Limit,
                format!("{count} prefixes; at most {} are taken", self.max_prefixes),
            );
            return Ok(None);
        }
        note_duplicates(walk, &groups);
        sort_all(&mut groups);
        Ok(Some(groups))
    }
}

/// Reads the prefixes of one PID, in the order of the document.
pub struct ReadGroup {
    /// Whether an unknown address type is a fault.
    pub known_families_only: bool,
}

impl<'de> Read<'de> for ReadGroup {
    type Output = AddressGroup;
    const WANTED: &'static str = "an object of address types";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<AddressGroup>, A::Error> {
        let (mut ipv4, mut ipv6) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match Family::parse(key) {
            Some(Family::V4) => once(
                walk,
                map,
                &mut ipv4,
                ListOf::new(|| prefix(parse_ipv4_prefix)),
            ),
            Some(Family::V6) => once(
                walk,
                map,
                &mut ipv6,
                ListOf::new(|| prefix(parse_ipv6_prefix)),
            ),
            None => {
                if self.known_families_only {
                    walk.unknown(&["ipv4", "ipv6"]);
                }
                skip(map)
            }
        })?;
        Ok(Some(AddressGroup {
            ipv4: ipv4.get().unwrap_or_default(),
            ipv6: ipv6.get().unwrap_or_default(),
        }))
    }
}

/// Reads a prefix of one family.
pub fn prefix<'de, T>(
    parse: impl FnOnce(&str) -> Result<T, PrefixError>,
) -> impl Read<'de, Output = T> {
    named(parse)
}

/// Returns the name of a member as a PID name, if it is one of at most `max` characters.
pub fn pid_name(walk: &mut Walk<'_>, key: &str, max: usize) -> Option<PidName> {
    match PidName::new(key) {
        Ok(name) if key.len() <= max => Some(name),
        Ok(_) => {
            walk.fault(
                FaultKind::Value(None),
                format!(
                    "PID name {key:?} has {} characters; in this domain at most {max} are allowed, \
                     so that `<domain>:<pid>` has 64",
                    key.len()
                ),
            );
            None
        }
        Err(error) => {
            walk.fault(FaultKind::Value(None), error.to_string());
            None
        }
    }
}

/// Sorts the prefixes of every PID into canonical order. Groups that are sorted already are not
/// copied, as they may be shared.
pub fn sort_all(groups: &mut Groups) {
    let unsorted = |group: &&mut Arc<AddressGroup>| !group.is_sorted();
    let unsorted = groups.values_mut().filter(unsorted);
    unsorted.for_each(|group| Arc::make_mut(group).sort());
}

/// Notes each prefix that the map has more than once, in any PIDs (RFC 7285 §11.2.1.6). Finding
/// out whether there is one takes a sort; only if so are the places determined.
pub fn note_duplicates(walk: &mut Walk<'_>, groups: &Groups) {
    let all = || groups.values().flat_map(|group| group.prefixes());
    // Numbers are sorted in half the time.
    let v4 = groups.values().flat_map(|group| &group.ipv4);
    let v4 = v4.map(|net| u64::from(net.addr().to_bits()) << 8 | u64::from(net.prefix_len()));
    let v6 = groups.values().flat_map(|group| &group.ipv6);
    let v6 = v6.map(|net| (net.addr().to_bits(), net.prefix_len()));
    if !has_duplicate(v4) && !has_duplicate(v6) {
        return;
    }
    let mut seen: HashMap<IpNet, &PidName> = HashMap::with_capacity(all().count());
    for (name, group) in groups {
        let v4 = group.ipv4.iter().copied().map(IpNet::V4).enumerate();
        let v6 = group.ipv6.iter().copied().map(IpNet::V6).enumerate();
        for (index, net) in v4.chain(v6) {
            let Some(first) = seen.insert(net, name) else {
                continue;
            };
            let family = Family::of(net.addr()).as_str();
            let detail = format!("{net} is also in PID {first}; a prefix belongs to one PID");
            walk.step(Step::Member(Cow::Owned(name.to_string())), |walk| {
                walk.step(Step::Member(family.into()), |walk| {
                    walk.step(Step::Element(index), |walk| {
                        walk.invalid(&net.to_string(), detail);
                    });
                });
            });
        }
    }
}

fn has_duplicate<T: Ord>(prefixes: impl Iterator<Item = T>) -> bool {
    let mut sorted: Vec<T> = prefixes.collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// About how many bytes a prefix takes in JSON, as in `"203.0.113.0/24",`.
const TYPICAL_PREFIX: usize = 20;

fn write_prefixes<T>(
    out: &mut Vec<u8>,
    family: Family,
    prefixes: &[T],
    write: impl Fn(&mut Vec<u8>, &T),
) {
    write_member_name(out, family.as_str());
    out.reserve(prefixes.len() * TYPICAL_PREFIX);
    for (i, prefix) in prefixes.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"[\"" } else { b",\"" });
        write(out, prefix);
        out.push(b'"');
    }
    out.push(b']');
}

fn insert_sorted<T: Ord>(list: &mut Vec<T>, item: T) -> bool {
    match list.binary_search(&item) {
        Ok(_) => false,
        Err(place) => {
            list.insert(place, item);
            true
        }
    }
}

fn remove_sorted<T: Ord>(list: &mut Vec<T>, item: &T) -> bool {
    match list.binary_search(item) {
        Ok(place) => {
            list.remove(place);
            true
        }
        Err(_) => false,
    }
}

/// The parameters of a filtered network map (RFC 7285 §11.3.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkMapFilter<'a> {
    /// The PIDs to return; empty: all. Unknown names are ignored.
    pub pids: Vec<Cow<'a, str>>,
    /// The address types to return; empty: all. Unknown ones are ignored.
    pub address_types: Vec<Cow<'a, str>>,
}

/// Reads the parameters of a filtered network map.
pub struct ReadNetworkMapFilter;

impl<'de> Read<'de> for ReadNetworkMapFilter {
    type Output = NetworkMapFilter<'de>;
    const WANTED: &'static str = "an object with pids";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let (mut pids, mut types) = (Once::default(), Once::default());
        members(walk, &mut map, |walk, key, map| match key {
            "pids" => once(walk, map, &mut pids, ListOf::new(pid_text)),
            "address-types" => once(walk, map, &mut types, ListOf::new(any_text)),
            _ => skip(map),
        })?;
        Ok(pids.required(walk, "pids").map(|pids| NetworkMapFilter {
            pids,
            address_types: types.get().unwrap_or_default(),
        }))
    }
}

/// Reads a string that has the syntax of a PID name, whether or not the PID exists.
pub fn pid_text<'de>() -> impl Read<'de, Output = Cow<'de, str>> {
    StringBy(
        |walk: &mut Walk<'de>, text: Cow<'de, str>| match PidName::new(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                walk.invalid(&text, error.to_string());
                None
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alto::json::{Fault, Faults, read};

    fn groups(text: &str) -> Result<Groups, Faults> {
        read(text.as_bytes(), ReadGroups::lenient(1000))
    }

    fn canonical(groups: &Groups) -> String {
        let mut out = Vec::new();
        write_groups(&mut out, groups, &Family::ALL);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_normal_form_is_sorted_and_leaves_empty_families_out() {
        let map = groups(
            r#"{"b":{"ipv6":["2001:DB8:1::/48"],"ipv4":["10.0.0.0/8","9.0.0.0/8","10.0.0.0/9"]},"a":{"ipv4":[],"eth":["x"]}}"#,
        );
        assert_eq!(
            canonical(&map.expect("sound")),
            r#"{"a":{},"b":{"ipv4":["9.0.0.0/8","10.0.0.0/8","10.0.0.0/9"],"ipv6":["2001:db8:1::/48"]}}"#
        );
        assert_eq!(canonical(&Groups::new()), "{}");
    }

    #[test]
    fn a_prefix_in_two_pids_is_found_and_located() {
        let faults = groups(
            r#"{"a":{"ipv4":["10.0.0.0/8"]},"b":{"ipv4":["11.0.0.0/8","10.0.0.0/8"]},"c":{"ipv6":["::/0","0::/0"]}}"#,
        )
        .expect_err("duplicates");
        let pointers: Vec<_> = faults.listed().iter().map(Fault::pointer).collect();
        assert_eq!(pointers, ["/b/ipv4/1", "/c/ipv6/1"]);
    }

    #[test]
    fn bad_prefixes_and_names_are_all_reported_at_their_place() {
        let faults = groups(
            r#"{"a b":{"ipv4":["198.51.100.128/24",7]},"c":{"ipv4":"10.0.0.0/8","ipv6":[null]},"d":[]}"#,
        )
        .expect_err("faults");
        let pointers: Vec<_> = faults.listed().iter().map(Fault::pointer).collect();
        assert_eq!(
            pointers,
            [
                "/a b",
                "/a b/ipv4/0",
                "/a b/ipv4/1",
                "/c/ipv4",
                "/c/ipv6/0",
                "/d"
            ]
        );
        assert!(
            faults.listed()[1]
                .detail
                .contains("did you mean 198.51.100.0/24?")
        );
    }

    #[test]
    fn more_prefixes_than_the_limit_are_refused() {
        let text = r#"{"a":{"ipv4":["10.0.0.0/8","11.0.0.0/8"]}}"#;
        assert!(read(text.as_bytes(), ReadGroups::lenient(2)).is_ok());
        assert!(read(text.as_bytes(), ReadGroups::lenient(1)).is_err());
    }

    #[test]
    fn more_pids_than_the_limit_are_refused_with_their_number() {
        let text = r#"{"a":{"ipv4":["10.0.0.0/8"]},"b":{},"c":{}}"#;
        let read_up_to = |max_pids| {
            let reader = ReadGroups {
                max_pids,
                ..ReadGroups::lenient(10)
            };
            read(text.as_bytes(), reader)
        };
        assert!(read_up_to(3).is_ok());
        let faults = read_up_to(1).expect_err("too many");
        assert!(faults.to_string().contains("3 PIDs; at most 1"), "{faults}");
        assert!(faults.over_limit());
    }

    #[test]
    fn prefixes_come_and_go_one_at_a_time() {
        let mut group = AddressGroup::default();
        let net: IpNet = "10.0.0.0/8".parse().expect("valid");
        assert!(group.insert(net) && !group.insert(net));
        assert!(group.insert("2001:db8::/32".parse().expect("valid")));
        assert_eq!(group.len(), 2);
        assert!(group.remove(&net) && !group.remove(&net));
    }
}
