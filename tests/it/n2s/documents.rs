//! Each document's GET, PUT, PATCH and DELETE.

use std::convert::Infallible;

use altofed::runtime::Task;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::{documents, network, patch, put, stating};
use crate::support::{JSON, NOC, TestNode};

#[tokio::test]
async fn what_is_put_is_read_back_with_the_tag_that_the_put_gave() {
    let node = TestNode::start().await;
    for (revision, (path, body)) in (1..).zip(documents()) {
        let made = put(&node, path, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(made.header("location"), format!("/n2s/v1/{path}"));
        let tag = made.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
        let said = made.json();
        assert_eq!(said["revision"], revision);
        assert_eq!(said["changed"], json!([path]));

        let read = node.stated(path).await;
        assert_eq!(read.ok(JSON), body);
        assert_eq!(read.header("etag"), tag);
        assert_eq!(read.header("cache-control"), "private, no-cache");
        let head = node.n2s(NOC, Method::HEAD, path, None).send().await;
        assert_eq!((head.status.as_u16(), head.header("etag")), (200, &*tag));
        assert!(head.body.is_empty());
        let known = node
            .n2s(NOC, Method::GET, path, None)
            .header("if-none-match", &tag);
        let known = known.send().await;
        assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    }
}

#[tokio::test]
async fn a_document_that_is_put_again_as_it_is_makes_no_revision() {
    let node = stating().await;
    for (path, body) in documents() {
        let again = put(&node, path, &body).await;
        let said = again.ok(JSON);
        assert_eq!(said["revision"], 4, "{path}");
        assert_eq!(said["changed"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn a_deleted_document_is_gone_and_cannot_be_deleted_again() {
    let node = stating().await;
    let mut paths = documents().map(|(path, _)| path);
    // Documents that name PIDs are deleted before the PIDs.
    paths.reverse();
    for path in paths {
        let delete = || node.n2s(NOC, Method::DELETE, path, None);
        let gone = delete().send().await;
        assert_eq!(gone.ok(JSON)["changed"], json!([path]));
        assert_eq!(gone.header("etag"), "");
        node.stated(path).await.problem(404, &[]);
        delete().send().await.problem(404, &[]);
    }
    let list = node.stated("revisions").await.json();
    assert_eq!(list["newest"], 8);
}

#[tokio::test]
async fn a_write_is_seen_by_the_very_next_get() {
    let node = stating().await;
    for cost in 0..25 {
        let body = json!({"cost-map": {"ams": {"fra": cost}}});
        node.put("cost-maps/routingcost", &body).await;
        assert_eq!(node.stated("cost-maps/routingcost").await.json(), body);
        let map = node.get("/views/isp-a/costmap-routingcost").await;
        assert_eq!(map.json()["cost-map"], body["cost-map"]);
        let map = node.get("/views/merged/costmap-routingcost").await;
        assert_eq!(
            map.json()["cost-map"],
            json!({"isp-a:ams": {"isp-a:fra": cost}})
        );
    }
}

#[tokio::test]
async fn a_write_with_a_stale_tag_is_refused_and_changes_nothing() {
    let node = stating().await;
    for (path, body) in documents() {
        let tag = node.stated(path).await.header("etag").to_owned();
        let refused = [
            ("if-match", "\"stale\"".to_owned()),
            // If-Match compares strongly, RFC 9110 section 13.1.1.
            ("if-match", format!("W/{tag}")),
            ("if-none-match", "*".to_owned()),
            ("if-none-match", tag.clone()),
        ];
        for (name, value) in refused {
            for method in [Method::PUT, Method::PATCH, Method::DELETE] {
                let content = (method != Method::DELETE).then_some(&body);
                let request = node.n2s(NOC, method.clone(), path, content);
                let answer = request.header(name, &value).send().await;
                answer.problem(412, &[]);
            }
        }
        assert_eq!(node.stated(path).await.header("etag"), tag);
        for value in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned()] {
            let request = node.n2s(NOC, Method::PUT, path, Some(&body));
            assert_eq!(request.header("if-match", &value).send().await.status, 200);
        }
    }
}

#[tokio::test]
async fn conditions_on_a_document_that_is_not_there_are_on_its_absence() {
    let node = TestNode::start().await;
    let write = |name, value| {
        node.n2s(NOC, Method::PUT, "network-map", Some(&network()))
            .header(name, value)
    };
    write("if-match", "*").send().await.problem(412, &[]);
    write("if-match", "\"x\"").send().await.problem(412, &[]);
    assert_eq!(write("if-none-match", "*").send().await.status, 201);
}

#[tokio::test]
async fn the_tag_of_a_compressed_answer_is_a_condition_too() {
    let node = stating().await;
    let get = node.n2s(NOC, Method::GET, "network-map", None);
    let zipped = get.header("accept-encoding", "gzip").send().await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let tag = zipped.header("etag").to_owned();
    assert_ne!(tag, node.stated("network-map").await.header("etag"));
    let write = node.n2s(NOC, Method::PUT, "network-map", Some(&network()));
    assert_eq!(write.header("if-match", &tag).send().await.status, 200);
}

#[tokio::test]
async fn what_a_get_of_an_alto_map_returned_can_be_put_as_it_is() {
    let node = stating().await;
    let pairs = [
        ("network-map", "networkmap", "network-map"),
        ("cost-maps/routingcost", "costmap-routingcost", "cost-map"),
    ];
    for (document, resource, member) in pairs {
        let map = node.get(&format!("/views/isp-a/{resource}")).await;
        assert!(map.json()["meta"].is_object());
        let request = node.request(Method::PUT, &format!("/n2s/v1/{document}"));
        let media_type = map.header("content-type").to_owned();
        let answer = request.token(NOC).typed(&media_type, map.body.clone());
        let answer = answer.send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            node.stated(document).await.json()[member],
            map.json()[member]
        );
    }
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    let node = stating().await;
    let send = |method: Method, path: &str, media_type: &str, body: &Value| {
        let request = node.request(method, &format!("/n2s/v1/{path}")).token(NOC);
        request.typed(media_type, body.to_string())
    };
    for (path, body) in documents() {
        for (method, media_type) in [
            (Method::PUT, "text/plain"),
            (Method::PUT, "application/merge-patch+json"),
            (Method::PATCH, "application/json"),
            (Method::PATCH, "application/json-patch+json"),
        ] {
            let answer = send(method, path, media_type, &body).send().await;
            answer.problem(415, &[]);
        }
        let untyped = node.request(Method::PUT, &format!("/n2s/v1/{path}"));
        untyped.token(NOC).send().await.problem(415, &[]);
        let typed = "Application/JSON; charset=utf-8";
        assert_eq!(
            send(Method::PUT, path, typed, &body).send().await.status,
            200
        );
    }
    let transaction = send(
        Method::POST,
        "transaction",
        "text/json",
        &json!({"operations": []}),
    );
    transaction.send().await.problem(415, &[]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let node = TestNode::with("[bodies]\nmax_ingest_bytes = 200\n").await;
    let long = json!({"network-map": {"ams": {"ipv4": vec!["192.0.2.0/24"; 20]}}});
    put(&node, "network-map", &long).await.problem(413, &[]);
    patch(&node, "network-map", &long).await.problem(413, &[]);
    let body = json!({"operations": [{"op": "put", "path": "network-map", "value": long}]});
    let transaction = node.n2s(NOC, Method::POST, "transaction", Some(&body));
    transaction.send().await.problem(413, &[]);
    assert_eq!(put(&node, "network-map", &network()).await.status, 201);
}

#[tokio::test]
async fn a_node_with_nothing_yet_serves_empty_maps_and_the_endpoint_services() {
    let node = TestNode::start().await;
    for view in ["isp-a", "merged"] {
        let map = node.get(&format!("/views/{view}/networkmap")).await;
        let map = map.ok("application/alto-networkmap+json");
        assert_eq!(map["network-map"], json!({}));
        let costs = format!("/views/{view}/costmap-routingcost");
        let costs = node.get(&costs).await;
        let costs = costs.ok("application/alto-costmap+json");
        assert_eq!(costs["cost-map"], json!({}));
    }
    let query = json!({
        "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "endpoints": {"dsts": ["ipv4:192.0.2.1"]},
    });
    let costs = node.post(
        "/views/merged/endpointcost",
        crate::support::COST_PARAMS,
        query.to_string(),
    );
    let costs = costs.await.ok("application/alto-endpointcost+json");
    let none = costs["endpoint-cost-map"].as_object().expect("an object");
    assert!(none.values().all(|row| row == &json!({})), "{costs}");
    let query = json!({"properties": ["networkmap.pid"], "endpoints": ["ipv4:192.0.2.1"]});
    let properties = node.post(
        "/views/merged/endpointprop",
        crate::support::PROPERTY_PARAMS,
        query.to_string(),
    );
    properties.await.ok("application/alto-endpointprop+json");
    assert_eq!(
        node.stated("conflicts").await.ok(JSON)["conflicts"],
        json!([])
    );
    assert_eq!(
        node.stated("revisions").await.ok(JSON),
        json!({"revisions": [], "newest": 0})
    );
}

#[tokio::test]
async fn addresses_that_no_pid_has_are_completed_with_a_warning_where_they_are_published() {
    let node = TestNode::start().await;
    let warned = node.put("network-map", &network()).await.json();
    let warnings = warned["warnings"].to_string();
    assert!(
        warnings.contains("0.0.0.0/0") && warnings.contains("::/0"),
        "{warnings}"
    );
    assert_eq!(node.stated("network-map").await.json(), network());
    let map = node.get("/views/isp-a/networkmap").await.json();
    assert_eq!(
        map["network-map"]["default"],
        json!({"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]})
    );

    // Only the families that the map mentions, and only if they are not covered.
    let v4 = json!({"network-map": {"ams": {"ipv4": ["192.0.2.0/24"]}}});
    assert_eq!(
        node.put("network-map", &v4).await.json()["warnings"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let map = node.get("/views/isp-a/networkmap").await.json();
    assert_eq!(
        map["network-map"]["default"],
        json!({"ipv4": ["0.0.0.0/0"]})
    );
    let halves = json!({"network-map": {"ams": {"ipv4": ["0.0.0.0/1", "128.0.0.0/1"]}}});
    assert_eq!(
        node.put("network-map", &halves).await.json()["warnings"],
        json!([])
    );
    let map = node.get("/views/isp-a/networkmap").await.json();
    assert_eq!(map["network-map"], halves["network-map"]);
}

/// A document is written as it is taken when it is read back: of a document that is larger than
/// the rest of its source's share, only some rows are in memory.
#[tokio::test]
async fn a_document_is_read_back_however_little_of_a_share_is_left() {
    let limits = "[limits]\nmax_ingest_bytes_in_flight = 4000000\n\
                  [bodies]\nmax_ingest_bytes = 3000000\n";
    let node = TestNode::with(limits).await;
    crate::streaming::feed(&node, 450).await;
    let put = node.request(Method::PUT, "/n2s/v1/properties").token(NOC);
    let come = stream::iter([Ok::<_, Infallible>("x".repeat(700_000))]);
    let endless = reqwest::Body::wrap_stream(come.chain(stream::pending()));
    let held = Task::spawn("put", async move {
        let answer = put.typed(JSON, endless).begin().await;
        panic!("{answer:?}");
    });
    let bytes = "altofed_http_ingest_bytes";
    node.until_metric(bytes, |bytes| bytes == 700_000.0).await;
    let path = "cost-maps/routingcost";
    let whole = node.stated(path).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    assert!(whole.body.len() > 2_300_000, "{} bytes", whole.body.len());
    assert_eq!(whole.ok(JSON)["cost-map"]["p449"]["p448"], 449 * 7 + 448);
    for path in [path, "cost-maps/routingcost?source=*"] {
        let read = node.n2s(NOC, Method::GET, path, None);
        let read = read.header("accept-encoding", "gzip").send().await;
        assert_eq!(read.status, 200, "{read:?}");
        assert_eq!(read.header("content-encoding"), "gzip");
        assert!(read.decoded() == whole.body, "{path}");
    }
    node.until_metric(bytes, |bytes| bytes == 700_000.0).await;
    drop(held);
}
