//! A change by a neighbour that is too large is held: the last good version is still served, and
//! the operator sees it and decides.

use altofed::api::s2s::{PeerState, PeerStatus};
use reqwest::Method;
use serde_json::{Value, json};

use super::links::{Link, cost_map, inside, interconnects};
use super::member::{Join, Member};
use super::site::{Site, glance};
use crate::support::{OPS, command};

const LINKS: [Link; 1] = [Link(1, 2)];

/// Returns the network map of the second domain with this many more prefixes.
fn with_customers(count: u8) -> Value {
    let prefixes: Vec<String> = (0..count).map(|n| format!("10.2.{n}.0/24")).collect();
    json!({"network-map": {
        "core": {"ipv4": prefixes}, "edge": {"ipv4": ["10.2.128.0/17"]},
    }})
}

/// Returns the network map after a mistake.
fn one_address() -> Value {
    json!({"network-map": {"core": {"ipv4": ["10.2.0.1/32"]}, "edge": {}}})
}

/// Starts two nodes with a link that follow each other, the second with customers. Changes are
/// pushed, since readings are ten minutes apart.
async fn neighbours(import: &str) -> (Member, Member) {
    let (mut a, mut b) = (Member::start(1).await, Member::start(2).await);
    a.states(&LINKS).await;
    b.states(&LINKS).await;
    b.put("network-map", &with_customers(20)).await;
    b.until_signed().await;
    let seldom = format!("refresh.interval = \"10m\"\n{import}");
    b.join([Join::to(1, &a.url)]);
    a.join([Join {
        more: &seldom,
        ..Join::to(2, &b.url)
    }]);
    a.until_cost(2, Some(inside(2))).await;
    while metric(&b, "altofed_federation_update_streams").await < 1.0 {
        glance().await;
    }
    (a, b)
}

async fn metric(site: &Site, line: &str) -> f64 {
    let metrics = site.get("/metrics").await;
    let mut lines = metrics.text().lines();
    let found = lines.find(|text| text.starts_with(line));
    let value = found.and_then(|text| text.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_default()
}

/// Returns how many IPv4 prefixes are served of the core of the second domain.
async fn served(a: &Site) -> usize {
    let map: Value = a.read("/views/isp-b/networkmap").await;
    map["network-map"]["core"]["ipv4"]
        .as_array()
        .map_or(0, Vec::len)
}

fn is_held(peer: &PeerStatus) -> bool {
    peer.domains.iter().any(|domain| domain.held.is_some())
}

#[tokio::test]
async fn a_neighbour_that_shrinks_to_one_address_is_served_as_before_until_it_is_accepted() {
    let (a, b) = neighbours("").await;
    let merged = a.endpoint_cost("merged", 1, 2).await.json()["endpoint-cost-map"].take();
    b.put("network-map", &one_address()).await;
    let status = a.until(2, "held", is_held).await;
    assert_eq!(status.state, PeerState::Held);
    assert_eq!(status.reason.expect("a reason").code, "change");
    let held = status.domains[0].held.clone().expect("held");
    let prefixes = held.difference.prefixes;
    assert_eq!((prefixes.of, prefixes.removed), (21, 21));
    assert_eq!(served(&a).await, 20);
    let now = a.endpoint_cost("merged", 1, 2).await.json()["endpoint-cost-map"].take();
    assert_eq!(now, merged);
    assert_eq!(
        metric(&a, "altofed_federation_held{peer=\"isp-b\"}").await,
        1.0
    );
    let rejected = "altofed_import_rejected_total{reason=\"change\"}";
    assert_eq!(metric(&a, rejected).await, 1.0);

    // An anonymous caller, and one domain too many.
    let path = "/s2s/v1/domains/isp-b/accept";
    assert_eq!(a.request(Method::POST, path).send().await.status, 401);
    let other = "/s2s/v1/domains/isp-x/accept";
    let none = a.request(Method::POST, other).token(OPS).send().await;
    none.problem(404, &[]);

    let url = a.url.clone();
    let told = tokio::task::spawn_blocking(move || {
        let run = |words: &[&str]| {
            let mut command = command(["peer", "isp-b"]);
            command
                .args(words)
                .args(["--url", &url, "--token-env", "ALTOFED_OPS"]);
            let told = command.env("ALTOFED_OPS", OPS).output().expect("it runs");
            assert!(told.status.success(), "{told:?}");
            String::from_utf8_lossy(&told.stdout).into_owned()
        };
        (run(&[]), run(&["--accept"]))
    });
    let (shown, accepted) = told.await.expect("no panic");
    for words in ["held change", "21 of 21 prefixes go", "--accept"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(accepted.contains("is accepted"), "{accepted}");
    while served(&a).await != 1 {
        glance().await;
    }
    a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(
        metric(&a, "altofed_federation_held{peer=\"isp-b\"}").await,
        0.0
    );
    // It is followed again.
    b.costs(0.5).await;
    a.until_cost(2, Some(0.5)).await;
}

#[tokio::test]
async fn a_link_whose_cost_jumps_to_millions_is_held_and_taken_back_it_is_not() {
    let (a, b) = neighbours("").await;
    let links = |cost: f64| {
        let mut stated = interconnects(2, &LINKS);
        stated["interconnects"]["x-1-2"]["costs"]["routingcost"] = json!(cost);
        stated
    };
    b.put("interconnects", &links(5_000_000.0)).await;
    let status = a.until(2, "held", is_held).await;
    let reason = status.reason.expect("a reason").detail;
    let words = "1 of 1 costs across interconnects in routingcost move";
    assert!(reason.contains(words), "{reason}");
    // Meanwhile nothing that it states is used, nor requested again and again.
    b.costs(0.5).await;
    b.until_signed().await;
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));
    b.put("interconnects", &interconnects(2, &LINKS)).await;
    b.until_signed().await;
    // Its next manifest is pushed and checked, though its maps are not followed.
    a.until_cost(2, Some(0.5)).await;
    a.until_state(2, PeerState::Synced, "").await;
}

#[tokio::test]
async fn what_may_change_by_the_operators_word_comes_at_once() {
    let (a, b) = neighbours("import.max_removed = 1\nimport.max_change = { share = 1 }\n").await;
    b.put("network-map", &one_address()).await;
    b.put("cost-maps/routingcost", &cost_map(2, 1e6)).await;
    a.until_cost(2, Some(1e6)).await;
    assert_eq!(served(&a).await, 1);
    a.until_state(2, PeerState::Synced, "").await;
}
