//! A network map as a view holds it: PIDs by index, their prefixes, and the
//! longest-prefix match from an address to its PID.

use std::net::IpAddr;
use std::sync::Arc;

use crate::alto::network::{AddressGroup, write_groups, write_member_name};
use crate::ident::{Family, PidName, Sha256, Tag};
use crate::net::{Lpm, PidIndex};

/// A network map, RFC 7285 §11.2.1.
#[derive(Debug)]
pub struct NetworkMap {
    pids: Arc<PidIndex>,
    groups: Box<[Arc<AddressGroup>]>,
    lookup: Lookup,
    tag: Tag,
}

/// Finds the PID of an address. The prefix table may be that of another view, whose PIDs are in the
/// same order but have other indices.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// Finds the place of a PID in the table's own order.
    pub lpm: Arc<Lpm>,
    /// The index of the table's first PID.
    pub first: u32,
    /// The place in the table before which this map has one more PID.
    pub inserted: Option<u32>,
    /// By family, the PID of the addresses that the table does not cover.
    pub uncovered: [Option<u32>; 2],
}

impl Lookup {
    /// The index of the PID that holds this address.
    pub fn pid(&self, addr: IpAddr) -> Option<u32> {
        match self.lpm.lookup(addr) {
            Some(place) => {
                let skipped = self.inserted.is_some_and(|inserted| place >= inserted);
                Some(self.first + place + u32::from(skipped))
            }
            None => self.uncovered[Family::of(addr) as usize],
        }
    }
}

impl NetworkMap {
    /// Creates a map of these PIDs. `groups` are their prefixes by index; `lookup` is built from the
    /// same prefixes.
    pub fn new(pids: Arc<PidIndex>, groups: Vec<Arc<AddressGroup>>, lookup: Lookup) -> Self {
        let mut map = Self {
            pids,
            groups: groups.into(),
            lookup,
            tag: Tag::from(Sha256::new().finish()),
        };
        map.tag = map.content_tag();
        map
    }

    /// The PIDs in canonical order.
    pub fn pids(&self) -> &Arc<PidIndex> {
        &self.pids
    }

    /// The prefixes of the PID at an index.
    pub fn group(&self, index: u32) -> Option<&Arc<AddressGroup>> {
        self.groups.get(index as usize)
    }

    /// Every PID with its prefixes, in canonical order.
    pub fn groups(&self) -> impl Iterator<Item = (&PidName, &Arc<AddressGroup>)> {
        self.pids.names().iter().zip(&self.groups)
    }

    /// Finds the PID of an address.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// The index of the PID that holds this address, by longest-prefix match
    /// over all PIDs (RFC 7285 §5.3).
    pub fn pid_of(&self, addr: IpAddr) -> Option<u32> {
        self.lookup.pid(addr)
    }

    /// How many prefixes the map has.
    pub fn prefix_count(&self) -> usize {
        self.groups.iter().map(|group| group.len()).sum()
    }

    /// About how many bytes of memory it takes in addition to `other`, which may share parts.
    pub fn bytes_beside(&self, other: Option<&NetworkMap>) -> usize {
        /// The bytes of a PID in the list and in the index, besides its name.
        const PID: usize = 120;
        let group = |(place, group): (usize, &Arc<AddressGroup>)| {
            let others = other.and_then(|other| other.groups.get(place));
            let is_shared = others.is_some_and(|others| Arc::ptr_eq(others, group));
            if is_shared { 0 } else { group.bytes() }
        };
        let mut bytes: usize = self.groups.iter().enumerate().map(group).sum();
        if !other.is_some_and(|other| Arc::ptr_eq(&self.pids, &other.pids)) {
            let names = self.pids.names().iter();
            bytes += names
                .map(|name| PID + 2 * name.as_str().len())
                .sum::<usize>();
        }
        if !other.is_some_and(|other| Arc::ptr_eq(&self.lookup.lpm, &other.lookup.lpm)) {
            bytes += self.lookup.lpm.heap_bytes();
        }
        bytes
    }

    /// The tag of the content, the same on every node and after a restart: the hash of
    /// `{"network-map": …}` in canonical form.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    fn content_tag(&self) -> Tag {
        let mut hasher = Sha256::new();
        let mut out = b"{\"network-map\":".to_vec();
        if self.pids.is_empty() {
            write_groups(&mut out, [], &Family::ALL);
        }
        for (index, (name, group)) in self.groups().enumerate() {
            out.push(if index == 0 { b'{' } else { b',' });
            write_member_name(&mut out, name.as_str());
            group.write(&mut out, &Family::ALL);
            hasher.update(&out);
            out.clear();
        }
        out.extend_from_slice(if self.pids.is_empty() { b"}" } else { b"}}" });
        hasher.update(&out);
        hasher.finish().into()
    }
}
