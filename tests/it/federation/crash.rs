//! A peer whose process is killed: what it gave stays and is marked, and is taken again, under a
//! later serial, when the peer is back with its store.

use std::net::SocketAddr;

use altofed::api::s2s::{PeerState, PeerStatus};
use reqwest::Method;
use tempfile::TempDir;

use super::links::{Link, cost_map, inside, shortest};
use super::member::{Join, Member, own_section};
use super::site::{Site, domain_of};
use crate::support::{JSON, OPS, Program, config_path, plain_client};

const LINK: [Link; 1] = [Link(1, 2)];

/// `isp-b` in a process of its own, and `isp-a` in this one.
struct Pair {
    a: Member,
    b: Site,
    directory: TempDir,
}

/// Makes `isp-b` serve in a process of its own, at this address.
async fn serve(directory: &TempDir, listen: SocketAddr, a: &str) -> Program {
    let own = own_section(2, listen, directory.path(), "");
    let config = config_path(directory.path());
    std::fs::write(&config, own + &Join::to(1, a).text(2)).expect("a file");
    let run = move || Program::run(&config, &["--json"]);
    let program = tokio::task::spawn_blocking(run).await.expect("no panic");
    program.unwrap_or_else(|end| panic!("{}", end.log))
}

impl Pair {
    async fn start() -> (Self, Program) {
        let mut a = Member::start(1).await;
        a.states(&LINK).await;
        a.until_signed().await;
        let directory = TempDir::new().expect("a directory");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let program = serve(&directory, anywhere, &a.url).await;
        let b = Site::new(2, program.url.clone());
        b.states(&LINK).await;
        b.until_signed().await;
        a.join([Join::to(2, &b.url)]);
        a.until_cost(2, Some(inside(2))).await;
        a.until_state(2, PeerState::Synced, "").await;
        (Self { a, b, directory }, program)
    }

    /// Makes `isp-b` serve again with its store, at the same address.
    async fn again(&mut self) -> Program {
        let address = self.b.url.strip_prefix("http://").map(str::parse);
        let address = address.expect("a URL").expect("an address");
        let program = serve(&self.directory, address, &self.a.url).await;
        self.b = Site::new(2, program.url.clone());
        program
    }

    /// Makes `isp-b` count as stale or expired at this age.
    fn aging(&mut self, stale_after: &str) {
        let more = format!("refresh.interval = \"50ms\"\nrefresh.stale_after = {stale_after:?}\n");
        let join = Join {
            more: &more,
            ..Join::to(2, &self.b.url)
        };
        self.a.join([join]);
    }
}

/// Returns the serial of our copy of `isp-b`.
fn serial(peer: &PeerStatus) -> u64 {
    let domain = domain_of(peer, 2).expect("it passes it");
    domain.serial.expect("it is had")
}

#[tokio::test]
async fn a_killed_peer_is_used_marked_and_taken_anew_when_its_process_is_back() {
    let (mut pair, program) = Pair::start().await;
    let merged = Some(shortest(&[1, 2], &LINK));
    assert_eq!(pair.a.costs_of("merged").await, merged);
    pair.b.until_cost(1, Some(inside(1))).await;
    assert_eq!(pair.b.costs_of("merged").await, merged);
    let (own, of_b) = (pair.a.own_answers().await, pair.b.own_answers().await);
    let synced = pair.a.until_state(2, PeerState::Synced, "").await;

    program.kill();
    let killed = pair.a.until_state(2, PeerState::Failed, "transport").await;
    assert_eq!(serial(&killed), serial(&synced));
    let detail = killed.reason.expect("a reason").detail;
    assert!(detail.contains(&pair.b.url), "{detail}");
    pair.aging("50ms");
    let stale = pair.a.until_state(2, PeerState::Stale, "transport").await;
    let domain = domain_of(&stale, 2).expect("it was passed");
    assert!(domain.used && domain.state == PeerState::Stale, "{stale:?}");
    assert_eq!(pair.a.costs_of("merged").await, merged, "the last good");
    assert_eq!(pair.a.own_answers().await, own);

    let _program = pair.again().await;
    // It has what it had before, from the first moment.
    assert_eq!(pair.b.costs_of("merged").await, merged);
    assert_eq!(pair.b.own_answers().await, of_b);
    pair.aging("1h");
    let anew = |peer: &PeerStatus| {
        let is_synced = peer.state == PeerState::Synced && peer.reason.is_none();
        is_synced && serial(peer) > serial(&synced)
    };
    pair.a.until(2, "synced anew", anew).await;
    pair.b.until_state(1, PeerState::Synced, "").await;
    for merges in [&*pair.a, &pair.b] {
        assert_eq!(merges.costs_of("merged").await, merged);
    }
    assert_eq!(pair.a.own_answers().await, own);
}

/// Writes costs until the node is gone; returns the last one that was acknowledged, and the last
/// one that was sent.
async fn write_until_gone(url: String) -> (u32, u32) {
    let http = plain_client();
    for sent in 1.. {
        let costs = cost_map(2, f64::from(sent)).to_string();
        let put = http.request(Method::PUT, format!("{url}/n2s/v1/cost-maps/routingcost"));
        let put = put.bearer_auth(OPS).header("content-type", JSON);
        match put.body(costs).send().await {
            Ok(answer) => assert!(answer.status().is_success(), "{answer:?}"),
            Err(_) => return (sent - 1, sent),
        }
    }
    unreachable!("it is killed")
}

#[tokio::test]
async fn a_peer_killed_while_it_is_written_to_is_had_as_it_comes_back() {
    let (mut pair, program) = Pair::start().await;
    let own = pair.a.own_answers().await;
    let synced = pair.a.until_state(2, PeerState::Synced, "").await;
    let writer = tokio::spawn(write_until_gone(pair.b.url.clone()));
    let is_newer = |peer: &PeerStatus| serial(peer) > serial(&synced);
    let newer = pair.a.until(2, "read while it is written to", is_newer);
    let newer = newer.await;
    program.kill();
    let (acknowledged, sent) = writer.await.expect("no panic");
    let known = pair.a.cost_inside(2).await.expect("the last good");

    let _program = pair.again().await;
    let has = pair.b.cost_inside(2).await.expect("its costs");
    let possible = f64::from(acknowledged)..=f64::from(sent);
    assert!(possible.contains(&has), "{has} is not of {possible:?}");
    assert!((1.0..=has).contains(&known), "{known} was passed, not kept");
    pair.b.until_cost(1, Some(inside(1))).await;
    pair.a.nudge();
    pair.a.until_cost(2, Some(has)).await;
    let again = pair.a.until_state(2, PeerState::Synced, "").await;
    assert!(serial(&again) > serial(&newer), "{again:?}");
    assert_eq!(
        pair.a.costs_of("merged").await,
        pair.b.costs_of("merged").await
    );
    assert_eq!(pair.a.own_answers().await, own);
}
