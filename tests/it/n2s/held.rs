//! A source whose write removes too much of what it states.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use altofed::runtime::Clock;

use crate::support::{Answer, JSON, NOC, NOC2, OPS, TestNode, metric};

const BRAKE: &str = "[source.noc]\nmax_removed = 0.5\n";

/// Makes a map with this many prefixes in one PID, and one PID that stays.
fn prefixes(count: u8) -> Value {
    let prefixes: Vec<String> = (0..count).map(|n| format!("10.{n}.0.0/16")).collect();
    json!({"network-map": {"ams": {"ipv4": prefixes}, "fra": {"ipv4": ["192.0.2.0/24"]}}})
}

async fn put(node: &TestNode, path: &str, body: &Value) -> Answer {
    node.n2s(NOC, Method::PUT, path, Some(body)).send().await
}

async fn stated(node: &TestNode) -> usize {
    let map = node.stated("network-map").await.json();
    map["network-map"]["ams"]["ipv4"]
        .as_array()
        .map_or(0, Vec::len)
}

async fn held(node: &TestNode) -> Value {
    node.stated("held").await.ok(JSON)["held"].take()
}

#[tokio::test]
async fn a_write_that_takes_too_much_is_refused_with_the_difference_and_taken_when_it_is_meant() {
    let node = TestNode::with(BRAKE).await;
    assert!(
        put(&node, "network-map", &prefixes(20))
            .await
            .status
            .is_success()
    );
    let few = prefixes(4);
    // A dry run says so, and is not remembered.
    let problem = put(&node, "network-map?dry-run=true", &few)
        .await
        .problem(409, &[]);
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("16 of 21 prefixes go")
    );
    assert_eq!(held(&node).await, json!([]));
    let problem = put(&node, "network-map", &few).await.problem(409, &[]);
    let detail = problem["detail"].as_str().expect("text");
    for words in [
        "16 of 21 prefixes go",
        "max_removed",
        "accept=true",
        "nothing was changed",
    ] {
        assert!(detail.contains(words), "{words}: {detail}");
    }
    assert_eq!(stated(&node).await, 20);
    let listed = held(&node).await;
    assert_eq!(listed[0]["source"], "noc");
    assert_eq!(
        listed[0]["difference"]["prefixes"],
        json!({"of": 21, "removed": 16})
    );
    assert!(listed[0]["until"].is_string(), "{listed}");
    let metrics = node.request(Method::GET, "/metrics").token(OPS);
    let shown = metrics.send().await;
    assert_eq!(
        metric(shown.text(), "altofed_ingest_held{source=\"noc\"}"),
        1.0
    );
    // The same holds for a transaction, a patch or a deletion.
    let gone = node
        .n2s(NOC, Method::DELETE, "network-map", None)
        .send()
        .await;
    gone.problem(409, &[]);
    let patch = json!({"network-map": {"ams": null}});
    let patched = node.n2s(NOC, Method::PATCH, "network-map", Some(&patch));
    patched.send().await.problem(409, &[]);
    let withdrawn: Vec<String> = (0..16).map(|n| format!("10.{n}.0.0/16")).collect();
    let operations = json!({"operations": [
        {"op": "withdraw", "path": "network-map", "value": {"ams": withdrawn}},
    ]});
    let request = node.n2s(NOC, Method::POST, "transaction", Some(&operations));
    request.send().await.problem(409, &[]);
    // Another source has no brake.
    let other = json!({"network-map": {"par": {"ipv4": ["203.0.113.0/24"]}}});
    let request = node.n2s(NOC2, Method::PUT, "network-map", Some(&other));
    assert!(request.send().await.status.is_success());

    let meant = put(&node, "network-map?accept=true", &few).await;
    assert_eq!(meant.status, 200, "{meant:?}");
    assert_eq!((stated(&node).await, held(&node).await), (4, json!([])));
}

#[tokio::test]
async fn small_steps_of_a_source_count_together_and_what_is_stated_again_is_held_no_more() {
    let node = TestNode::with(BRAKE).await;
    for count in [20, 15, 12] {
        assert!(
            put(&node, "network-map", &prefixes(count))
                .await
                .status
                .is_success()
        );
    }
    put(&node, "network-map", &prefixes(9))
        .await
        .problem(409, &[]);
    assert_eq!(stated(&node).await, 12);
    let more = put(&node, "network-map", &prefixes(13)).await;
    assert_eq!(more.status, 200, "{more:?}");
    assert_eq!(held(&node).await, json!([]));
}

#[tokio::test]
async fn after_its_time_a_write_of_a_source_is_taken() {
    let (clock, hand) = Clock::manual("2026-11-30T12:00:00Z".parse().expect("a time"));
    let node = TestNode::clocked(clock, BRAKE).await;
    assert!(
        put(&node, "network-map", &prefixes(20))
            .await
            .status
            .is_success()
    );
    put(&node, "network-map", &prefixes(4))
        .await
        .problem(409, &[]);
    hand.advance(Duration::from_secs(3599));
    put(&node, "network-map", &prefixes(3))
        .await
        .problem(409, &[]);
    assert_eq!(held(&node).await[0]["since"], "2026-11-30T12:00:00Z");
    hand.advance(Duration::from_secs(1));
    // A write that removes much more is held anew.
    put(&node, "network-map", &prefixes(0))
        .await
        .problem(409, &[]);
    hand.advance(Duration::from_secs(3600));
    let taken = put(&node, "network-map", &prefixes(1)).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!((stated(&node).await, held(&node).await), (1, json!([])));
    // Later writes are compared with that one.
    assert_eq!(put(&node, "network-map", &prefixes(2)).await.status, 200);
}
