//! Room on the disk: what a node does when there is little or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use altofed::node::Ground;
use altofed::runtime::Clock;
use altofed::store::FreeSpace;
use reqwest::Method;
use serde_json::{Value, json};

use crate::peer::soon;
use crate::support::{Answer, Disk, JSON, NOC, Program, Request, TestNode, plain_client};

const MIB: u64 = 1024 * 1024;

/// The least space that stays free.
const MIN_FREE: u64 = 64 * MIB;

fn disk() -> (Arc<AtomicU64>, FreeSpace) {
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = free.clone();
    let told = FreeSpace::told(move || told.load(Ordering::Relaxed));
    (free, told)
}

fn map(pid: &str) -> Value {
    json!({"network-map": {pid: {"ipv4": ["192.0.2.0/24"]}}})
}

async fn write(node: &TestNode, pid: &str, query: &str) -> Answer {
    let request = node.request(Method::PUT, &format!("/n2s/v1/network-map{query}"));
    let request = request.token(NOC).typed(JSON, map(pid).to_string());
    request.send().await
}

fn is_refused(answer: &Answer) {
    let problem = answer.problem(507, &[]);
    assert_eq!(problem["type"], "urn:altofed:problem:room");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("store.min_free"), "{detail}");
    assert_eq!(answer.header("retry-after"), "30");
}

async fn serves(node: &TestNode, pid: &str) {
    for view in ["isp-a", "merged"] {
        let map = node.get(&format!("/views/{view}/networkmap")).await;
        let name = if view == "merged" {
            format!("isp-a:{pid}")
        } else {
            pid.to_owned()
        };
        let map = map.ok("application/alto-networkmap+json");
        assert!(map["network-map"][name].is_object(), "{map}");
    }
}

#[tokio::test]
async fn below_the_least_that_stays_free_writes_get_507_and_queries_are_answered() {
    let (free, told) = disk();
    let node = TestNode::filling(told, "").await;
    assert_eq!(write(&node, "ams", "").await.status, 201);
    free.store(MIN_FREE - 1, Ordering::Relaxed);
    for _ in 0..2 {
        is_refused(&write(&node, "fra", "").await);
    }
    let dry = write(&node, "fra", "?dry-run=true").await;
    assert_eq!(dry.status, 200, "{dry:?}");
    serves(&node, "ams").await;
    let ready = node.get("/readyz?verbose").await;
    assert_eq!(ready.status, 200);
    assert!(
        ready
            .text()
            .contains("[+] store: 63 MiB are free: writes are refused"),
        "{ready:?}"
    );
    let refused = node.metric("altofed_store_refused_for_room_total{kind=\"write\"}");
    assert_eq!(refused.await, 2.0);
    assert_eq!(
        node.metric("altofed_store_free_bytes").await,
        (MIN_FREE - 1) as f64
    );
    // A write that is larger than the remaining space.
    free.store(MIN_FREE + MIB, Ordering::Relaxed);
    let many: Value = (0..12_000)
        .map(|n| {
            (
                format!("ipv4:10.{}.{}.0/24", n / 256, n % 256),
                json!({"priv:note": "x".repeat(60)}),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let request = node.request(Method::PUT, "/n2s/v1/properties").token(NOC);
    let body = json!({"property-map": many}).to_string();
    is_refused(&request.typed(JSON, body).send().await);
    assert_eq!(write(&node, "fra", "").await.status, 200);
    serves(&node, "fra").await;
}

#[tokio::test]
async fn a_start_without_room_answers_queries_and_takes_writes_when_there_is_room() {
    let (free, told) = disk();
    let (clock, hand) = Clock::manual(jiff::Timestamp::now());
    let ground = |free: FreeSpace| Ground {
        free,
        ..Ground::at(clock.clone())
    };
    let mut node = TestNode::on(ground(told.clone()), "[http]\nidle_timeout = \"100h\"\n").await;
    assert_eq!(write(&node, "ams", "").await.status, 201);
    free.store(MIB, Ordering::Relaxed);
    node.restart_on(ground(told)).await;
    serves(&node, "ams").await;
    assert_eq!(node.stated("network-map").await.status, 200);
    let listed = node.n2s(NOC, Method::GET, "revisions", None).send().await;
    assert_eq!(listed.json()["revisions"][0]["revision"], 1, "{listed:?}");
    is_refused(&write(&node, "fra", "").await);
    let ready = node.get("/readyz?verbose").await;
    assert!(
        ready.text().contains("too little to open the store"),
        "{ready:?}"
    );
    // Our manifest is still signed, so that our domain does not expire at others.
    node.signed().await;

    free.store(u64::MAX, Ordering::Relaxed);
    let opened = async {
        while node
            .get("/readyz?verbose")
            .await
            .text()
            .contains("too little")
        {
            hand.sleeper(std::time::Duration::from_secs(5)).await;
            hand.advance(std::time::Duration::from_secs(5));
        }
    };
    soon(opened).await;
    assert_eq!(write(&node, "fra", "").await.status, 200);
    serves(&node, "fra").await;
}

/// Runs the program itself on a disk that something else fills to the last byte while it runs,
/// and that is full when it starts again.
#[tokio::test]
async fn a_full_disk_ends_no_program_and_keeps_none_from_starting() {
    let Some(disk) = Disk::new(56) else { return };
    let more = "[store]\nmin_free = 16777216\n";
    let start = async || {
        let path = disk.path().to_owned();
        let serve = move || Program::serve(&path, more);
        let program = tokio::task::spawn_blocking(serve).await.expect("no panic");
        program.unwrap_or_else(|end| panic!("{}", end.log))
    };
    let put = async |program: &Program, pid: &str| {
        let url = format!("{}/n2s/v1/network-map", program.url);
        let request = Request::to(&plain_client(), Method::PUT, &url).token(NOC);
        request.typed(JSON, map(pid).to_string()).send().await
    };
    let read = async |program: &Program| {
        let url = format!("{}/views/isp-a/networkmap", program.url);
        let map = Request::to(&plain_client(), Method::GET, &url).send().await;
        map.ok("application/alto-networkmap+json")["network-map"].take()
    };
    let program = start().await;
    assert_eq!(put(&program, "ams").await.status, 201);
    disk.fill();
    is_refused(&put(&program, "fra").await);
    let before = read(&program).await;
    program.signal("TERM");
    let end = tokio::task::spawn_blocking(|| program.end()).await;
    assert!(end.expect("no panic").status.success());
    disk.clear();
    disk.fill();
    let program = start().await;
    assert_eq!(read(&program).await, before);
    is_refused(&put(&program, "fra").await);
    disk.clear();
    soon(async {
        while put(&program, "fra").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
