//! The limits on connections, and what happens to connections above them.

use super::*;
use axum::routing::get;

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

fn caps(max_connections: usize, max_connections_per_client: usize) -> Settings {
    Settings {
        max_connections,
        max_connections_per_client,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_newcomer_above_max_connections_is_told_503_and_when_to_come_again() {
    let site = Site::with(hello(), caps(2, 2), None).await;
    let _first = site.connect().await;
    let second = site.connect().await;
    site.settings
        .send_modify(|s| s.max_connections_per_client = 9);
    let mut newcomer = TcpStream::connect(site.addr).await.unwrap();
    newcomer.write_all(GET).await.unwrap();
    let answer = rest(&mut newcomer).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    let counts = site.stats.now();
    assert_eq!(
        (counts.open, counts.accepted, counts.refused_full),
        (2, 3, 1)
    );

    drop(second);
    site.until(|counts| counts.open == 1).await;
    let mut next = site.connect().await;
    next.write_all(GET).await.unwrap();
    assert_eq!(response(&mut next).await.1, b"hello");
}

#[tokio::test]
async fn a_client_above_its_share_is_told_429() {
    let site = Site::with(hello(), caps(9, 1), None).await;
    let _only = site.connect().await;
    let mut another = TcpStream::connect(site.addr).await.unwrap();
    let answer = rest(&mut another).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert_eq!(site.stats.now().refused_client, 1);
}

#[tokio::test]
async fn refusing_many_that_do_not_go_keeps_the_loop_accepting_and_lets_go_of_them() {
    let site = Site::with(hello(), caps(1, 1), None).await;
    let only = site.connect().await;
    let mut stayers = Vec::new();
    for _ in 0..80 {
        stayers.push(TcpStream::connect(site.addr).await.unwrap());
    }
    site.until(|counts| counts.refused_client == 80).await;
    drop(only);
    site.until(|counts| counts.open == 0).await;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    assert_eq!(response(&mut client).await.1, b"hello");
    // Answered clients stay for the linger at most. After that a write meets a reset.
    site.pass(2 * SECOND).await;
    for stayer in &mut stayers {
        rest(stayer).await;
        let gone = async { while stayer.write_all(GET).await.is_ok() {} };
        soon(gone).await;
    }
}

#[tokio::test]
async fn changed_settings_hold_for_the_next_connection() {
    let site = Site::with(hello(), caps(1, 9), None).await;
    let _first = site.connect().await;
    site.settings
        .send_modify(|settings| settings.max_connections = 2);
    let mut second = site.connect().await;
    second.write_all(GET).await.unwrap();
    assert_eq!(response(&mut second).await.1, b"hello");
}

/// Runs in a process of its own, since it uses up the limit on open files.
#[tokio::test]
async fn want_of_descriptors_rests_the_accept_loop_and_does_not_end_it() {
    const ALONE: &str = "ALTOFED_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(ALONE).is_none() {
        let name = "want_of_descriptors_rests_the_accept_loop_and_does_not_end_it";
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::{name}");
        let alone = std::process::Command::new("sh")
            .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        assert!(
            alone.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let site = Site::with(hello(), caps(99, 99), None).await;
    // The client's socket of the next connection takes the last descriptor.
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    hoard.pop();
    let mut client = TcpStream::connect(site.addr).await.unwrap();
    client.write_all(GET).await.unwrap();
    site.until(|counts| counts.failed_accepts == 1).await;
    soon(site.hand.sleeper(Duration::from_millis(250))).await;
    hoard.clear();
    assert_eq!(site.stats.now().failed_accepts, 1);
    site.hand.advance(Duration::from_millis(250));
    assert_eq!(response(&mut client).await.1, b"hello");
    assert_eq!(site.stats.now().accepted, 1);
}
