//! Who changed what and when, and going back.

use reqwest::Method;
use serde_json::{Value, json};

use super::{documents, network, newest, put, stating};
use crate::support::{Answer, JSON, NOC, NOC2, OPS, TestNode};

async fn restore(node: &TestNode, revision: u64) -> Answer {
    let path = format!("revisions/{revision}/restore");
    node.n2s(OPS, Method::POST, &path, None).send().await
}

async fn cost(node: &TestNode, cost: u64) {
    let body = json!({"cost-map": {"ams": {"fra": cost}}});
    node.put("cost-maps/routingcost", &body).await;
}

#[tokio::test]
async fn a_revision_says_who_changed_what_and_when() {
    let node = stating().await;
    let list = node.stated("revisions").await.ok(JSON);
    let revisions = list["revisions"].as_array().expect("a list");
    assert_eq!((revisions.len(), &list["newest"]), (4, &json!(4)));
    for ((number, listed), (path, _)) in (1..).zip(revisions).zip(documents()) {
        let time = listed["time"].as_str().expect("a time");
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        let expected = json!({
            "revision": number, "time": time, "principal": "noc", "source": "noc",
            "operations": [{"op": "put", "path": path}], "changed": [format!("noc/{path}")],
        });
        assert_eq!(*listed, expected);
        let single = node.stated(&format!("revisions/{number}")).await.ok(JSON);
        assert_eq!(single, expected);
    }
    let after = node.stated("revisions?after=2").await.ok(JSON);
    assert_eq!(after["revisions"], json!(revisions[2..]));
    let none = node.stated("revisions?after=9").await.ok(JSON);
    assert_eq!(none, json!({"revisions": [], "newest": 4}));
}

#[tokio::test]
async fn revisions_are_listed_a_hundred_at_a_time() {
    let node = TestNode::start().await;
    node.put("network-map", &network()).await;
    for value in 2..=130 {
        cost(&node, value).await;
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied().unwrap_or(0);
        let page = node
            .stated(&format!("revisions?after={after}"))
            .await
            .json();
        let page = page["revisions"].as_array().expect("a list").clone();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 100);
        seen.extend(page.iter().filter_map(|r| r["revision"].as_u64()));
    }
    assert_eq!(seen, (1..=130).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_restored_revision_states_the_facts_of_all_sources_again() {
    let mut node = stating().await;
    let par = json!({"network-map": {"par": {"ipv4": ["203.0.113.0/24"]}}});
    let other = node.n2s(NOC2, Method::PUT, "network-map", Some(&par));
    assert_eq!(other.send().await.status, 201);
    for path in [
        "properties",
        "interconnects",
        "cost-maps/routingcost",
        "network-map",
    ] {
        let gone = node.n2s(NOC, Method::DELETE, path, None).send().await;
        assert_eq!(gone.status, 200);
    }
    let answer = restore(&node, 4).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let said = answer.json();
    assert_eq!(said["revision"], 10);
    let mut changed: Vec<String> = serde_json::from_value(said["changed"].clone()).expect("texts");
    changed.sort();
    assert_eq!(
        changed,
        [
            "noc/cost-maps/routingcost",
            "noc/interconnects",
            "noc/network-map",
            "noc/properties",
            "noc2/network-map",
        ]
    );
    for _ in 0..2 {
        for (path, body) in documents() {
            assert_eq!(node.stated(path).await.json(), body);
        }
        let other = node.n2s(NOC2, Method::GET, "network-map", None);
        other.send().await.problem(404, &[]);
        let revision = node.stated("revisions/10").await.json();
        assert_eq!(
            (&revision["restored"], &revision["principal"]),
            (&json!(4), &json!("ops"))
        );
        let costs = node.get("/views/isp-a/costmap-routingcost").await;
        assert_eq!(costs.json()["cost-map"], documents()[1].1["cost-map"]);
        node.restart().await;
    }
    // The revision before that can be restored again too, and what is there already does not
    // count as a change.
    assert_eq!(restore(&node, 5).await.status, 201);
    let again = restore(&node, 5).await.ok(JSON);
    assert_eq!(
        (&again["revision"], &again["changed"]),
        (&json!(11), &json!([]))
    );
}

#[tokio::test]
async fn restoring_is_the_operators_and_conditional_on_the_revision() {
    let node = stating().await;
    let path = "revisions/1/restore";
    let denied = node.n2s(NOC, Method::POST, path, None).send().await;
    denied.problem(403, &[]);
    let stale = node.n2s(OPS, Method::POST, path, None);
    stale
        .header("if-match", "\"r1\"")
        .send()
        .await
        .problem(412, &[]);
    assert_eq!(newest(&node).await, 4);
    restore(&node, 5).await.problem(404, &[]);
    restore(&node, 0).await.problem(404, &[]);
}

#[tokio::test]
async fn a_revision_that_is_no_longer_kept_is_gone() {
    let mut node = TestNode::with("[store]\nkeep_revisions = 8\n").await;
    node.put("network-map", &network()).await;
    for value in 2..=40 {
        cost(&node, value).await;
    }
    for _ in 0..2 {
        let gone = node.stated("revisions/1").await;
        let problem = gone.problem(410, &[]);
        assert!(problem["detail"].to_string().contains("oldest kept"));
        restore(&node, 1).await.problem(410, &[]);
        let list = node.stated("revisions").await.json();
        let kept: Vec<u64> = list["revisions"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|revision: &Value| revision["revision"].as_u64())
            .collect();
        assert!((8..=10).contains(&kept.len()), "{kept:?}");
        assert_eq!(kept.last(), Some(&40));
        assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
        // The network map was stated by a revision that is pruned, but is still there.
        assert_eq!(node.stated("network-map").await.json(), network());
        node.restart().await;
    }
    let oldest = restore(&node, 33).await;
    assert_eq!(oldest.status, 200, "{oldest:?}");
    let costs = node.stated("cost-maps/routingcost").await.json();
    assert_eq!(costs["cost-map"]["ams"]["fra"], 33);
}

#[tokio::test]
async fn numbers_of_revisions_go_on_after_a_restart() {
    let mut node = stating().await;
    node.restart().await;
    let body = json!({"property-map": {}});
    assert_eq!(put(&node, "properties", &body).await.json()["revision"], 5);
}
