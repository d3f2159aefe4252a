//! The answers to writes that take too long tell the truth.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use altofed::runtime::Clock;
use altofed::store::Durability;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::newest;
use crate::peer::soon;
use crate::support::{Answer, NOC, TestNode};

/// More than the queues before the disk hold.
const WRITES: usize = 300;
/// How long a request may take; no other timer of the node has this length.
const PATIENCE: Duration = Duration::from_secs(29);

/// Lets `noc` state one more PID, with a key of its own.
async fn write(node: &TestNode, number: usize) -> Answer {
    let body = json!({"network-map": {format!("p{number}"): {}}});
    let request = node.n2s(NOC, Method::PATCH, "network-map", Some(&body));
    let key = format!("key {number}");
    request.header("idempotency-key", &key).send().await
}

/// Returns a disk that hangs on demand, the switch for that, a receiver that reports that the
/// disk is waited for, and a sender that releases it when dropped.
fn disk() -> (
    Durability,
    Arc<AtomicBool>,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let hangs = Arc::new(AtomicBool::new(false));
    let ((reached, waited), (release, gate)) = (mpsc::channel(), mpsc::channel::<()>());
    let hanging = hangs.clone();
    let check = move || {
        if hanging.load(Ordering::Relaxed) {
            // The listener may be gone.
            let _ = reached.send(());
            let _ = gate.recv();
        }
        Ok(())
    };
    (Durability::Checked(Box::new(check)), hangs, waited, release)
}

fn kind(answer: &Answer) -> String {
    let problem = answer.problem(503, &[]);
    assert_eq!(answer.header("retry-after"), "5");
    problem["type"].as_str().expect("a type").to_owned()
}

#[tokio::test]
async fn a_write_that_timed_out_is_told_whether_it_may_be_done_and_a_repeat_how_it_ended() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let (disk, hangs, waited, release) = disk();
    let more = "[http]\nmax_connections_per_client = 1000\nidle_timeout = \"1h\"\n\
                [limits]\nrequest_timeout = \"29s\"\nrequests_per_second = 0\n";
    let node = TestNode::failing_with(more, clock, disk).await;
    node.put("network-map", &json!({"network-map": {}})).await;
    node.signed().await;
    let before = newest(&node).await;

    hangs.store(true, Ordering::Relaxed);
    let all = futures_util::future::join_all((0..WRITES).map(|number| write(&node, number)));
    let time_up = async {
        let reached = tokio::task::spawn_blocking(move || waited.recv());
        soon(reached).await.expect("a thread").expect("a write");
        soon(hand.sleepers(PATIENCE, WRITES)).await;
        hand.advance(PATIENCE);
    };
    let (answers, ()) = soon(async { tokio::join!(all, time_up) }).await;
    let is_unfinished = |answer: &Answer| match kind(answer).as_str() {
        "urn:altofed:problem:unfinished" => true,
        "urn:altofed:problem:limit" => {
            let detail = answer.json()["detail"].to_string();
            assert!(detail.contains("before it changed anything"), "{detail}");
            false
        }
        other => panic!("{other}"),
    };
    let unfinished: Vec<bool> = answers.iter().map(is_unfinished).collect();
    let begun = unfinished.iter().filter(|begun| **begun).count();
    assert!((1..WRITES).contains(&begun), "{begun} were begun");

    hangs.store(false, Ordering::Relaxed);
    drop(release);
    // A write that was begun is done once, and a repeat gets its answer.
    let mut revisions = Vec::new();
    for number in (0..WRITES).filter(|number| unfinished[*number]) {
        let repeat = write(&node, number).await;
        assert!(repeat.status.is_success(), "{repeat:?}");
        revisions.push(repeat.json()["revision"].as_u64().expect("a revision"));
    }
    revisions.sort_unstable();
    let expected: Vec<u64> = (before + 1..=before + begun as u64).collect();
    assert_eq!(revisions, expected);
    assert_eq!(newest(&node).await, before + begun as u64);
    // A write that was cancelled is not done, and a repeat does it.
    let map = node.stated("network-map").await.json();
    for number in (0..WRITES).filter(|number| !unfinished[*number]) {
        let pid = format!("p{number}");
        assert_eq!(map["network-map"][&pid], Value::Null, "{pid} is there");
        let repeat = write(&node, number).await;
        let revision = repeat.json()["revision"].as_u64().expect("a revision");
        assert!(revision > before + begun as u64, "{repeat:?}");
    }
    assert_eq!(newest(&node).await, before + WRITES as u64);
}
