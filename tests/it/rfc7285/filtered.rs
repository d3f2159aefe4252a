//! Section 11.3: filtered network maps and filtered cost maps.

use serde_json::{Value, json};

use crate::metro::{COSTS, MISSING, NETWORK, VALUE, cost_type, full, metro, rc};
use crate::support::TestNode;

/// The data member that a filtered network map must have.
async fn network(node: &TestNode, query: Value) -> Value {
    let full = full(node, "networkmap").await;
    let answer = NETWORK.ok(node, &query).await;
    assert_eq!(
        answer["meta"], full["meta"],
        "the version is the full map's"
    );
    answer["network-map"].clone()
}

/// The data member of a filtered cost map.
async fn costs(node: &TestNode, query: Value) -> Value {
    COSTS.ok(node, &query).await["cost-map"].clone()
}

#[tokio::test]
async fn an_empty_list_of_pids_asks_for_all_and_an_absent_one_is_an_error() {
    let node = metro().await;
    let whole = full(&node, "networkmap").await["network-map"].clone();
    assert_eq!(network(&node, json!({"pids": []})).await, whole);
    assert_eq!(
        network(&node, json!({"pids": [], "address-types": []})).await,
        whole
    );
    NETWORK
        .refuses(&node, &[(json!({}), MISSING, "pids", "")])
        .await;
}

#[tokio::test]
async fn names_that_no_pid_has_are_ignored_and_repeated_ones_count_once() {
    let node = metro().await;
    assert_eq!(
        network(
            &node,
            json!({"pids": ["lab", "ghost", "lab"], "address-types": ["ipv6", "ipv6"]})
        )
        .await,
        json!({"lab": {"ipv6": ["2001:db8:30::/48"]}})
    );
    // Nothing that was named exists, which is not the same as nothing being named.
    assert_eq!(network(&node, json!({"pids": ["ghost"]})).await, json!({}));
    assert_eq!(
        network(&node, json!({"pids": ["LAB", "isp-a:lab"]})).await,
        json!({})
    );
    assert_eq!(
        network(&node, json!({"pids": ["void"]})).await,
        json!({"void": {}})
    );
}

#[tokio::test]
async fn address_types_choose_families_and_unknown_ones_choose_nothing() {
    let node = metro().await;
    assert_eq!(
        network(
            &node,
            json!({"pids": ["east", "core"], "address-types": ["ipv6", "eth"]})
        )
        .await,
        json!({"core": {"ipv6": ["::/0"]}, "east": {}})
    );
    let none = json!({"core": {}, "east": {}, "lab": {}, "void": {}});
    for types in [json!(["eth"]), json!(["IPv4"]), json!(["", "ipv4:"])] {
        assert_eq!(
            network(&node, json!({"pids": [], "address-types": types})).await,
            none,
            "{types}"
        );
    }
}

#[tokio::test]
async fn a_filtered_cost_map_has_the_marks_of_the_full_one() {
    let node = metro().await;
    let whole = full(&node, "costmap-routingcost").await;
    assert_eq!(COSTS.ok(&node, &json!({"cost-type": rc()})).await, whole);
    let ordinal = full(&node, "ordinal-routingcost").await;
    let query = json!({"cost-type": cost_type("routingcost", "ordinal")});
    assert_eq!(COSTS.ok(&node, &query).await, ordinal);
}

#[tokio::test]
async fn absent_pids_and_empty_lists_ask_for_all_pairs() {
    let node = metro().await;
    let all = json!({"core": {"east": 4, "lab": 9}, "east": {"lab": 6}});
    assert_eq!(costs(&node, json!({"cost-type": rc()})).await, all);
    assert_eq!(
        costs(
            &node,
            json!({"cost-type": rc(), "pids": {"srcs": [], "dsts": []}})
        )
        .await,
        all
    );
    assert_eq!(
        costs(
            &node,
            json!({"cost-type": rc(), "pids": {"srcs": ["core"], "dsts": []}})
        )
        .await,
        json!({"core": {"east": 4, "lab": 9}})
    );
    assert_eq!(
        costs(
            &node,
            json!({"cost-type": rc(), "pids": {"srcs": [], "dsts": ["lab"]}})
        )
        .await,
        json!({"core": {"lab": 9}, "east": {"lab": 6}})
    );
}

#[tokio::test]
async fn unknown_sources_or_destinations_are_ignored_and_not_taken_for_all() {
    let node = metro().await;
    let pids =
        |srcs: Value, dsts: Value| json!({"cost-type": rc(), "pids": {"srcs": srcs, "dsts": dsts}});
    assert_eq!(
        costs(
            &node,
            pids(
                json!(["core", "ghost", "core"]),
                json!(["lab", "lab", "ghost"])
            )
        )
        .await,
        json!({"core": {"lab": 9}})
    );
    assert_eq!(
        costs(&node, pids(json!(["ghost"]), json!([]))).await,
        json!({})
    );
    assert_eq!(
        costs(&node, pids(json!([]), json!(["ghost"]))).await,
        json!({})
    );
    // Pairs without a cost, and sources without any, are left out.
    assert_eq!(
        costs(&node, pids(json!(["void", "lab"]), json!([]))).await,
        json!({})
    );
}

#[tokio::test]
async fn the_cost_type_must_be_one_of_the_resource_by_metric_and_mode() {
    let node = metro().await;
    let wrong = |metric: &str, mode: &str| json!({"cost-type": cost_type(metric, mode)});
    COSTS
        .refuses(
            &node,
            &[
                (
                    wrong("routingcost", "fuzzy"),
                    VALUE,
                    "cost-type/cost-mode",
                    "fuzzy",
                ),
                (wrong("routingcost", ""), VALUE, "cost-type/cost-mode", ""),
                (
                    wrong("hopcount", "numerical"),
                    VALUE,
                    "cost-type/cost-metric",
                    "hopcount",
                ),
                (
                    wrong("RoutingCost", "numerical"),
                    VALUE,
                    "cost-type/cost-metric",
                    "RoutingCost",
                ),
            ],
        )
        .await;
    // Other members are for people, and are not compared.
    let mut described = rc();
    described["description"] = json!("as the crow flies");
    let answer = COSTS.ok(&node, &json!({"cost-type": described})).await;
    assert_eq!(answer["meta"]["cost-type"], rc());
    described["description"] = json!(7);
    assert_eq!(
        COSTS.ok(&node, &json!({"cost-type": described})).await,
        answer
    );
}

#[tokio::test]
async fn pairs_that_fail_a_constraint_are_left_out() {
    let node = metro().await;
    let query = json!({"cost-type": rc(), "constraints": ["gt 3", "le 6"], "pids": {"srcs": [], "dsts": ["east", "lab"]}});
    assert_eq!(
        costs(&node, query).await,
        json!({"core": {"east": 4}, "east": {"lab": 6}})
    );
    let cases = [
        ("gt 4", json!({"core": {"lab": 9}, "east": {"lab": 6}})),
        (
            "ge 4",
            json!({"core": {"east": 4, "lab": 9}, "east": {"lab": 6}}),
        ),
        ("lt 6", json!({"core": {"east": 4}})),
        ("le 6", json!({"core": {"east": 4}, "east": {"lab": 6}})),
        ("eq 6", json!({"east": {"lab": 6}})),
        ("eq 6.0e0", json!({"east": {"lab": 6}})),
        ("  eq \t 6 ", json!({"east": {"lab": 6}})),
        ("gt 1e3", json!({})),
        (
            "ge -5",
            json!({"core": {"east": 4, "lab": 9}, "east": {"lab": 6}}),
        ),
    ];
    for (constraint, expected) in cases {
        let query = json!({"cost-type": rc(), "constraints": [constraint]});
        assert_eq!(costs(&node, query).await, expected, "{constraint}");
    }
    let none = json!({"cost-type": rc(), "constraints": []});
    assert_eq!(
        costs(&node, none).await,
        costs(&node, json!({"cost-type": rc()})).await
    );
}

#[tokio::test]
async fn a_constraint_compares_doubles_exactly() {
    let node = metro().await;
    let stated = json!({"cost-map": {"core": {"lab": 0.1, "east": 0.30000000000000004}}});
    node.put("cost-maps/routingcost", &stated).await;
    let query = |constraint: &str| json!({"cost-type": rc(), "constraints": [constraint]});
    assert_eq!(
        costs(&node, query("eq 0.1")).await,
        json!({"core": {"lab": 0.1}})
    );
    assert_eq!(costs(&node, query("eq 0.3")).await, json!({}));
    assert_eq!(
        costs(&node, query("gt 0.3")).await,
        json!({"core": {"east": 0.30000000000000004}})
    );
}

#[tokio::test]
async fn a_constraint_that_cannot_be_parsed_is_repeated() {
    let node = metro().await;
    for bad in [
        "",
        "le",
        "3",
        "LE 3",
        "<= 3",
        "le3",
        "le 3 4",
        "le three",
        "le 0x3",
        "le +3",
        "le .5",
        "le 5.",
        "le NaN",
        "le inf",
        "ne 3",
        "le 3,gt 1",
        "le \"3\"",
    ] {
        let query = json!({"cost-type": rc(), "constraints": ["ge 0", bad]});
        COSTS
            .refuses(&node, &[(query, VALUE, "constraints", bad)])
            .await;
    }
}

#[tokio::test]
async fn ordinal_costs_are_ranked_over_the_pairs_that_are_returned() {
    let node = metro().await;
    let ordinal = cost_type("routingcost", "ordinal");
    let pids = json!({"srcs": [], "dsts": ["lab"]});
    let query = json!({"cost-type": ordinal, "pids": pids});
    assert_eq!(
        costs(&node, query).await,
        json!({"core": {"lab": 1}, "east": {"lab": 0}})
    );
    // Over all sources together, not each by itself.
    let query =
        json!({"cost-type": ordinal, "pids": {"srcs": ["core", "east"], "dsts": ["east", "lab"]}});
    assert_eq!(
        costs(&node, query).await,
        json!({"core": {"east": 0, "lab": 2}, "east": {"lab": 1}})
    );
}

#[tokio::test]
async fn a_constraint_on_an_ordinal_cost_is_on_the_rank_that_is_returned() {
    let node = metro().await;
    let ordinal = cost_type("routingcost", "ordinal");
    let query = json!({"cost-type": ordinal, "constraints": ["ge 1"]});
    assert_eq!(
        costs(&node, query).await,
        json!({"core": {"lab": 2}, "east": {"lab": 1}})
    );
}
