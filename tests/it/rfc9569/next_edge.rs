//! Section 7.4: the edge to go on with.

use reqwest::Method;
use serde_json::{Value, json};

use super::{COST_MAP_ID, MAP, node_with, of, refused, set_cost, waiting};
use crate::metro::{COST_MAP, VALUE, delete, fault};
use crate::support::changes::Changes;
use crate::support::events::TIPS_PARAMS;
use crate::support::tips::Tips;
use crate::support::{MERGE_PATCH, TestNode};

/// Applies a merge patch to the answer to opening a view.
fn patched(view: &Tips, patch: &Value) -> Tips {
    let mut opened = json!({
        "tips-view-uri": view.uri,
        "tips-view-summary": {"updates-graph-summary": view.summary},
    });
    json_patch::merge(&mut opened, patch);
    Tips::new(&opened)
}

/// Returns the tag of the costs as they are now.
async fn cost_tag(node: &TestNode) -> String {
    let answer = node.get("/views/isp-a/costmap-routingcost").await;
    answer.header("etag").trim_matches('"').to_owned()
}

#[tokio::test]
async fn the_answer_is_a_merge_patch_of_that_to_opening_the_view() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    set_cost(&node, 1).await;
    view.arrived(&node, 2).await;
    let answer = view.next_edge(&node, &of(COST_MAP_ID)).await;
    let patch = answer.ok(MERGE_PATCH);
    let members: Vec<&String> = patch.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["tips-view-summary"], "the URI stays");
    assert_eq!(answer.header("cache-control"), "no-store");
    let now = patched(&view, &patch);
    assert_eq!(now.uri, view.uri);
    assert_eq!(now.summary, node.tips(&of(COST_MAP_ID)).await.summary);
    assert_eq!((now.end(), now.recommended()), (2, (0, 1)));
}

#[tokio::test]
async fn the_way_of_the_fewest_bytes_is_told_from_a_tag_and_from_nothing() {
    let node = TestNode::start().await;
    Changes::begin(&node, 1, 20).await;
    let mut tags = vec![cost_tag(&node).await];
    let params = json!({"resource-id": COST_MAP_ID, "tag": tags[0]});
    let view = node.tips(&params).await;
    for version in 2..=18_u64 {
        let change = json!({"cost-map": {"pid-00": {"pid-01": 1000 + version}}});
        let noc = crate::support::NOC;
        let path = "cost-maps/routingcost";
        let request = node.n2s(noc, Method::PATCH, path, Some(&change));
        assert!(request.send().await.status.is_success());
        view.arrived(&node, version).await;
        let tag = cost_tag(&node).await;
        let params = json!({"resource-id": COST_MAP_ID, "tag": tag});
        // The tag of the version that has just come is known too.
        let told = view.next_edge(&node, &params).await.ok(MERGE_PATCH);
        assert_eq!(patched(&view, &told).recommended(), (version, version + 1));
        tags.push(tag);
    }
    let next = async |params: Value| {
        let told = view.next_edge(&node, &params).await.ok(MERGE_PATCH);
        patched(&view, &told).recommended()
    };
    let from = async |tag: &str| next(json!({"resource-id": COST_MAP_ID, "tag": tag})).await;
    // One patch has the same effect as eight of the same cost, and takes fewer bytes.
    assert_eq!(from(&tags[7]).await, (8, 16));
    assert_eq!(from(&tags[0]).await, (1, 2));
    assert_eq!(from(&tags[8]).await, (9, 10));
    assert_eq!(from(&tags[15]).await, (16, 17));
    assert_eq!(from("unheard-of").await, (0, 16));
    assert_eq!(next(of(COST_MAP_ID)).await, (0, 16));
}

#[tokio::test]
async fn a_snapshot_is_told_where_the_patches_are_longer() {
    let node = TestNode::start().await;
    let costs = |base: u64| {
        let row = |src: u64| json!({"a": base + src, "b": base + src + 1, "c": base});
        json!({"cost-map": {"a": row(1), "b": row(2), "c": row(3)}})
    };
    let map = json!({"network-map": {"a": {}, "b": {}, "c": {}}});
    node.put("network-map", &map).await;
    node.put("cost-maps/routingcost", &costs(0)).await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let tag = cost_tag(&node).await;
    for version in 2..=9_u64 {
        node.put("cost-maps/routingcost", &costs(100 * version))
            .await;
        view.arrived(&node, version).await;
    }
    let params = json!({"resource-id": COST_MAP_ID, "tag": tag});
    let told = view.next_edge(&node, &params).await.ok(MERGE_PATCH);
    assert_eq!(patched(&view, &told).recommended(), (0, 8));
    view.edge(&node, 0, 8).await.ok(COST_MAP);
}

#[tokio::test]
async fn another_resource_or_an_input_is_an_invalid_value() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let (code, field, value) = fault(&view.next_edge(&node, &of(MAP)).await);
    assert_eq!(
        (code, field, value),
        (VALUE.into(), "resource-id".into(), MAP.into())
    );
    let params = json!({"resource-id": COST_MAP_ID, "input": {}});
    let (code, field, _) = fault(&view.next_edge(&node, &params).await);
    assert_eq!((code, field), (VALUE.into(), "input".into()));
    let (code, field, _) = fault(&view.next_edge(&node, &json!({})).await);
    let missing = crate::metro::MISSING;
    assert_eq!((code, field), (missing.into(), "resource-id".into()));
    // The same for a view that has an input.
    let cost_type = json!({"cost-mode": "numerical", "cost-metric": "routingcost"});
    let input = json!({"cost-type": cost_type});
    let asked = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
    let filtered = node.tips(&asked).await;
    assert_eq!(fault(&filtered.next_edge(&node, &asked).await).1, "input");
    let own = of("isp-a:filtered-costmap");
    filtered.next_edge(&node, &own).await.ok(MERGE_PATCH);
}

#[tokio::test]
async fn a_view_that_is_not_there_has_none() {
    let node = node_with("").await;
    let uri = format!("{}/views/isp-a/tips/{}", node.url, "0".repeat(32));
    let body = of(MAP).to_string();
    let answer = node.post(&format!("{uri}/ug"), TIPS_PARAMS, body).await;
    refused(&answer, 404);
}

#[tokio::test]
async fn a_view_whose_resource_is_gone_has_none_even_while_somebody_waits() {
    let node = node_with("").await;
    node.put(
        "cost-maps/hopcount",
        &json!({"cost-map": {"core": {"lab": 2}}}),
    )
    .await;
    let id = "isp-a:costmap-hopcount";
    let view = node.tips(&of(id)).await;
    let poll = view.edge(&node, 1, 2);
    let gone = async {
        waiting(&node, 1).await;
        delete(&node, "cost-maps/hopcount").await;
    };
    let (poll, ()) = tokio::join!(poll, gone);
    refused(&poll, 404);
    refused(&view.next_edge(&node, &of(id)).await, 404);
}
