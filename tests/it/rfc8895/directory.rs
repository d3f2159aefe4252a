//! Sections 6.1 to 6.4: how update streams are announced.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{Entry, directories, entries, fill, metro};
use crate::support::events::{EVENTS, JSON_PATCH, UPDATES};
use crate::support::{MERGE_PATCH, TestNode};

/// Returns the entries of all views, and those of their update streams.
async fn announced(node: &TestNode) -> (BTreeMap<String, Entry>, Vec<Entry>) {
    let all = entries(&directories(node).await);
    let streams = all.iter().filter(|e| e.text("media-type") == EVENTS);
    let streams: Vec<Entry> = streams.cloned().collect();
    assert_eq!(streams.len(), 2, "one of the merged view, one of ours");
    (
        all.into_iter().map(|e| (e.id.clone(), e)).collect(),
        streams,
    )
}

/// Returns the patch types of each resource of a stream.
fn patch_types(stream: &Entry) -> BTreeMap<String, BTreeSet<String>> {
    let types = &stream.entry["capabilities"]["incremental-change-media-types"];
    let types = types.as_object().expect("an object").iter();
    let list = |(id, types): (&String, &Value)| {
        let types = types.as_str().expect("a string").split(',');
        (id.clone(), types.map(str::to_owned).collect())
    };
    types.map(list).collect()
}

#[tokio::test]
async fn an_update_stream_is_an_event_stream_and_opened_by_post_alone() {
    let node = metro().await;
    for stream in announced(&node).await.1 {
        assert_eq!(stream.text("accepts"), UPDATES);
        let got = node.get(stream.text("uri")).await;
        assert_eq!(got.status, 405, "{got:?}");
        let options = node.request(Method::OPTIONS, stream.text("uri"));
        assert_eq!(options.send().await.header("allow"), "POST, OPTIONS");
    }
}

#[tokio::test]
async fn uses_lists_what_depends_on_a_map_with_the_map() {
    let node = metro().await;
    let (all, streams) = announced(&node).await;
    for stream in streams {
        let uses = stream.uses();
        assert!(uses.len() > 6, "{uses:?}");
        for id in &uses {
            for needed in all[*id].uses() {
                assert!(uses.contains(&needed), "{id} needs {needed}");
            }
        }
        assert!(!uses.contains(&stream.id.as_str()));
    }
}

#[tokio::test]
async fn every_map_in_uses_is_sent_whole() {
    let node = metro().await;
    let (all, streams) = announced(&node).await;
    for stream in streams {
        let maps = stream.uses().into_iter();
        let maps: Vec<&str> = maps
            .filter(|id| all[*id].entry.get("accepts").is_none())
            .collect();
        assert!(maps.len() >= 2, "{maps:?}");
        let add = maps.iter().map(|id| (*id, json!({"resource-id": id})));
        let add: BTreeMap<&str, Value> = add.collect();
        let body = json!({"add": add}).to_string();
        let request = node.request(Method::POST, stream.text("uri"));
        let mut events = request.typed(UPDATES, body).open().await;
        for id in maps {
            let whole = node.get(all[id].text("uri")).await;
            events.until_text(id, whole.text()).await;
        }
    }
}

#[tokio::test]
async fn patch_types_are_the_two_of_the_rfc_and_of_resources_in_uses() {
    let node = metro().await;
    for stream in announced(&node).await.1 {
        let uses: BTreeSet<&str> = stream.uses().into_iter().collect();
        let types = patch_types(&stream);
        let patched: BTreeSet<&str> = types.keys().map(String::as_str).collect();
        assert_eq!(patched, uses);
        let both = BTreeSet::from([MERGE_PATCH.to_owned(), JSON_PATCH.to_owned()]);
        let merge = BTreeSet::from([MERGE_PATCH.to_owned()]);
        for (id, types) in types {
            let wanted = if id.ends_with("networkmap") {
                &both
            } else {
                &merge
            };
            assert_eq!(&types, wanted, "{id}");
        }
    }
}

#[tokio::test]
async fn json_patches_that_are_switched_off_are_neither_announced_nor_sent() {
    let node = TestNode::with("[updates]\njson_patches = false\n").await;
    fill(&node).await;
    for stream in announced(&node).await.1 {
        for (id, types) in patch_types(&stream) {
            assert_eq!(types, BTreeSet::from([MERGE_PATCH.to_owned()]), "{id}");
        }
    }
    super::prefixes(&node, "east", &super::many(21, 60)).await;
    let mut events = super::follow(&node, json!({"map": super::of("networkmap")})).await;
    events.next_of("map").await;
    super::prefixes(&node, "east", &super::many(21, 61)).await;
    assert_eq!(events.next_of("map").await.media_type, MERGE_PATCH);
}

#[tokio::test]
async fn streams_can_be_controlled_and_no_directory_lists_the_control_service() {
    let node = metro().await;
    let mut events = super::follow(&node, json!({"map": super::of("networkmap")})).await;
    events.next_of("map").await;
    let (all, streams) = announced(&node).await;
    for stream in streams {
        let can = &stream.entry["capabilities"]["support-stream-control"];
        assert_eq!(can, &json!(true));
    }
    assert!(events.control.starts_with(&node.url), "{}", events.control);
    for entry in all.values() {
        assert_ne!(entry.text("uri"), events.control);
    }
}
