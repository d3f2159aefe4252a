//! Sections 3.2 and 7.3: which requests are refused with which status, and what is forgotten.

use std::time::Duration;

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;

use super::{COST_MAP_ID, MAP, node_with, of, refused, set_cost, set_prefix};
use crate::metro::{COST_MAP, NETWORK_MAP, fill};
use crate::support::events::{JSON_PATCH, TIPS_PARAMS};
use crate::support::tips::{Tips, led_on};
use crate::support::{JSON, MERGE_PATCH, TestNode};

/// Starts a node with a view of its costs that has forgotten more than one snapshot, and has
/// none of its newest version.
async fn compacted() -> (TestNode, Tips) {
    let node = node_with("[updates]\nhistory_bytes = 900\n").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let (mut version, mut start) = (1, 1);
    while start < 16 || version < start + 2 || version % 8 == 0 {
        version += 1;
        set_cost(&node, 100 + version).await;
        view.arrived(&node, version).await;
        start = node.tips(&of(COST_MAP_ID)).await.start();
        assert!(version < 100, "nothing is forgotten");
    }
    let now = node.tips(&of(COST_MAP_ID)).await;
    assert_eq!(now.uri, view.uri);
    (node, now)
}

#[tokio::test]
async fn the_status_says_what_is_wrong_first() {
    let (node, view) = compacted().await;
    let (start, end) = (view.start(), view.end());
    assert!(start >= 16 && end >= start + 2, "{start} {end}");
    let status = async |from: String, to: String, accept: &str| {
        let uri = format!("{}/ug/{from}/{to}", view.uri);
        let request = node.request(Method::GET, &uri).header("accept", accept);
        request.send().await
    };
    let text = |number: u64| number.to_string();
    let huge = "99999999999999999999999";
    for (from, to, code) in [
        // These are not edges of any graph, forgotten or not.
        ("x".into(), text(end), 404),
        (text(1), "-1".into(), 404),
        (text(1), huge.into(), 404),
        (huge.into(), huge.into(), 404),
        ("".into(), text(end), 404),
        ("+1".into(), text(end), 404),
        (text(end), text(end), 404),
        (text(0), text(0), 404),
        (text(3), text(2), 404),
        (text(u64::MAX), text(1), 404),
        // These are forgotten, at their beginning or their end; version 0 is not older.
        (text(1), text(2), 410),
        (text(start - 1), text(start), 410),
        (text(1), text(end), 410),
        (text(1), text(end + 1), 410),
        (text(1), text(u64::MAX), 410),
        (text(0), text(start - 1), 410),
        // These exist but are not acceptable.
        (text(0), text(start), 415),
        (text(start), text(start + 1), 415),
        // These are far ahead.
        (text(end), text(end + 2), 425),
        (text(end + 1), text(end + 2), 425),
        (text(0), text(end + 1), 425),
        (text(start), text(u64::MAX), 425),
        // These could exist, but do not.
        (text(start), text(start + 2), 404),
        (text(0), text(end), 404),
    ] {
        let answer = status(from.clone(), to.clone(), "text/plain").await;
        if from.is_empty() {
            assert_eq!(answer.status, code, "no number");
            continue;
        }
        refused(&answer, code);
        let any = status(from.clone(), to.clone(), "*/*").await;
        let wanted = if code == 415 { 200 } else { code };
        assert_eq!(any.status, wanted, "{from} {to}");
    }
    let none = format!("{}0/ug/1/2", view.uri);
    refused(&node.get(&none).await, 404);
}

#[tokio::test]
async fn accept_must_have_the_type_of_the_item_and_a_range_will_do() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    set_cost(&node, 9).await;
    view.arrived(&node, 2).await;
    let get = async |edge: (u64, u64), accept: &str| {
        let uri = view.edge_uri(edge.0, edge.1);
        let request = node.request(Method::GET, &uri).header("accept", accept);
        request.send().await
    };
    for (edge, accept, status) in [
        ((0, 1), COST_MAP, 200),
        ((0, 1), NETWORK_MAP, 415),
        ((0, 1), MERGE_PATCH, 415),
        ((1, 2), COST_MAP, 415),
        ((1, 2), JSON_PATCH, 415),
        ((1, 2), "application/*", 200),
        ((1, 2), "application/merge-patch+json;q=0, */*", 415),
        (
            (1, 2),
            "application/alto-costmap+json, application/merge-patch+json, application/alto-error+json",
            200,
        ),
    ] {
        let answer = get(edge, accept).await;
        assert_eq!(answer.status, status, "{edge:?} {accept}");
        if status == 415 {
            refused(&answer, 415);
        }
    }
}

#[tokio::test]
async fn an_edge_is_read_and_nothing_else() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let request = node.request(method.clone(), &view.edge_uri(0, 1));
        let answer = request.typed(TIPS_PARAMS, "{}").send().await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    }
    for method in [Method::GET, Method::DELETE] {
        let request = node.request(method.clone(), &format!("{}/ug", view.uri));
        let answer = request.send().await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "POST, OPTIONS");
    }
    // RFC 9569 defines nothing at the URI itself.
    assert_eq!(node.get(&view.uri).await.status, 404);
}

#[tokio::test]
async fn versions_never_fall_and_the_graph_is_whole_whatever_is_forgotten() {
    let node = node_with("[updates]\nhistory_bytes = 600\n").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let (mut start, mut end, mut forgotten) = (1, 1, 0);
    for version in 2..=50 {
        set_cost(&node, 100 + version).await;
        let text = node.get("/views/isp-a/costmap-routingcost").await.json();
        view.arrived(&node, version).await;
        let now = node.tips(&of(COST_MAP_ID)).await;
        assert_eq!(now.uri, view.uri);
        assert!(now.start() >= start && now.end() > end, "{:?}", now.summary);
        forgotten += u64::from(now.start() > start);
        (start, end) = (now.start(), now.end());
        // Possible, and without gaps.
        let mut document = now.edge(&node, 0, start).await.ok(COST_MAP);
        for from in start..end {
            let patch = now.edge(&node, from, from + 1).await;
            assert_eq!(patch.status, 200, "{from} of {start} to {end}");
            document = led_on(document, &patch);
        }
        assert_eq!(document, text);
    }
    assert!(forgotten > 2, "nothing is forgotten");
}

#[tokio::test]
async fn what_has_been_replaced_for_long_is_forgotten() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "[updates]\nhistory_age = \"60s\"\n").await;
    fill(&node).await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    for version in 2..=3 {
        set_cost(&node, version).await;
        view.arrived(&node, version).await;
        hand.advance(Duration::from_secs(40));
    }
    // The first was replaced 80 seconds ago, the second 40.
    set_cost(&node, 4).await;
    assert_eq!(view.edge(&node, 3, 4).await.status, 410);
    refused(&view.edge(&node, 0, 1).await, 410);
    let now = node.tips(&of(COST_MAP_ID)).await;
    assert_eq!((now.start(), now.end()), (4, 4));
    assert_eq!(now.edge(&node, 0, 4).await.status, 200);
}

#[tokio::test]
async fn a_view_that_nobody_reads_for_long_is_closed() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "[updates]\nhistory_age = \"60s\"\n").await;
    fill(&node).await;
    let [read, unread] = [node.tips(&of(COST_MAP_ID)).await, node.tips(&of(MAP)).await];
    hand.advance(Duration::from_secs(40));
    assert_eq!(read.edge(&node, 0, 1).await.status, 200);
    hand.advance(Duration::from_secs(40));
    set_cost(&node, 5).await;
    read.arrived(&node, 2).await;
    refused(&unread.edge(&node, 0, 1).await, 404);
    // Its URI is not given to another view.
    assert_ne!(node.tips(&of(MAP)).await.uri, unread.uri);
}

#[tokio::test]
async fn after_a_restart_a_view_is_gone_and_none_has_its_uri() {
    let mut node = node_with("").await;
    let old = node.tips(&of(MAP)).await;
    set_prefix(&node, 1).await;
    old.arrived(&node, 2).await;
    let path = old.uri.strip_prefix(&node.url).expect("its own").to_owned();
    node.restart().await;
    let here = Tips {
        uri: format!("{}{path}", node.url),
        ..old.clone()
    };
    for (from, to) in [(0, 1), (1, 2), (2, 3)] {
        refused(&here.edge(&node, from, to).await, 404);
    }
    refused(&here.next_edge(&node, &of(MAP)).await, 404);
    assert!(!node.tips(&of(MAP)).await.uri.ends_with(&path));
}

#[tokio::test]
async fn a_request_for_the_next_edge_of_another_type_is_415() {
    let node = node_with("").await;
    let view = node.tips(&of(MAP)).await;
    let uri = format!("{}/ug", view.uri);
    let answer = node.post(&uri, JSON, of(MAP).to_string()).await;
    refused(&answer, 415);
}
