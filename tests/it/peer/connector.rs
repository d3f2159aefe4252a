//! The client for a peer only goes where it may, and accepts only so much.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use altofed::client::{Answer, AnswerLimits, Ask, Document, PeerClient, PeerError, PeerOptions};
use altofed::runtime::{Clock, ManualClock};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use url::Url;

use super::server::{Reply, Server, answer, head, ok};
use super::soon;

const JSON: &str = "application/json";
const MB: usize = 1024 * 1024;

fn private(limits: AnswerLimits) -> PeerOptions {
    PeerOptions {
        allow_private_addresses: true,
        limits,
        ..PeerOptions::default()
    }
}

fn client(server: &Server, limits: AnswerLimits) -> PeerClient {
    PeerClient::new(&server.root, &private(limits), Clock::system()).expect("a client")
}

fn timed(server: &Server, limits: AnswerLimits) -> (PeerClient, ManualClock) {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let client = PeerClient::new(&server.root, &private(limits), clock).expect("a client");
    (client, hand)
}

async fn get(client: &PeerClient, url: &Url) -> Result<Document, PeerError> {
    match soon(client.get(Ask::new(url, JSON))).await? {
        Answer::Document(document) => Ok(document),
        Answer::NotModified => panic!("nothing was known"),
    }
}

/// Returns why the peer's answer at a path is refused.
async fn refused(server: &Server, path: &str) -> PeerError {
    let client = client(server, AnswerLimits::default());
    let refused = get(&client, &server.url(path)).await;
    refused.expect_err(path)
}

fn chunked(content_encoding: &str) -> Vec<u8> {
    head(
        "200 OK",
        &[
            ("content-type", JSON),
            ("transfer-encoding", "chunked"),
            ("content-encoding", content_encoding),
        ],
    )
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

#[tokio::test]
async fn only_the_configured_origin_is_asked() {
    let other = Server::start([("/alto/directory", ok(JSON, "{}"))]).await;
    let server = Server::start([]).await;
    let client = client(&server, AnswerLimits::default());
    let mut user = server.root.clone();
    user.set_username("root").expect("allowed");
    let mut tls = server.root.clone();
    tls.set_scheme("https").expect("allowed");
    let metadata = Url::parse("http://169.254.169.254/latest").expect("a URL");
    for url in [other.root.clone(), user, tls, metadata] {
        let refused = get(&client, &url).await.expect_err("elsewhere");
        assert_eq!(refused.reason(), "elsewhere", "{url}");
    }
    assert!(other.asked().is_empty() && server.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_is_followed_inside_the_origin_and_nowhere_else() {
    let other = Server::start([("/alto/directory", ok(JSON, "{}"))]).await;
    let to = |place: &str| answer("302 Found", &[("location", place)], b"");
    let user = "//root@localhost/x";
    let server = Server::start([
        ("/moved", to("new/place")),
        ("/new/place", ok(JSON, "{}")),
        ("/away", to(other.root.as_str())),
        ("/inside", to("http://169.254.169.254/latest/meta-data")),
        ("/file", to("file:///etc/passwd")),
        ("/user", to(user)),
        ("/circle", to("/circle")),
    ])
    .await;
    let moved = get(
        &client(&server, AnswerLimits::default()),
        &server.url("/moved"),
    )
    .await
    .expect("the document");
    assert_eq!(moved.place, server.url("/new/place"));
    assert_eq!(server.asked().len(), 2);
    for path in ["/away", "/inside", "/user"] {
        let refused = refused(&server, path).await;
        assert_eq!(refused.reason(), "elsewhere", "{path}: {refused}");
        assert_eq!(server.asked().len(), 1);
    }
    refused(&server, "/file").await;
    refused(&server, "/circle").await;
    assert!(server.asked().len() < 8);
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn private_addresses_and_plain_http_are_for_peers_that_are_allowed_them() {
    let clock = Clock::system;
    let public = PeerOptions::default();
    let url = |text: &str| Url::parse(text).expect("a URL");
    for text in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0x7f.1/",
        "https://2130706433/",
    ] {
        let refused = PeerClient::new(&url(text), &public, clock()).expect_err(text);
        assert_eq!(refused.reason(), "address", "{text}: {refused}");
    }
    for text in [
        "http://peer.example/",
        "ftp://peer.example/",
        "https://me@peer.example/",
    ] {
        let refused = PeerClient::new(&url(text), &public, clock()).expect_err(text);
        assert_eq!(refused.reason(), "options", "{text}: {refused}");
    }
    let metadata = url("http://169.254.169.254/");
    let refused = PeerClient::new(&metadata, &private(AnswerLimits::default()), clock());
    assert_eq!(refused.expect_err("link-local").reason(), "address");
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
    let server = Server::start([("/alto/directory", ok(JSON, "{}"))]).await;
    let mut named = server.root.clone();
    named.set_host(Some("localhost")).expect("allowed");
    let allowed = private(AnswerLimits::default());
    let client = PeerClient::new(&named, &allowed, Clock::system()).expect("a client");
    get(&client, &named).await.expect("it is allowed");
    assert_eq!(server.asked().len(), 1);

    named.set_scheme("https").expect("allowed");
    let public = PeerOptions::default();
    let client = PeerClient::new(&named, &public, Clock::system()).expect("a name");
    let refused = get(&client, &named).await.expect_err("loopback");
    assert_eq!(refused.reason(), "address", "{refused}");
    assert!(refused.to_string().contains("loopback"), "{refused}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_is_known_costs_a_304_and_the_token_goes_along() {
    let server = Server::start([("/map", Reply::Tagged("t1", JSON, b"{}".to_vec()))]).await;
    let options = PeerOptions {
        token: Some("secret-of-mine".into()),
        ..private(AnswerLimits::default())
    };
    let client = PeerClient::new(&server.root, &options, Clock::system()).expect("a client");
    let url = server.url("/map");
    let first = get(&client, &url).await.expect("the document");
    assert_eq!(first.etag.as_deref(), Some("\"t1\""));
    let ask = Ask {
        known: first.etag.as_deref(),
        ..Ask::new(&url, JSON)
    };
    assert_eq!(client.get(ask).await.expect("known"), Answer::NotModified);
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|got| got.head.contains("authorization: bearer secret-of-mine"))
    );
    assert!(!asked[0].head.contains("if-none-match"));
    assert!(!format!("{client:?}").contains("secret-of-mine"));
    // A server that was not asked whether the document changed cannot say that it did not.
    server.set("/map", answer("304 Not Modified", &[], b""));
    let odd = get(&client, &url).await.expect_err("a status");
    assert_eq!(odd.reason(), "status");
}

#[tokio::test]
async fn other_statuses_and_types_are_refused_by_name() {
    let server = Server::start([
        ("/busy", answer("503 Busy", &[("retry-after", "120")], b"")),
        ("/page", ok("text/html", "<p>")),
        ("/none", answer("200 OK", &[], b"{}")),
        ("/odd", ok("Application/JSON ; charset=utf-8", "{}")),
        (
            "/part",
            answer("206 Part", &[("content-type", JSON)], b"{}"),
        ),
        (
            "/br",
            answer(
                "200 OK",
                &[("content-type", JSON), ("content-encoding", "br")],
                b"{}",
            ),
        ),
    ])
    .await;
    let busy = refused(&server, "/busy").await;
    let minutes = Duration::from_secs(120);
    assert!(
        matches!(busy, PeerError::Status { status: 503, retry_after: Some(wait), .. } if wait == minutes)
    );
    for (path, reason) in [
        ("/page", "media-type"),
        ("/none", "media-type"),
        ("/part", "status"),
        ("/gone", "status"),
        ("/br", "broken"),
    ] {
        let refused = refused(&server, path).await;
        assert_eq!(refused.reason(), reason, "{path}: {refused}");
    }
    let client = client(&server, AnswerLimits::default());
    get(&client, &server.url("/odd")).await.expect("legal");
}

#[tokio::test]
async fn a_body_of_10_gb_ends_at_the_limit_however_it_comes() {
    let limits = AnswerLimits {
        max_bytes: 4 * MB,
        ..AnswerLimits::default()
    };
    let spaces = vec![b' '; 64 * 1024];
    let claimed = head(
        "200 OK",
        &[("content-type", JSON), ("content-length", "10000000000")],
    );
    let server = Server::start([
        ("/claimed", Reply::Endless(claimed, spaces.clone())),
        (
            "/chunked",
            Reply::Endless(chunked("identity"), chunk(&spaces)),
        ),
    ])
    .await;
    let client = client(&server, limits);
    for path in ["/claimed", "/chunked"] {
        let before = server.sent();
        let refused = get(&client, &server.url(path)).await.expect_err(path);
        assert_eq!(refused.reason(), "limit-exceeded", "{path}: {refused}");
        // The bytes sent beyond the limit filled the buffers of the system.
        let sent = server.sent() - before;
        assert!(sent < 64 * MB as u64, "{path}: {sent}");
    }
    let url = server.url("/chunked");
    let less = Ask {
        max_bytes: Some(1000),
        ..Ask::new(&url, JSON)
    };
    let refused = client.get(less).await.expect_err("less was wanted");
    assert!(
        refused.to_string().contains("more than 1000 bytes"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_bomb_ends_at_the_ratio() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 24 * MB]).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::encode_all(&vec![b' '; 24 * MB][..], 3).expect("memory");
    let coded = |coding: &str, body: &[u8]| {
        let headers = [("content-type", JSON), ("content-encoding", coding)];
        answer("200 OK", &headers, body)
    };
    // Member after member, for ever.
    let endless = Reply::Endless(chunked("gzip"), chunk(&gzip));
    let server = Server::start([
        ("/gzip", coded("gzip", &gzip)),
        ("/zstd", coded("zstd", &zstd)),
        ("/endless", endless),
    ])
    .await;
    for path in ["/gzip", "/zstd", "/endless"] {
        let refused = refused(&server, path).await;
        assert_eq!(refused.reason(), "limit-exceeded", "{path}: {refused}");
        assert!(
            refused.to_string().contains("more than 200 times"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_hundred_thousand_levels_of_json_are_refused_as_they_come() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all("[".repeat(100_000).as_bytes())
        .expect("memory");
    let deep = answer(
        "200 OK",
        &[("content-type", JSON), ("content-encoding", "gzip")],
        &gzip.finish().expect("memory"),
    );
    let endless = Reply::Endless(
        chunked("identity"),
        chunk(b"{\"x\":[".repeat(100).as_slice()),
    );
    let server = Server::start([("/deep", deep), ("/endless", endless)]).await;
    for path in ["/deep", "/endless"] {
        let refused = refused(&server, path).await;
        assert_eq!(refused.reason(), "limit-exceeded", "{path}: {refused}");
        assert!(
            refused.to_string().contains("more than 32 deep"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_byte_a_second_ends_when_the_pace_was_too_slow_for_too_long() {
    let limits = AnswerLimits {
        patience: Duration::from_secs(5),
        bytes_per_second: 1000,
        ..AnswerLimits::default()
    };
    let permits = Arc::new(Semaphore::new(0));
    let drips = Reply::Drips(chunked_head(), permits.clone());
    let server = Server::start([("/slow", drips)]).await;
    let (client, hand) = timed(&server, limits);
    let url = server.url("/slow");
    let asked = tokio::spawn(async move { get(&client, &url).await });
    for second in 0..5 {
        permits.add_permits(1);
        // Each byte has earned a millisecond.
        let left = Duration::from_secs(5 - second) + Duration::from_millis(second + 1);
        soon(hand.sleeper(left)).await;
        hand.advance(Duration::from_secs(1));
    }
    hand.advance(Duration::from_millis(5));
    let refused = soon(asked).await.expect("no panic").expect_err("too slow");
    assert_eq!(refused.reason(), "slow", "{refused}");
}

/// Returns the head of a body that ends with the connection.
fn chunked_head() -> Vec<u8> {
    head("200 OK", &[("content-type", JSON)])
}

#[tokio::test]
async fn headers_that_do_not_end_are_ended() {
    let hangs = Reply::hangs(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec());
    let endless = Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-a: b\r\n".repeat(500));
    let long = Reply::Endless(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec(), vec![b'a'; 4096]);
    let later = Reply::Endless(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100));
    let server = Server::start([
        ("/hangs", hangs),
        ("/endless", endless),
        ("/long", long),
        ("/later", later),
    ])
    .await;
    for path in ["/endless", "/long"] {
        let refused = refused(&server, path).await;
        assert_eq!(refused.reason(), "transport", "{path}: {refused}");
    }
    let limits = AnswerLimits::default();
    for path in ["/hangs", "/later"] {
        let (client, hand) = timed(&server, limits);
        let url = server.url(path);
        let asked = tokio::spawn(async move { get(&client, &url).await });
        soon(hand.sleeper(limits.patience)).await;
        hand.advance(limits.patience);
        let refused = soon(asked).await.expect("no panic").expect_err("it hangs");
        assert_eq!(refused.reason(), "timeout", "{path}: {refused}");
    }
}

#[tokio::test]
async fn an_answer_has_so_much_time_in_all_however_fast_it_comes() {
    let limits = AnswerLimits {
        total: Duration::from_secs(1),
        ..AnswerLimits::default()
    };
    let server = Server::start([("/hangs", Reply::hangs(chunked_head()))]).await;
    let (client, hand) = timed(&server, limits);
    let url = server.url("/hangs");
    let asked = tokio::spawn(async move { get(&client, &url).await });
    soon(hand.sleeper(limits.total)).await;
    hand.advance(limits.total);
    let refused = asked
        .await
        .expect("no panic")
        .expect_err("it took too long");
    assert_eq!(refused.reason(), "timeout", "{refused}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_no_body() {
    let cut = head("200 OK", &[("content-type", JSON), ("content-length", "3")]);
    let whole = [cut, b"{}".to_vec()].concat();
    let chunks = [chunked("identity"), chunk(b"{}")].concat();
    let server = Server::start([
        ("/cut", Reply::Whole(whole)),
        ("/chunks", Reply::Whole(chunks)),
    ])
    .await;
    for path in ["/cut", "/chunks"] {
        let refused = refused(&server, path).await;
        assert_eq!(refused.reason(), "transport", "{path}: {refused}");
    }
}
