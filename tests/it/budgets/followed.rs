//! Followed answers: counted by cells, and updated in bounded memory.

use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::memory::{measured, program};
use crate::streaming::feed;
use crate::support::events::{Events, TIPS_PARAMS, UPDATES};
use crate::support::{JSON, NOC, Request, TestNode, client_at, client_elsewhere, plain_client};

fn endpoint_costs(count: usize) -> Value {
    let list: Vec<String> = (0..count)
        .map(|n| format!("ipv4:10.0.{}.{}", n % 50, n / 50))
        .collect();
    json!({
        "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "endpoints": {"srcs": list, "dsts": list}
    })
}

async fn tips(node: &TestNode, client: &reqwest::Client, count: usize) -> u16 {
    let asked = json!({"resource-id": "isp-a:endpointcost", "input": endpoint_costs(count)});
    let request = node.request_by(client, Method::POST, "/views/isp-a/tips");
    request
        .typed(TIPS_PARAMS, asked.to_string())
        .send()
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn each_client_has_a_share_of_the_cells_that_are_followed_and_all_have_their_sum() {
    let updates = "[updates]\nmax_cells_per_client = 5000\nmax_followed_cells = 9000\n";
    let node = TestNode::with(updates).await;
    feed(&node, 50).await;
    let (here, elsewhere) = (plain_client(), client_elsewhere());
    assert_eq!(tips(&node, &here, 60).await, 200);
    assert_eq!(
        tips(&node, &here, 60).await,
        200,
        "the same answer is followed once"
    );
    assert_eq!(tips(&node, &here, 40).await, 429, "5,200 cells");
    assert_eq!(tips(&node, &here, 35).await, 200);
    assert_eq!(tips(&node, &elsewhere, 65).await, 429, "9,050 in all");
    assert_eq!(tips(&node, &elsewhere, 64).await, 200);
    assert_eq!(node.metric("altofed_http_followed_cells").await, 8921.0);
    assert_eq!(node.metric("altofed_http_followed_answers").await, 3.0);
    // The same for update streams, and for one answer that is larger than a share.
    let asked =
        json!({"add": {"a": {"resource-id": "isp-a:endpointcost", "input": endpoint_costs(20)}}});
    let stream = node.request_by(&here, Method::POST, "/views/isp-a/updates");
    assert_eq!(stream.typed(UPDATES, asked.to_string()).status().await, 503);
    assert_eq!(tips(&node, &plain_client(), 71).await, 400);
}

fn routingcost() -> Value {
    json!({"cost-metric": "routingcost", "cost-mode": "numerical"})
}

/// A query that names nothing that exists has no cells; it is kept, and answered again with each
/// change.
#[tokio::test]
async fn the_text_of_a_query_counts_as_its_cells_do() {
    let node = TestNode::with("[updates]\nmax_cells_per_client = 50000\n").await;
    feed(&node, 3).await;
    let mut followed = 0;
    let refused = loop {
        let unknown = |n: usize| format!("{n:060}{followed:04}");
        let unknown: Vec<String> = (0..1500).map(unknown).collect();
        let input =
            json!({"cost-type": routingcost(), "pids": {"srcs": unknown, "dsts": ["p000"]}});
        let asked = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
        let answer = node.post("/views/isp-a/tips", TIPS_PARAMS, asked.to_string());
        let status = answer.await.status;
        if status != 200 {
            break status;
        }
        followed += 1;
        assert!(followed < 10, "100 kB each");
    };
    assert_eq!((refused.as_u16(), followed), (429, 3));
    let counted = node.metric("altofed_http_followed_cells").await;
    assert!((36_000.0..50_000.0).contains(&counted), "{counted}");
}

/// A full map costs only what changes of it, whoever follows it; ranks depend on all costs.
#[tokio::test]
async fn full_maps_are_followed_whatever_their_cells() {
    let updates = "[updates]\nmax_cells_per_client = 1000\nmax_followed_cells = 1000\n";
    let node = TestNode::with(updates).await;
    feed(&node, 50).await;
    let follow = async |resource: &str| {
        let asked = json!({"resource-id": format!("isp-a:{resource}")});
        let tips = "/views/isp-a/tips";
        node.post(tips, TIPS_PARAMS, asked.to_string()).await.status
    };
    assert_eq!(follow("costmap-routingcost").await, 200);
    assert_eq!(follow("networkmap").await, 200);
    assert_eq!(node.metric("altofed_http_followed_cells").await, 0.0);
    assert_eq!(follow("ordinal-routingcost").await, 429, "2,601 cells");
}

/// The costs between all PIDs that [`feed`] made, all different from the ones before.
pub(super) async fn change_all(node: &TestNode, pids: usize, add: usize) {
    let name = |i: usize| format!("p{i:03}");
    let row = |i: usize| {
        let row: Map<String, Value> = (0..pids).map(|j| (name(j), json!(i + j + add))).collect();
        (name(i), Value::Object(row))
    };
    let costs: Map<String, Value> = (0..pids).map(row).collect();
    node.put("cost-maps/routingcost", &json!({"cost-map": costs}))
        .await;
}

#[tokio::test]
async fn an_answer_whose_patch_is_too_long_is_sent_whole_by_rows() {
    const PIDS: usize = 160;
    let node = TestNode::with("[updates]\nhistory_bytes = 20000\n").await;
    feed(&node, PIDS).await;
    let query = json!({"cost-type": routingcost()});
    let asked = json!({"add": {
        "full": {"resource-id": "isp-a:costmap-routingcost", "incremental-changes": true},
        "part": {"resource-id": "isp-a:filtered-costmap", "input": query, "incremental-changes": true}
    }});
    let request = node.request(Method::POST, "/views/isp-a/updates");
    let mut events = request.typed(UPDATES, asked.to_string()).open().await;
    let expect = async |events: &mut crate::support::events::Events, media_type: &str| {
        let now = node.get("/views/isp-a/costmap-routingcost").await.json();
        let is = |documents: &std::collections::BTreeMap<String, Value>| {
            ["full", "part"]
                .iter()
                .all(|id| documents.get(*id) == Some(&now))
        };
        let before = events.count;
        let mut types = std::collections::BTreeSet::new();
        while !is(&events.documents) {
            let event = events.next().await.expect("an event");
            types.insert(event.media_type);
        }
        assert_eq!(
            types.into_iter().collect::<Vec<_>>(),
            [media_type],
            "from {before} on"
        );
    };
    let control = events.next().await.expect("a control event");
    assert!(control.substream.is_empty());
    expect(&mut events, "application/alto-costmap+json").await;
    change_all(&node, PIDS, 7).await;
    expect(&mut events, "application/alto-costmap+json").await;
    // What follows is sent as patches again.
    let cell = json!({"cost-map": {"p000": {"p001": 4711}}});
    let written = node.n2s(
        crate::support::NOC,
        Method::PATCH,
        "cost-maps/routingcost",
        Some(&cell),
    );
    assert_eq!(written.send().await.status, 200);
    expect(&mut events, "application/merge-patch+json").await;
}

/// A map of 120 PIDs with a different content in each version: what histories keep in memory is
/// bounded, and so are the bodies that are made only to know the tags of versions.
#[tokio::test]
async fn what_histories_pin_is_bounded() {
    const PIDS: usize = 120;
    // Room for two versions of the costs, not three.
    let node = TestNode::with("[updates]\nmax_history_bytes = 250000\n").await;
    feed(&node, PIDS).await;
    let asked = json!({"add": {"full": {"resource-id": "isp-a:costmap-routingcost", "incremental-changes": true}}});
    let request = node.request(Method::POST, "/views/isp-a/updates");
    let mut events = request.typed(UPDATES, asked.to_string()).open().await;
    events.until(|documents| documents.len() == 1).await;
    let bodies = node.metric("altofed_publish_bodies_bytes").await;
    for n in 0..30 {
        let cell = json!({"cost-map": {"p000": {"p001": 5000 + n}}});
        let request = node.n2s(
            crate::support::NOC,
            Method::PATCH,
            "cost-maps/routingcost",
            Some(&cell),
        );
        assert_eq!(request.send().await.status, 200);
        let value = json!(5000 + n);
        events
            .until(|d| d["full"]["cost-map"]["p000"]["p001"] == value)
            .await;
        let kept = node.metric("altofed_http_history_bytes").await;
        assert!(kept <= 250_000.0, "{kept} bytes after {n} changes");
    }
    assert_eq!(node.metric("altofed_publish_bodies_bytes").await, bodies);
}

/// Reads an update stream until this many of its substreams were stopped; returns the reasons by
/// their ids.
async fn stopped(events: &mut Events, count: usize) -> Map<String, Value> {
    let mut reasons = Map::new();
    while reasons.len() < count {
        let event = events.next().await.expect("an event");
        if event.substream.is_empty() {
            let event = event.json();
            let ids = event["stopped"].as_array().cloned().unwrap_or_default();
            let ids = ids.iter().filter_map(Value::as_str);
            reasons.extend(ids.map(|id| (id.to_owned(), event["description"].clone())));
        }
    }
    reasons
}

#[tokio::test]
async fn an_answer_that_grows_over_a_share_ends_with_the_reason() {
    let node = TestNode::with("[updates]\nmax_cells_per_client = 3000\n").await;
    feed(&node, 50).await;
    let query = json!({"cost-type": routingcost()});
    let asked = json!({"add": {"part": {"resource-id": "isp-a:filtered-costmap", "input": query}}});
    let request = node.request(Method::POST, "/views/isp-a/updates");
    let mut events = request.typed(UPDATES, asked.to_string()).open().await;
    events.until(|documents| documents.len() == 1).await;
    feed(&node, 60).await;
    let reasons = stopped(&mut events, 1).await;
    let why = reasons["part"].as_str().expect("a reason");
    assert!(why.contains("3721 cells; at most 3000"), "{why}");
    assert_eq!(node.metric("altofed_http_followed_cells").await, 0.0);
}

/// Each of ten answers is within the share of their client, both when there are 4 PIDs and when
/// there are 9; all together are not. Those that were opened last end, and nobody else's.
#[tokio::test]
async fn answers_that_grow_over_a_share_together_end_from_the_last_on() {
    let updates = "[updates]\nmax_cells_per_client = 350\nmax_followed_cells = 700\n";
    let node = TestNode::with(updates).await;
    feed(&node, 3).await;
    let query = |n: usize| json!({"cost-type": routingcost(), "constraints": [format!("lt {n}")]});
    let follow = async |client: &reqwest::Client, queries: std::ops::Range<usize>| {
        let add = queries.map(|n| {
            let asked = json!({"resource-id": "isp-a:filtered-costmap", "input": query(n)});
            (format!("s{n}"), asked)
        });
        let asked = json!({"add": add.collect::<Map<String, Value>>()});
        let request = node.request_by(client, Method::POST, "/views/isp-a/updates");
        let mut events = request.typed(UPDATES, asked.to_string()).open().await;
        assert_eq!(events.next().await.expect("an event").substream, "");
        events
    };
    let mut many = follow(&plain_client(), 1000..1010).await;
    let mut one = follow(&client_elsewhere(), 2000..2001).await;
    assert_eq!(node.metric("altofed_http_followed_cells").await, 352.0);
    // The cells of a network map are its prefixes.
    let prefixes: Vec<String> = (0..40).map(|n| format!("10.200.{n}.0/24")).collect();
    let map = json!({"resource-id": "isp-a:filtered-networkmap", "input": {"pids": ["p000"]}});
    let add = json!({"add": {"map": map}});
    let third = client_at([127, 0, 0, 3]);
    let request = node.request_by(&third, Method::POST, "/views/isp-a/updates");
    let mut of_map = request.typed(UPDATES, add.to_string()).open().await;
    of_map.until(|documents| documents.len() == 1).await;
    let few = node.metric("altofed_http_followed_cells").await;
    let lab = json!({"network-map": {"p000": {"ipv4": prefixes}}});
    let patch = node.n2s(NOC, Method::PATCH, "network-map", Some(&lab));
    assert_eq!(patch.send().await.status, 200);
    of_map.next_of("map").await;
    assert!(node.metric("altofed_http_followed_cells").await > few + 30.0);
    drop(of_map);

    feed(&node, 8).await;
    let reasons = stopped(&mut many, 8).await;
    let ids: Vec<&str> = reasons.keys().map(String::as_str).collect();
    let last = [
        "s1002", "s1003", "s1004", "s1005", "s1006", "s1007", "s1008", "s1009",
    ];
    assert_eq!(ids, last);
    for why in reasons.values().filter_map(Value::as_str) {
        assert!(why.contains("486 cells; at most 350"), "{why}");
        assert!(why.contains("updates.max_cells_per_client"), "{why}");
    }
    let is_there = |map: &Value| map["cost-map"]["p007"].is_object();
    one.until(|documents| documents.get("s2000").is_some_and(is_there))
        .await;
}

/// A client whose histories are long leaves others their share.
#[tokio::test]
async fn who_keeps_most_in_histories_forgets_first() {
    const PIDS: usize = 50;
    let node = TestNode::with("[updates]\nmax_history_bytes = 600000\n").await;
    feed(&node, PIDS).await;
    let start = async |client: &reqwest::Client, input: Value| {
        let asked = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
        let request = node.request_by(client, Method::POST, "/views/isp-a/tips");
        let answer = request.typed(TIPS_PARAMS, asked.to_string()).send().await;
        let summary = &answer.json()["tips-view-summary"]["updates-graph-summary"];
        [&summary["start-seq"], &summary["end-seq"]].map(|seq| seq.as_u64().expect("a number"))
    };
    let large = |n: usize| json!({"cost-type": routingcost(), "constraints": [format!("lt {n}")]});
    let small =
        || json!({"cost-type": routingcost(), "pids": {"srcs": ["p000"], "dsts": ["p001"]}});
    let (greedy, honest) = (plain_client(), client_elsewhere());
    start(&honest, small()).await;
    for n in 0..10 {
        start(&greedy, large(90_000 + n)).await;
    }
    for n in 1..=5 {
        change_all(&node, PIDS, n).await;
        // A caller that asks for a view sees what was written, so no change is skipped.
        assert_eq!(start(&honest, small()).await[1], n as u64 + 1);
        let kept = node.metric("altofed_http_history_bytes").await;
        assert!(kept <= 600_000.0, "{kept} bytes after {n} changes");
    }
    assert_eq!(start(&honest, small()).await, [1, 6]);
    let mut forgotten = 0;
    for n in 0..10 {
        let [oldest, newest] = start(&greedy, large(90_000 + n)).await;
        assert_eq!(newest, 6);
        forgotten += usize::from(oldest > 1);
    }
    assert!(forgotten > 0);
}

/// Three hundred followed views, whose patches would take 13 MB for each of sixteen writes: the
/// process grows by what histories may keep and what one write takes, and little more.
#[tokio::test]
async fn three_hundred_followed_views_take_bounded_memory_while_all_changes() {
    const PIDS: usize = 60;
    const MB: u64 = 1024 * 1024;
    let directory = TempDir::new().expect("a directory");
    let more = "[updates]\nmax_history_bytes = 4000000\n[limits]\nrequests_per_second = 0\n";
    let program = program(&directory, more, PIDS).await;
    let client = plain_client();
    let url = |path: &str| format!("{}/{path}", program.url);
    for n in 0..300 {
        let input =
            json!({"cost-type": routingcost(), "constraints": [format!("lt {}", 90_000 + n)]});
        let asked = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
        let request = Request::to(&client, Method::POST, &url("views/isp-a/tips"));
        let opened = request.typed(TIPS_PARAMS, asked.to_string()).send().await;
        assert_eq!(opened.status, 200, "{opened:?}");
    }
    let mut before = 0;
    for n in 0..16 {
        let name = |i: usize| format!("p{i:04}");
        let row = |i: usize| {
            let row: Map<String, Value> = (0..PIDS).map(|j| (name(j), json!(i + j + n))).collect();
            (name(i), Value::Object(row))
        };
        let costs = json!({"cost-map": (0..PIDS).map(row).collect::<Map<String, Value>>()});
        let url = url("n2s/v1/cost-maps/routingcost");
        let request = Request::to(&client, Method::PUT, &url).token(NOC);
        let written = request.typed(JSON, costs.to_string()).send().await;
        assert!(written.status.is_success(), "{written:?}");
        // A caller that asks for a view sees what was written.
        let input = json!({"cost-type": routingcost(), "constraints": ["lt 90000"]});
        let asked = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
        let request = Request::to(
            &client,
            Method::POST,
            &format!("{}/views/isp-a/tips", program.url),
        );
        let opened = request.typed(TIPS_PARAMS, asked.to_string()).send().await;
        let newest = &opened.json()["tips-view-summary"]["updates-graph-summary"]["end-seq"];
        assert_eq!(*newest, json!(n + 2));
        let kept = measured(&program, "altofed_http_history_bytes").await;
        assert!(kept <= 4_000_000.0, "{kept} bytes after {n} changes");
        if n == 0 {
            before = program.resident();
            program.forget_peak();
        }
    }
    let grown = program.peak_resident().saturating_sub(before);
    assert!(grown < 24 * MB, "{} MB", grown / MB);
}
