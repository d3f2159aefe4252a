//! RFC 9439: performance cost metrics.

use altofed::runtime::Clock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{COSTS, DIRECTORY, ENDPOINTS, VALUE, cost_type, full, metro};
use crate::support::{JSON, NOC, TestNode};

async fn put(node: &TestNode, metric: &str, costs: Value) -> u16 {
    let path = format!("/n2s/v1/cost-maps/{metric}");
    let request = node.request(Method::PUT, &path).token(NOC);
    let answer = request
        .typed(JSON, json!({"cost-map": costs}).to_string())
        .send()
        .await;
    answer.status.as_u16()
}

/// Every base metric of §3.1, and `routingcost`.
const BASES: [&str; 8] = [
    "delay-ow",
    "delay-rt",
    "delay-variation",
    "lossrate",
    "hopcount",
    "tput",
    "bw-residual",
    "bw-available",
];

#[tokio::test]
async fn a_metric_is_announced_and_served_under_the_name_it_was_stated_under() {
    let node = metro().await;
    let names: Vec<String> = BASES
        .iter()
        .map(|base| (*base).to_owned())
        .chain([
            "delay-ow:p99.9".into(),
            "delay-rt:max".into(),
            "hopcount:mean".into(),
        ])
        .collect();
    for name in &names {
        assert_eq!(
            put(&node, name, json!({"core": {"lab": 3, "east": 1}})).await,
            201,
            "{name}"
        );
    }
    let directory = node.get("/views/isp-a/directory").await.ok(DIRECTORY);
    let types: Vec<&Value> = directory["meta"]["cost-types"]
        .as_object()
        .expect("types")
        .values()
        .collect();
    for name in &names {
        let numerical = cost_type(name, "numerical");
        assert!(types.contains(&&numerical), "{name}");
        let map = full(&node, &format!("costmap-{}", name.replace('.', "_"))).await;
        assert_eq!(map["meta"]["cost-type"], numerical);
        let answer = COSTS.ok(&node, &json!({"cost-type": numerical})).await;
        assert_eq!(answer["cost-map"], json!({"core": {"lab": 3, "east": 1}}));
    }
}

#[tokio::test]
async fn statistics_are_those_of_the_registry_and_percentiles_are_json_numbers() {
    let node = metro().await;
    let sound = [
        "cur", "min", "max", "median", "mean", "stddev", "stdvar", "p0", "p5", "p50", "p95",
        "p99.9", "p100", "p100.0",
    ];
    for statistic in sound {
        let name = format!("delay-ow:{statistic}");
        assert_eq!(
            put(&node, &name, json!({"core": {"lab": 1.5}})).await,
            201,
            "{name}"
        );
    }
    let unsound = [
        "", "p", "p-1", "p101", "p100.1", "p99.", "p.5", "p095", "P95", "p1e1", "Mean", "average",
        "mean:p5",
    ];
    for statistic in unsound {
        let name = format!("delay-ow:{statistic}");
        assert_eq!(
            put(&node, &name, json!({"core": {"lab": 1.5}})).await,
            404,
            "{name}"
        );
        let query = json!({"cost-type": cost_type(&name, "numerical"), "endpoints": {"srcs": ["ipv4:10.0.0.1"]}});
        for service in [COSTS, ENDPOINTS] {
            service
                .refuses(
                    &node,
                    &[(query.clone(), VALUE, "cost-type/cost-metric", &name)],
                )
                .await;
        }
    }
}

#[tokio::test]
async fn a_name_is_registered_or_private_and_has_thirty_two_characters_at_most() {
    let node = metro().await;
    let (fits, long) = (
        format!("priv:{}", "x".repeat(27)),
        format!("priv:{}", "x".repeat(28)),
    );
    for good in [
        "priv:x",
        "priv:delay-ow:p95",
        "delay-variation:p99.99",
        &fits,
    ] {
        assert_eq!(
            put(&node, good, json!({"core": {"lab": 1}})).await,
            201,
            "{good}"
        );
    }
    for bad in [
        "latency",
        "priv:",
        "priv:a.b",
        "Delay-OW",
        "routingcost:mean",
        "ane-path",
        "max-reservable-bandwidth",
        &long,
    ] {
        assert_eq!(
            put(&node, bad, json!({"core": {"lab": 1}})).await,
            404,
            "{bad}"
        );
    }
    // A private name has no base and no statistic.
    let query = json!({"cost-type": cost_type("priv:delay-ow", "numerical")});
    COSTS
        .refuses(
            &node,
            &[(query, VALUE, "cost-type/cost-metric", "priv:delay-ow")],
        )
        .await;
}

#[tokio::test]
async fn the_plain_name_and_one_with_its_default_statistic_are_two_names() {
    let node = metro().await;
    assert_eq!(
        put(&node, "delay-ow", json!({"core": {"lab": 100}})).await,
        201
    );
    let median = json!({"cost-type": cost_type("delay-ow:median", "numerical")});
    COSTS
        .refuses(
            &node,
            &[(
                median.clone(),
                VALUE,
                "cost-type/cost-metric",
                "delay-ow:median",
            )],
        )
        .await;
    assert_eq!(
        put(&node, "delay-ow:median", json!({"core": {"lab": 90}})).await,
        201
    );
    let plain = json!({"cost-type": cost_type("delay-ow", "numerical")});
    assert_eq!(
        COSTS.ok(&node, &plain).await["cost-map"],
        json!({"core": {"lab": 100}})
    );
    assert_eq!(
        COSTS.ok(&node, &median).await["cost-map"],
        json!({"core": {"lab": 90}})
    );
}

#[tokio::test]
async fn values_are_those_that_the_metric_can_have() {
    let node = metro().await;
    let cell = |value: f64| json!({"core": {"lab": value}});
    for metric in BASES {
        assert_eq!(put(&node, metric, cell(-0.5)).await, 422, "{metric}");
        assert!(
            [200, 201].contains(&put(&node, metric, cell(0.0)).await),
            "{metric}"
        );
    }
    assert_eq!(put(&node, "hopcount", cell(2.5)).await, 422);
    assert_eq!(put(&node, "hopcount:max", cell(2.5)).await, 422);
    assert_eq!(put(&node, "hopcount:mean", cell(2.5)).await, 201);
    assert_eq!(put(&node, "lossrate", cell(100.5)).await, 422, "percent");
    assert_eq!(put(&node, "lossrate", cell(100.0)).await, 200);
    assert_eq!(put(&node, "hopcount", cell(3.0)).await, 200);
    let text = node.get("/views/isp-a/costmap-hopcount").await;
    assert!(
        text.text().contains("\"lab\":3}"),
        "a whole number is written as one"
    );
}

#[tokio::test]
async fn a_larger_bandwidth_has_the_lower_rank() {
    let node = metro().await;
    let stated = json!({"core": {"core": 10, "east": 500, "lab": 20}});
    for metric in ["tput", "bw-residual", "bw-available:p5"] {
        put(&node, metric, stated.clone()).await;
        let map = full(&node, &format!("ordinal-{metric}")).await;
        assert_eq!(
            map["cost-map"],
            json!({"core": {"core": 2, "east": 0, "lab": 1}}),
            "{metric}"
        );
    }
    for metric in ["delay-ow", "lossrate", "priv:tput"] {
        let stated = json!({"core": {"core": 1, "east": 50, "lab": 2}});
        put(&node, metric, stated).await;
        let map = full(&node, &format!("ordinal-{metric}")).await;
        assert_eq!(
            map["cost-map"],
            json!({"core": {"core": 0, "east": 2, "lab": 1}}),
            "{metric}"
        );
    }
}

#[tokio::test]
async fn constraints_are_in_the_units_of_the_metric() {
    let node = metro().await;
    put(
        &node,
        "delay-ow:p95",
        json!({"lab": {"east": 1830.5, "core": 25000}}),
    )
    .await;
    let query = json!({
        "cost-type": cost_type("delay-ow:p95", "numerical"),
        "constraints": ["lt 20000"],
        "endpoints": {"srcs": ["ipv4:10.20.30.9"], "dsts": ["ipv4:10.20.1.1", "ipv4:10.99.0.1"]},
    });
    let answer = ENDPOINTS.ok(&node, &query).await;
    assert_eq!(
        answer["endpoint-cost-map"],
        json!({"ipv4:10.20.30.9": {"ipv4:10.20.1.1": 1830.5}})
    );
    assert_eq!(
        answer["meta"],
        json!({"cost-type": cost_type("delay-ow:p95", "numerical")})
    );
}

#[tokio::test]
async fn a_cost_context_in_a_request_does_not_matter() {
    let node = metro().await;
    put(&node, "delay-ow", json!({"core": {"lab": 100}})).await;
    for context in [
        json!({"cost-source": "sla"}),
        json!(7),
        json!({"cost-source": [], "parameters": {"link": 1}}),
    ] {
        let mut asked = cost_type("delay-ow", "numerical");
        asked["cost-context"] = context;
        let answer = COSTS.ok(&node, &json!({"cost-type": asked})).await;
        // We announce no cost source, which means `estimation`.
        assert_eq!(
            answer["meta"]["cost-type"],
            cost_type("delay-ow", "numerical")
        );
    }
}

#[tokio::test]
async fn costs_have_a_direction_and_do_not_depend_on_each_other() {
    let node = metro().await;
    put(
        &node,
        "delay-ow",
        json!({"core": {"lab": 100}, "lab": {"core": 70}}),
    )
    .await;
    put(&node, "delay-rt", json!({"core": {"lab": 180}})).await;
    let of = async |metric: &str| {
        COSTS
            .ok(&node, &json!({"cost-type": cost_type(metric, "numerical")}))
            .await["cost-map"]
            .clone()
    };
    assert_eq!(
        of("delay-ow").await,
        json!({"core": {"lab": 100}, "lab": {"core": 70}})
    );
    assert_eq!(of("delay-rt").await, json!({"core": {"lab": 180}}));
}

#[tokio::test]
async fn answers_say_how_old_their_data_are() {
    let mut node = metro().await;
    put(&node, "delay-ow", json!({"lab": {"core": 70}})).await;
    let map = node.get("/views/isp-a/costmap-delay-ow").await;
    let written = map.header("last-modified").to_owned();
    assert!(
        written.ends_with(" GMT") && written.len() == 29,
        "{written:?}"
    );
    let delay = cost_type("delay-ow", "numerical");
    let costs = COSTS.ask(&node, json!({"cost-type": delay})).await;
    let pair = json!({"srcs": ["ipv4:10.20.30.9"], "dsts": ["ipv4:10.99.0.1"]});
    let endpoints = ENDPOINTS
        .ask(&node, json!({"cost-type": delay, "endpoints": pair}))
        .await;
    for answer in [costs, endpoints] {
        assert_eq!(
            (answer.status.as_u16(), answer.header("last-modified")),
            (200, written.as_str())
        );
    }
    // They are no newer because they are read again.
    let later = "2040-01-01T00:00:00Z".parse().expect("a time");
    node.restart_at(Clock::manual(later).0).await;
    let map = node.get("/views/isp-a/costmap-delay-ow").await;
    assert_eq!(map.header("last-modified"), written);
}
