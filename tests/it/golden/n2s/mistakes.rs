//! Refused requests, and the texts of the refusals.

use reqwest::Method;
use serde_json::json;

use super::{n2s, node, patch, put, tape, transaction};
use crate::golden::world::facts;
use crate::support::JSON;

#[tokio::test]
async fn mistakes() {
    let node = node("").await;
    let mut tape = tape("What is wrong with what is stated");
    node.put(facts()[0].0, &facts()[0].1).await;
    let text = |path: &str, body: &str| n2s(Method::PUT, path).typed(JSON, body);
    let asks = [
        (
            "a map with several faults",
            put(
                "network-map",
                &json!({"network-map": {
                    "core": {"ipv4": ["192.0.2.7/24", "10.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"], "ipv5": []},
                    "edge": {"ipv4": ["10.0.0.0/8"], "ipv6": ["2001:db8::/129"]},
                    "a.b": {},
                    "default": {},
                }}),
            ),
        ),
        (
            "a map of other types",
            put(
                "network-map",
                &json!({"network-map": {
                    "core": {"ipv4": "10.0.0.0/8", "ipv6": [7]}, "edge": [],
                }}),
            ),
        ),
        ("a map that is missing", put("network-map", &json!({}))),
        (
            "another thing than an object",
            put("network-map", &json!([])),
        ),
        (
            "broken JSON",
            text("network-map", "{\"network-map\":{\"core\":"),
        ),
        ("nothing", text("network-map", "")),
        (
            "a PID twice",
            text("network-map", r#"{"network-map":{"core":{},"core":{}}}"#),
        ),
        (
            "too deep",
            text(
                "network-map",
                &format!("{{\"x\":{}{}}}", "[".repeat(40), "]".repeat(40)),
            ),
        ),
        (
            "costs with several faults",
            put(
                "cost-maps/hopcount",
                &json!({"cost-map": {
                    "core": {"edge": -1, "lab": 1.5, "none": 1}, "none": {"core": 1}, "lab": {"a b": 1},
                }}),
            ),
        ),
        (
            "costs of other types",
            put(
                "cost-maps/hopcount",
                &json!({"cost-map": {
                    "core": {"edge": "1", "lab": null}, "edge": 7,
                }}),
            ),
        ),
        (
            "a cost that is no number",
            text(
                "cost-maps/routingcost",
                r#"{"cost-map":{"core":{"core":1e999}}}"#,
            ),
        ),
        (
            "a cost twice",
            text(
                "cost-maps/routingcost",
                r#"{"cost-map":{"core":{"core":1,"core":2}}}"#,
            ),
        ),
        (
            "a loss of more than all",
            put(
                "cost-maps/lossrate",
                &json!({"cost-map": {"core": {"core": 101}}}),
            ),
        ),
        (
            "properties with several faults",
            put(
                "properties",
                &json!({"property-map": {
                    "ipv4:10.0.0.1/8": {"priv:x": 1}, "pid:none": {"priv:x": 1}, "asn:1": {"priv:x": 1},
                    "pid:core": {"x": 1, "pid": 2},
                }}),
            ),
        ),
        (
            "interconnects with several faults",
            put(
                "interconnects",
                &json!({"interconnects": {
                    "x y": {}, "x": {"border": "none", "peer-domain": "isp-a", "peer-border": "gw",
                        "relationship": "friend", "costs": {"routingcost": -1, "hopcount": "1"}},
                }}),
            ),
        ),
        (
            "a transaction with several faults",
            transaction(
                "",
                &json!([
                    {"op": "put", "path": "network-map", "value": {"network-map": {"core": {"ipv4": ["x"]}}}},
                    {"op": "put", "path": "nowhere", "value": {}},
                    {"op": "frobnicate", "path": "properties"},
                    {"op": "announce", "path": "network-map", "value": {"core": ["10.0.0.1/8"]}},
                    {"op": "delete", "path": "properties", "value": {}},
                ]),
            ),
        ),
        (
            "a transaction that cannot be done",
            transaction(
                "",
                &json!([
                    {"op": "withdraw", "path": "network-map", "value": {"core": ["203.0.113.0/24"], "none": ["10.0.0.0/8"]}},
                    {"op": "announce", "path": "network-map", "value": {"lab": ["10.1.128.0/17"]}},
                ]),
            ),
        ),
        ("a transaction of nothing", transaction("", &json!([]))),
        (
            "a transaction without operations",
            n2s(Method::POST, "transaction").typed(JSON, "{}"),
        ),
        (
            "a patch with faults",
            patch(
                "network-map",
                &json!({"network-map": {
                    "lab": {"ipv4": ["10.1.0.0/17", "x"]}, "new": 7,
                }}),
            ),
        ),
        (
            "a query that is not understood",
            put("network-map?dry_run=true", &facts()[0].1),
        ),
        (
            "a query of another type",
            put("network-map?dry-run=yes", &facts()[0].1),
        ),
        (
            "a source of another",
            put("network-map?source=noc2", &json!({"network-map": {}})),
        ),
        (
            "all sources at once",
            put("network-map?source=*", &json!({"network-map": {}})),
        ),
    ];
    tape.all(&node, asks).await;
    tape.is("n2s-mistakes.txt");
}
