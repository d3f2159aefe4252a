//! A client in another language, written from the RFC alone (`follow.py`), has the same as the
//! answer to a request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use altofed::ident::Digest;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{UPDATES_OF_ISP_A, asking, cost, of, prefixes, text};
use crate::metro::{COSTS, ENDPOINTS, metro, rc};
use crate::support::TestNode;
use crate::support::events::UPDATES;

/// Longer than any event takes; only a test that fails waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `follow.py`. It is killed when dropped.
struct Follower {
    process: Child,
    lines: mpsc::UnboundedReceiver<String>,
    /// The SHA-256 of the document of every substream.
    has: BTreeMap<String, String>,
}

impl Follower {
    fn start(uri: &str, add: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/follow.py");
        let mut command = Command::new("python3");
        command.args([script, uri, &add.to_string()]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("python3");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (said, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            lines,
            has: BTreeMap::new(),
        }
    }

    /// Returns what it prints next; its complaints go to standard error.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv());
        let line = line.await.expect("a line in time");
        let said: Value = serde_json::from_str(&line.expect("it goes on")).expect("JSON");
        if let (Some(substream), Some(digest)) =
            (said["substream"].as_str(), said["sha256"].as_str())
        {
            self.has.insert(substream.to_owned(), digest.to_owned());
        }
        said
    }

    /// Reads until a substream has this text.
    async fn until_text(&mut self, substream: &str, wanted: &str) {
        let digest = Digest::of(wanted.as_bytes()).to_string();
        while self.has.get(substream) != Some(&digest) {
            self.next().await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Returns the texts that requests get of the followed resources.
async fn texts(node: &TestNode, few: &Value, ends: &Value) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("map", text(node, "networkmap").await),
        ("whole", text(node, "networkmap").await),
        ("costs", text(node, "costmap-routingcost").await),
        ("ranks", text(node, "ordinal-routingcost").await),
        ("few", COSTS.ask(node, few).await.text().to_owned()),
        ("ends", ENDPOINTS.ask(node, ends).await.text().to_owned()),
    ])
}

#[tokio::test]
async fn a_client_in_python_has_what_a_request_gets() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3 here");
        return;
    }
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 100)).await;
    let few = json!({"cost-type": rc(), "constraints": ["le 6"]});
    let endpoints =
        json!({"srcs": ["ipv4:192.0.2.1"], "dsts": ["ipv4:10.20.0.9", "ipv4:10.7.3.1"]});
    let ends = json!({"cost-type": rc(), "endpoints": endpoints});
    let mut whole = of("networkmap");
    whole["incremental-changes"] = json!(false);
    let add = json!({
        "map": of("networkmap"),
        "whole": whole,
        "costs": of("costmap-routingcost"),
        "ranks": of("ordinal-routingcost"),
        "few": asking("filtered-costmap", &few),
        "ends": asking("endpointcost", &ends),
    });
    let mut follower = Follower::start(&format!("{}{UPDATES_OF_ISP_A}", node.url), &add);
    let control = follower.next().await["control"]["control-uri"].clone();
    for round in 0..12 {
        prefixes(&node, "lab", &super::many(7, 100 + round * 3 % 7)).await;
        cost(&node, "core", "lab", [0.1, 7.0, 1e-7, 6.0][round % 4]).await;
        cost(&node, "east", "lab", round).await;
        if round % 3 == 2 {
            for (substream, wanted) in texts(&node, &few, &ends).await {
                follower.until_text(substream, &wanted).await;
            }
        }
    }
    let control = control.as_str().expect("a URI");
    let all = json!({"remove": []}).to_string();
    assert_eq!(node.post(control, UPDATES, all).await.status, 202);
    let documents = loop {
        if let Value::Object(documents) = &follower.next().await["documents"] {
            break documents.clone();
        }
    };
    for (substream, wanted) in texts(&node, &few, &ends).await {
        let wanted: Value = serde_json::from_str(&wanted).expect("JSON");
        assert_eq!(documents[substream], wanted, "{substream}");
    }
    assert!(follower.process.wait().expect("its status").success());
}
