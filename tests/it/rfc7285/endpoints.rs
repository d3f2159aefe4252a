//! Sections 11.4 and 11.5: the endpoint services.

use serde_json::{Value, json};

use crate::metro::{ENDPOINTS, MAP_ID, PROPERTIES, VALUE, cost_type, full, metro, rc};
use crate::support::TestNode;

fn pid() -> String {
    format!("{MAP_ID}.pid")
}

/// The data member of endpoint costs.
async fn costs(node: &TestNode, query: Value) -> Value {
    ENDPOINTS.ok(node, &query).await["endpoint-cost-map"].clone()
}

#[tokio::test]
async fn each_endpoint_has_the_properties_that_have_a_value_for_it() {
    let node = metro().await;
    let stated = json!({"property-map": {"ipv4:10.20.0.0/16": {"priv:access": "fibre"}}});
    node.put("properties", &stated).await;
    let query = json!({
        "properties": [pid(), "priv:access", pid()],
        "endpoints": ["ipv4:10.20.1.1", "ipv4:10.99.0.1", "ipv4:10.20.1.1", "ipv6:2001:db8::1"],
    });
    let answer = PROPERTIES.ok(&node, &query).await;
    let vtag = full(&node, "networkmap").await["meta"]["vtag"].clone();
    assert_eq!(
        answer,
        json!({
            "meta": {"dependent-vtags": [vtag]},
            "endpoint-properties": {
                "ipv4:10.20.1.1": {pid(): "east", "priv:access": "fibre"},
                "ipv4:10.99.0.1": {pid(): "core"},
                "ipv6:2001:db8::1": {pid(): "core"},
            },
        })
    );
    let query = json!({"properties": ["priv:access"], "endpoints": ["ipv4:10.99.0.1"]});
    let answer = PROPERTIES.ok(&node, &query).await;
    assert_eq!(answer["endpoint-properties"], json!({"ipv4:10.99.0.1": {}}));
    assert_eq!(
        answer["meta"],
        json!({"dependent-vtags": []}),
        "no map was asked"
    );
}

#[tokio::test]
async fn a_property_must_be_one_that_is_offered() {
    let node = metro().await;
    for unknown in [
        "pid",
        "networkmap.pid",
        "isp-a:networkmap",
        "isp-a:networkmap.x",
        "priv:none",
        "",
    ] {
        let query = json!({"properties": [pid(), unknown], "endpoints": ["ipv4:10.0.0.1"]});
        PROPERTIES
            .refuses(&node, &[(query, VALUE, "properties", unknown)])
            .await;
    }
    let empty = |properties: Value, endpoints: Value| json!({"properties": properties, "endpoints": endpoints});
    PROPERTIES
        .refuses(
            &node,
            &[
                (
                    empty(json!([]), json!(["ipv4:10.0.0.1"])),
                    VALUE,
                    "properties",
                    "[]",
                ),
                (empty(json!([pid()]), json!([])), VALUE, "endpoints", "[]"),
            ],
        )
        .await;
}

#[tokio::test]
async fn an_address_of_a_family_that_the_map_lacks_has_no_pid_and_no_costs() {
    let node = TestNode::start().await;
    node.put(
        "network-map",
        &json!({"network-map": {"a": {"ipv4": ["0.0.0.0/0"]}}}),
    )
    .await;
    node.put(
        "cost-maps/routingcost",
        &json!({"cost-map": {"a": {"a": 1}}}),
    )
    .await;
    let query = json!({"properties": [pid()], "endpoints": ["ipv6:2001:db8::1"]});
    let answer = PROPERTIES.ok(&node, &query).await;
    assert_eq!(
        answer["endpoint-properties"],
        json!({"ipv6:2001:db8::1": {}})
    );
    let query = json!({"cost-type": rc(), "endpoints": {"srcs": ["ipv4:10.0.0.1"], "dsts": ["ipv6:2001:db8::1", "ipv4:10.0.0.2"]}});
    assert_eq!(
        costs(&node, query).await,
        json!({"ipv4:10.0.0.1": {"ipv4:10.0.0.2": 1}})
    );
}

#[tokio::test]
async fn endpoint_costs_are_those_between_the_pids_of_the_endpoints() {
    let node = metro().await;
    let query = json!({"cost-type": rc(), "endpoints": {
        "srcs": ["ipv4:10.99.0.1", "ipv4:10.20.1.1", "ipv4:10.99.0.1"],
        "dsts": ["ipv4:10.20.30.9", "ipv6:2001:db8:30::5", "ipv4:10.20.1.2", "ipv4:10.20.30.9"],
    }});
    let answer = ENDPOINTS.ok(&node, &query).await;
    assert_eq!(
        answer,
        json!({
            "meta": {"cost-type": rc()},
            "endpoint-cost-map": {
                "ipv4:10.99.0.1": {"ipv4:10.20.30.9": 9, "ipv6:2001:db8:30::5": 9, "ipv4:10.20.1.2": 4},
                "ipv4:10.20.1.1": {"ipv4:10.20.30.9": 6, "ipv6:2001:db8:30::5": 6},
            },
        })
    );
}

#[tokio::test]
async fn an_absent_or_empty_list_stands_for_the_client_itself() {
    let node = metro().await;
    let map = json!({"network-map": {
        "core": {"ipv4": ["0.0.0.0/0"]}, "east": {"ipv4": ["10.20.0.0/16"]}, "lab": {"ipv4": ["127.0.0.0/8"]}, "void": {},
    }});
    node.put("network-map", &map).await;
    let here = "ipv4:127.0.0.1";
    for endpoints in [
        json!({"srcs": ["ipv4:10.20.1.1"]}),
        json!({"srcs": ["ipv4:10.20.1.1"], "dsts": []}),
    ] {
        let query = json!({"cost-type": rc(), "endpoints": endpoints});
        assert_eq!(
            costs(&node, query).await,
            json!({"ipv4:10.20.1.1": {here: 6}}),
            "{endpoints}"
        );
    }
    node.put(
        "cost-maps/routingcost",
        &json!({"cost-map": {"lab": {"core": 8, "east": 2}}}),
    )
    .await;
    for endpoints in [
        json!({"dsts": ["ipv4:10.20.1.1", "ipv4:10.99.0.1"]}),
        json!({"srcs": [], "dsts": ["ipv4:10.20.1.1", "ipv4:10.99.0.1"]}),
    ] {
        let query =
            json!({"cost-type": cost_type("routingcost", "ordinal"), "endpoints": endpoints});
        assert_eq!(
            costs(&node, query).await,
            json!({here: {"ipv4:10.20.1.1": 0, "ipv4:10.99.0.1": 1}}),
            "{endpoints}"
        );
    }
}

#[tokio::test]
async fn a_client_cannot_speak_for_another_by_a_forwarding_header() {
    let node = metro().await;
    let query = json!({"cost-type": rc(), "endpoints": {"dsts": ["ipv4:10.20.1.1"]}});
    let request = node
        .request(reqwest::Method::POST, ENDPOINTS.path)
        .header("x-forwarded-for", "10.20.30.9")
        .header("forwarded", "for=10.20.30.9");
    let answer = request
        .typed(ENDPOINTS.accepts, query.to_string())
        .send()
        .await;
    let answer = answer.ok(ENDPOINTS.media_type);
    assert_eq!(
        answer["endpoint-cost-map"],
        json!({"ipv4:127.0.0.1": {"ipv4:10.20.1.1": 4}})
    );
}

#[tokio::test]
async fn both_lists_may_not_be_empty() {
    let node = metro().await;
    for endpoints in [
        json!({}),
        json!({"srcs": []}),
        json!({"dsts": []}),
        json!({"srcs": [], "dsts": []}),
    ] {
        let query = json!({"cost-type": rc(), "endpoints": endpoints});
        ENDPOINTS
            .refuses(&node, &[(query, VALUE, "endpoints", "{}")])
            .await;
    }
}

#[tokio::test]
async fn ordinal_endpoint_costs_are_ranked_over_all_that_is_returned() {
    let node = metro().await;
    let query = json!({"cost-type": cost_type("routingcost", "ordinal"), "endpoints": {
        "srcs": ["ipv4:10.99.0.1", "ipv4:10.20.1.1"], "dsts": ["ipv4:10.20.30.9", "ipv4:10.20.1.2"],
    }});
    assert_eq!(
        costs(&node, query).await,
        json!({
            "ipv4:10.99.0.1": {"ipv4:10.20.30.9": 2, "ipv4:10.20.1.2": 0},
            "ipv4:10.20.1.1": {"ipv4:10.20.30.9": 1},
        })
    );
}

#[tokio::test]
async fn endpoint_costs_take_constraints() {
    let node = metro().await;
    let endpoints =
        json!({"srcs": ["ipv4:10.99.0.1"], "dsts": ["ipv4:10.20.30.9", "ipv4:10.20.1.2"]});
    let query = |constraints: Value| json!({"cost-type": rc(), "endpoints": endpoints, "constraints": constraints});
    assert_eq!(
        costs(&node, query(json!(["le 4"]))).await,
        json!({"ipv4:10.99.0.1": {"ipv4:10.20.1.2": 4}})
    );
    assert_eq!(costs(&node, query(json!(["gt 9"]))).await, json!({}));
    ENDPOINTS
        .refuses(
            &node,
            &[(
                query(json!(["at most 4"])),
                VALUE,
                "constraints",
                "at most 4",
            )],
        )
        .await;
}

#[tokio::test]
async fn more_pairs_than_an_answer_may_have_are_refused_and_not_cut() {
    let node = metro().await;
    let list = |net: u8, count: u32| -> Vec<String> {
        let text = |i: u32| format!("ipv4:{net}.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255);
        (0..count).map(text).collect()
    };
    let query =
        json!({"cost-type": rc(), "endpoints": {"srcs": list(10, 4001), "dsts": list(11, 4000)}});
    let answer = ENDPOINTS.ask(&node, &query).await;
    let (code, field, value) = crate::metro::fault(&answer);
    assert_eq!((code.as_str(), field.as_str()), (VALUE, "endpoints"));
    assert!(
        value.contains("16004000 cells to read; at most 16000000"),
        "{value}"
    );
    assert!(value.contains("max_answer_cells"), "{value}");
}
