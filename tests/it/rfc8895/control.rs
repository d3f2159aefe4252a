//! Section 7: streams that are controlled while they run.

use serde_json::{Value, json};

use super::{asking, cost, follow, metric, of, prefixes, text};
use crate::metro::{ERROR, MISSING, NETWORK_MAP, TYPE, VALUE, fault, metro};
use crate::support::events::{CONTROL, Events, UPDATES};
use crate::support::{JSON, TestNode};

/// Opens a stream of a network map, and reads it up to its first copy.
async fn opened(node: &TestNode) -> Events {
    let mut events = follow(node, json!({"map": of("networkmap")})).await;
    events.next_of("map").await;
    events
}

/// Reads the next event, which must be a control event.
async fn control(events: &mut Events) -> Value {
    let event = events.next().await.expect("an event");
    assert_eq!(event.media_type, CONTROL, "{event:?}");
    event.json()
}

/// Checks that a request is refused, and that the stream goes on as before.
async fn refuses(node: &TestNode, events: &mut Events, body: Value, told: (&str, &str, &str)) {
    let (code, field, value) = fault(&events.ask(node, &body).await);
    assert_eq!(
        (code.as_str(), field.as_str(), value.as_str()),
        told,
        "{body}"
    );
    let count = events.count;
    let mut stated = node.stated("network-map").await.json();
    let third = (count % 250).to_string();
    stated["network-map"]["void"] = json!({"ipv4": [format!("10.99.{third}.0/24")]});
    node.put("network-map", &stated).await;
    assert_eq!(events.next().await.expect("an event").substream, "map");
    assert_eq!(events.count, count + 1);
    assert_eq!(events.text_of("map"), text(node, "networkmap").await);
}

#[tokio::test]
async fn what_is_added_is_told_and_begins_with_a_whole_copy() {
    let node = metro().await;
    let mut events = opened(&node).await;
    let add = json!({"add": {"costs": of("costmap-routingcost"), "again": of("networkmap")}});
    let answer = events.ask(&node, &add).await;
    assert_eq!(answer.status, 202);
    assert!(answer.body.is_empty(), "{answer:?}");
    assert_eq!(
        control(&mut events).await,
        json!({"started": ["again", "costs"]})
    );
    let first = events.next().await.expect("an event");
    assert_eq!(
        (first.substream.as_str(), first.media_type.as_str()),
        ("again", NETWORK_MAP)
    );
    assert_eq!(events.next().await.expect("an event").substream, "costs");
    cost(&node, "core", "lab", 3).await;
    events.next_of("costs").await;
    assert_eq!(
        events.text_of("costs"),
        text(&node, "costmap-routingcost").await
    );
}

#[tokio::test]
async fn what_is_removed_is_told_and_sent_no_more() {
    let node = metro().await;
    let add = json!({"map": of("networkmap"), "1": of("costmap-routingcost"), "2": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 3).await;
    assert_eq!(
        events.ask(&node, &json!({"remove": ["1"]})).await.status,
        202
    );
    assert_eq!(control(&mut events).await, json!({"stopped": ["1"]}));
    cost(&node, "core", "lab", 3).await;
    assert_eq!(events.next().await.expect("an event").substream, "2");
    prefixes(&node, "lab", &super::many(9, 1)).await;
    assert_eq!(events.next().await.expect("an event").substream, "map");
}

#[tokio::test]
async fn one_request_adds_before_it_removes() {
    let node = metro().await;
    let mut events = opened(&node).await;
    // In the reverse order the stream would have had no substream for a moment.
    let both = json!({"add": {"costs": of("costmap-routingcost")}, "remove": ["map"]});
    assert_eq!(events.ask(&node, &both).await.status, 202);
    assert_eq!(control(&mut events).await, json!({"started": ["costs"]}));
    assert_eq!(control(&mut events).await, json!({"stopped": ["map"]}));
    events.next_of("costs").await;
    cost(&node, "core", "lab", 3).await;
    events.next_of("costs").await;
}

#[tokio::test]
async fn one_that_was_removed_may_be_removed_again() {
    let node = metro().await;
    let mut events = opened(&node).await;
    let add = json!({"add": {"costs": of("costmap-routingcost")}});
    assert_eq!(events.ask(&node, &add).await.status, 202);
    let remove = json!({"remove": ["costs"]});
    for _ in 0..3 {
        assert_eq!(events.ask(&node, &remove).await.status, 202);
    }
    let twice = json!({"remove": ["costs", "costs"]});
    assert_eq!(events.ask(&node, &twice).await.status, 202);
    prefixes(&node, "lab", &super::many(9, 1)).await;
    // It is reported once that it ended.
    let mut stopped = Vec::new();
    while let Some(event) = events.next().await {
        match event.substream.as_str() {
            "" => stopped.extend(event.json()["stopped"].as_array().cloned()),
            "map" => break,
            _ => {}
        }
    }
    assert_eq!(json!(stopped), json!([["costs"]]));
}

#[tokio::test]
async fn one_that_never_was_cannot_be_removed() {
    let node = metro().await;
    let mut events = opened(&node).await;
    let told = (VALUE, "remove", r#"["x","y"]"#);
    refuses(
        &node,
        &mut events,
        json!({"remove": ["x", "map", "y"]}),
        told,
    )
    .await;
    // A request cannot remove what it adds itself.
    let both = json!({"add": {"n": of("networkmap")}, "remove": ["n"]});
    refuses(&node, &mut events, both, (VALUE, "remove", r#"["n"]"#)).await;
    let number = json!({"remove": [7]});
    refuses(&node, &mut events, number, (VALUE, "remove", "7")).await;
    refuses(
        &node,
        &mut events,
        json!({"remove": "map"}),
        (TYPE, "remove", ""),
    )
    .await;
}

#[tokio::test]
async fn an_id_is_used_once_in_the_life_of_a_stream() {
    let node = metro().await;
    let mut events = opened(&node).await;
    let add = json!({"add": {"b": of("costmap-routingcost"), "c": of("costmap-routingcost")}});
    assert_eq!(events.ask(&node, &add).await.status, 202);
    events.until(|documents| documents.len() == 3).await;
    let remove = json!({"remove": ["b", "c"]});
    assert_eq!(events.ask(&node, &remove).await.status, 202);
    assert_eq!(control(&mut events).await, json!({"stopped": ["b", "c"]}));
    let again =
        json!({"add": {"c": of("networkmap"), "map": of("networkmap"), "new": of("networkmap")}});
    refuses(&node, &mut events, again, (VALUE, "add", r#"["c","map"]"#)).await;
    // Nothing of it was done, so the id is still free.
    let new = json!({"add": {"new": of("networkmap")}});
    assert_eq!(events.ask(&node, &new).await.status, 202);
}

#[tokio::test]
async fn a_request_with_any_error_changes_nothing() {
    let node = metro().await;
    let mut events = opened(&node).await;
    let bad =
        json!({"add": {"good": of("networkmap"), "bad": {"resource-id": "x"}}, "remove": ["map"]});
    refuses(&node, &mut events, bad, (VALUE, "add/bad/resource-id", "x")).await;
    let input = asking("filtered-networkmap", &json!({}));
    let bad = json!({"add": {"good": of("networkmap"), "bad": input}, "remove": ["map"]});
    refuses(&node, &mut events, bad, (MISSING, "pids", "")).await;
    let bad = json!({"add": {"good": of("networkmap")}, "remove": ["x"]});
    refuses(&node, &mut events, bad, (VALUE, "remove", r#"["x"]"#)).await;
    let bad = json!({"add": {"a.b": of("networkmap")}});
    refuses(&node, &mut events, bad, (VALUE, "add", "a.b")).await;
    refuses(&node, &mut events, json!({}), (MISSING, "add", "")).await;
}

#[tokio::test]
async fn an_empty_list_removes_all_and_ends_the_stream() {
    let node = metro().await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    assert_eq!(events.ask(&node, &json!({"remove": []})).await.status, 202);
    assert_eq!(events.end().await, json!({"stopped": ["costs", "map"]}));
}

#[tokio::test]
async fn an_empty_list_beside_what_is_added_is_an_error() {
    let node = metro().await;
    let mut events = opened(&node).await;
    let both = json!({"add": {"costs": of("costmap-routingcost")}, "remove": []});
    refuses(&node, &mut events, both, (VALUE, "remove", "[]")).await;
}

#[tokio::test]
async fn who_removes_the_last_ends_the_stream_and_its_uri_is_gone() {
    let node = metro().await;
    let add = json!({"map": of("networkmap"), "costs": of("costmap-routingcost")});
    let mut events = follow(&node, add).await;
    events.until(|documents| documents.len() == 2).await;
    assert_eq!(
        events.ask(&node, &json!({"remove": ["map"]})).await.status,
        202
    );
    assert_eq!(
        events
            .ask(&node, &json!({"remove": ["costs"]}))
            .await
            .status,
        202
    );
    assert_eq!(events.end().await, json!({"stopped": ["costs"]}));
    for body in [
        json!({"remove": []}),
        json!({"add": {"n": of("networkmap")}}),
    ] {
        let gone = events.ask(&node, &body).await;
        assert_eq!(gone.status, 404, "{gone:?}");
    }
}

#[tokio::test]
async fn a_stream_whose_client_has_gone_cannot_be_controlled() {
    let node = metro().await;
    let events = opened(&node).await;
    let uri = events.control.clone();
    drop(events);
    let body = json!({"add": {"n": of("networkmap")}}).to_string();
    // The node sees it when it next has something to write.
    while node.post(&uri, UPDATES, body.clone()).await.status != 404 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_uri_alone_says_which_stream_it_is() {
    let node = metro().await;
    let mut first = opened(&node).await;
    let mut second = opened(&node).await;
    assert_ne!(first.control, second.control);
    // Another connection, without a cookie.
    let other = crate::support::plain_client();
    let request = node.request_by(&other, reqwest::Method::POST, &first.control);
    let body = json!({"remove": []}).to_string();
    let answer = request.typed(UPDATES, body).header("cookie", "stream=2");
    assert_eq!(answer.send().await.status, 202);
    assert_eq!(first.end().await, json!({"stopped": ["map"]}));
    prefixes(&node, "lab", &super::many(9, 1)).await;
    assert_eq!(second.next().await.expect("an event").substream, "map");
}

#[tokio::test]
async fn a_uri_is_long_random_and_of_its_view_and_wrong_ones_are_counted() {
    let node = metro().await;
    let events = opened(&node).await;
    let (place, name) = events.control.rsplit_once('/').expect("a path");
    assert_eq!(place, format!("{}/views/isp-a/updates", node.url));
    assert!(
        name.len() >= 32 && name.bytes().all(|b| b.is_ascii_hexdigit()),
        "{name}"
    );
    let body = json!({"remove": []}).to_string();
    let elsewhere = events.control.replace("isp-a", "merged");
    assert_eq!(
        node.post(&elsewhere, UPDATES, body.clone()).await.status,
        404
    );
    for guess in 0..5 {
        let guess = format!("{place}/{guess:032x}");
        assert_eq!(node.post(&guess, UPDATES, body.clone()).await.status, 404);
    }
    assert_eq!(metric(&node, "altofed_http_unknown_streams_total").await, 5);
}

#[tokio::test]
async fn control_is_posted_with_the_media_type_of_the_request() {
    let node = metro().await;
    let events = opened(&node).await;
    let body = json!({"remove": []}).to_string();
    let typed = node.post(&events.control, JSON, body).await;
    assert_eq!(
        (typed.status.as_u16(), typed.header("content-type")),
        (415, ERROR)
    );
    assert_eq!(node.get(&events.control).await.status, 405);
}
