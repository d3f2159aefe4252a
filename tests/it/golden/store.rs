//! The store of a node on its disk, in the form of an export.

use altofed::runtime::Clock;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use super::program::runs;
use super::tape::Tape;
use super::world::{World, beginning, facts, known, write_key};
use crate::support::{JSON, MERGE_PATCH, NOC, NOC2, OPS, TestNode, command, text};

/// Returns the records of a node's store.
async fn exported(node: TestNode) -> (TempDir, String) {
    let data = node.stop().await;
    let store = data.path().join("store");
    let mut command = command(["store", "export", "-", "--data-dir"]);
    let output = command.arg(store).output().expect("the program");
    (data, text(&output.stdout))
}

#[tokio::test]
async fn what_was_stated() {
    let keys = TempDir::new().expect("a directory");
    let (clock, _) = Clock::manual(beginning());
    let node = TestNode::clocked(clock, &known(&write_key(&keys, 1))).await;
    // Until it has signed its domain, it writes by itself.
    node.signed().await;
    for (path, body) in facts() {
        node.put(path, &body).await;
    }
    let write = |secret: &str, method: Method, path: &str| {
        let request = node.request(method, &format!("/n2s/v1/{path}"));
        request.token(secret)
    };
    let other = json!({"network-map": {"par": {"ipv4": ["203.0.113.0/24"]}}});
    let cost = json!({"cost-map": {"core": {"edge": 13.5}}});
    let operations = json!({"operations": [
        {"op": "announce", "path": "network-map", "value": {"lab": ["10.1.9.0/24"]}},
        {"op": "delete", "path": "properties"},
    ]});
    for request in [
        write(NOC2, Method::PUT, "network-map").typed(JSON, other.to_string()),
        write(NOC, Method::PATCH, "cost-maps/routingcost")
            .header("idempotency-key", "k-1")
            .typed(MERGE_PATCH, cost.to_string()),
        write(NOC, Method::POST, "transaction").typed(JSON, operations.to_string()),
        write(OPS, Method::POST, "revisions/6/restore"),
    ] {
        let answer = request.send().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    let mut tape = Tape::of("What is kept of what was stated", &[]);
    let (data, exported) = exported(node).await;
    let data = data.path().join("store");
    let places = [("{data}", data.to_str().expect("text"))];
    for line in [
        "store verify --data-dir {data}",
        "store verify --data-dir {data} --json",
    ] {
        runs(&mut tape, &places, line).await;
    }
    tape.part("an export");
    tape.write(&exported);
    tape.is("store.txt");
}

/// Documents of peers are stored as they come: the order differs from run to run.
#[tokio::test]
async fn what_peers_passed() {
    let world = World::start().await;
    let mut tape = Tape::of("What is kept of what peers passed", &world.masks);
    let (_, exported) = exported(world.node).await;
    for line in exported.lines() {
        let Some((before, after)) = line.split_once(",\"puts\":") else {
            continue;
        };
        if line.starts_with("{\"row\":") && line.contains("federation-") {
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            tape.write(&format!("{before},\"puts\":{{order}}{after}"));
        }
    }
    tape.is("store-peers.txt");
}
