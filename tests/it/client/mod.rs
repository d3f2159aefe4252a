//! The client against servers that are not ours: small, odd but legal, or wrong.

mod server;

use std::io::Write;
use std::net::IpAddr;

use altofed::client::{Client, ClientError, Options, Wanted};
use altofed::runtime::Clock;
use serde_json::{Value, json};
use url::Url;

use crate::metro::{
    COST_MAP, DIRECTORY, ENDPOINT_COSTS, ENDPOINT_PROPERTIES, ERROR, MAP_ID, NETWORK_MAP, metro,
};
use crate::support::{COST_FILTER, COST_PARAMS, PROPERTY_PARAMS};

use server::{Reply, Server, reply};

fn num() -> Value {
    json!({"num": {"cost-metric": "routingcost", "cost-mode": "numerical"}})
}

fn wanted() -> Wanted {
    Wanted {
        metric: "routingcost".into(),
        mode: "numerical".into(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Makes a directory with these `resources`.
fn directory(resources: Value) -> Reply {
    let meta = json!({"default-alto-network-map": "m", "cost-types": num()});
    reply(DIRECTORY, &json!({"meta": meta, "resources": resources}))
}

fn map_entry(uri: &str) -> Value {
    json!({"uri": uri, "media-type": NETWORK_MAP})
}

fn network_map(groups: Value) -> Reply {
    reply(
        NETWORK_MAP,
        &json!({"meta": {"vtag": {"resource-id": "m", "tag": "1"}}, "network-map": groups}),
    )
}

#[tokio::test]
async fn uris_are_resolved_against_the_uri_of_their_directory() {
    let cases = [
        ("map", "/alto/map"),
        ("./map", "/alto/map"),
        ("/map", "/map"),
        ("../other/map?x=1", "/other/map?x=1"),
        ("?q", "/alto/directory?q"),
    ];
    for (uri, path) in cases {
        let server = Server::start([
            ("/alto/directory", directory(json!({"m": map_entry(uri)}))),
            (path, network_map(json!({"a": {"ipv4": ["10.0.0.0/8"]}}))),
        ])
        .await;
        let directory = server.directory().await.expect("a directory");
        let resource = directory.network_map(None).expect("the default");
        let map = server.client().network_map(resource).await.expect(uri);
        assert_eq!(map.groups.len(), 1);
    }
    // A directory that moved is found at its new place.
    let moved = Reply {
        status: 302,
        headers: vec![("location", "/new/place/directory".into())],
        body: vec![],
    };
    let server = Server::start([
        ("/alto/directory", moved),
        (
            "/new/place/directory",
            directory(json!({"m": map_entry("map")})),
        ),
        ("/new/place/map", network_map(json!({}))),
    ])
    .await;
    let directory = server.directory().await.expect("a directory");
    let resource = directory.network_map(None).expect("the default");
    assert_eq!(resource.url.path(), "/new/place/map");
    server
        .client()
        .network_map(resource)
        .await
        .expect("the map");
}

#[tokio::test]
async fn delegated_directories_are_read_once_each_also_in_a_loop() {
    let to = |uri: &str| json!({"uri": uri, "media-type": DIRECTORY});
    // Names of cost types are local to each directory.
    let inner = json!({
        "meta": {"cost-types": {"num": {"cost-metric": "hopcount", "cost-mode": "ordinal"}}},
        "resources": {
            "back": to("../directory"),
            "itself": to("directory"),
            "hops": {"uri": "hops", "media-type": COST_MAP, "uses": ["m"], "capabilities": {"cost-type-names": ["num", "undefined"]}},
        },
    });
    let server = Server::start([
        ("/alto/directory", directory(json!({"m": map_entry("map"), "down": to("inner/directory"), "again": to("/alto/inner/directory")}))),
        ("/alto/inner/directory", reply(DIRECTORY, &inner)),
    ])
    .await;
    let directory = server.directory().await.expect("a directory");
    assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
    assert_eq!(
        directory.default_network_map.as_deref(),
        Some("m"),
        "the root's"
    );
    let hops = directory.get("hops").expect("delegated");
    assert_eq!(hops.url.path(), "/alto/inner/hops");
    assert_eq!(hops.cost_types.len(), 1);
    assert_eq!(hops.cost_types[0].cost_metric, "hopcount");
}

#[tokio::test]
async fn what_is_not_known_is_ignored_and_what_is_kept_is_kept() {
    let odd = json!({
        "x": [1, {"y": null}],
        "meta": {
            "cost-types": {
                "num": {"cost-metric": "routingcost", "cost-mode": "numerical", "description": "d", "cost-context": {"cost-source": "sla"}},
                "pv": {"cost-metric": "ane-path", "cost-mode": "array"},
                "tier": {"cost-metric": "priv:tier", "cost-mode": "priv:label"},
            },
            "x": 1,
        },
        "resources": {
            "m": {"uri": "map", "media-type": NETWORK_MAP, "x": {}, "capabilities": {"x": true}},
            "pv": {"uri": "pv", "media-type": "multipart/related;type=application/alto-costmap+json", "accepts": COST_FILTER, "capabilities": {"cost-type-names": ["pv"], "ane-property-names": ["a"]}, "uses": ["m"]},
            "stream": {"uri": "s", "media-type": "text/event-stream", "accepts": "application/alto-updatestreamparams+json", "capabilities": {"incremental-change-media-types": {"m": "application/merge-patch+json"}}, "uses": ["m"]},
            "c": {"uri": "costs", "media-type": COST_MAP, "uses": ["m"], "capabilities": {"cost-type-names": ["num"]}},
        },
    });
    let map = json!({
        "meta": {"vtag": {"resource-id": "m", "tag": "1", "x": 0}, "x": {}},
        "network-map": {"a": {"ipv4": ["10.0.0.0/8"], "eth": ["00-11"], "x": {"y": 1}}, "b": {"eth": ["22"]}, "c": {}},
        "x": [],
    });
    let costs = json!({
        "meta": {"dependent-vtags": [{"resource-id": "m", "tag": "1"}], "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"}, "x": 1},
        "cost-map": {"a": {"b": 1, "zz": 2.5}, "elsewhere": {"a": 1e-3}},
        "x": null,
    });
    let server = Server::start([
        ("/alto/directory", reply(DIRECTORY, &odd)),
        ("/alto/map", reply(NETWORK_MAP, &map)),
        ("/alto/costs", reply(COST_MAP, &costs)),
    ])
    .await;
    let (client, directory) = (
        server.client(),
        server.directory().await.expect("a directory"),
    );
    assert_eq!(directory.resources().count(), 4);
    // No default is named, but there is only one map.
    let resource = directory.network_map(None).expect("the only one");
    let map = client.network_map(resource).await.expect("a map");
    let names: Vec<&str> = map.groups.keys().map(|pid| pid.as_str()).collect();
    assert_eq!(
        names,
        ["a", "b", "c"],
        "a PID without a known address is a PID"
    );
    let costs = client
        .cost_map(&directory, resource, &wanted())
        .await
        .expect("costs");
    assert_eq!(costs.costs.get("elsewhere", "a"), Some(0.001));
    assert_eq!(costs.costs.get("a", "zz"), Some(2.5));
}

#[tokio::test]
async fn legal_json_in_any_spelling_is_read() {
    let text = "\u{20}\r\n{ \"network-map\" : {\"\\u0061\":{\"ipv6\":[\"2001:DB8::\\/32\"] , \"ipv4\":[]}},\t\"meta\":{\"vtag\":{\"tag\":\"\\u0031\",\"resource-id\":\"m\"}} }\n";
    let spelt = Reply {
        body: text.as_bytes().to_vec(),
        ..network_map(json!({}))
    };
    let costs = r#"{"meta":{"dependent-vtags":[],"cost-type":{"cost-metric":"routingcost","cost-mode":"numerical"}},"cost-map":{"a":{"a":1E+2,"b":-0.0,"c":0.1e1}}}"#;
    let server = Server::start([
        ("/alto/directory", directory(json!({"m": map_entry("map"), "c": {"uri": "costs", "media-type": COST_MAP, "uses": ["m"], "capabilities": {"cost-type-names": ["num"]}}}))),
        ("/alto/map", Reply { headers: vec![("content-type", "Application/ALTO-NetworkMap+JSON; charset=utf-8".into())], ..spelt }),
        ("/alto/costs", Reply { body: costs.into(), ..reply(COST_MAP, &json!({})) }),
    ])
    .await;
    let (client, directory) = (
        server.client(),
        server.directory().await.expect("a directory"),
    );
    let resource = directory.network_map(None).expect("the default");
    let map = client.network_map(resource).await.expect("a map");
    let group = map.groups.values().next().expect("one");
    assert_eq!(
        group
            .prefixes()
            .map(|net| net.to_string())
            .collect::<Vec<_>>(),
        ["2001:db8::/32"]
    );
    let costs = client
        .cost_map(&directory, resource, &wanted())
        .await
        .expect("costs");
    assert_eq!(
        ["a", "b", "c"].map(|dst| costs.costs.get("a", dst)),
        [Some(100.0), Some(0.0), Some(1.0)]
    );
}

#[tokio::test]
async fn coded_bodies_are_decoded_within_the_limit() {
    let plain = network_map(json!({"a": {"ipv4": ["10.0.0.0/8"]}}));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&plain.body).expect("memory");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 4 * 1024 * 1024])
        .expect("memory");
    let coded = |coding: &str, body: Vec<u8>| Reply {
        headers: vec![
            ("content-type", NETWORK_MAP.into()),
            ("content-encoding", coding.into()),
        ],
        body,
        status: 200,
    };
    let server = Server::start([
        ("/alto/directory", directory(json!({"m": map_entry("gzip"), "z": map_entry("zstd"), "b": map_entry("bomb"), "t": map_entry("cut")}))),
        ("/alto/gzip", coded("gzip", gzip.finish().expect("memory"))),
        ("/alto/zstd", coded("zstd", zstd::encode_all(&plain.body[..], 3).expect("memory"))),
        ("/alto/bomb", coded("gzip", bomb.finish().expect("memory"))),
        ("/alto/cut", coded("gzip", vec![0x1f, 0x8b, 8, 0])),
    ])
    .await;
    let directory = server.directory().await.expect("a directory");
    let small = Options {
        max_bytes: 100_000,
        ..Options::default()
    };
    let client = Client::new(&server.url, &small, Clock::system()).expect("a client");
    for id in ["m", "z"] {
        let map = client
            .network_map(directory.get(id).expect("there"))
            .await
            .expect(id);
        assert_eq!(map.groups.len(), 1);
    }
    let bomb = client.network_map(directory.get("b").expect("there")).await;
    assert!(matches!(
        bomb,
        Err(ClientError::TooLarge { limit: 100_000, .. })
    ));
    let cut = client.network_map(directory.get("t").expect("there")).await;
    assert!(matches!(cut, Err(ClientError::Transport { .. })));
}

#[tokio::test]
async fn a_response_of_another_type_is_refused_by_name() {
    let page = Reply {
        headers: vec![("content-type", "text/html".into())],
        ..network_map(json!({}))
    };
    let untyped = Reply {
        headers: vec![],
        ..network_map(json!({}))
    };
    let server = Server::start([
        ("/alto/directory", directory(json!({"m": map_entry("map"), "d": map_entry("directory"), "u": map_entry("untyped")}))),
        ("/alto/map", page),
        ("/alto/untyped", untyped),
    ])
    .await;
    let directory = server.directory().await.expect("a directory");
    for (id, type_found) in [("m", "text/html"), ("d", DIRECTORY), ("u", "")] {
        let refused = server
            .client()
            .network_map(directory.get(id).expect("there"))
            .await;
        match refused.err() {
            Some(ClientError::MediaType { found, wanted, .. }) => {
                assert_eq!((found.as_str(), wanted), (type_found, NETWORK_MAP));
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_alto_error_is_told_with_all_it_says_and_other_errors_by_their_status() {
    let error = json!({"meta": {"code": "E_INVALID_FIELD_VALUE", "field": "cost-type/cost-mode", "value": "fuzzy", "x": 1}, "y": 2});
    let alto = Reply {
        status: 400,
        ..reply(ERROR, &error)
    };
    let page = Reply {
        status: 503,
        headers: vec![("content-type", "text/html".into())],
        body: b"<h1>later</h1>".to_vec(),
    };
    let server = Server::start([
        (
            "/alto/directory",
            directory(
                json!({"m": map_entry("alto"), "p": map_entry("page"), "n": map_entry("none")}),
            ),
        ),
        ("/alto/alto", alto),
        ("/alto/page", page),
    ])
    .await;
    let directory = server.directory().await.expect("a directory");
    let told = async |id: &str| {
        server
            .client()
            .network_map(directory.get(id).expect("there"))
            .await
            .err()
            .expect("an error")
    };
    let error = told("m").await;
    assert!(matches!(error, ClientError::Alto { status: 400, .. }));
    let text = error.to_string();
    for part in ["E_INVALID_FIELD_VALUE", "cost-type/cost-mode", "fuzzy"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(matches!(
        told("p").await,
        ClientError::Status { status: 503, .. }
    ));
    assert!(matches!(
        told("n").await,
        ClientError::Status { status: 404, .. }
    ));
}

#[tokio::test]
async fn a_body_that_breaks_its_types_rules_is_refused_with_the_place() {
    let entry = |uri: &str| json!({"uri": uri, "media-type": COST_MAP, "uses": [uri], "capabilities": {"cost-type-names": ["num"]}});
    let costs = |text: &str| {
        let body = format!(
            r#"{{"meta":{{"dependent-vtags":[],"cost-type":{{"cost-metric":"routingcost","cost-mode":"numerical"}}}},"cost-map":{text}}}"#
        );
        Reply {
            body: body.into(),
            ..reply(COST_MAP, &json!({}))
        }
    };
    let server = Server::start([
        ("/alto/directory", directory(json!({"m": map_entry("map"), "text": entry("text"), "array": entry("array"), "twice": entry("twice"), "cut": entry("cut"), "bare": entry("bare")}))),
        ("/alto/map", network_map(json!({"a": {"ipv4": ["10.0.0.0/8", "10.0.0.1/8"]}}))),
        ("/alto/text", costs(r#"{"a":{"b":"4"}}"#)),
        ("/alto/array", costs(r#"{"a":{"b":[4]}}"#)),
        ("/alto/twice", costs(r#"{"a":{"b":4},"a":{}}"#)),
        ("/alto/cut", costs(r#"{"a":{"b":4}"#)),
        ("/alto/bare", reply(COST_MAP, &json!({"cost-map": {}}))),
    ])
    .await;
    let (client, directory) = (
        server.client(),
        server.directory().await.expect("a directory"),
    );
    let map = client
        .network_map(directory.get("m").expect("there"))
        .await
        .err()
        .expect("host bits");
    assert!(map.to_string().contains("/network-map/a/ipv4/1"), "{map}");
    for (id, place) in [
        ("text", "/cost-map/a/b"),
        ("array", "/cost-map/a/b"),
        ("twice", "/cost-map/a"),
        ("cut", "JSON"),
        ("bare", "/meta"),
    ] {
        let network = directory.get(id).expect("there");
        let refused = client
            .cost_map(&directory, network, &wanted())
            .await
            .err()
            .expect(id);
        assert!(
            matches!(refused, ClientError::Faulty { .. }),
            "{id}: {refused}"
        );
        assert!(refused.to_string().contains(place), "{id}: {refused}");
    }
}

#[tokio::test]
async fn queries_are_posted_with_their_type_to_what_offers_them() {
    let post = |uri: &str, media_type: &str, accepts: &str, capabilities: Value| json!({"uri": uri, "media-type": media_type, "accepts": accepts, "uses": ["m"], "capabilities": capabilities});
    let meta = json!({"cost-type": num()["num"], "dependent-vtags": []});
    let server = Server::start([
        (
            "/alto/directory",
            directory(json!({
                "m": map_entry("map"),
                "f": post("filter", COST_MAP, COST_FILTER, json!({"cost-type-names": ["num"]})),
                "e": post("costs", ENDPOINT_COSTS, COST_PARAMS, json!({"cost-type-names": ["num"]})),
                "p": post("pids", ENDPOINT_PROPERTIES, PROPERTY_PARAMS, json!({"prop-types": ["m.pid"]})),
            })),
        ),
        ("/alto/filter", reply(COST_MAP, &json!({"meta": meta, "cost-map": {"a": {"b": 2}}}))),
        // RFC 7285 §10.4: the server may write an address differently.
        ("/alto/costs", reply(ENDPOINT_COSTS, &json!({"meta": meta, "endpoint-cost-map": {"ipv4:192.0.2.7": {"ipv6:2001:DB8:0::1": 3}}}))),
        ("/alto/pids", reply(ENDPOINT_PROPERTIES, &json!({"meta": meta, "endpoint-properties": {"ipv4:192.0.2.7": {"m.pid": "a"}, "ipv4:192.0.2.8": {}}}))),
    ])
    .await;
    let (client, directory) = (
        server.client(),
        server.directory().await.expect("a directory"),
    );
    let network = directory.network_map(None).expect("the default");
    let costs = client
        .cost_map(&directory, network, &wanted())
        .await
        .expect("costs");
    assert_eq!(costs.costs.get("a", "b"), Some(2.0));
    let costs = client
        .endpoint_costs(&directory, &wanted(), &[], &[ip("2001:db8::1")])
        .await
        .expect("costs");
    assert_eq!(costs["ipv4:192.0.2.7"]["ipv6:2001:DB8:0::1"], 3.0);
    let pids = client
        .pids(&directory, network, &[ip("192.0.2.7"), ip("192.0.2.8")])
        .await
        .expect("PIDs");
    assert_eq!(
        (
            pids["ipv4:192.0.2.7"].as_deref(),
            pids["ipv4:192.0.2.8"].as_deref()
        ),
        (Some("a"), None)
    );
    let none = Wanted {
        metric: "hopcount".into(),
        mode: "numerical".into(),
    };
    let refused = client
        .endpoint_costs(&directory, &none, &[], &[ip("192.0.2.7")])
        .await;
    assert!(matches!(refused, Err(ClientError::NotOffered(_))));

    let asked = server.asked();
    assert_eq!(asked.len(), 4, "what is not offered is not asked for");
    let sent: Vec<Value> = asked[1..]
        .iter()
        .map(|got| serde_json::from_str(&got.body).expect("JSON"))
        .collect();
    assert_eq!(
        sent[0],
        json!({"cost-type": num()["num"], "pids": {"srcs": [], "dsts": []}})
    );
    assert_eq!(
        sent[1],
        json!({"cost-type": num()["num"], "endpoints": {"srcs": [], "dsts": ["ipv6:2001:db8::1"]}})
    );
    assert_eq!(
        sent[2],
        json!({"properties": ["m.pid"], "endpoints": ["ipv4:192.0.2.7", "ipv4:192.0.2.8"]})
    );
    let types = [
        (COST_FILTER, COST_MAP),
        (COST_PARAMS, ENDPOINT_COSTS),
        (PROPERTY_PARAMS, ENDPOINT_PROPERTIES),
    ];
    for (got, (sent, wanted)) in asked[1..].iter().zip(types) {
        assert!(got.line.starts_with("post "), "{}", got.line);
        assert!(
            got.head.contains(&format!("content-type: {sent}")),
            "{}",
            got.head
        );
        assert!(
            got.head.contains(&format!("accept: {wanted}, {ERROR}")),
            "{}",
            got.head
        );
    }
}

#[tokio::test]
async fn a_token_goes_to_the_origin_of_the_directory_and_nowhere_else() {
    let other = Server::start([("/map", network_map(json!({})))]).await;
    let mut elsewhere = other.url.clone();
    elsewhere.set_path("/map");
    let away = Reply {
        status: 302,
        headers: vec![("location", elsewhere.to_string())],
        body: vec![],
    };
    let server = Server::start([
        ("/alto/directory", directory(json!({"m": map_entry("map"), "o": map_entry(elsewhere.as_str()), "r": map_entry("away")}))),
        ("/alto/map", network_map(json!({}))),
        ("/alto/away", away),
    ])
    .await;
    let options = Options {
        token: Some("secret-of-mine".into()),
        ..Options::default()
    };
    let client = Client::new(&server.url, &options, Clock::system()).expect("a client");
    let directory = client.directory(&server.url).await.expect("a directory");
    client
        .network_map(directory.get("m").expect("there"))
        .await
        .expect("a map");
    client
        .network_map(directory.get("o").expect("there"))
        .await
        .expect("a map");
    let redirected = client.network_map(directory.get("r").expect("there")).await;
    assert!(matches!(redirected, Err(ClientError::Transport { .. })));
    assert!(
        server
            .asked()
            .iter()
            .all(|got| got.head.contains("authorization: bearer secret-of-mine"))
    );
    assert_eq!(
        other.asked().len(),
        1,
        "a redirect to another origin is not followed"
    );
    assert!(!other.asked()[0].head.contains("authorization"));
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let to = |path: &str| Reply {
        status: 307,
        headers: vec![("location", path.into())],
        body: vec![],
    };
    let server = Server::start([
        ("/alto/directory", to("/alto/b")),
        ("/alto/b", to("/alto/directory")),
    ])
    .await;
    assert!(matches!(
        server.directory().await,
        Err(ClientError::Transport { .. })
    ));
    assert!(server.asked().len() < 10);
}

#[tokio::test]
async fn the_client_and_the_node_understand_each_other() {
    let node = metro().await;
    let root = Url::parse(&format!("{}/directory", node.url)).expect("a URL");
    let client = Client::new(&root, &Options::default(), Clock::system()).expect("a client");
    let directory = client.directory(&root).await.expect("a directory");
    let network = directory.network_map(Some(MAP_ID)).expect("ours");
    assert_eq!(
        client
            .network_map(network)
            .await
            .expect("a map")
            .groups
            .len(),
        4
    );
    let costs = client
        .cost_map(&directory, network, &wanted())
        .await
        .expect("costs");
    assert_eq!(costs.costs.get("core", "lab"), Some(9.0));
    let answer = client
        .endpoint_costs(
            &directory,
            &wanted(),
            &[ip("10.99.0.1")],
            &[ip("10.20.1.1")],
        )
        .await
        .expect("costs");
    assert_eq!(answer["ipv4:10.99.0.1"]["ipv4:10.20.1.1"], 4.0);
    let pids = client
        .pids(&directory, network, &[ip("2001:db8:30::1")])
        .await
        .expect("PIDs");
    assert_eq!(pids["ipv6:2001:db8:30::1"].as_deref(), Some("lab"));
}
