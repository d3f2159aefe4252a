//! Statements of a peer that are not permitted, impossible or harmful: they are dropped or
//! refused whole and listed with the reason, and no other domain is affected.

use std::io::Write;
use std::net::IpAddr;
use std::slice::from_ref;

use altofed::api::conflict::MergeConflictKind;
use altofed::api::s2s::{PeerState, PeerStatus};
use ipnet::IpNet;
use serde_json::{Value, json};

use super::links::{Link, inside, label};
use super::member::{Join, Member};
use super::rogue::{Rogue, Says, blob, key};
use super::site::glance;
use crate::metro::{COST_MAP, DIRECTORY, NETWORK_MAP};
use crate::peer::server::{Reply, Server, answer, head, ok};
use crate::support::JSON;

const LINKS: [Link; 2] = [Link(1, 2), Link(1, 3)];

const DESCRIPTOR: &str = "/.well-known/alto-federation";
const MANIFESTS: &str = "/s2s/v1/manifests";

/// Returns the cost in the merged view from us to an address of another domain.
async fn across(a: &Member, to: u8) -> Value {
    let answer = a.endpoint_cost("merged", 1, to).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["endpoint-cost-map"].take()
}

#[tokio::test]
async fn prefixes_that_a_domain_may_not_claim_are_dropped_and_listed() {
    let (liar_key, honest_key) = (key(), key());
    let liar = Rogue::start(2, &liar_key).await;
    let honest = Rogue::start(3, &honest_key).await;
    // An honest domain, which may not speak for all that it states.
    let too_much = Says::claiming(3, &["172.16.0.0/12"]);
    honest.passes(&[too_much.linked(LINKS[1]).signed(&honest_key)]);
    liar.passes(&[Says::sound(2).linked(LINKS[0]).signed(&liar_key)]);
    let mut a = Member::start(1).await;
    a.states(&LINKS).await;
    let before = a.own_answers().await;
    let policy = "[domain.isp-c]\nprefixes = [\"10.3.0.0/16\", \"2001:db8:3::/48\"]\n";
    a.join_under(policy, [Join::to(2, &liar.url), Join::to(3, &honest.url)]);
    a.until_state(2, PeerState::Synced, "").await;
    a.until_state(3, PeerState::Synced, "").await;
    a.until_cost(2, Some(inside(2))).await;
    a.until_cost(3, Some(inside(3))).await;
    let sound = across(&a, 3).await;
    assert!(
        sound["ipv4:10.1.0.1"]["ipv4:10.3.128.1"].is_number(),
        "{sound}"
    );

    let claims = [
        (MergeConflictKind::OwnPrefix, "10.1.0.0/17"),
        (MergeConflictKind::OwnPrefix, "10.1.0.1/32"),
        (MergeConflictKind::ForeignPrefix, "10.3.128.1/32"),
    ];
    let outside = a.conflicts(MergeConflictKind::OutsidePrefix).await;
    assert_eq!(outside, ["isp-c 172.16.0.0/12"]);
    let prefixes: Vec<&str> = claims.iter().map(|(_, prefix)| *prefix).collect();
    let lie = Says::claiming(2, &prefixes).linked(LINKS[0]).later();
    liar.passes(&[lie.signed(&liar_key)]);
    // Its own view shows what it states.
    let stated = async || {
        let view: Value = a.read("/views/isp-b/networkmap").await;
        view["network-map"]["isp-b:more"].is_object() || view["network-map"]["more"].is_object()
    };
    while !stated().await {
        a.until_state(2, PeerState::Synced, "").await;
    }
    for (kind, prefix) in claims {
        let listed = a.conflicts(kind).await;
        let wanted = format!("isp-b {prefix}");
        assert!(listed.contains(&wanted), "{kind:?}: {listed:?}");
    }
    let merged: Value = a.read("/views/merged/networkmap").await;
    assert_eq!(merged["network-map"]["isp-b:more"], json!({}));
    assert_eq!(across(&a, 3).await, sound);
    assert_eq!(a.own_answers().await, before);
}

/// Returns the PID that a client finds for an address in the published merged map.
async fn found(a: &Member, address: &str) -> String {
    let address: IpAddr = address.parse().expect("an address");
    let map: Value = a.read("/views/merged/networkmap").await;
    let pids = map["network-map"].as_object().expect("PIDs");
    let prefixes = pids.iter().flat_map(|(pid, groups)| {
        let of_pid = groups.as_object().expect("groups").values();
        let texts = of_pid.flat_map(|group| group.as_array().expect("prefixes"));
        texts.map(move |text| {
            let text = text.as_str().expect("a prefix");
            (text.parse::<IpNet>().expect("a prefix"), pid)
        })
    });
    let longest = prefixes
        .filter(|(net, _)| net.contains(&address))
        .max_by_key(|(net, _)| net.prefix_len());
    longest.map_or_else(String::new, |(_, pid)| pid.clone())
}

#[tokio::test]
async fn who_covers_a_configured_block_does_not_answer_for_it() {
    let (wide_key, honest_key) = (key(), key());
    let wide = Rogue::start(2, &wide_key).await;
    let honest = Rogue::start(3, &honest_key).await;
    let claims = [
        "10.2.0.0/15",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "127.0.0.0/8",
        "169.254.169.254/32",
    ];
    wide.passes(&[Says::claiming(2, &claims)
        .linked(LINKS[0])
        .signed(&wide_key)]);
    honest.passes(&[Says::sound(3).linked(LINKS[1]).signed(&honest_key)]);
    let mut a = Member::start(1).await;
    a.states(&LINKS).await;
    let policy = "[domain.isp-c]\nprefixes = [\"10.3.0.0/16\"]\n";
    a.join_under(policy, [Join::to(2, &wide.url)]);
    a.until_cost(2, Some(inside(2))).await;
    assert_eq!(found(&a, "10.2.0.1").await, "isp-b:core");
    // The domain is gone.
    assert_eq!(found(&a, "10.3.128.1").await, "default");
    assert_eq!(across(&a, 3).await, json!({}));
    for address in ["127.0.0.1", "169.254.169.254", "8.8.8.8", "192.0.2.1"] {
        assert_eq!(found(&a, address).await, "default", "{address}");
    }
    let cut = a.conflicts(MergeConflictKind::ForeignPrefix).await;
    assert_eq!(cut, ["isp-b 10.2.0.0/15"]);
    let short = a.conflicts(MergeConflictKind::ShortPrefix).await;
    assert_eq!(short, ["isp-b 0.0.0.0/1", "isp-b 128.0.0.0/1"]);
    let special = a.conflicts(MergeConflictKind::SpecialPrefix).await;
    assert_eq!(special, ["isp-b 127.0.0.0/8", "isp-b 169.254.169.254/32"]);
    let private = a.conflicts(MergeConflictKind::PrivatePrefix).await;
    let sound = ["10.2.0.0/15", "10.2.0.0/17", "10.2.128.0/17"];
    assert_eq!(private, sound.map(|net| format!("isp-b {net}")));
    let metrics = a.get("/metrics").await;
    let counted = "altofed_compile_merge_conflicts{kind=\"short-prefix\"} 2";
    assert!(metrics.text().contains(counted), "{}", metrics.text());

    a.join_under(policy, [Join::to(2, &wide.url), Join::to(3, &honest.url)]);
    a.until_cost(3, Some(inside(3))).await;
    assert_eq!(found(&a, "10.3.128.1").await, "isp-c:edge");
    a.join_under(
        &format!("{policy}[merge]\nprivate_prefixes = false\n"),
        [Join::to(2, &wide.url), Join::to(3, &honest.url)],
    );
    while found(&a, "10.3.128.1").await != "default" {
        glance().await;
    }
    assert_eq!(found(&a, "10.1.0.1").await, "isp-a:core");
}

#[tokio::test]
async fn costs_that_no_path_can_have_are_refused_whole_and_the_last_good_stay() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let mut serial = Says::sound(2).serial;
    let mut next = |says: Says| {
        serial += 1;
        Says { serial, ..says }.signed(&key)
    };
    rogue.passes(&[next(Says::sound(2))]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    a.join([Join::to(2, &rogue.url)]);
    a.until_state(2, PeerState::Synced, "").await;
    a.until_cost(2, Some(inside(2))).await;
    for costs in [
        r#"{"core":{"edge":NaN}}"#,
        r#"{"core":{"edge":"NaN"}}"#,
        r#"{"core":{"edge":Infinity}}"#,
        r#"{"core":{"edge":1e999}}"#,
        r#"{"core":{"edge":-1}}"#,
        r#"{"core":{"edge":1,"edge":2}}"#,
        r#"{"core":{"nowhere":1}}"#,
        r#"{"core":[1]}"#,
        r#"{"core":{"edge":1}"#,
    ] {
        rogue.passes(&[next(Says::with_costs(2, costs))]);
        let peer = a
            .until(2, costs, |peer| peer.state == PeerState::Failed)
            .await;
        let code = peer.reason.map(|reason| reason.code).unwrap_or_default();
        assert_eq!(code, "content", "{costs}");
        assert_eq!(a.cost_inside(2).await, Some(inside(2)), "{costs}");
        assert_eq!(a.own_answers().await, before, "{costs}");
        rogue.passes(&[next(Says::sound(2))]);
        a.until_state(2, PeerState::Synced, "").await;
    }
}

/// Makes a gzip of blanks that is thousands of times smaller than its content.
pub fn bomb() -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 24 * 1024 * 1024])
        .expect("memory");
    gzip.finish().expect("memory")
}

fn to(place: &str) -> Reply {
    answer("302 Found", &[("location", place)], b"")
}

pub fn endless() -> Reply {
    let claims = [("content-type", JSON), ("content-length", "10000000000")];
    Reply::Endless(head("200 OK", &claims), vec![b' '; 64 * 1024])
}

pub fn chunked() -> Reply {
    let headers = [("content-type", JSON), ("transfer-encoding", "chunked")];
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(vec![b' '; 64 * 1024]);
    chunk.extend(b"\r\n");
    Reply::Endless(head("200 OK", &headers), chunk)
}

#[tokio::test]
async fn answers_that_harm_are_left_with_the_reason() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let says = Says::sound(2);
    let signed = says.signed(&key);
    rogue.passes(from_ref(&signed));
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    a.join([Join {
        more: "refresh.interval = \"50ms\"\nimport.max_bytes = 1000000\n",
        ..Join::to(2, &rogue.url)
    }]);
    a.until_state(2, PeerState::Synced, "").await;
    a.until_cost(2, Some(inside(2))).await;
    let gzip = [("content-type", JSON), ("content-encoding", "gzip")];
    let levels = "[".repeat(100_000) + &"]".repeat(100_000);
    let inner = "http://169.254.169.254/latest/meta-data";
    for (what, path, reply, code) in [
        (
            "10 GB by its own word",
            MANIFESTS,
            endless(),
            "limit-exceeded",
        ),
        ("10 GB in chunks", MANIFESTS, chunked(), "limit-exceeded"),
        (
            "a bomb",
            MANIFESTS,
            answer("200 OK", &gzip, &bomb()),
            "limit-exceeded",
        ),
        ("levels", MANIFESTS, ok(JSON, &levels), "limit-exceeded"),
        ("levels", DESCRIPTOR, ok(JSON, &levels), "limit-exceeded"),
        ("a redirect inside", DESCRIPTOR, to(inner), "elsewhere"),
        ("a redirect inside", MANIFESTS, to(inner), "elsewhere"),
        ("a page", MANIFESTS, ok("text/html", "<p>"), "media-type"),
        ("no list", MANIFESTS, ok(JSON, "{}"), "form"),
        ("no text", MANIFESTS, ok(JSON, b"\xff\xfe"), "form"),
    ] {
        rogue.answers(path, reply);
        a.until_state(2, PeerState::Failed, code).await;
        assert_eq!(a.cost_inside(2).await, Some(inside(2)), "{what} at {path}");
        assert_eq!(a.own_answers().await, before, "{what} at {path}");
        rogue.shows(2, &key, "/s2s/v1/");
        rogue.passes(from_ref(&signed));
        a.nudge();
        a.until_state(2, PeerState::Synced, "").await;
    }
    // The URI of its API is inside our own network.
    rogue.shows(2, &key, "http://169.254.169.254/s2s/v1/");
    a.until_state(2, PeerState::Failed, "elsewhere").await;
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn documents_that_harm_are_left_with_the_reason_and_the_last_good_stay() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let mut serial = Says::sound(2).serial;
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let first = Says {
        serial,
        ..Says::sound(2)
    };
    rogue.passes(&[first.signed(&key)]);
    let before = a.own_answers().await;
    a.join([Join {
        more: "refresh.interval = \"50ms\"\nimport.max_bytes = 1000000\n",
        ..Join::to(2, &rogue.url)
    }]);
    a.until_cost(2, Some(inside(2))).await;
    a.until_state(2, PeerState::Synced, "").await;
    let typed = |reply: Reply| match reply {
        Reply::Endless(head, rest) => {
            let head = String::from_utf8(head).expect("text");
            Reply::Endless(head.replace(JSON, COST_MAP).into_bytes(), rest)
        }
        reply => reply,
    };
    let gzip = [("content-type", COST_MAP), ("content-encoding", "gzip")];
    let deep = "[".repeat(100_000);
    for (reply, code) in [
        (typed(endless()), "limit-exceeded"),
        (typed(chunked()), "limit-exceeded"),
        (answer("200 OK", &gzip, &bomb()), "limit-exceeded"),
        (ok(COST_MAP, "{\"cost-map\":{}}"), "digest"),
        (ok(NETWORK_MAP, "{}"), "media-type"),
        (to("http://169.254.169.254/"), "elsewhere"),
        (answer("404 Not Found", &[], b""), "status"),
    ] {
        serial += 1;
        // A new document, which is different from what is there.
        let costs = format!("{{\"core\":{{\"edge\":{serial}}}}}");
        let says = Says {
            serial,
            ..Says::with_costs(2, &costs)
        };
        let signed = says.signed(&key);
        rogue.passes(from_ref(&signed));
        rogue.answers(&blob(&signed.bodies[1].0), reply);
        a.until_state(2, PeerState::Failed, code).await;
        assert_eq!(a.cost_inside(2).await, Some(inside(2)), "{code}");
        assert_eq!(a.own_answers().await, before, "{code}");
        serial += 1;
        let sound = Says {
            serial,
            ..Says::sound(2)
        };
        rogue.passes(&[sound.signed(&key)]);
        a.until_state(2, PeerState::Synced, "").await;
    }
    // 100,000 levels, signed as they are.
    serial += 1;
    let says = Says {
        serial,
        ..Says::with_costs(2, &deep)
    };
    rogue.passes(&[says.signed(&key)]);
    a.until_state(2, PeerState::Failed, "limit-exceeded").await;
    // 10 GB, announced and signed.
    serial += 1;
    let mut signed = Says {
        serial,
        cost_map: format!("{{\"core\":{{\"edge\":1{}}}}}", " ".repeat(2_000_000)),
        ..Says::sound(2)
    }
    .signed(&key);
    signed.bodies.clear();
    rogue.passes(&[signed]);
    a.until_state(2, PeerState::Failed, "limit").await;
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn a_plain_directory_with_uris_elsewhere_is_not_followed() {
    let elsewhere = Server::start([("/map", ok(NETWORK_MAP, "{}"))]).await;
    let plain = Server::start([]).await;
    let directory = |map: &str, costs: &str| {
        let directory = json!({
            "meta": {"default-alto-network-map": "m", "cost-types": {
                "rc": {"cost-metric": "routingcost", "cost-mode": "numerical"},
            }},
            "resources": {
                "m": {"uri": map, "media-type": NETWORK_MAP},
                "rc": {"uri": costs, "media-type": COST_MAP, "uses": ["m"],
                    "capabilities": {"cost-type-names": ["rc"]}},
            },
        });
        ok(DIRECTORY, directory.to_string())
    };
    let network = json!({
        "meta": {"vtag": {"resource-id": "m", "tag": "1"}},
        "network-map": {"core": {"ipv4": ["10.2.0.0/17"]}, "edge": {"ipv4": ["10.2.128.0/17"]}},
    });
    let costs = json!({
        "meta": {
            "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
            "dependent-vtags": [{"resource-id": "m", "tag": "1"}],
        },
        "cost-map": {"core": {"edge": 2.25}},
    });
    plain.set("/alto/directory", directory("map", "costs"));
    plain.set("/alto/map", ok(NETWORK_MAP, network.to_string()));
    plain.set("/alto/costs", ok(COST_MAP, costs.to_string()));
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    let base = plain.url("/alto");
    a.join([Join::to(2, base.as_str())]);
    a.until_state(2, PeerState::Synced, "").await;
    a.until_cost(2, Some(2.25)).await;
    let inner = "http://169.254.169.254/map";
    for map in [elsewhere.url("/map").as_str(), inner] {
        plain.set("/alto/directory", directory(map, "costs"));
        a.until_state(2, PeerState::Failed, "elsewhere").await;
        assert_eq!(a.cost_inside(2).await, Some(2.25));
        assert_eq!(a.own_answers().await, before);
        plain.set("/alto/directory", directory("map", "costs"));
        a.nudge();
        a.until_state(2, PeerState::Synced, "").await;
    }
    // Costs elsewhere are ignored; the rest is sound.
    plain.set("/alto/directory", directory("map", inner));
    let ignored = |peer: &PeerStatus| {
        let domains = peer.domains.iter();
        let mut ignored = domains.flat_map(|domain| &domain.ignored);
        ignored.any(|ignored| ignored.what.contains("rc"))
    };
    a.until(2, "without its costs", |peer| {
        peer.state == PeerState::Failed || ignored(peer)
    })
    .await;
    assert!(elsewhere.asked().is_empty());
    assert_eq!(a.own_answers().await, before);
    assert!(a.has(2).await, "{}", label(2));
}
