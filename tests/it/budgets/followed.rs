//! Followed answers: counted by cells, and brought forward in bounded memory.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::streaming::feed;
use crate::support::events::{TIPS_PARAMS, UPDATES};
use crate::support::{TestNode, client_elsewhere, plain_client};

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
    // By update streams too, and for one answer that is more than a share.
    let asked =
        json!({"add": {"a": {"resource-id": "isp-a:endpointcost", "input": endpoint_costs(20)}}});
    let stream = node.request_by(&here, Method::POST, "/views/isp-a/updates");
    assert_eq!(stream.typed(UPDATES, asked.to_string()).status().await, 503);
    assert_eq!(tips(&node, &plain_client(), 71).await, 400);
}

/// A full map costs what changes of it, whoever follows it; ranks depend on all costs.
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

/// Costs between all PIDs that [`feed`] made, each other than before.
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
    let query = json!({"cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"}});
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

/// A map of 120 PIDs whose every version is another: what histories pin has a bound, and so have the
/// bodies that are made only to know the tags of versions.
#[tokio::test]
async fn what_histories_pin_is_bounded() {
    const PIDS: usize = 120;
    // Two versions of the costs and not three.
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

#[tokio::test]
async fn an_answer_that_grows_over_a_share_ends_with_the_reason() {
    let node = TestNode::with("[updates]\nmax_cells_per_client = 3000\n").await;
    feed(&node, 50).await;
    let query = json!({"cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"}});
    let asked = json!({"add": {"part": {"resource-id": "isp-a:filtered-costmap", "input": query}}});
    let request = node.request(Method::POST, "/views/isp-a/updates");
    let mut events = request.typed(UPDATES, asked.to_string()).open().await;
    events.until(|documents| documents.len() == 1).await;
    feed(&node, 60).await;
    let end = loop {
        let event = events.next().await.expect("an event");
        if event.substream.is_empty() {
            break event.json();
        }
    };
    assert_eq!(end["stopped"], json!(["part"]), "{end}");
    let why = end["description"].as_str().expect("a reason");
    assert!(why.contains("3721 cells; at most 3000"), "{why}");
    assert_eq!(node.metric("altofed_http_followed_cells").await, 0.0);
}
