//! TIPS views as a client uses them, written from RFC 9569 alone.

use serde_json::Value;

use super::events::{TIPS_PARAMS, patch};
use super::{Answer, TestNode};

/// An open TIPS view.
#[derive(Debug, Clone)]
pub struct Tips {
    /// The `tips-view-uri`.
    pub uri: String,
    /// The `updates-graph-summary`.
    pub summary: Value,
}

impl TestNode {
    /// Sends a request to the TIPS resource of the domain's view, and returns the answer,
    /// whatever it is.
    pub async fn ask_tips(&self, params: &Value) -> Answer {
        let path = "/views/isp-a/tips";
        self.post(path, TIPS_PARAMS, params.to_string()).await
    }

    /// Opens a TIPS view.
    pub async fn tips(&self, params: &Value) -> Tips {
        let answer = self.ask_tips(params).await;
        Tips::new(&answer.ok(super::events::TIPS))
    }
}

impl Tips {
    /// Returns the view that an answer describes.
    pub fn new(answer: &Value) -> Self {
        let uri = answer["tips-view-uri"].as_str().expect("a URI").to_owned();
        let summary = answer["tips-view-summary"]["updates-graph-summary"].clone();
        Self { uri, summary }
    }

    /// Returns the oldest version, according to the summary.
    pub fn start(&self) -> u64 {
        self.summary["start-seq"].as_u64().expect("a number")
    }

    /// Returns the newest version, according to the summary.
    pub fn end(&self) -> u64 {
        self.summary["end-seq"].as_u64().expect("a number")
    }

    /// Returns the recommended edge.
    pub fn recommended(&self) -> (u64, u64) {
        let edge = |member: &str| self.summary["start-edge-rec"][member].as_u64();
        edge("seq-i").zip(edge("seq-j")).expect("an edge")
    }

    /// Returns the URI of an edge.
    pub fn edge_uri(&self, from: u64, to: u64) -> String {
        format!("{}/ug/{from}/{to}", self.uri)
    }

    /// Gets an edge, which may wait.
    pub async fn edge(&self, node: &TestNode, from: u64, to: u64) -> Answer {
        node.get(&self.edge_uri(from, to)).await
    }

    /// Asks for the next edge.
    pub async fn next_edge(&self, node: &TestNode, params: &Value) -> Answer {
        let uri = format!("{}/ug", self.uri);
        node.post(&uri, TIPS_PARAMS, params.to_string()).await
    }

    /// Waits for a version, and applies the edge to it from the version before.
    pub async fn arrived(&self, node: &TestNode, version: u64) -> Answer {
        let answer = self.edge(node, version - 1, version).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
}

/// Applies an edge to a document.
pub fn led_on(mut document: Value, edge: &Answer) -> Value {
    patch(&mut document, edge.header("content-type"), edge.json());
    document
}
