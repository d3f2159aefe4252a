//! Streams, polls and writes in progress end with the credential that opened them.
//!
//! The clocks stand still, so that only the reload can wake what waits.

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::limits::{begin_put, head};
use super::reload::changed;
use crate::metro::fill;
use crate::peer::soon;
use crate::support::events::{Events, TIPS, TIPS_PARAMS, UPDATES};
use crate::support::tips::Tips;
use crate::support::{CDN, NOC, OPS, TestNode};

const OPEN: &str = "";
const CLOSED: &str = "[access]\nquery = \"token\"\n";
const NEW: &str = "another-secret-0123456789";

const COSTS: &str = "isp-a:costmap-routingcost";

async fn node_with(more: &str) -> TestNode {
    let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, more).await;
    fill(&node).await;
    node
}

/// Gives the principal that shows `secret` another secret.
fn rotate(node: &mut TestNode, more: &str, secret: &str) {
    let config = changed(node, more, secret, NEW);
    node.node().reload(config).expect("hot");
}

/// Opens an update stream with this secret, or none, and reads it up to its first copy.
async fn stream(node: &TestNode, secret: Option<&str>) -> Events {
    let body = json!({"add": {"costs": {"resource-id": COSTS}}}).to_string();
    let request = node.request(Method::POST, "/views/isp-a/updates");
    let request = match secret {
        Some(secret) => request.token(secret),
        None => request,
    };
    let mut events = request.typed(UPDATES, body).open().await;
    events.next_of("costs").await;
    events
}

async fn control(node: &TestNode, events: &Events, secret: Option<&str>) -> u16 {
    let add = json!({"add": {"more": {"resource-id": "isp-a:networkmap"}}}).to_string();
    let request = node.request(Method::POST, &events.control);
    let request = match secret {
        Some(secret) => request.token(secret),
        None => request,
    };
    request.typed(UPDATES, add).send().await.status.as_u16()
}

#[track_caller]
fn says_why(control: &Value) {
    let why = control["description"].as_str().unwrap_or_default();
    assert!(why.contains("replaced"), "{control}");
    assert_eq!(control["stopped"], json!(["costs"]), "{control}");
}

#[tokio::test]
async fn a_rotated_secret_ends_the_streams_that_the_old_one_opened_at_once() {
    for more in [OPEN, CLOSED] {
        let mut node = node_with(more).await;
        let mut old = stream(&node, Some(CDN)).await;
        let mut other = stream(&node, Some(OPS)).await;
        rotate(&mut node, more, CDN);
        says_why(&soon(old.end()).await);
        assert_eq!(control(&node, &old, Some(NEW)).await, 404);
        // A stream of another principal, and one that is opened anew, go on.
        let mut new = stream(&node, Some(NEW)).await;
        let change = json!({"cost-map": {"core": {"lab": 3}}});
        let patch = node.n2s(NOC, Method::PATCH, "cost-maps/routingcost", Some(&change));
        assert_eq!(patch.send().await.status, 200);
        for events in [&mut other, &mut new] {
            assert_eq!(events.next().await.expect("an event").substream, "costs");
        }
    }
}

#[tokio::test]
async fn a_reload_that_leaves_a_caller_its_rights_leaves_it_its_streams() {
    let mut node = node_with(CLOSED).await;
    let mut events = stream(&node, Some(CDN)).await;
    // First the same secret gets another scope as well; then it loses the right to read.
    let more = changed(&node, CLOSED, "[\"query\"]", "[\"query\", \"ingest\"]");
    node.node().reload(more).expect("hot");
    assert_eq!(control(&node, &events, Some(CDN)).await, 202);
    events.next_of("more").await;
    let less = changed(&node, CLOSED, "[\"query\"]", "[\"ingest\"]");
    node.node().reload(less).expect("hot");
    let last = soon(events.end()).await;
    assert_eq!(last["stopped"], json!(["more", "costs"]), "{last}");
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_nothing_of_what_came_after_its_secret() {
    let mut node = node_with(OPEN).await;
    let events = stream(&node, Some(CDN)).await;
    let state = async |node: &TestNode, cost: usize| {
        let change = json!({"cost-map": {"core": {"lab": cost}}});
        let patch = node.n2s(NOC, Method::PATCH, "cost-maps/routingcost", Some(&change));
        assert_eq!(patch.send().await.status, 200);
    };
    state(&node, 31).await;
    rotate(&mut node, OPEN, CDN);
    state(&node, 32).await;
    let mut events = events;
    let last = soon(events.end()).await;
    assert!(last["stopped"].is_array(), "{last}");
    assert_ne!(events.documents["costs"]["cost-map"]["core"]["lab"], 32);
}

#[tokio::test]
async fn a_rotated_secret_ends_the_polls_that_wait_with_the_old_one() {
    for (more, status) in [(OPEN, 401), (CLOSED, 401)] {
        let mut node = node_with(more).await;
        let body = json!({"resource-id": COSTS}).to_string();
        let open = node.request(Method::POST, "/views/isp-a/tips").token(CDN);
        let view = Tips::new(&open.typed(TIPS_PARAMS, body).send().await.ok(TIPS));
        let poll = node.request(Method::GET, &view.edge_uri(1, 2)).token(CDN);
        let poll = tokio::spawn(poll.send());
        crate::rfc9569::waiting(&node, 1).await;
        rotate(&mut node, more, CDN);
        let answer = soon(poll).await.expect("it ran");
        assert_eq!(answer.status, status, "{answer:?}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains("invalid_token"), "{challenge}");
        crate::rfc9569::waiting(&node, 0).await;
    }
}

#[tokio::test]
async fn a_stream_is_controlled_by_who_opened_it_alone() {
    let node = node_with(OPEN).await;
    let mut events = stream(&node, Some(CDN)).await;
    for other in [None, Some(OPS), Some(NOC)] {
        assert_eq!(control(&node, &events, other).await, 404, "{other:?}");
    }
    assert_eq!(control(&node, &events, Some(CDN)).await, 202);
    events.next_of("more").await;

    let mut events = stream(&node, None).await;
    assert_eq!(control(&node, &events, Some(CDN)).await, 404);
    assert_eq!(control(&node, &events, None).await, 202);
    events.next_of("more").await;
}

#[tokio::test]
async fn a_rotated_secret_ends_the_stream_of_a_peer() {
    let mut node = node_with(OPEN).await;
    node.signed().await;
    let body = json!({"add": {"costs": {"resource-id": "domains"}}}).to_string();
    let request = node.request(Method::POST, "/s2s/v1/updates").token(OPS);
    let mut events = request.typed(UPDATES, body).open().await;
    events.next_of("costs").await;
    rotate(&mut node, OPEN, OPS);
    says_why(&soon(events.end()).await);
}

#[tokio::test]
async fn a_write_whose_secret_is_replaced_while_its_body_comes_is_not_done() {
    let mut node = node_with(OPEN).await;
    let before = node.stated("network-map").await;
    let body = b"{\"network-map\":{}}";
    let mut slow = begin_put(&node, body.len()).await;
    rotate(&mut node, OPEN, NOC);
    slow.write_all(body).await.expect("sent");
    assert!(head(&mut slow).await.starts_with("HTTP/1.1 401 "));
    let after = node.n2s(NEW, Method::GET, "network-map", None).send().await;
    assert_eq!(after.body, before.body);
}
