//! A start: our own domain is there at once, and the merged view when everything is there that
//! was there before, never with less.

use altofed::node::Ground;
use altofed::runtime::Clock;
use reqwest::Method;

use super::links::{Link, cost_map, inside, label};
use super::member::{Join, Member, STRANGER, secret};
use super::site::glance;
use crate::support::{Answer, JSON, OPS};

const LINK: Link = Link(1, 2);

/// `isp-a` has the documents of `isp-b` on its disk, and `isp-b` is gone.
async fn kept() -> Member {
    let [mut a, mut b] = [Member::start(1).await, Member::start(2).await];
    for member in [&a, &b] {
        member.states(&[LINK]).await;
    }
    b.join([Join::to(1, &a.url)]);
    a.join([Join::to(2, &b.url)]);
    a.until_cost(2, Some(inside(2))).await;
    a.stop().await;
    a
}

/// GET as anybody.
async fn ask(node: &Member, path: &str) -> Answer {
    node.request(Method::GET, path).send().await
}

/// Checks that the answer asks to come back later.
#[track_caller]
fn later(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
}

const MERGED: [&str; 5] = [
    "/directory",
    "/views/merged/directory",
    "/views/merged/networkmap",
    "/views/merged/costmap-routingcost",
    "/views/merged/explain?src=10.1.0.1&dst=10.2.0.1",
];

#[tokio::test]
async fn a_start_answers_for_our_domain_while_what_peers_passed_is_restored() {
    let mut a = kept().await;
    let ground = Ground::at(Clock::system());
    let [restoring, merging] = [ground.restoring.clone(), ground.merging.clone()];
    restoring.close();
    merging.close();
    a.start_again_on(ground).await;
    restoring.reached().await;

    assert_eq!(ask(&a, "/livez").await.status, 200);
    for own in ["directory", "networkmap", "costmap-routingcost"] {
        let path = format!("/views/{}/{own}", a.label);
        assert_eq!(ask(&a, &path).await.status, 200, "{path}");
    }
    assert_eq!(a.endpoint_cost(&a.label, 1, 1).await.status, 200);
    for path in MERGED {
        later(&ask(&a, path).await);
    }
    later(&ask(&a, "/views/isp-b/networkmap").await);
    let conflicts = a.request(Method::GET, "/s2s/v1/conflicts").token(OPS);
    later(&conflicts.send().await);

    later(&ask(&a, "/readyz").await);
    let verbose = ask(&a, "/readyz?verbose").await;
    assert_eq!(verbose.status, 503);
    let (text, lines) = (verbose.text(), verbose.text().lines());
    assert!(text.contains("0 of 1 copies of domains"), "{text}");
    assert!(text.contains("[-] merged view:"), "{text}");
    assert_eq!(lines.last(), Some("not ready"));

    // A write is answered, and what it states is signed.
    let costs = a.request(Method::PUT, "/n2s/v1/cost-maps/routingcost");
    let costs = costs.token(OPS).header("prefer", "wait=0");
    let put = costs.typed(JSON, cost_map(1, 9.5).to_string());
    let answer = put.send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("the merged view follows"), "{warnings}");
    a.until_signed().await;

    restoring.open();
    while ask(&a, "/views/isp-b/networkmap").await.status != 200 {
        glance().await;
    }
    later(&ask(&a, "/views/merged/networkmap").await);
    assert_eq!(ask(&a, "/views/isp-c/networkmap").await.status, 404);
    let verbose = ask(&a, "/readyz?verbose").await;
    assert_eq!(verbose.status, 503);
    assert!(verbose.text().contains("[+] peers:"), "{verbose:?}");

    merging.open();
    let first = loop {
        let answer = ask(&a, "/views/merged/networkmap").await;
        if answer.status == 200 {
            break answer;
        }
        later(&answer);
        glance().await;
    };
    let text = first.text();
    assert!(text.contains("isp-b:core"), "the first has all: {text}");
    for path in MERGED {
        assert_eq!(ask(&a, path).await.status, 200, "{path}");
    }
    assert_eq!(ask(&a, "/readyz").await.status, 200);
}

#[tokio::test]
async fn who_may_not_read_the_merged_view_is_told_so_and_not_to_come_again() {
    let mut a = kept().await;
    a.change("[access]\nviews = [\"isp-a\"]\n");
    let ground = Ground::at(Clock::system());
    ground.restoring.close();
    a.start_again_on(ground).await;
    for path in MERGED {
        assert_eq!(ask(&a, path).await.status, 401, "{path}");
        let allowed = a.request(Method::GET, path).token(OPS).send().await;
        later(&allowed);
    }
    assert_eq!(ask(&a, "/views/isp-b/networkmap").await.status, 401);
}

#[tokio::test]
async fn peers_get_the_list_of_domains_only_when_it_has_all_of_them() {
    let mut a = kept().await;
    let ground = Ground::at(Clock::system());
    let restoring = ground.restoring.clone();
    restoring.close();
    let [all, own] = [secret(1, 3), secret(1, 4)];
    let off = "http://127.0.0.1:9";
    a.join([
        Join::to(2, off),
        Join::to(3, off),
        Join {
            export: "own",
            ..Join::to(4, off)
        },
    ]);
    a.start_again_on(ground).await;
    let passed = async |token: &str| {
        let manifests = a.request(Method::GET, "/s2s/v1/manifests").token(token);
        manifests.send().await
    };
    // These callers get only our own domain, which is there when it is signed.
    for token in [own.as_str(), STRANGER] {
        loop {
            let answer = passed(token).await;
            if answer.status == 200 {
                assert_eq!(answer.json().as_array().map(Vec::len), Some(1));
                break;
            }
            later(&answer);
            glance().await;
        }
    }
    later(&passed(&all).await);
    restoring.open();
    let entries = loop {
        let answer = passed(&all).await;
        if answer.status == 200 {
            break answer.json();
        }
        later(&answer);
        glance().await;
    };
    let domains = entries.as_array().expect("entries").iter();
    let domains: Vec<_> = domains.map(|entry| &entry["domain"]).collect();
    assert_eq!(domains, [label(1).as_str(), label(2).as_str()]);
}
