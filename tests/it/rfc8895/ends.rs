//! Section 5.3: streams that the node ends, and the reasons that it gives.

use reqwest::Method;
use serde_json::{Value, json};

use super::{UPDATES_OF_ISP_A, cost, follow, of};
use crate::metro::{delete, fill, metro};
use crate::support::events::{Events, UPDATES};
use crate::support::{CDN, TestNode};

/// Checks that a control event names the substreams that ended, and why.
#[track_caller]
fn ended(control: &Value, stopped: &[&str]) {
    assert_eq!(control["stopped"], json!(stopped), "{control}");
    let why = control["description"].as_str().unwrap_or_default();
    assert!(!why.is_empty(), "{control}");
}

#[tokio::test]
async fn a_node_that_goes_down_ends_its_streams_with_a_word() {
    let mut node = metro().await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    let (control, ()) = tokio::join!(events.end(), node.restart());
    ended(&control, &["map", "costs"]);
}

#[tokio::test]
async fn a_token_that_is_taken_away_ends_the_stream_before_the_next_update() {
    let closed = "[access]\nquery = \"token\"\n";
    let mut node = TestNode::with(closed).await;
    fill(&node).await;
    let body = json!({"add": {"costs": of("costmap-routingcost")}}).to_string();
    let request = node.request(Method::POST, UPDATES_OF_ISP_A).token(CDN);
    let mut events: Events = request.typed(UPDATES, body).open().await;
    events.next_of("costs").await;
    let mut config = node.config_with(closed);
    config.tokens.retain(|token| token.name.as_str() != "cdn");
    node.node().reload(config).expect("hot");
    cost(&node, "core", "lab", 3).await;
    let event = events.next().await.expect("an event");
    assert_eq!(event.substream, "", "{event:?}");
    ended(&event.json(), &["costs"]);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_resource_that_is_gone_ends_its_substream_and_no_other() {
    let node = metro().await;
    let hops = json!({"cost-map": {"core": {"east": 1}}});
    node.put("cost-maps/hopcount", &hops).await;
    let add = json!({"hops": of("costmap-hopcount"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    delete(&node, "cost-maps/hopcount").await;
    let event = events.next().await.expect("an event");
    ended(&event.json(), &["hops"]);
    cost(&node, "core", "lab", 3).await;
    assert_eq!(events.next().await.expect("an event").substream, "costs");
    // It existed, so removing it is not an error.
    assert_eq!(
        events.ask(&node, &json!({"remove": ["hops"]})).await.status,
        202
    );
}

#[tokio::test]
async fn the_stream_ends_with_the_last_resource() {
    let node = metro().await;
    let hops = json!({"cost-map": {"core": {"east": 1}}});
    node.put("cost-maps/hopcount", &hops).await;
    let mut events = follow(&node, json!({"hops": of("costmap-hopcount")})).await;
    events.next_of("hops").await;
    delete(&node, "cost-maps/hopcount").await;
    ended(&events.end().await, &["hops"]);
    let gone = events.ask(&node, &json!({"remove": []})).await;
    assert_eq!(gone.status, 404, "{gone:?}");
}
