//! Polling, and which way of following is chosen.

use std::time::Duration;

use altofed::client::{FollowError, How, Mode};
use serde_json::json;

use super::server::Server;
use super::{Following, body, costs, directory, ids, map, stream_entry};
use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::peer::soon;

const INTERVAL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_server_that_cannot_push_is_asked_by_entity_tag() {
    let mut server = Server::start(directory(json!({}))).await;
    let tagged = |tag| [("content-type", COST_MAP), ("etag", tag)];
    server.answer("/costs", "200 OK", &tagged("\"e1\""), &costs("t1", 1.0));
    let mut following = Following::new(&server, &["c"]);
    following.following(Mode::Poll).await;
    let first = following.changed().await;
    assert_eq!(
        (body(&first[0]), first[0].how),
        (costs("t1", 1.0), How::Full)
    );
    assert!(!server.asked().await.head.contains("if-none-match"));
    soon(following.hand.sleeper(INTERVAL)).await;
    server.answer(
        "/costs",
        "304 Not Modified",
        &[("etag", "\"e1\"")],
        &json!(null),
    );
    following.hand.advance(INTERVAL);
    assert!(server.asked().await.head.contains("if-none-match: \"e1\""));
    soon(following.hand.sleeper(INTERVAL)).await;
    server.answer("/costs", "200 OK", &tagged("\"e2\""), &costs("t1", 2.0));
    following.hand.advance(INTERVAL);
    assert_eq!(body(&following.changed().await[0]), costs("t1", 2.0));
}

#[tokio::test]
async fn a_cost_map_that_changed_between_is_asked_for_again_soon() {
    let server = Server::start(directory(json!({}))).await;
    server.document("/map", NETWORK_MAP, &map("t1", &["10.0.0.0/8"]));
    server.document("/costs", COST_MAP, &costs("t2", 1.0));
    let mut following = Following::new(&server, &["c", "m"]);
    following.following(Mode::Poll).await;
    let second = Duration::from_secs(1);
    soon(following.hand.sleeper(second)).await;
    server.document("/map", NETWORK_MAP, &map("t2", &["10.0.0.0/8"]));
    server.document("/costs", COST_MAP, &costs("t2", 1.0));
    following.hand.advance(second);
    let both = following.changed().await;
    assert_eq!((ids(&both), both[0].tag.as_str()), (vec!["m", "c"], "t2"));
}

#[tokio::test]
async fn a_resource_with_input_is_posted_to() {
    let filtered = json!({"f": {"uri": "/filtered", "media-type": COST_MAP, "accepts": "application/alto-costmapfilter+json"}});
    let mut server = Server::start(directory(filtered)).await;
    server.document("/filtered", COST_MAP, &costs("t", 4.0));
    let mut following = Following::of(&server.root, [("f", Some(json!({"pids": {}})))]);
    following.following(Mode::Poll).await;
    assert_eq!(body(&following.changed().await[0]), costs("t", 4.0));
    let got = server.asked().await;
    assert_eq!(
        (got.path(), got.body.as_str()),
        ("/filtered", r#"{"pids":{}}"#)
    );
    assert!(
        got.head
            .contains("content-type: application/alto-costmapfilter+json")
    );
}

#[tokio::test]
async fn a_way_that_was_given_up_is_tried_again_after_an_hour() {
    let mut server = Server::start(directory(stream_entry())).await;
    server.document("/map", NETWORK_MAP, &map("t1", &[]));
    let mut following = Following::new(&server, &["m"]);
    assert_eq!(server.asked().await.path(), "/updates/stream");
    following.interrupted().await;
    following.following(Mode::Poll).await;
    assert_eq!(ids(&following.changed().await), ["m"]);
    assert_eq!(server.asked().await.path(), "/map");
    let hour = Duration::from_secs(60 * 60);
    soon(following.hand.sleeper(hour)).await;
    server.waits("/map");
    let stream = server.stream("/updates/stream");
    stream.begins("x");
    following.hand.advance(hour);
    following.following(Mode::Stream).await;
    stream.event(&format!("{NETWORK_MAP},0"), &map("t2", &[]));
    assert_eq!(following.changed().await[0].tag.as_str(), "t2");
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again_and_nothing_is_forgotten() {
    let server = Server::start(directory(json!({}))).await;
    server.document("/map", NETWORK_MAP, &map("t1", &[]));
    let mut following = Following::new(&server, &["m"]);
    following.following(Mode::Poll).await;
    assert_eq!(ids(&following.changed().await), ["m"]);
    soon(following.hand.sleeper(INTERVAL)).await;
    server.answer("/map", "503 Service Unavailable", &[], &json!({}));
    following.hand.advance(INTERVAL);
    let away = following.interrupted().await;
    assert!(matches!(away, FollowError::Request(_)), "{away}");
    server.document("/map", NETWORK_MAP, &map("t1", &[]));
    server.document("/map", NETWORK_MAP, &map("t2", &[]));
    following.following(Mode::Poll).await;
    soon(following.hand.sleeper(INTERVAL)).await;
    following.hand.advance(INTERVAL);
    // The first answer after the pause brought no change.
    assert_eq!(following.changed().await[0].tag.as_str(), "t2");
}

#[tokio::test]
async fn what_cannot_be_followed_is_said_once_with_the_mend() {
    let filtered = json!({"f": {"uri": "/f", "media-type": COST_MAP, "accepts": "x/y"}});
    let server = Server::start(directory(filtered)).await;
    for (id, input, words) in [
        ("nowhere", None, "there are c, f, m"),
        ("f", None, "give the input"),
        ("m", Some(json!({})), "leave the input out"),
    ] {
        let mut following = Following::of(&server.root, [(id, input)]);
        let error = soon(following.follower.next()).await.expect_err(id);
        assert!(
            error.is_final() && error.to_string().contains(words),
            "{error}"
        );
        let over = soon(following.follower.next()).await.expect_err(id);
        assert!(matches!(over, FollowError::Over), "{over}");
    }
}
