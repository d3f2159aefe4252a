//! Keys of real nodes: followed from one to the next, pinned, and forgotten.

use std::path::PathBuf;

use altofed::api::s2s::{KeyTrust, PeerState, PeerStatus};
use altofed::federation::SigningKey;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::links::inside;
use super::member::{Join, Member};
use super::rogue::{Rogue, Says, key};
use super::site::domain_of;
use crate::support::{OPS, command};

/// A new key in a file of a member's directory, and its public half.
fn key_file(member: &Member, name: &str) -> (PathBuf, String) {
    let path = member.data().join(name);
    let key = SigningKey::generate().expect("a key");
    key.save(&path).expect("a file");
    (path, key.public().to_string())
}

/// Whether a peer's own domain counts by this key, for this reason.
fn signed_by(public: &str, trust: KeyTrust) -> impl Fn(&PeerStatus) -> bool {
    let public = public.to_owned();
    move |peer| {
        let key = domain_of(peer, 2).and_then(|domain| domain.key.as_ref());
        peer.state == PeerState::Synced
            && key.is_some_and(|key| key.key == public && key.trust == trust)
    }
}

async fn pair() -> (Member, Member) {
    let mut a = Member::start(1).await;
    let mut b = Member::start(2).await;
    a.states(&[]).await;
    b.states(&[]).await;
    b.join([Join::to(1, &a.url)]);
    a.join([Join::to(2, &b.url)]);
    a.until_cost(2, Some(inside(2))).await;
    (a, b)
}

#[tokio::test]
async fn a_new_key_is_followed_from_the_old_one_while_both_count() {
    let (mut a, mut b) = pair().await;
    let first = a.until_state(2, PeerState::Synced, "").await;
    let first = domain_of(&first, 2).and_then(|domain| domain.key.clone());
    let first = first.expect("it is signed").key;
    let made = b.data().join("store.key");
    let (path, second) = key_file(&b, "second.key");
    let section = |hours: i64| {
        let end = Timestamp::now() + SignedDuration::from_hours(hours);
        format!(
            "[federation]\nkey = {path:?}\nold_keys = [{{key = {made:?}, not_after = \"{end}\"}}]\n"
        )
    };
    // The old one signs, and names the new one beside it.
    b.restart_with(&section(9)).await;
    a.nudge();
    b.until_signed().await;
    let said = b.peers().await.own.expect("it signed");
    let by_first = signed_by(&first, KeyTrust::Direct);
    a.until(2, "signed by the first again", |peer| {
        let fingerprint = domain_of(peer, 2).and_then(|domain| domain.fingerprint);
        by_first(peer) && fingerprint == Some(said.fingerprint)
    })
    .await;
    // Nothing it signs outlives it: near its end the new one signs.
    b.restart_with(&section(5)).await;
    a.nudge();
    a.until(
        2,
        "signed by the second",
        signed_by(&second, KeyTrust::Direct),
    )
    .await;
    b.restart_with(&format!("[federation]\nkey = {path:?}\n"))
        .await;
    a.nudge();
    b.costs(0.5).await;
    a.until_cost(2, Some(0.5)).await;
    a.until(
        2,
        "signed by the second",
        signed_by(&second, KeyTrust::Direct),
    )
    .await;
}

#[tokio::test]
async fn a_key_that_came_without_the_old_one_is_taken_when_that_is_forgotten() {
    let (mut a, mut b) = pair().await;
    let before = a.own_answers().await;
    for (name, by_program) in [("second.key", false), ("third.key", true)] {
        let (path, public) = key_file(&b, name);
        b.restart_with(&format!("[federation]\nkey = {path:?}\n"))
            .await;
        a.nudge();
        let refused = a.until_state(2, PeerState::Failed, "key").await;
        let reason = refused.reason.expect("a reason").detail;
        assert!(reason.contains("altofed peer"), "{reason}");
        assert_eq!(a.cost_inside(2).await, Some(inside(2)));
        match by_program {
            false => {
                let path = "/s2s/v1/domains/isp-b/forget-key";
                let anybody = a.request(Method::POST, path).send().await;
                assert_eq!(anybody.status, 401);
                let forgotten = a.request(Method::POST, path).token(OPS).send().await;
                assert_eq!(forgotten.status, 204, "{forgotten:?}");
            }
            true => {
                let url = a.url.clone();
                let told = tokio::task::spawn_blocking(move || {
                    let words = ["peer", "isp-b", "--forget-key", "--url", &url];
                    let mut command = command(words);
                    command.args(["--token-env", "ALTOFED_OPS"]);
                    command.env("ALTOFED_OPS", OPS).output().expect("it runs")
                });
                let told = told.await.expect("no panic");
                assert!(told.status.success(), "{told:?}");
                let said = String::from_utf8_lossy(&told.stdout);
                assert!(said.contains("is forgotten"), "{said}");
            }
        }
        a.until(
            2,
            "signed by the new one",
            signed_by(&public, KeyTrust::Direct),
        )
        .await;
    }
    let path = "/s2s/v1/domains/isp-x/forget-key";
    let unknown = a.request(Method::POST, path).token(OPS).send().await;
    unknown.problem(404, &[]);
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn a_pin_holds_from_the_moment_it_is_read_and_until_it_is_gone() {
    let (own, other) = (key(), key());
    let rogue = Rogue::start(2, &own).await;
    rogue.passes(&[Says::sound(2).signed(&own)]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    let pin = |key: &SigningKey| format!("[domain.isp-b]\nkeys = [\"{}\"]\n", key.public());
    let join = || [Join::to(2, &rogue.url)];
    a.join(join());
    a.until_cost(2, Some(inside(2))).await;
    a.join_under(&pin(&other), join());
    a.until_cost(2, None).await;
    a.until_state(2, PeerState::Failed, "key").await;
    a.join_under(&pin(&own), join());
    a.until(
        2,
        "pinned",
        signed_by(&own.public().to_string(), KeyTrust::Pinned),
    )
    .await;
    a.until_cost(2, Some(inside(2))).await;
    a.join(join());
    a.until(
        2,
        "known directly",
        signed_by(&own.public().to_string(), KeyTrust::Direct),
    )
    .await;
    assert_eq!(a.own_answers().await, before);
}
