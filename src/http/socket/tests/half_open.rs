//! Clients that connect and then do not do what they must: each is closed by its deadline.

use std::convert::Infallible;

use super::*;
use axum::body::Body;
use axum::routing::get;

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// More than the sockets' buffers of both sides hold.
fn huge() -> Router {
    let body = bytes::Bytes::from(vec![b'x'; 64 << 20]);
    Router::new().route("/", get(async move || body))
}

/// For clients that answer no pings and must be closed for another reason.
fn unpinged() -> Settings {
    Settings {
        h2_ping_interval: 900 * SECOND,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_cut_by_the_header_timeout() {
    let site = Site::start(hello()).await;
    let mut client = site.connect().await;
    site.pass(10 * SECOND).await;
    assert_eq!(rest(&mut client).await, "");
    let counts = site.until(|counts| counts.open == 0).await;
    assert_eq!(counts.overdue_header, 1);
}

#[tokio::test]
async fn half_a_head_is_cut_by_the_header_timeout() {
    let site = Site::start(hello()).await;
    let mut client = site.connect().await;
    client.write_all(&GET[..20]).await.unwrap();
    site.pass(10 * SECOND).await;
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(site.until(|c| c.open == 0).await.overdue_header, 1);
}

#[tokio::test]
async fn a_byte_a_second_does_not_buy_time() {
    let site = Site::start(hello()).await;
    let mut client = site.connect().await;
    for byte in &GET[..9] {
        client.write_all(&[*byte]).await.unwrap();
        site.hand.advance(SECOND);
    }
    assert_eq!(site.stats.now().open, 1);
    site.pass(SECOND).await;
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(site.until(|c| c.open == 0).await.overdue_header, 1);
}

#[tokio::test]
async fn an_http2_preface_and_then_silence_is_cut_by_the_header_timeout() {
    let site = Site::start(hello()).await;
    let mut client = site.connect().await;
    let half = b"PRI * HTTP/2";
    client.write_all(half).await.unwrap();
    site.pass(10 * SECOND).await;
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(site.until(|c| c.open == 0).await.overdue_header, 1);
}

#[tokio::test]
async fn http2_without_a_request_is_cut_by_the_header_timeout() {
    let site = Site::start(hello()).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    client.next(h2::SETTINGS).await.unwrap();
    site.pass(10 * SECOND).await;
    assert_eq!(client.next(h2::HEADERS).await, None);
    assert_eq!(site.until(|c| c.open == 0).await.overdue_header, 1);
}

#[tokio::test]
async fn between_requests_the_idle_timeout_counts_and_not_the_header_timeout() {
    let site = Site::start(hello()).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = site.connect().await;
        client.write_all(GET).await.unwrap();
        assert_eq!(response(&mut client).await.1, b"hello");
        clients.push(client);
    }
    site.hand.advance(74 * SECOND);
    for client in &mut clients {
        client.write_all(GET).await.unwrap();
        assert_eq!(response(client).await.1, b"hello");
    }
    site.pass(75 * SECOND).await;
    for client in &mut clients {
        assert_eq!(rest(client).await, "");
    }
    drop(clients);
    assert_eq!(site.until(|c| c.open == 0).await.overdue_idle, 50);
}

#[tokio::test]
async fn half_of_a_further_head_is_cut_by_the_header_timeout() {
    let site = Site::start(hello()).await;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    response(&mut client).await;
    site.hand.advance(50 * SECOND);
    client.write_all(&GET[..20]).await.unwrap();
    site.pass(10 * SECOND).await;
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(site.until(|c| c.open == 0).await.overdue_header, 1);
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_goaway_and_cut_if_it_stays() {
    let site = Site::with(hello(), unpinged(), None).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    client.send(&h2::get(1)).await;
    client.next(h2::DATA).await.unwrap();
    site.pass(75 * SECOND).await;
    assert!(client.next(h2::GOAWAY).await.is_some());
    site.pass(2 * SECOND).await;
    assert_eq!(client.next(h2::DATA).await, None);
    let counts = site.until(|c| c.open == 0).await;
    assert_eq!((counts.overdue_idle, counts.overdue_close), (1, 1));
}

#[tokio::test]
async fn a_reader_that_never_drains_is_reset_by_the_write_timeout() {
    let site = Site::start(huge()).await;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    site.pass(60 * SECOND).await;
    assert_eq!(site.until(|c| c.open == 0).await.overdue_write, 1);
    let end = soon(client.read_to_end(&mut Vec::new())).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_reader_that_drains_in_time_gets_the_whole() {
    let site = Site::start(huge()).await;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    soon(site.hand.sleeper(60 * SECOND)).await;
    site.hand.advance(59 * SECOND);
    assert_eq!(response(&mut client).await.1.len(), 64 << 20);
    assert_eq!(site.stats.now().overdue_write, 0);
}

#[tokio::test]
async fn a_reader_that_goes_on_draining_gets_the_whole_however_long_it_takes() {
    let half = bytes::Bytes::from(vec![b'x'; 32 << 20]);
    let halves = futures_util::stream::iter([half.clone(), half].map(Ok::<_, Infallible>));
    let handler = get(async move || Body::from_stream(halves.clone()));
    let site = Site::start(Router::new().route("/", handler)).await;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    let mut part = vec![0; 8 << 20];
    for _ in 0..5 {
        soon(client.read_exact(&mut part)).await.unwrap();
        soon(site.hand.sleeper(60 * SECOND)).await;
        site.hand.advance(50 * SECOND);
    }
    let mut rest = vec![0; 24 << 20];
    soon(client.read_exact(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn http2_without_a_window_is_cut_by_the_write_timeout_though_the_socket_is_free() {
    let site = Site::with(huge(), unpinged(), None).await;
    let mut client = h2::Client::open(site.connect().await, 0).await;
    client.send(&h2::get(1)).await;
    client.next(h2::HEADERS).await.unwrap();
    site.pass(60 * SECOND).await;
    assert_eq!(client.next(h2::DATA).await, None);
    assert_eq!(site.until(|c| c.open == 0).await.overdue_write, 1);
}

#[tokio::test]
async fn http2_with_a_window_of_single_bytes_is_cut_by_the_write_timeout() {
    let site = Site::with(huge(), unpinged(), None).await;
    let mut client = h2::Client::open(site.connect().await, 1).await;
    client.send(&h2::get(1)).await;
    for _ in 0..6 {
        let (_, data) = client.next(h2::DATA).await.unwrap();
        assert_eq!(data.len(), 1);
        site.hand.advance(9 * SECOND);
        let one_byte = h2::frame(h2::WINDOW_UPDATE, 1, &1u32.to_be_bytes());
        client.send(&one_byte).await;
    }
    site.pass(6 * SECOND).await;
    while client.next(h2::DATA).await.is_some() {}
    assert_eq!(site.until(|c| c.open == 0).await.overdue_write, 1);
}

#[tokio::test]
async fn a_dead_http2_client_is_found_out_by_ping_during_a_long_response() {
    let silent = Router::new().route("/", get(std::future::pending::<()>));
    let site = Site::start(silent).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    client.send(&h2::get(1)).await;
    client.next(h2::SETTINGS).await.unwrap();
    site.pass(30 * SECOND).await;
    site.pass(20 * SECOND).await;
    assert!(client.next(h2::GOAWAY).await.is_some());
    drop(client);
    site.until(|c| c.open == 0).await;
}
