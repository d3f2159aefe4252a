//! Documents, and writes that remove too much.

use reqwest::Method;
use serde_json::json;

use super::{by, delete, get, n2s, node, patch, put, tape};
use crate::golden::tape::ask;
use crate::golden::world::facts;
use crate::support::events::JSON_PATCH;
use crate::support::{CDN, JSON, NOC, NOC2};

#[tokio::test]
async fn documents() {
    let node = node("").await;
    let mut tape = tape("The documents of the network-to-server API, and what is done to them");
    for (path, body) in facts() {
        let asks = [
            ("that is not there", get(path)),
            (
                "put by nobody",
                ask(Method::PUT, format!("/n2s/v1/{path}")).typed(JSON, &body),
            ),
            (
                "to see what would become of it",
                put(&format!("{path}?dry-run=true"), &body),
            ),
            ("put", put(path, &body)),
            ("put again", put(path, &body)),
        ];
        for (title, ask) in asks {
            tape.ask(&node, &format!("{path}: {title}"), ask).await;
        }
        let got = tape.ask(&node, &format!("{path}: read"), get(path)).await;
        let tag = got.header("etag");
        let asks = [
            ("without its body", n2s(Method::HEAD, path)),
            ("that is known", get(path).with("if-none-match", tag)),
            ("packed", get(path).with("accept-encoding", "gzip")),
            ("of another source", by(NOC2, Method::GET, path)),
            ("of all sources", get(&format!("{path}?source=*"))),
            ("its methods", n2s(Method::OPTIONS, path)),
            (
                "by another method",
                n2s(Method::POST, path).typed(JSON, "{}"),
            ),
        ];
        for (title, ask) in asks {
            tape.ask(&node, &format!("{path}: {title}"), ask).await;
        }
    }
    let patches = [
        (
            "network-map",
            json!({"network-map": {"lab": {"ipv4": ["10.1.8.0/24"], "ipv6": null}, "new": {}}}),
        ),
        (
            "cost-maps/routingcost",
            json!({"cost-map": {"lab": null, "core": {"edge": 2.25, "lab": null}}}),
        ),
        (
            "cost-maps/hopcount",
            json!({"cost-map": {"lab": {"core": 1}}}),
        ),
        (
            "properties",
            json!({"property-map": {"pid:core": {"priv:memory": 7}, "pid:lab": {"priv:x": [1, {"y": null}]}}}),
        ),
        (
            "interconnects",
            json!({"interconnects": {"x-1-2": {"costs": {"hopcount": null}}, "x-1-9": null}}),
        ),
    ];
    for (path, body) in &patches {
        tape.ask(&node, &format!("{path}: patched"), patch(path, body))
            .await;
        tape.ask(
            &node,
            &format!("{path}: read when it is patched"),
            get(path),
        )
        .await;
    }
    let asks = [
        (
            "a patch that changes nothing",
            patch("network-map", &json!({})),
        ),
        (
            "a patch of another type",
            n2s(Method::PATCH, "network-map").typed(JSON, "{}"),
        ),
        (
            "a JSON patch",
            n2s(Method::PATCH, "network-map").typed(JSON_PATCH, "[]"),
        ),
        (
            "a document of another type",
            n2s(Method::PUT, "network-map").typed("text/plain", "{}"),
        ),
        ("a document without a type", n2s(Method::PUT, "network-map")),
        ("deleted while others need it", delete("network-map")),
        ("deleted", delete("interconnects")),
        (
            "deleted, to see what would become of it",
            delete("properties?dry-run=true"),
        ),
        ("deleted again", delete("interconnects")),
        ("a metric that is none", get("cost-maps/latency")),
        ("a document that there is not", get("topologies/x")),
        (
            "a version that there is not",
            ask(Method::GET, "/n2s/v2/network-map").by(NOC),
        ),
        (
            "with a token for queries",
            by(CDN, Method::GET, "network-map"),
        ),
        (
            "with a wrong token",
            by("wrong-secret-0123456789", Method::GET, "network-map"),
        ),
        ("without a token", ask(Method::GET, "/n2s/v1/network-map")),
    ];
    tape.all(&node, asks).await;
    tape.is("n2s-documents.txt");
}

#[tokio::test]
async fn held_writes() {
    let node = node("[source.noc]\nmax_removed = 0.5\n").await;
    let mut tape = tape("Writes that take back too much");
    let map = |count: u8| {
        let prefixes: Vec<String> = (0..count).map(|n| format!("10.{n}.0.0/16")).collect();
        json!({"network-map": {"ams": {"ipv4": prefixes}, "fra": {"ipv4": ["192.0.2.0/24"]}}})
    };
    let asks = [
        ("nothing is held", get("held")),
        ("much", put("network-map", &map(20))),
        (
            "little, to see what would become of it",
            put("network-map?dry-run=true", &map(4)),
        ),
        ("little", put("network-map", &map(4))),
        ("what is held", get("held")),
        ("little, and meant", put("network-map?accept=true", &map(4))),
        ("nothing is held any more", get("held")),
    ];
    tape.all(&node, asks).await;
    tape.is("n2s-held.txt");
}
