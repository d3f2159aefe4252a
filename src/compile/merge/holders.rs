//! The PIDs of the prefixes that several domains hold.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::{Digest, PidName};
use crate::paths::Place;

use super::claims::{Claim, by_preference};
use super::domain::Domain;
use super::policy::MergePolicy;

/// The PID of the prefixes that the same PIDs of several domains hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HolderSet {
    pub(super) name: PidName,
    /// The PIDs, that of the domain of the highest preference first, then of the lowest label.
    pub(super) members: Vec<Place>,
    pub(super) group: Arc<AddressGroup>,
}

/// What the names of these PIDs begin with. No domain has this label.
pub(super) const PREFIX: &str = "multi:";

/// Gathers the prefixes that several domains hold.
pub(super) struct Holders<'a> {
    domains: &'a [&'a Domain],
    /// By domain, its place in the order of preference.
    rank: Vec<usize>,
    most: usize,
    sets: BTreeMap<Vec<Place>, (PidName, AddressGroup)>,
    names: HashSet<PidName>,
}

impl<'a> Holders<'a> {
    pub(super) fn new(domains: &'a [&'a Domain], policy: &MergePolicy) -> Self {
        let mut rank = vec![0; domains.len()];
        for (place, domain) in by_preference(domains, policy).into_iter().enumerate() {
            rank[domain] = place;
        }
        Self {
            domains,
            rank,
            most: policy.max_multi_pids,
            sets: BTreeMap::new(),
            names: HashSet::new(),
        }
    }

    /// Adds a prefix that these claims hold.
    ///
    /// # Errors
    /// There is no room for another set. The first of the claims, by preference and then by label,
    /// has the prefix alone.
    pub(super) fn add(&mut self, net: IpNet, claims: &[Claim]) -> Result<(), Claim> {
        let mut claims = claims.to_vec();
        claims.sort_by_key(|claim| self.rank[claim.domain]);
        let members: Vec<Place> = claims.iter().map(Claim::pid).collect();
        if let Some((_, group)) = self.sets.get_mut(&members) {
            group.insert(net);
            return Ok(());
        }
        let named = (self.sets.len() < self.most).then(|| self.name(&members));
        match named.flatten() {
            // Another set may have the same name, if somebody made an effort.
            Some(name) if self.names.insert(name.clone()) => {
                let mut group = AddressGroup::default();
                group.insert(net);
                self.sets.insert(members, (name, group));
                Ok(())
            }
            _ => Err(claims[0]),
        }
    }

    /// Returns the name of a set: `multi:` and the first 12 hexadecimal digits of the SHA-256 of
    /// the names of its PIDs, `<domain>:<pid>`, sorted, with a line feed between them.
    fn name(&self, members: &[Place]) -> Option<PidName> {
        let names = members.iter().map(|member| {
            let domain = self.domains[member.domain];
            let pid = domain.view.network().pids().name(member.pid as u32)?;
            Some(format!("{}:{pid}", domain.label))
        });
        let mut names = names.collect::<Option<Vec<_>>>()?;
        names.sort_unstable();
        let digest = Digest::of(names.join("\n").as_bytes()).to_string();
        PidName::new(&format!("{PREFIX}{}", digest.get(..12)?)).ok()
    }

    /// Returns the sets, in the order of their names.
    pub(super) fn into_sets(self) -> Vec<HolderSet> {
        let sets = self.sets.into_iter();
        let sets = sets.map(|(members, (name, group))| HolderSet {
            name,
            members,
            group: Arc::new(group),
        });
        let mut sets: Vec<_> = sets.collect();
        sets.sort_by(|a, b| a.name.cmp(&b.name));
        sets
    }
}
