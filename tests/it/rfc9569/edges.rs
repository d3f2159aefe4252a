//! Sections 3, 4.2 and 7.1: the updates graph and what its edges hold.

use std::collections::BTreeMap;

use altofed::alto::canonical::value_text;
use reqwest::Method;
use serde_json::{Value, json};

use super::{COST_MAP_ID, MAP, node_with, of, set_cost};
use crate::metro::{COST_MAP, COSTS, ENDPOINTS, NETWORK, NETWORK_MAP, PROPERTIES, Service};
use crate::support::changes::Changes;
use crate::support::client_builder;
use crate::support::events::JSON_PATCH;
use crate::support::tips::{Tips, led_on};
use crate::support::{Answer, MERGE_PATCH, TestNode};

/// A resource: how to get it, and how to ask for its TIPS view.
struct Target {
    id: &'static str,
    path: &'static str,
    service: Option<(Service, Value)>,
    media_type: &'static str,
}

impl Target {
    fn map(id: &'static str, path: &'static str, media_type: &'static str) -> Self {
        Self {
            id,
            path,
            service: None,
            media_type,
        }
    }

    fn query(id: &'static str, service: Service, input: Value) -> Self {
        Self {
            id,
            path: service.path,
            service: Some((service, input)),
            media_type: service.media_type,
        }
    }

    /// One resource of each kind.
    fn all() -> Vec<Self> {
        let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
        let addresses = json!(["ipv4:10.1.0.1", "ipv6:2001:db8:3::1", "ipv4:10.7.0.9"]);
        let endpoints = json!({"srcs": addresses, "dsts": addresses});
        vec![
            Self::map(MAP, "/views/isp-a/networkmap", NETWORK_MAP),
            Self::map(COST_MAP_ID, "/views/isp-a/costmap-routingcost", COST_MAP),
            Self::map(
                "isp-a:ordinal-routingcost",
                "/views/isp-a/ordinal-routingcost",
                COST_MAP,
            ),
            Self::query(
                "isp-a:filtered-networkmap",
                NETWORK,
                json!({"pids": ["pid-00", "pid-01", "guest-1"], "address-types": ["ipv4"]}),
            ),
            Self::query(
                "isp-a:filtered-costmap",
                COSTS,
                json!({"cost-type": cost_type, "constraints": ["le 250"]}),
            ),
            Self::query(
                "isp-a:endpointprop",
                PROPERTIES,
                json!({"properties": ["isp-a:networkmap.pid"], "endpoints": addresses}),
            ),
            Self::query(
                "isp-a:endpointcost",
                ENDPOINTS,
                json!({"cost-type": cost_type, "endpoints": endpoints}),
            ),
        ]
    }

    fn params(&self) -> Value {
        match &self.service {
            None => of(self.id),
            Some((_, input)) => json!({"resource-id": self.id, "input": input}),
        }
    }

    async fn get(&self, node: &TestNode) -> Answer {
        let answer = match &self.service {
            None => node.get(self.path).await,
            Some((service, input)) => service.ask(node, input).await,
        };
        answer.ok(self.media_type);
        answer
    }
}

/// A view, and the text of the resource at each of its versions.
struct Known {
    target: Target,
    view: Tips,
    versions: Vec<String>,
}

/// Starts a node that has changed at random, and returns all versions of its resources. Up to 24
/// versions are all kept.
async fn changed(seed: u64, changes: usize) -> (TestNode, Vec<Known>) {
    let node = TestNode::start().await;
    let mut feed = Changes::begin(&node, seed, 8).await;
    let mut all = Vec::new();
    for target in Target::all() {
        let view = node.tips(&target.params()).await;
        let versions = vec![target.get(&node).await.text().to_owned()];
        all.push(Known {
            target,
            view,
            versions,
        });
    }
    for _ in 0..changes {
        feed.make(&node).await;
        for Known {
            target,
            view,
            versions,
        } in &mut all
        {
            let now = target.get(&node).await.text().to_owned();
            if versions.last() != Some(&now) {
                versions.push(now);
                view.arrived(&node, versions.len() as u64).await;
            }
        }
    }
    (node, all)
}

#[tokio::test]
async fn patches_in_their_order_make_of_the_first_version_what_get_gave_of_each() {
    let (node, all) = changed(11, 22).await;
    for Known {
        target,
        view,
        versions,
    } in all
    {
        assert!(versions.len() > 4, "{} hardly changes", target.id);
        let now = node.tips(&target.params()).await;
        assert_eq!((now.start(), now.end()), (1, versions.len() as u64));
        let first = view.edge(&node, 0, 1).await;
        assert_eq!(
            first.text(),
            versions[0],
            "{}: the whole resource",
            target.id
        );
        let mut document = first.ok(target.media_type);
        for (version, text) in (2..).zip(&versions[1..]) {
            let patch = view.edge(&node, version - 1, version).await;
            assert_eq!(patch.status, 200, "{patch:?}");
            document = led_on(document, &patch);
            assert_eq!(value_text(&document), *text, "{} {version}", target.id);
        }
    }
}

#[tokio::test]
async fn every_way_to_a_version_gives_the_same() {
    let (node, all) = changed(23, 22).await;
    for Known {
        target,
        view,
        versions,
    } in all
    {
        let end = versions.len() as u64;
        let mut documents: BTreeMap<u64, Value> = BTreeMap::new();
        for to in 1..=end {
            for from in 0..to {
                let edge = view.edge(&node, from, to).await;
                let exists = match from {
                    0 => to == 1 || to % 8 == 0,
                    _ => to == from + 1 || (to == from + 8 && to % 8 == 0),
                };
                let status = if exists { 200 } else { 404 };
                assert_eq!(edge.status, status, "{} {from} {to}", target.id);
                if !exists {
                    continue;
                }
                let document = led_on(documents.get(&from).cloned().unwrap_or_default(), &edge);
                let text = &versions[to as usize - 1];
                assert_eq!(value_text(&document), *text, "{} {from} {to}", target.id);
                documents.insert(to, document);
            }
        }
        assert_eq!(documents.len() as u64, end);
    }
}

#[tokio::test]
async fn each_item_has_the_type_of_what_it_is() {
    let (node, all) = changed(5, 12).await;
    for Known {
        target,
        view,
        versions,
    } in all
    {
        view.edge(&node, 0, 1).await.ok(target.media_type);
        for to in 2..=versions.len() as u64 {
            let patch = view.edge(&node, to - 1, to).await;
            let operations = patch.json().is_array();
            patch.ok(if operations { JSON_PATCH } else { MERGE_PATCH });
            assert!(!operations || target.media_type == NETWORK_MAP);
        }
    }
}

#[tokio::test]
async fn a_map_of_many_prefixes_changes_by_json_patches_unless_they_are_off() {
    for (more, media_type) in [
        ("", JSON_PATCH),
        ("[updates]\njson_patches = false\n", MERGE_PATCH),
    ] {
        let node = TestNode::with(more).await;
        let prefixes = |count: u64| (0..count).map(|i| format!("10.{i}.0.0/16"));
        let map =
            |count| json!({"network-map": {"a": {"ipv4": prefixes(count).collect::<Vec<_>>()}}});
        node.put("network-map", &map(99)).await;
        let view = node.tips(&of(MAP)).await;
        let first = view.edge(&node, 0, 1).await.ok(NETWORK_MAP);
        node.put("network-map", &map(100)).await;
        let patch = view.arrived(&node, 2).await;
        patch.ok(media_type);
        let now = node.get("/views/isp-a/networkmap").await;
        assert_eq!(led_on(first, &patch), now.json());
    }
}

#[tokio::test]
async fn an_item_never_changes_and_is_kept_by_caches_for_ever() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let first = view.edge(&node, 0, 1).await;
    set_cost(&node, 77).await;
    let patch = view.arrived(&node, 2).await;
    assert_eq!(view.edge(&node, 0, 1).await.text(), first.text());
    assert_ne!(first.header("etag"), patch.header("etag"));
    for (item, (from, to)) in [(first, (0, 1)), (patch, (1, 2))] {
        let kept = "public, max-age=31536000, immutable";
        assert_eq!(item.header("cache-control"), kept);
        assert_eq!(
            item.header("vary"),
            "accept, accept-encoding, authorization"
        );
        let etag = item.header("etag");
        assert!(
            etag.starts_with('"') && etag.len() > 2,
            "{etag}: a strong tag"
        );
        let uri = view.edge_uri(from, to);
        let again = node.request(Method::GET, &uri);
        let again = again.header("if-none-match", etag).send().await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
        assert_eq!(again.header("etag"), etag);
        let head = node.request(Method::HEAD, &uri).send().await;
        assert_eq!((head.status.as_u16(), head.header("etag")), (200, etag));
    }
}

#[tokio::test]
async fn a_coded_item_has_a_tag_of_its_own_and_decodes_to_the_same() {
    let node = TestNode::start().await;
    Changes::begin(&node, 3, 20).await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let plain = view.edge(&node, 0, 1).await;
    let uri = view.edge_uri(0, 1);
    let coded = node.request(Method::GET, &uri);
    let coded = coded.header("accept-encoding", "gzip").send().await;
    assert_eq!(coded.header("content-encoding"), "gzip");
    assert_ne!(coded.header("etag"), plain.header("etag"));
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&coded.body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("gzip");
    assert_eq!(text, plain.text());
}

#[tokio::test]
async fn edges_are_had_over_http_2_while_the_next_one_is_waited_for() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    let client = client_builder().http2_prior_knowledge().build();
    let client = client.expect("a client");
    let get = |from, to| client.get(view.edge_uri(from, to)).send();
    let poll = tokio::spawn(get(1, 2));
    super::waiting(&node, 1).await;
    // The second request is sent before the answer to the first has come.
    let (late, whole) = (tokio::spawn(get(1, 2)), get(0, 1).await.expect("it"));
    assert_eq!(whole.version(), reqwest::Version::HTTP_2);
    let whole: Value = serde_json::from_slice(&whole.bytes().await.expect("all")).expect("JSON");
    super::waiting(&node, 2).await;
    set_cost(&node, 55).await;
    let mut texts = Vec::new();
    for poll in [poll, late] {
        let patch = poll.await.expect("it ran").expect("an answer");
        assert_eq!(patch.headers()["content-type"], MERGE_PATCH);
        texts.push(patch.bytes().await.expect("all"));
    }
    assert_eq!(texts[0], texts[1]);
    let mut document = whole;
    json_patch::merge(
        &mut document,
        &serde_json::from_slice(&texts[0]).expect("JSON"),
    );
    let now = node.get("/views/isp-a/costmap-routingcost").await;
    assert_eq!(value_text(&document), now.text());
}
