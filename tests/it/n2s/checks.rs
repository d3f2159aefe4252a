//! Faulty documents are refused, and the place of the fault is reported.

use serde_json::{Value, json};

use super::{newest, patch, put, stating, transact};
use crate::support::{Answer, JSON, NOC, TestNode};
use reqwest::Method;

/// Makes a network map with these prefixes in one PID.
fn prefixes(family: &str, list: &[&str]) -> Value {
    json!({"network-map": {"ams": {family: list}}})
}

fn link(change: impl FnOnce(&mut Value)) -> Value {
    let mut link = json!({
        "border": "ams", "peer-domain": "isp-b", "peer-border": "gw1",
        "relationship": "open", "costs": {"routingcost": 5},
    });
    change(&mut link);
    json!({"interconnects": {"x": link}})
}

#[tokio::test]
async fn prefixes_are_checked_as_rfc_7285_has_them() {
    let node = TestNode::start().await;
    let host_bits = put(&node, "network-map", &prefixes("ipv4", &["192.0.2.7/24"])).await;
    let problem = host_bits.problem(422, &["/network-map/ams/ipv4/0"]);
    assert_eq!(
        problem["errors"][0]["detail"],
        "host bits set; did you mean 192.0.2.0/24?"
    );
    for (family, bad) in [
        ("ipv4", "192.0.2.0"),
        ("ipv4", "192.0.2.0/33"),
        ("ipv4", "192.0.2.0/024"),
        ("ipv4", "192.0.02.0/24"),
        ("ipv4", "2001:db8::/32"),
        ("ipv4", ""),
        ("ipv6", "2001:db8::"),
        ("ipv6", "2001:db8::1/32"),
        ("ipv6", "2001:db8::/129"),
        ("ipv6", "192.0.2.0/24"),
        ("ipv6", "fe80::%eth0/64"),
    ] {
        let answer = put(&node, "network-map", &prefixes(family, &[bad])).await;
        answer.problem(422, &[&format!("/network-map/ams/{family}/0")]);
    }
    let answer = put(&node, "network-map", &prefixes("ipv5", &[])).await;
    answer.problem(422, &["/network-map/ams/ipv5"]);
    let twice = json!({"network-map": {
        "ams": {"ipv4": ["192.0.2.0/24", "10.0.0.0/8", "10.0.0.0/8"]},
        "fra": {"ipv4": ["192.0.2.0/24"]},
    }});
    let answer = put(&node, "network-map", &twice).await;
    answer.problem(422, &["/network-map/ams/ipv4/2", "/network-map/fra/ipv4/0"]);
    assert_eq!(newest(&node).await, 0);
}

#[tokio::test]
async fn a_pid_name_leaves_room_for_the_label_of_the_domain() {
    let node = TestNode::start().await;
    let named = |length: usize| {
        let name = "p".repeat(length);
        json!({"network-map": {name: {"ipv4": ["192.0.2.0/24"]}}})
    };
    // 64 characters minus those of `isp-a:`.
    assert_eq!(put(&node, "network-map", &named(58)).await.status, 201);
    let pointer = format!("/network-map/{}", "p".repeat(59));
    let answer = put(&node, "network-map", &named(59)).await;
    answer.problem(422, &[&pointer]);
    let costs = |length: usize| json!({"cost-map": {"p".repeat(length): {"p".repeat(58): 1}}});
    let answer = put(&node, "cost-maps/routingcost", &costs(59)).await;
    answer.problem(422, &[&format!("/cost-map/{}", "p".repeat(59))]);
    assert_eq!(
        put(&node, "cost-maps/routingcost", &costs(58)).await.status,
        201
    );
    let announced = json!({"p".repeat(59): ["198.51.100.0/24"]});
    let answer = transact(
        &node,
        json!([{"op": "announce", "path": "network-map", "value": announced}]),
    )
    .await;
    answer.problem(422, &[&format!("/operations/0/value/{}", "p".repeat(59))]);
    for (bad, pointer) in [
        ("a.b", "/network-map/a.b"),
        ("a b", "/network-map/a b"),
        ("", "/network-map/"),
        ("a/b~c", "/network-map/a~1b~0c"),
        ("ä", "/network-map/ä"),
    ] {
        let answer = put(&node, "network-map", &json!({"network-map": {bad: {}}})).await;
        answer.problem(422, &[pointer]);
    }
}

#[tokio::test]
async fn costs_are_finite_and_not_negative_and_obey_their_metric() {
    let node = stating().await;
    let put_cost = |metric: &str, number: &str| {
        let body = format!("{{\"cost-map\":{{\"ams\":{{\"fra\":{number}}}}}}}");
        let request = node.request(Method::PUT, &format!("/n2s/v1/cost-maps/{metric}"));
        request.token(NOC).typed(JSON, body).send()
    };
    let at = &["/cost-map/ams/fra"][..];
    for (metric, number) in [
        ("routingcost", "-1"),
        ("routingcost", "-1e-300"),
        ("hopcount", "1.5"),
        ("hopcount", "-1"),
        ("lossrate", "100.5"),
        ("lossrate", "-0.1"),
        ("lossrate:p95", "101"),
        ("priv:cash", "-1"),
    ] {
        put_cost(metric, number).await.problem(422, at);
    }
    for wrong in ["\"1\"", "null", "true", "[1]", "{}"] {
        put_cost("routingcost", wrong).await.problem(400, at);
    }
    for broken in ["NaN", "Infinity", "1e999", "01", "+1", ".5"] {
        put_cost("routingcost", broken).await.problem(400, &[""]);
    }
    for (metric, number) in [
        ("routingcost", "-0"),
        ("routingcost", "1e308"),
        ("routingcost", "5e-324"),
        ("hopcount", "3.0"),
        ("hopcount:mean", "1.5"),
        ("lossrate", "100"),
        ("delay-ow:p99.9", "1"),
        ("bw-available:cur", "1"),
        ("priv:cash", "1"),
    ] {
        let answer = put_cost(metric, number).await;
        assert!(answer.status.is_success(), "{metric} {number}: {answer:?}");
        let kept = node.stated(&format!("cost-maps/{metric}")).await.json();
        let number: f64 = number.parse().expect("a number");
        assert_eq!(kept["cost-map"]["ams"]["fra"].as_f64(), Some(number));
    }
}

#[tokio::test]
async fn costs_properties_and_borders_are_of_known_pids_only() {
    let node = stating().await;
    for (path, body, pointer) in [
        (
            "cost-maps/routingcost",
            json!({"cost-map": {"ams": {"par": 1}}}),
            "/cost-map/ams/par",
        ),
        (
            "cost-maps/routingcost",
            json!({"cost-map": {"par": {"ams": 1}}}),
            "/cost-map/par",
        ),
        (
            "properties",
            json!({"property-map": {"pid:par": {"priv:x": 1}}}),
            "/property-map/pid:par",
        ),
        (
            "interconnects",
            link(|link| link["border"] = json!("par")),
            "/interconnects/x/border",
        ),
    ] {
        let answer = put(&node, path, &body).await;
        let problem = answer.problem(422, &[pointer]);
        let detail = problem["errors"][0]["detail"].as_str().expect("text");
        assert!(detail.contains("PID par"), "{detail}");
        patch(&node, path, &body).await.problem(422, &[pointer]);
    }
}

#[tokio::test]
async fn an_interconnect_is_whole_and_leads_to_another_domain() {
    let node = stating().await;
    for member in [
        "border",
        "peer-domain",
        "peer-border",
        "relationship",
        "costs",
    ] {
        let body = link(|link| drop(link.as_object_mut().expect("an object").remove(member)));
        let pointer = format!("/interconnects/x/{member}");
        put(&node, "interconnects", &body)
            .await
            .problem(400, &[&pointer]);
    }
    for (member, value) in [
        ("border", json!("a.b")),
        ("peer-border", json!("")),
        ("peer-domain", json!("isp-a")),
        ("peer-domain", json!("ISP-A")),
        ("peer-domain", json!("merged")),
        ("peer-domain", json!("isp_b")),
        ("relationship", json!("friend")),
        ("relationship", json!("Peer")),
    ] {
        let body = link(|link| link[member] = value);
        let pointer = format!("/interconnects/x/{member}");
        put(&node, "interconnects", &body)
            .await
            .problem(422, &[&pointer]);
    }
    for (metric, cost) in [
        ("latency", json!(1)),
        ("routingcost", json!(-1)),
        ("hopcount", json!(0.5)),
    ] {
        let body = link(|link| link["costs"] = json!({metric: cost}));
        let pointer = format!("/interconnects/x/costs/{metric}");
        put(&node, "interconnects", &body)
            .await
            .problem(422, &[&pointer]);
    }
    let answer = put(&node, "interconnects", &link(|link| link["mtu"] = json!(1))).await;
    answer.problem(422, &["/interconnects/x/mtu"]);
    let body = json!({"interconnects": {"a.b": link(|_| ())["interconnects"]["x"]}});
    let answer = put(&node, "interconnects", &body).await;
    answer.problem(422, &["/interconnects/a.b"]);
    for relationship in ["customer", "provider", "peer", "open"] {
        let body = link(|link| link["relationship"] = json!(relationship));
        assert_eq!(put(&node, "interconnects", &body).await.status, 200);
        assert_eq!(node.stated("interconnects").await.json(), body);
    }
}

#[tokio::test]
async fn properties_are_private_ones_of_prefixes_and_pids() {
    let node = stating().await;
    for (entity, property, pointer) in [
        ("ipv4:192.0.2.1/24", "priv:x", "ipv4:192.0.2.1~124"),
        ("ipv7:1", "priv:x", "ipv7:1"),
        ("ane:x", "priv:x", "ane:x"),
        ("pid:a.b", "priv:x", "pid:a.b"),
        ("pid:ams", "pid", "pid:ams/pid"),
        ("pid:ams", "priv:", "pid:ams/priv:"),
        ("pid:ams", "priv:a.b", "pid:ams/priv:a.b"),
    ] {
        let body = json!({"property-map": {entity: {property: 1}}});
        let answer = put(&node, "properties", &body).await;
        answer.problem(422, &[&format!("/property-map/{pointer}")]);
    }
    let body = json!({"property-map": {
        "ipv6:2001:db8::1": {"priv:any": [1, null, {"b": "ü\n\u{0}", "a": false}]},
        "pid:ams": {},
    }});
    assert_eq!(put(&node, "properties", &body).await.status, 200);
    assert_eq!(node.stated("properties").await.json(), body);
}

#[tokio::test]
async fn a_body_of_another_shape_is_refused_where_it_differs() {
    let node = stating().await;
    for (path, body, pointer) in [
        ("network-map", json!([]), ""),
        ("network-map", json!({}), "/network-map"),
        ("network-map", json!({"network-map": []}), "/network-map"),
        (
            "network-map",
            json!({"network-map": {"ams": []}}),
            "/network-map/ams",
        ),
        (
            "network-map",
            json!({"network-map": {"ams": {"ipv4": {}}}}),
            "/network-map/ams/ipv4",
        ),
        (
            "network-map",
            json!({"network-map": {"ams": {"ipv4": [1]}}}),
            "/network-map/ams/ipv4/0",
        ),
        ("cost-maps/routingcost", json!({"cost-map": 1}), "/cost-map"),
        (
            "cost-maps/routingcost",
            json!({"cost-map": {"ams": 1}}),
            "/cost-map/ams",
        ),
        (
            "properties",
            json!({"property-map": {"pid:ams": "x"}}),
            "/property-map/pid:ams",
        ),
        (
            "interconnects",
            json!({"interconnects": {"x": null}}),
            "/interconnects/x",
        ),
    ] {
        put(&node, path, &body).await.problem(400, &[pointer]);
    }
    let unknown = json!({"network-map": {}, "networkmap": {}});
    let answer = put(&node, "network-map", &unknown).await;
    answer.problem(422, &["/networkmap"]);
    for broken in [
        "",
        "{",
        "nul",
        "{\"network-map\":{}} x",
        "{\"network-map\":{\"\\ud800\":{}}}",
    ] {
        send(&node, "network-map", broken).await.problem(400, &[""]);
    }
}

async fn send(node: &TestNode, path: &str, body: &str) -> Answer {
    let request = node.request(Method::PUT, &format!("/n2s/v1/{path}"));
    let request = request.token(NOC).typed(JSON, body.to_owned());
    request.send().await
}

#[tokio::test]
async fn members_that_stand_twice_are_refused_at_every_level() {
    let node = stating().await;
    for (path, body, pointer) in [
        (
            "network-map",
            r#"{"network-map":{},"network-map":{}}"#,
            "/network-map",
        ),
        (
            "network-map",
            r#"{"network-map":{"ams":{},"ams":{}}}"#,
            "/network-map/ams",
        ),
        (
            "network-map",
            r#"{"network-map":{"ams":{"ipv4":[],"ipv4":[]}}}"#,
            "/network-map/ams/ipv4",
        ),
        (
            "cost-maps/routingcost",
            r#"{"cost-map":{"ams":{"fra":1},"ams":{}}}"#,
            "/cost-map/ams",
        ),
        (
            "cost-maps/routingcost",
            r#"{"cost-map":{"ams":{"fra":1,"fra":1}}}"#,
            "/cost-map/ams/fra",
        ),
        (
            "properties",
            r#"{"property-map":{"pid:ams":{"priv:x":{"a":1,"a":2}}}}"#,
            "/property-map/pid:ams/priv:x/a",
        ),
        (
            "properties",
            r#"{"property-map":{"ipv4:192.0.2.1":{},"ipv4:192.0.2.1/32":{}}}"#,
            "/property-map/ipv4:192.0.2.1~132",
        ),
        (
            "interconnects",
            r#"{"interconnects":{"x":{"border":"ams","border":"fra","peer-domain":"isp-b","peer-border":"g","relationship":"open","costs":{}}}}"#,
            "/interconnects/x/border",
        ),
        (
            "interconnects",
            r#"{"interconnects":{"x":{"border":"ams","peer-domain":"isp-b","peer-border":"g","relationship":"open","costs":{"hopcount":1,"hopcount":2}}}}"#,
            "/interconnects/x/costs/hopcount",
        ),
    ] {
        send(&node, path, body).await.problem(400, &[pointer]);
    }
}

#[tokio::test]
async fn a_body_that_is_nested_too_deep_is_refused() {
    let node = stating().await;
    let nested = |depth: usize| {
        // The object, `property-map`, the entity: three levels above the value.
        let value = format!("{}{}", "[".repeat(depth - 3), "]".repeat(depth - 3));
        format!("{{\"property-map\":{{\"pid:ams\":{{\"priv:x\":{value}}}}}}}")
    };
    assert_eq!(send(&node, "properties", &nested(32)).await.status, 200);
    send(&node, "properties", &nested(33))
        .await
        .problem(400, &[]);
}

#[tokio::test]
async fn every_error_is_listed_up_to_a_hundred() {
    let node = TestNode::start().await;
    let list: Vec<String> = (0..150).map(|i| format!("192.0.2.{i}/8")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let few = put(&node, "network-map", &prefixes("ipv4", &list[..3])).await;
    let pointers = |count: usize| -> Vec<String> {
        (0..count)
            .map(|i| format!("/network-map/ams/ipv4/{i}"))
            .collect()
    };
    let borrowed = |list: &[String]| -> Vec<String> { list.to_vec() };
    let three = borrowed(&pointers(3));
    few.problem(422, &three.iter().map(String::as_str).collect::<Vec<_>>());
    let many = put(&node, "network-map", &prefixes("ipv4", &list)).await;
    let hundred = pointers(100);
    let problem = many.problem(422, &hundred.iter().map(String::as_str).collect::<Vec<_>>());
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("150"), "{detail}");
}

#[tokio::test]
async fn what_was_stated_before_a_limit_was_lowered_stays() {
    let mut node = stating().await;
    let lower = "[ingest]\nmax_pids = 1\nmax_prefixes = 1\nmax_cells = 1\nmax_entities = 1\n\
                 max_interconnects = 0\n";
    node.restart_with(lower).await;
    for (path, body) in super::documents() {
        assert_eq!(node.stated(path).await.json(), body);
    }
    let more = json!({"network-map": {"ams": {}, "fra": {}, "par": {}}});
    put(&node, "network-map", &more)
        .await
        .problem(422, &["/network-map"]);
    let few = json!({"property-map": {"pid:ams": {}}});
    assert_eq!(put(&node, "properties", &few).await.status, 200);
}

#[tokio::test]
async fn what_is_over_a_limit_of_the_operator_is_refused_with_the_limit() {
    let more = "[ingest]\nmax_pids = 2\nmax_prefixes = 3\nmax_cells = 2\nmax_entities = 1\n\
                max_interconnects = 0\nmax_operations = 1\n";
    let node = TestNode::with(more).await;
    let refused = |answer: Answer, pointer: &str, words: &str| {
        let problem = answer.problem(422, &[pointer]);
        let detail = problem["errors"][0]["detail"].as_str().expect("text");
        assert!(detail.contains(words), "{detail}");
    };
    let three = json!({"network-map": {"a": {}, "b": {}, "c": {}}});
    refused(
        put(&node, "network-map", &three).await,
        "/network-map",
        "max_pids",
    );
    let four = prefixes(
        "ipv4",
        &["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8", "13.0.0.0/8"],
    );
    refused(
        put(&node, "network-map", &four).await,
        "/network-map",
        "at most 3",
    );
    node.put("network-map", &json!({"network-map": {"a": {}, "b": {}}}))
        .await;
    let cells = json!({"cost-map": {"a": {"a": 1, "b": 1}, "b": {"a": 1}}});
    refused(
        put(&node, "cost-maps/routingcost", &cells).await,
        "/cost-map",
        "max_cells",
    );
    let entities = json!({"property-map": {"pid:a": {}, "pid:b": {}}});
    refused(
        put(&node, "properties", &entities).await,
        "/property-map",
        "max_entities",
    );
    let links = link(|link| link["border"] = json!("a"));
    refused(
        put(&node, "interconnects", &links).await,
        "/interconnects",
        "max_interconnects",
    );
    let operation = json!({"op": "delete", "path": "network-map"});
    refused(
        transact(&node, json!([operation, operation])).await,
        "/operations",
        "max_operations",
    );
}
