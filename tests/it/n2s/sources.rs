//! The owners of facts, and what happens to facts that contradict each other.

use reqwest::Method;
use serde_json::{Value, json};

use super::{network, stating};
use crate::support::{JSON, NOC, NOC2, OPS, TestNode};

/// Puts a document by a source, which must succeed; returns the warnings.
async fn states(node: &TestNode, secret: &str, path: &str, body: Value) -> Vec<String> {
    let answer = node.n2s(secret, Method::PUT, path, Some(&body)).send();
    let answer = answer.await;
    assert!(answer.status.is_success(), "{answer:?}");
    serde_json::from_value(answer.json()["warnings"].clone()).expect("texts")
}

async fn reads(node: &TestNode, secret: &str, path: &str) -> Value {
    let answer = node.n2s(secret, Method::GET, path, None).send().await;
    answer.ok(JSON)
}

/// Returns the conflicts, as (kind, subject, kept, dropped).
async fn conflicts(node: &TestNode) -> Vec<(String, String, String, String)> {
    let list = node.stated("conflicts").await.ok(JSON);
    let listed = list["conflicts"].as_array().expect("a list");
    let total: u64 = list["totals"]
        .as_object()
        .expect("totals")
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(total, listed.len() as u64);
    let text = |conflict: &Value, name: &str| {
        let text = conflict[name].as_str().unwrap_or_default();
        text.to_owned()
    };
    let row = |c: &Value| {
        (
            text(c, "kind"),
            text(c, "subject"),
            text(c, "kept"),
            text(c, "dropped"),
        )
    };
    listed.iter().map(row).collect()
}

fn conflict(
    kind: &str,
    subject: &str,
    kept: &str,
    dropped: &str,
) -> (String, String, String, String) {
    (kind.into(), subject.into(), kept.into(), dropped.into())
}

#[tokio::test]
async fn a_source_reads_replaces_and_deletes_only_its_own_facts() {
    let node = stating().await;
    let own = json!({"network-map": {"par": {"ipv4": ["203.0.113.0/24"]}}});
    states(&node, NOC2, "network-map", own.clone()).await;
    assert_eq!(reads(&node, NOC2, "network-map").await, own);
    assert_eq!(reads(&node, NOC, "network-map").await, network());
    let other = node.n2s(NOC2, Method::GET, "properties", None);
    other.send().await.problem(404, &[]);
    let other = node.n2s(NOC2, Method::DELETE, "properties", None);
    other.send().await.problem(404, &[]);
    let union = reads(&node, NOC, "network-map?source=*").await;
    let pids: Vec<&String> = union["network-map"]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    assert_eq!(pids, ["ams", "fra", "par"]);
    let deleted = node.n2s(NOC2, Method::DELETE, "network-map", None);
    assert_eq!(deleted.send().await.status, 200);
    assert_eq!(reads(&node, NOC, "network-map?source=*").await, network());
}

#[tokio::test]
async fn a_token_writes_for_the_sources_that_it_lists_and_no_others() {
    let node = TestNode::start().await;
    let map = |pid: &str, net: &str| json!({"network-map": {pid: {"ipv4": [net]}}});
    let probe = map("lab", "203.0.113.0/24");
    states(&node, NOC, "network-map?source=probe", probe.clone()).await;
    assert_eq!(reads(&node, NOC, "network-map?source=probe").await, probe);
    node.stated("network-map").await.problem(404, &[]);
    // A source may also name itself.
    states(
        &node,
        NOC,
        "network-map?source=noc",
        map("ams", "192.0.2.0/24"),
    )
    .await;
    for (secret, source) in [(NOC2, "probe"), (NOC2, "noc"), (NOC, "noc2")] {
        let path = format!("network-map?source={source}");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let body = (method == Method::PUT).then(|| map("x", "10.0.0.0/8"));
            let answer = node.n2s(secret, method, &path, body.as_ref()).send().await;
            let problem = answer.problem(403, &[]);
            assert!(problem["detail"].to_string().contains("sources"));
        }
    }
    let revision = node.stated("revisions/1").await.ok(JSON);
    assert_eq!(
        (&revision["principal"], &revision["source"]),
        (&json!("noc"), &json!("probe"))
    );
}

#[tokio::test]
async fn the_union_is_what_is_published_and_404_if_nobody_states_anything() {
    let node = TestNode::start().await;
    let nobody = |path: &'static str| node.stated(path);
    for path in [
        "network-map?source=*",
        "cost-maps/routingcost?source=*",
        "properties?source=*",
        "interconnects?source=*",
    ] {
        nobody(path).await.problem(404, &[]);
    }
    states(&node, NOC, "network-map", network()).await;
    states(
        &node,
        NOC2,
        "network-map",
        json!({"network-map": {"par": {"ipv4": ["203.0.113.0/24"]}}}),
    )
    .await;
    states(
        &node,
        NOC,
        "cost-maps/hopcount",
        json!({"cost-map": {"ams": {"fra": 1}}}),
    )
    .await;
    // A third source may state a cost between PIDs of two others.
    states(
        &node,
        OPS,
        "cost-maps/hopcount",
        json!({"cost-map": {"ams": {"par": 2}}}),
    )
    .await;
    let union = reads(&node, NOC, "cost-maps/hopcount?source=*").await;
    assert_eq!(union["cost-map"], json!({"ams": {"fra": 1, "par": 2}}));
    let map = node.get("/views/isp-a/costmap-hopcount").await;
    assert_eq!(map.json()["cost-map"], union["cost-map"]);
    assert_eq!(conflicts(&node).await, []);
}

/// Lets `noc` and then `noc2` state the same things differently.
async fn contradict(node: &TestNode) {
    let link = |peer: &str| {
        json!({"interconnects": {"x": {"border": "ams", "peer-domain": "isp-b",
            "peer-border": peer, "relationship": "open", "costs": {}}}})
    };
    for (secret, pid, number) in [(NOC, "ams", 1), (NOC2, "fra", 2)] {
        let map = json!({"network-map": {
            "ams": {}, "fra": {}, pid: {"ipv4": ["192.0.2.0/24"]},
        }});
        states(node, secret, "network-map", map).await;
        let costs = json!({"cost-map": {"ams": {"fra": number, "ams": 0}}});
        states(node, secret, "cost-maps/routingcost", costs).await;
        let properties = json!({"property-map": {"pid:ams": {"priv:x": number, "priv:y": 0}}});
        states(node, secret, "properties", properties).await;
        states(node, secret, "interconnects", link(&format!("gw{number}"))).await;
    }
}

/// Returns what is published of these: the PID of an address, a cost, a property, a link.
async fn published(node: &TestNode) -> Value {
    let of = |path: &'static str| async move { reads(node, NOC, path).await };
    let network = of("network-map?source=*").await["network-map"].clone();
    let pid = network
        .as_object()
        .expect("an object")
        .iter()
        .find(|(_, group)| group["ipv4"].is_array())
        .map(|(pid, _)| pid.clone());
    let view = node.get("/views/isp-a/costmap-routingcost").await.json();
    let cost = of("cost-maps/routingcost?source=*").await["cost-map"]["ams"]["fra"].clone();
    assert_eq!(view["cost-map"]["ams"]["fra"], cost);
    json!([
        pid,
        cost,
        of("properties?source=*").await["property-map"]["pid:ams"]["priv:x"],
        of("interconnects?source=*").await["interconnects"]["x"]["peer-border"],
    ])
}

#[tokio::test]
async fn of_two_that_contradict_each_other_the_newer_revision_wins() {
    let node = TestNode::start().await;
    contradict(&node).await;
    assert_eq!(published(&node).await, json!(["fra", 2, 2, "gw2"]));
    assert_eq!(
        conflicts(&node).await,
        [
            conflict("prefix", "192.0.2.0/24", "noc2", "noc"),
            conflict("cost", "routingcost ams fra", "noc2", "noc"),
            conflict("property", "pid:ams priv:x", "noc2", "noc"),
            conflict("interconnect", "x", "noc2", "noc"),
        ]
    );
    let metrics = node.get("/metrics").await;
    for kind in ["prefix", "cost", "property", "interconnect"] {
        let line = format!("altofed_compile_conflicts{{kind=\"{kind}\"}} 1\n");
        assert!(metrics.text().contains(&line), "{}", metrics.text());
    }
    // Each source keeps what it stated.
    let own = reads(&node, NOC, "cost-maps/routingcost").await;
    assert_eq!(own["cost-map"]["ams"]["fra"], 1);
    // The source that states it again has the newer revision.
    states(
        &node,
        NOC,
        "cost-maps/routingcost",
        json!({"cost-map": {"ams": {"fra": 3}}}),
    )
    .await;
    assert_eq!(published(&node).await[1], 3);
}

#[tokio::test]
async fn of_two_that_contradict_each_other_the_higher_priority_wins_before_the_newer() {
    let mut node = TestNode::with("[source.noc]\npriority = 1\n").await;
    contradict(&node).await;
    let older = json!(["ams", 1, 1, "gw1"]);
    assert_eq!(published(&node).await, older);
    assert_eq!(
        conflicts(&node).await[0],
        conflict("prefix", "192.0.2.0/24", "noc", "noc2")
    );
    node.restart().await;
    assert_eq!(published(&node).await, older);
}

#[tokio::test]
async fn the_order_of_revisions_is_known_after_a_restart() {
    let mut node = TestNode::start().await;
    contradict(&node).await;
    let before = published(&node).await;
    node.restart().await;
    assert_eq!(published(&node).await, before);
}

#[tokio::test]
async fn a_source_cannot_leave_its_own_facts_dangling() {
    let node = stating().await;
    let without = json!({"network-map": {"fra": {"ipv4": ["198.51.100.0/24"]}}});
    let put = node.n2s(NOC, Method::PUT, "network-map", Some(&without));
    let problem = put.send().await;
    assert_eq!(problem.status, 422, "{problem:?}");
    let details = problem.json()["errors"].to_string();
    for document in ["cost-maps/routingcost", "properties", "interconnects"] {
        assert!(details.contains(document), "{details}");
    }
    let delete = node.n2s(NOC, Method::DELETE, "network-map", None);
    assert_eq!(delete.send().await.status, 422);
    assert_eq!(node.stated("network-map").await.json(), network());
}

#[tokio::test]
async fn facts_of_others_that_are_left_dangling_are_kept_warned_of_and_listed() {
    let node = TestNode::start().await;
    states(&node, NOC, "network-map", network()).await;
    let costs = json!({"cost-map": {"ams": {"fra": 7}, "fra": {"ams": 8}}});
    states(&node, NOC2, "cost-maps/routingcost", costs.clone()).await;
    let properties = json!({"property-map": {"pid:ams": {"priv:x": 1}}});
    states(&node, NOC2, "properties", properties).await;

    let without = json!({"network-map": {"fra": {"ipv4": ["0.0.0.0/0"]}}});
    let warnings = states(&node, NOC, "network-map", without).await;
    assert!(
        warnings.len() == 1 && warnings[0].contains("noc2"),
        "{warnings:?}"
    );
    assert_eq!(reads(&node, NOC2, "cost-maps/routingcost").await, costs);
    assert_eq!(
        conflicts(&node).await,
        [
            conflict("dangling", "routingcost ams fra", "", "noc2"),
            conflict("dangling", "routingcost fra ams", "", "noc2"),
            conflict("dangling", "pid:ams", "", "noc2"),
        ]
    );
    let map = node.get("/views/isp-a/costmap-routingcost").await;
    assert_eq!(map.json()["cost-map"], json!({}));

    // Facts that return are used again.
    states(&node, NOC, "network-map", network()).await;
    let map = node.get("/views/isp-a/costmap-routingcost").await;
    assert_eq!(map.json()["cost-map"], costs["cost-map"]);
    assert_eq!(conflicts(&node).await, []);
}

#[tokio::test]
async fn a_source_whose_facts_another_left_dangling_can_mend_them_one_by_one() {
    let node = TestNode::start().await;
    states(&node, NOC, "network-map", network()).await;
    let costs = |pid: &str| json!({"cost-map": {pid: {"fra": 7}}});
    for metric in ["routingcost", "hopcount"] {
        states(&node, NOC2, &format!("cost-maps/{metric}"), costs("ams")).await;
    }
    let renamed = json!({"network-map": {
        "ams2": {"ipv4": ["0.0.0.0/0"]}, "fra": {"ipv4": ["198.51.100.0/24"]},
    }});
    states(&node, NOC, "network-map", renamed).await;
    // A document that names a PID that is gone is refused,
    let wrong = node.n2s(
        NOC2,
        Method::PUT,
        "cost-maps/hopcount",
        Some(&json!({"cost-map": {"ams": {"fra": 6}}})),
    );
    wrong.send().await.problem(422, &["/cost-map/ams"]);
    // but a sound one is accepted while another one still names it; a warning says so.
    let warnings = states(&node, NOC2, "cost-maps/routingcost", costs("ams2")).await;
    assert!(
        warnings.len() == 1 && warnings[0].contains("noc2"),
        "{warnings:?}"
    );
    let warnings = states(&node, NOC2, "cost-maps/hopcount", costs("ams2")).await;
    assert_eq!(warnings, [""; 0]);
}
