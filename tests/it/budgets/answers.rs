//! Answers: their cost is known before they begin, and ends when nobody waits for them.

use std::convert::Infallible;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use altofed::runtime::Task;

use crate::peer::soon;
use crate::streaming::feed;
use crate::support::events::UPDATES;
use crate::support::{
    COST_FILTER, COST_PARAMS, JSON, NOC, NOC2, OPS, Request, TestNode, client_builder,
    client_elsewhere, metric, plain_client,
};

const FILTERED: &str = "/views/isp-a/filtered-costmap";
const ENDPOINTS: &str = "/views/isp-a/endpointcost";
const CELLS: &str = "altofed_http_answer_cells_total";
const BYTES: &str = "altofed_http_answer_bytes";

/// A query for 6,250,000 costs, which does not fit into the buffers of any socket.
fn six_million_costs() -> String {
    let address = |n: usize| format!("ipv4:10.{}.{}.{}", n % 2, n % 100, n / 100);
    let list = || (0..2500).map(address).collect::<Vec<_>>();
    let endpoints = json!({"srcs": list(), "dsts": list()});
    json!({"cost-type": routingcost("numerical"), "endpoints": endpoints}).to_string()
}

fn routingcost(mode: &str) -> Value {
    json!({"cost-metric": "routingcost", "cost-mode": mode})
}

/// `or-constraints` without number cost only what the remaining intervals cost.
#[tokio::test]
async fn a_hundred_thousand_tests_of_one_metric_cost_what_one_does() {
    let node = TestNode::start().await;
    feed(&node, 40).await;
    let ask = async |any: Vec<Value>| {
        let query = json!({"cost-type": routingcost("numerical"), "or-constraints": any});
        node.post(FILTERED, COST_FILTER, query.to_string()).await
    };
    let one = ask(vec![json!(["lt 100"])]).await;
    let many = ask(vec![json!(["lt 100"]); 60_000]).await;
    assert_eq!(many.status, 200);
    assert!(one.body == many.body && one.body.len() > 1000);
    let nested = (0..40_000).map(|n| json!([format!("lt {}", f64::from(n) / 400.0)]));
    assert!(ask(nested.collect()).await.body == one.body);

    let apart = (0..101).map(|n| json!([format!("eq {n}")])).collect();
    let refused = ask(apart).await;
    let (code, field, value) = crate::metro::fault(&refused);
    assert_eq!(
        (code.as_str(), field.as_str()),
        ("E_INVALID_FIELD_VALUE", "or-constraints")
    );
    assert!(
        value.contains("101 alternatives") && value.contains("at most 100"),
        "{value}"
    );
}

/// The limit counts what is read and tested, whatever the size of the answer.
#[tokio::test]
async fn tests_count_to_what_an_answer_may_read() {
    let node = TestNode::with("[limits]\nrequests_per_second = 0\nmax_answer_cells = 5000\n").await;
    feed(&node, 40).await;
    let ask = async |query: Value| node.post(FILTERED, COST_FILTER, query.to_string()).await;
    // 41 × 41 pairs, since there is also a PID `default`.
    let one = json!({"cost-type": routingcost("numerical"), "constraints": ["lt 0"]});
    assert_eq!(ask(one).await.status, 200);
    let two =
        json!({"cost-type": routingcost("numerical"), "or-constraints": [["lt 0"], ["gt 1000"]]});
    let refused = ask(two.clone()).await;
    let (code, field, value) = crate::metro::fault(&refused);
    assert_eq!(
        (code.as_str(), field.as_str()),
        ("E_INVALID_FIELD_VALUE", "pids")
    );
    assert!(
        value.contains("5043 cells to read; at most 5000"),
        "{value}"
    );
    // Followed answers have the same limit.
    let mut asked = json!({"resource-id": "isp-a:filtered-costmap", "input": two});
    let tips = "/views/isp-a/tips";
    let open = async |asked: &Value| {
        let body = asked.to_string();
        node.post(tips, crate::support::events::TIPS_PARAMS, body)
            .await
    };
    assert_eq!(crate::metro::fault(&open(&asked).await).1, "pids");
    asked["input"]["or-constraints"] = json!([["lt 0"]]);
    assert_eq!(open(&asked).await.status, 200);
    // Ranks take an extra pass.
    let ordinal = json!({"cost-type": routingcost("ordinal"), "constraints": ["lt 7"]});
    assert_eq!(crate::metro::fault(&ask(ordinal).await).1, "pids");
}

/// Large answers have the same bytes as small ones: the same code writes both.
#[tokio::test]
async fn an_answer_in_pieces_is_the_whole_answer_and_is_coded_on_the_way() {
    let node = TestNode::start().await;
    feed(&node, 160).await;
    let full = node.get("/views/isp-a/costmap-routingcost").await;
    let query = json!({"cost-type": routingcost("numerical")}).to_string();
    let plain = node.post(FILTERED, COST_FILTER, query.clone()).await;
    assert_eq!(
        plain.header("transfer-encoding"),
        "chunked",
        "it is not held whole"
    );
    assert!(plain.body == full.body);
    for coding in ["gzip", "zstd"] {
        let request = node
            .request(Method::POST, FILTERED)
            .header("accept-encoding", coding);
        let packed = request.typed(COST_FILTER, query.clone()).send().await;
        assert_eq!(packed.header("content-encoding"), coding);
        assert!(packed.decoded() == full.body, "{coding}");
    }
    let ordinal = json!({"cost-type": routingcost("ordinal")}).to_string();
    let ranked = node.post(FILTERED, COST_FILTER, ordinal).await;
    let full = node.get("/views/isp-a/ordinal-routingcost").await;
    assert!(ranked.body == full.body);
}

/// Endpoints are held until the answer is written to its end.
#[tokio::test]
async fn what_is_read_of_a_query_counts() {
    const SOURCES: usize = 25_000;
    let node = TestNode::start().await;
    feed(&node, 100).await;
    let list = |count: usize| -> Vec<String> {
        let address = |n: usize| format!("ipv4:10.0.{}.{}", n % 100, n / 100);
        (0..count).map(address).collect()
    };
    let endpoints = json!({"srcs": list(SOURCES), "dsts": list(250)});
    let query = json!({"cost-type": routingcost("numerical"), "endpoints": endpoints});
    let ask = node.request(Method::POST, ENDPOINTS);
    let answer = ask.typed(COST_PARAMS, query.to_string()).begin();
    let answer = answer.await.expect("begun");
    assert_eq!(answer.status(), 200);
    // Each endpoint has a text of 13 to 15 bytes, a pointer to it, and a PID; the rest is some
    // rows.
    let (least, held) = (SOURCES as f64 * 50.0, held_now(&node).await);
    assert!(held > least && held < least + 500_000.0, "{held}");
    drop(answer);
    node.until_metric(BYTES, |bytes| bytes == 0.0).await;
}

/// The rows of an answer are computed as the client takes them.
#[tokio::test]
async fn an_answer_ends_with_its_client() {
    let node = TestNode::start().await;
    feed(&node, 100).await;
    let request = node.request(Method::POST, ENDPOINTS);
    let mut answer = request
        .typed(COST_PARAMS, six_million_costs())
        .begin()
        .await
        .expect("begun");
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.expect("a piece").is_some());
    assert!(node.metric(BYTES).await > 0.0);
    drop(answer);
    node.until_metric(BYTES, |bytes| bytes == 0.0).await;
    let read = node.metric(CELLS).await;
    assert!(
        read > 0.0 && read < 3_000_000.0,
        "{read} of 6,250,000 cells"
    );
    assert_eq!(node.metric(CELLS).await, read, "nothing more is read");
}

/// The least share of a caller that may be configured; the limits below are the least that fit.
const SHARE: usize = 8 * 1024 * 1024;
const LIMITS: &str = "[limits]\nrequests_per_second = 0\nmax_bytes_per_client = 8388608\n\
                      max_bytes_in_flight = 9586981\nmax_wait = \"50ms\"\n";

/// A caller that holds its share waits, and is then told to come back; another is served.
#[tokio::test]
async fn answers_that_nobody_reads_leave_others_their_room() {
    let limits = LIMITS.replace("9586981", "20000000");
    let node = TestNode::with(&limits).await;
    feed(&node, 100).await;
    let ask = |client: &reqwest::Client| {
        let request = node.request_by(client, Method::POST, ENDPOINTS);
        request.typed(COST_PARAMS, six_million_costs()).begin()
    };
    let (here, elsewhere) = (plain_client(), client_elsewhere());
    let mut unread = Vec::new();
    let refused = loop {
        let answer = ask(&here).await.expect("an answer");
        if answer.status() != 200 {
            break answer;
        }
        unread.push(answer);
    };
    assert!(unread.len() > 5, "{} answers", unread.len());
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(node.metric(BYTES).await <= SHARE as f64);
    assert!(node.metric("altofed_http_answers_refused_total").await >= 1.0);
    let mut other = ask(&elsewhere).await.expect("an answer");
    let mut taken = 0;
    while taken < 10_000_000 {
        taken += other.chunk().await.expect("a piece").expect("more").len();
    }
    drop((unread, other));
    node.until_metric(BYTES, |bytes| bytes == 0.0).await;
    assert_eq!(ask(&here).await.expect("an answer").status(), 200);
}

/// A body of which this many bytes come, but never its end.
fn endless(bytes: usize) -> reqwest::Body {
    let come = stream::iter([Ok::<_, Infallible>("x".repeat(bytes))]);
    reqwest::Body::wrap_stream(come.chain(stream::pending()))
}

/// A query whose body never ends, with a secret or from anybody.
fn asks(
    node: &TestNode,
    client: &reqwest::Client,
    secret: Option<&str>,
    bytes: usize,
) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
    let mut request = node.request_by(client, Method::POST, FILTERED);
    if let Some(secret) = secret {
        request = request.token(secret);
    }
    request.typed(COST_FILTER, endless(bytes)).begin()
}

/// Returns the bytes in memory, seen by a caller whose share nobody takes.
async fn held_now(node: &TestNode) -> f64 {
    let request = node.request(Method::GET, "/metrics").token(OPS);
    metric(request.send().await.text(), BYTES)
}

async fn until_held(node: &TestNode, bytes: f64) {
    let held = async {
        while held_now(node).await != bytes {
            tokio::task::yield_now().await;
        }
    };
    soon(held).await;
}

/// How many bytes of memory a byte of a query counts as.
const COUNTED: usize = 4;

/// Takes this much of a caller's share, by bodies of at most a mebibyte.
async fn fill(
    node: &TestNode,
    client: &reqwest::Client,
    secret: Option<&str>,
    mut bytes: usize,
) -> Vec<Task<()>> {
    let mut held = Vec::new();
    let mut there = held_now(node).await;
    while bytes > 0 {
        let body = bytes.min(COUNTED * 1024 * 1024);
        let asked = asks(node, client, secret, body / COUNTED);
        held.push(Task::spawn("asks", async move {
            let answer = asked.await;
            panic!("{answer:?}");
        }));
        bytes -= body;
        there += body as f64;
        until_held(node, there).await;
    }
    held
}

#[tokio::test]
async fn bodies_of_queries_take_room_as_they_come() {
    let node = TestNode::with(LIMITS).await;
    feed(&node, 10).await;
    let (here, elsewhere) = (plain_client(), client_elsewhere());
    let first = fill(&node, &here, None, SHARE - 20_000).await;
    let refused = asks(&node, &here, None, 30_000).await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let other = fill(&node, &elsewhere, None, 20_000).await;
    let refused = asks(&node, &elsewhere, None, 5000)
        .await
        .expect("an answer");
    assert_eq!(refused.status(), 503, "the rest is for small answers");
    drop((first, other));
    until_held(&node, 0.0).await;
}

/// A write is never said to be refused after it was done, whoever took the room for answers; and
/// small answers have some room of their own.
#[tokio::test]
async fn what_was_done_is_told_when_all_room_is_taken() {
    let node = TestNode::with(LIMITS).await;
    feed(&node, 10).await;
    for (secret, cost) in [(None, 4711), (Some(NOC), 4712)] {
        let held = fill(&node, &plain_client(), secret, SHARE).await;
        let changed = json!({"cost-map": {"p000": {"p001": cost}}});
        let path = "cost-maps/routingcost";
        let patch = node.n2s(NOC, Method::PATCH, path, Some(&changed));
        let patched = patch.send().await;
        assert_eq!(patched.status, 200, "{patched:?}");
        let stated = node.stated(path).await;
        assert!(stated.text().contains(&cost.to_string()), "{stated:?}");
        let query = json!({"cost-type": routingcost("numerical")}).to_string();
        let here = node.post(FILTERED, COST_FILTER, query).await;
        assert_eq!(
            here.status == 200,
            secret.is_some(),
            "its own share is taken"
        );
        drop(held);
        until_held(&node, 0.0).await;
    }
}

#[tokio::test]
async fn bodies_of_writes_take_room_as_they_come_and_each_principal_has_a_share() {
    const INGEST: &str = "altofed_http_ingest_bytes";
    let limits = "[limits]\nrequests_per_second = 0\nmax_ingest_bytes_in_flight = 160000\n\
                  [bodies]\nmax_ingest_bytes = 100000\n";
    let node = TestNode::with(limits).await;
    let put = |secret: &str, bytes| {
        let request = node.request(Method::PUT, "/n2s/v1/network-map");
        request.token(secret).typed(JSON, endless(bytes)).begin()
    };
    let first = tokio::spawn(put(NOC, 80_000));
    node.until_metric(INGEST, |bytes| bytes == 80_000.0).await;
    let refused = put(NOC, 50_000).await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(node.metric("altofed_http_ingest_refused_total").await, 1.0);
    let other = tokio::spawn(put(NOC2, 50_000));
    node.until_metric(INGEST, |bytes| bytes == 130_000.0).await;
    let refused = put(OPS, 40_000).await.expect("an answer");
    assert_eq!(refused.status(), 503, "all of it is taken");
    first.abort();
    other.abort();
    node.until_metric(INGEST, |bytes| bytes == 0.0).await;
    feed(&node, 10).await;
}

/// An answer is from one view to its end, unless it keeps too much of a replaced view in memory.
#[tokio::test]
async fn answers_that_keep_too_much_of_replaced_views_are_cut_off() {
    for (more, is_cut) in [("", false), ("max_replaced_bytes = 50000\n", true)] {
        let limits = format!("[limits]\nrequests_per_second = 0\n{more}");
        let node = TestNode::with(&limits).await;
        feed(&node, 100).await;
        let request = node.request(Method::POST, ENDPOINTS);
        let unread = request.typed(COST_PARAMS, six_million_costs()).begin();
        let mut unread = unread.await.expect("begun");
        assert!(unread.chunk().await.expect("a piece").is_some());
        super::followed::change_all(&node, 100, 7).await;
        if is_cut {
            node.until_metric("altofed_http_answers_cut_total", |cut| cut == 1.0)
                .await;
        } else {
            // 100 rows of 101 costs each.
            let kept = "altofed_http_replaced_bytes";
            node.until_metric(kept, |bytes| bytes > 80_000.0).await;
        }
        let end = loop {
            match unread.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(end.is_err(), is_cut, "{end:?}");
    }
}

/// A client whose streams take this many bytes until it reads them.
fn with_windows(bytes: u32) -> reqwest::Client {
    let client = client_builder().http2_prior_knowledge();
    let client = client.http2_initial_stream_window_size(bytes);
    client.build().expect("a client")
}

/// The costs between 140 PIDs, followed as a whole by an update stream: some 230 kB.
fn follow_all(node: &TestNode, client: &reqwest::Client) -> Request {
    let input = json!({"cost-type": routingcost("numerical")});
    let asked = json!({"add": {"a": {"resource-id": "isp-a:filtered-costmap", "input": input}}});
    let request = node.request_by(client, Method::POST, "/views/isp-a/updates");
    request.typed(UPDATES, asked.to_string())
}

/// What an update stream sends is in memory until its client takes it, and counts until then.
#[tokio::test]
async fn update_streams_that_nobody_reads_leave_others_their_room() {
    const STREAMS: usize = 60;
    const WHOLE: f64 = 200_000.0;
    let limits = LIMITS.replace("9586981", "20000000");
    let node = TestNode::with(&limits).await;
    feed(&node, 139).await;
    let client = with_windows(2048);
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        unread.push(follow_all(&node, &client).begin().await.expect("begun"));
    }
    soon(async {
        while held_now(&node).await < 30.0 * WHOLE {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = "altofed_http_answers_refused_total";
    soon(async {
        let asked = async || {
            let metrics = node
                .request(Method::GET, "/metrics")
                .token(OPS)
                .send()
                .await;
            metric(metrics.text(), refused)
        };
        while asked().await < 20.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(held_now(&node).await <= SHARE as f64);
    // Another client is sent the whole answer.
    let mut other = follow_all(&node, &client_elsewhere()).open().await;
    let whole = soon(other.next_of("a")).await;
    assert!(whole.text.len() as f64 > WHOLE, "{}", whole.text.len());
    drop((unread, other));
    until_held(&node, 0.0).await;
}

/// A patch counts once, however many streams send it, until the last of them has sent it.
#[tokio::test]
async fn a_patch_that_nobody_reads_counts_once() {
    let node = TestNode::start().await;
    feed(&node, 139).await;
    let client = with_windows(2048);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = follow_all(&node, &client).open().await;
        stream.next_of("a").await;
        streams.push(stream);
    }
    until_held(&node, 0.0).await;
    super::followed::change_all(&node, 139, 7).await;
    soon(async {
        while held_now(&node).await < 100_000.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let patch = streams[0].next_of("a").await;
    assert_eq!(patch.media_type, "application/merge-patch+json");
    let length = patch.text.len() as f64;
    for stream in &mut streams[1..4] {
        assert_eq!(stream.next_of("a").await.text, patch.text);
    }
    let held = held_now(&node).await;
    assert!(
        (length - 100.0..length + 100.0).contains(&held),
        "{held} of {length}"
    );
    let last = streams.pop().expect("a stream").next_of("a").await;
    assert_eq!(last.text, patch.text);
    until_held(&node, 0.0).await;
}
