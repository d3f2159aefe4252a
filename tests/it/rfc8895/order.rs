//! Sections 6.7 and 9.2: the order of events, and what two streams are sent.

use serde_json::{Value, json};

use super::{asking, cost, follow, mesh, of, prefixes, text, transact, vtag};
use crate::metro::{metro, rc};
use crate::support::TestNode;
use crate::support::events::CONTROL;

/// Returns the tag of the network map that the costs refer to.
fn depends_on(costs: &Value) -> &str {
    let vtag = &costs["meta"]["dependent-vtags"][0];
    assert_eq!(vtag["resource-id"], "isp-a:networkmap");
    vtag["tag"].as_str().expect("a tag")
}

#[tokio::test]
async fn control_then_network_maps_then_what_depends_on_them() {
    let node = metro().await;
    let add = json!({
        "a": of("costmap-routingcost"),
        "b": asking("filtered-costmap", &json!({"cost-type": rc()})),
        "y": asking("filtered-networkmap", &json!({"pids": []})),
        "z": of("networkmap"),
    });
    let mut events = follow(&node, add).await;
    assert_eq!(events.next().await.expect("an event").media_type, CONTROL);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(events.next().await.expect("an event").substream);
    }
    assert_eq!(order, ["y", "z", "a", "b"]);
}

#[tokio::test]
async fn a_network_map_is_updated_before_its_costs() {
    let node = metro().await;
    let add = json!({"a": of("costmap-routingcost"), "z": of("networkmap")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    for round in 1..6 {
        let both = json!([
            {"op": "merge-patch", "path": "cost-maps/routingcost",
             "value": {"cost-map": {"core": {"lab": round}}}},
            {"op": "merge-patch", "path": "network-map",
             "value": {"network-map": {format!("p{round}"): {"ipv4": [format!("10.9.{round}.0/24")]}}}},
        ]);
        transact(&node, both).await;
        let first = events.next().await.expect("an event");
        let second = events.next().await.expect("an event");
        assert_eq!(
            (first.substream.as_str(), second.substream.as_str()),
            ("z", "a")
        );
        let (map, costs) = (&events.documents["z"], &events.documents["a"]);
        assert_eq!(vtag(map), depends_on(costs));
        assert_eq!(costs["cost-map"]["core"]["lab"], round);
    }
}

#[tokio::test]
async fn costs_that_stay_are_told_when_their_network_map_has_another_tag() {
    let node = metro().await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    prefixes(&node, "lab", &super::many(9, 2)).await;
    events.next_of("map").await;
    let event = events.next_of("costs").await.json();
    let tag = vtag(&events.documents["map"]);
    let vtags = json!([{"resource-id": "isp-a:networkmap", "tag": tag}]);
    assert_eq!(event, json!({"meta": {"dependent-vtags": vtags}}));
}

#[tokio::test]
async fn a_new_pid_comes_with_its_costs_after_the_map_that_has_it() {
    let node = TestNode::start().await;
    mesh(&node, 10).await;
    let add = json!({"a": of("costmap-routingcost"), "z": of("networkmap")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    let renamed = json!([
        {"op": "merge-patch", "path": "network-map", "value": {"network-map": {
            "p003": null, "q": {"ipv4": ["10.77.0.0/16"]}}}},
        {"op": "merge-patch", "path": "cost-maps/routingcost", "value": {"cost-map": {
            "p003": null, "q": {"p000": 1}, "p000": {"p003": null, "q": 2},
            "p001": {"p003": null}, "p002": {"p003": null}, "p004": {"p003": null},
            "p005": {"p003": null}, "p006": {"p003": null}, "p007": {"p003": null},
            "p008": {"p003": null}, "p009": {"p003": null}}}},
    ]);
    transact(&node, renamed).await;
    assert_eq!(events.next().await.expect("an event").substream, "z");
    assert_eq!(events.next().await.expect("an event").substream, "a");
    assert_eq!(events.text_of("z"), text(&node, "networkmap").await);
    assert_eq!(
        events.text_of("a"),
        text(&node, "costmap-routingcost").await
    );
}

#[tokio::test]
async fn what_stays_as_it_is_is_not_told() {
    let node = metro().await;
    let one = json!({"cost-type": rc(), "pids": {"srcs": ["east"], "dsts": ["lab"]}});
    let add = json!({
        "few": asking("filtered-costmap", &one),
        "map": of("networkmap"),
        "ranks": of("ordinal-routingcost"),
        "all": of("costmap-routingcost"),
    });
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 4).await;
    let before = events.count;
    // A cost changes, but no rank.
    cost(&node, "core", "lab", 10).await;
    assert_eq!(events.next().await.expect("an event").substream, "all");
    // Repeating it sends nothing; the next event is the next change.
    cost(&node, "core", "lab", 10).await;
    cost(&node, "core", "lab", 11).await;
    assert_eq!(events.next().await.expect("an event").substream, "all");
    assert_eq!(events.documents["all"]["cost-map"]["core"]["lab"], 11);
    assert_eq!(events.count, before + 2);
}

#[tokio::test]
async fn streams_that_are_read_at_different_paces_come_to_the_same() {
    let node = TestNode::start().await;
    mesh(&node, 30).await;
    let add = json!({"costs": of("costmap-routingcost")});
    let mut whole = of("costmap-routingcost");
    whole["incremental-changes"] = json!(false);
    let mut early = follow(&node, add.clone()).await;
    let mut idle = follow(&node, add.clone()).await;
    let mut unpatched = follow(&node, json!({"costs": whole})).await;
    for round in 0..30 {
        cost(&node, &format!("p{round:03}"), "p000", round).await;
        // One client reads each change as it comes.
        let newest = text(&node, "costmap-routingcost").await;
        early.until_text("costs", &newest).await;
    }
    let newest = text(&node, "costmap-routingcost").await;
    let mut late = follow(&node, add).await;
    for events in [&mut idle, &mut unpatched, &mut late] {
        events.until_text("costs", &newest).await;
    }
    assert_eq!(early.count, 32, "each by itself");
    assert_eq!(late.count, 2, "all at once");
}

#[tokio::test]
async fn the_streams_of_both_views_follow_one_change() {
    let node = metro().await;
    let add = json!({"map": {"resource-id": "networkmap"}, "costs": {"resource-id": "costmap-routingcost"}});
    let mut merged = node.follow("merged", add).await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut own = follow(&node, add).await;
    for round in 1..5 {
        cost(&node, "core", "lab", round).await;
        prefixes(&node, "lab", &super::many(9, round)).await;
        for (substream, resource) in [("map", "networkmap"), ("costs", "costmap-routingcost")] {
            let all = node.get(&format!("/views/merged/{resource}")).await;
            merged.until_text(substream, all.text()).await;
            own.until_text(substream, &text(&node, resource).await)
                .await;
        }
    }
}
