//! Both protocols, spoken by real clients and hostile ones.

use super::*;
use crate::http::Peer;
use crate::http::body::{self, BodyLimits};
use crate::render::testing::room;
use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{get, post};

fn whoami() -> Router {
    let handler = async |Extension(peer): Extension<Peer>, request: Request| {
        format!("{:?} {} {}", request.version(), peer.addr, peer.tls)
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn http1_and_http2_with_prior_knowledge_are_served_on_one_port_and_know_their_peer() {
    let site = Site::start(whoami()).await;
    for (client, version) in clients().iter().zip(["HTTP/1.1", "HTTP/2.0"]) {
        let answer = soon(client.get(format!("http://{}/", site.addr)).send());
        let answer = answer.await.unwrap().text().await.unwrap();
        let prefix = format!("{version} 127.0.0.1:");
        assert!(
            answer.starts_with(&prefix) && answer.ends_with(" false"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_head_above_the_limit_is_answered_431() {
    let site = Site::start(whoami()).await;
    for client in clients() {
        let url = format!("http://{}/", site.addr);
        let send = |size| client.get(&url).header("x", "x".repeat(size)).send();
        assert_eq!(soon(send(60 << 10)).await.unwrap().status(), 200);
        assert_eq!(soon(send(66 << 10)).await.unwrap().status(), 431);
    }
}

#[tokio::test]
async fn an_endless_head_is_answered_431_and_closed() {
    let site = Site::start(whoami()).await;
    let mut client = site.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let endless = "x: y\r\n".repeat(200_000);
    let (mut from, mut to) = client.split();
    let send = async { to.write_all(endless.as_bytes()).await };
    let (sent, answer) = tokio::join!(send, rest(&mut from));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(sent.is_ok(), "not reset over unread bytes");
}

#[tokio::test]
async fn an_answer_given_before_the_body_has_come_arrives_and_ends_the_connection() {
    let early = async || http::StatusCode::PAYLOAD_TOO_LARGE;
    let site = Site::start(Router::new().route("/", post(early))).await;
    let mut client = site.connect().await;
    let size = 8 << 20;
    let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = client.split();
    let body = vec![b'x'; size];
    let send = async { to.write_all(&body).await };
    let (sent, answer) = tokio::join!(send, rest(&mut from));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(sent.is_ok(), "not reset over unread bytes");
}

#[tokio::test]
async fn a_client_that_goes_on_sending_after_the_answer_is_cut() {
    let early = async || http::StatusCode::PAYLOAD_TOO_LARGE;
    let site = Site::start(Router::new().route("/", post(early))).await;
    let mut client = site.connect().await;
    let head = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999\r\n\r\n";
    client.write_all(head).await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 413 "));
    site.pass(2 * SECOND).await;
    assert_eq!(site.until(|counts| counts.open == 0).await.overdue_close, 1);
}

#[tokio::test]
async fn a_panic_in_a_handler_takes_no_more_than_its_connection() {
    let panicking = async || -> &'static str { panic!("a test panics on purpose") };
    let router = whoami().route("/panic", get(panicking));
    let site = Site::start(router).await;
    let mut client = site.connect().await;
    let request = b"GET /panic HTTP/1.1\r\nHost: test\r\n\r\n";
    client.write_all(request).await.unwrap();
    assert_eq!(rest(&mut client).await, "");
    site.until(|counts| counts.open == 0).await;
    let mut next = site.connect().await;
    next.write_all(GET).await.unwrap();
    assert!(response(&mut next).await.0.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn a_rapid_reset_attack_is_ended() {
    let site = Site::start(whoami()).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    let cancel = 8u32.to_be_bytes();
    let pair = |stream| [h2::get(stream), h2::frame(h2::RST_STREAM, stream, &cancel)].concat();
    let attack: Vec<u8> = (1..2000).step_by(2).flat_map(pair).collect();
    // The server may close before it has read everything.
    let _ = client.0.write_all(&attack).await;
    let (_, goaway) = client.next(h2::GOAWAY).await.unwrap();
    let enhance_your_calm = 11u32.to_be_bytes();
    assert_eq!(goaway[4..8], enhance_your_calm);
    drop(client);
    site.until(|counts| counts.open == 0).await;
}

#[tokio::test]
async fn http2_clients_are_told_the_limits() {
    let site = Site::start(whoami()).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    let (_, settings) = client.next(h2::SETTINGS).await.unwrap();
    let told = |id: u16| {
        let entry = settings
            .chunks(6)
            .find(|entry| entry[..2] == id.to_be_bytes());
        entry.map(|entry| u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
    };
    let (max_concurrent_streams, max_header_list_size) = (3, 6);
    assert_eq!(told(max_concurrent_streams), Some(128));
    assert_eq!(told(max_header_list_size), Some(64 << 10));
}

#[tokio::test]
async fn a_streamed_response_arrives_whole_and_in_order_over_both_protocols() {
    let parts: Vec<Vec<u8>> = (1..40).map(|n| vec![n; usize::from(n) * 3001]).collect();
    let whole = parts.concat();
    let router = Router::new().route(
        "/",
        get(async move || {
            let parts = parts.into_iter().map(std::io::Result::Ok);
            axum::body::Body::from_stream(futures_util::stream::iter(parts))
        }),
    );
    let site = Site::start(router).await;
    for client in clients() {
        let answer = soon(client.get(format!("http://{}/", site.addr)).send());
        assert_eq!(answer.await.unwrap().bytes().await.unwrap(), whole);
    }
}

/// Makes a router that reads bodies of up to 1000 bytes.
fn reader(clock: Clock) -> Router {
    let handler = async move |body: Body| {
        let limits = BodyLimits::json(1000);
        match body::read(body, &limits, &clock, room()).await {
            Ok(whole) => whole.into_response(),
            Err(error) => (error.status(), error.to_string()).into_response(),
        }
    };
    Router::new().route("/", post(handler))
}

fn post_head(framing: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n")
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_refused_a_large_body_unsent() {
    let site = Site::start(reader(Clock::system())).await;
    let mut client = site.connect().await;
    let head = post_head("Content-Length: 1001\r\nExpect: 100-continue");
    client.write_all(head.as_bytes()).await.unwrap();
    let (head, body) = response(&mut client).await;
    assert!(head.starts_with("http/1.1 413 "), "{head}");
    assert!(body.ends_with(b"send it in smaller parts"));
}

#[tokio::test]
async fn a_chunked_body_is_refused_where_it_passes_the_limit_or_nests_too_deep() {
    for (piece, status) in [("x".repeat(600), "413"), ("[".repeat(20), "400")] {
        let site = Site::start(reader(Clock::system())).await;
        let mut client = site.connect().await;
        let head = post_head("Transfer-Encoding: chunked");
        client.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        client.write_all(chunk.repeat(2).as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408_and_the_connection_ends() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let site = Site::start(reader(clock)).await;
    let mut client = site.connect().await;
    let head = post_head("Content-Length: 10");
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(b"[").await.unwrap();
    soon(hand.sleeper(10 * SECOND)).await;
    hand.advance(10 * SECOND);
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}
