//! Who may speak for what in the merged view.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::json;

use crate::alto::property::{Entity, PropertyMap};
use crate::compile::{
    Domain, DomainPolicy, InterconnectState, MergeConflictKind, MergePolicy, Merged, Relationship,
    merged_view,
};
use crate::ident::PropertyName;

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

/// The PID that holds an address, by name.
fn pid(merged: &Merged, address: &str) -> Option<String> {
    let address: IpAddr = address.parse().expect("an address");
    let network = merged.view.network();
    let pid = network.pids().name(network.pid_of(address)?)?;
    Some(pid.to_string())
}

/// The prefixes that a PID has in the merged map.
fn group(merged: &Merged, name: &str) -> Vec<String> {
    let network = merged.view.network();
    let pid = network.pids().get(name).expect("a PID");
    let group = network.group(pid).expect("a group");
    group.prefixes().map(|net| net.to_string()).collect()
}

/// The listed conflicts, each as kind, domain and subject.
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
    assert_eq!(
        listed(&merged),
        [
            one(MergeConflictKind::DefaultPrefix, "x", "0.0.0.0/0"),
            one(MergeConflictKind::DefaultPrefix, "x", "::/0"),
        ]
    );
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
    let own = Stated::new("us", &[&["10.1.0.0/16", "0.0.0.0/0"]]);
    let other = Stated::new(
        "x",
        &[
            &["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8"],
            &["10.2.0.0/16"],
        ],
    );
    let merged = merge(&[own, other], &policy());
    assert_eq!(group(&merged, "x:p0"), ["10.0.0.0/8"]);
    assert_eq!(group(&merged, "x:p1"), ["10.2.0.0/16"]);
    assert_eq!(pid(&merged, "10.1.2.3").as_deref(), Some("us:p0"));
    assert_eq!(pid(&merged, "10.9.2.3").as_deref(), Some("x:p0"));
    assert_eq!(
        listed(&merged),
        [
            one(MergeConflictKind::OwnPrefix, "x", "10.1.0.0/16"),
            one(MergeConflictKind::OwnPrefix, "x", "10.1.2.0/24"),
            one(MergeConflictKind::OverlappingPrefix, "us", "10.1.0.0/16"),
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
    let [conflict] = merged.conflicts.listed() else {
        panic!("{:?}", merged.conflicts.listed());
    };
    assert_eq!(conflict.kind, MergeConflictKind::ForeignPrefix);
    assert_eq!(conflict.other, Some(label("y")));
    assert_eq!(
        conflict.detail,
        "203.0.113.0/24 is configured for another domain"
    );
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
    let wide = Stated::new("wide", &[&["10.0.0.0/8"], &["10.1.0.0/16"]]);
    let narrow = Stated::new("narrow", &[&["10.1.2.0/24", "10.1.2.0/25"]]);
    let merged = merge(&[own, wide, narrow], &policy());
    assert_eq!(pid(&merged, "10.1.2.1").as_deref(), Some("narrow:p0"));
    assert_eq!(pid(&merged, "10.1.3.1").as_deref(), Some("wide:p1"));
    assert_eq!(
        listed(&merged),
        [one(
            MergeConflictKind::OverlappingPrefix,
            "narrow",
            "10.1.2.0/24"
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
    // `a` stands before `default`, `own` after it.
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
fn properties_join_where_the_domain_may_speak_for_the_prefix() {
    let stated = |entities: &[(&str, &str)]| {
        let name = PropertyName::new("priv:n").expect("a name");
        let entities = entities.iter().map(|(entity, value)| {
            let entity = Entity::parse(entity).expect("an entity");
            (entity, BTreeMap::from([(name.clone(), json!(value))]))
        });
        entities.collect::<PropertyMap>()
    };
    let domain = |label, prefixes: &[&'static str], properties| {
        Stated::new(label, &[prefixes]).domain_with(properties, [None; 2], None)
    };
    let domains = [
        domain(
            "us",
            &["10.0.0.0/8"],
            stated(&[("pid:p0", "us"), ("ipv4:172.16.0.0/12", "us")]),
        ),
        domain(
            "x",
            &["192.0.2.0/24"],
            stated(&[
                ("pid:p0", "x"),
                ("ipv4:10.1.0.0/16", "x"),
                ("ipv4:0.0.0.0/0", "x"),
                ("ipv4:172.16.0.0/12", "x"),
                ("ipv4:192.0.2.0/25", "x"),
                ("ipv4:198.51.100.1", "x"),
            ]),
        ),
        domain(
            "y",
            &[],
            stated(&[("ipv4:192.0.2.0/25", "y"), ("ipv4:198.51.100.0/24", "y")]),
        ),
    ];
    let mut policy = policy();
    may_speak_for(&mut policy, "y", &["198.51.100.0/24", "192.0.2.0/24"]);
    let merged = merged_view(&domains, &policy, None);
    let get = |address: &str| {
        let address = address.parse().expect("an address");
        merged
            .view
            .properties()
            .get(address, "priv:n")
            .map(str::to_owned)
    };
    assert_eq!(get("10.1.0.1"), None);
    assert_eq!(get("172.16.0.1").as_deref(), Some("us"));
    assert_eq!(get("192.0.2.1").as_deref(), Some("y"));
    assert_eq!(get("198.51.100.1").as_deref(), Some("y"));
    let entities: Vec<_> = merged
        .view
        .properties()
        .map()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert!(
        entities.contains(&"pid:us:p0".to_owned()) && entities.contains(&"pid:x:p0".to_owned())
    );
    assert_eq!(merged.conflicts.count(MergeConflictKind::Property), 4);
}
