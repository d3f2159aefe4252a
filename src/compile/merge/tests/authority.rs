//! Who answers for an address, compared with a brute-force reading of the rule: in the merged view,
//! and for a client that matches the prefixes of the published map.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use crate::alto::property::PropertyMap;
use crate::api::conflict::MergeConflictKind;
use crate::api::interconnect::Relationship;
use crate::compile::{Domain, MergePolicy, Merged, merged_view};
use crate::ident::{Digest, PidName};

use super::incremental::assert_same;
use super::paths::cell;
use super::world::{Stated, StatedLink, label, metric, net, pid};

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
    /// Its PIDs that are off-net: those that it says are, and those that policy says are.
    off_net: BTreeSet<usize>,
    configured_off_net: BTreeSet<usize>,
    is_plain: bool,
    /// Whether its first PID has the prefixes of all addresses, which only complete the map.
    completed: bool,
    blocks: Option<BTreeSet<&'static str>>,
    preference: i64,
    there: bool,
    /// The costs between its PIDs.
    costs: Vec<Option<f64>>,
    /// The costs to and from the domain where all meet; none without a link.
    link: Option<[f64; 2]>,
}

#[derive(Debug, Clone)]
struct Case {
    speakers: Vec<Speaker>,
    private: bool,
    max_multi_pids: usize,
    /// The costs between the borders of the domain where all meet.
    hub: Vec<Option<f64>>,
}

const PIDS: usize = 3;

/// The domain where all meet. It holds no address.
const HUB: &str = "hub";

fn cost() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![1 => Just(None), 4 => (0..3_u8).prop_map(|cost| Some(f64::from(cost)))]
}

fn speaker(configured: bool) -> impl Strategy<Value = Speaker> {
    let nets = || prop::sample::select(NETS.to_vec());
    let blocks = prop::collection::btree_set(nets(), 0..5);
    let blocks = prop::option::weighted(0.6, blocks);
    let blocks = blocks.prop_map(move |blocks| blocks.filter(|_| configured));
    let off_net = || prop::collection::btree_set(0..PIDS, 0..2);
    let claims = (
        prop::collection::btree_map(nets(), 0..PIDS, 0..12),
        off_net(),
        prop::option::weighted(0.2, off_net()),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
    );
    let costs = (
        prop::collection::vec(cost(), PIDS * PIDS),
        prop::option::weighted(0.8, [0..3_u8, 0..3_u8]),
    );
    (
        claims,
        blocks,
        prop_oneof![4 => Just(0), 1 => Just(7_i64)],
        prop::bool::weighted(0.9),
        costs,
    )
        .prop_map(|(claims, blocks, preference, there, (costs, link))| {
            let (claims, off_net, configured_off_net, is_plain, completed) = claims;
            Speaker {
                claims,
                off_net,
                configured_off_net: configured_off_net.unwrap_or_default(),
                is_plain,
                completed,
                blocks,
                preference,
                there,
                costs,
                link: link.map(|costs| costs.map(f64::from)),
            }
        })
}

fn case() -> impl Strategy<Value = Case> {
    let speakers: Vec<_> = LABELS.iter().map(|label| speaker(*label != "n")).collect();
    (
        speakers,
        prop::bool::weighted(0.7),
        prop_oneof![4 => Just(1000), 1 => 0..3_usize],
        prop::collection::vec(cost(), LABELS.len().pow(2)),
    )
        .prop_map(|(speakers, private, max_multi_pids, hub)| Case {
            speakers,
            private,
            max_multi_pids,
            hub,
        })
}

impl Speaker {
    fn domain(&self, label: &'static str, own: &str) -> Domain {
        let mut stated = Stated::new(label, &[&[], &[], &[]]);
        for (net, pid) in &self.claims {
            stated.prefixes[*pid].push(net);
        }
        stated.costs.insert("routingcost", self.costs.clone());
        stated.off_net = self.off_net.clone();
        stated.is_plain = self.is_plain && label != own;
        let place = LABELS.iter().position(|other| *other == label);
        if let Some([out, _]) = self.link {
            let link = link(HUB, 0, place.expect("a label"), out);
            stated.links.insert(format!("x-{label}"), link);
        }
        // Our own map is always complete.
        let completed = self.completed || label == own;
        let uncovered = ["0.0.0.0/0", "::/0"].map(|all| {
            let of_family = |text: &&str| net(text).addr().is_ipv4() == net(all).addr().is_ipv4();
            let completes =
                completed && self.claims.keys().any(of_family) && !self.claims.contains_key(all);
            completes.then(|| stated.prefixes[0].push(all))
        });
        let uncovered = uncovered.map(|completed| completed.map(|()| 0));
        stated.domain_with(PropertyMap::new(), uncovered, None)
    }

    fn is_off_net(&self, pid: usize) -> bool {
        self.off_net.contains(&pid) || self.configured_off_net.contains(&pid)
    }
}

fn link(peer: &'static str, border: usize, peer_border: usize, cost: f64) -> StatedLink {
    StatedLink {
        border,
        peer,
        peer_border,
        relationship: Relationship::Open,
        costs: BTreeMap::from([("routingcost", cost)]),
    }
}

/// By domain, prefixes with their PIDs.
type Held = BTreeMap<&'static str, Vec<(IpNet, usize)>>;

/// Who answers for an address: PIDs of domains by label and place.
type Answer = Vec<(&'static str, usize)>;

impl Case {
    fn domains(&self, own: &str) -> Vec<Domain> {
        let there = self.there();
        let domains = there.map(|(label, speaker)| speaker.domain(label, own));
        let mut hub = Stated::new(HUB, &[[].as_slice(); LABELS.len()]);
        hub.costs.insert("routingcost", self.hub.clone());
        for (place, (label, speaker)) in LABELS.iter().zip(&self.speakers).enumerate() {
            if let Some([_, back]) = speaker.link {
                let link = link(label, place, 0, back);
                hub.links.insert(format!("x-{label}"), link);
            }
        }
        domains.chain([hub.domain()]).collect()
    }

    fn policy(&self, own: &str) -> MergePolicy {
        let mut policy = MergePolicy::new(label(own));
        policy.private_prefixes = self.private;
        policy.max_multi_pids = self.max_multi_pids;
        for (name, speaker) in LABELS.iter().zip(&self.speakers) {
            let domain = policy.domains.entry(label(name)).or_default();
            let blocks = speaker.blocks.as_ref();
            domain.prefixes = blocks.map(|blocks| blocks.iter().map(|text| net(text)).collect());
            domain.off_net = speaker
                .configured_off_net
                .iter()
                .copied()
                .map(pid)
                .collect();
            domain.preference = speaker.preference;
        }
        policy
    }

    fn there(&self) -> impl Iterator<Item = (&'static str, &Speaker)> {
        let speakers = LABELS.iter().copied().zip(&self.speakers);
        speakers.filter(|(_, speaker)| speaker.there)
    }

    fn speaker(&self, label: &str) -> &Speaker {
        let place = LABELS.iter().position(|other| *other == label);
        &self.speakers[place.expect("a label")]
    }

    /// The ranges that are never another network's.
    fn never(&self) -> Vec<IpNet> {
        let private = PRIVATE.iter().filter(|_| !self.private);
        SPECIAL
            .iter()
            .chain(private)
            .map(|text| net(text))
            .collect()
    }

    /// Whether a domain is known to hold what it states: it is our own, or has configured prefixes.
    fn is_authorised(&self, label: &str, own: &str) -> bool {
        label == own || self.speaker(label).blocks.is_some()
    }

    /// Returns, by domain, the prefixes that it claims to hold, and may, with their PIDs.
    fn all_held(&self, own: &str) -> Held {
        let ours = self.there().find(|(label, _)| *label == own);
        let ours = ours.map_or(Vec::new(), |(label, _)| self.held(label, own, &[]));
        let there = self.there();
        there
            .map(|(label, _)| (label, self.held(label, own, &ours)))
            .collect()
    }

    /// Returns the prefixes that a domain claims to hold, and may; `ours` are those that we hold.
    fn held(&self, label: &str, own: &str, ours: &[(IpNet, usize)]) -> Vec<(IpNet, usize)> {
        let speaker = self.speaker(label);
        let stated = speaker.claims.iter().map(|(text, pid)| (net(text), *pid));
        let on_net = stated.filter(|(net, pid)| net.prefix_len() > 0 && !speaker.is_off_net(*pid));
        if label == own {
            return on_net.collect();
        }
        let may = |stated: &IpNet| {
            let inside = |outer: &IpNet| outer.contains(stated);
            let shortest = if stated.addr().is_ipv4() { 8 } else { 16 };
            let own_word = match &speaker.blocks {
                Some(blocks) => blocks.iter().any(|block| inside(&net(block))),
                None => {
                    stated.prefix_len() >= shortest && !ours.iter().any(|(ours, _)| inside(ours))
                }
            };
            let of_others = self.owners(*stated);
            own_word
                && !self.never().iter().any(inside)
                && of_others.is_none_or(|owners| owners.contains(label))
        };
        on_net.filter(|(net, _)| may(net)).collect()
    }

    /// Returns who holds an address by the rule, the first by preference and label first.
    fn holders(&self, addr: IpAddr, own: &str, held: &Held) -> Option<Answer> {
        let never = self.never().iter().any(|space| space.contains(&addr));
        let owners = self.owners(addr.into());
        let mut claims = Vec::new();
        for (label, speaker) in self.there() {
            let may = !never && owners.as_ref().is_none_or(|owners| owners.contains(label));
            if label == own || may {
                let around = held[label].iter().filter(|(net, _)| net.contains(&addr));
                claims.extend(around.map(|(net, pid)| (*net, -speaker.preference, label, *pid)));
            }
        }
        let longest = claims
            .iter()
            .map(|claim| claim.0)
            .max_by_key(IpNet::prefix_len)?;
        claims.retain(|claim| claim.0 == longest);
        if claims.iter().any(|claim| self.is_authorised(claim.2, own)) {
            claims.retain(|claim| self.is_authorised(claim.2, own));
        } else {
            let first = claims
                .iter()
                .min_by_key(|claim| (claim.1, claim.2))
                .copied();
            claims.retain(|claim| Some(*claim) == first);
        }
        claims.sort_by_key(|claim| (claim.1, claim.2));
        let holders = claims.into_iter().map(|(_, _, label, pid)| (label, pid));
        Some(holders.collect())
    }

    /// Returns our own off-net PID of an address.
    fn outside(&self, addr: IpAddr, own: &str) -> Option<(&'static str, usize)> {
        let (label, speaker) = self.there().find(|(label, _)| *label == own)?;
        let stated = speaker.claims.iter().map(|(text, pid)| (net(text), *pid));
        let off_net = stated.filter(|(net, pid)| net.prefix_len() == 0 || speaker.is_off_net(*pid));
        let around = off_net.filter(|(net, _)| net.contains(&addr));
        let longest = around.max_by_key(|(net, _)| net.prefix_len());
        longest.map(|(_, pid)| (label, pid))
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

    /// Returns the cost from one PID of a domain to one of another: over their links and through
    /// the domain where all meet.
    fn across(&self, (from, a): (&str, usize), (to, b): (&str, usize)) -> Option<f64> {
        let place = |label: &str| LABELS.iter().position(|other| *other == label);
        let (at, on) = (place(from)?, place(to)?);
        let inside = |costs: &[Option<f64>], width: usize, from: usize, to: usize| {
            costs[from * width + to].or((from == to).then_some(0.0))
        };
        let out = inside(&self.speaker(from).costs, PIDS, a, 0)?;
        let through = inside(&self.hub, LABELS.len(), at, on)?;
        let into = inside(&self.speaker(to).costs, PIDS, 0, b)?;
        let ([there, _], [_, back]) = (self.speaker(from).link?, self.speaker(to).link?);
        Some(out + there + through + back + into)
    }

    /// Returns the cost between two addresses by the rule, from who answers for them.
    fn cost(&self, from: &Answer, to: &Answer) -> Option<f64> {
        let mut own = Vec::new();
        let mut others = Vec::new();
        for (label, a) in from {
            for (other, b) in to {
                if label == other {
                    own.push(self.speaker(label).costs[a * PIDS + b]);
                } else {
                    others.push(self.across((label, *a), (other, *b)));
                }
            }
        }
        let all = if own.is_empty() { others } else { own };
        all.into_iter().flatten().min_by(f64::total_cmp)
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

/// Returns the names of the PIDs that stand for several.
fn sets(merged: &Merged) -> BTreeSet<String> {
    let names = merged.view.network().pids().names().iter();
    let names = names.map(ToString::to_string);
    names.filter(|name| name.starts_with("multi:")).collect()
}

fn cases() -> ProptestConfig {
    let heavy = std::env::var_os("ALTOFED_HEAVY").is_some();
    ProptestConfig::with_cases(if heavy { 2_000 } else { 150 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_address_is_answered_by_whom_the_rule_says_and_the_published_map_shows_it(
        case in case(), next in case(), picks in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let probes = probes();
        for own in ["us", "x", "n"] {
            let (domains, policy) = (case.domains(own), case.policy(own));
            let merged = merged_view(&domains, &policy, None);
            let published = published(&merged);
            let network = merged.view.network();
            let sets = sets(&merged);
            prop_assert!(sets.len() <= case.max_multi_pids);
            let excess = merged.conflicts.count(MergeConflictKind::ExcessHolders);
            let is_full = excess > 0 && sets.len() == case.max_multi_pids;
            let mut answers: Vec<(u32, Answer)> = Vec::new();
            let held = case.all_held(own);
            for &addr in &probes {
                let pid = network.pid_of(addr);
                let name = pid.and_then(|pid| network.pids().name(pid)).map(ToString::to_string);
                prop_assert_eq!(found(&published, addr), name.clone(), "{}", addr);
                let answer = match case.holders(addr, own, &held) {
                    Some(holders) => holders,
                    None => case.outside(addr, own).into_iter().collect(),
                };
                let family = |(net, _): &(IpNet, _)| net.addr().is_ipv4() == addr.is_ipv4();
                let qualified = |(label, pid): &(&str, usize)| format!("{label}:p{pid}");
                match &answer[..] {
                    [] if published.iter().any(family) => {
                        prop_assert_eq!(name.as_deref(), Some("default"), "{}", addr);
                    }
                    [] => prop_assert_eq!(name, None, "{}", addr),
                    [only] => {
                        prop_assert_eq!(name, Some(qualified(only)), "{} at {}", addr, own);
                        answers.extend(pid.map(|pid| (pid, answer)));
                    }
                    [first, ..] => {
                        let mut names: Vec<_> = answer.iter().map(qualified).collect();
                        names.sort();
                        let digest = Digest::of(names.join("\n").as_bytes()).to_string();
                        let set = format!("multi:{}", &digest[..12]);
                        let has_room = sets.contains(&set);
                        prop_assert!(has_room || is_full);
                        let expected = if has_room { set } else { qualified(first) };
                        prop_assert_eq!(name, Some(expected), "{} at {}", addr, own);
                        let answer = if has_room { answer } else { vec![*first] };
                        answers.extend(pid.map(|pid| (pid, answer)));
                    }
                }
            }
            if !answers.is_empty() {
                let picked = |pick: &prop::sample::Index| &answers[pick.index(answers.len())];
                let costs = &merged.view.costs()[&metric("routingcost")];
                for pair in picks.chunks_exact(2) {
                    let ((src, from), (dst, to)) = (picked(&pair[0]), picked(&pair[1]));
                    let expected = case.cost(from, to);
                    prop_assert_eq!(cell(costs, *src, *dst), expected, "{:?} {:?}", from, to);
                    let mut row = Vec::new();
                    costs.row(*src, &mut row);
                    let in_row = Some(row[*dst as usize]).filter(|cost| !cost.is_nan());
                    prop_assert_eq!(in_row, expected, "{:?} {:?}", from, to);
                }
            }
            // A merge that starts from the former result gives the same.
            let (domains, policy) = (next.domains(own), next.policy(own));
            let fresh = merged_view(&domains, &policy, None);
            assert_same(&merged_view(&domains, &policy, Some(&merged)), &fresh);
        }
    }

    #[test]
    fn the_map_has_at_most_one_prefix_more_for_each_configured_block_and_space(case in case()) {
        let merged = merged_view(&case.domains("us"), &case.policy("us"), None);
        let there = case.speakers.iter().filter(|speaker| speaker.there);
        let stated: usize = there.map(|speaker| speaker.claims.len()).sum();
        let blocks = case.speakers.iter().flat_map(|speaker| speaker.blocks.iter().flatten());
        let blocks: BTreeSet<_> = blocks.collect();
        let marks = blocks.len() + SPECIAL.len() + PRIVATE.len();
        // Without the completion of both families.
        prop_assert!(published(&merged).len() <= stated + marks + 2);
    }
}
