//! A caller does not learn which views exist that it may not read.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::metro::fill;
use crate::support::events::{TIPS_PARAMS, UPDATES};
use crate::support::{Answer, CDN, COST_PARAMS, NOC, OPS, Request, TestNode};

/// Paths below a view, one of each kind, with the types of the bodies that are posted to them.
const PATHS: [(&str, &str); 14] = [
    ("directory", ""),
    ("networkmap", ""),
    ("costmap-routingcost", ""),
    ("filtered-networkmap", COST_PARAMS),
    ("filtered-costmap", COST_PARAMS),
    ("endpointprop", COST_PARAMS),
    ("endpointcost", COST_PARAMS),
    ("no-such-resource", COST_PARAMS),
    ("explain?src=core&dst=east", ""),
    ("updates", UPDATES),
    ("updates/0123456789abcdef0123456789abcdef", UPDATES),
    ("tips", TIPS_PARAMS),
    ("tips/0123456789abcdef0123456789abcdef/ug", TIPS_PARAMS),
    ("tips/0123456789abcdef0123456789abcdef/ug/0/1", ""),
];

/// All of an answer, except what differs between any two answers.
fn told(answer: &Answer) -> (u16, HeaderMap, Vec<u8>) {
    let mut headers = answer.headers.clone();
    for own in ["x-request-id", "date"] {
        headers.remove(own);
    }
    (answer.status.as_u16(), headers, answer.body.clone())
}

async fn asked(
    node: &TestNode,
    secret: Option<&str>,
    (method, view): (&Method, &str),
    (path, media_type): (&str, &str),
) -> Answer {
    let request = node.request(method.clone(), &format!("/views/{view}/{path}"));
    let request = match secret {
        Some(secret) => request.token(secret),
        None => request,
    };
    let body = json!({"pids": []}).to_string();
    request.typed(media_type, body).send().await
}

#[tokio::test]
async fn a_view_that_there_is_not_answers_as_one_that_is_closed() {
    const METHODS: [Method; 5] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::OPTIONS,
        Method::DELETE,
    ];
    let node = TestNode::with("[access]\nviews = [\"merged\"]\n").await;
    fill(&node).await;
    for (secret, status) in [(None, 401), (Some(NOC), 403)] {
        let map = asked(&node, secret, (&Method::GET, "isp-z"), PATHS[1]).await;
        assert_eq!(map.status, status);
        for asks in PATHS {
            for method in &METHODS {
                let closed = asked(&node, secret, (method, "isp-a"), asks).await;
                let told_nothing = ![200, 404].contains(&closed.status.as_u16());
                assert!(told_nothing, "{method} {asks:?}: {closed:?}");
                for view in ["isp-z", "no_label", "a-label-that-is-much-too-long"] {
                    let unknown = asked(&node, secret, (method, view), asks).await;
                    assert_eq!(told(&unknown), told(&closed), "{method} {view} {asks:?}");
                }
            }
        }
    }
    // A caller that may read every view learns which views exist, and what an open view has.
    for view in ["isp-z", "merged"] {
        let path = format!("/views/{view}/no-such-resource");
        let known = node.request(Method::GET, &path).token(CDN).send().await;
        assert_eq!(known.status, 404);
    }
    assert_eq!(node.get("/views/merged/no-such-resource").await.status, 404);
    let open = TestNode::start().await;
    assert_eq!(open.get("/views/isp-z/networkmap").await.status, 404);
}

#[tokio::test]
async fn every_path_below_a_view_is_asked_for_here() {
    let node = TestNode::start().await;
    let described = node.get("/openapi.json").await.json();
    let paths = described["paths"].as_object().expect("paths");
    let mut below = 0;
    for path in paths.keys().filter_map(|path| path.strip_prefix("/views/")) {
        let (_, template) = path.split_once('/').expect("something of a view");
        let fits = |asked: &str| {
            let asked = asked.split('?').next().unwrap_or_default();
            let [asked, template] = [asked, template].map(|path| path.split('/'));
            asked.clone().count() == template.clone().count()
                && asked
                    .zip(template)
                    .all(|(a, t)| a == t || t.starts_with('{'))
        };
        assert!(PATHS.iter().any(|(asked, _)| fits(asked)), "{template}");
        below += 1;
    }
    assert!(below >= 5, "{below}");
}

#[tokio::test]
async fn metrics_do_not_tell_which_views_are_closed() {
    let peer = "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://b.invalid/directory\"\n";
    let node = TestNode::with(&format!("[access]\nviews = [\"merged\"]\n{peer}")).await;
    let metrics = async |node: &TestNode, secret: Option<&str>| {
        let get = node.request(Method::GET, "/metrics");
        let get = match secret {
            Some(secret) => get.token(secret),
            None => get,
        };
        let answer = get.send().await;
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    };
    for secret in [None, Some(NOC)] {
        let told = metrics(&node, secret).await;
        assert!(!told.contains("isp-b"), "{told}");
        assert!(told.contains("altofed_publish_views ") && told.ends_with("# EOF\n"));
    }
    for secret in [OPS, CDN] {
        let told = metrics(&node, Some(secret)).await;
        assert!(told.contains("altofed_federation_peer_failures{peer=\"isp-b\"}"));
    }
    let open = TestNode::with(peer).await;
    assert!(metrics(&open, None).await.contains("{peer=\"isp-b\""));
}

#[tokio::test]
async fn metrics_tell_names_of_sources_to_those_alone_who_feed_or_run_the_node() {
    let node = TestNode::with("[source.noc]\nmax_removed = 0.5\n").await;
    let held = "altofed_ingest_held{source=\"noc\"} 0";
    for (secret, is_told) in [
        (None, false),
        (Some(CDN), false),
        (Some(NOC), true),
        (Some(OPS), true),
    ] {
        let get = node.request(Method::GET, "/metrics");
        let get = secret.into_iter().fold(get, Request::token);
        let answer = get.send().await;
        assert_eq!(answer.text().contains(held), is_told, "{secret:?}");
        assert!(answer.text().ends_with("# EOF\n"));
    }
}

/// The labels of metrics that reveal nothing about who deals with the node.
const OPEN_LABELS: [&str; 6] = ["kind", "le", "reason", "service", "state", "status"];

#[tokio::test]
async fn every_label_of_a_metric_is_known_to_be_for_everybody_or_is_kept_from_some() {
    let peer = "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://b.invalid/directory\"\n";
    let node = TestNode::with(&format!("[source.noc]\nmax_removed = 0.5\n{peer}")).await;
    let get = node.request(Method::GET, "/metrics").token(OPS);
    let text = get.send().await.text().to_owned();
    let labels = text.lines().filter_map(|line| line.split_once('{'));
    let labels = labels.flat_map(|(_, labels)| labels.split("\","));
    let labels = labels.filter_map(|label| Some(label.split_once("=\"")?.0));
    let labels: BTreeSet<&str> = labels.collect();
    let kept = ["peer", "source"];
    assert!(labels.is_superset(&kept.into()), "{labels:?}");
    let known: BTreeSet<&str> = OPEN_LABELS.into_iter().chain(kept).collect();
    assert!(labels.is_subset(&known), "{labels:?}");
}

#[tokio::test]
async fn where_nothing_is_open_the_merged_view_is_closed_for_explain_too() {
    let node = TestNode::with("[access]\nviews = []\n").await;
    fill(&node).await;
    for path in ["/views/merged/explain?src=core&dst=east", "/directory"] {
        assert_eq!(node.get(path).await.status, 401, "{path}");
        let known = node.request(Method::GET, path).token(CDN).send().await;
        assert_ne!(known.status, 401, "{path}");
    }
}
