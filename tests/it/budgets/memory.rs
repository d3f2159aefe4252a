//! The memory of the process, before and after a client does its worst.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::events::UPDATES;
use crate::support::{
    COST_FILTER, JSON, NOC, OPS, Program, Request, client_builder, metric, plain_client,
};

const MB: u64 = 1024 * 1024;
const BYTES: &str = "altofed_http_answer_bytes";

/// Starts a node in a process of its own, with costs between this many PIDs.
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
    let ask = Request::to(&plain_client(), Method::GET, &url).token(OPS);
    metric(ask.send().await.text(), name)
}

/// Forty connections ask for the whole map by a query of 67 bytes, and read nothing; each answer
/// has some 6 MB. Only some rows of each are in memory, and the time that a client has to take
/// something ends them all.
#[tokio::test]
async fn answers_that_nobody_reads_are_not_in_memory_and_end() {
    let directory = TempDir::new().expect("a directory");
    let more = "[http]\nwrite_timeout = \"2s\"\n";
    let program = program(&directory, more, 600).await;
    let before = program.begin_peak();
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
        // Reads the head of the answer, so that the answer has begun.
        let mut begin = [0; 15];
        connection.read_exact(&mut begin).await.expect("a head");
        assert_eq!(&begin, b"HTTP/1.1 200 OK");
        unread.push(connection);
    }
    assert!(measured(&program, BYTES).await > 0.0);
    let cut = "altofed_http_connections_cut_total{reason=\"write\"}";
    crate::peer::soon(async {
        while measured(&program, cut).await < 40.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let grown = program.peak_resident() - before;
    assert!(grown < 48 * MB, "{} MB for 240 MB of answers", grown / MB);
    assert_eq!(measured(&program, BYTES).await, 0.0);
}

/// Makes a query for the costs between some PIDs, or between all.
fn costs(mode: &str, pids: &[String]) -> String {
    let pids = json!({"srcs": pids, "dsts": pids});
    let cost_type = json!({"cost-metric": "routingcost", "cost-mode": mode});
    json!({"cost-type": cost_type, "pids": pids}).to_string()
}

/// A client that reads some bytes of each answer over HTTP/2, and no more.
fn hardly_reads() -> reqwest::Client {
    let client = client_builder().http2_prior_knowledge();
    let client = client.http2_initial_stream_window_size(2048);
    client.build().expect("a client")
}

async fn until(program: &Program, name: &str, is_there: impl Fn(f64) -> bool) {
    crate::peer::soon(async {
        while !is_there(measured(program, name).await) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// One connection has a hundred streams whose windows are hardly open: of the 600 MB that they
/// ask for, only some rows of each are in memory, and all of these count. Ranks depend on all
/// costs, and count too.
#[tokio::test]
async fn answers_on_one_connection_that_takes_nothing_are_not_in_memory() {
    let directory = TempDir::new().expect("a directory");
    let program = program(&directory, "", 600).await;
    let url = format!("{}/views/isp-a/filtered-costmap", program.url);
    for (mode, answers) in [("numerical", 100), ("ordinal", 8)] {
        let client = hardly_reads();
        let before = program.begin_peak();
        let mut unread = Vec::new();
        for _ in 0..answers {
            let ask = Request::to(&client, Method::POST, &url);
            let ask = ask.typed(COST_FILTER, costs(mode, &[])).begin();
            let answer = ask.await.expect("an answer");
            assert_eq!(answer.status(), 200);
            unread.push(answer);
        }
        let counted = measured(&program, BYTES).await as u64;
        let grown = program.peak_resident().saturating_sub(before);
        let told = format!("{mode}: {} MB, {} counted", grown / MB, counted / MB);
        assert!(counted > 10 * MB && counted <= 64 * MB, "{told}");
        assert!(grown < counted + 24 * MB, "{told}");
        drop((unread, client));
        until(&program, BYTES, |bytes| bytes == 0.0).await;
    }
}

/// Nobody reads three hundred update streams of 230 kB: no more of them is in memory than the
/// share of a client.
#[tokio::test]
async fn update_streams_that_nobody_reads_are_not_in_memory() {
    const STREAMS: usize = 300;
    let directory = TempDir::new().expect("a directory");
    let more = "[limits]\nrequests_per_second = 0\nmax_bytes_per_client = 8388608\n\
                max_wait = \"50ms\"\n";
    let program = program(&directory, more, 600).await;
    let names: Vec<String> = (0..140).map(|n| format!("p{n:04}")).collect();
    let input: Value = serde_json::from_str(&costs("numerical", &names)).expect("JSON");
    let asked = json!({"add": {"a": {"resource-id": "isp-a:filtered-costmap", "input": input}}});
    let url = format!("{}/views/isp-a/updates", program.url);
    let clients = [(); 3].map(|()| hardly_reads());
    let before = program.begin_peak();
    let mut unread = Vec::new();
    for n in 0..STREAMS {
        let client = &clients[n % clients.len()];
        let ask = Request::to(client, Method::POST, &url).typed(UPDATES, asked.to_string());
        let stream = ask.begin().await.expect("a stream");
        assert_eq!(stream.status(), 200);
        unread.push(stream);
    }
    let refused = "altofed_http_answers_refused_total";
    until(&program, refused, |refused| refused > 200.0).await;
    assert!(measured(&program, BYTES).await <= 8.0 * MB as f64);
    let grown = program.peak_resident().saturating_sub(before);
    assert!(grown < 32 * MB, "{} MB for 70 MB of events", grown / MB);
    drop(unread);
    until(&program, BYTES, |bytes| bytes == 0.0).await;
}
