//! RFC 8895: updates that a node sends as they happen, by the sections of the RFC.

mod control;
mod directory;
mod ends;
mod errors;
mod events;
mod limits;
mod opening;
mod order;
mod patches;
mod python;
mod resuming;
mod slow;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::events::Events;
use crate::support::{NOC, TestNode};

/// The path at which streams of the node's own domain are opened.
const UPDATES_OF_ISP_A: &str = "/views/isp-a/updates";

/// Makes a substream of a resource of the node's own domain.
fn of(resource: &str) -> Value {
    json!({"resource-id": format!("isp-a:{resource}")})
}

/// Makes a substream of a resource with parameters.
fn asking(resource: &str, input: &Value) -> Value {
    json!({"resource-id": format!("isp-a:{resource}"), "input": input})
}

/// Opens a stream of the node's own domain.
async fn follow(node: &TestNode, add: Value) -> Events {
    node.follow("isp-a", add).await
}

/// Returns the error that an update stream of the node's own domain answers with.
async fn refused(node: &TestNode, body: &Value) -> (String, String, String) {
    let answer = node.post(
        UPDATES_OF_ISP_A,
        crate::support::events::UPDATES,
        body.to_string(),
    );
    crate::metro::fault(&answer.await)
}

/// Sends a merge patch of a document by `noc`, which must succeed.
async fn patch(node: &TestNode, path: &str, body: &Value) {
    let answer = node.n2s(NOC, Method::PATCH, path, Some(body)).send().await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
}

/// Sets `routingcost` from one PID to another.
async fn cost(node: &TestNode, src: &str, dst: &str, cost: impl Into<Value>) {
    let body = json!({"cost-map": {src: {dst: cost.into()}}});
    patch(node, "cost-maps/routingcost", &body).await;
}

/// Gives a PID these IPv4 prefixes and no others.
async fn prefixes(node: &TestNode, pid: &str, prefixes: &[String]) {
    let body = json!({"network-map": {pid: {"ipv4": prefixes}}});
    patch(node, "network-map", &body).await;
}

/// Changes several documents at once.
async fn transact(node: &TestNode, operations: Value) {
    let body = json!({"operations": operations});
    let request = node.n2s(NOC, Method::POST, "transaction", Some(&body));
    let answer = request.send().await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// Returns the text of a full map of the node's own domain.
async fn text(node: &TestNode, resource: &str) -> String {
    let answer = node.get(&format!("/views/isp-a/{resource}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().to_owned()
}

/// Returns the tag of a network map.
fn vtag(map: &Value) -> &str {
    map["meta"]["vtag"]["tag"].as_str().expect("a tag")
}

/// Returns the prefixes `10.<second>.0.0/24`, `10.<second>.1.0/24`, …
fn many(second: usize, count: usize) -> Vec<String> {
    let prefix = |third| format!("10.{second}.{third}.0/24");
    (0..count).map(prefix).collect()
}

/// Puts PIDs `p000`, `p001`, … with a prefix each, and costs between all of them.
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

/// Returns a value of the node's own metrics.
async fn metric(node: &TestNode, name: &str) -> u64 {
    let metrics = node.get("/metrics").await;
    let of = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    let value = metrics.text().lines().find_map(of);
    value.unwrap_or_else(|| panic!("{name} is not in {}", metrics.text()))
}
