//! Section 9: a view is read by those who may read its resource.

use reqwest::Method;

use super::{COST_MAP_ID, node_with, of, refused, waiting};
use crate::support::events::{TIPS, TIPS_PARAMS};
use crate::support::tips::Tips;
use crate::support::{CDN, MERGE_PATCH, NOC};

const TOKENS: &str = "[access]\nquery = \"token\"\n";

#[tokio::test]
async fn the_uri_of_a_view_is_no_key() {
    let node = node_with(TOKENS).await;
    let body = of(COST_MAP_ID).to_string();
    let ask = |method: Method, path: &str| {
        if method == Method::POST {
            node.request(method, path).typed(TIPS_PARAMS, body.clone())
        } else {
            node.request(method, path)
        }
    };
    let tips = "/views/isp-a/tips";
    let opened = ask(Method::POST, tips).token(CDN).send().await.ok(TIPS);
    let view = Tips::new(&opened);
    let next = format!("{}/ug", view.uri);
    for (method, uri) in [
        (Method::POST, tips.to_owned()),
        (Method::POST, next.clone()),
        (Method::GET, view.edge_uri(0, 1)),
        (Method::GET, view.edge_uri(1, 2)),
        // Whether such a view exists is not revealed either.
        (Method::GET, format!("{tips}/none/ug/0/1")),
    ] {
        assert_eq!(ask(method.clone(), &uri).send().await.status, 401, "{uri}");
        let other = ask(method, &uri).token(NOC).send().await;
        assert_eq!(other.status, 403, "{uri}");
    }
    let told = ask(Method::POST, &next).token(CDN).send().await;
    told.ok(MERGE_PATCH);
    let whole = ask(Method::GET, &view.edge_uri(0, 1)).token(CDN);
    let whole = whole.send().await;
    assert_eq!(whole.status, 200);
    let kept = "private, max-age=31536000, immutable";
    assert_eq!(whole.header("cache-control"), kept);
}

#[tokio::test]
async fn a_view_is_found_below_its_own_directory_only() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let elsewhere = Tips {
        uri: view.uri.replace("/isp-a/", "/merged/"),
        ..view.clone()
    };
    refused(&elsewhere.edge(&node, 0, 1).await, 404);
    refused(&elsewhere.next_edge(&node, &of(COST_MAP_ID)).await, 404);
    assert_eq!(view.edge(&node, 0, 1).await.status, 200);
}

#[tokio::test]
async fn who_may_no_longer_read_the_view_is_told_nothing_of_what_comes() {
    let mut node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let get = crate::support::plain_client().get(view.edge_uri(1, 2));
    let poll = tokio::spawn(get.send());
    waiting(&node, 1).await;
    let closed = node.config_with(TOKENS);
    node.node().reload(closed).expect("hot");
    let answer = poll.await.expect("it ran").expect("an answer");
    assert_eq!(answer.status(), 401);
}
