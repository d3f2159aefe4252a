//! Sections 6.8 and 10: how many streams there may be, and that they show that they are alive.

use std::time::Duration;

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{UPDATES_OF_ISP_A, cost, follow, of};
use crate::metro::fill;
use crate::support::events::UPDATES;
use crate::support::{Answer, TestNode, client_elsewhere};

/// Returns the answer to a request to open a stream, which must not open one.
async fn open(node: &TestNode, add: Value) -> Answer {
    let body = json!({"add": add}).to_string();
    node.post(UPDATES_OF_ISP_A, UPDATES, body).await
}

#[track_caller]
fn full(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!(wait > 0);
}

/// Makes as many substreams of a network map as there are names.
fn several(ids: std::ops::Range<usize>) -> Value {
    let one = |id: usize| (id.to_string(), of("networkmap"));
    Value::Object(ids.map(one).collect::<Map<_, _>>())
}

#[tokio::test]
async fn above_the_streams_that_may_be_open_a_newcomer_is_told_503() {
    let node = TestNode::with("[updates]\nmax_streams = 2\n").await;
    let first = follow(&node, several(0..1)).await;
    let _second = follow(&node, several(0..1)).await;
    full(&open(&node, several(0..1)).await);
    drop(first);
    // Its place is free once the node has noticed that it is gone.
    let body = json!({"add": several(0..1)}).to_string();
    loop {
        let request = node.request(Method::POST, UPDATES_OF_ISP_A);
        match request.typed(UPDATES, body.clone()).status().await {
            200 => break,
            other => assert_eq!(other, 503),
        }
    }
}

#[tokio::test]
async fn above_the_substreams_of_a_stream_a_request_is_told_503() {
    let node = TestNode::with("[updates]\nmax_substreams = 2\n").await;
    full(&open(&node, several(0..3)).await);
    let mut events = follow(&node, several(0..2)).await;
    events.until(|documents| documents.len() == 2).await;
    full(&events.ask(&node, &json!({"add": several(2..3)})).await);
    // Nothing of such a request is done.
    let both = json!({"add": several(2..3), "remove": ["0"]});
    full(&events.ask(&node, &both).await);
    assert_eq!(
        events.ask(&node, &json!({"remove": ["0"]})).await.status,
        202
    );
    let next = events.next().await.expect("an event").json();
    assert_eq!(next, json!({"stopped": ["0"]}));
    let third = json!({"add": several(2..3)});
    assert_eq!(events.ask(&node, &third).await.status, 202);
}

#[tokio::test]
async fn the_substreams_in_the_life_of_a_stream_are_bounded() {
    let node = TestNode::with("[updates]\nmax_substreams = 2\n").await;
    let mut events = follow(&node, several(0..1)).await;
    events.next_of("0").await;
    for id in 1..32 {
        let next = json!({"add": several(id..id + 1), "remove": [(id - 1).to_string()]});
        assert_eq!(events.ask(&node, &next).await.status, 202, "{id}");
    }
    full(&events.ask(&node, &json!({"add": several(32..33)})).await);
}

#[tokio::test]
async fn above_the_answers_that_are_followed_a_newcomer_is_told_503() {
    let node = TestNode::with("[updates]\nmax_followed = 1\n").await;
    fill(&node).await;
    let _first = follow(&node, several(0..1)).await;
    full(&open(&node, json!({"costs": of("costmap-routingcost")})).await);
    // An answer that is followed already costs nothing more.
    follow(&node, several(0..1)).await.next_of("0").await;
}

#[tokio::test]
async fn a_client_that_has_its_share_of_streams_leaves_those_of_others() {
    let node = TestNode::with("[updates]\nmax_per_client = 2\n").await;
    let _first = follow(&node, several(0..1)).await;
    let _second = follow(&node, several(0..1)).await;
    full(&open(&node, several(0..1)).await);
    let request = node.request_by(&client_elsewhere(), Method::POST, UPDATES_OF_ISP_A);
    let body = json!({"add": several(0..1)}).to_string();
    request.typed(UPDATES, body).open().await.next_of("0").await;
}

#[tokio::test]
async fn a_client_that_has_its_share_of_answers_may_follow_those_of_others() {
    let node = TestNode::with("[updates]\nmax_per_client = 1\n").await;
    fill(&node).await;
    let both = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    full(&open(&node, both.clone()).await);
    let request = node.request_by(&client_elsewhere(), Method::POST, UPDATES_OF_ISP_A);
    let map = json!({"add": {"map": of("networkmap")}}).to_string();
    request.typed(UPDATES, map).open().await;
    follow(&node, both).await.next_of("costs").await;
}

#[tokio::test]
async fn a_stream_without_events_shows_life_every_fifteen_seconds() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "").await;
    fill(&node).await;
    let mut events = follow(&node, json!({"costs": of("costmap-routingcost")})).await;
    events.next_of("costs").await;
    let fifteen = Duration::from_secs(15);
    for _ in 0..3 {
        hand.sleeper(fifteen).await;
        hand.advance(fifteen);
        let line = events.line().await.expect("a line");
        assert!(line.starts_with(':'), "{line}");
        assert_eq!(events.line().await.as_deref(), Some(""));
    }
    // An event shows that the stream is alive, too.
    hand.sleeper(fifteen).await;
    hand.advance(Duration::from_secs(10));
    cost(&node, "core", "lab", 3).await;
    events.next_of("costs").await;
    hand.sleeper(fifteen).await;
    hand.advance(Duration::from_secs(14));
    cost(&node, "core", "lab", 4).await;
    let line = events.line().await.expect("a line");
    assert!(line.starts_with("event: "), "{line}");
}
