//! Patches follow RFC 7396, compared with an independent implementation on trees.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{patch, put};
use crate::support::{NOC, TestNode};

/// RFC 7396 section 2, word for word.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let old = target.remove(name).unwrap_or(Value::Null);
            target.insert(name.clone(), merge_patch(old, value));
        }
    }
    Value::Object(target)
}

#[test]
fn the_examples_of_rfc_7396_come_out_as_it_says() {
    for (target, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (
            json!({"e": null}),
            json!({"a": 1}),
            json!({"e": null, "a": 1}),
        ),
        (
            json!([1, 2]),
            json!({"a": "b", "c": null}),
            json!({"a": "b"}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
    ] {
        assert_eq!(merge_patch(target, &patch), result);
    }
}

/// Makes an object with some of these names.
fn object(
    names: &'static [&'static str],
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Value> {
    let members = proptest::collection::btree_map(proptest::sample::select(names), value, 0..4);
    let object = members.prop_map(|members| {
        let members = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect())
    });
    object.boxed()
}

/// Puts `null` in some places where a patch may have it.
fn or_null(removing: bool, value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    if removing {
        prop_oneof![3 => value, 1 => Just(Value::Null)].boxed()
    } else {
        value
    }
}

const PIDS: &[&str] = &["a", "b", "c"];

fn network(patch: bool) -> BoxedStrategy<Value> {
    let nets = proptest::sample::subsequence(vec!["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"], 0..3);
    let nets = nets.prop_map(|nets| json!(nets)).boxed();
    let nets6 = proptest::sample::subsequence(vec!["2001:db8::/32", "2001:db9::/32"], 0..2);
    let nets6 = nets6.prop_map(|nets| json!(nets)).boxed();
    let family = (or_null(patch, nets), or_null(patch, nets6), 0..4u8);
    let group = family.prop_map(|(v4, v6, present)| {
        let mut group = json!({});
        if present & 1 != 0 {
            group["ipv4"] = v4;
        }
        if present & 2 != 0 {
            group["ipv6"] = v6;
        }
        group
    });
    object(PIDS, or_null(patch, group.boxed()))
}

fn costs(patch: bool) -> BoxedStrategy<Value> {
    let cost = (0..5u8).prop_map(|cost| json!(cost)).boxed();
    let row = object(PIDS, or_null(patch, cost));
    object(PIDS, or_null(patch, row))
}

fn properties(patch: bool) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        (0..3u8).prop_map(|number| json!(number)),
        Just(json!("x")),
        Just(json!([1, null, {"m": null}])),
    ];
    let value = leaf.prop_recursive(2, 8, 3, move |inner| {
        object(&["m", "n"], or_null(patch, inner.boxed()))
    });
    let set = object(&["priv:x", "priv:y"], or_null(patch, value.boxed()));
    let entities = &["pid:a", "pid:b", "ipv4:192.0.2.1", "ipv6:2001:db8::/32"];
    object(entities, or_null(patch, set))
}

fn interconnects(patch: bool) -> BoxedStrategy<Value> {
    let text = |choices: &'static [&'static str]| {
        let text = proptest::sample::select(choices).prop_map(|text| json!(text));
        or_null(patch, text.boxed())
    };
    let cost = (0..5u8).prop_map(|cost| json!(cost)).boxed();
    let costs = object(&["routingcost", "delay-ow"], or_null(patch, cost));
    let members = (
        text(PIDS),
        text(&["isp-b", "isp-c"]),
        text(&["x", "y"]),
        text(&["open", "peer"]),
        or_null(patch, costs),
        0..32u8,
    );
    let link = members.prop_map(
        move |(border, domain, peer, relationship, costs, present)| {
            let all = [
                ("border", border),
                ("peer-domain", domain),
                ("peer-border", peer),
                ("relationship", relationship),
                ("costs", costs),
            ];
            let chosen = all.into_iter().enumerate();
            let chosen = chosen.filter(|(bit, _)| !patch || present & (1 << bit) != 0);
            Value::Object(
                chosen
                    .map(|(_, (name, value))| (name.to_owned(), value))
                    .collect(),
            )
        },
    );
    object(&["l1", "l2"], or_null(patch, link.boxed()))
}

/// Patches a document, and puts what RFC 7396 makes of it: both must have the same result, or
/// both must be refused.
fn patching_is_putting_the_result(
    path: &str,
    member: &str,
    document: fn(bool) -> BoxedStrategy<Value>,
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let node = runtime.block_on(async {
        let node = TestNode::start().await;
        let pids = json!({"network-map": {"a": {}, "b": {}, "c": {}}});
        if path != "network-map" {
            node.put("network-map", &pids).await;
        }
        node
    });
    let there = proptest::option::weighted(0.9, document(false));
    let cases = Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(cases);
    let outcome = runner.run(&(there, document(true)), |(there, change)| {
        let change = json!({member: change});
        runtime.block_on(async {
            node.n2s(NOC, Method::DELETE, path, None).send().await;
            let before = match &there {
                Some(document) => {
                    let document = json!({member: document});
                    // A document with a duplicate prefix is not accepted in the first place.
                    if !put(&node, path, &document).await.status.is_success() {
                        return Err(TestCaseError::reject("no document"));
                    }
                    document
                }
                None => json!({}),
            };
            let patched = patch(&node, path, &change).await;
            let left = node.stated(path).await;
            let merged = merge_patch(before, &change);
            let replaced = put(&node, path, &merged).await;
            prop_assert_eq!(
                patched.status.is_success(),
                replaced.status.is_success(),
                "{:?} {:?}",
                patched,
                replaced
            );
            if replaced.status.is_success() {
                prop_assert_eq!(left.json(), node.stated(path).await.json());
                prop_assert_eq!(left.header("etag"), patched.header("etag"));
            }
            Ok(())
        })
    });
    outcome.expect("the rule holds");
}

#[test]
fn a_network_map_is_patched_as_rfc_7396_has_it() {
    patching_is_putting_the_result("network-map", "network-map", network);
}

#[test]
fn a_cost_map_is_patched_as_rfc_7396_has_it() {
    patching_is_putting_the_result("cost-maps/routingcost", "cost-map", costs);
}

#[test]
fn properties_are_patched_as_rfc_7396_has_it() {
    patching_is_putting_the_result("properties", "property-map", properties);
}

#[test]
fn interconnects_are_patched_as_rfc_7396_has_it() {
    patching_is_putting_the_result("interconnects", "interconnects", interconnects);
}

#[tokio::test]
async fn an_empty_patch_changes_nothing() {
    let node = super::stating().await;
    for (path, body) in super::documents() {
        let answer = patch(&node, path, &json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["changed"], json!([]));
        assert_eq!(node.stated(path).await.json(), body);
    }
}

#[tokio::test]
async fn a_patch_that_removes_the_content_is_refused() {
    let node = super::stating().await;
    for (path, body) in super::documents() {
        let member = body
            .as_object()
            .and_then(|body| body.keys().next())
            .cloned();
        let member = member.expect("a member");
        let answer = patch(&node, path, &json!({ &member: null })).await;
        answer.problem(400, &[&format!("/{member}")]);
    }
}
