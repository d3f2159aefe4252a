//! Tests what survives a restart, and for how long.

use std::time::Duration;

use crate::api::s2s::PeerState;
use crate::federation::testing::label;

use super::node::{Node, Time, chain, cost, has_reason, is_synced, joined, state};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_peers_passed_is_there_after_a_restart_and_ages_on() {
    let time = Time::new();
    let (a, b, _c) = chain(&time).await;
    a.reads(&b, "*", "own");
    a.has("isp-b").await;
    a.has("isp-c").await;
    a.until(|it| is_synced(it, "isp-b")).await;
    let serial = a.federation.issued().borrow()[0].manifest.serial;
    b.stop().await;
    time.hand.advance(HOUR);
    let a = a.restart(&time.clock).await;
    assert_eq!(cost(&a.federation, "isp-b"), Some(5.0));
    assert_eq!(cost(&a.federation, "isp-c"), Some(5.0));
    assert_eq!(state(&a.federation, "isp-b").0, PeerState::Stale);
    assert!(a.federation.issued().borrow()[0].manifest.serial > serial);
    let domains = a.peer("isp-b").domains;
    assert_eq!(domains[0].age_seconds, Some(3600));
    time.hand.advance(HOUR * 5);
    a.until(|it| cost(it, "isp-b").is_none()).await;
    assert_eq!(state(&a.federation, "isp-b").0, PeerState::Expired);
    let a = a.restart(&time.clock).await;
    assert_eq!(cost(&a.federation, "isp-b"), None, "it stays expired");
}

#[tokio::test]
async fn keys_and_serials_are_known_after_a_restart() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let old = serde_json::to_vec(&b.federation.exports(None).expect("all")).expect("JSON");
    b.say(&time, 6.0).await;
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(6.0))
        .await;
    a.until(|it| is_synced(it, "isp-b")).await;
    b.tamper(move |path, mut reply| {
        if path == "/s2s/v1/manifests" {
            reply.body = old.clone().into();
        }
        reply
    });
    let a = a.restart(&time.clock).await;
    a.until(|it| has_reason(it, "isp-b", "old-serial")).await;
    assert_eq!(cost(&a.federation, "isp-b"), Some(6.0));
    let new_file = super::node::new_key(&b.directory.path().join("new.pem"));
    b.configure(|settings| settings.own.keys.key = new_file);
    b.mend();
    b.say(&time, 7.0).await;
    let a = a.restart(&time.clock).await;
    a.until(|it| has_reason(it, "isp-b", "key")).await;
    assert_eq!(cost(&a.federation, "isp-b"), Some(6.0));
}

#[tokio::test]
async fn a_pin_that_came_meanwhile_holds_for_what_was_kept() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.stop().await;
    a.pins("isp-b", &a);
    let a = a.restart(&time.clock).await;
    assert_eq!(cost(&a.federation, "isp-b"), None);
}

#[tokio::test]
async fn a_peer_that_is_no_longer_configured_leaves_nothing() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let mut imported = a.federation.imported();
    a.configure(|settings| settings.peers.clear());
    let gone = imported.wait_for(|imports| imports.is_empty());
    crate::runtime::testing::soon(gone).await.expect("it runs");
    assert!(a.federation.peers().peers.is_empty());
    assert!(!a.federation.refresh(&label("isp-b")));
    let a = a.restart(&time.clock).await;
    a.reads(&b, "own", "own");
    a.has("isp-b").await;
}

#[tokio::test]
async fn our_serial_goes_on_after_a_restart_whatever_the_clock_says() {
    let time = Time::new();
    let a = Node::start(&time, "isp-a").await;
    let serial = |node: &Node| node.federation.issued().borrow()[0].manifest.serial;
    let first = serial(&a);
    let a = a.restart(&time.clock).await;
    assert_eq!(serial(&a), first + 1);
}
