//! `altofed query … watch`

use serde_json::{Value, json};

use super::server::Server;
use super::{MERGE_PATCH, costs, directory, map, stream_entry};
use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::support::{command, text};

/// Runs the program with the server; returns its exit code, output and error output.
async fn watch(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let mut watch = command(["query", server.root.as_str(), "watch"]);
    watch.args(arguments);
    let output = tokio::task::spawn_blocking(move || watch.output().expect("the program"));
    let output = output.await.expect("it ran");
    let code = output.status.code().expect("it exits by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

/// Starts a server that has three versions of the costs ready.
async fn server() -> Server {
    let server = Server::start(directory(stream_entry())).await;
    let stream = server.stream("/updates/stream");
    stream.begins("x");
    stream.event(&format!("{NETWORK_MAP},0"), &map("t1", &["10.0.0.0/8"]));
    stream.event(&format!("{COST_MAP},1"), &costs("t1", 10.0));
    stream.event(
        &format!("{MERGE_PATCH},1"),
        &json!({"cost-map": {"a": {"a": 12}}}),
    );
    let many: serde_json::Map<String, Value> =
        (0..30).map(|i| (format!("p{i}"), json!(1))).collect();
    stream.event(
        &format!("{MERGE_PATCH},1"),
        &json!({"cost-map": {"a": many}}),
    );
    server
}

#[tokio::test]
async fn watch_prints_what_changes_for_people() {
    let server = server().await;
    let (code, out, err) = watch(&server, &["m", "c", "--count", "2"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "Following m, c by update stream.");
    assert!(lines[1].contains("Z m t1: 1 values"), "{out}");
    assert!(lines[2].contains("Z c "), "{out}");
    assert_eq!(lines[4], "  a → a  10 → 12");
    assert!(out.ends_with("  and 10 more\n"), "{out}");
}

#[tokio::test]
async fn watch_prints_a_merge_patch_a_line_for_scripts() {
    let server = server().await;
    let (code, out, _) = watch(&server, &["m", "c", "--json", "--count", "1"]).await;
    assert_eq!(code, 0);
    let read = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    let lines: Vec<Value> = out.lines().map(read).collect();
    assert_eq!(
        lines[0],
        json!({"following": ["m", "c"], "mode": "update stream"})
    );
    assert_eq!(lines[1]["document"], map("t1", &["10.0.0.0/8"]));
    assert_eq!(lines[3]["resource"], "c");
    assert_eq!(lines[3]["patch"], json!({"cost-map": {"a": {"a": 12}}}));
}

#[tokio::test]
async fn watch_says_why_it_cannot() {
    let server = Server::start(directory(json!({}))).await;
    let (code, out, err) = watch(&server, &["nowhere"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("\"nowhere\"; there are c, m"), "{err}");
    let (code, _, err) = watch(&server, &["c", "--input", "{"]).await;
    assert_eq!(code, 2, "{err}");
}
