//! Idempotency keys.

use std::time::Duration;

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::newest;
use crate::support::{Answer, JSON, NOC, NOC2, OPS, TestNode};

fn map(net: &str) -> Value {
    json!({"network-map": {"ams": {"ipv4": [net]}}})
}

async fn put(node: &TestNode, secret: &str, key: &str, body: &Value) -> Answer {
    let request = node.n2s(secret, Method::PUT, "network-map", Some(body));
    request.header("idempotency-key", key).send().await
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_even_after_a_restart() {
    let mut node = TestNode::start().await;
    let first = put(&node, NOC, "a", &map("10.0.0.0/8")).await;
    assert_eq!(first.status, 201);
    put(&node, NOC, "b", &map("11.0.0.0/8")).await.ok(JSON);
    for _ in 0..2 {
        let again = put(&node, NOC, "a", &map("10.0.0.0/8")).await;
        assert_eq!(again.status, first.status);
        assert_eq!(again.json(), first.json());
        for header in ["etag", "location"] {
            assert_eq!(again.header(header), first.header(header));
        }
        assert_eq!(newest(&node).await, 2);
        assert_eq!(node.stated("network-map").await.json(), map("11.0.0.0/8"));
        node.restart().await;
    }
}

#[tokio::test]
async fn a_key_that_was_given_with_another_request_is_refused() {
    let mut node = TestNode::start().await;
    put(&node, NOC, "a", &map("10.0.0.0/8")).await;
    for _ in 0..2 {
        let other = put(&node, NOC, "a", &map("11.0.0.0/8")).await;
        other.problem(409, &[]);
        let request = node.n2s(NOC, Method::DELETE, "network-map", None);
        let other = request.header("idempotency-key", "a").send().await;
        other.problem(409, &[]);
        let request = node.n2s(
            NOC,
            Method::PUT,
            "network-map?source=probe",
            Some(&map("10.0.0.0/8")),
        );
        let other = request.header("idempotency-key", "a").send().await;
        other.problem(409, &[]);
        node.restart().await;
    }
    assert_eq!(newest(&node).await, 1);
}

#[tokio::test]
async fn a_key_is_its_principals_own() {
    let node = TestNode::start().await;
    put(&node, NOC, "a", &map("10.0.0.0/8")).await;
    let other = put(&node, NOC2, "a", &map("11.0.0.0/8")).await;
    assert_eq!(other.status, 201, "{other:?}");
    assert_eq!(newest(&node).await, 2);
}

#[tokio::test]
async fn a_refused_write_and_a_dry_run_use_no_key_up() {
    let node = TestNode::start().await;
    put(&node, NOC, "a", &map("10.0.0.1/8"))
        .await
        .problem(422, &["/network-map/ams/ipv4/0"]);
    let dry = node.n2s(
        NOC,
        Method::PUT,
        "network-map?dry-run=true",
        Some(&map("12.0.0.0/8")),
    );
    assert_eq!(dry.header("idempotency-key", "a").send().await.status, 201);
    assert_eq!(put(&node, NOC, "a", &map("10.0.0.0/8")).await.status, 201);
}

#[tokio::test]
async fn transactions_and_restores_can_be_repeated_too() {
    let node = TestNode::start().await;
    node.put("network-map", &map("10.0.0.0/8")).await;
    let body = json!({"operations": [{"op": "announce", "path": "network-map",
        "value": {"ams": ["11.0.0.0/8"]}}]});
    let transact = || {
        let request = node.n2s(NOC, Method::POST, "transaction", Some(&body));
        request.header("idempotency-key", "t")
    };
    let restore = || {
        let request = node.n2s(OPS, Method::POST, "revisions/1/restore", None);
        request.header("idempotency-key", "r")
    };
    let first = transact().send().await.ok(JSON);
    let back = restore().send().await.ok(JSON);
    assert_eq!(
        (&first["revision"], &back["revision"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(transact().send().await.ok(JSON), first);
    assert_eq!(restore().send().await.ok(JSON), back);
    assert_eq!(newest(&node).await, 3);
    assert_eq!(node.stated("network-map").await.json(), map("10.0.0.0/8"));
}

#[tokio::test]
async fn a_write_that_changes_nothing_keeps_its_answer_too() {
    let mut node = TestNode::start().await;
    node.put("network-map", &map("10.0.0.0/8")).await;
    let first = put(&node, NOC, "a", &map("10.0.0.0/8")).await;
    assert_eq!(first.ok(JSON)["changed"], json!([]));
    node.restart().await;
    node.put("network-map", &map("11.0.0.0/8")).await;
    let again = put(&node, NOC, "a", &map("10.0.0.0/8")).await;
    assert_eq!(again.ok(JSON), first.json());
    assert_eq!(node.stated("network-map").await.json(), map("11.0.0.0/8"));
}

#[tokio::test]
async fn of_many_repeats_at_once_one_is_done_and_all_get_its_answer() {
    let node = TestNode::start().await;
    let body = map("10.0.0.0/8");
    let repeats = (0..16).map(|_| put(&node, NOC, "a", &body));
    let answers = futures_util::future::join_all(repeats).await;
    for answer in &answers {
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (201, answers[0].json())
        );
    }
    assert_eq!(newest(&node).await, 1);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_and_then_the_key_is_free() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "").await;
    let hour = Duration::from_secs(3600);
    put(&node, NOC, "a", &map("10.0.0.0/8")).await;
    hand.advance(24 * hour);
    put(&node, NOC, "a", &map("11.0.0.0/8"))
        .await
        .problem(409, &[]);
    hand.advance(hour);
    let anew = put(&node, NOC, "a", &map("11.0.0.0/8")).await;
    assert_eq!(anew.ok(JSON)["revision"], 2);
}

#[tokio::test]
async fn a_key_that_is_used_again_after_a_day_is_kept_for_another() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let mut node = TestNode::clocked(clock, "").await;
    // Several are forgotten at a time, so that the last one is still there when it is used
    // again.
    for key in 0..150 {
        put(&node, NOC, &key.to_string(), &map("10.0.0.0/8")).await;
    }
    hand.advance(Duration::from_secs(25 * 3600));
    let anew = put(&node, NOC, "149", &map("11.0.0.0/8")).await;
    put(&node, NOC, "other", &map("12.0.0.0/8")).await;
    for _ in 0..2 {
        let again = put(&node, NOC, "149", &map("11.0.0.0/8")).await;
        assert_eq!(again.json(), anew.json());
        assert_eq!(node.stated("network-map").await.json(), map("12.0.0.0/8"));
        node.restart().await;
    }
}

#[tokio::test]
async fn who_has_used_its_share_of_keys_up_is_refused_more_and_nobody_else_is() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let mut node = TestNode::clocked(clock, "[ingest]\nmax_keys = 3\n").await;
    let hour = Duration::from_secs(3600);
    for key in ["a", "b", "c"] {
        let written = put(&node, NOC, key, &map("10.0.0.0/8")).await;
        assert!(written.status.is_success(), "{written:?}");
        hand.advance(hour);
    }
    for restarted in [false, true] {
        let full = put(&node, NOC, "d", &map("11.0.0.0/8")).await;
        let detail = full.problem(429, &[])["detail"].to_string();
        assert!(
            detail.contains("noc has used 3 Idempotency-Keys"),
            "{detail}"
        );
        assert!(detail.contains("ingest.max_keys"), "{detail}");
        let seconds: u64 = full.header("retry-after").parse().expect("seconds");
        assert_eq!(seconds, 21 * 3600 + 1);
        // Repeats, writes without a key, and keys of others are accepted.
        assert_eq!(put(&node, NOC, "a", &map("10.0.0.0/8")).await.status, 201);
        node.put("network-map", &map("10.0.0.0/8")).await;
        let key = format!("other {restarted}");
        let other = put(&node, NOC2, &key, &map("12.0.0.0/8")).await;
        assert!(other.status.is_success(), "{other:?}");
        node.restart().await;
    }
    hand.advance(Duration::from_secs(21 * 3600 + 1));
    put(&node, NOC, "d", &map("11.0.0.0/8")).await.ok(JSON);
    let more = node.config_with("[ingest]\nmax_keys = 4\n");
    put(&node, NOC, "e", &map("11.0.0.0/8"))
        .await
        .problem(429, &[]);
    node.node().reload(more).expect("hot");
    put(&node, NOC, "e", &map("11.0.0.0/8")).await.ok(JSON);
}

#[tokio::test]
async fn a_day_of_keys_that_change_nothing_is_forgotten_without_a_failure() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "").await;
    for key in 0..150 {
        put(&node, NOC, &key.to_string(), &map("10.0.0.0/8")).await;
    }
    hand.advance(Duration::from_secs(25 * 3600));
    for key in 0..20 {
        let key = format!("next {key}");
        put(&node, NOC, &key, &map("10.0.0.0/8")).await.ok(JSON);
    }
}

#[tokio::test]
async fn two_keys_are_none() {
    let node = TestNode::start().await;
    let request = node.n2s(NOC, Method::PUT, "network-map", Some(&map("10.0.0.0/8")));
    let request = request
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    request.send().await.problem(400, &[]);
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let node = TestNode::start().await;
    for key in ["", &"k".repeat(256)] {
        let answer = put(&node, NOC, key, &map("10.0.0.0/8")).await;
        answer.problem(400, &[]);
    }
    let longest = "k".repeat(255);
    assert_eq!(
        put(&node, NOC, &longest, &map("10.0.0.0/8")).await.status,
        201
    );
}
