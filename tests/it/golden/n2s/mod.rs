//! The answers of the network-to-server API.

mod documents;
mod mistakes;
mod writes;

use altofed::runtime::Clock;
use reqwest::Method;
use serde_json::{Value, json};

use super::tape::{Ask, Tape, ask};
use super::world::beginning;
use crate::support::{JSON, MERGE_PATCH, NOC, OPS, TestNode};

/// Starts a node whose clock stands still.
async fn node(more: &str) -> TestNode {
    let (clock, _) = Clock::manual(beginning());
    TestNode::clocked(clock, more).await
}

/// Makes a request to a path of the API by the source `noc`.
fn n2s(method: Method, path: &str) -> Ask {
    by(NOC, method, path)
}

/// Makes a request to a path of the API with this secret.
fn by(secret: &str, method: Method, path: &str) -> Ask {
    ask(method, format!("/n2s/v1/{path}")).by(secret)
}

fn get(path: &str) -> Ask {
    n2s(Method::GET, path)
}

fn put(path: &str, body: &Value) -> Ask {
    n2s(Method::PUT, path).typed(JSON, body)
}

fn patch(path: &str, body: &Value) -> Ask {
    n2s(Method::PATCH, path).typed(MERGE_PATCH, body)
}

fn delete(path: &str) -> Ask {
    n2s(Method::DELETE, path)
}

fn transaction(path: &str, operations: &Value) -> Ask {
    let body = json!({"operations": operations});
    n2s(Method::POST, &format!("transaction{path}")).typed(JSON, body)
}

fn restore(path: &str) -> Ask {
    by(OPS, Method::POST, &format!("revisions/{path}"))
}

fn tape(title: &str) -> Tape {
    Tape::of(title, &[])
}
