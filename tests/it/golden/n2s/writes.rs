//! Transactions and conditions, revisions and sources.

use reqwest::Method;
use serde_json::{Value, json};

use super::{by, get, n2s, node, patch, put, restore, tape, transaction};
use crate::golden::world::facts;
use crate::support::{JSON, NOC2};

#[tokio::test]
async fn writes() {
    let node = node("").await;
    let mut tape = tape("Transactions, conditions, idempotency, preferences");
    let puts: Vec<Value> = facts()
        .into_iter()
        .map(|(path, value)| json!({"op": "put", "path": path, "value": value}))
        .collect();
    let cost = |cost: f64| json!({"cost-map": {"core": {"edge": cost}}});
    let costs = "cost-maps/routingcost";
    let asks = [
        (
            "all at once, to see what would become of it",
            transaction("?dry-run=true", &json!(puts)),
        ),
        ("all at once", transaction("", &json!(puts))),
        ("all at once again", transaction("", &json!(puts))),
        (
            "some prefixes",
            transaction(
                "",
                &json!([
                    {"op": "announce", "path": "network-map", "value": {"lab": ["10.1.9.0/24"], "new": ["2001:db8:9::/48"]}},
                    {"op": "withdraw", "path": "network-map", "value": {"core": ["10.1.0.0/17"]}},
                    {"op": "merge-patch", "path": costs, "value": {"cost-map": {"new": {"lab": 2}}}},
                    {"op": "delete", "path": "properties"},
                ]),
            ),
        ),
        (
            "if it is not there",
            put("properties", &facts()[4].1).with("if-none-match", "*"),
        ),
        (
            "if it is not there, and it is",
            put("properties", &facts()[4].1).with("if-none-match", "*"),
        ),
        (
            "if it is what it was not",
            patch(costs, &cost(9.0)).with("if-match", "\"other\""),
        ),
        (
            "if it is there",
            patch(costs, &cost(9.0)).with("if-match", "*"),
        ),
        (
            "under a condition that is none",
            patch(costs, &cost(9.0)).with("if-match", "other"),
        ),
        (
            "with a key",
            patch(costs, &cost(7.0)).with("idempotency-key", "\"k-1\""),
        ),
        (
            "with the key again",
            patch(costs, &cost(7.0)).with("idempotency-key", "\"k-1\""),
        ),
        (
            "with the key of another",
            patch(costs, &cost(8.0)).with("idempotency-key", "\"k-1\""),
        ),
        (
            "with a key that is none",
            patch(costs, &cost(8.0)).with("idempotency-key", ""),
        ),
        (
            "with a preference",
            patch(costs, &cost(6.0)).with("prefer", "wait=5"),
        ),
        (
            "with a preference that is none",
            patch(costs, &cost(5.0)).with("prefer", "return=minimal"),
        ),
        ("by another method", get("transaction")),
        (
            "of another type",
            n2s(Method::POST, "transaction").typed("text/plain", "{}"),
        ),
    ];
    tape.all(&node, asks).await;
    let tag = node.stated(costs).await;
    let known = patch(costs, &cost(4.0)).with("if-match", tag.header("etag"));
    tape.ask(&node, "if it is what it was", known).await;
    let newest = tape.ask(&node, "the revisions", get("revisions")).await;
    let none = json!([{"op": "delete", "path": "interconnects"}]);
    let on = transaction("", &none).with("if-match", newest.header("etag"));
    tape.ask(&node, "on the newest revision", on).await;
    let on = transaction("", &none).with("if-match", newest.header("etag"));
    tape.ask(&node, "on a revision that is no more the newest", on)
        .await;
    tape.is("n2s-writes.txt");
}

#[tokio::test]
async fn revisions_and_sources() {
    let node = node("[source.noc]\npriority = 1\n").await;
    let mut tape = tape("Revisions, sources and their conflicts");
    let map = |pid: &str, prefix: &str| json!({"network-map": {pid: {"ipv4": [prefix]}}});
    let other = json!({
        "core": {"ipv4": ["10.1.7.0/24"]}, "par": {"ipv4": ["203.0.113.0/24"]},
    });
    let link = json!({
        "border": "core", "peer-domain": "isp-b", "peer-border": "core",
        "relationship": "open", "costs": {"hopcount": 2},
    });
    let asks = [
        ("no revision yet", get("revisions")),
        ("a map", put("network-map", &facts()[0].1)),
        ("costs", put("cost-maps/routingcost", &facts()[1].1)),
        ("properties", put("properties", &facts()[4].1)),
        ("interconnects", put("interconnects", &facts()[5].1)),
        (
            "a map of another source",
            by(NOC2, Method::PUT, "network-map").typed(JSON, json!({"network-map": other})),
        ),
        (
            "costs of another source",
            by(NOC2, Method::PUT, "cost-maps/routingcost").typed(
                JSON,
                json!({
                    "cost-map": {"core": {"edge": 4}, "par": {"core": 2}, "void": {"par": 3}},
                }),
            ),
        ),
        (
            "properties of another source",
            by(NOC2, Method::PUT, "properties").typed(
                JSON,
                json!({
                    "property-map": {"pid:core": {"priv:memory": 1}},
                }),
            ),
        ),
        (
            "interconnects of another source",
            by(NOC2, Method::PUT, "interconnects").typed(
                JSON,
                json!({
                    "interconnects": {"x-1-2": link},
                }),
            ),
        ),
        (
            "a map for another source",
            put("network-map?source=probe", &map("lab", "198.18.0.0/15")),
        ),
        ("the map of that source", get("network-map?source=probe")),
        (
            "the map of a source that is not its own",
            get("network-map?source=noc2"),
        ),
        ("what contradicts", get("conflicts")),
        (
            "a map without a PID that others need",
            put(
                "network-map",
                &json!({"network-map": {
                    "core": {"ipv4": ["10.1.0.0/17"]}, "edge": {"ipv4": ["10.1.128.0/17"]},
                    "lab": {"ipv4": ["192.0.2.0/24"]},
                }}),
            ),
        ),
        (
            "a map that its own costs need",
            by(NOC2, Method::DELETE, "network-map"),
        ),
        ("what contradicts and what dangles", get("conflicts")),
        ("the map of all", get("network-map?source=*")),
        ("the costs of all", get("cost-maps/routingcost?source=*")),
        ("the properties of all", get("properties?source=*")),
        ("the interconnects of all", get("interconnects?source=*")),
        ("the revisions", get("revisions")),
        ("the revisions after one", get("revisions?after=9")),
        ("the revisions after all", get("revisions?after=99")),
        (
            "the revisions after what is no number",
            get("revisions?after=x"),
        ),
        ("a revision", get("revisions/6")),
        (
            "a revision without its body",
            n2s(Method::HEAD, "revisions/6"),
        ),
        ("a revision that there is not", get("revisions/99")),
        ("what is no revision", get("revisions/x")),
        (
            "to restore one by who may not",
            n2s(Method::POST, "revisions/3/restore"),
        ),
        (
            "to restore one, to see what would become of it",
            restore("3/restore?dry-run=true"),
        ),
        ("to restore one", restore("3/restore")),
        ("to restore the one that is", restore("3/restore")),
        ("to restore one that there is not", restore("99/restore")),
        (
            "to restore one on another",
            restore("1/restore").with("if-match", "\"1\""),
        ),
        (
            "to restore one by another method",
            get("revisions/3/restore"),
        ),
        ("the revision that is restored", get("revisions/11")),
        ("what contradicts still", get("conflicts")),
        (
            "what contradicts by another method",
            n2s(Method::PUT, "conflicts").typed(JSON, "{}"),
        ),
    ];
    tape.all(&node, asks).await;
    tape.is("n2s-revisions.txt");
}
