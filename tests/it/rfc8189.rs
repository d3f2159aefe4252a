//! RFC 8189: several cost types in one answer.

use serde_json::{Value, json};

use crate::metro::{
    COST_MAP, COSTS, ENDPOINT_COSTS, ENDPOINTS, Entry, MAP_ID, MISSING, SYNTAX, TYPE, VALUE,
    cost_type, directories, entries, fault, full, rc,
};
use crate::support::TestNode;

/// Three PIDs with costs in three metrics, some of them missing.
async fn network() -> TestNode {
    let node = TestNode::start().await;
    let map = json!({"network-map": {
        "a": {"ipv4": ["0.0.0.0/0"]}, "b": {"ipv4": ["10.0.0.0/8"]}, "c": {"ipv4": ["11.0.0.0/8"]},
    }});
    node.put("network-map", &map).await;
    let costs = [
        (
            "routingcost",
            json!({"a": {"b": 8, "c": 30}, "b": {"c": 5}}),
        ),
        ("hopcount", json!({"a": {"b": 3, "c": 1}, "b": {"c": 7}})),
        (
            "priv:bw",
            json!({"a": {"b": 90}, "b": {"c": 40}, "c": {"c": 1}}),
        ),
    ];
    for (metric, costs) in costs {
        node.put(&format!("cost-maps/{metric}"), &json!({"cost-map": costs}))
            .await;
    }
    node
}

fn hop() -> Value {
    cost_type("hopcount", "numerical")
}

fn bw() -> Value {
    cost_type("priv:bw", "numerical")
}

async fn costs(node: &TestNode, query: Value) -> Value {
    COSTS.ok(node, &query).await["cost-map"].clone()
}

#[tokio::test]
async fn the_directory_announces_the_extension_on_what_takes_queries_and_nowhere_else() {
    let node = network().await;
    for entry in entries(&directories(&node).await) {
        let capabilities = &entry.entry["capabilities"];
        let names = entry.capability("cost-type-names").len();
        match (entry.text("media-type"), entry.text("accepts")) {
            (COST_MAP | ENDPOINT_COSTS, accepts) if !accepts.is_empty() => {
                assert_eq!(names, 6, "{}: three metrics in two modes", entry.id);
                assert_eq!(capabilities["max-cost-types"], names, "any combination");
                // Every type may be tested, so that none is listed as testable.
                assert_eq!(capabilities["cost-constraints"], true);
                assert!(capabilities.get("testable-cost-type-names").is_none());
            }
            _ => assert!(capabilities.get("max-cost-types").is_none(), "{}", entry.id),
        }
    }
    let costs = entries(&directories(&node).await);
    let uses =
        |entry: &&Entry| entry.text("media-type") == ENDPOINT_COSTS && !entry.uses().is_empty();
    assert!(
        !costs.iter().any(|entry| uses(&entry)),
        "RFC 7285 §11.5.1.5"
    );
}

#[tokio::test]
async fn several_types_are_answered_by_arrays_in_the_order_asked() {
    let node = network().await;
    let types = json!([bw(), rc(), hop()]);
    let answer = COSTS.ok(&node, &json!({"multi-cost-types": types})).await;
    let vtag = full(&node, "networkmap").await["meta"]["vtag"].clone();
    assert_eq!(
        answer,
        json!({
            "meta": {"cost-type": {}, "multi-cost-types": types, "dependent-vtags": [vtag]},
            "cost-map": {
                "a": {"b": [90, 8, 3], "c": [null, 30, 1]},
                "b": {"c": [40, 5, 7]},
                "c": {"c": [1, null, null]},
            },
        })
    );
    let pair = json!({"srcs": ["ipv4:9.0.0.1"], "dsts": ["ipv4:10.0.0.1", "ipv4:11.0.0.1", "ipv4:9.0.0.2"]});
    let answer = ENDPOINTS
        .ok(
            &node,
            &json!({"multi-cost-types": types, "endpoints": pair}),
        )
        .await;
    assert_eq!(
        answer,
        json!({
            "meta": {"cost-type": {}, "multi-cost-types": types},
            "endpoint-cost-map": {"ipv4:9.0.0.1": {"ipv4:10.0.0.1": [90, 8, 3], "ipv4:11.0.0.1": [null, 30, 1]}},
        })
    );
}

#[tokio::test]
async fn a_list_of_one_is_answered_by_arrays_of_one_and_a_single_type_by_numbers() {
    let node = network().await;
    let pids = json!({"srcs": ["b"], "dsts": ["c"]});
    assert_eq!(
        costs(&node, json!({"multi-cost-types": [hop()], "pids": pids})).await,
        json!({"b": {"c": [7]}})
    );
    let single = COSTS
        .ok(&node, &json!({"cost-type": hop(), "pids": pids}))
        .await;
    assert_eq!(single["cost-map"], json!({"b": {"c": 7}}));
    assert_eq!(single["meta"]["cost-type"], hop());
    assert!(single["meta"].get("multi-cost-types").is_none());
}

#[tokio::test]
async fn a_type_asked_for_twice_is_answered_twice() {
    let node = network().await;
    let query =
        json!({"multi-cost-types": [hop(), bw(), hop()], "pids": {"srcs": ["a"], "dsts": []}});
    assert_eq!(
        costs(&node, query).await,
        json!({"a": {"b": [3, 90, 3], "c": [1, null, 1]}})
    );
}

#[tokio::test]
async fn exactly_one_of_the_two_members_is_given() {
    let node = network().await;
    let both = json!({"cost-type": rc(), "multi-cost-types": [rc()]});
    let (code, field, _) = fault(&COSTS.ask(&node, &both).await);
    assert_eq!((code.as_str(), field.as_str()), (VALUE, "multi-cost-types"));
    COSTS
        .refuses(
            &node,
            &[(json!({"constraints": []}), MISSING, "cost-type", "")],
        )
        .await;
    // The form that RFC 8896 uses.
    let empty = json!({"cost-type": {}, "multi-cost-types": [hop()]});
    assert_eq!(costs(&node, empty).await["b"]["c"], json!([7]));
    COSTS
        .refuses(
            &node,
            &[(
                json!({"cost-type": {}}),
                MISSING,
                "cost-type/cost-metric",
                "",
            )],
        )
        .await;
}

#[tokio::test]
async fn the_list_has_one_to_the_maximum_of_supported_types() {
    let node = network().await;
    let seven = vec![rc(); 7];
    for bad in [
        json!([]),
        json!(seven),
        json!([rc(), cost_type("tput", "numerical")]),
        json!([cost_type("hopcount", "array")]),
    ] {
        let query = json!({"multi-cost-types": bad});
        for service in [COSTS, ENDPOINTS] {
            let mut query = query.clone();
            query["endpoints"] = json!({"srcs": ["ipv4:10.0.0.1"]});
            let (code, field, value) = fault(&service.ask(&node, &query).await);
            assert_eq!(
                (code.as_str(), field.as_str()),
                (VALUE, "multi-cost-types"),
                "{bad}"
            );
            assert!(!value.is_empty() || bad == json!([]));
        }
    }
    assert_eq!(
        costs(&node, json!({"multi-cost-types": vec![rc(); 6]})).await["b"]["c"],
        json!([5; 6].to_vec())
    );
    COSTS
        .refuses(
            &node,
            &[
                (
                    json!({"multi-cost-types": rc()}),
                    TYPE,
                    "multi-cost-types",
                    "",
                ),
                (
                    json!({"multi-cost-types": [7]}),
                    VALUE,
                    "multi-cost-types",
                    "7",
                ),
                (
                    json!({"multi-cost-types": [{"cost-metric": "hopcount"}]}),
                    MISSING,
                    "multi-cost-types/cost-mode",
                    "",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn alternatives_of_constraints_test_types_that_need_not_be_returned() {
    let node = network().await;
    let query = json!({
        "multi-cost-types": [rc(), bw()],
        "testable-cost-types": [hop(), rc()],
        "or-constraints": [["[0] le 1"], ["[0] ge 5", "[1] lt 6"]],
        "pids": {"srcs": [], "dsts": []},
    });
    let answer = COSTS.ok(&node, &query).await;
    assert_eq!(
        answer["cost-map"],
        json!({"a": {"c": [30, null]}, "b": {"c": [5, 40]}})
    );
    assert_eq!(answer["meta"]["multi-cost-types"], json!([rc(), bw()]));
    assert_eq!(answer["meta"]["dependent-vtags"][0]["resource-id"], MAP_ID);
    // With one type, the answer has numbers, not arrays.
    let query = json!({"cost-type": rc(), "testable-cost-types": [hop()], "constraints": ["gt 2"]});
    assert_eq!(
        costs(&node, query).await,
        json!({"a": {"b": 8}, "b": {"c": 5}})
    );
    let query = json!({"cost-type": rc(), "or-constraints": [["eq 5"], ["ge 30"]]});
    assert_eq!(
        costs(&node, query).await,
        json!({"a": {"c": 30}, "b": {"c": 5}})
    );
}

#[tokio::test]
async fn an_index_counts_in_the_lists_of_the_request() {
    let node = network().await;
    let types = json!([hop(), rc()]);
    let multi = |constraint: &str| json!({"multi-cost-types": types, "constraints": [constraint]});
    assert_eq!(
        costs(&node, multi("[1] ge 8")).await,
        json!({"a": {"b": [3, 8], "c": [1, 30]}})
    );
    assert_eq!(
        costs(&node, multi("[0] ge 7")).await,
        json!({"b": {"c": [7, 5]}})
    );
    assert_eq!(
        costs(&node, multi("ge 7")).await,
        costs(&node, multi("[0] ge 7")).await
    );
    let refused = [
        (multi("[2] ge 7"), "[2] ge 7"),
        (
            json!({"cost-type": rc(), "constraints": ["[1] le 9"]}),
            "[1] le 9",
        ),
        (
            json!({"multi-cost-types": types, "testable-cost-types": [rc()], "constraints": ["[1] le 9"]}),
            "[1] le 9",
        ),
    ];
    for (query, value) in refused {
        COSTS
            .refuses(&node, &[(query, VALUE, "constraints", value)])
            .await;
    }
    let query = json!({"cost-type": rc(), "or-constraints": [["le 9"], ["gt 1", "[3] le 9"]]});
    COSTS
        .refuses(&node, &[(query, VALUE, "or-constraints", "[3] le 9")])
        .await;
}

#[tokio::test]
async fn predicates_are_of_the_grammar() {
    let node = network().await;
    let types = vec![hop(); 6];
    let ask = |text: &str| json!({"multi-cost-types": types, "constraints": [text]});
    for good in [
        "le 10",
        "[0] le 10",
        "[5] ge -1.5e3",
        "[0]\tle   10",
        "[00] le 10",
    ] {
        COSTS.ok(&node, &ask(good)).await;
    }
    for bad in [
        "[0]le 10",
        "[-1] le 1",
        "[0] <= 3",
        "[0] le",
        "[0] le ten",
        "[ 0 ] le 1",
        "[] le 1",
        "[0",
        "0] le 1",
        "[0] [0] le 1",
        "[1.0] le 1",
        "[0] le 1 and",
    ] {
        COSTS
            .refuses(&node, &[(ask(bad), VALUE, "constraints", bad)])
            .await;
    }
}

#[tokio::test]
async fn constraints_and_their_alternatives_exclude_each_other_and_no_group_is_empty() {
    let node = network().await;
    let with = |name: &str, value: Value| json!({"cost-type": rc(), name: value});
    for bad in [json!([]), json!([[]]), json!([["le 9"], []])] {
        let (code, field, _) = fault(&COSTS.ask(&node, with("or-constraints", bad.clone())).await);
        assert_eq!(
            (code.as_str(), field.as_str()),
            (VALUE, "or-constraints"),
            "{bad}"
        );
    }
    let mut both = with("or-constraints", json!([["le 9"]]));
    both["constraints"] = json!(["le 9"]);
    assert_eq!(fault(&COSTS.ask(&node, &both).await).1, "or-constraints");
    assert_eq!(
        costs(&node, with("constraints", json!([]))).await,
        costs(&node, json!({"cost-type": rc()})).await
    );
    COSTS
        .refuses(
            &node,
            &[
                (
                    with("or-constraints", json!("le 9")),
                    TYPE,
                    "or-constraints",
                    "",
                ),
                (
                    with("or-constraints", json!([[9]])),
                    VALUE,
                    "or-constraints",
                    "9",
                ),
                (
                    with("or-constraints", json!(["le 9"])),
                    VALUE,
                    "or-constraints",
                    "le 9",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn testable_types_are_supported_ones_and_harmless_when_nothing_tests_them() {
    let node = network().await;
    let with = |types: Value| json!({"cost-type": rc(), "testable-cost-types": types});
    assert_eq!(
        costs(&node, with(json!([hop(), hop(), bw()]))).await,
        costs(&node, json!({"cost-type": rc()})).await
    );
    for bad in [
        json!([]),
        json!([cost_type("tput", "numerical")]),
        json!([hop(), cost_type("hopcount", "x")]),
    ] {
        let (code, field, _) = fault(&COSTS.ask(&node, with(bad.clone())).await);
        assert_eq!(
            (code.as_str(), field.as_str()),
            (VALUE, "testable-cost-types"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_pair_without_the_tested_cost_fails_the_test() {
    let node = network().await;
    for constraint in ["ge 0", "le 1000000"] {
        let query =
            json!({"cost-type": rc(), "testable-cost-types": [bw()], "constraints": [constraint]});
        assert_eq!(
            costs(&node, query).await,
            json!({"a": {"b": 8}, "b": {"c": 5}}),
            "{constraint}"
        );
    }
}

#[tokio::test]
async fn ordinal_components_are_ranked_over_the_pairs_that_are_returned() {
    let node = network().await;
    let ordinal = cost_type("routingcost", "ordinal");
    let query = json!({"multi-cost-types": [ordinal, rc(), hop()], "constraints": ["[2] ge 3"]});
    assert_eq!(
        costs(&node, query).await,
        json!({"a": {"b": [1, 8, 3]}, "b": {"c": [0, 5, 7]}})
    );
}

#[tokio::test]
async fn a_full_cost_map_is_never_of_several_types() {
    let node = network().await;
    for resource in ["costmap-routingcost", "ordinal-hopcount"] {
        let map = full(&node, resource).await;
        assert!(map["meta"].get("multi-cost-types").is_none());
        let rows = map["cost-map"].as_object().expect("a map").values();
        let mut cells = rows.flat_map(|row| row.as_object().expect("a row").values());
        assert!(cells.all(Value::is_number));
    }
    let answer = node
        .get(&format!("{}?multi-cost-types=[]", COSTS.path))
        .await;
    assert_eq!(answer.status, 405);
    assert_eq!(fault(&COSTS.ask(&node, "[]").await).0, SYNTAX);
}

#[tokio::test]
async fn ranks_of_a_bandwidth_are_the_same_however_often_it_is_asked_for_or_tested() {
    let node = network().await;
    let stated = json!({"cost-map": {"a": {"b": 10, "c": 500}, "b": {"c": 20}}});
    node.put("cost-maps/bw-available", &stated).await;
    let ordinal = cost_type("bw-available", "ordinal");
    let once = json!({"a": {"b": [2], "c": [0]}, "b": {"c": [1]}});
    assert_eq!(
        costs(&node, json!({"multi-cost-types": [ordinal]})).await,
        once
    );
    let twice = json!({"a": {"b": [2, 2], "c": [0, 0]}, "b": {"c": [1, 1]}});
    assert_eq!(
        costs(&node, json!({"multi-cost-types": [ordinal, ordinal]})).await,
        twice
    );
    let tested = json!({"multi-cost-types": [ordinal], "constraints": ["ge 0", "le 1"]});
    assert_eq!(
        costs(&node, tested).await,
        json!({"a": {"c": [0]}, "b": {"c": [1]}})
    );
}
