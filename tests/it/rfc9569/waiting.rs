//! Sections 4.1 and 7.2: requests that wait for the next edge.

use std::time::Duration;

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{COST_MAP_ID, MAP, node_with, of, refused, set_cost, set_prefix, waiting};
use crate::metro::{delete, fill};
use crate::support::tips::led_on;
use crate::support::{MERGE_PATCH, TestNode, client_elsewhere};

#[tokio::test]
async fn the_next_edge_is_answered_when_it_comes() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let first = view.edge(&node, 0, 1).await.json();
    let change = async {
        waiting(&node, 1).await;
        // A change of another resource does not answer it.
        node.put(
            "cost-maps/hopcount",
            &json!({"cost-map": {"core": {"lab": 2}}}),
        )
        .await;
        waiting(&node, 1).await;
        set_cost(&node, 8).await;
    };
    let (patch, ()) = tokio::join!(view.edge(&node, 1, 2), change);
    patch.ok(MERGE_PATCH);
    let now = node.get("/views/isp-a/costmap-routingcost").await;
    assert_eq!(led_on(first, &patch), now.json());
    waiting(&node, 0).await;
}

#[tokio::test]
async fn costs_change_with_the_network_map_that_they_are_of() {
    let node = node_with("").await;
    let [map, costs] = [node.tips(&of(MAP)).await, node.tips(&of(COST_MAP_ID)).await];
    let change = async {
        waiting(&node, 2).await;
        set_prefix(&node, 1).await;
    };
    let (map, costs, ()) = tokio::join!(map.edge(&node, 1, 2), costs.edge(&node, 1, 2), change);
    assert_eq!(map.status, 200, "{map:?}");
    let now = node.get("/views/isp-a/networkmap").await.json();
    let tags = json!([now["meta"]["vtag"]]);
    assert_eq!(costs.json()["meta"]["dependent-vtags"], tags);
}

#[tokio::test]
async fn a_view_that_closes_answers_404_to_those_who_wait() {
    let node = node_with("").await;
    node.put(
        "cost-maps/hopcount",
        &json!({"cost-map": {"core": {"lab": 2}}}),
    )
    .await;
    let view = node.tips(&of("isp-a:costmap-hopcount")).await;
    let close = async {
        waiting(&node, 1).await;
        delete(&node, "cost-maps/hopcount").await;
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), close);
    refused(&poll, 404);
    // When the resource comes back, it has another view.
    node.put(
        "cost-maps/hopcount",
        &json!({"cost-map": {"core": {"lab": 2}}}),
    )
    .await;
    refused(&view.edge(&node, 0, 1).await, 404);
    let again = node.tips(&of("isp-a:costmap-hopcount")).await;
    assert_ne!(again.uri, view.uri);
    assert_eq!((again.start(), again.end()), (1, 1));
}

#[tokio::test]
async fn who_waits_for_what_is_forgotten_as_it_comes_is_told_410() {
    let node = node_with("[updates]\nhistory_bytes = 0\n").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let change = async {
        waiting(&node, 1).await;
        set_cost(&node, 8).await;
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), change);
    refused(&poll, 410);
    let now = node.tips(&of(COST_MAP_ID)).await;
    assert_eq!((now.start(), now.end(), now.recommended()), (2, 2, (0, 2)));
}

#[tokio::test]
async fn too_many_who_wait_are_429_and_told_when_to_come_again() {
    let node = node_with("[updates]\nmax_polls = 1\n").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let others = async {
        waiting(&node, 1).await;
        let full = view.edge(&node, 1, 2).await;
        assert_eq!(full.status, 429, "{full:?}");
        let seconds: u64 = full.header("retry-after").parse().expect("seconds");
        assert!(seconds > 0);
        // An edge that exists already needs no place.
        assert_eq!(view.edge(&node, 0, 1).await.status, 200);
        set_cost(&node, 8).await;
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), others);
    assert_eq!(poll.status, 200);
    // Its place is free again.
    let change = async {
        waiting(&node, 1).await;
        set_cost(&node, 9).await;
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 2, 3), change);
    assert_eq!(poll.status, 200);
}

#[tokio::test]
async fn a_client_that_has_its_share_of_waiting_requests_leaves_those_of_others() {
    let node = node_with("[updates]\nmax_per_client = 1\n").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let elsewhere = client_elsewhere();
    let others = async {
        waiting(&node, 1).await;
        let full = view.edge(&node, 1, 2).await;
        assert_eq!(full.status, 429, "{full:?}");
        let change = async {
            waiting(&node, 2).await;
            set_cost(&node, 8).await;
        };
        let request = node.request_by(&elsewhere, Method::GET, &view.edge_uri(1, 2));
        let (poll, ()) = tokio::join!(request.send(), change);
        assert_eq!(poll.status, 200);
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), others);
    assert_eq!(poll.status, 200);
}

#[tokio::test]
async fn who_hangs_up_waits_no_longer() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let address = node.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let uri = view.edge_uri(1, 2);
    let path = uri.strip_prefix(&node.url).expect("its own");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    waiting(&node, 1).await;
    drop(stream);
    waiting(&node, 0).await;
}

#[tokio::test]
async fn who_has_waited_long_enough_is_told_503_and_may_wait_again() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "[updates]\npoll_timeout = \"90s\"\n").await;
    fill(&node).await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let later = async {
        waiting(&node, 1).await;
        hand.advance(Duration::from_secs(91));
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), later);
    assert_eq!(poll.status, 503, "{poll:?}");
    assert_eq!(poll.header("retry-after"), "1");
    let change = async {
        waiting(&node, 1).await;
        hand.advance(Duration::from_secs(89));
        set_cost(&node, 8).await;
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), change);
    assert_eq!(poll.status, 200);
}

#[tokio::test]
async fn a_view_is_kept_while_somebody_waits() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let more = "[updates]\npoll_timeout = \"1h\"\nhistory_age = \"60s\"\n";
    let node = TestNode::clocked(clock, more).await;
    fill(&node).await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let change = async {
        waiting(&node, 1).await;
        hand.advance(Duration::from_secs(600));
        // Unused views are forgotten now.
        node.put(
            "cost-maps/hopcount",
            &json!({"cost-map": {"core": {"lab": 2}}}),
        )
        .await;
        set_cost(&node, 8).await;
    };
    let (poll, ()) = tokio::join!(view.edge(&node, 1, 2), change);
    assert_eq!(poll.status, 200, "{poll:?}");
}

#[tokio::test]
async fn who_waits_is_let_go_when_the_node_goes_down() {
    let mut node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let get = crate::support::plain_client().get(view.edge_uri(1, 2));
    let poll = tokio::spawn(get.send());
    waiting(&node, 1).await;
    node.restart().await;
    let answer = poll.await.expect("it ran").expect("an answer");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}
