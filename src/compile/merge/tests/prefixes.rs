//! Who may speak for which prefixes in the merged view.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::alto::property::PropertyMap;
use crate::api::conflict::MergeConflictKind;
use crate::api::interconnect::{InterconnectState, Relationship};
use crate::compile::{Domain, DomainPolicy, MergePolicy, Merged, merged_view};
use crate::ident::Digest;

use super::paths::{cell, index};
use super::world::{Stated, StatedLink, label, metric, net};

fn policy() -> MergePolicy {
    MergePolicy::new(label("us"))
}

fn may_speak_for(policy: &mut MergePolicy, domain: &str, prefixes: &[&str]) {
    let of_domain = policy.domains.entry(label(domain)).or_default();
    of_domain.prefixes = Some(prefixes.iter().map(|text| net(text)).collect());
}

fn merge(domains: &[Stated], policy: &MergePolicy) -> Merged {
    let domains: Vec<Domain> = domains.iter().map(Stated::domain).collect();
    merged_view(&domains, policy, None)
}

/// Returns the name of the PID that holds an address.
fn pid(merged: &Merged, address: &str) -> Option<String> {
    let address: IpAddr = address.parse().expect("an address");
    let network = merged.view.network();
    let pid = network.pids().name(network.pid_of(address)?)?;
    Some(pid.to_string())
}

/// Returns the name of the PID that stands for these.
fn multi(sorted: &[&str]) -> String {
    let digest = Digest::of(sorted.join("\n").as_bytes()).to_string();
    format!("multi:{}", &digest[..12])
}

/// Returns the prefixes that a PID has in the merged map.
fn group(merged: &Merged, name: &str) -> Vec<String> {
    let network = merged.view.network();
    let pid = network.pids().get(name).expect("a PID");
    let group = network.group(pid).expect("a group");
    group.prefixes().map(|net| net.to_string()).collect()
}

/// Returns the listed conflicts, each as kind, domain and subject.
fn listed(merged: &Merged) -> Vec<(MergeConflictKind, String, String)> {
    let listed = merged.conflicts.listed().iter();
    let mut listed: Vec<_> = listed
        .map(|conflict| {
            (
                conflict.kind,
                conflict.domain.to_string(),
                conflict.subject.clone(),
            )
        })
        .collect();
    listed.sort();
    listed
}

fn one(
    kind: MergeConflictKind,
    domain: &str,
    subject: &str,
) -> (MergeConflictKind, String, String) {
    (kind, domain.to_owned(), subject.to_owned())
}

#[test]
fn the_prefix_of_all_addresses_is_ours_alone_to_state() {
    let own = Stated::new("us", &[&["0.0.0.0/0"], &["10.0.0.0/8"]]);
    let other = Stated::new("x", &[&["0.0.0.0/0", "::/0", "192.0.2.0/24"]]);
    let merged = merge(&[own, other], &policy());
    assert_eq!(group(&merged, "us:p0"), ["0.0.0.0/0"]);
    assert_eq!(group(&merged, "x:p0"), ["192.0.2.0/24"]);
    assert_eq!(pid(&merged, "8.8.8.8").as_deref(), Some("us:p0"));
    assert_eq!(pid(&merged, "192.0.2.9").as_deref(), Some("x:p0"));
    assert_eq!(pid(&merged, "2001:db8::1"), None);
    assert_eq!(merged.view.network().pids().get("default"), None);
    assert_eq!(listed(&merged), []);
}

#[test]
fn a_domain_speaks_only_for_what_is_configured() {
    let own = Stated::new("us", &[]);
    let other = Stated::new(
        "x",
        &[&[
            "198.51.100.0/24",
            "198.51.100.128/25",
            "198.51.101.0/24",
            "198.51.0.0/16",
        ]],
    );
    let mut policy = policy();
    may_speak_for(&mut policy, "x", &["198.51.100.0/24", "2001:db8::/32"]);
    let merged = merge(&[own, other], &policy);
    assert_eq!(
        group(&merged, "x:p0"),
        ["198.51.100.0/24", "198.51.100.128/25"]
    );
    assert_eq!(
        listed(&merged),
        [
            one(MergeConflictKind::OutsidePrefix, "x", "198.51.0.0/16"),
            one(MergeConflictKind::OutsidePrefix, "x", "198.51.101.0/24"),
        ]
    );
}

#[test]
fn what_we_state_is_no_others_nor_is_a_part_of_it() {
    let own = Stated::new("us", &[&["23.1.0.0/16", "0.0.0.0/0"]]);
    let other = Stated::new(
        "x",
        &[
            &["23.1.0.0/16", "23.1.2.0/24", "23.0.0.0/8"],
            &["23.2.0.0/16"],
        ],
    );
    let merged = merge(&[own, other], &policy());
    assert_eq!(group(&merged, "x:p0"), ["23.0.0.0/8"]);
    assert_eq!(group(&merged, "x:p1"), ["23.2.0.0/16"]);
    assert_eq!(pid(&merged, "23.1.2.3").as_deref(), Some("us:p0"));
    assert_eq!(pid(&merged, "23.9.2.3").as_deref(), Some("x:p0"));
    assert_eq!(
        listed(&merged),
        [
            one(MergeConflictKind::OwnPrefix, "x", "23.1.0.0/16"),
            one(MergeConflictKind::OwnPrefix, "x", "23.1.2.0/24"),
        ]
    );
}

#[test]
fn what_another_may_speak_for_is_not_to_be_taken_even_while_it_is_away() {
    let own = Stated::new("us", &[]);
    let other = Stated::new("x", &[&["203.0.113.0/25", "203.0.112.0/22"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "y", &["203.0.113.0/24"]);
    let merged = merge(&[own, other], &policy);
    assert_eq!(group(&merged, "x:p0"), ["203.0.112.0/22"]);
    assert_eq!(pid(&merged, "203.0.112.1").as_deref(), Some("x:p0"));
    assert_eq!(pid(&merged, "203.0.113.1").as_deref(), Some("default"));
    assert_eq!(group(&merged, "default"), ["0.0.0.0/0", "203.0.113.0/24"]);
    let [dropped, cut] = merged.conflicts.listed() else {
        panic!("{:?}", merged.conflicts.listed());
    };
    for conflict in [dropped, cut] {
        assert_eq!(conflict.kind, MergeConflictKind::ForeignPrefix);
        assert_eq!(conflict.other, Some(label("y")));
    }
    let why = "203.0.113.0/24 is configured for another domain";
    assert_eq!(
        (&*dropped.subject, &*dropped.detail),
        ("203.0.113.0/25", why)
    );
    assert_eq!(cut.subject, "203.0.112.0/22");
    assert_eq!(cut.detail, format!("{why}, and is cut out of it"));
}

#[test]
fn a_configured_block_is_answered_by_its_domain_alone_or_by_default() {
    let own = Stated::new("us", &[&["192.0.2.0/24"]]);
    let wide = Stated::new("m", &[&["20.76.0.0/14"]]);
    let half = Stated::new("h", &[&["20.77.0.0/17"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "h", &["20.77.0.0/16"]);
    let merged = merge(&[own.clone(), wide.clone(), half], &policy);
    assert_eq!(pid(&merged, "20.77.5.5").as_deref(), Some("h:p0"));
    assert_eq!(pid(&merged, "20.77.200.1").as_deref(), Some("default"));
    assert_eq!(pid(&merged, "20.76.0.1").as_deref(), Some("m:p0"));
    assert_eq!(group(&merged, "default"), ["0.0.0.0/0", "20.77.0.0/16"]);
    assert_eq!(group(&merged, "m:p0"), ["20.76.0.0/14"]);
    let whole = Stated::new("h", &[&["20.77.0.0/16"]]);
    let merged = merge(&[own.clone(), wide.clone(), whole], &policy);
    assert_eq!(group(&merged, "default"), ["0.0.0.0/0"]);
    assert_eq!(merged.conflicts.count(MergeConflictKind::ForeignPrefix), 0);
    let merged = merge(&[own, wide], &policy);
    assert_eq!(pid(&merged, "20.77.5.5").as_deref(), Some("default"));
    assert_eq!(
        listed(&merged),
        [one(MergeConflictKind::ForeignPrefix, "m", "20.76.0.0/14")]
    );
}

#[test]
fn where_nobody_else_answers_our_own_prefix_of_all_addresses_does() {
    let own = Stated::new("us", &[&["0.0.0.0/0"]]);
    let wide = Stated::new("m", &[&["20.76.0.0/14"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "h", &["20.77.0.0/16"]);
    let merged = merge(&[own, wide], &policy);
    assert_eq!(pid(&merged, "20.77.5.5").as_deref(), Some("us:p0"));
    assert_eq!(group(&merged, "us:p0"), ["0.0.0.0/0", "20.77.0.0/16"]);
    assert_eq!(merged.view.network().pids().get("default"), None);
}

#[test]
fn of_configured_blocks_the_longest_wins_and_equal_ones_are_shared() {
    let own = Stated::new("us", &[&["192.0.2.0/24"]]);
    let outer = Stated::new("o", &[&["20.0.0.0/8", "20.77.5.0/24"]]);
    let inner = Stated::new("i", &[&["20.77.0.0/16"]]);
    let shared = Stated::new("j", &[&["20.77.0.0/16", "20.77.6.0/24"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "o", &["20.0.0.0/8"]);
    may_speak_for(&mut policy, "i", &["20.77.0.0/16"]);
    may_speak_for(&mut policy, "j", &["20.77.0.0/16"]);
    let merged = merge(&[own.clone(), outer.clone(), inner, shared], &policy);
    assert_eq!(pid(&merged, "20.77.5.5"), Some(multi(&["i:p0", "j:p0"])));
    assert_eq!(pid(&merged, "20.77.6.5").as_deref(), Some("j:p0"));
    assert_eq!(pid(&merged, "20.1.5.5").as_deref(), Some("o:p0"));
    let foreign = one(MergeConflictKind::ForeignPrefix, "o", "20.77.5.0/24");
    assert!(listed(&merged).contains(&foreign));
    let merged = merge(&[own, outer], &policy);
    assert_eq!(pid(&merged, "20.77.5.5").as_deref(), Some("default"));
}

#[test]
fn a_block_that_its_domain_covers_by_a_shorter_prefix_is_its_own_among_others() {
    // `d` states one prefix over two blocks. The prefix of `f` between them does not belong to `d`.
    let own = Stated::new("us", &[&["192.0.2.0/24"]]);
    let d = Stated::new("d", &[&["20.64.0.0/10"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "d", &["20.0.0.0/8", "20.77.0.0/16"]);
    may_speak_for(&mut policy, "f", &["20.72.0.0/13"]);
    let merged = merge(&[own, d], &policy);
    assert_eq!(pid(&merged, "20.65.0.1").as_deref(), Some("d:p0"));
    assert_eq!(pid(&merged, "20.73.0.1").as_deref(), Some("default"));
    assert_eq!(pid(&merged, "20.77.0.1").as_deref(), Some("d:p0"));
    assert_eq!(group(&merged, "d:p0"), ["20.64.0.0/10", "20.77.0.0/16"]);
}

#[test]
fn nothing_shorter_than_8_or_16_counts_without_configured_prefixes() {
    let own = Stated::new("us", &[&["192.0.2.0/24"]]);
    let short = ["0.0.0.0/1", "128.0.0.0/1", "20.0.0.0/7", "2000::/15"];
    let other = Stated::new("x", &[&short, &["20.0.0.0/8", "2001::/16"]]);
    let domains = [own, other];
    let merged = merge(&domains, &policy());
    assert_eq!(group(&merged, "x:p0"), Vec::<String>::new());
    assert_eq!(group(&merged, "x:p1"), ["20.0.0.0/8", "2001::/16"]);
    let kind = MergeConflictKind::ShortPrefix;
    assert_eq!(listed(&merged), short.map(|net| one(kind, "x", net)));
    let mut policy = policy();
    may_speak_for(&mut policy, "x", &["0.0.0.0/0", "2000::/3"]);
    let merged = merge(&domains, &policy);
    assert_eq!(merged.conflicts.count(kind), 0);
    assert_eq!(pid(&merged, "21.0.0.1").as_deref(), Some("x:p0"));
}

#[test]
fn space_that_is_nobodys_is_cut_out_of_whatever_covers_it() {
    let own = Stated::new("us", &[&["192.0.2.0/24"]]);
    let inside = [
        "127.0.0.0/8",
        "169.254.169.254/32",
        "0.0.0.0/32",
        "239.0.0.0/8",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "::ffff:20.0.0.0/104",
        "64:ff9b::/96",
        "64:ff9b:1:7::/64",
        "fe80::/64",
        "ff02::1/128",
    ];
    let covering = ["64.0.0.0/2", "128.0.0.0/1", "::/8"];
    let other = Stated::new("x", &[&inside, &covering, &["198.51.100.0/24"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "x", &["0.0.0.0/0", "::/0"]);
    let merged = merge(&[own, other], &policy);
    assert_eq!(group(&merged, "x:p0"), Vec::<String>::new());
    let mut stated = covering;
    stated.sort_by_key(|text| net(text));
    assert_eq!(group(&merged, "x:p1"), stated);
    for addr in [
        "127.0.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "240.0.0.1",
        "::",
        "::1",
        "::ffff:20.1.1.1",
        "64:ff9b::1",
        "64:ff9b:1::1",
    ] {
        assert_eq!(pid(&merged, addr).as_deref(), Some("default"), "{addr}");
    }
    for addr in ["126.0.0.1", "169.1.1.1", "64:ff9b:2::1"] {
        assert_eq!(pid(&merged, addr).as_deref(), Some("x:p1"), "{addr}");
    }
    // One for each prefix inside a reserved range, and one for each range cut out of a prefix
    // around it.
    let kind = MergeConflictKind::SpecialPrefix;
    assert_eq!(merged.conflicts.count(kind), 12 + 1 + 3 + 4);
    let details = merged
        .conflicts
        .listed()
        .iter()
        .map(|conflict| &conflict.detail);
    let cut = "127.0.0.0/8 is loopback (RFC 1122), and is cut out of it";
    assert!(details.into_iter().any(|detail| detail == cut));
}

#[test]
fn private_space_is_taken_and_listed_or_cut_out() {
    let own = Stated::new("us", &[&["192.168.1.0/24"]]);
    let claims = ["10.1.0.0/16", "172.0.0.0/8", "fd00:1::/32"];
    let other = Stated::new("x", &[&claims, &["198.51.100.0/24"]]);
    let domains = [own, other];
    let mut policy = policy();
    let kind = MergeConflictKind::PrivatePrefix;
    let listed_ones = claims.map(|net| one(kind, "x", net));
    let merged = merge(&domains, &policy);
    assert_eq!(listed(&merged), listed_ones);
    assert_eq!(group(&merged, "x:p0"), claims);
    assert_eq!(pid(&merged, "172.16.0.1").as_deref(), Some("x:p0"));
    policy.private_prefixes = false;
    let merged = merged_view(
        &domains.each_ref().map(Stated::domain),
        &policy,
        Some(&merged),
    );
    assert_eq!(listed(&merged), listed_ones);
    assert_eq!(group(&merged, "x:p0"), ["172.0.0.0/8"]);
    assert_eq!(group(&merged, "us:p0"), ["192.168.1.0/24"]);
    assert_eq!(pid(&merged, "172.16.0.1").as_deref(), Some("default"));
    assert_eq!(pid(&merged, "172.32.0.1").as_deref(), Some("x:p0"));
    assert_eq!(pid(&merged, "10.1.0.1").as_deref(), Some("default"));
}

#[test]
fn a_prefix_of_which_nothing_is_left_leaves_its_addresses_to_default() {
    let own = Stated::new("us", &[&["2001:db8::/32"]]);
    let other = Stated::new("x", &[&["20.76.0.0/16"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "y", &["20.76.0.0/17"]);
    may_speak_for(&mut policy, "z", &["20.76.128.0/17"]);
    let merged = merge(&[own, other], &policy);
    for addr in ["20.76.0.1", "20.76.255.1", "8.8.8.8"] {
        assert_eq!(pid(&merged, addr).as_deref(), Some("default"), "{addr}");
    }
}

#[test]
fn of_equal_prefixes_the_preferred_domain_keeps_it_and_then_the_first_label() {
    let stated = |label| Stated::new(label, &[&["192.0.2.0/24"]]);
    let domains = [stated("y"), stated("x"), stated("z")];
    let merged = merge(&domains, &policy());
    assert_eq!(pid(&merged, "192.0.2.1").as_deref(), Some("x:p0"));
    assert_eq!(merged.conflicts.count(MergeConflictKind::EqualPrefix), 2);
    let mut preferring = policy();
    let preferred = DomainPolicy {
        preference: 1,
        ..DomainPolicy::default()
    };
    preferring.domains.insert(label("z"), preferred);
    let merged = merge(&domains, &preferring);
    assert_eq!(pid(&merged, "192.0.2.1").as_deref(), Some("z:p0"));
    assert_eq!(group(&merged, "x:p0"), Vec::<String>::new());
    let counts = &merged.conflicts.counts()[&MergeConflictKind::EqualPrefix];
    assert_eq!(*counts, BTreeMap::from([(label("x"), 1), (label("y"), 1)]));
}

#[test]
fn the_longest_prefix_decides_and_the_overlap_is_listed_once() {
    let own = Stated::new("us", &[]);
    let wide = Stated::new("wide", &[&["23.0.0.0/8"], &["23.1.0.0/16"]]);
    let narrow = Stated::new("narrow", &[&["23.1.2.0/24", "23.1.2.0/25"]]);
    let merged = merge(&[own, wide, narrow], &policy());
    assert_eq!(pid(&merged, "23.1.2.1").as_deref(), Some("narrow:p0"));
    assert_eq!(pid(&merged, "23.1.3.1").as_deref(), Some("wide:p1"));
    assert_eq!(
        listed(&merged),
        [one(
            MergeConflictKind::OverlappingPrefix,
            "narrow",
            "23.1.2.0/24"
        )]
    );
}

#[test]
fn a_pid_that_loses_all_its_prefixes_stays_with_its_costs() {
    let own = Stated::new("us", &[&["10.0.0.0/8"]]);
    let mut other = Stated::new("x", &[&["10.1.0.0/16"], &[]]);
    other.costs.insert(
        "routingcost",
        vec![Some(0.0), Some(7.0), Some(7.0), Some(0.0)],
    );
    let merged = merge(&[own, other], &policy());
    assert_eq!(group(&merged, "x:p0"), Vec::<String>::new());
    let (src, dst) = (index(&merged, "x", 0), index(&merged, "x", 1));
    assert_eq!(
        cell(&merged.view.costs()[&metric("routingcost")], src, dst),
        Some(7.0)
    );
}

#[test]
fn what_only_completes_a_map_is_no_fact_and_the_uncovered_belongs_to_default() {
    // `a` is before `default`, `own` after it.
    let own = Stated::new("us", &[&["10.0.0.0/8"], &["0.0.0.0/0"]]);
    let own = own.domain_with(PropertyMap::new(), [Some(1), None], None);
    let other = Stated::new("a", &[&["192.0.2.0/24", "2001:db8::/32"]]);
    let merged = merged_view(&[own, other.domain()], &policy(), None);
    assert_eq!(group(&merged, "us:p1"), Vec::<String>::new());
    assert_eq!(group(&merged, "default"), ["0.0.0.0/0", "::/0"]);
    assert_eq!(pid(&merged, "8.8.8.8").as_deref(), Some("default"));
    assert_eq!(pid(&merged, "2002::1").as_deref(), Some("default"));
    assert_eq!(pid(&merged, "10.0.0.1").as_deref(), Some("us:p0"));
    assert_eq!(pid(&merged, "192.0.2.1").as_deref(), Some("a:p0"));
    assert_eq!(merged.conflicts.total(), 0);
    let names: Vec<_> = merged
        .view
        .network()
        .pids()
        .names()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["a:p0", "default", "us:p0", "us:p1"]);
}

#[test]
fn at_most_a_thousand_conflicts_of_a_kind_are_listed_and_all_are_counted() {
    let own = Stated::new("us", &[&["10.0.0.0/8"]]);
    let prefixes: Vec<String> = (0..1200)
        .map(|n| format!("10.{}.{}.0/24", n / 256, n % 256))
        .collect();
    let mut other = Stated::new("x", &[&[]]);
    other.prefixes[0] = prefixes.into_iter().map(|text| &*text.leak()).collect();
    let merged = merge(&[own, other], &policy());
    assert_eq!(merged.conflicts.listed().len(), 1000);
    assert_eq!(merged.conflicts.count(MergeConflictKind::OwnPrefix), 1200);
}

fn off_net(mut domain: Stated, pids: &[usize]) -> Stated {
    domain.off_net = pids.iter().copied().collect();
    domain
}

#[test]
fn how_a_network_reaches_another_takes_nothing_from_it() {
    // `us` reaches `b` by its PID p1, and says so.
    let own = off_net(
        Stated::new(
            "us",
            &[
                &["23.1.0.0/16"],
                &["198.51.100.0/22", "45.0.0.0/8"],
                &["0.0.0.0/0"],
            ],
        ),
        &[1],
    );
    let b = Stated::new("b", &[&["198.51.100.0/24", "198.51.101.0/24"]]);
    let merged = merge(&[own, b], &policy());
    assert_eq!(pid(&merged, "198.51.101.1").as_deref(), Some("b:p0"));
    assert_eq!(pid(&merged, "198.51.102.1").as_deref(), Some("us:p1"));
    assert_eq!(pid(&merged, "45.1.2.3").as_deref(), Some("us:p1"));
    assert_eq!(pid(&merged, "8.8.8.8").as_deref(), Some("us:p2"));
    assert_eq!(group(&merged, "us:p1"), ["45.0.0.0/8", "198.51.100.0/22"]);
    assert_eq!(merged.conflicts.total(), 0);
    assert_eq!(merged.off_net, 0);
}

#[test]
fn off_net_prefixes_of_others_and_held_ones_of_ours_are_not_used() {
    let own = off_net(
        Stated::new("us", &[&["23.1.0.0/16"], &["23.2.3.0/24"]]),
        &[1],
    );
    let b = Stated::new(
        "b",
        &[
            &["23.2.0.0/16"],
            &["45.0.0.0/8", "23.1.9.0/24"],
            &["0.0.0.0/0"],
        ],
    );
    let merged = merge(&[own, off_net(b, &[1])], &policy());
    assert_eq!(pid(&merged, "23.2.3.1").as_deref(), Some("b:p0"));
    assert_eq!(pid(&merged, "45.1.2.3").as_deref(), Some("default"));
    assert_eq!(pid(&merged, "23.1.9.1").as_deref(), Some("us:p0"));
    for pid in ["us:p1", "b:p1", "b:p2"] {
        assert_eq!(group(&merged, pid), Vec::<String>::new(), "{pid}");
    }
    assert_eq!(merged.conflicts.total(), 0);
    assert_eq!(merged.off_net, 3);
}

#[test]
fn what_a_plain_server_states_outside_of_its_prefixes_is_off_net() {
    let own = Stated::new("us", &[&["23.1.0.0/16"]]);
    let mut plain = Stated::new(
        "x",
        &[&["198.51.100.0/24"], &["198.51.0.0/16", "45.0.0.0/8"]],
    );
    plain.is_plain = true;
    let mut policy = policy();
    let merged = merge(&[own.clone(), plain.clone()], &policy);
    assert_eq!(pid(&merged, "45.1.2.3").as_deref(), Some("x:p1"));
    policy.domains.entry(label("x")).or_default().off_net = [super::world::pid(1)].into();
    let named = merge(&[own.clone(), plain.clone()], &policy);
    may_speak_for(&mut policy, "x", &["198.51.100.0/24"]);
    for merged in [named, merge(&[own, plain], &policy)] {
        assert_eq!(pid(&merged, "198.51.100.1").as_deref(), Some("x:p0"));
        assert_eq!(pid(&merged, "45.1.2.3").as_deref(), Some("default"));
        assert_eq!(merged.off_net, 2);
        assert_eq!(merged.conflicts.total(), 0);
    }
}

#[test]
fn a_site_with_two_networks_is_reached_over_the_nearer_one() {
    const SITE: &str = "203.0.113.0/24";
    let mut own = Stated::new("us", &[&["23.1.0.0/16"]]);
    let [mut b, mut c] = ["b", "c"].map(|label| Stated::new(label, &[&[], &[SITE]]));
    for (domain, cost) in [(&mut b, 500.0), (&mut c, 2.0)] {
        let costs = vec![Some(0.0), Some(cost), Some(cost), Some(0.0)];
        domain.costs.insert("routingcost", costs);
        own.links
            .insert(format!("x-{}", domain.label), link(domain.label, 0, 0));
        domain
            .links
            .insert(format!("x-{}", domain.label), link("us", 0, 0));
    }
    let mut policy = policy();
    let domains = [own, b, c];
    // Nobody is known to hold it: the first label has it.
    let merged = merge(&domains, &policy);
    assert_eq!(pid(&merged, "203.0.113.1").as_deref(), Some("b:p1"));
    assert_eq!(merged.conflicts.count(MergeConflictKind::EqualPrefix), 1);
    may_speak_for(&mut policy, "c", &[SITE]);
    let merged = merge(&domains, &policy);
    assert_eq!(pid(&merged, "203.0.113.1").as_deref(), Some("c:p1"));
    may_speak_for(&mut policy, "b", &[SITE]);
    let merged = merge(&domains, &policy);
    let site = multi(&["b:p1", "c:p1"]);
    assert_eq!(pid(&merged, "203.0.113.1"), Some(site.clone()));
    assert_eq!(group(&merged, &site), [SITE]);
    assert_eq!(merged.conflicts.total(), 0);
    let costs = &merged.view.costs()[&metric("routingcost")];
    let at = |name: &str| merged.view.network().pids().get(name).expect("a PID");
    let site = at(&site);
    assert_eq!(cell(costs, index(&merged, "us", 0), site), Some(3.0));
    // The word of a domain about itself is final.
    assert_eq!(cell(costs, index(&merged, "b", 0), site), Some(500.0));
    let holders = merged.paths.search(index(&merged, "us", 0), site).holders();
    let [None, Some(holder)] = holders else {
        panic!("{holders:?}");
    };
    assert_eq!((holder.domain, holder.pid.as_str()), (label("c"), "p1"));
}

#[test]
fn what_is_ours_is_shared_with_those_whom_policy_says_it_is_shared_with() {
    let own = Stated::new("us", &[&["23.1.0.0/16", "23.2.0.0/16"]]);
    let other = Stated::new("x", &[&["23.1.0.0/16", "23.1.7.0/24", "23.2.7.0/24"]]);
    let mut policy = policy();
    may_speak_for(&mut policy, "x", &["23.1.0.0/16"]);
    let merged = merge(&[own, other], &policy);
    let both = multi(&["us:p0", "x:p0"]);
    assert_eq!(pid(&merged, "23.1.0.1"), Some(both.clone()));
    assert_eq!(pid(&merged, "23.1.7.1").as_deref(), Some("x:p0"));
    assert_eq!(pid(&merged, "23.2.7.1").as_deref(), Some("us:p0"));
    assert_eq!(group(&merged, &both), ["23.1.0.0/16"]);
    assert_eq!(
        listed(&merged),
        [one(MergeConflictKind::OutsidePrefix, "x", "23.2.7.0/24")]
    );
}

#[test]
fn beyond_the_room_for_sets_the_first_holder_has_the_prefix() {
    let own = Stated::new("us", &[&["23.1.0.0/16"]]);
    let nets: &[&str] = &["198.51.100.0/24", "198.51.101.0/24"];
    let [b, c] = ["b", "c"].map(|label| Stated::new(label, &[&nets[..1], &nets[1..]]));
    let mut policy = policy();
    policy.max_multi_pids = 1;
    for domain in ["b", "c"] {
        may_speak_for(&mut policy, domain, nets);
    }
    policy.domains.entry(label("c")).or_default().preference = 1;
    let merged = merge(&[own, b, c], &policy);
    assert_eq!(pid(&merged, "198.51.100.1"), Some(multi(&["b:p0", "c:p0"])));
    assert_eq!(pid(&merged, "198.51.101.1").as_deref(), Some("c:p1"));
    assert_eq!(
        listed(&merged),
        [one(
            MergeConflictKind::ExcessHolders,
            "b",
            "198.51.101.0/24"
        )]
    );
}

fn link(peer: &'static str, border: usize, peer_border: usize) -> StatedLink {
    StatedLink {
        border,
        peer,
        peer_border,
        relationship: Relationship::Open,
        costs: BTreeMap::from([("routingcost", 1.0)]),
    }
}

#[test]
fn an_interconnect_is_used_when_both_sides_declare_it_alike() {
    let mut own = Stated::new("us", &[&[], &[]]);
    let mut other = Stated::new("x", &[&[], &[]]);
    let mut declare = |id: &str, here: Option<StatedLink>, there: Option<StatedLink>| {
        own.links.extend(here.map(|link| (id.to_owned(), link)));
        other.links.extend(there.map(|link| (id.to_owned(), link)));
    };
    declare("agreed", Some(link("x", 0, 1)), Some(link("us", 1, 0)));
    declare("one-sided", Some(link("x", 0, 1)), None);
    declare("elsewhere", Some(link("x", 0, 1)), Some(link("us", 0, 0)));
    declare("nowhere", Some(link("x", 0, 9)), Some(link("us", 9, 0)));
    declare("unseen", None, Some(link("y", 0, 0)));
    declare("unmet", Some(link("x", 0, 1)), Some(link("y", 1, 0)));
    declare("itself", Some(link("us", 0, 1)), None);
    let merged = merge(&[own, other], &policy());
    let standings = merged.interconnects.iter().map(|standing| {
        let side = (standing.id.to_string(), standing.domain.to_string());
        (side, standing.state)
    });
    let side = |id: &str, domain: &str, state| ((id.to_owned(), domain.to_owned()), state);
    assert_eq!(
        standings.collect::<BTreeMap<_, _>>(),
        BTreeMap::from([
            side("agreed", "us", InterconnectState::Confirmed),
            side("agreed", "x", InterconnectState::Confirmed),
            side("one-sided", "us", InterconnectState::Pending),
            side("elsewhere", "us", InterconnectState::Differing),
            side("elsewhere", "x", InterconnectState::Differing),
            side("nowhere", "us", InterconnectState::Differing),
            side("nowhere", "x", InterconnectState::Differing),
            side("unseen", "x", InterconnectState::Unseen),
            side("unmet", "us", InterconnectState::Differing),
            side("unmet", "x", InterconnectState::Unseen),
            side("itself", "us", InterconnectState::Differing),
        ])
    );
    assert_eq!(
        merged
            .conflicts
            .count(MergeConflictKind::PendingInterconnect),
        1
    );
    assert_eq!(
        merged
            .conflicts
            .count(MergeConflictKind::UnseenInterconnect),
        2
    );
    assert_eq!(
        merged
            .conflicts
            .count(MergeConflictKind::DifferingInterconnect),
        6
    );
}

#[test]
fn a_domain_that_cannot_be_joined_is_left_out_and_reported() {
    let own = Stated::new("us", &[&[]]).domain();
    let again = Domain {
        view: Stated::new("us", &[&[], &[]]).domain().view,
        digest: crate::ident::Tag::new("~").expect("a tag"),
        ..own.clone()
    };
    let merged = merged_view(&[again, own], &policy(), None);
    assert_eq!(merged.view.network().pids().len(), 1);
    assert_eq!(merged.conflicts.count(MergeConflictKind::Domain), 1);
}

#[test]
fn our_domain_alone_keeps_its_map_and_another_alone_is_judged() {
    let prefixes: &[&[&'static str]] = &[&["10.0.0.0/8", "22.0.0.0/7"], &["192.0.2.0/24"]];
    let us = merge(&[Stated::new("us", prefixes)], &policy());
    assert_eq!(group(&us, "us:p0"), ["10.0.0.0/8", "22.0.0.0/7"]);
    assert_eq!(pid(&us, "10.1.2.3").as_deref(), Some("us:p0"));
    assert_eq!(pid(&us, "192.0.2.9").as_deref(), Some("us:p1"));
    assert_eq!(listed(&us), []);
    let other = merge(&[Stated::new("x", prefixes)], &policy());
    assert_eq!(group(&other, "x:p0"), ["10.0.0.0/8"]);
    assert_eq!(pid(&other, "192.0.2.9").as_deref(), Some("x:p1"));
    assert_eq!(
        listed(&other),
        [
            one(MergeConflictKind::ShortPrefix, "x", "22.0.0.0/7"),
            one(MergeConflictKind::PrivatePrefix, "x", "10.0.0.0/8"),
        ]
    );
}
