//! Our own view does not wait for the merged one: what is written, what answers say about it,
//! and what follows.

use std::time::Duration;

use altofed::node::Ground;
use altofed::runtime::{Clock, Gate, ManualClock, Task};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, NOC, TestNode, until_joined};

/// Longer than any event takes; only a test that fails waits this long.
const LIMIT: Duration = Duration::from_secs(60);

const PATIENCE: Duration = Duration::from_millis(250);

/// A node with a clock, and the gate that its merges pass.
struct Held {
    node: TestNode,
    hand: ManualClock,
    gate: Gate,
}

impl Held {
    async fn start() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let ground = Ground::at(clock);
        let gate = ground.merging.clone();
        let more = "[merge]\npatience = \"250ms\"\n[http]\nidle_timeout = \"100h\"\n";
        let mut node = TestNode::on(ground, more).await;
        until_joined(node.node()).await;
        Self { node, hand, gate }
    }

    /// Puts a network of these PIDs, with a preference; does not wait for the answer.
    fn put(&self, prefer: Option<&str>, pids: &[&str]) -> Task<Answer> {
        let map: serde_json::Map<_, _> = pids.iter().map(|&pid| (pid.into(), json!({}))).collect();
        let body = json!({ "network-map": map });
        let request = self.node.n2s(NOC, Method::PUT, "network-map", Some(&body));
        let request = match prefer {
            Some(prefer) => request.header("prefer", prefer),
            None => request,
        };
        Task::spawn("put", request.send())
    }

    /// Returns the PIDs of a view, and the revision that it says it shows.
    async fn shown(&self, view: &str) -> (Vec<String>, String) {
        let answer = self.node.get(&format!("/views/{view}/networkmap")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let pids = answer.json()["network-map"]
            .as_object()
            .expect("a map")
            .clone();
        let revision = answer.header("altofed-revision").to_owned();
        (pids.into_iter().map(|(pid, _)| pid).collect(), revision)
    }

    /// Waits until the merged view shows a revision.
    async fn until_merged(&mut self, revision: u64) {
        let mut snapshots = self.node.node().snapshots();
        let merged = snapshots.wait_for(|it| it.merged_revision() == Some(revision));
        drop(soon(merged).await.expect("it runs"));
    }

    async fn metric(&self, name: &str) -> f64 {
        let metrics = self.node.get("/metrics").await;
        let mut lines = metrics.text().lines();
        let line = lines.find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.expect("the metric").parse().expect("a number")
    }
}

async fn soon<F: Future>(event: F) -> F::Output {
    let came = tokio::time::timeout(LIMIT, event).await;
    came.expect("the event comes")
}

async fn answer(put: Task<Answer>) -> Answer {
    soon(put.join()).await.expect("an answer")
}

fn warnings(answer: &Answer) -> Vec<String> {
    assert!(answer.status.is_success(), "{answer:?}");
    let warnings = answer.json()["warnings"].take();
    serde_json::from_value(warnings).expect("texts")
}

#[tokio::test]
async fn a_write_is_answered_with_a_warning_when_the_merged_view_takes_too_long() {
    let mut held = Held::start().await;
    held.gate.close();
    let put = held.put(None, &["ams"]);
    soon(held.gate.reached()).await;
    soon(held.hand.sleeper(PATIENCE)).await;
    // Our own view is published before the answer.
    assert_eq!(
        held.shown("isp-a").await,
        (vec!["ams".into()], String::new())
    );
    let older = (vec![], "0;newest=1".into());
    assert_eq!(held.shown("merged").await, older);
    assert!(!put.is_finished());
    held.hand.advance(PATIENCE);
    let answered = answer(put).await;
    assert_eq!(answered.status, 201);
    assert_eq!(answered.json()["revision"], 1);
    let warnings = warnings(&answered);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("shows revision 0 until then"),
        "{warnings:?}"
    );
    assert_eq!(answered.header("preference-applied"), "");

    // It is ready all the same, and says what is still missing.
    assert_eq!(held.node.get("/readyz").await.status, 200);
    let verbose = held.node.get("/readyz?verbose").await;
    assert_eq!(verbose.status, 200);
    let said = "[+] merged view: revision 0, behind for 0.2 s: revision 1";
    assert!(verbose.text().contains(said), "{verbose:?}");
    assert_eq!(held.metric("altofed_publish_revision").await, 1.0);
    assert_eq!(held.metric("altofed_publish_merged_revision").await, 0.0);
    assert_eq!(
        held.metric("altofed_publish_merged_lag_seconds").await,
        0.25
    );

    held.gate.open();
    held.until_merged(1).await;
    assert_eq!(
        held.shown("merged").await,
        (vec!["isp-a:ams".into()], "1".into())
    );
    assert_eq!(held.metric("altofed_publish_merged_lag_seconds").await, 0.0);
    assert_eq!(
        held.metric("altofed_publish_merge_duration_seconds").await,
        0.25
    );
    let verbose = held.node.get("/readyz?verbose").await;
    assert!(
        verbose.text().contains("[+] merged view: revision 1\n"),
        "{verbose:?}"
    );
}

#[tokio::test]
async fn every_answer_of_the_merged_view_says_which_revision_it_is_of() {
    let held = Held::start().await;
    answer(held.put(None, &["ams"])).await;
    held.gate.close();
    answer(held.put(Some("wait=0"), &["fra"])).await;
    let get = async |path: &str| held.node.get(path).await;
    let map = get("/views/merged/networkmap").await;
    let request = held.node.request(Method::GET, "/views/merged/networkmap");
    let unchanged = request
        .header("if-none-match", map.header("etag"))
        .send()
        .await;
    assert_eq!(unchanged.status, 304);
    let filter = json!({"pids": []}).to_string();
    let filtered = held.node.post(
        "/views/merged/filtered-networkmap",
        crate::support::NETWORK_FILTER,
        filter,
    );
    for answer in [
        map,
        unchanged,
        filtered.await,
        get("/directory").await,
        get("/views/merged/directory").await,
        get("/views/merged/costmap-routingcost").await,
    ] {
        assert_eq!(
            answer.header("altofed-revision"),
            "1;newest=2",
            "{answer:?}"
        );
    }
    for path in ["/views/isp-a/networkmap", "/views/isp-a/directory"] {
        assert_eq!(get(path).await.header("altofed-revision"), "", "{path}");
    }
}

#[tokio::test]
async fn prefer_wait_waits_until_the_merged_view_shows_the_write() {
    let held = Held::start().await;
    held.gate.close();
    let put = held.put(Some("respond-async, wait=20"), &["ams"]);
    soon(held.hand.sleeper(Duration::from_secs(20))).await;
    held.hand.advance(PATIENCE);
    assert_eq!(held.shown("isp-a").await.0, ["ams"]);
    assert!(!put.is_finished());
    held.gate.open();
    let answered = answer(put).await;
    assert!(warnings(&answered).is_empty(), "{answered:?}");
    assert_eq!(answered.header("preference-applied"), "wait=20");
    assert_eq!(
        held.shown("merged").await,
        (vec!["isp-a:ams".into()], "1".into())
    );
}

#[tokio::test]
async fn who_does_not_want_to_wait_is_answered_when_our_own_view_shows_the_write() {
    let held = Held::start().await;
    held.gate.close();
    let answered = answer(held.put(Some("wait=0"), &["ams"])).await;
    assert_eq!(warnings(&answered).len(), 1, "{answered:?}");
    assert_eq!(answered.header("preference-applied"), "wait=0");
    assert_eq!(held.shown("isp-a").await.0, ["ams"]);
}

#[tokio::test]
async fn a_wait_ends_before_the_time_of_the_request_does() {
    let held = Held::start().await;
    held.gate.close();
    let put = held.put(Some("wait=3600"), &["ams"]);
    let within = Duration::from_secs(29)..=Duration::from_millis(29_999);
    let ends = soon(held.hand.sleeper_within(within)).await;
    held.hand.advance(ends);
    let answered = answer(put).await;
    assert_eq!(answered.status, 201, "it is no 503: {answered:?}");
    assert_eq!(warnings(&answered).len(), 1);
    assert_eq!(answered.header("preference-applied"), "wait=29");
}

#[tokio::test]
async fn a_dry_run_waits_for_nothing() {
    let held = Held::start().await;
    held.gate.close();
    answer(held.put(Some("wait=0"), &["ams"])).await;
    let body = json!({"network-map": {"fra": {}}});
    let path = "network-map?dry-run=true";
    let dry = held.node.n2s(NOC, Method::PUT, path, Some(&body));
    let answered = soon(dry.send()).await;
    assert!(warnings(&answered).is_empty(), "{answered:?}");
}

#[tokio::test]
async fn a_merge_under_way_is_brought_to_its_end_and_what_came_meanwhile_is_joined_at_once() {
    let mut held = Held::start().await;
    held.gate.close();
    for pid in ["ams", "fra", "par"] {
        answer(held.put(Some("wait=0"), &[pid])).await;
        soon(held.gate.reached()).await;
    }
    held.gate.let_one_pass();
    held.until_merged(1).await;
    assert_eq!(
        held.shown("merged").await,
        (vec!["isp-a:ams".into()], "1;newest=3".into())
    );
    soon(held.gate.reached()).await;
    held.gate.let_one_pass();
    held.until_merged(3).await;
    assert_eq!(
        held.shown("merged").await,
        (vec!["isp-a:par".into()], "3".into())
    );
}

#[tokio::test]
async fn a_repeated_write_is_answered_as_the_first_was_and_says_what_holds_now() {
    let mut held = Held::start().await;
    held.gate.close();
    let body = json!({"network-map": {"ams": {}}});
    let put = |node: &TestNode| {
        let request = node.n2s(NOC, Method::PUT, "network-map", Some(&body));
        let request = request.header("prefer", "wait=0");
        request.header("idempotency-key", "one").send()
    };
    assert_eq!(warnings(&put(&held.node).await).len(), 1);
    held.gate.open();
    held.until_merged(1).await;
    let again = put(&held.node).await;
    assert_eq!(again.json()["revision"], 1);
    assert!(warnings(&again).is_empty(), "{again:?}");
}

#[tokio::test]
async fn what_is_followed_moves_with_its_view() {
    let held = Held::start().await;
    let follow = async |view: &str, id: &str| {
        let add = json!({"map": {"resource-id": id}});
        held.node.follow(view, add).await
    };
    let mut own = follow("isp-a", "isp-a:networkmap").await;
    let mut merged = follow("merged", "networkmap").await;
    for stream in [&mut own, &mut merged] {
        stream.next_of("map").await;
    }
    held.gate.close();
    answer(held.put(Some("wait=0"), &["ams"])).await;
    let has = |pid: &'static str| {
        move |documents: &std::collections::BTreeMap<String, Value>| {
            documents["map"]["network-map"][pid].is_object()
        }
    };
    own.until(has("ams")).await;
    held.gate.open();
    merged.until(has("isp-a:ams")).await;
    // Everything was sent in order: first the map that was there, then this one.
    assert_eq!(
        merged.documents["map"]["network-map"]
            .as_object()
            .map(|m| m.len()),
        Some(1)
    );
}

/// Makes a network and costs over it, in one transaction.
fn transaction(pid: &str, cost: u64) -> Value {
    let put = |path: &str, value: Value| json!({"op": "put", "path": path, "value": value});
    json!({"operations": [
        put("network-map", json!({"network-map": {pid: {}}})),
        put("cost-maps/routingcost", json!({"cost-map": {pid: {pid: cost}}})),
    ]})
}

#[tokio::test]
async fn the_maps_of_one_view_always_go_together() {
    let mut held = Held::start().await;
    let check = async |held: &Held, view: &str| {
        let get = async |map: &str| {
            let answer = held.node.get(&format!("/views/{view}/{map}")).await;
            answer.json()["meta"].take()
        };
        let vtag = get("networkmap").await["vtag"].take();
        let dependent = get("costmap-routingcost").await["dependent-vtags"][0].take();
        assert_eq!(vtag, dependent, "{view}");
        vtag
    };
    let mut last = check(&held, "merged").await;
    for (revision, pid) in (1..).zip(["ams", "fra", "par"]) {
        held.gate.close();
        let body = transaction(pid, revision);
        let request = held.node.n2s(NOC, Method::POST, "transaction", Some(&body));
        let answered = request.header("prefer", "wait=0").send().await;
        assert_eq!(warnings(&answered).len(), 1);
        soon(held.gate.reached()).await;
        check(&held, "isp-a").await;
        assert_eq!(check(&held, "merged").await, last);
        held.gate.open();
        held.until_merged(revision).await;
        let now = check(&held, "merged").await;
        assert_ne!(now, last);
        last = now;
    }
}
