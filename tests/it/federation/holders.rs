//! Who holds an address: maps that describe the outside too, and sites with two networks.

use altofed::api::conflict::MergeConflictKind;
use altofed::api::s2s::{ConflictList, PeerState};
use reqwest::Method;
use serde_json::{Value, json};

use super::links::{Link, label};
use super::member::{Join, Member};
use super::site::{PATIENCE, Site, glance};
use crate::support::{COST_PARAMS, OPS};

/// Returns what a node answers for the cost between two addresses in the merged view.
async fn cost(site: &Site, from: &str, to: &str) -> Option<f64> {
    let body = json!({
        "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "endpoints": {"srcs": [format!("ipv4:{from}")], "dsts": [format!("ipv4:{to}")]},
    });
    let request = site.request(Method::POST, "/views/merged/endpointcost");
    let answer = request
        .token(OPS)
        .typed(COST_PARAMS, body.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["endpoint-cost-map"][format!("ipv4:{from}")][format!("ipv4:{to}")].as_f64()
}

async fn until_cost_is(site: &Site, from: &str, to: &str, wanted: f64) {
    let came = tokio::time::timeout(PATIENCE, async {
        while cost(site, from, to).await != Some(wanted) {
            glance().await;
        }
    });
    if came.await.is_err() {
        let now = cost(site, from, to).await;
        panic!(
            "{from} to {to} costs {now:?} at {}, not {wanted}",
            site.label
        );
    }
}

/// Starts the domains of links, each of which states these documents and knows the others.
async fn federation(
    links: &[Link],
    policy: &str,
    states: &[&dyn Fn(u8) -> (Value, Value)],
) -> Vec<Member> {
    let mut members = Vec::new();
    for (number, states) in (1..).zip(states) {
        let member = Member::start(number).await;
        let (network, costs) = states(number);
        member.states(links).await;
        let operations = json!({"operations": [
            {"op": "put", "path": "network-map", "value": network},
            {"op": "put", "path": "cost-maps/routingcost", "value": costs},
        ]});
        let request = member
            .request(Method::POST, "/n2s/v1/transaction")
            .token(OPS);
        let answer = request
            .typed(crate::support::JSON, operations.to_string())
            .send()
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        member.until_signed().await;
        members.push(member);
    }
    let urls: Vec<String> = members.iter().map(|member| member.url.clone()).collect();
    for (own, member) in (1_u8..).zip(&mut members) {
        let peers = links.iter().filter_map(|Link(a, b)| match own {
            _ if own == *a => Some(*b),
            _ if own == *b => Some(*a),
            _ => None,
        });
        let joins = peers.map(|peer| Join::to(peer, &urls[usize::from(peer) - 1]));
        member.join_under(policy, joins);
    }
    for member in &mut members {
        member.nudge();
    }
    members
}

/// The PIDs `core` and `edge` with the prefixes of a domain, and more PIDs.
fn network(number: u8, more: &[(&str, &str)], off_net: &[&str]) -> Value {
    let mut map = json!({
        "core": {"ipv4": [format!("10.{number}.0.0/17")]},
        "edge": {"ipv4": [format!("10.{number}.128.0/17")]},
    });
    for (pid, prefix) in more {
        map[*pid] = json!({"ipv4": [prefix]});
    }
    json!({"network-map": map, "off-net": off_net})
}

/// The documents of a domain of two PIDs.
fn plain(number: u8) -> (Value, Value) {
    let costs = json!({"cost-map": {
        "core": {"core": 0, "edge": 1}, "edge": {"core": 1, "edge": 0},
    }});
    (network(number, &[], &[]), costs)
}

/// Routing costs from `core` and `edge` to one more PID, and back.
fn costs(pid: &str, cost: f64) -> Value {
    json!({"cost-map": {
        "core": {"core": 0, "edge": 1, pid: cost},
        "edge": {"core": 1, "edge": 0, pid: cost},
        pid: {"core": cost, "edge": cost},
    }})
}

#[tokio::test]
async fn a_map_that_describes_the_outside_takes_nothing_from_those_who_are_there() {
    // `isp-a` states how it reaches `isp-b`, in fewer and longer prefixes than `isp-b` has.
    let a = |number| {
        let outside = ("peering-b", "10.2.0.0/16");
        (
            network(number, &[outside], &["peering-b"]),
            costs("peering-b", 1.0),
        )
    };
    let links = [Link(1, 2), Link(2, 3)];
    let members = federation(&links, "", &[&a, &plain, &plain]).await;
    // Crossing from 1 to 2 costs 12, and that is the way to any of its addresses.
    for member in &members {
        until_cost_is(member, "10.1.0.1", "10.2.200.1", 12.0).await;
        until_cost_is(member, "10.1.0.1", "10.3.200.1", 12.0 + 1.0 + 23.0).await;
        let merged = member.read::<Value>("/views/merged/networkmap").await;
        let merged = &merged["network-map"];
        assert_eq!(
            merged["isp-b:edge"]["ipv4"],
            json!(["10.2.128.0/17"]),
            "{}",
            member.label
        );
        let list: ConflictList = member.read("/s2s/v1/conflicts").await;
        let overlaps = [
            "own-prefix",
            "equal-prefix",
            "overlapping-prefix",
            "foreign-prefix",
        ];
        for kind in overlaps {
            assert_eq!(list.totals[kind], 0, "{kind} at {}", member.label);
        }
    }
    // Where nobody holds an address, how it is reached is each network's own affair.
    let [a, b, _] = &members[..] else {
        panic!("three members");
    };
    assert_eq!(cost(b, "10.1.0.1", "8.8.8.8").await, None);
    assert_eq!(cost(a, "10.1.0.1", "10.2.0.1").await, Some(12.0 + 1.0));
}

#[tokio::test]
async fn a_site_with_two_networks_is_reached_over_the_nearer_one_at_every_node() {
    const SITE: &str = "203.0.113.0/24";
    let far = |number| {
        (
            network(number, &[("site", SITE)], &[]),
            costs("site", 500.0),
        )
    };
    let near = |number| (network(number, &[("site", SITE)], &[]), costs("site", 3.0));
    let policy = format!(
        "[domain.isp-b]\nprefixes = [\"10.2.0.0/16\", \"{SITE}\"]\n\
         [domain.isp-c]\nprefixes = [\"10.3.0.0/16\", \"{SITE}\"]\n"
    );
    let links = [Link(1, 2), Link(1, 3), Link(2, 3)];
    let members = federation(&links, &policy, &[&plain, &far, &near]).await;
    for member in &members {
        until_cost_is(member, "10.1.0.1", "203.0.113.9", 13.0 + 3.0).await;
        until_cost_is(member, "203.0.113.9", "10.1.0.1", 31.0 + 3.0).await;
        // The word of a domain about itself is final.
        until_cost_is(member, "10.2.0.1", "203.0.113.9", 500.0).await;
        for kind in [MergeConflictKind::EqualPrefix, MergeConflictKind::OwnPrefix] {
            assert_eq!(member.conflicts(kind).await, Vec::<String>::new());
        }
        let path = "/views/merged/explain?src=10.1.0.1&dst=203.0.113.9";
        let explained = member.read::<Value>(path).await;
        assert_eq!(explained["dst"]["holder"], "isp-c:site", "{explained}");
        assert_eq!(explained["total"]["routingcost"], 16.0);
        assert!(
            explained["dst"]["pid"]
                .as_str()
                .expect("a PID")
                .starts_with("multi:")
        );
    }
}

#[tokio::test]
async fn the_default_route_that_every_map_has_is_no_conflict() {
    let links = [Link(1, 2), Link(1, 3)];
    let members = federation(&links, "", &[&plain, &plain, &plain]).await;
    let a = &members[0];
    for peer in [2, 3] {
        a.until_state(peer, PeerState::Synced, "").await;
    }
    until_cost_is(a, "10.1.0.1", "10.3.200.1", 13.0).await;
    let list: ConflictList = a.read("/s2s/v1/conflicts").await;
    let kinds: Vec<_> = list
        .conflicts
        .iter()
        .map(|conflict| conflict.kind)
        .collect();
    assert!(
        kinds
            .iter()
            .all(|kind| *kind == MergeConflictKind::PrivatePrefix),
        "{list:?} of {}",
        label(1)
    );
}
