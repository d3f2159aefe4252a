//! Section 8: messages and errors.

use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{
    COSTS, ENDPOINTS, MAP_ID, MISSING, NETWORK, PROPERTIES, SYNTAX, Service, TYPE, VALUE,
    directories, entries, fault, full, metro, rc,
};
use crate::support::TestNode;

/// Returns each service with a query that it answers.
fn queries() -> [(Service, Value); 4] {
    let pid = format!("{MAP_ID}.pid");
    [
        (NETWORK, json!({"pids": ["lab"]})),
        (
            COSTS,
            json!({"cost-type": rc(), "pids": {"srcs": ["core"], "dsts": []}}),
        ),
        (
            PROPERTIES,
            json!({"properties": [pid], "endpoints": ["ipv4:10.20.1.1"]}),
        ),
        (
            ENDPOINTS,
            json!({"cost-type": rc(), "endpoints": {"srcs": ["ipv4:10.99.0.1"], "dsts": ["ipv4:10.20.1.1"]}}),
        ),
    ]
}

#[tokio::test]
async fn every_response_has_its_media_type_and_meta_and_one_data_member() {
    let node = metro().await;
    let check = |name: &str, answer: Value, member: &str| {
        let members: Vec<&String> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(members.len(), 2, "{name}: {members:?}");
        assert!(
            answer["meta"].is_object() && answer[member].is_object(),
            "{name}"
        );
    };
    for resource in ["networkmap", "costmap-routingcost", "ordinal-routingcost"] {
        let member = match resource {
            "networkmap" => "network-map",
            _ => "cost-map",
        };
        check(resource, full(&node, resource).await, member);
    }
    let members = [
        "network-map",
        "cost-map",
        "endpoint-properties",
        "endpoint-cost-map",
    ];
    for ((service, query), member) in queries().into_iter().zip(members) {
        check(service.path, service.ok(&node, &query).await, member);
    }
    for (url, directory) in directories(&node).await {
        check(&url, directory, "resources");
    }
}

#[tokio::test]
async fn members_that_are_not_known_are_ignored_at_every_level() {
    let node = metro().await;
    let odd = json!({"a": [{"b": null}], "pids": 7, "cost-mode": []});
    for (service, query) in queries() {
        let plain = service.ok(&node, &query).await;
        let mut strange = query.clone();
        strange["x-unknown"] = odd.clone();
        for inner in ["cost-type", "pids", "endpoints"] {
            if let Some(object) = strange.get_mut(inner).and_then(Value::as_object_mut) {
                object.insert("x-unknown".into(), odd.clone());
            }
        }
        assert_eq!(service.ok(&node, &strange).await, plain, "{strange}");
    }
    // Names are case-sensitive: this one is unknown, so that `pids` is absent.
    NETWORK
        .refuses(&node, &[(json!({"PIDs": []}), MISSING, "pids", "")])
        .await;
}

#[tokio::test]
async fn what_is_no_json_object_is_a_syntax_error() {
    let node = metro().await;
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (service, query) in queries() {
        let text = query.to_string();
        let cut = &text[..text.len() - 1];
        let trailed = format!("{text}{{}}");
        let bad = [
            "",
            " ",
            "[]",
            "7",
            "null",
            "\"pids\"",
            "{'a':1}",
            "{\"a\":NaN}",
            cut,
            &trailed,
            &nested,
        ];
        for body in bad {
            let answer = service.ask(&node, body).await;
            let start: String = body.chars().take(40).collect();
            assert_eq!(fault(&answer).0, SYNTAX, "{} {start:?}", service.path);
            let why = answer.json()["meta"]["syntax-error"].clone();
            assert!(why.is_string(), "{start:?}: {why}");
        }
        let mut not_utf8 = text.clone().into_bytes();
        not_utf8.extend_from_slice(b" \xff");
        let answer = node.post(service.path, service.accepts, not_utf8).await;
        assert_eq!(fault(&answer).0, SYNTAX);
        // White space around the object is allowed in JSON.
        let spaced = format!(" \r\n\t{text}\n");
        assert_eq!(service.ask(&node, spaced).await.status, 200);
    }
}

#[tokio::test]
async fn a_member_that_stands_twice_is_a_syntax_error() {
    let node = metro().await;
    let type_twice = r#"{"cost-type":{"cost-metric":"routingcost","cost-metric":"hopcount","cost-mode":"numerical"}}"#;
    for (service, body) in [
        (NETWORK, r#"{"pids":[],"pids":["lab"]}"#),
        (COSTS, type_twice),
        (
            PROPERTIES,
            r#"{"properties":["x"],"endpoints":[],"endpoints":["ipv4:10.0.0.1"]}"#,
        ),
    ] {
        assert_eq!(fault(&service.ask(&node, body).await).0, SYNTAX, "{body}");
    }
}

#[tokio::test]
async fn an_absent_member_is_named_by_its_whole_path() {
    let node = metro().await;
    let one = json!(["ipv4:10.0.0.1"]);
    NETWORK
        .refuses(
            &node,
            &[
                (json!({}), MISSING, "pids", ""),
                (json!({"address-types": ["ipv4"]}), MISSING, "pids", ""),
            ],
        )
        .await;
    COSTS
        .refuses(
            &node,
            &[
                (json!({}), MISSING, "cost-type", ""),
                (
                    json!({"cost-type": {"cost-mode": "numerical"}}),
                    MISSING,
                    "cost-type/cost-metric",
                    "",
                ),
                (
                    json!({"cost-type": {"cost-metric": "routingcost"}}),
                    MISSING,
                    "cost-type/cost-mode",
                    "",
                ),
                (
                    json!({"cost-type": rc(), "pids": {"dsts": []}}),
                    MISSING,
                    "pids/srcs",
                    "",
                ),
                (
                    json!({"cost-type": rc(), "pids": {"srcs": []}}),
                    MISSING,
                    "pids/dsts",
                    "",
                ),
            ],
        )
        .await;
    PROPERTIES
        .refuses(
            &node,
            &[
                (json!({"endpoints": one}), MISSING, "properties", ""),
                (
                    json!({"properties": [format!("{MAP_ID}.pid")]}),
                    MISSING,
                    "endpoints",
                    "",
                ),
            ],
        )
        .await;
    ENDPOINTS
        .refuses(
            &node,
            &[
                (json!({"cost-type": rc()}), MISSING, "endpoints", ""),
                (
                    json!({"endpoints": {"srcs": one}}),
                    MISSING,
                    "cost-type",
                    "",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn a_member_of_the_wrong_type_is_named_by_its_whole_path() {
    let node = metro().await;
    for wrong in [json!(null), json!("lab"), json!(7), json!(true), json!({})] {
        NETWORK
            .refuses(&node, &[(json!({"pids": wrong}), TYPE, "pids", "")])
            .await;
    }
    let cost_type = |metric: Value, mode: Value| json!({"cost-type": {"cost-metric": metric, "cost-mode": mode}});
    COSTS
        .refuses(
            &node,
            &[
                (json!({"cost-type": "routingcost"}), TYPE, "cost-type", ""),
                (json!({"cost-type": [rc()]}), TYPE, "cost-type", ""),
                (
                    cost_type(json!(7), json!("numerical")),
                    TYPE,
                    "cost-type/cost-metric",
                    "",
                ),
                (
                    cost_type(json!("routingcost"), json!(null)),
                    TYPE,
                    "cost-type/cost-mode",
                    "",
                ),
                (json!({"cost-type": rc(), "pids": []}), TYPE, "pids", ""),
                (
                    json!({"cost-type": rc(), "pids": {"srcs": "lab", "dsts": []}}),
                    TYPE,
                    "pids/srcs",
                    "",
                ),
                (
                    json!({"cost-type": rc(), "constraints": "le 3"}),
                    TYPE,
                    "constraints",
                    "",
                ),
            ],
        )
        .await;
    ENDPOINTS
        .refuses(
            &node,
            &[
                (
                    json!({"cost-type": rc(), "endpoints": []}),
                    TYPE,
                    "endpoints",
                    "",
                ),
                (
                    json!({"cost-type": rc(), "endpoints": {"srcs": {}}}),
                    TYPE,
                    "endpoints/srcs",
                    "",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn an_element_of_the_wrong_type_is_an_invalid_value_of_its_array() {
    let node = metro().await;
    let property = format!("{MAP_ID}.pid");
    NETWORK
        .refuses(
            &node,
            &[
                (json!({"pids": [7]}), VALUE, "pids", "7"),
                (json!({"pids": ["lab", null]}), VALUE, "pids", "null"),
                (
                    json!({"pids": [], "address-types": [true]}),
                    VALUE,
                    "address-types",
                    "true",
                ),
            ],
        )
        .await;
    PROPERTIES
        .refuses(
            &node,
            &[
                (
                    json!({"properties": [property], "endpoints": [12]}),
                    VALUE,
                    "endpoints",
                    "12",
                ),
                (
                    json!({"properties": [1.5], "endpoints": ["ipv4:10.0.0.1"]}),
                    VALUE,
                    "properties",
                    "1.5",
                ),
            ],
        )
        .await;
    COSTS
        .refuses(
            &node,
            &[
                (
                    json!({"cost-type": rc(), "constraints": [3]}),
                    VALUE,
                    "constraints",
                    "3",
                ),
                (
                    json!({"cost-type": rc(), "pids": {"srcs": [7], "dsts": []}}),
                    VALUE,
                    "pids/srcs",
                    "7",
                ),
            ],
        )
        .await;
    ENDPOINTS
        .refuses(
            &node,
            &[(
                json!({"cost-type": rc(), "endpoints": {"srcs": ["ipv4:10.0.0.1"], "dsts": [-1]}}),
                VALUE,
                "endpoints/dsts",
                "-1",
            )],
        )
        .await;
}

#[tokio::test]
async fn of_several_faults_one_is_reported() {
    let node = metro().await;
    let answer = COSTS
        .ask(
            &node,
            json!({"cost-type": {"cost-metric": 1}, "pids": {"srcs": 2}, "constraints": [3]}),
        )
        .await;
    let (code, field, value) = fault(&answer);
    assert!([MISSING, TYPE, VALUE].contains(&code.as_str()));
    assert!(!field.is_empty() && !field.contains(','), "{field}");
    assert!(value.is_empty() || code == VALUE);
}

#[tokio::test]
async fn a_malformed_name_in_sound_json_is_an_invalid_value() {
    let node = metro().await;
    let long = "p".repeat(65);
    for name in ["", "a b", "a/b", "a.b", "é", long.as_str()] {
        let query = json!({"pids": ["lab", name]});
        NETWORK
            .refuses(&node, &[(query, VALUE, "pids", name)])
            .await;
    }
    let query = json!({"pids": ["p".repeat(64)]});
    assert_eq!(NETWORK.ok(&node, &query).await["network-map"], json!({}));
}

#[tokio::test]
async fn a_request_that_comes_too_soon_is_told_when_to_come_again() {
    let node = TestNode::with("[limits]\nrequests_per_second = 1\nburst = 1\n").await;
    let mut refused = node.get("/directory").await;
    // The first request may pass; of two in the same second one does not.
    for _ in 0..100 {
        if refused.status == 429 {
            break;
        }
        refused = node.get("/directory").await;
    }
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds > 0)
    );
    assert!(refused.body.is_empty(), "no ALTO error code says this");
}

#[tokio::test]
async fn an_unknown_path_is_404_and_has_no_body_that_an_alto_client_would_misread() {
    let node = metro().await;
    for path in [
        "/views/isp-a/nothing",
        "/views/nobody/networkmap",
        "/views/isp-a",
        "/views/%00/directory",
    ] {
        let answer = node.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.is_empty() || answer.header("content-type") == crate::metro::ERROR);
    }
    let resources = entries(&directories(&node).await);
    for entry in resources
        .iter()
        .filter(|entry| !entry.text("accepts").is_empty())
    {
        let answer = node.request(Method::GET, entry.text("uri")).send().await;
        assert_eq!(answer.status, 405, "{}", entry.id);
    }
}
