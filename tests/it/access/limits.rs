//! Rates, loads and connections.

use std::time::Duration;

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{NOC, NOC2, TestNode};

#[tokio::test]
async fn a_caller_that_asks_too_often_is_told_when_to_come_back() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let more = "[limits]\nrequests_per_second = 1\nburst = 3\n";
    let node = TestNode::clocked(clock, more).await;
    for _ in 0..3 {
        assert_eq!(node.get("/views/merged/networkmap").await.status, 200);
    }
    let map = node.get("/views/merged/networkmap").await;
    assert_eq!(map.status, 429, "{map:?}");
    assert!(map.body.is_empty());
    let again = node.get("/openapi.json").await;
    again.problem(429, &[]);
    let wait: u64 = again.header("retry-after").parse().expect("seconds");
    assert!(wait >= 1);
    // A load balancer may ask for the health whatever the rate.
    for health in ["/livez", "/readyz"] {
        assert_eq!(node.get(health).await.status, 200);
    }
    // A principal has its own rate, wherever it calls from.
    let known = |secret| node.request(Method::GET, "/n2s/v1/revisions").token(secret);
    for secret in [NOC, NOC2] {
        for _ in 0..3 {
            assert_eq!(known(secret).send().await.status, 200);
        }
        known(secret).send().await.problem(429, &[]);
    }
    hand.advance(Duration::from_secs(wait));
    assert_eq!(node.get("/openapi.json").await.status, 200);
}

/// Begins a PUT of `length` bytes, and returns when the node waits for them.
pub async fn begin_put(node: &TestNode, length: usize) -> TcpStream {
    let address = node.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("it listens");
    let head = format!(
        "PUT /n2s/v1/network-map HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {NOC}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Reads the head of the answer.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn a_node_with_all_the_requests_it_can_carry_refuses_more() {
    let node = TestNode::with("[limits]\nmax_concurrent_requests = 2\n").await;
    let body = b"{\"network-map\":{}}";
    let mut first = begin_put(&node, body.len()).await;
    let second = begin_put(&node, body.len()).await;
    let refused = node.get("/views/merged/networkmap").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|wait| wait >= 1)
    );
    node.get("/n2s/v1/conflicts").await.problem(503, &[]);
    for health in ["/livez", "/readyz"] {
        assert_eq!(node.get(health).await.status, 200);
    }
    first.write_all(body).await.expect("sent");
    assert!(head(&mut first).await.starts_with("HTTP/1.1 201 "));
    assert_eq!(node.get("/views/merged/networkmap").await.status, 200);
    drop(second);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, "[bodies]\npatience = \"5s\"\n").await;
    let mut slow = begin_put(&node, 1000).await;
    hand.advance(Duration::from_secs(6));
    assert!(head(&mut slow).await.starts_with("HTTP/1.1 408 "));
    assert_eq!(node.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_client_has_its_share_of_connections() {
    let node = TestNode::with("[http]\nmax_connections_per_client = 2\n").await;
    let address = node.url.trim_start_matches("http://").to_owned();
    let held = [begin_put(&node, 10).await, begin_put(&node, 10).await];
    let mut third = TcpStream::connect(&address).await.expect("it listens");
    let refused = head(&mut third).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(
        refused.to_ascii_lowercase().contains("retry-after:"),
        "{refused}"
    );
    drop(held);
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let node = TestNode::with("[http]\nmax_header_bytes = 8192\n").await;
    let long = "x".repeat(9000);
    let answer = node.request(Method::GET, "/livez").header("x-long", &long);
    assert_eq!(answer.send().await.status, 431);
    let path = format!("/views/{long}/networkmap");
    let status = node.get(&path).await.status.as_u16();
    assert!(matches!(status, 414 | 431), "{status}");
    assert_eq!(node.get("/livez").await.status, 200);
}
