//! Section 9: the information resource directory.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{
    COST_MAP, DIRECTORY, ENDPOINT_COSTS, ENDPOINT_PROPERTIES, Entry, NETWORK_MAP, directories,
    entries, metro,
};
use crate::support::events::{EVENTS, TIPS, TIPS_PARAMS, UPDATES};
use crate::support::{COST_FILTER, COST_PARAMS, NETWORK_FILTER, PROPERTY_PARAMS, TestNode};

async fn closure(node: &TestNode) -> Vec<Entry> {
    entries(&directories(node).await)
}

fn of<'e>(entries: &'e [Entry], media_type: &str, accepts: &str) -> Vec<&'e Entry> {
    let is =
        |entry: &&Entry| entry.text("media-type") == media_type && entry.text("accepts") == accepts;
    entries.iter().filter(is).collect()
}

#[tokio::test]
async fn the_root_directory_names_a_default_network_map_that_it_has() {
    let node = metro().await;
    let root = node.get("/directory").await.ok(DIRECTORY);
    let default = root["meta"]["default-alto-network-map"]
        .as_str()
        .expect("a default");
    let entry = &root["resources"][default];
    assert_eq!(entry["media-type"], NETWORK_MAP);
    assert!(entry.get("accepts").is_none());
    let map = node
        .get(entry["uri"].as_str().expect("a uri"))
        .await
        .ok(NETWORK_MAP);
    assert_eq!(map["meta"]["vtag"]["resource-id"], default);
}

#[tokio::test]
async fn ids_are_unique_in_the_closure_and_of_the_alphabet() {
    let node = metro().await;
    let mut seen = BTreeSet::new();
    for entry in closure(&node).await {
        assert!(seen.insert(entry.id.clone()), "{} stands twice", entry.id);
        let sound = |c: char| c.is_ascii_alphanumeric() || "-:@_".contains(c);
        assert!(
            entry.id.len() <= 64 && !entry.id.is_empty() && entry.id.chars().all(sound),
            "{}",
            entry.id
        );
    }
    assert!(seen.len() > 12, "{seen:?}");
}

#[tokio::test]
async fn ids_and_uris_stay_when_the_content_changes() {
    let node = metro().await;
    let names = |entries: Vec<Entry>| {
        let name = |entry: Entry| (entry.id.clone(), entry.text("uri").to_owned());
        entries.into_iter().map(name).collect::<BTreeMap<_, _>>()
    };
    let before = names(closure(&node).await);
    node.put(
        "network-map",
        &json!({"network-map": {"core": {"ipv4": ["0.0.0.0/0"]}, "east": {}, "lab": {}}}),
    )
    .await;
    assert_eq!(names(closure(&node).await), before);
}

#[tokio::test]
async fn each_entry_answers_by_the_method_it_promises_with_the_type_it_promises() {
    let node = metro().await;
    for entry in closure(&node).await {
        let (uri, media_type, accepts) = (
            entry.text("uri"),
            entry.text("media-type"),
            entry.text("accepts"),
        );
        let options = node.request(Method::OPTIONS, uri).send().await;
        assert!(options.status.is_success(), "{}: {options:?}", entry.id);
        let allowed = options.header("allow");
        if accepts.is_empty() {
            node.get(uri).await.ok(media_type);
            assert!(
                allowed.contains("GET") && !allowed.contains("POST"),
                "{allowed}"
            );
            continue;
        }
        assert!(
            allowed.contains("POST") && !allowed.contains("GET"),
            "{allowed}"
        );
        let property = entry
            .capability("prop-types")
            .first()
            .copied()
            .unwrap_or_default();
        let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "ordinal"});
        let address = json!(["ipv4:10.20.1.1"]);
        let query = match accepts {
            NETWORK_FILTER => json!({"pids": []}),
            COST_FILTER => json!({"cost-type": cost_type}),
            PROPERTY_PARAMS => json!({"properties": [property], "endpoints": address}),
            COST_PARAMS => {
                json!({"cost-type": cost_type, "endpoints": {"srcs": address, "dsts": address}})
            }
            TIPS_PARAMS => json!({"resource-id": entry.uses()[0]}),
            UPDATES => {
                let body = json!({"add": {"1": {"resource-id": entry.uses()[0],
                    "input": {"cost-type": cost_type}}}});
                let request = node.request(Method::POST, uri);
                let mut events = request.typed(accepts, body.to_string()).open().await;
                assert!(events.next().await.is_some(), "{}", entry.id);
                continue;
            }
            other => panic!("{} accepts {other}", entry.id),
        };
        node.post(uri, accepts, query.to_string())
            .await
            .ok(media_type);
    }
}

#[tokio::test]
async fn cost_types_are_defined_in_the_directory_that_names_them() {
    let node = metro().await;
    node.put(
        "cost-maps/delay-ow:p99.9",
        &json!({"cost-map": {"core": {"lab": 70.5}}}),
    )
    .await;
    let directories = directories(&node).await;
    assert_eq!(directories.len(), 2, "a root and one domain");
    for entry in entries(&directories) {
        let types = &directories[&entry.directory]["meta"]["cost-types"];
        for name in entry.capability("cost-type-names") {
            let cost_type = &types[name];
            assert!(
                cost_type["cost-metric"].is_string() && cost_type["cost-mode"].is_string(),
                "{name} in {}",
                entry.id
            );
        }
    }
}

#[tokio::test]
async fn a_full_cost_map_has_one_cost_type_and_no_two_have_the_same() {
    let node = metro().await;
    node.put(
        "cost-maps/hopcount",
        &json!({"cost-map": {"core": {"lab": 3}}}),
    )
    .await;
    let directories = directories(&node).await;
    let resources = entries(&directories);
    let mut seen = BTreeSet::new();
    for entry in of(&resources, COST_MAP, "") {
        let names = entry.capability("cost-type-names");
        assert_eq!((names.len(), entry.uses().len()), (1, 1), "{}", entry.id);
        let cost_type = directories[&entry.directory]["meta"]["cost-types"][names[0]].clone();
        let served = node.get(entry.text("uri")).await.ok(COST_MAP);
        assert_eq!(served["meta"]["cost-type"], cost_type);
        let key = (entry.uses()[0].to_owned(), cost_type.to_string());
        assert!(seen.insert(key.clone()), "{key:?} is served twice");
    }
    let modes: Vec<&String> = seen.iter().map(|(_, cost_type)| cost_type).collect();
    for metric in ["routingcost", "hopcount"] {
        for mode in ["numerical", "ordinal"] {
            let cost_type = json!({"cost-metric": metric, "cost-mode": mode}).to_string();
            assert!(modes.contains(&&cost_type), "{cost_type}");
        }
    }
}

/// Every server must have these, even one without any data.
#[tokio::test]
async fn the_closure_has_what_every_server_must_have_even_with_nothing_ingested() {
    let node = TestNode::start().await;
    let directories = directories(&node).await;
    let resources = entries(&directories);
    let maps = of(&resources, NETWORK_MAP, "");
    assert!(!maps.is_empty());
    let properties = of(&resources, ENDPOINT_PROPERTIES, PROPERTY_PARAMS);
    for map in &maps {
        assert_eq!(
            node.get(map.text("uri")).await.ok(NETWORK_MAP)["network-map"],
            json!({})
        );
        let pid = format!("{}.pid", map.id);
        assert!(
            properties
                .iter()
                .any(|entry| entry.capability("prop-types").contains(&pid.as_str())),
            "{pid}"
        );
        let is_routingcost = |entry: &&&Entry| {
            let types = &directories[&entry.directory]["meta"]["cost-types"];
            let metric = |name: &&str| types[*name]["cost-metric"] == "routingcost";
            entry.uses() == [map.id.as_str()]
                && entry.capability("cost-type-names").iter().any(metric)
        };
        let full = of(&resources, COST_MAP, "");
        let found = full
            .iter()
            .find(is_routingcost)
            .expect("a map of routingcost");
        assert_eq!(
            node.get(found.text("uri")).await.ok(COST_MAP)["cost-map"],
            json!({})
        );
    }
}

#[tokio::test]
async fn capabilities_and_uses_are_those_of_each_kind_of_resource() {
    let node = metro().await;
    let resources = closure(&node).await;
    let ids: BTreeSet<&str> = resources.iter().map(|entry| entry.id.as_str()).collect();
    let maps: Vec<&str> = of(&resources, NETWORK_MAP, "")
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    for entry in &resources {
        let uses = entry.uses();
        assert!(uses.iter().all(|id| ids.contains(id)), "{}", entry.id);
        let capabilities = entry.entry.get("capabilities");
        match (entry.text("media-type"), entry.text("accepts")) {
            (DIRECTORY, "") | (NETWORK_MAP, "") => {
                assert!(uses.is_empty() && capabilities.is_none(), "{}", entry.id);
            }
            (NETWORK_MAP, _) => {
                assert!(uses.len() == 1 && maps.contains(&uses[0]) && capabilities.is_none());
            }
            (COST_MAP, accepts) => {
                assert!(uses.len() == 1 && maps.contains(&uses[0]), "{}", entry.id);
                let constraints = &entry.entry["capabilities"]["cost-constraints"];
                assert_eq!(*constraints == json!(true), !accepts.is_empty());
                assert!(!entry.capability("cost-type-names").is_empty());
            }
            (ENDPOINT_PROPERTIES, _) => {
                assert!(uses.is_empty() && !entry.capability("prop-types").is_empty());
            }
            (ENDPOINT_COSTS, _) => {
                // §11.5.1.5: these costs are between addresses, of no map.
                assert!(uses.is_empty() && !entry.capability("cost-type-names").is_empty());
            }
            (EVENTS | TIPS, _) => {
                let patches = &entry.entry["capabilities"]["incremental-change-media-types"];
                let patched = patches.as_object().expect("patches").keys();
                assert!(patched.eq(uses.iter()), "{}: {patches}", entry.id);
                assert!(uses.iter().any(|id| maps.contains(id)), "{}", entry.id);
            }
            other => panic!("{}: {other:?}", entry.id),
        }
    }
}

#[tokio::test]
async fn a_delegated_directory_can_be_read_by_itself() {
    let node = metro().await;
    let root = node.get("/directory").await.ok(DIRECTORY);
    let delegated: Vec<&Value> = root["resources"]
        .as_object()
        .expect("resources")
        .values()
        .filter(|entry| entry["media-type"] == DIRECTORY)
        .collect();
    assert_eq!(delegated.len(), 1, "our own domain's");
    assert!(delegated[0].get("accepts").is_none());
    let inner = node
        .get(delegated[0]["uri"].as_str().expect("a uri"))
        .await
        .ok(DIRECTORY);
    let resources = inner["resources"].as_object().expect("resources");
    assert!(resources.keys().all(|id| id.starts_with("isp-a:")));
    assert!(inner["meta"]["cost-types"].is_object());
}

#[tokio::test]
async fn a_view_that_a_caller_may_not_read_is_not_delegated_to_it() {
    let node = TestNode::with("[access]\nviews = [\"merged\"]\n").await;
    let delegates = |directory: &Value| {
        let entries = directory["resources"]
            .as_object()
            .expect("resources")
            .values();
        entries
            .filter(|entry| entry["media-type"] == DIRECTORY)
            .count()
    };
    let open = node.get("/directory").await.ok(DIRECTORY);
    assert_eq!(delegates(&open), 0);
    assert_eq!(node.get("/views/isp-a/networkmap").await.status, 401);
    let known = node
        .request(Method::GET, "/directory")
        .token(crate::support::CDN)
        .send()
        .await;
    assert_eq!(delegates(&known.ok(DIRECTORY)), 1);
}
