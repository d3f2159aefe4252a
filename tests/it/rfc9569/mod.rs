//! RFC 9569: the transport information publication service, by the sections of the RFC.

mod access;
mod codes;
mod directory;
mod edges;
mod next_edge;
mod opening;
mod sse;
mod waiting;

use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{ERROR, fill};
use crate::support::{Answer, NOC, TestNode};

/// The resources that most tests follow.
const MAP: &str = "isp-a:networkmap";
const COST_MAP_ID: &str = "isp-a:costmap-routingcost";

/// Starts a node with a small network and more configuration.
async fn node_with(more: &str) -> TestNode {
    let node = TestNode::with(more).await;
    fill(&node).await;
    node
}

/// Makes the parameters of a view of a resource.
fn of(resource: &str) -> Value {
    json!({"resource-id": resource})
}

/// Makes a new version of the costs.
async fn set_cost(node: &TestNode, cost: u64) {
    let change = json!({"cost-map": {"core": {"east": cost}}});
    let request = node.n2s(NOC, Method::PATCH, "cost-maps/routingcost", Some(&change));
    let answer = request.send().await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// Makes a new version of the network map.
async fn set_prefix(node: &TestNode, prefix: u64) {
    let change = json!({"network-map": {"void": {"ipv4": [format!("10.99.{prefix}.0/24")]}}});
    let request = node.n2s(NOC, Method::PATCH, "network-map", Some(&change));
    let answer = request.send().await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// Checks that an edge is refused with this status and an ALTO error.
#[track_caller]
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), ERROR, "{answer:?}");
    assert!(answer.json()["meta"]["code"].is_string(), "{answer:?}");
}

/// Returns when this many requests wait for an edge.
pub async fn waiting(node: &TestNode, count: usize) {
    let wanted = format!("altofed_http_tips_polls {count}\n");
    let counted = async {
        while !node.get("/metrics").await.text().contains(&wanted) {
            tokio::task::yield_now().await;
        }
    };
    crate::peer::soon(counted).await;
}
