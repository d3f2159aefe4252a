//! Callers that guess tokens.

use std::time::Duration;

use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use tempfile::TempDir;

use crate::support::{Answer, CDN, NOC, OPS, Program, TestNode, client_elsewhere, plain_client};

const PATH: &str = "/n2s/v1/revisions";
const TEN: &str = "[limits]\nwrong_credentials_per_minute = 10\nrequests_per_second = 0\n";

async fn shown(node: &TestNode, secret: &str) -> Answer {
    node.request(Method::GET, PATH).token(secret).send().await
}

async fn guess(node: &TestNode, count: usize) -> [usize; 2] {
    let mut told = [0, 0];
    for guess in 0..count {
        let answer = shown(node, &format!("no-such-token-{guess:06}")).await;
        match answer.status.as_u16() {
            401 => told[0] += 1,
            429 => told[1] += 1,
            _ => panic!("{answer:?}"),
        }
    }
    told
}

/// Returns how many refused credentials of a kind were counted.
async fn counted(node: &TestNode, reason: &str) -> u64 {
    let name = format!("altofed_http_wrong_credentials_total{{reason=\"{reason}\"}} ");
    let metrics = node.get("/metrics").await;
    let line = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

#[tokio::test]
async fn six_thousand_guesses_are_told_429_after_the_first_few() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    // The limits of a node that configures none.
    let node = TestNode::clocked(clock, "[limits]\nrequests_per_second = 0\n").await;
    assert_eq!(guess(&node, 6_000).await, [30, 5_970]);
    assert_eq!(counted(&node, "unknown").await, 30);
    assert_eq!(counted(&node, "limited").await, 5_970);
    // The answer does not reveal a right guess, but says when to come again.
    let right = shown(&node, NOC).await;
    right.problem(429, &[]);
    let wait: u64 = right.header("retry-after").parse().expect("seconds");
    hand.advance(Duration::from_secs(wait));
    assert_eq!(shown(&node, NOC).await.status, 200);
}

#[tokio::test]
async fn guesses_lock_out_neither_who_was_right_before_nor_who_shows_nothing() {
    let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
    let mut node = TestNode::clocked(clock, TEN).await;
    assert_eq!(shown(&node, NOC).await.status, 200);
    assert_eq!(guess(&node, 20).await, [10, 10]);
    assert_eq!(shown(&node, NOC).await.status, 200);
    assert_eq!(shown(&node, OPS).await.status, 429);
    for open in [
        "/directory",
        "/views/isp-a/networkmap",
        "/livez",
        "/openapi.json",
    ] {
        assert_eq!(node.get(open).await.status, 200, "{open}");
        let alto = node.request(Method::GET, open).token(CDN).send().await;
        assert_eq!(alto.status, 429, "{open}");
    }
    // Another address is another client.
    let elsewhere = client_elsewhere();
    let other = node.request_by(&elsewhere, Method::GET, PATH).token(OPS);
    assert_eq!(other.send().await.status, 200);
    // A token that was right but is replaced is a guess like any other.
    let config = super::reload::changed(&node, TEN, NOC, "another-secret-0123456789");
    node.node().reload(config).expect("hot");
    assert_eq!(shown(&node, NOC).await.status, 401);
    assert_eq!(shown(&node, NOC).await.status, 429);
}

#[tokio::test]
async fn headers_that_are_no_token_count_as_guesses() {
    let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
    let node = TestNode::clocked(clock, TEN).await;
    let malformed = || {
        let request = node.request(Method::GET, PATH);
        request
            .header("authorization", "Basic bm9jOnNlY3JldA==")
            .send()
    };
    let twice = || node.request(Method::GET, PATH).token(NOC).token(NOC).send();
    for _ in 0..5 {
        assert_eq!(malformed().await.status, 400);
        assert_eq!(twice().await.status, 400);
    }
    assert_eq!(malformed().await.status, 429);
    assert_eq!(twice().await.status, 429);
    assert_eq!(counted(&node, "malformed").await, 10);
    assert_eq!(counted(&node, "limited").await, 2);
}

#[test]
fn guesses_are_logged_in_one_line_with_their_number_and_without_what_they_were() {
    let directory = TempDir::new().expect("a directory");
    // One more per minute: no test takes that long.
    let one = TEN.replace("minute = 10", "minute = 1");
    let program = Program::serve(directory.path(), &one);
    let program = program.unwrap_or_else(|end| panic!("{}", end.log));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = plain_client();
        for guess in 0..100 {
            let url = format!("{}{PATH}", program.url);
            let guess = format!("no-such-token-{guess:06}");
            client
                .get(url)
                .bearer_auth(guess)
                .send()
                .await
                .expect("an answer");
        }
    });
    // What is not reported yet is reported at the end.
    program.signal("TERM");
    let log = program.end().log;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("wrong")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for words in ["WARN", "client=127.0.0.1", "wrong=1", "refused=99"] {
        assert!(lines[0].contains(words), "{}", lines[0]);
    }
    assert!(!log.contains("no-such-token"), "{log}");
}
