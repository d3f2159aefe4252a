//! A delta equals a rebuild: compiling with the previous result at hand gives the same as
//! compiling from scratch.

use std::collections::BTreeMap;
use std::sync::Arc;

use altofed::compile::{Compiled, Domain, MergePolicy, Merged, domain_view, merged_view};
use altofed::facts::{DocumentPath, EditKind, Facts, Limits, Policy, Reader};
use altofed::ident::{DomainLabel, SourceName};
use altofed::ingest::{FactsAtRevision, OperationKind, apply, read_operation};
use altofed::publish::View;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A change that one of two sources makes.
#[derive(Debug, Clone)]
struct Step {
    source: &'static str,
    kind: OperationKind,
    path: &'static str,
    body: Value,
}

const PREFIXES: [&str; 8] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "192.0.2.0/24",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "::/0",
];

fn pid() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", Just("default".to_owned())]
}

fn group() -> impl Strategy<Value = Value> {
    prop::sample::subsequence(PREFIXES.to_vec(), 0..4).prop_map(|prefixes| {
        let (v6, v4): (Vec<&str>, Vec<&str>) = prefixes.into_iter().partition(|p| p.contains(':'));
        json!({"ipv4": v4, "ipv6": v6})
    })
}

fn body(path: &'static str) -> BoxedStrategy<Value> {
    let by_pid = |member: &'static str, value: BoxedStrategy<Value>| {
        prop::collection::btree_map(pid(), value, 0..4)
            .prop_map(move |map| json!({member: map}))
            .boxed()
    };
    match path {
        "network-map" => by_pid("network-map", group().boxed()),
        "properties" => {
            let entity = prop_oneof![
                pid().prop_map(|pid| format!("pid:{pid}")),
                Just("ipv4:10.1.0.0/16".to_owned())
            ];
            prop::collection::btree_map(entity, (0..3u8).prop_map(|n| json!({"priv:n": n})), 0..3)
                .prop_map(|map| json!({"property-map": map}))
                .boxed()
        }
        _ => {
            let row = prop::collection::btree_map(pid(), 0..9u8, 0..4);
            by_pid("cost-map", row.prop_map(|row| json!(row)).boxed())
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let path = prop::sample::select(vec![
        "network-map",
        "cost-maps/routingcost",
        "cost-maps/hopcount",
        "properties",
    ]);
    let kind = prop::sample::select(vec![
        OperationKind::Put,
        OperationKind::Put,
        OperationKind::Edit(EditKind::MergePatch),
        OperationKind::Delete,
    ]);
    let source = prop::sample::select(vec!["noc", "probe"]);
    (source, kind, path).prop_flat_map(|(source, kind, path)| {
        body(path).prop_map(move |body| Step {
            source,
            kind,
            path,
            body,
        })
    })
}

/// Returns the facts after a step; the same facts if the step is refused.
fn after(current: &FactsAtRevision, step: &Step) -> FactsAtRevision {
    let limits = Limits::default();
    let reader = Reader {
        domain: &current.policy.domain,
        limits: &limits,
    };
    let path = DocumentPath::parse(step.path).expect("a path");
    let text = step.body.to_string();
    let Ok(operation) = read_operation(reader, step.kind, path, text.as_bytes()) else {
        return current.clone();
    };
    let source = SourceName::new(step.source).expect("a name");
    match apply(current, &limits, &source, vec![operation]) {
        Ok(applied) => applied.after,
        Err(_) => current.clone(),
    }
}

fn compile(current: &FactsAtRevision, former: Option<&(Compiled, Merged)>) -> (Compiled, Merged) {
    let FactsAtRevision {
        facts,
        union,
        policy,
    } = current;
    let domain = domain_view(
        facts,
        union,
        policy,
        Timestamp::UNIX_EPOCH,
        former.map(|f| &f.0),
    );
    let own = Domain::new(
        policy.domain.clone(),
        domain.view.clone(),
        domain.interconnects.clone(),
        domain.digest.clone(),
    );
    let merge = MergePolicy::new(policy.domain.clone());
    let merged = merged_view(&[own], &merge, former.map(|f| &f.1));
    (domain, merged)
}

/// Returns every full map of a view, by path, with its tag.
fn bodies(view: &Arc<View>) -> BTreeMap<String, (String, String)> {
    let mut bodies = BTreeMap::new();
    for resource in view.catalog().iter() {
        let Some(rendering) = view.rendering(resource) else {
            continue;
        };
        let (version, body) = rendering.finish(usize::MAX);
        let known = resource.marks.get_or_init(|| version.clone());
        assert_eq!(
            *known, version,
            "{}: a shared version is of other content",
            resource.id
        );
        let text = String::from_utf8(body.expect("no limit")).expect("text");
        bodies.insert(resource.path.clone(), (version.tag.to_string(), text));
    }
    bodies
}

proptest! {
    #[test]
    fn compiling_with_the_former_result_gives_what_compiling_from_scratch_gives(
        steps in prop::collection::vec(step(), 1..12), priority in -1..2i64,
    ) {
        let policy = Policy {
            domain: DomainLabel::new("isp-a").expect("a label"),
            priorities: BTreeMap::from([(SourceName::new("probe").expect("a name"), priority)]),
        };
        let mut current = FactsAtRevision::new(Arc::new(Facts::default()), policy);
        let mut former = compile(&current, None);
        for step in &steps {
            current = after(&current, step);
            let scratch = FactsAtRevision::new(current.facts.clone(), (*current.policy).clone());
            let fresh = compile(&scratch, None);
            let next = compile(&current, Some(&former));
            prop_assert_eq!(bodies(&next.0.view), bodies(&fresh.0.view));
            prop_assert_eq!(bodies(&next.1.view), bodies(&fresh.1.view));
            prop_assert_eq!(&next.0.conflicts, &fresh.0.conflicts);
            prop_assert_eq!(&next.0.interconnects, &fresh.0.interconnects);
            prop_assert_eq!(next.0.view.properties().map(), fresh.0.view.properties().map());
            for address in ["10.1.2.3", "10.9.9.9", "192.0.2.1", "8.8.8.8", "2001:db8:1::1", "2002::1"] {
                let address = address.parse().expect("an address");
                let pid = |view: &View| view.network().pid_of(address);
                prop_assert_eq!(pid(&next.0.view), pid(&fresh.0.view));
                prop_assert_eq!(pid(&next.1.view), pid(&fresh.1.view));
                // The merged view says the same about an address as the domain's view, except
                // where no prefix was stated.
                let named = |view: &View| pid(view).and_then(|pid| view.network().pids().name(pid).cloned());
                match (named(&next.0.view), named(&next.1.view)) {
                    (Some(own), Some(merged)) if merged.as_str() != "default" => {
                        prop_assert_eq!(format!("isp-a:{own}"), merged.to_string());
                    }
                    (Some(own), Some(_)) => prop_assert_eq!(own.as_str(), "default"),
                    (own, merged) => prop_assert_eq!(own.is_some(), merged.is_some()),
                }
            }
            former = next;
        }
    }
}
