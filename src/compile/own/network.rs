//! The union of the PIDs and prefixes that all sources state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::{Family, PidName, SourceName};
use crate::net::{Lpm, PidIndex};

use super::conflict::Conflicts;
use crate::api::conflict::{Conflict, ConflictKind};
use crate::facts::{DocumentPath, Facts, Policy, StatedNetwork};

/// The PIDs of our domain that all sources state together.
#[derive(Debug, Default)]
pub struct NetworkUnion {
    pids: Arc<PidIndex>,
    groups: Vec<Arc<AddressGroup>>,
    lpm: Arc<Lpm>,
    off_net: Arc<BTreeSet<PidName>>,
    conflicts: Conflicts,
}

impl NetworkUnion {
    /// Joins the network maps of all sources. A prefix that two sources state in different PIDs
    /// belongs to the PID of the stronger one.
    pub fn new(facts: &Facts, policy: &Policy) -> Self {
        let stated = facts.contents::<StatedNetwork>(policy, &DocumentPath::Network);
        let (StatedNetwork { groups, off_net }, conflicts) = match stated.as_slice() {
            [(_, only)] => (StatedNetwork::clone(only), Conflicts::default()),
            many => join(many),
        };
        let groups = Arc::unwrap_or_clone(groups);
        let (names, groups): (Vec<PidName>, Vec<Arc<AddressGroup>>) = groups.into_iter().unzip();
        let pids = Arc::new(PidIndex::new(names));
        let places = (0..).zip(&groups);
        let prefixes =
            places.flat_map(|(index, group)| group.prefixes().map(move |net| (net, index)));
        let lpm = Lpm::build(prefixes).expect("a document has a prefix once and a join keeps one");
        Self {
            pids,
            groups,
            lpm: Arc::new(lpm),
            off_net: Arc::new(off_net),
            conflicts,
        }
    }

    /// Returns the PIDs in canonical order.
    pub fn pids(&self) -> &Arc<PidIndex> {
        &self.pids
    }

    /// Returns the prefixes of each PID, by index.
    pub fn groups(&self) -> &[Arc<AddressGroup>] {
        &self.groups
    }

    /// Iterates over the PIDs, each with its prefixes.
    pub fn members(&self) -> impl Iterator<Item = (&PidName, &Arc<AddressGroup>)> {
        self.pids.names().iter().zip(&self.groups)
    }

    /// Returns the table that finds the PID of an address.
    pub fn lpm(&self) -> &Arc<Lpm> {
        &self.lpm
    }

    /// Returns the PIDs of addresses outside of our network.
    pub fn off_net(&self) -> &Arc<BTreeSet<PidName>> {
        &self.off_net
    }

    /// Returns the conflicts about prefixes that are not used.
    pub fn conflicts(&self) -> &Conflicts {
        &self.conflicts
    }

    /// Returns how many prefixes there are.
    pub fn prefix_count(&self) -> usize {
        self.groups.iter().map(|group| group.len()).sum()
    }

    /// Iterates over the families that have prefixes, but not for all addresses as RFC 7285
    /// §11.2.1.6 requires.
    pub fn uncovered(&self) -> impl Iterator<Item = Family> + '_ {
        let present = |family: &Family| !self.lpm.is_empty(*family);
        Family::ALL
            .into_iter()
            .filter(present)
            .filter(|family| !self.lpm.covers(*family))
    }
}

/// Joins network maps, the strongest first, which says whether a PID of several is off-net.
fn join(stated: &[(&SourceName, &Arc<StatedNetwork>)]) -> (StatedNetwork, Conflicts) {
    let mut joined: BTreeMap<&PidName, AddressGroup> = BTreeMap::new();
    let mut owners: HashMap<IpNet, (&PidName, &SourceName)> = HashMap::new();
    let mut conflicts = Conflicts::default();
    let mut reach: HashMap<&PidName, (bool, &SourceName)> = HashMap::new();
    for (source, network) in stated {
        for (pid, group) in network.groups.iter() {
            let joined = joined.entry(pid).or_default();
            let is_off_net = network.off_net.contains(pid);
            match reach.get(pid) {
                None => drop(reach.insert(pid, (is_off_net, source))),
                Some((used, _)) if *used == is_off_net => {}
                Some((used, kept)) => conflicts.add(ConflictKind::Reach, || Conflict {
                    kind: ConflictKind::Reach,
                    subject: pid.to_string(),
                    kept: Some((*kept).clone()),
                    dropped: (*source).clone(),
                    detail: format!(
                        "the PID is {} for {kept}, {} for {source}",
                        reach_of(*used),
                        reach_of(is_off_net)
                    ),
                }),
            }
            for net in group.prefixes() {
                match owners.get(&net) {
                    None => {
                        owners.insert(net, (pid, source));
                        joined.insert(net);
                    }
                    Some((owner, _)) if *owner == pid => {}
                    Some((owner, kept)) => conflicts.add(ConflictKind::Prefix, || Conflict {
                        kind: ConflictKind::Prefix,
                        subject: net.to_string(),
                        kept: Some((*kept).clone()),
                        dropped: (*source).clone(),
                        detail: format!("{kept} has it in PID {owner}, {source} in PID {pid}"),
                    }),
                }
            }
        }
    }
    let owned = joined
        .into_iter()
        .map(|(pid, group)| (pid.clone(), Arc::new(group)));
    let off_net = reach.into_iter().filter(|(_, (is_off_net, _))| *is_off_net);
    let network = StatedNetwork {
        groups: Arc::new(owned.collect()),
        off_net: off_net.map(|(pid, _)| pid.clone()).collect(),
    };
    (network, conflicts)
}

fn reach_of(is_off_net: bool) -> &'static str {
    if is_off_net { "off-net" } else { "on-net" }
}
