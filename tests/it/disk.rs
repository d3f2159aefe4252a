//! Disks that fail, and disks that hang.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use altofed::runtime::Clock;
use altofed::store::Durability;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use crate::support::{JSON, NOC, Request, TestNode};

fn a_write(node: &TestNode, pid: &str) -> Request {
    let body = json!({"network-map": {pid: {"ipv4": ["192.0.2.0/24"]}}}).to_string();
    let request = node.request(Method::PUT, "/n2s/v1/network-map");
    request.token(NOC).typed(JSON, body)
}

#[tokio::test]
async fn a_failing_disk_ends_acknowledgements_and_the_node() {
    let broken = Arc::new(AtomicBool::new(false));
    let checked = broken.clone();
    let mut node = TestNode::failing(Durability::Checked(Box::new(move || {
        if checked.load(Ordering::Relaxed) {
            Err(io::Error::other("no medium"))
        } else {
            Ok(())
        }
    })))
    .await;
    assert_eq!(a_write(&node, "ams").send().await.status, 201);
    broken.store(true, Ordering::Relaxed);
    for pid in ["fra", "lon"] {
        let refused = a_write(&node, pid).send().await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert_eq!(refused.header("retry-after"), "10");
    }
    let error = node.node().failed().await;
    assert!(error.to_string().contains("no medium"), "{error}");
    // What was published before can still be read.
    let map = node.get("/views/isp-a/networkmap").await;
    let map = map.ok("application/alto-networkmap+json");
    assert!(map["network-map"]["ams"].is_object() && map["network-map"]["fra"].is_null());
}

#[tokio::test]
async fn a_disk_that_hangs_ends_the_node_after_a_minute() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let (release, gate) = mpsc::channel::<()>();
    let (at_disk, reached) = mpsc::channel();
    let hangs = Arc::new(AtomicBool::new(false));
    let checked = hangs.clone();
    let mut node = TestNode::failing_at(
        clock,
        Durability::Checked(Box::new(move || {
            if checked.load(Ordering::Relaxed) {
                // The listener may be gone.
                let _ = at_disk.send(());
                let _ = gate.recv();
            }
            Ok(())
        })),
    )
    .await;
    node.signed().await;
    hangs.store(true, Ordering::Relaxed);
    let written = tokio::spawn(a_write(&node, "ams").send());
    tokio::task::spawn_blocking(move || reached.recv())
        .await
        .expect("a thread")
        .expect("a write");
    hand.sleeper(Duration::from_secs(60)).await;
    hand.advance(Duration::from_secs(60));
    let error = node.node().failed().await;
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert_eq!(written.await.expect("an answer").status, 503);
    drop(release);
}
