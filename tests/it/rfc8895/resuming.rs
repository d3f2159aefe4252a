//! Sections 6.5 and 6.7.1: a client that says which version it has.

use serde_json::{Value, json};

use super::{cost, follow, mesh, of, prefixes, text, vtag};
use crate::metro::{COST_MAP, NETWORK_MAP, metro};
use crate::support::events::JSON_PATCH;
use crate::support::{MERGE_PATCH, TestNode};

/// Makes a substream of a resource of which the client has a version.
fn having(resource: &str, tag: &str) -> Value {
    let mut substream = of(resource);
    substream["tag"] = json!(tag);
    substream
}

/// Returns the entity tag of a full map, which is the tag of its version.
async fn tag(node: &TestNode, resource: &str) -> String {
    let answer = node.get(&format!("/views/isp-a/{resource}")).await;
    answer.header("etag").trim_matches('"').to_owned()
}

#[tokio::test]
async fn a_client_with_the_newest_version_is_sent_no_copy() {
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 80)).await;
    let map: Value = serde_json::from_str(&text(&node, "networkmap").await).expect("JSON");
    assert_eq!(vtag(&map), tag(&node, "networkmap").await);
    let costs = tag(&node, "costmap-routingcost").await;
    let add = json!({
        "map": having("networkmap", vtag(&map)),
        "costs": having("costmap-routingcost", &costs),
    });
    let mut events = follow(&node, add).await;
    events.documents.insert("map".into(), map);
    let costs = serde_json::from_str(&text(&node, "costmap-routingcost").await).expect("JSON");
    events.documents.insert("costs".into(), costs);
    events.next().await.expect("the control event");
    prefixes(&node, "lab", &super::many(7, 81)).await;
    // The next event turns the version that the client has into the new one.
    assert_eq!(events.next_of("map").await.media_type, JSON_PATCH);
    assert_eq!(events.next_of("costs").await.media_type, MERGE_PATCH);
    assert_eq!(events.count, 3);
    for (substream, resource) in [("map", "networkmap"), ("costs", "costmap-routingcost")] {
        assert_eq!(events.text_of(substream), text(&node, resource).await);
    }
}

#[tokio::test]
async fn a_client_with_a_version_that_is_still_known_is_sent_patches_alone() {
    let node = TestNode::start().await;
    mesh(&node, 12).await;
    let map = text(&node, "networkmap").await;
    let costs = text(&node, "costmap-routingcost").await;
    let add = json!({
        "map": having("networkmap", &tag(&node, "networkmap").await),
        "costs": having("costmap-routingcost", &tag(&node, "costmap-routingcost").await),
    });
    drop(follow(&node, add.clone()).await);
    for round in 0..3 {
        cost(&node, "p000", "p001", round).await;
        prefixes(&node, "p003", &super::many(9, round + 1)).await;
    }
    let mut events = follow(&node, add).await;
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    events.documents.insert("map".into(), read(&map));
    events.documents.insert("costs".into(), read(&costs));
    events.next().await.expect("the control event");
    for (substream, resource) in [("map", "networkmap"), ("costs", "costmap-routingcost")] {
        let newest = text(&node, resource).await;
        while events.text_of(substream) != newest {
            let event = events.next().await.expect("an event");
            assert!(
                [MERGE_PATCH, JSON_PATCH].contains(&event.media_type.as_str()),
                "{event:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_with_an_unknown_version_is_sent_a_whole_copy() {
    let node = metro().await;
    let newest = tag(&node, "networkmap").await;
    for unknown in ["", "t", "0123456789abcdef", &format!("{newest}-gzip")] {
        let add = json!({"map": having("networkmap", unknown)});
        let mut events = follow(&node, add).await;
        let first = events.next_of("map").await;
        assert_eq!(first.media_type, NETWORK_MAP);
        assert_eq!(first.text, text(&node, "networkmap").await);
    }
}

#[tokio::test]
async fn a_client_with_a_version_that_is_forgotten_is_sent_a_whole_copy() {
    let node = TestNode::with("[updates]\nhistory_bytes = 1\n").await;
    mesh(&node, 12).await;
    let add = json!({"map": having("networkmap", &tag(&node, "networkmap").await)});
    drop(follow(&node, add.clone()).await);
    for round in 0..20 {
        prefixes(&node, "p003", &super::many(9, round + 1)).await;
    }
    let mut events = follow(&node, add).await;
    assert_eq!(events.next_of("map").await.media_type, NETWORK_MAP);
}

#[tokio::test]
async fn a_client_that_takes_no_patches_is_sent_a_copy_unless_it_has_the_newest() {
    let node = metro().await;
    let older = tag(&node, "costmap-routingcost").await;
    let add = |tag: &str| {
        let mut substream = having("costmap-routingcost", tag);
        substream["incremental-changes"] = json!(false);
        json!({"costs": substream})
    };
    drop(follow(&node, add(&older)).await);
    cost(&node, "core", "lab", 10).await;
    let mut events = follow(&node, add(&older)).await;
    let event = events.next_of("costs").await;
    assert_eq!(event.media_type, COST_MAP);
    assert_eq!(event.text, text(&node, "costmap-routingcost").await);
    let newest = tag(&node, "costmap-routingcost").await;
    let mut events = follow(&node, add(&newest)).await;
    cost(&node, "core", "lab", 11).await;
    let event = events.next_of("costs").await.json();
    assert_eq!(event["cost-map"]["core"]["lab"], 11);
}
