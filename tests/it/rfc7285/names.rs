//! Section 10: names, tags and addresses.

use serde_json::json;

use crate::metro::{ENDPOINTS, MAP_ID, PROPERTIES, VALUE, delete, full, metro, pids, rc};
use crate::support::{JSON, NOC, TestNode};

async fn put_status(node: &TestNode, path: &str, body: serde_json::Value) -> u16 {
    let request = node
        .request(reqwest::Method::PUT, &format!("/n2s/v1/{path}"))
        .token(NOC);
    request
        .typed(JSON, body.to_string())
        .send()
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn a_pid_name_has_sixty_four_characters_at_most_and_no_dot() {
    let node = TestNode::start().await;
    // Six of the 64 are the domain's, `isp-a:`, in the merged view.
    let longest = "p".repeat(58);
    let map = |name: &str| json!({"network-map": {name: {"ipv4": ["192.0.2.0/24"]}}});
    assert_eq!(put_status(&node, "network-map", map(&longest)).await, 201);
    let merged = node.get("/views/merged/networkmap").await.json();
    let name = format!("isp-a:{longest}");
    assert_eq!(name.len(), 64);
    assert!(merged["network-map"][&name].is_object());
    for bad in [&"p".repeat(59), "", "a.b", "a b", "a/b", "é", "a\n"] {
        assert_eq!(
            put_status(&node, "network-map", map(bad)).await,
            422,
            "{bad:?}"
        );
    }
    for good in ["A-z:0@9_", "__proto__", "0"] {
        assert_eq!(
            put_status(&node, "network-map", map(good)).await,
            200,
            "{good:?}"
        );
    }
}

#[tokio::test]
async fn a_tag_is_printable_ascii_of_sixty_four_characters_at_most() {
    let node = metro().await;
    let map = full(&node, "networkmap").await;
    let tag = map["meta"]["vtag"]["tag"].as_str().expect("a tag");
    assert!(
        (1..=64).contains(&tag.len()) && tag.bytes().all(|b| (0x21..=0x7e).contains(&b)),
        "{tag}"
    );
}

#[tokio::test]
async fn addresses_are_compared_by_value_and_answered_under_the_text_that_was_sent() {
    let node = metro().await;
    let same = [
        "ipv6:2001:db8:30::5",
        "ipv6:2001:DB8:30:0:0:0:0:5",
        "ipv6:2001:0db8:0030::0005",
        "ipv6:2001:db8:30::0.0.0.5",
    ];
    let found = pids(&node, &same).await;
    assert_eq!(found.len(), same.len());
    assert!(same.iter().all(|text| found[*text] == "lab"), "{found:?}");
    // The type ends at the first colon.
    assert_eq!(pids(&node, &["ipv6:::1"]).await["ipv6:::1"], "core");
}

#[tokio::test]
async fn what_is_no_typed_address_is_an_invalid_value_of_its_list() {
    let node = metro().await;
    let bad = [
        "10.0.0.1",
        "ipv4:10.0.0.0/8",
        "IPv4:10.0.0.1",
        "ipv4:10.0.0.01",
        "ipv4:10.0.1",
        "ipv4:010.0.0.1",
        "ipv4:256.0.0.1",
        "ipv4: 10.0.0.1",
        "ipv4:10.0.0.1:80",
        "ipv4:::1",
        "ipv6:[::1]",
        "ipv6:fe80::1%eth0",
        "ipv6:2001:db8::/32",
        "ipv6:1::2::3",
        "ipv6:10.0.0.1",
        "eth:00-11-22-33-44-55",
        "ipv4:",
        ":",
        "",
    ];
    for text in bad {
        let property = format!("{MAP_ID}.pid");
        let query = json!({"properties": [property], "endpoints": ["ipv4:10.0.0.1", text]});
        PROPERTIES
            .refuses(&node, &[(query, VALUE, "endpoints", text)])
            .await;
        for list in ["srcs", "dsts"] {
            let mut query = json!({"cost-type": rc(), "endpoints": {"srcs": ["ipv4:10.0.0.1"], "dsts": ["ipv4:10.0.0.1"]}});
            query["endpoints"][list] = json!([text]);
            ENDPOINTS
                .refuses(&node, &[(query, VALUE, &format!("endpoints/{list}"), text)])
                .await;
        }
    }
}

#[tokio::test]
async fn only_ipv4_and_ipv6_are_address_types_of_ours() {
    let node = TestNode::start().await;
    for family in ["ipv4:", "IPv4", "ipv5", "eth", ""] {
        let map = json!({"network-map": {"a": {family: []}}});
        assert_eq!(
            put_status(&node, "network-map", map).await,
            422,
            "{family:?}"
        );
    }
}

#[tokio::test]
async fn prefixes_are_written_one_way_whatever_way_they_were_stated() {
    let node = TestNode::start().await;
    let stated = json!({"network-map": {"a": {"ipv6": ["2001:DB8:0:0::/32", "::/0"], "ipv4": ["192.0.2.0/24", "10.0.0.0/9", "10.0.0.0/8", "9.0.0.0/8"]}, "b": {"ipv4": []}}});
    node.put("network-map", &stated).await;
    let map = full(&node, "networkmap").await;
    assert_eq!(
        map["network-map"]["a"],
        json!({"ipv4": ["9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/9", "192.0.2.0/24"], "ipv6": ["::/0", "2001:db8::/32"]})
    );
    assert_eq!(map["network-map"]["b"], json!({}));
}

#[tokio::test]
async fn a_private_property_is_served_as_a_string_under_its_own_name() {
    let node = metro().await;
    let long = format!("priv:{}", "x".repeat(27));
    let map = json!({"property-map": {"ipv4:10.20.0.0/16": {"priv:access": "fibre", "priv:mbit": 1000, "priv:up": true, long.as_str(): ""}}});
    node.put("properties", &map).await;
    let query = json!({"properties": ["priv:access", "priv:mbit", "priv:up", long], "endpoints": ["ipv4:10.20.30.1"]});
    let answer = PROPERTIES.ok(&node, &query).await;
    assert_eq!(
        answer["endpoint-properties"]["ipv4:10.20.30.1"],
        json!({"priv:access": "fibre", "priv:mbit": "1000", "priv:up": "true", long.as_str(): ""})
    );
    for bad in [
        "priv:",
        "access",
        "pid",
        "priv:a.b",
        "priv:a b",
        &format!("{long}x"),
    ] {
        let map = json!({"property-map": {"ipv4:10.20.0.0/16": {bad: "x"}}});
        assert_eq!(put_status(&node, "properties", map).await, 422, "{bad:?}");
    }
    delete(&node, "properties").await;
    let query = json!({"properties": ["priv:access"], "endpoints": ["ipv4:10.20.30.1"]});
    PROPERTIES
        .refuses(&node, &[(query, VALUE, "properties", "priv:access")])
        .await;
}
