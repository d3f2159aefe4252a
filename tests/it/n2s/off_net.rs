//! The PIDs of addresses that are not ours: how we reach the outside.

use reqwest::Method;
use serde_json::{Value, json};

use super::{patch, put, transact};
use crate::support::{JSON, NOC, OPS, TestNode};

fn stated() -> Value {
    json!({
        "network-map": {
            "ams": {"ipv4": ["192.0.2.0/24"]},
            "peer-b": {"ipv4": ["198.51.100.0/22"]},
        },
        "off-net": ["peer-b"],
    })
}

#[tokio::test]
async fn off_net_pids_are_put_patched_and_read_back() {
    let node = TestNode::start().await;
    let made = put(&node, "network-map", &stated()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(node.stated("network-map").await.json(), stated());
    let all = node.n2s(OPS, Method::GET, "network-map?source=*", None);
    assert_eq!(all.send().await.json(), stated());
    // Without a change there is no revision.
    let again = put(&node, "network-map", &stated()).await;
    assert_eq!(again.ok(JSON)["changed"], json!([]));

    let of = |list: Value| json!({"off-net": list});
    let both = patch(&node, "network-map", &of(json!(["peer-b", "ams"]))).await;
    assert_eq!(both.ok(JSON)["changed"], json!(["network-map"]));
    let read = node.stated("network-map").await.json();
    assert_eq!(read["off-net"], json!(["ams", "peer-b"]));
    let none = patch(&node, "network-map", &of(Value::Null)).await;
    assert_eq!(none.status, 200, "{none:?}");
    let read = node.stated("network-map").await.json();
    assert_eq!(read.get("off-net"), None);
    assert_eq!(read["network-map"], stated()["network-map"]);
}

#[tokio::test]
async fn what_is_announced_and_withdrawn_leaves_the_list_as_it_is() {
    let node = TestNode::start().await;
    node.put("network-map", &stated()).await;
    let change = |op: &str| json!([{"op": op, "path": "network-map", "value": {"peer-b": ["203.0.113.0/24"]}}]);
    for op in ["announce", "withdraw"] {
        transact(&node, change(op)).await.ok(JSON);
        let read = node.stated("network-map").await.json();
        assert_eq!(read["off-net"], json!(["peer-b"]), "{op}");
    }
    let put = json!([{"op": "put", "path": "network-map", "value": stated()}]);
    assert_eq!(transact(&node, put).await.ok(JSON)["changed"], json!([]));
}

#[tokio::test]
async fn a_name_that_the_source_does_not_state_is_refused() {
    let node = TestNode::start().await;
    node.put("network-map", &stated()).await;
    let unknown = json!({"network-map": {"ams": {}}, "off-net": ["ams", "peer-b"]});
    let refused = put(&node, "network-map", &unknown).await;
    refused.problem(422, &["/off-net/1"]);
    let refused = patch(&node, "network-map", &json!({"off-net": ["fra"]})).await;
    refused.problem(422, &["/off-net/0"]);
    let gone = json!({"network-map": {"peer-b": null}});
    let refused = patch(&node, "network-map", &gone).await;
    refused.problem(422, &["/network-map/peer-b"]);
    let dry = node.n2s(NOC, Method::PATCH, "network-map?dry-run=true", Some(&gone));
    dry.send().await.problem(422, &["/network-map/peer-b"]);
    let refused = put(
        &node,
        "network-map",
        &json!({"network-map": {}, "off-net": "ams"}),
    )
    .await;
    refused.problem(400, &["/off-net"]);
    assert_eq!(node.stated("network-map").await.json(), stated());
    // Both at once are sound.
    let both = json!({"network-map": {"peer-b": null}, "off-net": null});
    assert_eq!(patch(&node, "network-map", &both).await.status, 200);
}

#[tokio::test]
async fn of_two_sources_the_stronger_says_whether_a_pid_is_off_net() {
    let node = TestNode::start().await;
    node.put("network-map", &stated()).await;
    // The newer statement is the stronger one.
    let other = json!({"network-map": {"peer-b": {"ipv4": ["203.0.113.0/24"]}}});
    let put = node.n2s(NOC, Method::PUT, "network-map?source=probe", Some(&other));
    let put = put.send().await;
    assert!(put.status.is_success(), "{put:?}");
    let all = node.n2s(OPS, Method::GET, "network-map?source=*", None);
    assert_eq!(all.send().await.json().get("off-net"), None);
    let conflicts = node.stated("conflicts").await.json();
    let conflict = &conflicts["conflicts"][0];
    assert_eq!(conflict["kind"], "reach", "{conflicts}");
    assert_eq!(conflict["subject"], "peer-b");
}

#[tokio::test]
async fn a_restored_revision_has_the_list_it_had() {
    let node = TestNode::start().await;
    node.put("network-map", &stated()).await;
    patch(&node, "network-map", &json!({"off-net": null}))
        .await
        .ok(JSON);
    let restored = node.n2s(OPS, Method::POST, "revisions/1/restore", None);
    assert_eq!(restored.send().await.status, 200);
    assert_eq!(node.stated("network-map").await.json(), stated());
}

#[tokio::test]
async fn off_net_pids_answer_in_the_merged_view_where_nobody_holds_the_address() {
    let node = TestNode::start().await;
    let mut map = stated();
    map["network-map"]["ams"] = json!({"ipv4": ["198.51.100.0/24"]});
    map["network-map"]["peer-b"] = json!({"ipv4": ["198.51.0.0/16", "198.51.100.0/25"]});
    node.put("network-map", &map).await;
    // Our own view shows what was stated; what we hold wins in the merged one.
    let own = node.get("/views/isp-a/networkmap").await.json();
    assert_eq!(own["network-map"]["peer-b"], map["network-map"]["peer-b"]);
    let merged = node.get("/views/merged/networkmap").await.json();
    let merged = &merged["network-map"];
    assert_eq!(merged["isp-a:ams"], map["network-map"]["ams"]);
    assert_eq!(merged["isp-a:peer-b"], json!({"ipv4": ["198.51.0.0/16"]}));
}
