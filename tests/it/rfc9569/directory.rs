//! Section 5: the entry of the directory.

use serde_json::{Value, json};

use super::{COST_MAP_ID, MAP, node_with};
use crate::metro::DIRECTORY;
use crate::support::events::{EVENTS, JSON_PATCH, TIPS, TIPS_PARAMS};
use crate::support::{MERGE_PATCH, TestNode};

/// Returns the resources of the domain's view.
async fn resources(node: &TestNode) -> serde_json::Map<String, Value> {
    let directory = node.get("/views/isp-a/directory").await.ok(DIRECTORY);
    directory["resources"].as_object().expect("all").clone()
}

fn uses(entry: &Value) -> Vec<&str> {
    let ids = entry["uses"].as_array().into_iter().flatten();
    ids.map(|id| id.as_str().expect("an id")).collect()
}

#[tokio::test]
async fn tips_is_offered_by_post_with_its_own_media_types() {
    let node = node_with("").await;
    let tips = &resources(&node).await["isp-a:tips"];
    assert_eq!(tips["media-type"], TIPS);
    assert_eq!(tips["accepts"], TIPS_PARAMS);
    let uri = tips["uri"].as_str().expect("a URI");
    let (body, accepts) = (json!({"resource-id": MAP}).to_string(), TIPS_PARAMS);
    node.post(uri, accepts, body).await.ok(TIPS);
}

#[tokio::test]
async fn each_resource_that_is_used_has_the_types_of_its_patches_and_no_other_has() {
    let node = node_with("").await;
    let tips = &resources(&node).await["isp-a:tips"];
    let types = &tips["capabilities"]["incremental-change-media-types"];
    let types = types.as_object().expect("an object");
    assert!(types.keys().eq(uses(tips)), "{tips}");
    let both = format!("{MERGE_PATCH},{JSON_PATCH}");
    for (id, types) in types {
        let wanted = if id.contains("networkmap") {
            &both
        } else {
            MERGE_PATCH
        };
        assert_eq!(types, wanted, "{id}");
    }
    assert!(types.contains_key(MAP) && types.contains_key(COST_MAP_ID));
    assert!(types.len() >= 7, "{types:?}");
}

#[tokio::test]
async fn without_json_patches_a_network_map_is_sent_merge_patches_only() {
    let node = node_with("[updates]\njson_patches = false\n").await;
    let tips = &resources(&node).await["isp-a:tips"];
    let types = &tips["capabilities"]["incremental-change-media-types"];
    let mut types = types.as_object().expect("an object").values();
    assert!(types.all(|types| types == MERGE_PATCH), "{tips}");
}

#[tokio::test]
async fn uses_is_closed_under_dependency() {
    let node = node_with("").await;
    let all = resources(&node).await;
    let tips = uses(&all["isp-a:tips"]);
    for id in &tips {
        for needed in uses(&all[*id]) {
            assert!(tips.contains(&needed), "{id} needs {needed}");
        }
    }
}

#[tokio::test]
async fn an_update_stream_tells_of_tips_views_by_merge_patches() {
    let node = node_with("").await;
    let all = resources(&node).await;
    let updates = &all["isp-a:updates"];
    assert_eq!(updates["media-type"], EVENTS);
    assert!(uses(updates).contains(&"isp-a:tips"), "{updates}");
    let types = &updates["capabilities"]["incremental-change-media-types"];
    assert_eq!(types["isp-a:tips"], MERGE_PATCH);
}
