//! The network-to-server API: what the systems of an ISP tell a node.

mod answers;
mod checks;
mod documents;
mod held;
mod idempotency;
mod merge_patch;
mod off_net;
mod revisions;
mod sources;
mod timeouts;
mod transactions;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, NOC, TestNode};

/// Makes a network map of two PIDs that mentions both families.
fn network() -> Value {
    json!({"network-map": {
        "ams": {"ipv4": ["192.0.2.0/24"], "ipv6": ["2001:db8:1::/48"]},
        "fra": {"ipv4": ["198.51.100.0/24"]},
    }})
}

/// Makes one document of each kind, in an order in which they can be put.
fn documents() -> [(&'static str, Value); 4] {
    [
        ("network-map", network()),
        (
            "cost-maps/routingcost",
            json!({"cost-map": {"ams": {"ams": 0, "fra": 12.5}, "fra": {"ams": 1}}}),
        ),
        (
            "properties",
            json!({"property-map": {
                "ipv4:192.0.2.0/24": {"priv:access": "fibre"},
                "pid:ams": {"priv:memory": 64},
            }}),
        ),
        (
            "interconnects",
            json!({"interconnects": {"ams-1": {
                "border": "ams", "peer-domain": "isp-b", "peer-border": "gw1",
                "relationship": "open", "costs": {"delay-ow": 300, "routingcost": 5},
            }}}),
        ),
    ]
}

/// Starts a node to which `noc` has stated one document of each kind.
async fn stating() -> TestNode {
    let node = TestNode::start().await;
    for (path, body) in documents() {
        node.put(path, &body).await;
    }
    node
}

/// Sends a PUT by `noc`, and returns the answer, whatever it is.
async fn put(node: &TestNode, path: &str, body: &Value) -> Answer {
    node.n2s(NOC, Method::PUT, path, Some(body)).send().await
}

/// Sends a PATCH by `noc`, and returns the answer, whatever it is.
async fn patch(node: &TestNode, path: &str, body: &Value) -> Answer {
    node.n2s(NOC, Method::PATCH, path, Some(body)).send().await
}

/// Sends a transaction by `noc`, and returns the answer, whatever it is.
async fn transact(node: &TestNode, operations: Value) -> Answer {
    let body = json!({"operations": operations});
    let request = node.n2s(NOC, Method::POST, "transaction", Some(&body));
    request.send().await
}

/// Returns the newest revision.
async fn newest(node: &TestNode) -> u64 {
    let list = node.stated("revisions").await.ok("application/json");
    list["newest"].as_u64().expect("a number")
}
