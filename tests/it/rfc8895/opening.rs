//! Section 6.5: requests to open a stream.

use reqwest::Method;
use serde_json::json;

use super::{UPDATES_OF_ISP_A, asking, cost, follow, mesh, of, prefixes, refused, text};
use crate::metro::{COST_MAP, NETWORK_MAP, VALUE, metro, rc};
use crate::support::events::UPDATES;
use crate::support::{TestNode, client_builder};

#[tokio::test]
async fn a_stream_begins_with_a_whole_copy_for_each_substream() {
    let node = metro().await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    let first = events.next_of("map").await;
    assert_eq!(first.media_type, NETWORK_MAP);
    assert_eq!(first.text, text(&node, "networkmap").await);
    let first = events.next_of("costs").await;
    assert_eq!(first.media_type, COST_MAP);
    assert_eq!(first.text, text(&node, "costmap-routingcost").await);
}

#[tokio::test]
async fn a_stream_begins_with_what_was_written_before_it_was_opened() {
    let node = TestNode::start().await;
    mesh(&node, 40).await;
    // Somebody follows it, so that each change has to be computed.
    let _others = follow(&node, json!({"costs": of("costmap-routingcost")})).await;
    for round in 0..20 {
        cost(&node, "p000", "p001", round).await;
        let mut events = follow(&node, json!({"costs": of("costmap-routingcost")})).await;
        let first = events.next_of("costs").await.json();
        assert_eq!(first["cost-map"]["p000"]["p001"], round);
    }
}

#[tokio::test]
async fn remove_is_ignored_when_a_stream_is_opened() {
    let node = metro().await;
    for remove in [json!(["map"]), json!(["other"]), json!([])] {
        let body = json!({"add": {"map": of("networkmap")}, "remove": remove});
        let request = node.request(Method::POST, UPDATES_OF_ISP_A);
        let mut events = request.typed(UPDATES, body.to_string()).open().await;
        assert_eq!(events.next_of("map").await.media_type, NETWORK_MAP);
    }
}

#[tokio::test]
async fn a_substream_id_is_written_like_a_pid_name_without_a_dot() {
    let node = metro().await;
    let long = "a".repeat(64);
    for id in [long.as_str(), "0", "-:@_Z9"] {
        let mut events = follow(&node, json!({id: of("networkmap")})).await;
        events.next_of(id).await;
    }
    let longer = "a".repeat(65);
    for id in ["", "a.b", ".", "a b", "a,b", "a/b", "ä", "a\n", &longer] {
        let body = json!({"add": {id: of("networkmap")}});
        let fault = (VALUE.to_owned(), "add".to_owned(), id.to_owned());
        assert_eq!(refused(&node, &body).await, fault, "{id:?}");
    }
}

#[tokio::test]
async fn a_client_that_takes_no_patches_is_sent_whole_answers_alone() {
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 80)).await;
    let mut map = of("networkmap");
    map["incremental-changes"] = json!(false);
    let mut costs = of("costmap-routingcost");
    costs["incremental-changes"] = json!(false);
    let mut events = follow(&node, json!({"map": map, "costs": costs})).await;
    for round in 81..85 {
        assert_eq!(events.next_of("map").await.media_type, NETWORK_MAP);
        assert_eq!(events.next_of("costs").await.media_type, COST_MAP);
        prefixes(&node, "lab", &super::many(7, round)).await;
    }
    let last = events.next_of("map").await;
    assert_eq!(last.text, text(&node, "networkmap").await);
}

#[tokio::test]
async fn what_may_come_as_patches_does_when_nothing_else_is_said() {
    let node = TestNode::start().await;
    mesh(&node, 8).await;
    let mut said = of("costmap-routingcost");
    said["incremental-changes"] = json!(true);
    let add = json!({"unsaid": of("costmap-routingcost"), "said": said});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    cost(&node, "p000", "p001", 5).await;
    for substream in ["said", "unsaid"] {
        let event = events.next_of(substream).await;
        assert_eq!(event.media_type, crate::support::MERGE_PATCH);
        assert_eq!(event.text, r#"{"cost-map":{"p000":{"p001":5}}}"#);
    }
}

#[tokio::test]
async fn one_resource_is_followed_twice_with_different_inputs() {
    let node = metro().await;
    let from = |src: &str| {
        let pids = json!({"srcs": [src], "dsts": []});
        asking(
            "filtered-costmap",
            &json!({"cost-type": rc(), "pids": pids}),
        )
    };
    let mut events = follow(&node, json!({"1": from("core"), "2": from("east")})).await;
    let first = events.next_of("1").await.json();
    assert_eq!(first["cost-map"], json!({"core": {"east": 4, "lab": 9}}));
    let second = events.next_of("2").await.json();
    assert_eq!(second["cost-map"], json!({"east": {"lab": 6}}));
    cost(&node, "east", "lab", 7).await;
    // The other one has nothing to send.
    let event = events.next().await.expect("an event");
    assert_eq!(event.substream, "2");
    assert_eq!(event.json(), json!({"cost-map": {"east": {"lab": 7}}}));
}

#[tokio::test]
async fn an_input_of_a_map_that_takes_none_does_not_matter() {
    let node = metro().await;
    let input = json!({"pids": ["lab"]});
    let mut events = follow(&node, json!({"map": asking("networkmap", &input)})).await;
    let first = events.next_of("map").await;
    assert_eq!(first.text, text(&node, "networkmap").await);
}

#[tokio::test]
async fn http_2_carries_update_streams() {
    let node = metro().await;
    let client = client_builder().http2_prior_knowledge().build();
    let client = client.expect("a client");
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let body = json!({"add": add}).to_string();
    let request = node.request_by(&client, Method::POST, UPDATES_OF_ISP_A);
    let mut events = request.typed(UPDATES, body).open().await;
    events.until(|documents| documents.len() == 2).await;
    for round in 10..14 {
        cost(&node, "core", "lab", round).await;
        let whole = text(&node, "costmap-routingcost").await;
        events.until_text("costs", &whole).await;
    }
}
