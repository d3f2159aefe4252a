//! Section 6.6: requests that open no stream.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{UPDATES_OF_ISP_A, asking, metric, of, refused};
use crate::metro::{
    COSTS, ENDPOINTS, ERROR, MISSING, NETWORK, PROPERTIES, SYNTAX, Service, TYPE, VALUE, fault,
    metro, rc,
};
use crate::support::events::{EVENTS, UPDATES};
use crate::support::{JSON, TestNode};

fn told(code: &str, field: &str, value: &str) -> (String, String, String) {
    (code.to_owned(), field.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_request_without_substreams_lacks_add() {
    let node = metro().await;
    for body in [json!({}), json!({"add": {}}), json!({"remove": ["a"]})] {
        assert_eq!(refused(&node, &body).await, told(MISSING, "add", ""));
    }
}

#[tokio::test]
async fn a_member_that_is_wrong_is_named_by_its_whole_path() {
    let node = metro().await;
    for (substream, wanted) in [
        (json!({}), told(MISSING, "add/a/resource-id", "")),
        (
            json!({"resource-id": 7}),
            told(TYPE, "add/a/resource-id", ""),
        ),
        (
            json!({"resource-id": "isp-a:networkmap", "incremental-changes": "no"}),
            told(TYPE, "add/a/incremental-changes", ""),
        ),
        (json!([]), told(TYPE, "add/a", "")),
    ] {
        let body = json!({"add": {"a": substream}});
        assert_eq!(refused(&node, &body).await, wanted, "{body}");
    }
    assert_eq!(refused(&node, &json!({"add": []})).await.0, TYPE);
    assert_eq!(refused(&node, &json!([])).await.0, SYNTAX);
}

#[tokio::test]
async fn a_resource_that_the_stream_does_not_have_is_repeated_with_its_path() {
    let node = metro().await;
    for id in [
        "isp-a:costmap-hopcount",
        // The stream of the merged view has these resources.
        "networkmap",
        "costmap-routingcost",
        // A stream cannot be followed by a stream.
        "isp-a:updates",
        "isp-a:directory",
        "",
    ] {
        let body = json!({"add": {"good": of("networkmap"), "bad": {"resource-id": id}}});
        let wanted = told(VALUE, "add/bad/resource-id", id);
        assert_eq!(refused(&node, &body).await, wanted);
    }
    let two = json!({"add": {"a": {"resource-id": "x"}, "b": {"resource-id": "y"}}});
    assert_eq!(refused(&node, &two).await.0, VALUE, "one of them is told");
}

#[tokio::test]
async fn an_input_that_is_missing_or_wrong_is_refused_as_by_the_resource() {
    let node = metro().await;
    let srcs = json!({"srcs": ["ipv4:10.20.0.1"], "dsts": ["mac:00"]});
    let properties = json!({"properties": ["priv:none"], "endpoints": ["ipv4:10.0.0.1"]});
    let cases: [(Service, &str, Vec<Value>); 4] = [
        (
            NETWORK,
            "filtered-networkmap",
            vec![json!({}), json!({"pids": ["a b"]})],
        ),
        (
            COSTS,
            "filtered-costmap",
            vec![
                json!({}),
                json!({"cost-type": rc(), "constraints": ["about 3"]}),
                json!({"cost-type": rc(), "pids": {"srcs": []}}),
            ],
        ),
        (
            ENDPOINTS,
            "endpointcost",
            vec![json!({"cost-type": rc(), "endpoints": srcs})],
        ),
        (PROPERTIES, "endpointprop", vec![properties, json!([])]),
    ];
    for (service, resource, inputs) in cases {
        for input in inputs {
            let itself = fault(&service.ask(&node, &input).await);
            let add = json!({"a": asking(resource, &input)});
            assert_eq!(
                refused(&node, &json!({"add": add})).await,
                itself,
                "{input}"
            );
        }
        let itself = fault(&service.ask(&node, "").await);
        let add = json!({"a": of(resource)});
        assert_eq!(refused(&node, &json!({"add": add})).await, itself);
    }
    let two = json!({
        "a": asking("filtered-networkmap", &json!({})),
        "b": asking("filtered-costmap", &json!({})),
    });
    assert_eq!(refused(&node, &json!({"add": two})).await.0, MISSING);
}

#[tokio::test]
async fn a_request_that_is_refused_leaves_no_stream() {
    let node = metro().await;
    let mut add = BTreeMap::from([("bad", json!({"resource-id": "x"}))]);
    for id in ["a", "z"] {
        add.insert(id, of("networkmap"));
    }
    for _ in 0..10 {
        assert_eq!(refused(&node, &json!({"add": add})).await.0, VALUE);
    }
    assert_eq!(metric(&node, "altofed_http_update_streams").await, 0);
    let _stream = super::follow(&node, json!({"a": of("networkmap")})).await;
    assert_eq!(metric(&node, "altofed_http_update_streams").await, 1);
}

#[tokio::test]
async fn another_method_type_or_accepted_type_is_refused_as_http_has_it() {
    let node = metro().await;
    let body = json!({"add": {"a": of("networkmap")}}).to_string();
    let post = || node.request(Method::POST, UPDATES_OF_ISP_A);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = node.request(method, UPDATES_OF_ISP_A).send().await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), "POST, OPTIONS");
    }
    let typed = post().typed(JSON, body.clone()).send().await;
    assert_eq!(typed.status, 415);
    assert_eq!(typed.header("content-type"), ERROR);
    let other = post().typed(UPDATES, body.clone()).header("accept", JSON);
    assert_eq!(other.send().await.status, 406);
    for taken in [
        EVENTS,
        "text/*",
        "text/event-stream, application/alto-error+json",
    ] {
        let request = post().typed(UPDATES, body.clone());
        let mut events = request.header("accept", taken).open().await;
        events.next_of("a").await;
    }
}

#[tokio::test]
async fn who_may_not_read_a_view_follows_nothing_of_it() {
    let node = TestNode::with("[access]\nquery = \"token\"\n").await;
    let body = json!({"add": {"a": of("networkmap")}}).to_string();
    let post = || node.request(Method::POST, UPDATES_OF_ISP_A);
    let unknown = post().typed(UPDATES, body.clone()).send().await;
    assert_eq!(unknown.status, 401, "{unknown:?}");
    let known = post().token(crate::support::CDN).typed(UPDATES, body);
    known.open().await.next_of("a").await;
}
