//! Section 5: what events look like.

use serde_json::json;

use super::{UPDATES_OF_ISP_A, asking, cost, follow, mesh, of, prefixes, text};
use crate::metro::{COST_MAP, ENDPOINT_COSTS, ENDPOINT_PROPERTIES, MAP_ID, NETWORK_MAP, metro, rc};
use crate::support::events::{CONTROL, EVENTS, JSON_PATCH, UPDATES};
use crate::support::{MERGE_PATCH, TestNode, plain_client};

#[tokio::test]
async fn the_first_event_alone_says_where_the_stream_is_controlled() {
    let node = metro().await;
    let mut events = follow(&node, json!({"a": of("networkmap")})).await;
    let first = events.next().await.expect("an event");
    assert_eq!(
        (first.media_type.as_str(), first.substream.as_str()),
        (CONTROL, "")
    );
    let first = first.json();
    assert_eq!(first.as_object().expect("an object").len(), 1, "{first}");
    let uri = first["control-uri"].as_str().expect("a URI").to_owned();
    let add = json!({"add": {"b": of("costmap-routingcost")}});
    assert_eq!(events.ask(&node, &add).await.status, 202);
    events.next_of("b").await;
    cost(&node, "core", "lab", 3).await;
    events.next_of("b").await;
    let remove = json!({"remove": []});
    assert_eq!(events.ask(&node, &remove).await.status, 202);
    while let Some(event) = events.next().await {
        assert!(!event.text.contains("control-uri"), "{event:?}");
    }
    assert_eq!(events.control, uri);
}

#[tokio::test]
async fn events_have_a_name_and_data_and_no_id() {
    let node = metro().await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    for round in 0..4 {
        prefixes(&node, "lab", &super::many(7, round)).await;
        let costs = text(&node, "costmap-routingcost").await;
        events.until_text("costs", &costs).await;
    }
    assert_eq!(Vec::from_iter(&events.fields), ["data", "event"]);
}

#[tokio::test]
async fn a_whole_answer_has_the_media_type_of_its_resource() {
    let node = metro().await;
    let endpoints = json!({"srcs": ["ipv4:10.20.0.1"], "dsts": ["ipv4:10.20.30.1"]});
    let property = json!({"properties": [format!("{MAP_ID}.pid")], "endpoints": ["ipv4:10.0.0.1"]});
    let input = json!({"cost-type": rc(), "endpoints": endpoints});
    let mut events = follow(
        &node,
        json!({
            "1": of("networkmap"),
            "2": asking("filtered-networkmap", &json!({"pids": ["lab"]})),
            "3": of("costmap-routingcost"),
            "4": of("ordinal-routingcost"),
            "5": asking("filtered-costmap", &json!({"cost-type": rc()})),
            "6": asking("endpointcost", &input),
            "7": asking("endpointprop", &property),
        }),
    )
    .await;
    let types = [
        ("1", NETWORK_MAP),
        ("2", NETWORK_MAP),
        ("3", COST_MAP),
        ("4", COST_MAP),
        ("5", COST_MAP),
        ("6", ENDPOINT_COSTS),
        ("7", ENDPOINT_PROPERTIES),
    ];
    events.next().await.expect("the control event");
    for (substream, media_type) in types {
        let event = events.next().await.expect("an event");
        assert_eq!(
            (event.substream.as_str(), event.media_type.as_str()),
            (substream, media_type)
        );
    }
}

#[tokio::test]
async fn a_patch_has_the_media_type_of_its_form() {
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 80)).await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    prefixes(&node, "lab", &super::many(7, 81)).await;
    let event = events.next_of("map").await;
    assert_eq!(event.media_type, JSON_PATCH);
    assert!(event.json().is_array());
    let event = events.next_of("costs").await;
    assert_eq!(event.media_type, MERGE_PATCH);
    assert!(event.json().is_object());
}

#[tokio::test]
async fn a_large_answer_comes_in_many_lines_of_data() {
    let node = TestNode::start().await;
    mesh(&node, 120).await;
    let mut events = follow(&node, json!({"costs": of("costmap-routingcost")})).await;
    let whole = text(&node, "costmap-routingcost").await;
    assert!(whole.len() > 150_000, "{}", whole.len());
    let event = events.next_of("costs").await;
    assert!(event.text.lines().count() > 3);
    assert!(events.longest < 40_000, "{}", events.longest);
    assert_eq!(events.text_of("costs"), whole);
}

#[tokio::test]
async fn a_stream_is_kept_by_no_cache_and_held_back_by_no_coding() {
    let node = metro().await;
    let body = json!({"add": {"a": of("networkmap")}}).to_string();
    let request = plain_client().post(format!("{}{UPDATES_OF_ISP_A}", node.url));
    let request = request.header("content-type", UPDATES).body(body);
    let answer = request.header("accept-encoding", "gzip, zstd").send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.headers()["content-type"], EVENTS);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("content-encoding"));
}
