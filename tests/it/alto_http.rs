//! ALTO resources as HTTP resources (RFC 9110, 9111, 9113, 9530), and their
//! canonical bodies (RFC 8785).

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Version};
use serde_json::{Value, json};

use crate::metro::{
    COST_MAP, COSTS, DIRECTORY, ENDPOINTS, ERROR, MAP_ID, NETWORK, PROPERTIES, Service, VALUE,
    canonical_text, directories, entries, fault, metro, rc,
};
use crate::support::{Answer, NOC, TestNode, client_builder};

/// Starts a node with maps that are long enough to be worth compressing.
async fn large() -> TestNode {
    let node = TestNode::start().await;
    let pid = |i: usize| {
        (
            format!("pid-{i:03}"),
            json!({"ipv4": [format!("10.{i}.0.0/16")]}),
        )
    };
    let map: serde_json::Map<String, Value> = (0..120).map(pid).collect();
    node.put("network-map", &json!({"network-map": map})).await;
    let row = |src: usize| {
        let cost = |dst: usize| (format!("pid-{dst:03}"), json!((src * dst) as f64 / 8.0));
        let row: serde_json::Map<String, Value> = (0..120).map(cost).collect();
        (format!("pid-{src:03}"), Value::Object(row))
    };
    let costs: serde_json::Map<String, Value> = (0..120).map(row).collect();
    node.put("cost-maps/routingcost", &json!({"cost-map": costs}))
        .await;
    node
}

/// Returns every path of the node that is read by GET.
async fn gets(node: &TestNode) -> Vec<String> {
    let directories = directories(node).await;
    let entries = entries(&directories);
    let by_get = entries
        .iter()
        .filter(|entry| entry.text("accepts").is_empty());
    let mut urls: Vec<String> = by_get.map(|entry| entry.text("uri").to_owned()).collect();
    urls.extend(directories.into_keys());
    urls.sort();
    urls.dedup();
    urls
}

async fn get(node: &TestNode, url: &str, headers: &[(&str, &str)]) -> Answer {
    let request = node.request(Method::GET, url);
    let with = |request: crate::support::Request, (name, value): &(&str, &str)| {
        request.header(name, value)
    };
    headers.iter().fold(request, with).send().await
}

/// Returns the first 32 hexadecimal digits of the SHA-256.
fn tag(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn bodies_are_canonical_json() {
    let node = metro().await;
    let odd = json!({"cost-map": {"core": {"east": 1e21, "lab": 0.000001}, "east": {"lab": 1e-7, "core": 333333333.3333333}, "lab": {"lab": 4.5, "core": -0.0, "east": 9007199254740993.0}}});
    node.put("cost-maps/priv:odd", &odd).await;
    node.put(
        "properties",
        &json!({"property-map": {"ipv4:10.0.0.0/8": {"priv:t": "\u{8}\"\\\u{1f}é\u{1f600}/"}}}),
    )
    .await;
    let mut bodies = Vec::new();
    for url in gets(&node).await {
        bodies.push(node.get(&url).await);
    }
    let pid = format!("{MAP_ID}.pid");
    let pair =
        json!({"srcs": ["ipv4:10.20.1.1"], "dsts": ["ipv6:2001:db8:30::1", "ipv4:10.20.30.1"]});
    let multi = json!([rc(), {"cost-metric": "priv:odd", "cost-mode": "numerical"}]);
    let queries: [(Service, Value); 6] = [
        (NETWORK, json!({"pids": ["lab", "core"]})),
        (
            COSTS,
            json!({"cost-type": rc(), "pids": {"srcs": ["east", "core"], "dsts": []}}),
        ),
        (COSTS, json!({"multi-cost-types": multi})),
        (
            PROPERTIES,
            json!({"properties": ["priv:t", pid], "endpoints": ["ipv6:::1", "ipv4:10.0.0.1"]}),
        ),
        (ENDPOINTS, json!({"cost-type": rc(), "endpoints": pair})),
        (
            ENDPOINTS,
            json!({"multi-cost-types": multi, "endpoints": pair}),
        ),
    ];
    for (service, query) in queries {
        bodies.push(service.ask(&node, query).await);
    }
    bodies.push(NETWORK.ask(&node, json!({"pids": ["a b\n"]})).await);
    for answer in bodies {
        assert_eq!(answer.text(), canonical_text(&answer.json()));
    }
}

#[tokio::test]
async fn tags_and_digests_are_the_hashes_they_are_said_to_be() {
    let mut node = large().await;
    let mut of_inputs = BTreeMap::new();
    for _ in 0..2 {
        for url in gets(&node).await {
            let answer = node.get(&url).await;
            let body = answer.json();
            let of = match body.get("network-map") {
                // The only tag that is made from the data member alone.
                Some(map) => canonical_text(&json!({"network-map": map})).into_bytes(),
                None => answer.body.clone(),
            };
            let tag = tag(&of);
            match url.split_once("/views/merged/costmap-") {
                // Composed costs are tagged by what they are composed of, so that the tag is the
                // same after a restart.
                Some((_, metric)) => {
                    let etag = answer.header("etag").to_owned();
                    let first = of_inputs.entry(metric.to_owned()).or_insert(etag.clone());
                    assert_eq!(*first, etag, "{url}");
                }
                None => assert_eq!(answer.header("etag"), format!("\"{tag}\""), "{url}"),
            }
            if let Some(vtag) = body["meta"].get("vtag") {
                assert_eq!(vtag["tag"], tag);
            }
            let hash = STANDARD.encode(digest(&SHA256, &answer.body));
            assert_eq!(
                answer.header("repr-digest"),
                format!("sha-256=:{hash}:"),
                "{url}"
            );
        }
        node.restart().await;
    }
}

#[tokio::test]
async fn a_client_that_has_a_representation_is_told_so_in_each_coding() {
    let node = large().await;
    for url in gets(&node).await {
        let mut etags = Vec::new();
        for coding in ["identity", "gzip", "zstd"] {
            let headers = [("accept-encoding", coding)];
            let answer = get(&node, &url, &headers).await;
            let etag = answer.header("etag").to_owned();
            assert!(
                etag.starts_with('"') && etag.ends_with('"'),
                "{etag} is not strong"
            );
            for condition in [
                etag.clone(),
                format!("W/{etag}"),
                format!("\"x\", {etag}"),
                "*".into(),
            ] {
                let headers = [("accept-encoding", coding), ("if-none-match", &condition)];
                let same = get(&node, &url, &headers).await;
                assert_eq!(same.status, 304, "{url} {coding} {condition}");
                assert!(same.body.is_empty());
                for header in ["etag", "vary", "cache-control"] {
                    assert_eq!(same.header(header), answer.header(header), "{header}");
                }
                assert!(!same.headers.contains_key("content-type"));
            }
            let headers = [("accept-encoding", coding), ("if-none-match", "\"other\"")];
            assert_eq!(get(&node, &url, &headers).await.status, 200);
            if answer.header("content-encoding") == coding || coding == "identity" {
                etags.push(etag);
            }
        }
        let coded = etags.len();
        etags.sort();
        etags.dedup();
        assert_eq!(etags.len(), coded, "{url}: two codings share {etags:?}");
    }
}

#[tokio::test]
async fn codings_are_those_that_the_client_takes_and_decode_to_the_same_bytes() {
    let node = large().await;
    let url = "/views/isp-a/costmap-routingcost";
    let plain = node.get(url).await;
    assert_eq!(plain.header("content-encoding"), "");
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.1", "gzip"),
        ("GZIP", "gzip"),
        ("br, deflate", ""),
        ("identity", ""),
        ("", ""),
        ("gzip;q=0", ""),
    ] {
        let answer = get(&node, url, &[("accept-encoding", accepted)]).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );
        assert!(coding.is_empty() || answer.body.len() < plain.body.len() / 2);
        assert_eq!(answer.decoded(), plain.body, "{accepted}");
        assert!(answer.header("vary").contains("accept-encoding"));
        assert_eq!(
            answer.headers.contains_key("repr-digest"),
            coding.is_empty()
        );
    }
    let none = get(&node, url, &[("accept-encoding", "identity;q=0")]).await;
    assert_eq!(none.status, 406);
    // Answers to queries are compressed too.
    let query = json!({"cost-type": rc()}).to_string();
    let request = node
        .request(Method::POST, COSTS.path)
        .header("accept-encoding", "gzip");
    let answer = request.typed(COSTS.accepts, query).send().await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.decoded(), plain.body);
}

#[tokio::test]
async fn head_says_what_get_would_say_without_the_body() {
    let node = large().await;
    for url in gets(&node).await {
        for coding in ["identity", "gzip"] {
            let got = get(&node, &url, &[("accept-encoding", coding)]).await;
            let request = node
                .request(Method::HEAD, &url)
                .header("accept-encoding", coding);
            let head = request.send().await;
            assert_eq!(head.status, 200, "{url}");
            assert!(head.body.is_empty());
            assert_eq!(
                head.header("content-length"),
                got.body.len().to_string(),
                "{url} {coding}"
            );
            for header in [
                "content-type",
                "content-encoding",
                "etag",
                "repr-digest",
                "vary",
                "last-modified",
            ] {
                assert_eq!(head.header(header), got.header(header), "{url} {header}");
            }
        }
    }
}

#[tokio::test]
async fn a_type_that_the_client_does_not_take_is_406() {
    let node = metro().await;
    let url = "/views/isp-a/costmap-routingcost";
    for accept in [
        "*/*",
        "application/*",
        COST_MAP,
        "Application/ALTO-CostMap+JSON",
        "application/alto-costmap+json; charset=utf-8, application/alto-error+json",
        "text/html, */*;q=0.1",
    ] {
        let answer = get(&node, url, &[("accept", accept)]).await;
        assert_eq!(answer.status, 200, "{accept}");
        assert_eq!(answer.header("content-type"), COST_MAP, "no parameters");
    }
    for accept in [
        "text/html",
        "application/json",
        ERROR,
        "application/alto-networkmap+json",
        "*/*;q=0",
    ] {
        assert_eq!(
            get(&node, url, &[("accept", accept)]).await.status,
            406,
            "{accept}"
        );
        assert_eq!(
            get(&node, "/directory", &[("accept", accept)]).await.status,
            406,
            "{accept}"
        );
        let request = node
            .request(Method::POST, COSTS.path)
            .header("accept", accept);
        let query = json!({"cost-type": rc()}).to_string();
        let answer = request.typed(COSTS.accepts, query).send().await;
        assert_eq!(answer.status, 406, "{accept}");
    }
    assert_eq!(
        get(&node, "/directory", &[("accept", DIRECTORY)])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_query_of_another_type_is_415() {
    let node = metro().await;
    let query = json!({"cost-type": rc()}).to_string();
    let post = async |content_type: &'static str| {
        let answer = node.post(COSTS.path, content_type, query.clone()).await;
        answer.status.as_u16()
    };
    for good in [
        "application/alto-costmapfilter+json",
        "Application/Alto-CostMapFilter+JSON",
        "application/alto-costmapfilter+json; charset=utf-8",
        "application/alto-costmapfilter+json;charset=\"utf-8\"",
    ] {
        assert_eq!(post(good).await, 200, "{good}");
    }
    for bad in [
        "application/json",
        "application/alto-endpointcostparams+json",
        "application/alto-costmap+json",
        "text/plain",
        "",
    ] {
        assert_eq!(post(bad).await, 415, "{bad}");
    }
    let untyped = node.request(Method::POST, COSTS.path).send().await;
    assert_eq!(untyped.status, 415);
    assert!(untyped.body.is_empty() || untyped.header("content-type") == ERROR);
}

#[tokio::test]
async fn methods_that_a_resource_lacks_are_405_with_those_it_has() {
    let node = metro().await;
    for entry in entries(&directories(&node).await) {
        let by_get = entry.text("accepts").is_empty();
        let allowed: &[&str] = if by_get {
            &["GET", "HEAD", "OPTIONS"]
        } else {
            &["POST", "OPTIONS"]
        };
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            if allowed.contains(&method.as_str()) {
                continue;
            }
            let answer = node.request(method.clone(), entry.text("uri")).send().await;
            assert_eq!(answer.status, 405, "{method} {}", entry.id);
            let named: Vec<&str> = answer.header("allow").split(", ").collect();
            assert_eq!(named, allowed, "{method} {}", entry.id);
        }
        let options = node
            .request(Method::OPTIONS, entry.text("uri"))
            .send()
            .await;
        assert_eq!(options.status, 204);
        assert_eq!(
            options.header("allow").split(", ").collect::<Vec<_>>(),
            allowed
        );
    }
    for method in [Method::OPTIONS, Method::PUT] {
        let answer = node.request(method, "/views/isp-a/nothing").send().await;
        assert_eq!(answer.status, 404, "what is not there has no methods");
    }
}

#[tokio::test]
async fn caches_may_keep_a_map_and_must_ask_whether_it_still_holds() {
    let node = metro().await;
    for url in gets(&node).await {
        let answer = node.get(&url).await;
        assert_eq!(answer.header("cache-control"), "public, no-cache", "{url}");
        let vary = answer.header("vary");
        assert!(
            vary.contains("accept-encoding") && vary.contains("authorization"),
            "{vary}"
        );
    }
    let answer = COSTS.ask(&node, json!({"cost-type": rc()})).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let closed = TestNode::with("[access]\nquery = \"token\"\n").await;
    let request = closed
        .request(Method::GET, "/directory")
        .token(crate::support::CDN);
    assert_eq!(
        request.send().await.header("cache-control"),
        "private, no-cache"
    );
    assert_eq!(closed.get("/directory").await.status, 401);
    assert_eq!(
        closed
            .request(Method::GET, "/directory")
            .token(NOC)
            .send()
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_know_it() {
    let node = large().await;
    let client = client_builder()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let url = format!("{}/views/isp-a/costmap-routingcost", node.url);
    let get = client.get(&url).send().await.expect("an answer");
    assert_eq!(
        (get.version(), get.status().as_u16()),
        (Version::HTTP_2, 200)
    );
    let plain = node.get("/views/isp-a/costmap-routingcost").await;
    assert_eq!(get.bytes().await.expect("a body").to_vec(), plain.body);
    let query = json!({"cost-type": rc()}).to_string();
    let post = client
        .post(format!("{}{}", node.url, COSTS.path))
        .header("content-type", COSTS.accepts);
    let answer = post.body(query).send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], COST_MAP);
    assert_eq!(answer.bytes().await.expect("a body").to_vec(), plain.body);
    let head = client.head(&url).send().await.expect("an answer");
    assert_eq!(
        head.headers()["content-length"],
        plain.body.len().to_string()
    );
}

#[tokio::test]
async fn a_query_over_the_limit_is_413_and_one_too_deep_an_alto_error() {
    let node = TestNode::with("[bodies]\nmax_query_bytes = 1000\n").await;
    let long = json!({"pids": vec!["p".repeat(60); 30]});
    let answer = NETWORK.ask(&node, &long).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (413, ERROR)
    );
    let deep = format!("{{\"pids\":[],\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    assert_eq!(
        fault(&NETWORK.ask(&node, deep).await).0,
        crate::metro::SYNTAX
    );
    let query = json!({"pids": ["a b"]});
    NETWORK
        .refuses(&node, &[(query, VALUE, "pids", "a b")])
        .await;
}
