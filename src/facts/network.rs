//! PIDs and their prefixes, and which PIDs are off-net: `network-map`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::MapAccess;

use crate::alto::json::{
    FaultKind, Faults, ListOf, MapOf, Once, OrNull, Read, Step, Walk, members, once, read_below,
    skip,
};
use crate::alto::media;
use crate::alto::meta::named;
use crate::alto::network::{
    AddressGroup, Groups, MEMBER, ReadGroups, note_duplicates, pid_name, prefix, sort_all,
    write_member_name,
};
use crate::ident::{Family, PidName, PrefixError, parse_ipv4_prefix, parse_ipv6_prefix};

use super::kind::{Content, Description, EditKind, Kind};
use super::limits::Reader;
use super::reading::Wrapped;
use super::rows::MapRows;

/// PIDs and their prefixes (RFC 7285 §11.2.1.6); a member `meta` is ignored.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct NetworkMapDocument {
    /// By PID name, the prefixes by address type, `ipv4` or `ipv6`.
    network_map: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// The PIDs of addresses outside of this network: they say how it reaches them, and not that
    /// it holds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    off_net: Vec<String>,
}

/// The member that lists the off-net PIDs.
const OFF_NET: &str = "off-net";

/// The PIDs of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedNetwork {
    /// The PIDs with their prefixes.
    pub groups: Arc<Groups>,
    /// Those that are off-net: they say how addresses outside of our network are reached, and not
    /// that it holds them.
    pub off_net: BTreeSet<PidName>,
}

/// A change of a part of a network map.
#[derive(Debug, Clone)]
pub enum NetworkEdit {
    /// Replaces or removes PIDs and their families, and the list of off-net PIDs, as a merge patch.
    Patch(NetworkPatch),
    /// Adds these prefixes.
    Announce(Prefixes),
    /// Removes these prefixes.
    Withdraw(Prefixes),
}

/// A merge patch of a network map.
#[derive(Debug, Clone, Default)]
pub struct NetworkPatch {
    groups: BTreeMap<PidName, Option<GroupPatch>>,
    /// The off-net PIDs, if the patch has them.
    off_net: Option<Option<Vec<PidName>>>,
}

/// The families of a PID that a merge patch replaces or removes.
#[derive(Debug, Clone, Default)]
pub struct GroupPatch {
    /// `ipv4`, if the patch has it.
    pub ipv4: Option<Option<Vec<Ipv4Net>>>,
    /// `ipv6`, if the patch has it.
    pub ipv6: Option<Option<Vec<Ipv6Net>>>,
}

/// Prefixes by PID, as `announce` and `withdraw` have them.
pub type Prefixes = BTreeMap<PidName, Vec<IpNet>>;

impl Kind for StatedNetwork {
    type Name = ();
    type Edit = NetworkEdit;

    const DESCRIPTION: Description = Description {
        route: "/n2s/v1/network-map",
        name: None,
        member: MEMBER,
        what: "the PIDs and their prefixes, and which PIDs are off-net",
        operations: [
            "getNetworkMap",
            "putNetworkMap",
            "patchNetworkMap",
            "deleteNetworkMap",
        ],
        media_types: &[media::JSON, media::NETWORK_MAP],
        schema: |generator| generator.subschema_for::<NetworkMapDocument>(),
        edits: &[EditKind::MergePatch, EditKind::Announce, EditKind::Withdraw],
    };

    fn read(
        reader: Reader<'_>,
        (): &(),
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<Self, Faults> {
        let groups = ReadGroups {
            max_name: reader.domain.max_pid_len(),
            max_pids: reader.limits.max_pids,
            max_prefixes: reader.limits.max_prefixes,
            known_families_only: true,
        };
        let reader = Wrapped::document(MEMBER, groups).beside(OFF_NET, ListOf::new(pid));
        let (groups, off_net) = read_below(at.clone(), bytes, reader)?;
        let mut walk = Walk::below(at);
        let off_net = checked(&mut walk, &groups, off_net.unwrap_or_default());
        let groups = Arc::new(groups);
        walk.into_faults().or(Self { groups, off_net })
    }

    fn read_edit(
        reader: Reader<'_>,
        kind: EditKind,
        (): &(),
        at: Vec<Step<'static>>,
        bytes: &[u8],
    ) -> Result<NetworkEdit, Faults> {
        let max_name = reader.domain.max_pid_len();
        let name = |walk: &mut Walk<'_>, key: &str| pid_name(walk, key, max_name);
        // `{"ams": ["192.0.2.0/24"]}`.
        let prefixes = MapOf::new(name, || ListOf::new(any_prefix));
        Ok(match kind {
            EditKind::MergePatch => {
                let inner = MapOf::new(name, || OrNull(ReadGroupPatch));
                let reader = Wrapped::patch(MEMBER, inner);
                let reader = reader.beside(OFF_NET, OrNull(ListOf::new(pid)));
                let (groups, off_net) = read_below(at, bytes, reader)?;
                NetworkEdit::Patch(NetworkPatch { groups, off_net })
            }
            EditKind::Announce => NetworkEdit::Announce(read_below(at, bytes, prefixes)?),
            EditKind::Withdraw => NetworkEdit::Withdraw(read_below(at, bytes, prefixes)?),
        })
    }

    fn edited(
        _: Reader<'_>,
        at: &[Step<'static>],
        current: Option<&Self>,
        edit: NetworkEdit,
    ) -> Result<Self, Faults> {
        let mut walk = Walk::below(at.to_vec());
        let Self { groups, off_net } = current.cloned().unwrap_or_default();
        let groups = Arc::unwrap_or_clone(groups);
        let (groups, off_net) = match edit {
            NetworkEdit::Patch(patch) => {
                let groups = patched(&mut walk, groups, patch.groups);
                let off_net = match patch.off_net {
                    Some(stated) => checked(&mut walk, &groups, stated.unwrap_or_default()),
                    None => left(&mut walk, &groups, off_net),
                };
                (groups, off_net)
            }
            NetworkEdit::Announce(prefixes) => (announced(&mut walk, groups, prefixes), off_net),
            NetworkEdit::Withdraw(prefixes) => (withdrawn(&mut walk, groups, prefixes), off_net),
        };
        let groups = Arc::new(groups);
        walk.into_faults().or(Self { groups, off_net })
    }
}

impl Content for StatedNetwork {
    fn text_rows(self: Arc<Self>) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        Box::new(MapRows::new(self.groups.clone(), write_group))
    }

    fn closing(&self) -> Vec<u8> {
        let mut out = b"}".to_vec();
        for (index, pid) in self.off_net.iter().enumerate() {
            if index == 0 {
                out.push(b',');
                write_member_name(&mut out, OFF_NET);
            }
            out.extend_from_slice(if index == 0 { b"[\"" } else { b",\"" });
            out.extend_from_slice(pid.as_str().as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(if self.off_net.is_empty() { b"}" } else { b"]}" });
        out
    }

    fn all_text_rows(self: Arc<Self>) -> Vec<Vec<u8>> {
        let row = |(index, (pid, group)): (usize, (&PidName, &Arc<AddressGroup>))| {
            let mut out = Vec::new();
            write_group(&mut out, index == 0, pid, group);
            out
        };
        let groups: Vec<_> = self.groups.iter().enumerate().collect();
        groups.into_par_iter().map(row).collect()
    }

    fn bytes(&self) -> usize {
        /// A PID with its place in a map.
        const PID: usize = 100;
        PID * (self.groups.len() + self.off_net.len())
    }

    fn bytes_of_rows(&self) -> usize {
        /// The bytes of the text of a prefix; few take more.
        const TEXT: usize = 44;
        /// The most bytes of the text of a PID.
        const PID_TEXT: usize = 67;
        let prefixes = self.groups.values().map(|group| group.len());
        2 * (TEXT * prefixes.max().unwrap_or(0)).max(PID_TEXT * self.off_net.len())
    }

    /// Finds none: the map defines PIDs, and refers to none.
    fn find_pids(&self, _: &dyn Fn(&PidName) -> bool, _: &mut dyn FnMut(&[&str], &PidName)) {}
}

/// Returns a reader of the name of a PID.
fn pid<'de>() -> impl Read<'de, Output = PidName> {
    named(PidName::new)
}

/// Returns the off-net PIDs of a list, each of which must be one of the source's own.
fn checked(walk: &mut Walk<'static>, groups: &Groups, stated: Vec<PidName>) -> BTreeSet<PidName> {
    walk.step(Step::Member(OFF_NET.into()), |walk| {
        for (index, pid) in stated.iter().enumerate() {
            if !groups.contains_key(pid) {
                walk.step(Step::Element(index), |walk| {
                    let detail = format!("the source states no PID {pid}; leave it out");
                    walk.invalid(pid.as_str(), detail);
                });
            }
        }
    });
    stated.into_iter().collect()
}

/// Returns the off-net PIDs as they were, each of which must still be there.
fn left(
    walk: &mut Walk<'static>,
    groups: &Groups,
    off_net: BTreeSet<PidName>,
) -> BTreeSet<PidName> {
    for pid in off_net.iter().filter(|pid| !groups.contains_key(*pid)) {
        walk.step(Step::Member(MEMBER.into()), |walk| {
            walk.step(Step::Member(pid.to_string().into()), |walk| {
                let detail = format!(
                    "PID {pid} is among the off-net ones; change the member \"off-net\" too"
                );
                walk.fault(FaultKind::Value(None), detail);
            });
        });
    }
    off_net
}

/// Writes a PID with its prefixes.
fn write_group(out: &mut Vec<u8>, first: bool, pid: &PidName, group: &Arc<AddressGroup>) {
    out.extend_from_slice(if first { b"" } else { b"," });
    write_member_name(out, pid.as_str());
    group.write(out, &Family::ALL);
}

/// Returns a reader of a prefix of either family.
fn any_prefix<'de>() -> impl Read<'de, Output = IpNet> {
    prefix(|text: &str| -> Result<IpNet, PrefixError> {
        if text.contains(':') {
            parse_ipv6_prefix(text).map(IpNet::V6)
        } else {
            parse_ipv4_prefix(text).map(IpNet::V4)
        }
    })
}

/// Returns the PID that has each of these prefixes in a map.
fn owners(groups: &Groups, wanted: &Prefixes) -> BTreeMap<IpNet, PidName> {
    let wanted: BTreeSet<_> = wanted.values().flatten().copied().collect();
    let held = groups.iter().flat_map(|(pid, group)| {
        let holds = |net: &&IpNet| group.contains(net);
        wanted
            .iter()
            .filter(holds)
            .map(|net| (*net, pid.clone()))
            .collect::<Vec<_>>()
    });
    held.collect()
}

fn announced(walk: &mut Walk<'static>, mut groups: Groups, prefixes: Prefixes) -> Groups {
    let mut owners = owners(&groups, &prefixes);
    for (pid, list) in prefixes {
        let group = Arc::make_mut(groups.entry(pid.clone()).or_default());
        for (index, net) in list.into_iter().enumerate() {
            match owners.get(&net) {
                Some(owner) if *owner != pid => {
                    let detail = format!("{net} is in PID {owner}; withdraw it from there first");
                    note(walk, &pid, index, &net, detail);
                }
                Some(_) => {}
                None => {
                    group.insert(net);
                    owners.insert(net, pid.clone());
                }
            }
        }
    }
    groups
}

fn withdrawn(walk: &mut Walk<'static>, mut groups: Groups, prefixes: Prefixes) -> Groups {
    for (pid, list) in prefixes {
        let mut group = groups.get_mut(&pid).map(Arc::make_mut);
        for (index, net) in list.into_iter().enumerate() {
            if !group.as_mut().is_some_and(|group| group.remove(&net)) {
                note(
                    walk,
                    &pid,
                    index,
                    &net,
                    format!("{net} is not in PID {pid}"),
                );
            }
        }
    }
    groups
}

/// Adds a fault of a prefix in the value of `announce` or `withdraw`.
fn note(walk: &mut Walk<'static>, pid: &PidName, index: usize, net: &IpNet, detail: String) {
    walk.step(Step::Member(pid.to_string().into()), |walk| {
        walk.step(Step::Element(index), |walk| {
            walk.invalid(&net.to_string(), detail)
        });
    });
}

fn patched(
    walk: &mut Walk<'static>,
    mut groups: Groups,
    patch: BTreeMap<PidName, Option<GroupPatch>>,
) -> Groups {
    for (pid, change) in patch {
        let Some(change) = change else {
            groups.remove(&pid);
            continue;
        };
        let group = groups.entry(pid).or_default();
        let mut patched = AddressGroup::clone(group);
        if let Some(list) = change.ipv4 {
            patched.ipv4 = list.unwrap_or_default();
        }
        if let Some(list) = change.ipv6 {
            patched.ipv6 = list.unwrap_or_default();
        }
        *group = Arc::new(patched);
    }
    walk.step(Step::Member(MEMBER.into()), |walk| {
        note_duplicates(walk, &groups);
    });
    sort_all(&mut groups);
    groups
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
