//! Who answers for an address, compared with a brute-force reading of the rule: in the merged view,
//! and for a client that matches the prefixes of the published map.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use crate::alto::property::PropertyMap;
use crate::compile::{Domain, MergePolicy, Merged, merged_view};
use crate::ident::PidName;

use super::incremental::assert_same;
use super::world::{Stated, label, net};

/// Our own domain comes first; `n` never has configured prefixes.
const LABELS: [&str; 5] = ["us", "x", "y", "n", "a"];

/// Prefixes around the same addresses, and around those that the registries set apart.
const NETS: [&str; 56] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "0.0.0.0/7",
    "20.0.0.0/6",
    "20.0.0.0/7",
    "20.0.0.0/8",
    "21.0.0.0/8",
    "20.64.0.0/10",
    "20.76.0.0/14",
    "20.76.0.0/15",
    "20.77.0.0/16",
    "20.77.0.0/17",
    "20.77.128.0/17",
    "20.77.5.0/24",
    "20.77.5.5/32",
    "8.0.0.0/5",
    "10.0.0.0/8",
    "10.76.0.0/14",
    "10.77.0.0/16",
    "172.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/15",
    "192.168.7.0/24",
    "100.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "126.0.0.0/7",
    "127.0.0.1/32",
    "169.0.0.0/8",
    "169.254.0.0/16",
    "169.254.169.254/32",
    "224.0.0.0/3",
    "224.0.0.0/4",
    "239.1.0.0/16",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "198.51.100.0/24",
    "::/0",
    "::/1",
    "8000::/1",
    "::/16",
    "::/96",
    "::1/128",
    "::fffe:0:0/95",
    "::ffff:20.77.0.0/112",
    "64:ff9b::/32",
    "64:ff9b::/96",
    "64:ff9b:1:2::/64",
    "2001:db8::/32",
    "2001:db8:77::/48",
    "2001:db8:77::/64",
    "fc00::/7",
    "fd00:7::/32",
    "fe80::/9",
    "fe00::/7",
];

/// The ranges that the registries set apart, from the text of the rule.
const SPECIAL: [&str; 11] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "fe80::/10",
    "ff00::/8",
];

const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// A domain and the policy for it.
#[derive(Debug, Clone)]
struct Speaker {
    /// Its prefixes, each with the place of its PID.
    claims: BTreeMap<&'static str, usize>,
    /// Whether its first PID has the prefixes of all addresses, which only complete the map.
    completed: bool,
    blocks: Option<BTreeSet<&'static str>>,
    preference: i64,
    there: bool,
}

#[derive(Debug, Clone)]
struct Case {
    speakers: Vec<Speaker>,
    private: bool,
}

const PIDS: usize = 3;

fn speaker(configured: bool) -> impl Strategy<Value = Speaker> {
    let nets = || prop::sample::select(NETS.to_vec());
    let blocks = prop::collection::btree_set(nets(), 0..5);
    let blocks = prop::option::weighted(0.6, blocks);
    let blocks = blocks.prop_map(move |blocks| blocks.filter(|_| configured));
    (
        prop::collection::btree_map(nets(), 0..PIDS, 0..9),
        prop::bool::weighted(0.3),
        blocks,
        prop_oneof![4 => Just(0), 1 => Just(7_i64)],
        prop::bool::weighted(0.9),
    )
        .prop_map(|(claims, completed, blocks, preference, there)| Speaker {
            claims,
            completed,
            blocks,
            preference,
            there,
        })
}

fn case() -> impl Strategy<Value = Case> {
    let speakers: Vec<_> = LABELS.iter().map(|label| speaker(*label != "n")).collect();
    (speakers, prop::bool::weighted(0.7)).prop_map(|(speakers, private)| Case { speakers, private })
}

impl Speaker {
    fn domain(&self, label: &'static str) -> Domain {
        let mut stated = Stated::new(label, &[&[], &[], &[]]);
        for (net, pid) in &self.claims {
            stated.prefixes[*pid].push(net);
        }
        // Our own map is always complete.
        let completed = self.completed || label == "us";
        let uncovered = ["0.0.0.0/0", "::/0"].map(|all| {
            let of_family = |text: &&str| net(text).addr().is_ipv4() == net(all).addr().is_ipv4();
            let completes =
                completed && self.claims.keys().any(of_family) && !self.claims.contains_key(all);
            completes.then(|| stated.prefixes[0].push(all))
        });
        let uncovered = uncovered.map(|completed| completed.map(|()| 0));
        stated.domain_with(PropertyMap::new(), uncovered, None)
    }
}

impl Case {
    fn domains(&self) -> Vec<Domain> {
        let speakers = LABELS.iter().zip(&self.speakers);
        let there = speakers.filter(|(_, speaker)| speaker.there);
        there
            .map(|(label, speaker)| speaker.domain(label))
            .collect()
    }

    fn policy(&self) -> MergePolicy {
        let mut policy = MergePolicy::new(label("us"));
        policy.private_prefixes = self.private;
        for (name, speaker) in LABELS.iter().zip(&self.speakers) {
            let domain = policy.domains.entry(label(name)).or_default();
            let blocks = speaker.blocks.as_ref();
            domain.prefixes = blocks.map(|blocks| blocks.iter().map(|text| net(text)).collect());
            domain.preference = speaker.preference;
        }
        policy
    }

    /// Returns who an address belongs to by the rule: the label and the place of the PID.
    fn holder(&self, addr: IpAddr) -> Option<(&'static str, usize)> {
        let there = || {
            let speakers = LABELS.iter().zip(&self.speakers);
            speakers.filter(|(_, speaker)| speaker.there)
        };
        let own = || there().filter(|(label, _)| **label == "us");
        let longest = |claims: Vec<(IpNet, i64, &'static str, usize)>| {
            let strongest = claims.into_iter().filter(|claim| claim.0.contains(&addr));
            strongest
                .min_by_key(|(net, preference, label, _)| {
                    (-i16::from(net.prefix_len()), -preference, *label)
                })
                .map(|(_, _, label, pid)| (label, pid))
        };
        // What our own domain states always wins, except the prefix of all addresses.
        let ours = own().flat_map(|(label, speaker)| {
            let claims = speaker.claims.iter();
            claims.map(|(text, pid)| (net(text), 0, *label, *pid))
        });
        let (all, ours): (Vec<_>, Vec<_>) = ours.partition(|claim| claim.0.prefix_len() == 0);
        if let Some(holder) = longest(ours.clone()) {
            return Some(holder);
        }
        let never = SPECIAL
            .iter()
            .chain(PRIVATE.iter().filter(|_| !self.private));
        let never: Vec<IpNet> = never.map(|text| net(text)).collect();
        let mut claims = Vec::new();
        if !never.iter().any(|space| space.contains(&addr)) {
            let answering = self.owners(addr.into());
            for (label, speaker) in there().filter(|(label, _)| **label != "us") {
                if answering
                    .as_ref()
                    .is_some_and(|owners| !owners.contains(label))
                {
                    continue;
                }
                for (text, pid) in &speaker.claims {
                    let stated = net(text);
                    let inside = |outer: &[IpNet]| outer.iter().any(|o| o.contains(&stated));
                    let ours: Vec<IpNet> = ours.iter().map(|claim| claim.0).collect();
                    let of_others = self.owners(stated);
                    let wide = match &speaker.blocks {
                        Some(blocks) => !blocks.iter().any(|block| net(block).contains(&stated)),
                        None => stated.prefix_len() < if addr.is_ipv4() { 8 } else { 16 },
                    };
                    let dropped = stated.prefix_len() == 0
                        || wide
                        || inside(&ours)
                        || inside(&never)
                        || of_others.is_some_and(|owners| !owners.contains(label));
                    if !dropped {
                        claims.push((stated, speaker.preference, *label, *pid));
                    }
                }
            }
        }
        longest(claims).or_else(|| longest(all))
    }

    /// Returns the domains that the longest configured block over these addresses is configured
    /// for.
    fn owners(&self, addresses: IpNet) -> Option<BTreeSet<&'static str>> {
        let mut blocks: BTreeMap<u8, BTreeSet<&'static str>> = BTreeMap::new();
        for (label, speaker) in LABELS.iter().zip(&self.speakers) {
            let configured = speaker.blocks.iter().flatten().map(|text| net(text));
            for block in configured.filter(|block| block.contains(&addresses)) {
                blocks.entry(block.prefix_len()).or_default().insert(label);
            }
        }
        blocks.pop_last().map(|(_, owners)| owners)
    }
}

/// Returns the addresses at which something can begin or end.
fn probes() -> Vec<IpAddr> {
    let texts = NETS.iter().chain(&SPECIAL).chain(&PRIVATE);
    let mut probes = BTreeSet::new();
    for text in texts {
        let net = net(text);
        for addr in [net.network(), net.broadcast()] {
            let near = match addr {
                IpAddr::V4(addr) => [-1, 0, 1]
                    .map(|step| IpAddr::V4(addr.to_bits().wrapping_add_signed(step).into())),
                IpAddr::V6(addr) => [-1, 0, 1]
                    .map(|step| IpAddr::V6(addr.to_bits().wrapping_add_signed(step).into())),
            };
            probes.extend(near);
        }
    }
    probes.into_iter().collect()
}

/// Returns the PID that a client finds in the published map.
fn found(published: &[(IpNet, PidName)], addr: IpAddr) -> Option<String> {
    let around = published.iter().filter(|(net, _)| net.contains(&addr));
    let longest = around.max_by_key(|(net, _)| net.prefix_len());
    longest.map(|(_, pid)| pid.to_string())
}

fn published(merged: &Merged) -> Vec<(IpNet, PidName)> {
    let groups = merged.view.network().groups();
    let prefixes = groups.flat_map(|(pid, group)| group.prefixes().map(|net| (net, pid.clone())));
    prefixes.collect()
}

fn cases() -> ProptestConfig {
    let heavy = std::env::var_os("ALTOFED_HEAVY").is_some();
    ProptestConfig::with_cases(if heavy { 2_000 } else { 300 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_address_is_answered_by_whom_the_rule_says_and_the_published_map_shows_it(
        case in case(), next in case(),
    ) {
        let merged = merged_view(&case.domains(), &case.policy(), None);
        let published = published(&merged);
        let network = merged.view.network();
        for addr in probes() {
            let pid = network.pid_of(addr).and_then(|pid| network.pids().name(pid));
            let expected = match case.holder(addr) {
                Some((label, pid)) => Some(format!("{label}:p{pid}")),
                None if published.iter().any(|(net, _)| net.addr().is_ipv4() == addr.is_ipv4()) => {
                    Some("default".to_owned())
                }
                None => None,
            };
            prop_assert_eq!(pid.map(ToString::to_string), expected.clone(), "{}", addr);
            prop_assert_eq!(found(&published, addr), expected, "{}", addr);
        }
        // A merge that starts from the former result gives the same.
        let (domains, policy) = (next.domains(), next.policy());
        let fresh = merged_view(&domains, &policy, None);
        assert_same(&merged_view(&domains, &policy, Some(&merged)), &fresh);
    }

    #[test]
    fn the_map_has_at_most_one_prefix_more_for_each_configured_block_and_space(case in case()) {
        let merged = merged_view(&case.domains(), &case.policy(), None);
        let there = case.speakers.iter().filter(|speaker| speaker.there);
        let stated: usize = there.map(|speaker| speaker.claims.len()).sum();
        let blocks = case.speakers.iter().flat_map(|speaker| speaker.blocks.iter().flatten());
        let blocks: BTreeSet<_> = blocks.collect();
        let marks = blocks.len() + SPECIAL.len() + PRIVATE.len();
        // Without the completion of both families.
        prop_assert!(published(&merged).len() <= stated + marks + 2);
    }
}
