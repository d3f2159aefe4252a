//! Who may state properties of whose addresses in the merged view.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::alto::property::{Entity, PropertyMap, PropertySet};
use crate::api::conflict::MergeConflictKind;
use crate::compile::{Domain, MergePolicy, Merged, merged_view};
use crate::ident::PropertyName;

use super::world::{Stated, label, net};

fn may_speak_for(policy: &mut MergePolicy, domain: &str, prefixes: &[&str]) {
    let of_domain = policy.domains.entry(label(domain)).or_default();
    of_domain.prefixes = Some(prefixes.iter().map(|text| net(text)).collect());
}

fn name(text: &str) -> PropertyName {
    PropertyName::new(text).expect("a name")
}

/// Returns a map with the property `priv:n` of entities.
fn stated(entities: &[(&str, &str)]) -> PropertyMap {
    let entities = entities.iter().map(|(entity, value)| {
        let entity = Entity::parse(entity).expect("an entity");
        (entity, BTreeMap::from([(name("priv:n"), json!(value))]))
    });
    entities.collect()
}

fn domain(label: &'static str, prefixes: &[&'static str], properties: PropertyMap) -> Domain {
    Stated::new(label, &[prefixes]).domain_with(properties, [None; 2], None)
}

/// Returns the property `priv:n` of an address.
fn get(merged: &Merged, address: &str) -> Option<String> {
    let address = address.parse().expect("an address");
    let value = merged.view.properties().get(address, "priv:n");
    value.map(str::to_owned)
}

/// Returns the properties that the map has of a prefix.
fn set_of(merged: &Merged, prefix: &str) -> Option<PropertySet> {
    let entity = Entity::Prefix(net(prefix));
    merged.view.properties().map().get(&entity).cloned()
}

#[test]
fn properties_join_where_the_domain_may_speak_for_the_prefix() {
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
    let mut policy = MergePolicy::new(label("us"));
    may_speak_for(&mut policy, "y", &["198.51.100.0/24", "192.0.2.0/24"]);
    let merged = merged_view(&domains, &policy, None);
    assert_eq!(get(&merged, "10.1.0.1"), None);
    assert_eq!(get(&merged, "172.16.0.1").as_deref(), Some("us"));
    assert_eq!(get(&merged, "192.0.2.1").as_deref(), Some("y"));
    assert_eq!(get(&merged, "198.51.100.1").as_deref(), Some("y"));
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

#[test]
fn what_is_said_of_a_prefix_does_not_hold_for_addresses_of_others_inside_it() {
    let domains = [
        domain("us", &["20.1.0.0/16", "20.1.7.0/24"], PropertyMap::new()),
        domain(
            "x",
            &[],
            stated(&[("ipv4:20.0.0.0/8", "x"), ("ipv4:20.3.0.0/16", "x3")]),
        ),
        domain("h", &[], stated(&[("ipv4:20.77.5.0/24", "h")])),
    ];
    let mut policy = MergePolicy::new(label("us"));
    may_speak_for(&mut policy, "h", &["20.77.0.0/16"]);
    let merged = merged_view(&domains, &policy, None);
    assert_eq!(get(&merged, "20.2.0.1").as_deref(), Some("x"));
    assert_eq!(get(&merged, "20.3.0.1").as_deref(), Some("x3"));
    assert_eq!(get(&merged, "20.1.0.1"), None);
    assert_eq!(get(&merged, "20.1.7.1"), None);
    assert_eq!(get(&merged, "20.77.9.1"), None);
    assert_eq!(get(&merged, "20.77.5.1").as_deref(), Some("h"));
    // With these nulls, clients find the same.
    let null = PropertySet::from([(name("priv:n"), Value::Null)]);
    assert_eq!(set_of(&merged, "20.1.0.0/16"), Some(null.clone()));
    assert_eq!(set_of(&merged, "20.77.0.0/16"), Some(null));
    assert_eq!(set_of(&merged, "20.1.7.0/24"), None);
    assert_eq!(merged.conflicts.count(MergeConflictKind::Property), 2);
}

#[test]
fn of_several_holders_the_properties_of_the_first_count() {
    const SITE: &str = "203.0.113.0/24";
    let of_site = |value| stated(&[("ipv4:203.0.113.0/24", value)]);
    let wide = stated(&[("ipv4:203.0.112.0/22", "wide"), ("ipv4:203.0.113.9", "b9")]);
    let domains = [
        domain("us", &[SITE, "20.1.0.0/16"], of_site("us")),
        domain("b", &[SITE, "20.1.7.0/24"], wide),
        domain("c", &[SITE], of_site("c")),
    ];
    let mut policy = MergePolicy::new(label("us"));
    may_speak_for(&mut policy, "b", &["203.0.112.0/22", SITE, "20.1.7.0/24"]);
    may_speak_for(&mut policy, "c", &[SITE]);
    // `b` is first by its label, and what it states around the prefix is its word too.
    let merged = merged_view(&domains, &policy, None);
    assert_eq!(get(&merged, "203.0.113.1").as_deref(), Some("wide"));
    assert_eq!(get(&merged, "203.0.113.9").as_deref(), Some("b9"));
    policy.domains.entry(label("c")).or_default().preference = 1;
    let merged = merged_view(&domains, &policy, None);
    assert_eq!(get(&merged, "203.0.113.1").as_deref(), Some("c"));
    assert_eq!(get(&merged, "203.0.113.9").as_deref(), Some("c"));
    assert_eq!(get(&merged, "203.0.112.1").as_deref(), Some("wide"));
    policy.domains.entry(label("us")).or_default().preference = 2;
    let merged = merged_view(&domains, &policy, None);
    assert_eq!(get(&merged, "203.0.113.1").as_deref(), Some("us"));
    assert_eq!(merged.conflicts.total(), 0);
}

#[test]
fn of_those_around_who_may_say_something_the_closest_counts() {
    let domains = [
        domain(
            "us",
            &["192.0.2.0/24"],
            stated(&[("ipv4:20.0.0.0/8", "us")]),
        ),
        domain("d", &[], stated(&[("ipv4:20.64.0.0/10", "d")])),
        domain("f", &[], stated(&[("ipv4:20.76.0.0/14", "f")])),
    ];
    let mut policy = MergePolicy::new(label("us"));
    may_speak_for(&mut policy, "d", &["20.64.0.0/10", "20.77.0.0/16"]);
    may_speak_for(&mut policy, "f", &["20.72.0.0/13"]);
    let merged = merged_view(&domains, &policy, None);
    assert_eq!(get(&merged, "20.65.0.1").as_deref(), Some("d"));
    assert_eq!(get(&merged, "20.73.0.1").as_deref(), Some("us"));
    assert_eq!(get(&merged, "20.76.0.1").as_deref(), Some("f"));
    assert_eq!(get(&merged, "20.77.0.1").as_deref(), Some("d"));
}

#[test]
fn what_would_be_taken_back_too_often_is_dropped() {
    let ours: Vec<&'static str> = (0..200)
        .map(|n| &*format!("20.1.{n}.0/24").leak())
        .collect();
    let names = |count: usize| -> PropertyMap {
        let names = (0..count).map(|n| (name(&format!("priv:n{n}")), json!(1)));
        let entity = Entity::Prefix(net("20.0.0.0/8"));
        PropertyMap::from([(entity, names.collect())])
    };
    let merged = |count| {
        let domains = [
            domain("us", &ours, PropertyMap::new()),
            domain("x", &[], names(count)),
            domain("y", &[], PropertyMap::new()),
        ];
        merged_view(&domains, &MergePolicy::new(label("us")), None)
    };
    // Half of 100,000 for each of two domains.
    let most = merged(250);
    assert_eq!(most.view.properties().map().len(), 201);
    assert_eq!(most.conflicts.count(MergeConflictKind::Property), 200);
    let more = merged(251);
    assert_eq!(more.view.properties().map().len(), 0);
    let [dropped] = more.conflicts.listed() else {
        panic!("{:?}", more.conflicts.listed());
    };
    assert_eq!(dropped.subject, "ipv4:20.0.0.0/8");
}
