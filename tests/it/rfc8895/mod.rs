//! RFC 8895, updates that a node sends as they come, by the sections of the RFC.

mod opening;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::events::Events;
use crate::support::{NOC, TestNode};

/// A substream of a resource of the node's own domain.
fn of(resource: &str) -> Value {
    json!({"resource-id": format!("isp-a:{resource}")})
}

/// Opens a stream of the node's own domain.
async fn follow(node: &TestNode, add: Value) -> Events {
    node.follow("isp-a", add).await
}

/// A merge patch of a document by `noc`, which must succeed.
async fn patch(node: &TestNode, path: &str, body: &Value) {
    let answer = node.n2s(NOC, Method::PATCH, path, Some(body)).send().await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
}

/// Has `routingcost` from one PID to another be this.
async fn cost(node: &TestNode, src: &str, dst: &str, cost: impl Into<Value>) {
    let body = json!({"cost-map": {src: {dst: cost.into()}}});
    patch(node, "cost-maps/routingcost", &body).await;
}

/// Puts PIDs `p000`, `p001`, … of a prefix each, and costs between all of them.
async fn mesh(node: &TestNode, pids: usize) {
    let name = |i: usize| format!("p{i:03}");
    let group = |i: usize| json!({"ipv4": [format!("10.{}.{}.0/24", i / 256, i % 256)]});
    let groups: Map<String, Value> = (0..pids).map(|i| (name(i), group(i))).collect();
    node.put("network-map", &json!({"network-map": groups}))
        .await;
    let row = |i: usize| (0..pids).map(move |j| (name(j), json!(1000 + i * 7 + j)));
    let row = |i: usize| Value::Object(row(i).collect());
    let costs: Map<String, Value> = (0..pids).map(|i| (name(i), row(i))).collect();
    node.put("cost-maps/routingcost", &json!({"cost-map": costs}))
        .await;
}
