//! Update streams (RFC 8895).

use altofed::alto::update::{AddUpdate, UpdateStreamParams};
use altofed::client::{
    Client, FollowError, How, Mode, Options, PeerClient, PeerError, PeerOptions, StreamError,
    StreamEvent, UpdateStream,
};
use altofed::runtime::Clock;
use serde_json::{Value, json};
use std::time::Duration;

use super::server::{Server, Stream};
use super::{Following, JSON_PATCH, MERGE_PATCH, body, costs, directory, ids, map, stream_entry};
use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::peer::server::Got;
use crate::peer::soon;

const PATH: &str = "/updates/stream";

fn sent(got: &Got) -> Value {
    serde_json::from_str(&got.body).expect("JSON")
}

/// Starts a follower of both maps, past their first versions.
async fn followed(server: &mut Server) -> (Following, Stream) {
    let stream = server.stream(PATH);
    let mut following = Following::new(server, &["m", "c"]);
    server.asked().await;
    stream.begins("control/1");
    stream.event(&format!("{NETWORK_MAP},0"), &map("t1", &["10.0.0.0/8"]));
    stream.event(&format!("{COST_MAP},1"), &costs("t1", 1.0));
    following.following(Mode::Stream).await;
    assert_eq!(ids(&following.changed().await), ["m", "c"]);
    (following, stream)
}

#[tokio::test]
async fn documents_and_patches_in_any_layout_lead_to_the_servers_content() {
    let mut server = Server::start(directory(stream_entry())).await;
    let stream = server.stream(PATH);
    let mut following = Following::new(&server, &["m", "c"]);
    let got = server.asked().await;
    assert!(got.line.starts_with("POST "), "{}", got.line);
    let accepts = "accept: text/event-stream, application/alto-error+json";
    assert!(got.head.contains(accepts), "{}", got.head);
    let sends = "content-type: application/alto-updatestreamparams+json";
    assert!(got.head.contains(sends), "{}", got.head);
    let add = json!({"0": {"resource-id": "m"}, "1": {"resource-id": "c"}});
    assert_eq!(sent(&got), json!({"add": add}));
    stream.begins("control/1");
    following.following(Mode::Stream).await;
    stream.pretty(
        &format!("{NETWORK_MAP},0"),
        &map("t1", &["10.0.0.0/8"]),
        "\r\n",
    );
    stream.pretty(&format!("{COST_MAP},1"), &costs("t1", 1.5), "\r");
    let first = following.changed().await;
    assert_eq!(ids(&first), ["m", "c"]);
    assert_eq!((first[0].tag.as_str(), first[0].how), ("t1", How::Full));
    assert_eq!(body(&first[1]), costs("t1", 1.5));
    assert!(!first[1].body.contains(&b'\n'), "white space is left out");
    stream.pretty(
        &format!("{MERGE_PATCH},1"),
        &json!({"cost-map": {"a": {"a": 2, "b": 3}}}),
        "\n",
    );
    let second = following.changed().await;
    assert_eq!((ids(&second), second[0].how), (vec!["c"], How::Patched));
    assert_eq!(body(&second[0])["cost-map"], json!({"a": {"a": 2, "b": 3}}));
    let operations = json!([{"op": "remove", "path": "/cost-map/a/b"}]);
    stream.event(&format!("{JSON_PATCH},1"), &operations);
    assert_eq!(
        body(&following.changed().await[0])["cost-map"],
        json!({"a": {"a": 2}})
    );
}

#[tokio::test]
async fn a_cost_map_waits_for_its_network_map_and_a_network_map_for_its_cost_map() {
    let mut server = Server::start(directory(stream_entry())).await;
    let stream = server.stream(PATH);
    let mut following = Following::new(&server, &["c", "m"]);
    server.asked().await;
    stream.begins("x");
    following.following(Mode::Stream).await;
    // Against RFC 8895 §6.7.1: the dependent map comes first.
    stream.event(&format!("{COST_MAP},0"), &costs("t1", 1.0));
    stream.event(&format!("{NETWORK_MAP},1"), &map("t1", &["10.0.0.0/8"]));
    assert_eq!(ids(&following.changed().await), ["m", "c"]);
    let vtags =
        |tag: &str| json!({"meta": {"dependent-vtags": [{"resource-id": "m", "tag": tag}]}});
    let replace = |tag: &str| json!([{"op": "replace", "path": "/meta/vtag/tag", "value": tag}]);
    stream.event(&format!("{JSON_PATCH},1"), &replace("t2"));
    stream.event(&format!("{MERGE_PATCH},0"), &vtags("t2"));
    let both = following.changed().await;
    assert_eq!(ids(&both), ["m", "c"]);
    assert_eq!(both[0].tag.as_str(), "t2");
    // Two versions of the base at once: only the last one has a cost map.
    stream.event(&format!("{JSON_PATCH},1"), &replace("t3"));
    stream.event(&format!("{JSON_PATCH},1"), &replace("t4"));
    stream.event(&format!("{MERGE_PATCH},0"), &vtags("t3"));
    stream.event(&format!("{MERGE_PATCH},0"), &vtags("t4"));
    assert_eq!(following.changed().await[0].tag.as_str(), "t4");
}

#[tokio::test]
async fn what_stays_apart_is_had_anew() {
    let mut server = Server::start(directory(stream_entry())).await;
    let (mut following, stream) = followed(&mut server).await;
    stream.event(&format!("{NETWORK_MAP},0"), &map("t2", &["11.0.0.0/8"]));
    let minutes = Duration::from_secs(5 * 60);
    soon(following.hand.sleeper(minutes)).await;
    let next = server.stream(PATH);
    for _ in 0..10 {
        soon(following.hand.sleeper(Duration::from_secs(45))).await;
        following.hand.advance(minutes / 10);
        stream.bytes(b":\n");
    }
    let apart = following.interrupted().await;
    assert!(matches!(apart, FollowError::Apart(_)), "{apart}");
    let got = sent(&server.asked().await);
    assert_eq!(got["add"]["0"]["tag"], "t2");
    assert_eq!(got["add"]["1"], json!({"resource-id": "c"}));
    next.begins("x");
    following.following(Mode::Stream).await;
    next.event(&format!("{COST_MAP},1"), &costs("t2", 1.0));
    assert_eq!(ids(&following.changed().await), ["m", "c"]);
}

#[tokio::test]
async fn an_event_cut_off_is_dropped_and_the_stream_opened_again_with_the_tags() {
    let mut server = Server::start(directory(stream_entry())).await;
    let (mut following, stream) = followed(&mut server).await;
    stream.bytes(format!("event: {MERGE_PATCH},1\ndata: {{\"cost-map\":null}}\n").as_bytes());
    drop(stream);
    let next = server.stream(PATH);
    let closed = following.interrupted().await;
    assert!(
        matches!(closed, FollowError::Stream(StreamError::Closed { .. })),
        "{closed}"
    );
    let got = sent(&server.asked().await);
    assert_eq!(got["add"]["0"]["tag"], "t1");
    // A cost map has no tag of its own; ours is made from its bytes.
    assert_eq!(got["add"]["1"]["tag"].as_str().map(str::len), Some(32));
    // The server knows the tags: it sends no documents, only changes.
    next.begins("x");
    next.event(
        &format!("{MERGE_PATCH},1"),
        &json!({"cost-map": {"a": {"a": 7}}}),
    );
    following.following(Mode::Stream).await;
    assert_eq!(body(&following.changed().await[0])["cost-map"]["a"]["a"], 7);
}

#[tokio::test]
async fn the_same_again_is_no_change() {
    let mut server = Server::start(directory(stream_entry())).await;
    let (mut following, stream) = followed(&mut server).await;
    stream.event(&format!("{COST_MAP},1"), &costs("t1", 1.0));
    stream.event(&format!("{MERGE_PATCH},1"), &json!({}));
    stream.event(
        &format!("{MERGE_PATCH},1"),
        &json!({"cost-map": {"a": {"a": 2}}}),
    );
    assert_eq!(body(&following.changed().await[0])["cost-map"]["a"]["a"], 2);
}

#[tokio::test]
async fn a_resource_that_is_stopped_ends_the_stream_with_the_servers_words() {
    let mut server = Server::start(directory(stream_entry())).await;
    let (mut following, stream) = followed(&mut server).await;
    server.waits(PATH);
    let control = "application/alto-updatestreamcontrol+json";
    stream.event(control, &json!({"started": ["0", "1"]}));
    stream.event(control, &json!({"stopped": ["another"]}));
    stream.event(
        control,
        &json!({"stopped": ["1"], "description": "gone to bed"}),
    );
    let stopped = following.interrupted().await.to_string();
    assert!(stopped.contains("\"c\": gone to bed"), "{stopped}");
    let got = server.asked().await;
    assert_eq!(got.path(), PATH);
}

#[tokio::test]
async fn a_patch_that_does_not_apply_has_its_document_anew() {
    for wrong in [
        format!("event: {JSON_PATCH},1\ndata: [{{\"op\":\"remove\",\"path\":\"/x\"}}]\n\n"),
        format!("event: {MERGE_PATCH},1\ndata: {{\"cost-map\":\n\n"),
        format!("event: {COST_MAP},1\ndata: <html>\n\n"),
    ] {
        let mut server = Server::start(directory(stream_entry())).await;
        let (mut following, stream) = followed(&mut server).await;
        stream.bytes(wrong.as_bytes());
        let next = server.stream(PATH);
        let error = following.interrupted().await;
        let known = matches!(
            error,
            FollowError::Patch { .. } | FollowError::Unreadable { .. }
        );
        assert!(known, "{error}");
        let got = sent(&server.asked().await);
        assert_eq!(got["add"]["0"]["tag"], "t1");
        assert_eq!(got["add"]["1"], json!({"resource-id": "c"}));
        next.begins("x");
        next.event(&format!("{COST_MAP},1"), &costs("t1", 9.0));
        following.following(Mode::Stream).await;
        assert_eq!(body(&following.changed().await[0]), costs("t1", 9.0));
    }
}

#[tokio::test]
async fn what_is_no_update_stream_is_given_up_for_the_next_way() {
    let control = "event: application/alto-updatestreamcontrol+json\ndata: ";
    for wrong in [
        format!("event: {NETWORK_MAP},0\ndata: {{}}\n\n"),
        format!("{control}{{\"started\":[\"0\"]}}\n\n"),
        format!("{control}[\n\n"),
        format!("{control}{{\"control-uri\":null}}\n\nevent: {NETWORK_MAP}\ndata: {{}}\n\n"),
        format!("{control}{{\"control-uri\":null}}\n\nevent: {NETWORK_MAP},9\ndata: {{}}\n\n"),
        format!("{control}{{\"control-uri\":null}}\n\nevent: {NETWORK_MAP},0.p\ndata: {{}}\n\n"),
        format!("{control}{{\"control-uri\":null}}\n\nevent: {MERGE_PATCH},0\ndata: {{}}\n\n"),
        format!("{control}{{\"control-uri\":null}}\n\nevent: text/plain,0\ndata: {{}}\n\n"),
        "data: {}\n\n".to_owned(),
    ] {
        let mut server = Server::start(directory(stream_entry())).await;
        server.document("/map", NETWORK_MAP, &map("t1", &[]));
        let stream = server.stream(PATH);
        let mut following = Following::new(&server, &["m"]);
        server.asked().await;
        stream.bytes(wrong.as_bytes());
        let mut news = following.news().await;
        if matches!(news, altofed::client::News::Following(Mode::Stream)) {
            news = following.news().await;
        }
        let interrupted = format!("{news:?}");
        assert!(interrupted.contains("Malformed"), "{wrong}: {interrupted}");
        following.following(Mode::Poll).await;
        assert_eq!(ids(&following.changed().await), ["m"]);
    }
}

#[tokio::test]
async fn a_refusal_that_is_meant_leads_to_the_next_way_and_another_to_patience() {
    for (status, lasting) in [
        ("400 Bad Request", true),
        ("404 Not Found", true),
        ("405 Method Not Allowed", true),
        ("406 Not Acceptable", true),
        ("415 Unsupported Media Type", true),
        ("200 OK", true),
        ("429 Too Many Requests", false),
        ("503 Service Unavailable", false),
        ("500 Internal Server Error", false),
    ] {
        let mut server = Server::start(directory(stream_entry())).await;
        server.document("/map", NETWORK_MAP, &map("t1", &[]));
        server.answer(PATH, status, &[("content-type", "text/html")], &json!({}));
        let mut following = Following::new(&server, &["m"]);
        assert_eq!(server.asked().await.path(), PATH);
        following.interrupted().await;
        let next = server.asked().await;
        assert_eq!(next.path(), if lasting { "/map" } else { PATH }, "{status}");
    }
}

#[tokio::test]
async fn a_server_is_not_asked_again_before_it_wants_to_be() {
    let mut server = Server::start(directory(stream_entry())).await;
    let busy = [("retry-after", "77")];
    server.answer(PATH, "503 Service Unavailable", &busy, &json!({}));
    let mut following = Following::new(&server, &["m"]);
    server.asked().await;
    let altofed::client::News::Interrupted { again_in, .. } = following.news().await else {
        panic!("it was refused");
    };
    assert_eq!(again_in, Duration::from_secs(77));
}

#[tokio::test]
async fn a_stream_that_is_silent_for_three_keep_alives_is_opened_again() {
    let mut server = Server::start(directory(stream_entry())).await;
    let (mut following, stream) = followed(&mut server).await;
    server.waits(PATH);
    let silence = Duration::from_secs(45);
    soon(following.hand.sleeper(silence)).await;
    following.hand.advance(Duration::from_secs(30));
    stream.bytes(b": still here\n");
    // The comment restarted the time.
    soon(following.hand.sleeper(silence)).await;
    following.hand.advance(silence);
    let silent = following.interrupted().await;
    let silent = matches!(
        silent,
        FollowError::Stream(StreamError::Request(PeerError::Silent { .. }))
    );
    assert!(silent);
    assert_eq!(server.asked().await.path(), PATH);
}

#[tokio::test]
async fn a_resource_with_input_is_asked_with_it_and_without_a_tag() {
    let mut entries = stream_entry();
    entries["u"]["uses"] = json!(["f"]);
    entries["u"]["capabilities"] =
        json!({"incremental-change-media-types": {"f": format!("{MERGE_PATCH},x/y")}});
    entries["f"] = json!({"uri": "/filtered", "media-type": COST_MAP, "accepts": "application/alto-costmapfilter+json", "uses": ["m"]});
    let mut server = Server::start(directory(entries)).await;
    let input = json!({"cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"}, "pids": {"srcs": ["a"], "dsts": []}});
    let stream = server.stream(PATH);
    let wanted = [("f", Some(input.clone())), ("f", Some(json!({"pids": 2})))];
    let mut following = Following::of(&server.root, wanted);
    let substream =
        |input: &Value| json!({"resource-id": "f", "incremental-changes": false, "input": input});
    let add = json!({"add": {"0": substream(&input), "1": substream(&json!({"pids": 2}))}});
    assert_eq!(sent(&server.asked().await), add);
    stream.begins("x");
    following.following(Mode::Stream).await;
    stream.event(&format!("{COST_MAP},1"), &costs("t1", 2.0));
    assert_eq!(following.changed().await[0].index, 1);
    drop(stream);
    let next = server.stream(PATH);
    following.interrupted().await;
    assert_eq!(sent(&server.asked().await), add);
    next.begins("x");
    following.following(Mode::Stream).await;
    next.event(&format!("{COST_MAP},1"), &costs("t1", 2.0));
    next.event(&format!("{COST_MAP},0"), &costs("t1", 1.0));
    assert_eq!(following.changed().await[0].index, 0);
}

fn params(resource_id: &str) -> UpdateStreamParams {
    let update = AddUpdate {
        resource_id: resource_id.to_owned(),
        tag: None,
        incremental_changes: true,
        input: None,
    };
    UpdateStreamParams {
        add: [("s-1".to_owned(), update)].into(),
        remove: None,
    }
}

#[tokio::test]
async fn a_stream_alone_is_controlled_where_it_says_relative_to_where_it_is() {
    let mut server = Server::start(directory(json!({}))).await;
    let link = Client::new(&server.root, &Options::default(), Clock::system())
        .expect("a client")
        .connection();
    let url = server.root.join(PATH).expect("a URL");
    let script = server.stream(PATH);
    let mut stream = soon(UpdateStream::open(&link, &url, &params("m")))
        .await
        .expect("open");
    server.asked().await;
    assert!(
        stream.control(&params("c")).await.is_err(),
        "it has not begun"
    );
    script.begins("../control/77");
    let first = soon(stream.next()).await.expect("an event");
    assert!(matches!(first, StreamEvent::Control(_)), "{first:?}");
    let control = server.root.join("/control/77").expect("a URL");
    assert_eq!(stream.control_uri(), Some(&control));
    server.answer("/control/77", "202 Accepted", &[], &json!({}));
    soon(stream.control(&params("c"))).await.expect("accepted");
    let got = server.asked().await;
    assert_eq!(got.path(), "/control/77");
    assert_eq!(sent(&got)["add"]["s-1"]["resource-id"], "c");
    server.answer("/control/77", "404 Not Found", &[], &json!({}));
    assert!(soon(stream.control(&params("c"))).await.is_err());
    script.event("multipart/related;boundary=\"a,b\",s-1", &json!({}));
    script.event(&format!("{MERGE_PATCH},s-1.part@x"), &json!({}));
    let StreamEvent::Data(whole) = soon(stream.next()).await.expect("an event") else {
        panic!("data");
    };
    assert_eq!(
        (whole.media_type.as_str(), whole.part),
        ("multipart/related", None)
    );
    let StreamEvent::Data(part) = soon(stream.next()).await.expect("an event") else {
        panic!("data");
    };
    assert_eq!(
        (part.substream.as_str(), part.part.as_deref()),
        ("s-1", Some("part@x"))
    );
    drop(script);
    let ended = soon(stream.next()).await.expect_err("it ended");
    assert!(!ended.is_lasting());
}

#[tokio::test]
async fn a_peers_stream_is_read_at_its_origin_only() {
    let mut server = Server::start(directory(json!({}))).await;
    let options = PeerOptions {
        allow_private_addresses: true,
        ..PeerOptions::default()
    };
    let peer = PeerClient::new(&server.root, &options, Clock::system()).expect("a client");
    let elsewhere = "http://127.0.0.1:1/updates".parse().expect("a URL");
    let refused = UpdateStream::open(&peer.connection(), &elsewhere, &params("m")).await;
    let refused = refused.expect_err("elsewhere");
    assert!(
        matches!(refused, StreamError::Request(PeerError::Elsewhere { .. })),
        "{refused}"
    );
    let url = server.root.join(PATH).expect("a URL");
    let script = server.stream(PATH);
    script.begins("http://127.0.0.1:1/control");
    let mut stream = soon(UpdateStream::open(&peer.connection(), &url, &params("m")))
        .await
        .expect("open");
    server.asked().await;
    soon(stream.next()).await.expect("an event");
    let refused = stream.control(&params("c")).await.expect_err("elsewhere");
    assert!(
        matches!(refused, StreamError::Request(PeerError::Elsewhere { .. })),
        "{refused}"
    );
}
