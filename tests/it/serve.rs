//! The path of a provider's data through a node.

use serde_json::json;

use crate::support::{COST_PARAMS, TestNode};

#[tokio::test]
async fn what_a_provider_puts_is_served_and_survives_a_restart() {
    let mut node = TestNode::start().await;
    node.put("network-map", &json!({"network-map": {"ams": {"ipv4": ["192.0.2.0/24"]}, "fra": {"ipv4": ["198.51.100.0/24"]}}})).await;
    node.put(
        "cost-maps/routingcost",
        &json!({"cost-map": {"ams": {"fra": 5.5}}}),
    )
    .await;
    let query = json!({
        "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "endpoints": {"srcs": ["ipv4:192.0.2.1"], "dsts": ["ipv4:198.51.100.1"]},
    });
    for _ in 0..2 {
        let answer = node
            .post("/views/merged/endpointcost", COST_PARAMS, query.to_string())
            .await;
        let costs = &answer.ok("application/alto-endpointcost+json")["endpoint-cost-map"];
        assert_eq!(
            *costs,
            json!({"ipv4:192.0.2.1": {"ipv4:198.51.100.1": 5.5}})
        );
        node.restart().await;
    }
}

#[tokio::test]
async fn what_was_accepted_is_served_after_a_restart_with_lower_limits() {
    let mut node = TestNode::start().await;
    node.put(
        "network-map",
        &json!({"network-map": {"ams": {"ipv4": ["192.0.2.0/24", "198.51.100.0/24"]}}}),
    )
    .await;
    node.restart_with("[ingest]\nmax_prefixes = 1\n").await;
    let map = node
        .get("/views/isp-a/networkmap")
        .await
        .ok("application/alto-networkmap+json");
    assert_eq!(
        map["network-map"]["ams"]["ipv4"].as_array().map(Vec::len),
        Some(2)
    );
}
