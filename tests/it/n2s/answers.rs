//! Options of requests besides the document, and the form of refusals.

use reqwest::Method;
use serde_json::json;

use super::{documents, newest, put, stating};
use crate::support::{JSON, NOC, TestNode};

#[tokio::test]
async fn a_dry_run_answers_as_the_write_would_and_keeps_nothing() {
    let node = TestNode::start().await;
    for (path, body) in documents() {
        let dry = |node: &TestNode| {
            node.n2s(
                NOC,
                Method::PUT,
                &format!("{path}?dry-run=true"),
                Some(&body),
            )
        };
        let dry_answer = dry(&node).send().await;
        node.stated(path).await.problem(404, &[]);
        let real = put(&node, path, &body).await;
        assert_eq!(dry_answer.status, real.status);
        assert_eq!(dry_answer.json(), real.json());
        assert_eq!(dry_answer.header("etag"), real.header("etag"));
    }
    for method in [Method::PATCH, Method::DELETE] {
        let body = (method == Method::PATCH)
            .then(|| json!({"interconnects": {"ams-1": {"costs": {"delay-ow": 1}}}}));
        let request = node.n2s(NOC, method, "interconnects?dry-run=true", body.as_ref());
        let said = request.send().await.ok(JSON);
        assert_eq!(
            said,
            json!({"revision": 5, "changed": ["interconnects"], "warnings": said["warnings"]})
        );
    }
    let body = json!({"operations": [{"op": "delete", "path": "properties"}]});
    let dry = node.n2s(NOC, Method::POST, "transaction?dry-run=true", Some(&body));
    assert_eq!(dry.send().await.ok(JSON)["changed"], json!(["properties"]));
    let restore = node.n2s(
        crate::support::OPS,
        Method::POST,
        "revisions/1/restore?dry-run=true",
        None,
    );
    assert_eq!(restore.send().await.ok(JSON)["revision"], 5);
    let refused = json!({"network-map": {"ams": {"ipv4": ["192.0.2.1/24"]}}});
    let refused = node.n2s(NOC, Method::PUT, "network-map?dry-run=true", Some(&refused));
    refused
        .send()
        .await
        .problem(422, &["/network-map/ams/ipv4/0"]);
    let stale = node.n2s(NOC, Method::DELETE, "properties?dry-run=true", None);
    stale
        .header("if-match", "\"stale\"")
        .send()
        .await
        .problem(412, &[]);

    assert_eq!(newest(&node).await, 4);
    for (path, body) in documents() {
        assert_eq!(node.stated(path).await.json(), body);
    }
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused() {
    let node = stating().await;
    let body = &documents()[0].1;
    for query in [
        "dry_run=true",
        "dry-run=yes",
        "dry-run",
        "source=a%20b",
        "source=*",
        "after=1",
    ] {
        let path = format!("network-map?{query}");
        put(&node, &path, body).await.problem(400, &[]);
    }
    for path in [
        "network-map?dry-run=true",
        "revisions?after=x",
        "revisions?after=-1",
        "revisions?limit=1",
    ] {
        node.stated(path).await.problem(400, &[]);
    }
    assert_eq!(newest(&node).await, 4);
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_found() {
    let node = stating().await;
    for path in [
        "",
        "cost-maps",
        "cost-maps/",
        "cost-maps/latency",
        "cost-maps/routingcost/x",
        "network-map/",
        "topologies/x",
        "calendars/routingcost",
        "measurements",
        "revisions/x",
        "revisions/0",
        "revisions/5",
        "revisions/-1",
        "revisions/99999999999999999999",
        "cost-maps/hopcount",
    ] {
        node.stated(path).await.problem(404, &[]);
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_answered_with_those_it_has() {
    let node = stating().await;
    let all = "GET, PUT, PATCH, DELETE, HEAD, OPTIONS";
    for (path, method, allow) in [
        ("network-map", Method::POST, all),
        ("cost-maps/routingcost", Method::POST, all),
        ("transaction", Method::GET, "POST, OPTIONS"),
        ("revisions", Method::POST, "GET, HEAD, OPTIONS"),
        ("revisions/1", Method::DELETE, "GET, HEAD, OPTIONS"),
        ("revisions/1/restore", Method::GET, "POST, OPTIONS"),
        ("conflicts", Method::PUT, "GET, HEAD, OPTIONS"),
    ] {
        let answer = node.n2s(NOC, method, path, None).send().await;
        answer.problem(405, &[]);
        assert_eq!(answer.header("allow"), allow, "{path}");
        let asked = node.n2s(NOC, Method::OPTIONS, path, None).send().await;
        assert_eq!(
            (asked.status.as_u16(), asked.header("allow")),
            (204, allow),
            "{path}"
        );
    }
}
