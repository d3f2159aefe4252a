//! Domains of plain ALTO servers: read from an independent server, legal however odd, and
//! refused with the reason where the documents are faulty.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use altofed::api::interconnect::Relationship;
use altofed::client::{AnswerLimits, PeerClient, PeerOptions};
use altofed::federation::plain::{Fetched, Plain, PlainSettings, fetch};
use altofed::federation::{ImportError, Limits, PlainInterconnect};
use altofed::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use altofed::runtime::{Clock, Pool};
use serde_json::{Value, json};

use super::server::{Reply, Server, answer, head, ok};
use super::soon;
use crate::metro::{COST_MAP, DIRECTORY, NETWORK_MAP};
use crate::support::COST_FILTER;

const ROOT: &str = "/alto/directory";

fn label(text: &str) -> DomainLabel {
    DomainLabel::new(text).expect("a label")
}

fn pid(text: &str) -> PidName {
    PidName::new(text).expect("a name")
}

fn directory(resources: &Value) -> String {
    let types = json!({
        "rc": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "hops": {"cost-metric": "hopcount", "cost-mode": "numerical"},
        "rank": {"cost-metric": "delay-ow", "cost-mode": "ordinal"},
    });
    let meta = json!({"default-alto-network-map": "m", "cost-types": types});
    json!({"meta": meta, "resources": resources}).to_string()
}

fn map_at(uri: &str) -> Value {
    json!({"uri": uri, "media-type": NETWORK_MAP})
}

fn costs_at(uri: &str, name: &str) -> Value {
    json!({"uri": uri, "media-type": COST_MAP, "uses": ["m"], "capabilities": {"cost-type-names": [name]}})
}

fn resources() -> Value {
    json!({"m": map_at("map"), "rc": costs_at("rc", "rc"), "hops": costs_at("hops", "hops")})
}

fn network(id: &str, tag: &str, groups: &Value) -> String {
    let meta = json!({"vtag": {"resource-id": id, "tag": tag}});
    json!({"meta": meta, "network-map": groups}).to_string()
}

fn groups() -> Value {
    json!({"a": {"ipv4": ["192.0.2.0/24"]}, "b": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}})
}

/// Makes a cost map over version `tag` of the network map `m`.
fn costs(tag: &str, metric: &str, costs: &str) -> String {
    format!(
        r#"{{"meta":{{"dependent-vtags":[{{"resource-id":"m","tag":"{tag}"}}],"cost-type":{{"cost-metric":"{metric}","cost-mode":"numerical"}}}},"cost-map":{costs}}}"#
    )
}

const SOME_COSTS: &str = r#"{"a":{"a":0,"b":7.5},"b":{"a":3}}"#;

fn sound() -> Vec<(&'static str, Reply)> {
    vec![
        (ROOT, ok(DIRECTORY, directory(&resources()))),
        ("/alto/map", ok(NETWORK_MAP, network("m", "1", &groups()))),
        (
            "/alto/rc",
            ok(COST_MAP, costs("1", "routingcost", SOME_COSTS)),
        ),
        (
            "/alto/hops",
            ok(COST_MAP, costs("1", "hopcount", r#"{"a":{"b":2}}"#)),
        ),
    ]
}

/// A plain server, and our node.
struct Peer {
    server: Server,
    client: PeerClient,
    pool: Pool,
    settings: PlainSettings,
}

impl Peer {
    async fn start<'a>(replies: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        let server = Server::start(replies).await;
        let options = PeerOptions {
            allow_private_addresses: true,
            limits: AnswerLimits::default(),
            ..PeerOptions::default()
        };
        Self {
            client: PeerClient::new(&server.root, &options, Clock::system()).expect("a client"),
            pool: Pool::new(1).expect("a pool"),
            settings: PlainSettings {
                own: label("isp-a"),
                domain: label("isp-b"),
                directory: server.root.clone(),
                network_map: None,
                interconnects: BTreeMap::new(),
                limits: Limits::default(),
            },
            server,
        }
    }

    async fn fetch(&self, former: Option<&Plain>) -> Result<Fetched, ImportError> {
        soon(fetch(&self.client, &self.pool, &self.settings, former)).await
    }

    async fn plain(&self) -> Plain {
        changed(self.fetch(None).await)
    }

    async fn refused(&self, former: Option<&Plain>) -> ImportError {
        match self.fetch(former).await {
            Err(refusal) => refusal,
            Ok(taken) => panic!("it was taken: {taken:?}"),
        }
    }
}

#[track_caller]
fn changed(fetched: Result<Fetched, ImportError>) -> Plain {
    match fetched {
        Ok(Fetched::Changed(plain)) => *plain,
        other => panic!("{other:?}"),
    }
}

fn cost(plain: &Plain, metric: &str, src: &str, dst: &str) -> Option<f64> {
    let pids = plain.view.network().pids();
    let src = pids.get(src).expect("a source");
    let dst = pids.get(dst).expect("a destination");
    let mut out = Vec::new();
    plain.view.costs()[metric].gather(&[src], &[dst], &mut out);
    out.first().copied().filter(|cost| !cost.is_nan())
}

fn pid_of<'p>(plain: &'p Plain, addr: &str) -> Option<&'p str> {
    let addr: IpAddr = addr.parse().expect("an address");
    let network = plain.view.network();
    network
        .pids()
        .name(network.pid_of(addr)?)
        .map(PidName::as_str)
}

fn names(plain: &Plain) -> Vec<&str> {
    let pids = plain.view.network().pids().names();
    pids.iter().map(PidName::as_str).collect()
}

#[tokio::test]
async fn a_plain_server_becomes_a_domain() {
    let peer = Peer::start(sound()).await;
    let plain = peer.plain().await;
    assert_eq!(plain.view.name().as_str(), "isp-b");
    assert_eq!(names(&plain), ["a", "b"]);
    assert_eq!(pid_of(&plain, "192.0.2.9"), Some("a"));
    assert_eq!(pid_of(&plain, "2001:db8::1"), Some("b"));
    assert_eq!(cost(&plain, "routingcost", "a", "b"), Some(7.5));
    assert_eq!(cost(&plain, "routingcost", "b", "b"), None);
    assert_eq!(cost(&plain, "hopcount", "a", "b"), Some(2.0));
    assert!(plain.ignored.is_empty(), "{:?}", plain.ignored);
    let again = Peer::start(sound()).await.plain().await;
    assert_eq!(again.digest, plain.digest, "equal wherever the content is");
}

#[tokio::test]
async fn legal_json_however_odd_is_the_same_domain() {
    let map = "\u{20}\r\n{\"x\":[{\"y\":null}],\"network-map\":\t{\"\\u0062\":{\"ipv6\":[\"0::\\/0\"],\"ipv4\":[\"0.0.0.0/0\"],\"eth\":[7,{}]},\"a\":{\"ipv4\":[\"192.0.2.0/24\"],\"ipv6\":[]}},\"meta\":{\"x\":1,\"vtag\":{\"tag\":\"\\u0031\",\"z\":0,\"resource-id\":\"m\"}}}\n";
    let rc = r#"{"cost-map":{"b":{"\u0061":30E-1},"a":{"b":0.075e+2,"a":-0.0}},"meta":{"cost-type":{"description":"d","cost-mode":"numerical","cost-metric":"routingcost"},"dependent-vtags":[{"tag":"1","resource-id":"m"}],"y":{}},"z":null}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(map.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let headers = [
        (
            "content-type",
            "Application/ALTO-NetworkMap+JSON; charset=utf-8",
        ),
        ("content-encoding", "gzip"),
    ];
    let peer = Peer::start(sound()).await;
    let plain = peer.plain().await;
    peer.server
        .set("/alto/map", answer("200 OK", &headers, &gzip));
    peer.server
        .set("/alto/rc", ok("application/alto-costmap+json;x=y", rc));
    let odd = peer.plain().await;
    assert_eq!(odd.digest, plain.digest);
    assert_eq!(odd.view.network().tag(), plain.view.network().tag());
}

#[tokio::test]
async fn of_several_network_maps_the_chosen_one_is_taken_with_its_costs() {
    let mut all = resources();
    all["other"] = map_at("other");
    all["far"] = costs_at("far", "rc");
    all["far"]["uses"] = json!(["other"]);
    let far = costs("9", "routingcost", r#"{"z":{"z":1}}"#).replace(r#""m""#, r#""other""#);
    let mut replies = sound();
    replies.extend([
        (ROOT, ok(DIRECTORY, directory(&all))),
        (
            "/alto/other",
            ok(NETWORK_MAP, network("other", "9", &json!({"z": {}}))),
        ),
        ("/alto/far", ok(COST_MAP, far)),
    ]);
    let mut peer = Peer::start(replies).await;
    let default = peer.plain().await;
    assert_eq!(names(&default), ["a", "b"]);
    assert_eq!(default.ignored.len(), 1);
    assert_eq!(default.ignored[0].what, "far");
    peer.settings.network_map = Some("other".into());
    let other = changed(peer.fetch(Some(&default)).await);
    assert_eq!(names(&other), ["z"]);
    assert_eq!(cost(&other, "routingcost", "z", "z"), Some(1.0));
    peer.settings.network_map = Some("third".into());
    let refused = peer.refused(Some(&other)).await;
    assert_eq!(refused.code(), "content");
    assert!(refused.to_string().contains("it has m, other"), "{refused}");
}

#[tokio::test]
async fn delegated_directories_are_read_at_the_same_origin_only() {
    let to = |uri: &str| json!({"uri": uri, "media-type": DIRECTORY});
    let root = json!({"m": map_at("../maps/m"), "down": to("inner/directory"), "away": to("https://other.example/dir")});
    let inner = json!({"rc": costs_at("./rc?x=1", "rc"), "back": to("../directory")});
    let peer = Peer::start([
        (ROOT, ok(DIRECTORY, directory(&root))),
        ("/alto/inner/directory", ok(DIRECTORY, directory(&inner))),
        ("/maps/m", ok(NETWORK_MAP, network("m", "1", &groups()))),
        (
            "/alto/inner/rc?x=1",
            ok(COST_MAP, costs("1", "routingcost", SOME_COSTS)),
        ),
    ])
    .await;
    let plain = peer.plain().await;
    assert_eq!(peer.server.asked().len(), 4);
    assert_eq!(cost(&plain, "routingcost", "b", "a"), Some(3.0));
    assert_eq!(plain.ignored.len(), 1);
    assert!(plain.ignored[0].reason.contains("other.example"));
}

#[tokio::test]
async fn costs_that_are_only_in_a_filtered_map_are_asked_for_all_pids() {
    let mut filter = costs_at("filter", "rc");
    filter["accepts"] = COST_FILTER.into();
    filter["capabilities"]["cost-type-names"] = json!(["rc", "hops"]);
    let all = json!({"m": map_at("map"), "f": filter, "hops": costs_at("hops", "hops")});
    let mut replies = sound();
    replies.extend([
        (ROOT, ok(DIRECTORY, directory(&all))),
        (
            "/alto/filter",
            ok(COST_MAP, costs("1", "routingcost", SOME_COSTS)),
        ),
    ]);
    let peer = Peer::start(replies).await;
    let plain = peer.plain().await;
    assert_eq!(cost(&plain, "routingcost", "a", "b"), Some(7.5));
    let asked = peer.server.asked();
    let posts: Vec<_> = asked
        .iter()
        .filter(|got| got.line.starts_with("POST "))
        .collect();
    assert_eq!(posts.len(), 1);
    assert!(
        posts[0]
            .head
            .contains(&format!("content-type: {COST_FILTER}"))
    );
    let query: Value = serde_json::from_str(&posts[0].body).expect("JSON");
    let wanted = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
    assert_eq!(
        query,
        json!({"cost-type": wanted, "pids": {"srcs": [], "dsts": []}})
    );
    assert!(matches!(
        peer.fetch(Some(&plain)).await,
        Ok(Fetched::Unchanged)
    ));
}

#[tokio::test]
async fn ordinal_costs_are_left_aside_and_routingcost_is_there_without_costs() {
    let all = json!({"m": map_at("map"), "rank": costs_at("rank", "rank")});
    let mut replies = sound();
    replies.push((ROOT, ok(DIRECTORY, directory(&all))));
    let peer = Peer::start(replies).await;
    let plain = peer.plain().await;
    assert_eq!(plain.view.costs().len(), 1);
    assert_eq!(cost(&plain, "routingcost", "a", "b"), None);
    let ignored: Vec<&str> = plain.ignored.iter().map(|left| &*left.what).collect();
    assert_eq!(ignored, ["metric delay-ow", "metric routingcost"]);
    assert!(plain.ignored[0].reason.contains("ordinal"));
}

#[tokio::test]
async fn an_unchanged_server_costs_only_304s() {
    let tagged = |tag, media_type, body: String| Reply::Tagged(tag, media_type, body.into_bytes());
    let hops = costs("1", "hopcount", r#"{"a":{"b":2}}"#);
    let peer = Peer::start([
        (ROOT, tagged("d1", DIRECTORY, directory(&resources()))),
        (
            "/alto/map",
            tagged("m1", NETWORK_MAP, network("m", "1", &groups())),
        ),
        (
            "/alto/rc",
            tagged("r1", COST_MAP, costs("1", "routingcost", SOME_COSTS)),
        ),
        ("/alto/hops", tagged("h1", COST_MAP, hops)),
    ])
    .await;
    let first = peer.plain().await;
    peer.server.asked();
    assert!(matches!(
        peer.fetch(Some(&first)).await,
        Ok(Fetched::Unchanged)
    ));
    let asked = peer.server.asked();
    assert_eq!(asked.len(), 4);
    assert!(
        asked
            .iter()
            .all(|got| got.head.contains("if-none-match: \""))
    );

    // One cost map changes: the others are neither sent nor made again.
    let other = costs("1", "routingcost", r#"{"a":{"b":8}}"#);
    peer.server.set("/alto/rc", tagged("r2", COST_MAP, other));
    let second = changed(peer.fetch(Some(&first)).await);
    assert_eq!(cost(&second, "routingcost", "a", "b"), Some(8.0));
    assert!(Arc::ptr_eq(first.view.network(), second.view.network()));
    let same = |metric: &str| first.view.costs()[metric].same(&second.view.costs()[metric]);
    assert!(same("hopcount") && !same("routingcost"));
    assert!(second.view.origin().serial > first.view.origin().serial);
    assert_ne!(second.digest, first.digest);

    // The directory changes in something irrelevant: the view is the same.
    let mut more = resources();
    more["x"] = json!({"uri": "x", "media-type": "text/plain"});
    peer.server
        .set(ROOT, tagged("d2", DIRECTORY, directory(&more)));
    let third = changed(peer.fetch(Some(&second)).await);
    assert!(Arc::ptr_eq(&second.view, &third.view));
    assert!(matches!(
        peer.fetch(Some(&third)).await,
        Ok(Fetched::Unchanged)
    ));
}

#[tokio::test]
async fn a_server_without_entity_tags_is_known_by_its_bytes() {
    let peer = Peer::start(sound()).await;
    let first = peer.plain().await;
    assert!(matches!(
        peer.fetch(Some(&first)).await,
        Ok(Fetched::Unchanged)
    ));
    peer.server.set(
        "/alto/hops",
        ok(COST_MAP, costs("1", "hopcount", r#"{"a":{"b":4}}"#)),
    );
    let second = changed(peer.fetch(Some(&first)).await);
    assert_eq!(cost(&second, "hopcount", "a", "b"), Some(4.0));
}

#[tokio::test]
async fn a_cost_map_waits_for_the_network_map_it_is_over() {
    let peer = Peer::start(sound()).await;
    let first = peer.plain().await;
    peer.server.asked();
    // The network map is ahead: the former version is kept, all of it.
    let more = json!({"a": {"ipv4": ["192.0.2.0/24"]}, "b": {}, "c": {"ipv4": ["0.0.0.0/0"]}});
    peer.server
        .set("/alto/map", ok(NETWORK_MAP, network("m", "2", &more)));
    peer.server
        .set("/alto/hops", ok(COST_MAP, costs("2", "hopcount", "{}")));
    let refused = peer.refused(Some(&first)).await;
    assert_eq!(refused.code(), "lagging");
    assert!(refused.to_string().contains("version 1"), "{refused}");
    let asked = |path: &str, list: &[super::server::Got]| {
        let line = format!("GET {path} ");
        list.iter()
            .filter(|got| got.line.starts_with(&line))
            .count()
    };
    let list = peer.server.asked();
    assert_eq!(
        (asked("/alto/rc", &list), asked("/alto/hops", &list)),
        (3, 1)
    );
    let caught_up = ok(COST_MAP, costs("2", "routingcost", r#"{"a":{"c":1}}"#));
    peer.server.set("/alto/rc", caught_up);
    let second = changed(peer.fetch(Some(&first)).await);
    assert_eq!(names(&second), ["a", "b", "c"]);
    assert_eq!(cost(&second, "routingcost", "a", "c"), Some(1.0));

    // A cost map is ahead, because the network map changed after it was read.
    let before = ok(NETWORK_MAP, network("m", "2", &more));
    let after = ok(NETWORK_MAP, network("m", "3", &groups()));
    peer.server
        .set("/alto/map", Reply::Then(vec![before, after]));
    peer.server.set(
        "/alto/rc",
        ok(COST_MAP, costs("3", "routingcost", SOME_COSTS)),
    );
    peer.server
        .set("/alto/hops", ok(COST_MAP, costs("3", "hopcount", "{}")));
    let third = changed(peer.fetch(Some(&second)).await);
    assert_eq!(names(&third), ["a", "b"]);
    assert_eq!(cost(&third, "routingcost", "a", "b"), Some(7.5));
}

#[tokio::test]
async fn names_too_long_under_the_label_are_cut_everywhere_alike() {
    let long = "p".repeat(64);
    let cut = altofed::federation::plain::pid_under(&label("isp-b"), &pid(&long));
    assert_eq!(cut.as_str().len(), 58);
    let map = json!({"z": {"ipv4": ["192.0.2.0/24"]}, &long: {"ipv4": ["0.0.0.0/0"]}});
    let rc = json!({&long: {"z": 1, &long: 2}, "z": {&long: 3}}).to_string();
    let mut replies = sound();
    replies.extend([
        ("/alto/map", ok(NETWORK_MAP, network("m", "1", &map))),
        ("/alto/rc", ok(COST_MAP, costs("1", "routingcost", &rc))),
        ("/alto/hops", ok(COST_MAP, costs("1", "hopcount", "{}"))),
    ]);
    let mut peer = Peer::start(replies).await;
    peer.settings.interconnects = BTreeMap::from([link("ix-1", &long)]);
    let plain = peer.plain().await;
    assert_eq!(names(&plain), [cut.as_str(), "z"]);
    assert_eq!(cost(&plain, "routingcost", cut.as_str(), "z"), Some(1.0));
    assert_eq!(
        cost(&plain, "routingcost", cut.as_str(), cut.as_str()),
        Some(2.0)
    );
    assert_eq!(cost(&plain, "routingcost", "z", cut.as_str()), Some(3.0));
    assert_eq!(pid_of(&plain, "10.0.0.1"), Some(cut.as_str()));
    assert_eq!(plain.interconnects["ix-1"].border, cut);
    assert_eq!(plain.ours["ix-1"].peer_border, cut);
}

fn link(id: &str, peer_border: &str) -> (InterconnectId, PlainInterconnect) {
    let cost = |cost| BTreeMap::from([(MetricName::routingcost(), cost)]);
    let link = PlainInterconnect {
        border: pid("gate"),
        peer_border: pid(peer_border),
        relationship: Relationship::Customer,
        peer_relationship: Relationship::Provider,
        costs: cost(1.5),
        reverse_costs: cost(2.5),
    };
    (InterconnectId::new(id).expect("an id"), link)
}

#[tokio::test]
async fn both_directions_of_a_link_are_stated_by_the_operator() {
    let mut peer = Peer::start(sound()).await;
    peer.settings.interconnects = BTreeMap::from([link("ix-1", "a"), link("ix-2", "nowhere")]);
    let plain = peer.plain().await;
    assert_eq!((plain.interconnects.len(), plain.ours.len()), (1, 1));
    let (theirs, ours) = (&plain.interconnects["ix-1"], &plain.ours["ix-1"]);
    assert_eq!(
        (&theirs.border, &theirs.peer_border),
        (&pid("a"), &pid("gate"))
    );
    assert_eq!((&ours.border, &ours.peer_border), (&pid("gate"), &pid("a")));
    assert_eq!(
        (&theirs.peer_domain, &ours.peer_domain),
        (&label("isp-a"), &label("isp-b"))
    );
    assert_eq!(theirs.relationship, Relationship::Provider);
    assert_eq!(ours.relationship, Relationship::Customer);
    assert_eq!(
        (theirs.costs["routingcost"], ours.costs["routingcost"]),
        (2.5, 1.5)
    );
    assert_eq!(plain.ignored.len(), 1);
    assert_eq!(plain.ignored[0].what, "interconnect ix-2");
}

#[tokio::test]
async fn what_no_server_may_state_is_refused_whole_with_its_reason() {
    let rc = |text: &str| ok(COST_MAP, costs("1", "routingcost", text));
    let map = |groups: Value| ok(NETWORK_MAP, network("m", "1", &groups));
    let cell = |text: &str| rc(&format!(r#"{{"a":{{"b":{text}}}}}"#));
    let over = |from: &str, to: &str| {
        ok(
            COST_MAP,
            costs("1", "routingcost", SOME_COSTS).replace(from, to),
        )
    };
    let twice = json!({"a": {"ipv4": ["0.0.0.0/0"]}, "b": {"ipv4": ["0.0.0.0/0"]}});
    let (path, costs_path) = ("/alto/map", "/alto/rc");
    let cases = [
        (costs_path, cell("\"NaN\""), "/cost-map/a/b"),
        (costs_path, cell("NaN"), "JSON"),
        (costs_path, cell("-Infinity"), "JSON"),
        (costs_path, cell("1e999"), "JSON"),
        (costs_path, cell("-1"), "must not be negative"),
        (costs_path, cell("null"), "/cost-map/a/b"),
        (costs_path, cell("[1]"), "/cost-map/a/b"),
        (costs_path, rc(r#"{"a":{"ghost":1}}"#), "ghost"),
        (costs_path, rc(r#"{"ghost":{"a":1}}"#), "ghost"),
        (costs_path, rc(r#"{"a":{"b":1,"b":1}}"#), "twice"),
        (costs_path, over("numerical", "ordinal"), "another type"),
        (
            costs_path,
            over("\"routingcost\"", "\"hopcount\""),
            "another type",
        ),
        (costs_path, over("\"m\"", "\"n\""), "which version of m"),
        (costs_path, ok(COST_MAP, "{}"), "missing"),
        (costs_path, ok(COST_MAP, "[]"), "an object"),
        (costs_path, ok(COST_MAP, ""), "JSON"),
        (path, map(twice), "also in PID a"),
        (path, map(json!({"a.b": {}})), "PID name"),
        (path, map(json!({"a\r\n": {}})), "PID name"),
        (
            path,
            map(json!({"a": {"ipv4": ["10.0.0.1/8"]}})),
            "host bits",
        ),
        (
            path,
            ok(NETWORK_MAP, r#"{"meta":{},"network-map":{}}"#),
            "no vtag",
        ),
        (
            path,
            ok(NETWORK_MAP, network("n", "1", &groups())),
            "another resource",
        ),
        (ROOT, ok(DIRECTORY, "{\"resources\":[]}"), "cannot be read"),
        (ROOT, ok(DIRECTORY, directory(&json!({}))), "no network map"),
    ];
    let peer = Peer::start(sound()).await;
    let former = peer.plain().await;
    for (path, reply, part) in cases {
        let peer = Peer::start(sound()).await;
        peer.server.set(path, reply.clone());
        let refused = peer.refused(None).await;
        assert_eq!(refused.code(), "content", "{part}: {refused}");
        assert!(refused.to_string().contains(part), "{part}: {refused}");
    }
    // And the former version of the domain is unchanged.
    peer.server.set(costs_path, cell("-1"));
    peer.refused(Some(&former)).await;
    assert_eq!(cost(&former, "routingcost", "a", "b"), Some(7.5));
    peer.server.set(costs_path, rc(SOME_COSTS));
    assert!(matches!(
        peer.fetch(Some(&former)).await,
        Ok(Fetched::Unchanged)
    ));
}

#[tokio::test]
async fn hostile_answers_are_refused_with_their_reason_wherever_they_are() {
    let spaces = vec![b' '; 64 * 1024];
    let media_types = [
        (ROOT, DIRECTORY),
        ("/alto/map", NETWORK_MAP),
        ("/alto/rc", COST_MAP),
    ];
    for (path, media_type) in media_types {
        let typed = ("content-type", media_type);
        let endless = head("200 OK", &[typed]);
        let gigabytes = head("200 OK", &[typed, ("content-length", "10000000000")]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 24 * 1024 * 1024])
            .expect("memory");
        let gzip = gzip.finish().expect("memory");
        let deep = format!(r#"{{"meta":{{}},"x":{}"#, "[".repeat(100_000));
        let inside = "http://169.254.169.254/latest/meta-data/";
        let cases = [
            (Reply::Endless(endless, spaces.clone()), "limit-exceeded"),
            (Reply::Endless(gigabytes, spaces.clone()), "limit-exceeded"),
            (
                answer("200 OK", &[typed, ("content-encoding", "gzip")], &gzip),
                "limit-exceeded",
            ),
            (ok(media_type, deep), "limit-exceeded"),
            (
                answer("302 Found", &[("location", inside)], b""),
                "elsewhere",
            ),
            (ok("text/html", "{}"), "media-type"),
            (answer("500 Oops", &[typed], b""), "status"),
        ];
        for (reply, code) in cases {
            let mut peer = Peer::start(sound()).await;
            peer.settings.limits.max_bytes = 1024 * 1024;
            peer.server.set(path, reply);
            let refused = peer.refused(None).await;
            assert_eq!(refused.code(), code, "{path}: {refused}");
            assert!(peer.server.sent() < 64 * 1024 * 1024, "{path} {code}");
        }
    }
}

#[tokio::test]
async fn a_network_map_elsewhere_is_not_asked_for() {
    let other = Server::start([("/map", ok(NETWORK_MAP, network("m", "1", &groups())))]).await;
    let mut all = resources();
    all["m"] = map_at(other.url("/map").as_str());
    let mut replies = sound();
    replies.push((ROOT, ok(DIRECTORY, directory(&all))));
    let refused = Peer::start(replies).await.refused(None).await;
    assert_eq!(refused.code(), "elsewhere", "{refused}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn more_than_the_limits_is_refused_and_just_as_much_is_taken() {
    let exact = Limits {
        max_pids: 2,
        max_prefixes: 3,
        max_cells: 4,
        max_metrics: 2,
        ..Limits::default()
    };
    let mut peer = Peer::start(sound()).await;
    peer.settings.limits = exact.clone();
    peer.plain().await;
    type Change = fn(&mut Limits);
    let less: [(&str, Change); 4] = [
        ("PIDs", |limits| limits.max_pids = 1),
        ("prefixes", |limits| limits.max_prefixes = 2),
        ("max_cells", |limits| limits.max_cells = 3),
        ("max_metrics", |limits| limits.max_metrics = 1),
    ];
    for (what, change) in less {
        peer.settings.limits = exact.clone();
        change(&mut peer.settings.limits);
        let refused = peer.refused(None).await;
        assert_eq!(refused.code(), "limit", "{what}: {refused}");
        assert!(refused.to_string().contains(what), "{what}: {refused}");
    }
}

#[tokio::test]
async fn directories_without_end_are_not_followed() {
    let deeper = |n: usize| json!({"d": {"uri": format!("/{n}"), "media-type": DIRECTORY}});
    let paths: Vec<String> = (0..100).map(|n| format!("/{n}")).collect();
    let replies = paths
        .iter()
        .zip(1..)
        .map(|(path, n)| (path.as_str(), ok(DIRECTORY, directory(&deeper(n)))));
    let peer = Peer::start(replies.chain([(ROOT, ok(DIRECTORY, directory(&deeper(0))))])).await;
    let refused = peer.refused(None).await;
    assert_eq!(refused.code(), "limit");
    assert_eq!(peer.server.asked().len(), 64);
}
