//! Sections 6.2 and 6.3.3: summaries of TIPS views over an update stream.

use serde_json::{Value, json};

use super::{COST_MAP_ID, MAP, node_with, of, set_cost, set_prefix};
use crate::metro::{MISSING, VALUE, delete, fault};
use crate::support::events::{CONTROL, TIPS, UPDATES};
use crate::support::tips::Tips;
use crate::support::{MERGE_PATCH, TestNode};

/// Makes a substream of the summary of a view.
fn summary_of(params: &Value) -> Value {
    json!({"resource-id": "isp-a:tips", "input": params})
}

#[tokio::test]
async fn the_summary_of_a_view_comes_whole_and_then_by_merge_patches() {
    let node = node_with("").await;
    let params = of(COST_MAP_ID);
    let add = json!({"t": summary_of(&params)});
    let mut events = node.follow("isp-a", add).await;
    let control = events.next().await.expect("an event");
    assert_eq!(control.media_type, CONTROL);
    let first = events.next_of("t").await;
    assert_eq!(first.media_type, TIPS);
    assert_eq!(events.text_of("t"), node.ask_tips(&params).await.text());
    let view = Tips::new(&first.json());
    for version in 2..=4 {
        set_cost(&node, version).await;
        let told = events.next_of("t").await;
        assert_eq!(told.media_type, MERGE_PATCH);
        let changed = json!({"end-seq": version});
        let wanted = json!({"tips-view-summary": {"updates-graph-summary": changed}});
        assert_eq!(told.json(), wanted);
        // The edge to the announced version exists.
        let edge = view.edge(&node, version - 1, version).await;
        edge.ok(MERGE_PATCH);
    }
    let now = Tips::new(&events.documents["t"]);
    assert_eq!((now.start(), now.end()), (1, 4));
}

#[tokio::test]
async fn what_is_forgotten_is_told_too() {
    let node = node_with("[updates]\nhistory_bytes = 0\n").await;
    let add = json!({"t": summary_of(&of(COST_MAP_ID))});
    let mut events = node.follow("isp-a", add).await;
    events.next_of("t").await;
    set_cost(&node, 2).await;
    let told = events.next_of("t").await.json();
    let changed = json!({"start-seq": 2, "end-seq": 2});
    let wanted = json!({"tips-view-summary": {"updates-graph-summary": changed}});
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_tag_of_the_client_is_answered_by_the_edge_that_leads_on() {
    let node = node_with("").await;
    let tag = node.get("/views/isp-a/networkmap").await.json()["meta"]["vtag"]["tag"].clone();
    let params = json!({"resource-id": MAP, "tag": tag});
    let add = json!({"t": summary_of(&params)});
    let mut events = node.follow("isp-a", add).await;
    let view = Tips::new(&events.next_of("t").await.json());
    assert_eq!(view.recommended(), (1, 2));
    set_prefix(&node, 1).await;
    events.next_of("t").await;
    assert_eq!(view.edge(&node, 1, 2).await.status, 200);
}

#[tokio::test]
async fn summaries_of_several_views_and_resources_go_over_one_stream() {
    let node = node_with("").await;
    let add = json!({
        "costs": {"resource-id": COST_MAP_ID},
        "of-costs": summary_of(&of(COST_MAP_ID)),
        "of-map": summary_of(&of(MAP)),
    });
    let mut events = node.follow("isp-a", add).await;
    let ends = |documents: &std::collections::BTreeMap<String, Value>, wanted: [u64; 2]| {
        ["of-map", "of-costs"]
            .into_iter()
            .zip(wanted)
            .all(|(id, end)| {
                let document = documents.get(id);
                document.is_some_and(|document| Tips::new(document).end() == end)
            })
    };
    events.until(|documents| ends(documents, [1, 1])).await;
    set_cost(&node, 5).await;
    events.until(|documents| ends(documents, [1, 2])).await;
    set_prefix(&node, 5).await;
    events.until(|documents| ends(documents, [2, 3])).await;
}

#[tokio::test]
async fn a_view_that_closes_ends_its_substream() {
    let node = node_with("").await;
    let hops = json!({"cost-map": {"core": {"lab": 2}}});
    node.put("cost-maps/hopcount", &hops).await;
    let params = of("isp-a:costmap-hopcount");
    let add = json!({"t": summary_of(&params), "u": summary_of(&of(MAP))});
    let mut events = node.follow("isp-a", add).await;
    for _ in 0..3 {
        events.next().await.expect("an event");
    }
    delete(&node, "cost-maps/hopcount").await;
    let told = events.next().await.expect("an event");
    assert_eq!(told.media_type, CONTROL);
    assert_eq!(told.json()["stopped"], json!(["t"]));
}

#[tokio::test]
async fn a_view_that_cannot_be_opened_opens_no_stream() {
    let node = node_with("").await;
    let refusal = async |node: &TestNode, input: Value| {
        let add = json!({"add": {"t": summary_of(&input)}});
        fault(
            &node
                .post("/views/isp-a/updates", UPDATES, add.to_string())
                .await,
        )
    };
    let (code, field, _) = refusal(&node, json!({})).await;
    assert_eq!((code, field), (MISSING.into(), "resource-id".into()));
    let (code, _, value) = refusal(&node, of("isp-a:none")).await;
    assert_eq!((code, value), (VALUE.into(), "isp-a:none".into()));
}
