//! The memory of the process, before and after a client did its worst.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{JSON, NOC, Program, Request, metric, plain_client};

const MB: u64 = 1024 * 1024;

/// A node in a process of its own with costs between so many PIDs.
pub(super) async fn program(directory: &TempDir, more: &'static str, pids: usize) -> Program {
    let path = directory.path().to_owned();
    let serve = move || Program::serve(&path, more);
    let program = tokio::task::spawn_blocking(serve).await.expect("no panic");
    let program = program.unwrap_or_else(|end| panic!("{}", end.log));
    let name = |i: usize| format!("p{i:04}");
    let prefix = |i: usize| json!({"ipv4": [format!("10.{}.{}.0/24", i / 256, i % 256)]});
    let groups: Map<String, Value> = (0..pids).map(|i| (name(i), prefix(i))).collect();
    let row = |i: usize| {
        let row: Map<String, Value> = (0..pids).map(|j| (name(j), json!(i * 7 + j))).collect();
        (name(i), Value::Object(row))
    };
    let costs: Map<String, Value> = (0..pids).map(row).collect();
    for (path, body) in [
        ("network-map", json!({"network-map": groups})),
        ("cost-maps/routingcost", json!({"cost-map": costs})),
    ] {
        let url = format!("{}/n2s/v1/{path}", program.url);
        let request = Request::to(&plain_client(), Method::PUT, &url).token(NOC);
        let written = request.typed(JSON, body.to_string()).send().await;
        assert!(written.status.is_success(), "{written:?}");
    }
    program
}

pub(super) async fn measured(program: &Program, name: &str) -> f64 {
    let url = format!("{}/metrics", program.url);
    let answer = Request::to(&plain_client(), Method::GET, &url).send().await;
    metric(answer.text(), name)
}

/// Forty connections ask for the whole map by a query of 67 bytes, and read nothing: each answer is
/// some 6 MB. What is in memory is some rows of each; and the one time that a client has to take
/// something ends them all.
#[tokio::test]
async fn answers_that_nobody_reads_are_not_in_memory_and_end() {
    let directory = TempDir::new().expect("a directory");
    let more = "[http]\nwrite_timeout = \"2s\"\n";
    let program = program(&directory, more, 600).await;
    let before = program.peak_resident();
    let query = r#"{"cost-type":{"cost-metric":"routingcost","cost-mode":"numerical"}}"#;
    let head = format!(
        "POST /views/isp-a/filtered-costmap HTTP/1.1\r\nHost: test\r\n\
         Content-Type: application/alto-costmapfilter+json\r\nContent-Length: {}\r\n\r\n{query}",
        query.len()
    );
    let address: SocketAddr = program.url["http://".len()..].parse().expect("an address");
    let mut unread = Vec::new();
    for _ in 0..40 {
        let mut connection = TcpStream::connect(address).await.expect("a connection");
        connection.write_all(head.as_bytes()).await.expect("sent");
        // The head of the answer, so that it was begun.
        let mut begin = [0; 15];
        connection.read_exact(&mut begin).await.expect("a head");
        assert_eq!(&begin, b"HTTP/1.1 200 OK");
        unread.push(connection);
    }
    assert!(measured(&program, "altofed_http_answer_bytes").await > 0.0);
    let cut = "altofed_http_connections_cut_total{reason=\"write\"}";
    crate::peer::soon(async {
        while measured(&program, cut).await < 40.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let grown = program.peak_resident() - before;
    assert!(grown < 48 * MB, "{} MB for 240 MB of answers", grown / MB);
    assert_eq!(measured(&program, "altofed_http_answer_bytes").await, 0.0);
}
