//! Section 11.2: full network maps and cost maps.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{MAP_ID, full, metro, pids};
use crate::support::{Answer, JSON, NOC, TestNode};

async fn put(node: &TestNode, path: &str, body: &Value) -> Answer {
    let request = node.request(Method::PUT, &format!("/n2s/v1/{path}"));
    request
        .token(NOC)
        .typed(JSON, body.to_string())
        .send()
        .await
}

/// Returns the tag of the network map.
async fn tag(node: &TestNode) -> String {
    let map = full(node, "networkmap").await;
    map["meta"]["vtag"]["tag"]
        .as_str()
        .expect("a tag")
        .to_owned()
}

#[tokio::test]
async fn a_network_map_names_its_version_and_lists_every_pid() {
    let node = metro().await;
    let map = full(&node, "networkmap").await;
    assert_eq!(
        map,
        json!({
            "meta": {"vtag": {"resource-id": MAP_ID, "tag": tag(&node).await}},
            "network-map": {
                "core": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]},
                "east": {"ipv4": ["10.20.0.0/16"]},
                "lab": {"ipv4": ["10.20.30.0/24", "10.20.31.128/25"], "ipv6": ["2001:db8:30::/48"]},
                "void": {},
            },
        })
    );
}

#[tokio::test]
async fn the_tag_is_of_the_content_and_nothing_else() {
    let mut node = metro().await;
    let before = tag(&node).await;
    let cost = node.get("/views/isp-a/costmap-routingcost").await;
    // A new PID without addresses is a change, and so is one prefix.
    let mut seen = BTreeSet::from([before.clone()]);
    for patch in [
        json!({"network-map": {"new": {}}}),
        json!({"network-map": {"new": null, "east": {"ipv4": ["10.20.0.0/17"]}}}),
    ] {
        let request = node
            .request(Method::PATCH, "/n2s/v1/network-map")
            .token(NOC);
        let answer = request
            .typed(crate::support::MERGE_PATCH, patch.to_string())
            .send()
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(seen.insert(tag(&node).await), "{patch} kept the tag");
    }
    // The same content, stated again in another order, has the same tag, also after a restart.
    let again = r#"{"network-map": {"void": {"ipv4": []}, "lab": {"ipv6": ["2001:DB8:30::/48"], "ipv4": ["10.20.31.128/25", "10.20.30.0/24"]}, "east": {"ipv4": ["10.20.0.0/16"]}, "core": {"ipv6": ["::/0"], "ipv4": ["0.0.0.0/0"]}}}"#;
    let again: Value = serde_json::from_str(again).expect("JSON");
    node.put("network-map", &again).await;
    assert_eq!(tag(&node).await, before);
    node.restart().await;
    assert_eq!(tag(&node).await, before);
    let restarted = node.get("/views/isp-a/costmap-routingcost").await;
    assert_eq!(
        (restarted.header("etag"), &restarted.body),
        (cost.header("etag"), &cost.body)
    );
}

#[tokio::test]
async fn a_family_that_is_mentioned_is_covered_whole() {
    let node = TestNode::start().await;
    let answer = put(
        &node,
        "network-map",
        &json!({"network-map": {"a": {"ipv6": ["2001:db8::/32"]}}}),
    )
    .await;
    assert!(
        answer.json()["warnings"]
            .as_array()
            .is_some_and(|warnings| !warnings.is_empty())
    );
    let map = full(&node, "networkmap").await;
    // IPv4 is not mentioned, so nothing is added for it.
    assert_eq!(
        map["network-map"],
        json!({"a": {"ipv6": ["2001:db8::/32"]}, "default": {"ipv6": ["::/0"]}})
    );
    let found = pids(
        &node,
        &["ipv6:2001:db8::1", "ipv6:2001:db9::1", "ipv4:10.0.0.1"],
    )
    .await;
    assert_eq!(
        found.get("ipv6:2001:db9::1").map(String::as_str),
        Some("default")
    );
    assert_eq!(found.get("ipv4:10.0.0.1"), None);

    node.put("network-map", &json!({"network-map": {"a": {"ipv4": ["10.0.0.0/8"]}, "default": {"ipv4": ["11.0.0.0/8"]}}})).await;
    let map = full(&node, "networkmap").await;
    assert_eq!(
        map["network-map"]["default"],
        json!({"ipv4": ["0.0.0.0/0", "11.0.0.0/8"]})
    );

    // Halves that cover everything together are enough.
    let halves =
        json!({"network-map": {"a": {"ipv4": ["0.0.0.0/1"]}, "b": {"ipv4": ["128.0.0.0/1"]}}});
    node.put("network-map", &halves).await;
    assert_eq!(
        full(&node, "networkmap").await["network-map"],
        halves["network-map"]
    );
}

#[tokio::test]
async fn no_two_pids_hold_one_prefix_however_it_is_written() {
    let node = metro().await;
    let before = full(&node, "networkmap").await;
    for (a, b) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:db8::/32", "2001:0DB8:0::/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ] {
        let family = if a.contains(':') { "ipv6" } else { "ipv4" };
        let map = json!({"network-map": {"a": {family: [a]}, "b": {family: [b]}}});
        assert_eq!(put(&node, "network-map", &map).await.status, 422, "{a} {b}");
    }
    for bad in [
        "198.51.100.128/24",
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "::/0",
    ] {
        let map = json!({"network-map": {"a": {"ipv4": [bad]}}});
        assert_eq!(put(&node, "network-map", &map).await.status, 422, "{bad}");
    }
    assert_eq!(full(&node, "networkmap").await, before);
}

#[tokio::test]
async fn an_address_belongs_to_the_pid_of_its_longest_prefix_among_all_pids() {
    let node = metro().await;
    let expected = [
        ("ipv4:10.20.30.9", "lab"),
        ("ipv4:10.20.30.0", "lab"),
        ("ipv4:10.20.30.255", "lab"),
        ("ipv4:10.20.31.0", "east"),
        ("ipv4:10.20.31.1", "east"),
        ("ipv4:10.20.31.127", "east"),
        ("ipv4:10.20.31.128", "lab"),
        ("ipv4:10.21.0.1", "core"),
        ("ipv4:0.0.0.0", "core"),
        ("ipv4:255.255.255.255", "core"),
        ("ipv6:2001:db8:30::5", "lab"),
        ("ipv6:2001:db8:31::1", "core"),
        ("ipv6:::", "core"),
        ("ipv6:::ffff:10.20.30.9", "core"),
    ];
    let found = pids(&node, &expected.map(|(address, _)| address)).await;
    for (address, pid) in expected {
        assert_eq!(found[address], pid, "{address}");
    }
}

#[tokio::test]
async fn a_cost_map_names_its_cost_type_and_the_one_network_map_it_is_of() {
    let node = metro().await;
    for mode in ["numerical", "ordinal"] {
        let resource = match mode {
            "numerical" => "costmap-routingcost",
            _ => "ordinal-routingcost",
        };
        assert_eq!(
            full(&node, resource).await["meta"],
            json!({
                "cost-type": {"cost-metric": "routingcost", "cost-mode": mode},
                "dependent-vtags": [{"resource-id": MAP_ID, "tag": tag(&node).await}],
            })
        );
    }
    // A change of the network map is a change of the cost maps over it.
    let before = node.get("/views/isp-a/costmap-routingcost").await;
    node.put(
        "network-map",
        &json!({"network-map": {"core": {"ipv4": ["0.0.0.0/0"]}, "east": {}, "lab": {}}}),
    )
    .await;
    let after = node.get("/views/isp-a/costmap-routingcost").await;
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_eq!(
        after.json()["meta"]["dependent-vtags"][0]["tag"],
        tag(&node).await
    );
}

#[tokio::test]
async fn a_cost_map_has_the_pairs_that_have_a_cost_and_no_other() {
    let node = metro().await;
    assert_eq!(
        full(&node, "costmap-routingcost").await["cost-map"],
        json!({"core": {"east": 4, "lab": 9}, "east": {"lab": 6}})
    );
    // The cost of a PID to itself is the one that was stated; it need not be 0, and the costs of
    // the two directions need not be equal.
    let stated = json!({"cost-map": {"lab": {"lab": 7.25, "core": 0}, "core": {"lab": 1e-7}}});
    node.put("cost-maps/routingcost", &stated).await;
    let map = full(&node, "costmap-routingcost").await;
    assert_eq!(
        map["cost-map"],
        json!({"lab": {"lab": 7.25, "core": 0}, "core": {"lab": 1e-7}})
    );
    for bad in ["-1", "1e999", "\"4\"", "[4]", "{}", "true"] {
        let body = format!(r#"{{"cost-map": {{"core": {{"lab": {bad}}}}}}}"#);
        let request = node
            .request(Method::PUT, "/n2s/v1/cost-maps/routingcost")
            .token(NOC);
        let answer = request.typed(JSON, body).send().await;
        assert!(
            [400, 422].contains(&answer.status.as_u16()),
            "{bad}: {answer:?}"
        );
    }
    assert_eq!(full(&node, "costmap-routingcost").await, map);
}

#[tokio::test]
async fn ordinal_costs_are_ranks_over_the_whole_map_and_the_best_has_the_lowest() {
    let node = metro().await;
    assert_eq!(
        full(&node, "ordinal-routingcost").await["cost-map"],
        json!({"core": {"east": 0, "lab": 2}, "east": {"lab": 1}})
    );
    let stated = json!({"cost-map": {"core": {"core": 0.5, "east": 30, "lab": 0.5}, "lab": {"east": 30, "lab": 12}}});
    node.put("cost-maps/routingcost", &stated).await;
    assert_eq!(
        full(&node, "ordinal-routingcost").await["cost-map"],
        json!({"core": {"core": 0, "east": 2, "lab": 0}, "lab": {"east": 2, "lab": 1}})
    );
}

#[tokio::test]
async fn one_answer_never_mixes_two_versions() {
    let node = metro().await;
    // The tag says which of two maps was used, and the answer must match it.
    let maps = ["10.20.0.0/16", "10.30.0.0/16"].map(|net| json!({"network-map": {"core": {"ipv4": ["0.0.0.0/0"]}, "east": {"ipv4": [net]}, "lab": {}}}));
    let mut tags = Vec::new();
    for map in &maps {
        node.put("network-map", map).await;
        tags.push(tag(&node).await);
    }
    let write = async {
        for round in 0..40 {
            node.put("network-map", &maps[round % 2]).await;
        }
    };
    let read = async {
        for _ in 0..80 {
            let query =
                json!({"properties": [format!("{MAP_ID}.pid")], "endpoints": ["ipv4:10.20.0.1"]});
            let answer = crate::metro::PROPERTIES.ok(&node, &query).await;
            let tag = &answer["meta"]["dependent-vtags"][0]["tag"];
            let pid = &answer["endpoint-properties"]["ipv4:10.20.0.1"][format!("{MAP_ID}.pid")];
            assert_eq!(*pid == "east", *tag == tags[0], "{answer}");
        }
    };
    tokio::join!(write, read);
}
