//! TIPS (RFC 9569).

use std::time::Duration;

use altofed::client::{FollowError, How, Mode};
use serde_json::{Value, json};

use super::server::Server;
use super::{
    Following, JSON_PATCH, MERGE_PATCH, body, cost, costs, directory, ids, map, tips_entry,
};
use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::peer::soon;

const TIPS: &str = "application/alto-tips+json";

/// Opens a view whose edges are below `/views/<name>`.
fn view(server: &Server, name: &str, i: u64, j: u64) {
    answer_view(server, "/tips", name, i, j);
}

/// Does the same for the next request for one resource.
fn view_of(server: &Server, resource: &str, name: &str, i: u64, j: u64) {
    answer_view(server, &format!("/tips {resource}"), name, i, j);
}

fn answer_view(server: &Server, path: &str, name: &str, i: u64, j: u64) {
    let uri = server.root.join(&format!("/views/{name}")).expect("a URL");
    let graph =
        json!({"start-seq": 101, "end-seq": 105, "start-edge-rec": {"seq-i": i, "seq-j": j}});
    let view = json!({"tips-view-uri": uri.as_str(), "tips-view-summary": {"updates-graph-summary": graph}});
    server.document(path, TIPS, &view);
}

fn both() -> Value {
    tips_entry(&format!("{MERGE_PATCH},{JSON_PATCH}"))
}

#[tokio::test]
async fn a_snapshot_then_one_edge_after_the_other_and_the_next_is_waited_for() {
    let mut server = Server::start(directory(both())).await;
    view(&server, "c", 0, 103);
    server.document("/views/c/ug/0/103", COST_MAP, &costs("t", 1.0));
    server.document(
        "/views/c/ug/103/104",
        MERGE_PATCH,
        &json!({"cost-map": {"a": {"a": 2}}}),
    );
    server.waits("/views/c/ug/104/105");
    let mut following = Following::new(&server, &["c"]);
    let opening = server.asked().await;
    assert!(opening.line.starts_with("POST /tips "), "{}", opening.line);
    assert!(
        opening
            .head
            .contains("content-type: application/alto-tipsparams+json")
    );
    let sent: Value = serde_json::from_str(&opening.body).expect("JSON");
    assert_eq!(sent, json!({"resource-id": "c"}));
    following.following(Mode::Tips).await;
    let first = following.changed().await;
    assert_eq!(
        (body(&first[0]), first[0].how),
        (costs("t", 1.0), How::Full)
    );
    let second = following.changed().await;
    assert_eq!((cost(&second[0]), second[0].how), (Some(2.0), How::Patched));
    for edge in ["0/103", "103/104", "104/105"] {
        let got = server.asked().await;
        assert_eq!(got.path(), format!("/views/c/ug/{edge}"));
        let all =
            format!("accept: {COST_MAP}, {MERGE_PATCH}, {JSON_PATCH}, application/alto-error+json");
        assert!(got.head.contains(&all), "{}", got.head);
    }
    // The last request waits; now there is a version.
    server.waits("/views/c/ug/105/106");
    let operations = json!([{"op": "replace", "path": "/cost-map/a/a", "value": 3}]);
    server.document("/views/c/ug/104/105", JSON_PATCH, &operations);
    assert_eq!(cost(&following.changed().await[0]), Some(3.0));
}

#[tokio::test]
async fn a_view_whose_versions_are_gone_is_opened_again_with_the_tag() {
    for status in ["410 Gone", "404 Not Found"] {
        let mut server = Server::start(directory(both())).await;
        view(&server, "m", 0, 103);
        server.document(
            "/views/m/ug/0/103",
            NETWORK_MAP,
            &map("t103", &["10.0.0.0/8"]),
        );
        server.answer("/views/m/ug/103/104", status, &[], &json!({}));
        let mut following = Following::new(&server, &["m"]);
        following.following(Mode::Tips).await;
        assert_eq!(ids(&following.changed().await), ["m"]);
        view(&server, "m2", 107, 108);
        let operations = json!([{"op": "replace", "path": "/meta/vtag/tag", "value": "t108"}]);
        server.document("/views/m2/ug/107/108", JSON_PATCH, &operations);
        server.waits("/views/m2/ug/108/109");
        let gone = following.interrupted().await;
        assert!(matches!(gone, FollowError::Gone { .. }), "{gone}");
        let opened = loop {
            let got = server.asked().await;
            if got.path() == "/tips" && got.body.contains("tag") {
                break got;
            }
        };
        let sent: Value = serde_json::from_str(&opened.body).expect("JSON");
        assert_eq!(sent, json!({"resource-id": "m", "tag": "t103"}));
        following.following(Mode::Tips).await;
        assert_eq!(following.changed().await[0].tag.as_str(), "t108");
    }
}

#[tokio::test]
async fn an_edge_that_is_too_early_or_one_too_many_is_asked_for_again_when_it_may_be() {
    for status in [
        "425 Too Early",
        "429 Too Many Requests",
        "503 Service Unavailable",
    ] {
        let mut server = Server::start(directory(both())).await;
        view(&server, "c", 0, 103);
        server.answer(
            "/views/c/ug/0/103",
            status,
            &[("retry-after", "7")],
            &json!({}),
        );
        let mut following = Following::new(&server, &["c"]);
        following.following(Mode::Tips).await;
        let wait = Duration::from_secs(7);
        soon(following.hand.sleeper(wait)).await;
        server.document("/views/c/ug/0/103", COST_MAP, &costs("t", 1.0));
        server.waits("/views/c/ug/103/104");
        following.hand.advance(wait);
        assert_eq!(body(&following.changed().await[0]), costs("t", 1.0));
        let paths = [
            server.asked().await,
            server.asked().await,
            server.asked().await,
        ];
        let edges = paths.iter().filter(|got| got.path() == "/views/c/ug/0/103");
        assert_eq!(edges.count(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_long_poll_that_nobody_answers_is_begun_again() {
    let mut server = Server::start(directory(both())).await;
    view(&server, "c", 0, 103);
    server.waits("/views/c/ug/0/103");
    let mut following = Following::new(&server, &["c"]);
    following.following(Mode::Tips).await;
    assert_eq!(server.asked().await.path(), "/tips");
    assert_eq!(server.asked().await.path(), "/views/c/ug/0/103");
    let patience = Duration::from_secs(2 * 60);
    soon(following.hand.sleeper(patience)).await;
    following.hand.advance(patience);
    assert_eq!(server.asked().await.path(), "/views/c/ug/0/103");
}

#[tokio::test]
async fn a_cost_map_waits_for_the_network_map_of_another_view() {
    let server = Server::start(directory(both())).await;
    for resource in ["m", "c"] {
        server.waits(&format!("/tips {resource}"));
        server.waits(&format!("/views/{resource}/ug/0/103"));
        server.waits(&format!("/views/{resource}/ug/103/104"));
        server.waits(&format!("/views/{resource}/ug/104/105"));
        view_of(&server, resource, resource, 0, 103);
    }
    let mut following = Following::new(&server, &["c", "m"]);
    following.following(Mode::Tips).await;
    server.document("/views/c/ug/0/103", COST_MAP, &costs("t103", 1.0));
    server.document("/views/m/ug/0/103", NETWORK_MAP, &map("t103", &[]));
    assert_eq!(ids(&following.changed().await), ["m", "c"]);
    let newer = json!({"meta": {"dependent-vtags": [{"resource-id": "m", "tag": "t104"}]}});
    server.document("/views/c/ug/103/104", MERGE_PATCH, &newer);
    server.document("/views/m/ug/103/104", NETWORK_MAP, &map("t104", &[]));
    let both = following.changed().await;
    assert_eq!((ids(&both), both[0].tag.as_str()), (vec!["m", "c"], "t104"));
}

#[tokio::test]
async fn a_server_whose_patches_we_cannot_apply_is_not_asked_by_tips() {
    let mut server = Server::start(directory(tips_entry("application/x-patch"))).await;
    server.document("/costs", COST_MAP, &costs("t", 1.0));
    let mut following = Following::new(&server, &["c"]);
    following.following(Mode::Poll).await;
    assert_eq!(server.asked().await.path(), "/costs");
}

#[tokio::test]
async fn what_is_no_view_is_given_up_for_polling() {
    let graph = |i: u64, j: u64| json!({"updates-graph-summary": {"start-seq": 1, "end-seq": 2, "start-edge-rec": {"seq-i": i, "seq-j": j}}});
    for wrong in [
        json!([]),
        json!({"tips-view-uri": "/relative", "tips-view-summary": graph(0, 1)}),
        json!({"tips-view-uri": "ftp://127.0.0.1/v", "tips-view-summary": graph(0, 1)}),
        json!({"tips-view-uri": "http://127.0.0.1:1/v", "tips-view-summary": graph(1, 2)}),
        json!({"tips-view-uri": "http://127.0.0.1:1/v", "tips-view-summary": graph(0, 0)}),
    ] {
        let server = Server::start(directory(both())).await;
        server.document("/tips", TIPS, &wrong);
        server.document("/costs", COST_MAP, &costs("t", 1.0));
        let mut following = Following::new(&server, &["c"]);
        let error = following.interrupted().await;
        assert!(
            matches!(error, FollowError::Malformed { .. }),
            "{wrong}: {error}"
        );
        following.following(Mode::Poll).await;
    }
    let server = Server::start(directory(both())).await;
    view(&server, "c", 0, 103);
    server.document("/views/c/ug/0/103", MERGE_PATCH, &costs("t", 1.0));
    server.document("/costs", COST_MAP, &costs("t", 1.0));
    let mut following = Following::new(&server, &["c"]);
    following.following(Mode::Tips).await;
    let error = following.interrupted().await;
    assert!(matches!(error, FollowError::Malformed { .. }), "{error}");
    following.following(Mode::Poll).await;
}
