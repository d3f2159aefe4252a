//! Transactions: all of their operations or none, as one revision.

use reqwest::Method;
use serde_json::json;

use super::{documents, network, newest, stating, transact};
use crate::support::{JSON, NOC, TestNode};

#[tokio::test]
async fn a_map_and_its_costs_change_together_as_one_revision() {
    let node = TestNode::start().await;
    let puts: Vec<_> = documents()
        .into_iter()
        .map(|(path, value)| json!({"op": "put", "path": path, "value": value}))
        .rev()
        .collect();
    // The PIDs come last: only the result after all operations counts.
    let made = transact(&node, json!(puts)).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["revision"], 1);
    assert_eq!(
        made.json()["changed"],
        json!([
            "network-map",
            "cost-maps/routingcost",
            "properties",
            "interconnects"
        ])
    );
    for (path, body) in documents() {
        assert_eq!(node.stated(path).await.json(), body);
    }
    let renamed = json!([
        {"op": "merge-patch", "path": "network-map", "value": {"network-map": {
            "ams": null, "rtm": {"ipv4": ["192.0.2.0/24"], "ipv6": ["2001:db8:1::/48"]}}}},
        {"op": "merge-patch", "path": "cost-maps/routingcost", "value": {"cost-map": {
            "ams": null, "fra": {"ams": null, "rtm": 1}}}},
        {"op": "delete", "path": "properties"},
        {"op": "delete", "path": "interconnects"},
        {"op": "put", "path": "cost-maps/hopcount", "value": {"cost-map": {"rtm": {"fra": 2}}}},
    ]);
    let done = transact(&node, renamed).await;
    assert_eq!(done.json()["revision"], 2, "{done:?}");
    assert_eq!(
        node.stated("cost-maps/routingcost").await.json()["cost-map"],
        json!({"fra": {"rtm": 1}})
    );
    node.stated("properties").await.problem(404, &[]);
    let revision = node.stated("revisions/2").await.json();
    assert_eq!(
        revision["operations"],
        json!([
            {"op": "merge-patch", "path": "network-map"},
            {"op": "merge-patch", "path": "cost-maps/routingcost"},
            {"op": "delete", "path": "properties"},
            {"op": "delete", "path": "interconnects"},
            {"op": "put", "path": "cost-maps/hopcount"},
        ])
    );
}

#[tokio::test]
async fn announce_and_withdraw_add_and_remove_single_prefixes() {
    let node = stating().await;
    let announce = |value| json!({"op": "announce", "path": "network-map", "value": value});
    let withdraw = |value| json!({"op": "withdraw", "path": "network-map", "value": value});
    let operations = json!([
        announce(json!({"ams": ["203.0.113.0/24", "2001:db8:2::/48"], "par": ["10.0.0.0/8"]})),
        withdraw(json!({"ams": ["192.0.2.0/24"]})),
        // A prefix moves by being withdrawn and announced.
        announce(json!({"fra": ["192.0.2.0/24"]})),
        // What is there already stays.
        announce(json!({"fra": ["198.51.100.0/24"]})),
    ]);
    let done = transact(&node, operations).await.ok(JSON);
    assert_eq!(done["revision"], 5);
    assert_eq!(
        node.stated("network-map").await.json()["network-map"],
        json!({
            "ams": {"ipv4": ["203.0.113.0/24"], "ipv6": ["2001:db8:1::/48", "2001:db8:2::/48"]},
            "fra": {"ipv4": ["192.0.2.0/24", "198.51.100.0/24"]},
            "par": {"ipv4": ["10.0.0.0/8"]},
        })
    );
    let faulty = json!([
        withdraw(json!({"ams": ["203.0.113.0/24", "203.0.113.0/25"], "nowhere": ["10.0.0.0/8"]})),
        announce(json!({"par": ["198.51.100.0/24"]})),
        announce(json!({"par": ["198.51.100.1/24", "x"]})),
        announce(json!({"par": "10.0.0.0/8"})),
        {"op": "announce", "path": "properties", "value": {}},
    ]);
    let refused = transact(&node, faulty).await;
    // Operations that cannot be read are reported before those that cannot be done.
    refused.problem(
        400,
        &[
            "/operations/2/value/par/0",
            "/operations/2/value/par/1",
            "/operations/3/value/par",
            "/operations/4/value",
        ],
    );
    let faulty = json!([
        withdraw(json!({"ams": ["203.0.113.0/24", "203.0.113.0/25"], "nowhere": ["10.0.0.0/8"]})),
        announce(json!({"par": ["198.51.100.0/24"]})),
    ]);
    let refused = transact(&node, faulty).await;
    refused.problem(
        422,
        &[
            "/operations/0/value/ams/1",
            "/operations/0/value/nowhere/0",
            "/operations/1/value/par/0",
        ],
    );
    assert_eq!(newest(&node).await, 5);
}

#[tokio::test]
async fn announce_makes_a_network_map_and_withdraw_does_not() {
    let node = TestNode::start().await;
    let one = |op: &str, value| json!([{"op": op, "path": "network-map", "value": value}]);
    let refused = transact(&node, one("withdraw", json!({"ams": ["192.0.2.0/24"]}))).await;
    refused.problem(422, &["/operations/0/value/ams/0"]);
    let made = transact(&node, one("announce", json!({"ams": ["192.0.2.0/24"]}))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let gone = transact(&node, one("withdraw", json!({"ams": ["192.0.2.0/24"]}))).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    // The PID stays: costs may be stated for it.
    assert_eq!(
        node.stated("network-map").await.json()["network-map"],
        json!({"ams": {}})
    );
}

#[tokio::test]
async fn of_a_transaction_with_one_fault_nothing_is_done() {
    let node = stating().await;
    let good = json!({"op": "put", "path": "cost-maps/hopcount",
        "value": {"cost-map": {"ams": {"fra": 1}}}});
    for (bad, status, pointer) in [
        (
            json!({"op": "put", "path": "cost-maps/hopcount",
                "value": {"cost-map": {"ams": {"fra": -1}}}}),
            422,
            "/operations/1/value/cost-map/ams/fra",
        ),
        (
            json!({"op": "put", "path": "cost-maps/delay-ow",
                "value": {"cost-map": {"ams": {"par": 1}}}}),
            422,
            "/operations/1/value/cost-map/ams/par",
        ),
        (
            json!({"op": "delete", "path": "cost-maps/delay-ow"}),
            422,
            "/operations/1/path",
        ),
        (
            json!({"op": "replace", "path": "properties", "value": {}}),
            422,
            "/operations/1/op",
        ),
        (
            json!({"op": "put", "path": "/n2s/v1/properties", "value": {}}),
            422,
            "/operations/1/path",
        ),
        (
            json!({"op": "put", "path": "cost-maps/latency", "value": {}}),
            422,
            "/operations/1/path",
        ),
        (
            json!({"path": "properties", "value": {}}),
            400,
            "/operations/1/op",
        ),
        (json!({"op": "delete"}), 400, "/operations/1/path"),
        (
            json!({"op": "put", "path": "properties"}),
            400,
            "/operations/1/value",
        ),
        (json!("delete"), 400, "/operations/1"),
        (
            json!({"op": "delete", "path": "properties", "from": "x"}),
            422,
            "/operations/1/from",
        ),
    ] {
        let refused = transact(&node, json!([good, bad])).await;
        refused.problem(status, &[pointer]);
    }
    node.stated("cost-maps/hopcount").await.problem(404, &[]);
    assert_eq!(newest(&node).await, 4);
}

#[tokio::test]
async fn faults_of_all_operations_are_told_at_once() {
    let node = stating().await;
    let operation = |metric: &str, cost: i64| {
        json!({"op": "put", "path": format!("cost-maps/{metric}"),
            "value": {"cost-map": {"ams": {"fra": cost}, "fra": {"par": cost}}}})
    };
    let refused = transact(
        &node,
        json!([operation("hopcount", -1), operation("delay-ow", -2)]),
    );
    refused.await.problem(
        422,
        &[
            "/operations/0/value/cost-map/ams/fra",
            "/operations/0/value/cost-map/fra/par",
            "/operations/1/value/cost-map/ams/fra",
            "/operations/1/value/cost-map/fra/par",
        ],
    );
}

#[tokio::test]
async fn operations_see_what_those_before_them_did() {
    let node = TestNode::start().await;
    let done = transact(
        &node,
        json!([
            {"op": "put", "path": "network-map", "value": network()},
            {"op": "delete", "path": "network-map"},
            {"op": "announce", "path": "network-map", "value": {"a": ["10.0.0.0/8"]}},
            {"op": "merge-patch", "path": "network-map",
                "value": {"network-map": {"b": {"ipv4": ["11.0.0.0/8"]}}}},
            {"op": "withdraw", "path": "network-map", "value": {"a": ["10.0.0.0/8"]}},
        ]),
    )
    .await;
    assert_eq!(done.status, 201, "{done:?}");
    assert_eq!(
        node.stated("network-map").await.json()["network-map"],
        json!({"a": {}, "b": {"ipv4": ["11.0.0.0/8"]}})
    );
}

#[tokio::test]
async fn a_transaction_is_conditional_on_the_revision() {
    let node = stating().await;
    let tag = node.stated("revisions").await.header("etag").to_owned();
    let body = json!({"operations": [{"op": "delete", "path": "properties"}]});
    let send = |tag: &str| {
        let request = node.n2s(NOC, Method::POST, "transaction", Some(&body));
        request.header("if-match", tag)
    };
    send("\"r3\"").send().await.problem(412, &[]);
    assert_eq!(send(&tag).send().await.status, 200);
    send(&tag).send().await.problem(412, &[]);
    assert_eq!(newest(&node).await, 5);
}

#[tokio::test]
async fn an_empty_transaction_changes_nothing() {
    let node = stating().await;
    let said = transact(&node, json!([])).await.ok(JSON);
    assert_eq!(
        (&said["revision"], &said["changed"]),
        (&json!(4), &json!([]))
    );
}
