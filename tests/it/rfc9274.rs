//! RFC 9274: the registry of cost modes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::metro::{COSTS, ENDPOINTS, TYPE, VALUE, cost_type, directories, metro};

#[tokio::test]
async fn every_metric_is_offered_in_every_mode_that_we_know() {
    let node = metro().await;
    for metric in ["hopcount", "bw-available:p5", "priv:x"] {
        node.put(
            &format!("cost-maps/{metric}"),
            &json!({"cost-map": {"core": {"lab": 2, "east": 7}}}),
        )
        .await;
    }
    for (url, directory) in directories(&node).await {
        let types = directory["meta"]["cost-types"]
            .as_object()
            .expect("types")
            .values();
        let offered: BTreeSet<(&str, &str)> = types
            .map(|t| {
                (
                    t["cost-metric"].as_str().expect("text"),
                    t["cost-mode"].as_str().expect("text"),
                )
            })
            .collect();
        let metrics: BTreeSet<&str> = offered.iter().map(|(metric, _)| *metric).collect();
        assert_eq!(metrics.len(), 4);
        let modes = ["numerical", "ordinal"];
        let all = metrics
            .iter()
            .flat_map(|metric| modes.map(|mode| (*metric, mode)))
            .collect();
        assert_eq!(offered, all, "{url}");
    }
    for mode in ["numerical", "ordinal"] {
        for metric in ["routingcost", "hopcount", "bw-available:p5", "priv:x"] {
            COSTS
                .ok(&node, &json!({"cost-type": cost_type(metric, mode)}))
                .await;
        }
    }
}

#[tokio::test]
async fn a_mode_that_is_not_offered_is_an_invalid_value() {
    let node = metro().await;
    let long = "m".repeat(33);
    for mode in [
        "array",
        "string",
        "Numerical",
        "ORDINAL",
        "priv:",
        "priv:string",
        "foo",
        "a.b",
        "num erical",
        "",
        &long,
    ] {
        let query = json!({"cost-type": cost_type("routingcost", mode), "endpoints": {"srcs": ["ipv4:10.0.0.1"]}});
        for service in [COSTS, ENDPOINTS] {
            service
                .refuses(
                    &node,
                    &[(query.clone(), VALUE, "cost-type/cost-mode", mode)],
                )
                .await;
        }
    }
    for mode in [json!(1), json!(null), json!(["numerical"]), json!({})] {
        let query: Value = json!({"cost-type": {"cost-metric": "routingcost", "cost-mode": mode}});
        COSTS
            .refuses(&node, &[(query, TYPE, "cost-type/cost-mode", "")])
            .await;
    }
}
