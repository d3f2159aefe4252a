//! The description of the API, the paths that exist, and the names of the metrics.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::golden;
use crate::support::{JSON, NETWORK_FILTER, OPS, TestNode};

#[tokio::test]
async fn the_description_of_the_api_is_the_golden_one() {
    let node = TestNode::start().await;
    let description = node.get("/openapi.json").await.ok(JSON);
    let text = serde_json::to_string_pretty(&description).expect("JSON");
    golden("openapi.json", &(text + "\n"));
}

#[tokio::test]
async fn the_names_of_the_metrics_are_the_golden_ones() {
    let node = TestNode::start().await;
    // Metrics of requests exist once there was a request.
    node.get("/livez").await;
    let metrics = node.get("/metrics").await;
    let mut kinds = BTreeMap::new();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.text().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["#", "TYPE", name, kind] => drop(kinds.insert(name.to_owned(), kind.to_owned())),
            ["#", ..] => {}
            _ => {
                let (sample, _) = line.split_once('}').unwrap_or((words[0], ""));
                let (name, pairs) = sample.split_once('{').unwrap_or((sample, ""));
                let suffixes = ["_total", "_bucket", "_sum", "_count"];
                let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
                let names = pairs.split("\",").filter_map(|pair| pair.split_once("=\""));
                let labels = labels.entry(family.unwrap_or(name).to_owned()).or_default();
                labels.extend(names.map(|(name, _)| name.to_owned()));
            }
        }
    }
    let described = kinds.iter().map(|(name, kind)| {
        assert!(name.starts_with("altofed_"), "{name}");
        let labels = labels.get(name).into_iter().flatten();
        let labels: Vec<&str> = labels
            .map(String::as_str)
            .filter(|label| *label != "le")
            .collect();
        format!("{name} {kind} {}", labels.join(","))
            .trim_end()
            .to_owned()
            + "\n"
    });
    golden("metrics.txt", &described.collect::<String>());
}

const METHODS: [Method; 6] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::TRACE,
];

/// Returns a path of the description with values for its parameters.
fn concrete(path: &str, method: &Method) -> String {
    let resource = if *method == Method::POST {
        "filtered-networkmap"
    } else {
        "networkmap"
    };
    path.replace("{metric}", "routingcost")
        .replace("{revision}", "1")
        .replace("{digest}", &"00".repeat(32))
        .replace("{domain}", "isp-b")
        .replace("{view}", "merged")
        .replace("{resource}", resource)
}

async fn paths(node: &TestNode) -> serde_json::Map<String, Value> {
    let description = node.get("/openapi.json").await.json();
    description["paths"].as_object().expect("paths").clone()
}

#[tokio::test]
async fn whatever_is_described_is_there_and_nothing_else_is() {
    let node = TestNode::start().await;
    node.put("network-map", &json!({"network-map": {}})).await;
    for (path, operations) in paths(&node).await {
        for method in METHODS {
            let name = method.as_str().to_ascii_lowercase();
            let url = concrete(&path, &method);
            let described = operations.get(&name).is_some();
            let request = || {
                let request = node.request(method.clone(), &url).token(OPS);
                match url.starts_with("/views/") {
                    true => request.typed(NETWORK_FILTER, "{\"pids\":[]}"),
                    false => request.typed(JSON, "{}"),
                }
            };
            // A document must exist to be read or deleted.
            if let Some(document) = url.strip_prefix("/n2s/v1/")
                && operations.get("put").is_some()
            {
                let member = match document {
                    "network-map" => "network-map",
                    "properties" => "property-map",
                    "interconnects" => "interconnects",
                    _ => "cost-map",
                };
                let body = json!({member: {}});
                let put = node.n2s(OPS, Method::PUT, document, Some(&body));
                assert!(put.send().await.status.is_success(), "{url}");
            }
            let answer = request().send().await;
            let status = answer.status.as_u16();
            // A thing that is named in the path may not exist although the path does.
            let by_name =
                ["blob", "domain", "peer"].map(|kind| format!("urn:altofed:problem:{kind}"));
            let nothing = match status {
                404 if ["{stream}", "{name}"]
                    .iter()
                    .any(|name| path.contains(name)) =>
                {
                    false
                }
                404 => !by_name.iter().any(|kind| answer.text().contains(kind)),
                status => status == 405,
            };
            assert_eq!(!nothing, described, "{method} {url}: {status}");
            if !described {
                assert_eq!(status, 405, "{method} {url}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_near_a_path_is_not_found() {
    let node = TestNode::start().await;
    let known = paths(&node).await;
    let mut near = BTreeSet::from(["/".to_owned(), "/index.html".to_owned()]);
    for path in known.keys() {
        let path = concrete(path, &Method::GET);
        near.insert(format!("{path}/"));
        near.insert(format!("{path}/x"));
        near.insert(format!("{path}x"));
        near.insert(format!("/{path}"));
        near.insert(path.to_uppercase());
        near.insert(path.replace("/v1/", "/v2/"));
        for (at, _) in path.match_indices('/').skip(1) {
            near.insert(path[..at].to_owned());
            near.insert(path[..=at].to_owned());
        }
    }
    let mut real: BTreeSet<String> = known
        .keys()
        .flat_map(|path| [Method::GET, Method::POST].map(|method| concrete(path, &method)))
        .collect();
    // These are resources, with more paths below them.
    real.extend([
        "/views/merged/tips".to_owned(),
        "/views/merged/updates".to_owned(),
    ]);
    for path in near.difference(&real) {
        for method in [Method::GET, Method::POST, Method::PUT] {
            let answer = node.request(method.clone(), path).token(OPS).send().await;
            let status = answer.status.as_u16();
            assert!(matches!(status, 404 | 405), "{method} {path}: {answer:?}");
            // A GET is 405 only below these paths, which have a parameter.
            let parametrised = [
                "/s2s/v1/domains/",
                "/views/merged/tips",
                "/views/merged/updates",
            ]
            .iter()
            .any(|parent| path.starts_with(parent));
            assert!(
                status == 404 || method != Method::GET || parametrised,
                "{path}"
            );
        }
    }
}
