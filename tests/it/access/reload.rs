//! What a reload changes while the node runs.

use altofed::config::Config;
use altofed::federation::SigningKey;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{CDN, NOC, NOC2, TestNode};

/// Returns the configuration of the node with a text replaced.
pub fn changed(node: &TestNode, more: &str, from: &str, to: &str) -> Config {
    let text = node.config_text(more);
    assert!(text.contains(from), "{text}");
    let text = text.replace(from, to);
    Config::parse(&text, "test.toml".as_ref()).expect("sound")
}

async fn status(node: &TestNode, secret: &str) -> u16 {
    let request = node.request(Method::GET, "/n2s/v1/revisions").token(secret);
    request.send().await.status.as_u16()
}

#[tokio::test]
async fn tokens_change_at_once() {
    let mut node = TestNode::start().await;
    assert_eq!(status(&node, NOC).await, 200);
    let config = changed(&node, "", NOC, "another-secret-0123");
    node.node().reload(config).expect("hot");
    assert_eq!(status(&node, NOC).await, 401);
    assert_eq!(status(&node, "another-secret-0123").await, 200);
    let config = changed(
        &node,
        "",
        "\nscopes = [\"ingest\"]",
        "\nscopes = [\"query\"]",
    );
    node.node().reload(config).expect("hot");
    assert_eq!(status(&node, NOC).await, 403);
}

#[tokio::test]
async fn access_and_limits_change_at_once() {
    let mut node = TestNode::start().await;
    let map = "/views/merged/networkmap";
    assert_eq!(node.get(map).await.status, 200);
    let closed = node.config_with("[access]\nquery = \"token\"\nmetrics = \"token\"\n");
    node.node().reload(closed).expect("hot");
    assert_eq!(node.get(map).await.status, 401);
    assert_eq!(node.get("/metrics").await.status, 401);
    let known = node.request(Method::GET, map).token(CDN).send().await;
    assert_eq!(known.status, 200);

    let short = node.config_with(
        "[bodies]\nmax_ingest_bytes = 10\n[ingest]\nmax_pids = 1\n\
         [limits]\nrequests_per_second = 1\nburst = 4\n",
    );
    node.node().reload(short).expect("hot");
    let two = json!({"network-map": {"a": {}, "b": {}}});
    let put = |node: &TestNode| node.n2s(NOC, Method::PUT, "network-map", Some(&two));
    put(&node).send().await.problem(413, &[]);
    // A principal has a rate of its own; this caller has asked nothing yet.
    let mut refused = 0;
    for _ in 0..6 {
        refused += u32::from(node.get(map).await.status == 429);
    }
    assert!(refused >= 1);
    let few = node.config_with("[ingest]\nmax_pids = 1\n");
    node.node().reload(few).expect("hot");
    put(&node).send().await.problem(422, &["/network-map"]);
    assert_eq!(node.get(map).await.status, 200);
}

#[tokio::test]
async fn priorities_change_what_is_published() {
    let mut node = TestNode::start().await;
    for (secret, pid) in [(NOC, "ams"), (NOC2, "fra")] {
        let map = json!({"network-map": {pid: {"ipv4": ["0.0.0.0/0"]}}});
        let put = node.n2s(secret, Method::PUT, "network-map", Some(&map));
        assert_eq!(put.send().await.status, 201);
    }
    assert_eq!(
        node_map(&node).await,
        json!({"ams": {}, "fra": {"ipv4": ["0.0.0.0/0"]}})
    );
    let config = node.config_with("[source.noc]\npriority = 5\n");
    let mut snapshots = node.node().snapshots();
    let generation = snapshots.borrow_and_update().generation;
    node.node().reload(config).expect("hot");
    let published = snapshots.wait_for(|snapshot| snapshot.generation > generation);
    published.await.expect("the node runs");
    assert_eq!(
        node_map(&node).await,
        json!({"ams": {"ipv4": ["0.0.0.0/0"]}, "fra": {}})
    );
}

#[tokio::test]
async fn a_reload_that_changes_no_policy_compiles_nothing() {
    let mut node = TestNode::start().await;
    let put = |node: &TestNode, pid: &str| {
        let map = json!({"network-map": {pid: {}}});
        node.n2s(NOC, Method::PUT, "network-map", Some(&map)).send()
    };
    assert_eq!(put(&node, "ams").await.status, 201);
    let generation = |node: &mut TestNode| node.node().snapshots().borrow().generation;
    let before = generation(&mut node);
    for more in ["", "[limits]\nburst = 50\n"] {
        let config = node.config_with(more);
        node.node().reload(config).expect("hot");
        // A snapshot made by the reload would come before what is written then.
        assert_eq!(node.get("/livez").await.status, 200);
    }
    assert_eq!(put(&node, "fra").await.status, 200);
    // Our own view first, then the merged one.
    assert_eq!(generation(&mut node), before + 2);
}

async fn node_map(node: &TestNode) -> serde_json::Value {
    let map = node.get("/views/isp-a/networkmap").await;
    map.json()["network-map"].clone()
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name_and_nothing_changes() {
    let mut node = TestNode::start().await;
    for (more, from, to, key) in [
        (
            "",
            "domain = \"isp-a\"",
            "domain = \"isp-b\"",
            "node.domain",
        ),
        ("", "127.0.0.1:0", "127.0.0.1:9", "node.listen"),
        ("", "threads = 2", "threads = 3", "node.threads"),
        ("", "/store\"", "/other\"", "node.data_dir"),
        ("name = \"A\"\n", "", "", "node.name"),
        ("asns = [64500]\n", "", "", "node.asns"),
        ("public_url = \"https://x\"\n", "", "", "node.public_url"),
        ("tls = { cert = \"x\", key = \"y\" }\n", "", "", "node.tls"),
        ("[store]\nkeep_revisions = 7\n", "", "", "store"),
        ("[publish]\nmax_rendered = 7\n", "", "", "publish"),
    ] {
        // Hot keys in the same file must not take effect either.
        let more = format!("{more}[limits]\nburst = 7\n");
        let config = changed(&node, &more, from, to);
        let config = Config {
            tokens: Vec::new(),
            ..config
        };
        let refused = node.node().reload(config).expect_err(key).to_string();
        assert!(
            refused.starts_with(key) && refused.contains("cannot change"),
            "{refused}"
        );
        assert!(refused.contains("restart"), "{refused}");
        assert_eq!(status(&node, NOC).await, 200);
    }
}

#[tokio::test]
async fn a_reload_whose_files_cannot_be_used_changes_nothing() {
    let mut node = TestNode::start().await;
    for (more, named) in [
        ("[federation]\nkey = \"no-such.key\"\n", "federation.key"),
        (
            "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://b.invalid/directory\"\n\
             cacert = \"no-such.pem\"\n",
            "peer isp-b: the file of cacert",
        ),
    ] {
        let config = changed(&node, more, NOC, "another-secret-0123");
        let refused = node.node().reload(config).expect_err(named).to_string();
        assert!(refused.contains(named), "{refused}");
        assert_eq!(status(&node, NOC).await, 200);
    }
    // The key that the node made is missing.
    let same = node.config_with("");
    std::fs::remove_file(&same.federation.own.keys.key).expect("removed");
    let refused = node.node().reload(same).expect_err("no key").to_string();
    assert!(refused.contains("federation.key"), "{refused}");
}

#[tokio::test]
async fn a_key_that_is_replaced_in_its_file_signs_after_a_reload() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("node.key");
    let first = SigningKey::generate().expect("a key");
    first.save(&file).expect("saved");
    let mut node = TestNode::with(&format!("[federation]\nkey = {file:?}\n")).await;
    let shown = async |node: &TestNode| {
        let answer = node.get("/.well-known/alto-federation").await;
        answer.json()["keys"][0]["kid"].clone()
    };
    assert_eq!(shown(&node).await, first.public().kid());
    std::fs::remove_file(&file).expect("removed");
    let second = SigningKey::generate().expect("a key");
    second.save(&file).expect("saved");
    let same = node.config_with(&format!("[federation]\nkey = {file:?}\n"));
    node.node().reload(same).expect("hot");
    crate::peer::soon(async {
        while shown(&node).await != second.public().kid() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
