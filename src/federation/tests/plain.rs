//! Tests peers that are plain ALTO servers.

use std::collections::BTreeMap;

use serde_json::json;

use crate::api::interconnect::Relationship;
use crate::api::s2s::SpokenProtocol;
use crate::federation::testing::{label, pid};
use crate::federation::{Federation, PlainInterconnect, Protocol};
use crate::ident::{InterconnectId, MetricName};

use super::node::{Node, Reply, Time, cost, failures, has_reason, is_synced, pair};

/// Answers as a server that knows nothing of federations, for a domain with this cost from east
/// to west.
fn plain(cost: f64) -> impl FnMut(&str, Reply) -> Reply {
    let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
    let directory = json!({
        "meta": {"default-alto-network-map": "net", "cost-types": {"rc": cost_type}},
        "resources": {
            "net": {"uri": "net", "media-type": "application/alto-networkmap+json"},
            "costs": {
                "uri": "costs", "media-type": "application/alto-costmap+json", "uses": ["net"],
                "capabilities": {"cost-type-names": ["rc"]},
            },
        },
    });
    let network = json!({
        "meta": {"vtag": {"resource-id": "net", "tag": "1"}},
        "network-map": {
            "east": {"ipv4": ["198.51.100.0/24"]}, "west": {"ipv6": ["2001:db8::/32"]},
        },
    });
    let costs = json!({
        "meta": {
            "dependent-vtags": [{"resource-id": "net", "tag": "1"}], "cost-type": cost_type,
        },
        "cost-map": {"east": {"west": cost}},
    });
    move |path, reply| {
        let (kind, document) = match path {
            "/directory" => ("directory", &directory),
            "/net" => ("networkmap", &network),
            "/costs" => ("costmap", &costs),
            _ => {
                return Reply {
                    status: 404,
                    ..reply
                };
            }
        };
        Reply {
            status: 200,
            media_type: format!("application/alto-{kind}+json"),
            body: document.to_string().into(),
        }
    }
}

/// Has `isp-a` read `isp-b`, with a link between them.
fn linked(a: &Node, b: &Node) {
    a.reads(b, "own", "*");
    let costs = |cost| BTreeMap::from([(MetricName::routingcost(), cost)]);
    let link = PlainInterconnect {
        border: pid("east"),
        peer_border: pid("west"),
        relationship: Relationship::Provider,
        peer_relationship: Relationship::Customer,
        costs: costs(3.0),
        reverse_costs: costs(4.0),
    };
    a.configure(|settings| {
        let peer = settings.peers.get_mut(&label("isp-b")).expect("a peer");
        let id = InterconnectId::new("x-1").expect("an id");
        peer.interconnects.insert(id, link);
    });
}

#[tokio::test]
async fn a_plain_peer_is_read_linked_as_configured_and_not_passed_on() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(plain(5.0));
    linked(&a, &b);
    assert_eq!(a.has("isp-b").await, 5.0);
    a.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(a.peer("isp-b").protocol, Some(SpokenProtocol::Alto));
    let copy = a.copy("isp-b");
    let (theirs, ours) = (&copy.interconnects["x-1"], &copy.ours["x-1"]);
    assert_eq!(
        (theirs.border.as_str(), theirs.peer_border.as_str()),
        ("west", "east")
    );
    assert_eq!(
        (ours.border.as_str(), ours.peer_border.as_str()),
        ("east", "west")
    );
    assert_eq!(
        (theirs.costs["routingcost"], ours.costs["routingcost"]),
        (4.0, 3.0)
    );
    assert_eq!(theirs.relationship, Relationship::Customer);
    assert_eq!(theirs.peer_domain, label("isp-a"));
    let c = Node::start(&time, "isp-c").await;
    a.reads(&c, "own", "*");
    let passed = a.federation.exports(Some(&label("isp-c"))).expect("all");
    assert!(passed.iter().all(|entry| entry.domain == label("isp-a")));
    b.tamper(plain(6.0));
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(6.0))
        .await;
}

#[tokio::test]
async fn a_plain_domain_is_the_same_after_a_restart() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(plain(5.0));
    linked(&a, &b);
    a.until(|it| {
        let imports = it.imported().borrow().clone();
        imports
            .get(&label("isp-b"))
            .is_some_and(|it| !it.ours.is_empty())
    })
    .await;
    a.until(|it| is_synced(it, "isp-b")).await;
    let before = a.copy("isp-b");
    b.tamper(|_, reply| Reply {
        status: 500,
        ..reply
    });
    let a = a.restart(&time.clock).await;
    let after = a.copy("isp-b");
    assert_eq!(before.digest, after.digest);
    assert_eq!(
        (&before.ours, &before.interconnects),
        (&after.ours, &after.interconnects)
    );
    assert_eq!(before.serial, after.serial);
    b.tamper(plain(6.0));
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(6.0))
        .await;
}

#[tokio::test]
async fn a_plain_peer_that_begins_to_sign_is_read_so_and_no_other_way_again() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(plain(6.0));
    a.reads(&b, "own", "own");
    assert_eq!(a.has("isp-b").await, 6.0);
    b.mend();
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(5.0))
        .await;
    b.tamper(plain(6.0));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "key"))
        .await;
    assert_eq!(cost(&a.federation, "isp-b"), Some(5.0));
}

#[tokio::test]
async fn a_peer_that_has_to_sign_is_never_read_as_a_plain_one() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(plain(5.0));
    a.reads(&b, "own", "own");
    a.configure(|settings| {
        let peer = settings.peers.get_mut(&label("isp-b")).expect("a peer");
        peer.protocol = Protocol::Altofed;
    });
    a.until(|it| has_reason(it, "isp-b", "status")).await;
    // The peer may have been read once before it had to sign.
    a.until(|it| failures(it) > 0).await;
    b.asked();
    let before = failures(&a.federation);
    a.read_until("isp-b", |it| failures(it) > before).await;
    let asked = b.asked();
    let maps = |path: &String| ["/net", "/costs"].contains(&&**path);
    assert!(!asked.iter().any(maps), "{asked:?}");
}

/// Answers as a plain server with this many prefixes.
fn plain_of(count: u8) -> impl FnMut(&str, Reply) -> Reply {
    let prefixes: Vec<String> = (0..count).map(|n| format!("10.{n}.0.0/16")).collect();
    let tag = count.to_string();
    let network = json!({
        "meta": {"vtag": {"resource-id": "net", "tag": tag}},
        "network-map": {"east": {"ipv4": prefixes}, "west": {"ipv6": ["2001:db8::/32"]}},
    });
    let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
    let costs = json!({
        "meta": {
            "dependent-vtags": [{"resource-id": "net", "tag": tag}], "cost-type": cost_type,
        },
        "cost-map": {"east": {"west": 5.0}},
    });
    let mut base = plain(5.0);
    move |path, reply| match path {
        "/net" => Reply {
            body: network.to_string().into(),
            ..base(path, reply)
        },
        "/costs" => Reply {
            body: costs.to_string().into(),
            ..base(path, reply)
        },
        path => base(path, reply),
    }
}

#[tokio::test]
async fn a_plain_peer_that_loses_most_of_its_prefixes_is_held_and_accepted() {
    let prefixes = |it: &Federation| {
        let imports = it.imported().borrow().clone();
        let used = imports.get(&label("isp-b"))?;
        Some(used.view.network().prefix_count())
    };
    let is_held = |it: &Federation| {
        let domain = super::node::domain(it, "isp-b", "isp-b");
        domain.is_some_and(|domain| domain.held.is_some())
    };
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(plain_of(20));
    linked(&a, &b);
    a.until(|it| prefixes(it) == Some(21) && is_synced(it, "isp-b"))
        .await;
    b.tamper(plain_of(1));
    a.read_until("isp-b", is_held).await;
    assert!(has_reason(&a.federation, "isp-b", "change"));
    assert_eq!(prefixes(&a.federation), Some(21));
    // A change of the link by the operator is not held.
    a.configure(|settings| {
        let peer = settings.peers.get_mut(&label("isp-b")).expect("a peer");
        for link in peer.interconnects.values_mut() {
            link.reverse_costs.insert(MetricName::routingcost(), 1e9);
        }
    });
    assert!(a.federation.accept(&label("isp-b")).await.expect("kept"));
    a.until(|it| prefixes(it) == Some(2) && is_synced(it, "isp-b"))
        .await;
    assert_eq!(
        a.copy("isp-b").interconnects["x-1"].costs["routingcost"],
        1e9
    );
    // A change is also released when its time is over.
    b.tamper(plain_of(40));
    a.read_until("isp-b", |it| prefixes(it) == Some(41)).await;
    time.hand.advance(std::time::Duration::from_secs(3601));
    a.until(|it| is_synced(it, "isp-b")).await;
    b.tamper(plain_of(1));
    a.read_until("isp-b", is_held).await;
    time.hand.advance(std::time::Duration::from_secs(3600));
    a.until(|it| prefixes(it) == Some(2)).await;
}
