//! A peer that is away, slow, cut off or behind: our own answers stay as they were, what we have
//! of it is used and marked, and the reason is shown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use altofed::api::s2s::PeerState;
use altofed::runtime::{Clock, ManualClock};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::links::{Link, inside};
use super::member::{Join, Member};
use super::proxy::{Deed, Proxy};
use super::rogue::{Rogue, Says, key};
use super::site::domain_of;
use crate::peer::server::{Reply, head};
use crate::peer::soon;
use crate::support::JSON;

const LINK: [Link; 1] = [Link(1, 2)];

/// How long it takes until the headers of an answer come.
const HEADERS: Duration = Duration::from_secs(30);

/// `isp-a` with a clock of its own, which imports all of `isp-b` and reads it through a proxy.
struct Pair {
    a: Member,
    b: Member,
    proxy: Proxy,
}

impl Pair {
    async fn start(clock: Clock) -> Self {
        let proxy = Proxy::start().await;
        let mut a = Member::with(1, clock, "[http]\nidle_timeout = \"100h\"\n").await;
        let mut b = Member::behind(2, &proxy).await;
        b.states(&LINK).await;
        b.until_signed().await;
        a.states(&LINK).await;
        a.join([Join::to(2, &proxy.url)]);
        b.join([Join::to(1, &a.url)]);
        a.until_cost(2, Some(inside(2))).await;
        a.until_state(2, PeerState::Synced, "").await;
        Self { a, b, proxy }
    }

    /// Makes `isp-b` count as stale or expired at this age.
    fn aging(&mut self, stale_after: &str, expire_after: &str) {
        let more = format!(
            "refresh.interval = \"50ms\"\nrefresh.stale_after = {stale_after:?}\n\
             refresh.expire_after = {expire_after:?}\n"
        );
        let join = Join {
            more: &more,
            ..Join::to(2, &self.proxy.url)
        };
        self.a.join([join]);
    }
}

/// Returns a clock that shows today and stands still.
fn standing() -> (Clock, ManualClock) {
    Clock::manual(Timestamp::now())
}

#[tokio::test]
async fn a_peer_that_dies_grows_stale_then_expires_and_is_taken_again_when_it_is_back() {
    let mut pair = Pair::start(Clock::system()).await;
    let before = pair.a.own_answers().await;
    let merged = pair.a.costs_of("merged").await;
    pair.b.stop().await;
    pair.proxy.set(Deed::Refuse);
    pair.aging("50ms", "1h");
    let peer = pair.a.until_state(2, PeerState::Stale, "transport").await;
    let domain = domain_of(&peer, 2).expect("it was passed");
    assert!(domain.used && domain.state == PeerState::Stale, "{peer:?}");
    assert_eq!(pair.a.costs_of("merged").await, merged, "it is used");
    assert_eq!(pair.a.own_answers().await, before);

    pair.aging("50ms", "60ms");
    let peer = pair.a.until_state(2, PeerState::Expired, "transport").await;
    let domain = domain_of(&peer, 2).expect("it was passed");
    assert!(!domain.used, "{peer:?}");
    pair.a.until_cost(2, None).await;
    assert!(!pair.a.has(2).await);
    let from = pair.a.endpoint_cost("merged", 1, 2).await;
    assert_eq!(from.json()["endpoint-cost-map"], serde_json::json!({}));
    assert_eq!(pair.a.own_answers().await, before);

    pair.b.start_again().await;
    pair.proxy.set(Deed::Pass);
    pair.aging("1h", "1h");
    pair.a.until_state(2, PeerState::Synced, "").await;
    pair.a.until_cost(2, Some(inside(2))).await;
    assert_eq!(pair.a.costs_of("merged").await, merged);
}

#[tokio::test]
async fn a_peer_that_hangs_costs_its_patience_and_nothing_else() {
    let (clock, hand) = standing();
    let mut pair = Pair::start(clock).await;
    let before = pair.a.own_answers().await;
    let silent = Reply::hangs(Vec::new());
    pair.proxy.set(Deed::Instead("/", silent));
    let heard = pair.proxy.heard("alto-federation");
    pair.a.nudge();
    heard.await;
    // Answers come while it hangs.
    assert_eq!(pair.a.own_answers().await, before);
    soon(hand.sleeper(HEADERS)).await;
    hand.advance(HEADERS);
    pair.a.until_state(2, PeerState::Failed, "timeout").await;
    assert_eq!(pair.a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(pair.a.own_answers().await, before);
}

#[tokio::test]
async fn a_peer_that_sends_a_byte_a_second_is_left() {
    let (clock, hand) = standing();
    let mut pair = Pair::start(clock).await;
    let before = pair.a.own_answers().await;
    let bytes = Arc::new(Semaphore::new(0));
    let drips = Reply::Drips(head("200 OK", &[("content-type", JSON)]), bytes.clone());
    pair.proxy.set(Deed::Instead("manifests", drips));
    let heard = pair.proxy.heard("manifests");
    pair.a.nudge();
    heard.await;
    // Each byte earns the time that a byte takes at the slowest pace.
    let bought = Duration::from_secs_f64(1.0 / f64::from(16 * 1024));
    let mut left = HEADERS;
    for _ in 0..3 {
        bytes.add_permits(1);
        left += bought;
        soon(hand.sleeper(left)).await;
        hand.advance(Duration::from_secs(1));
        left -= Duration::from_secs(1);
    }
    assert_eq!(pair.a.own_answers().await, before);
    hand.advance(left);
    pair.a.until_state(2, PeerState::Failed, "slow").await;
    assert_eq!(pair.a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(pair.a.own_answers().await, before);
}

#[tokio::test]
async fn a_document_that_is_cut_is_not_taken_and_the_last_one_stays() {
    let mut pair = Pair::start(Clock::system()).await;
    let before = pair.a.own_answers().await;
    pair.proxy.set(Deed::Halve("blobs/"));
    pair.b.costs(0.5).await;
    pair.a.until_state(2, PeerState::Failed, "transport").await;
    assert_eq!(pair.a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(pair.a.own_answers().await, before);
    pair.proxy.set(Deed::Pass);
    pair.a.nudge();
    pair.a.until_cost(2, Some(0.5)).await;
    pair.a.until_state(2, PeerState::Synced, "").await;
}

#[tokio::test]
async fn an_answer_of_our_own_is_written_at_once_while_all_peers_hang() {
    // Nothing times out, since the clock stands still.
    let (clock, _hand) = standing();
    let mut pair = Pair::start(clock).await;
    pair.proxy.set(Deed::Instead("/", Reply::hangs(Vec::new())));
    let others = [Rogue::start(3, &key()).await, Rogue::start(4, &key()).await];
    for other in &others {
        other.answers("/.well-known/alto-federation", Reply::hangs(Vec::new()));
    }
    let heard = pair.proxy.heard("alto-federation");
    pair.a.join([
        Join::to(2, &pair.proxy.url),
        Join::to(3, &others[0].url),
        Join::to(4, &others[1].url),
    ]);
    heard.await;
    pair.a.costs(0.75).await;
    assert_eq!(pair.a.cost_inside(1).await, Some(0.75));
    let merged = pair.a.endpoint_cost("merged", 1, 1).await.json();
    assert_eq!(
        merged["endpoint-cost-map"]["ipv4:10.1.0.1"]["ipv4:10.1.128.1"],
        0.75
    );
}

#[tokio::test]
async fn a_peer_that_was_restored_from_a_backup_is_believed_and_one_with_an_old_clock_is_not() {
    let mut pair = Pair::start(Clock::system()).await;
    let before = pair.a.own_answers().await;
    pair.b.stop().await;
    let backup = TempDir::new().expect("a directory");
    copy(pair.b.data(), backup.path());
    pair.b.start_again().await;
    pair.b.costs(0.5).await;
    pair.a.nudge();
    pair.a.until_cost(2, Some(0.5)).await;

    // It serves what it served before, under a new serial.
    pair.b.stop().await;
    replace(pair.b.data(), backup.path());
    pair.b.start_again().await;
    pair.a.nudge();
    pair.a.until_cost(2, Some(inside(2))).await;
    pair.a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(pair.a.own_answers().await, before);

    // The same with a clock that was not set: the serial is older than the known one.
    pair.b.stop().await;
    replace(pair.b.data(), backup.path());
    let (clock, _hand) = Clock::manual(Timestamp::now() - jiff::SignedDuration::from_hours(3));
    pair.b.start_again_at(clock).await;
    pair.a.nudge();
    pair.a.until_state(2, PeerState::Failed, "old-serial").await;
    assert_eq!(pair.a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(pair.a.own_answers().await, before);
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &place)
        } else {
            std::fs::copy(entry.path(), place).expect("a copy");
        }
    }
}

/// Makes the content of a directory that of another one.
fn replace(directory: &Path, with: &Path) {
    std::fs::remove_dir_all(directory).expect("a directory");
    copy(with, directory);
}

#[tokio::test]
async fn a_clock_three_hours_ahead_is_named_and_one_three_hours_behind_does_no_harm() {
    let (k2, k3) = (key(), key());
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    let (fast, slow) = (Rogue::start(2, &k2).await, Rogue::start(3, &k3).await);
    let off = |number, hours| {
        let issued = Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        Says {
            issued,
            ..Says::sound(number)
        }
    };
    fast.passes(&[off(2, 3).signed(&k2)]);
    slow.passes(&[off(3, -3).signed(&k3)]);
    a.join([Join::to(2, &fast.url), Join::to(3, &slow.url)]);
    let peer = a.until_state(2, PeerState::Failed, "clock").await;
    let reason = peer.reason.expect("a reason").detail;
    assert!(reason.contains("one of the clocks is wrong"), "{reason}");
    assert!(!a.has(2).await);
    a.until_state(3, PeerState::Synced, "").await;
    a.until_cost(3, Some(inside(3))).await;
    assert_eq!(a.own_answers().await, before);

    slow.passes(&[off(3, -7).signed(&k3)]);
    a.until_state(3, PeerState::Failed, "expired").await;
    fast.passes(&[Says::sound(2).later().signed(&k2)]);
    a.until_state(2, PeerState::Synced, "").await;
    a.until_cost(2, Some(inside(2))).await;
}

#[tokio::test]
async fn what_its_origin_does_not_sign_again_stops_counting() {
    let (clock, hand) = standing();
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[Says::sound(2).linked(LINK[0]).signed(&key)]);
    let mut a = Member::with(1, clock, "[http]\nidle_timeout = \"100h\"\n").await;
    a.states(&LINK).await;
    let before = a.own_answers().await;
    a.join([Join {
        more: "refresh.expire_after = \"99h\"\n",
        ..Join::to(2, &rogue.url)
    }]);
    a.until_state(2, PeerState::Synced, "").await;
    a.until_cost(2, Some(inside(2))).await;
    hand.advance(Duration::from_secs(6 * 60 * 60 + 60));
    a.until_cost(2, None).await;
    a.until_domain(2, 2, PeerState::Failed, "expired").await;
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn a_descriptor_that_came_damaged_is_fetched_anew() {
    let pair = Pair::start(Clock::system()).await;
    // One flipped bit in the URI of its API; then one in a feature, which no request reveals.
    let damages: [fn(&mut Vec<u8>); 2] = [
        |body| flip(body, b"/s2s/v1/"),
        |body| flip(body, b"\"updates\""),
    ];
    for (place, damage) in damages.into_iter().enumerate() {
        pair.proxy.set(Deed::Alter("alto-federation", damage));
        // The first request may have been sent before.
        for _ in 0..2 {
            pair.proxy.heard("alto-federation").await;
        }
        if place == 0 {
            pair.a.until_state(2, PeerState::Failed, "status").await;
            assert_eq!(pair.a.cost_inside(2).await, Some(inside(2)));
        }
        // The entity tag is unchanged.
        pair.proxy.set(Deed::Pass);
        pair.a.until_state(2, PeerState::Synced, "").await;
    }
    pair.proxy.heard("/updates").await;
}

/// Flips a bit of the second byte of a text at its place in another text.
fn flip(body: &mut [u8], text: &[u8]) {
    let at = body.windows(text.len()).position(|window| window == text);
    body[at.expect("it is there") + 1] ^= 1;
}
