//! The keys of real nodes: followed from one to the next, pinned, and forgotten.

use std::path::PathBuf;

use altofed::api::s2s::{KeyTrust, PeerState, PeerStatus};
use altofed::federation::SigningKey;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::links::inside;
use super::member::{Join, Member, SELDOM};
use super::rogue::{Rogue, Says, documents, key};
use super::site::domain_of;
use crate::support::{OPS, command};

/// Makes a key in a file of a member's directory, and returns its public half.
fn key_file(member: &Member, name: &str) -> (PathBuf, String) {
    let path = member.data().join(name);
    let key = SigningKey::generate().expect("a key");
    key.save(&path).expect("a file");
    (path, key.public().to_string())
}

/// Checks that a peer's own domain is trusted by this key, for this reason.
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
    // The old key signs, and names the new one beside it.
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
    // Nothing that it signs outlives it: near its end the new key signs.
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

#[tokio::test]
async fn a_manifest_counts_for_seven_days_at_most_whatever_it_says() {
    let own = key();
    let rogue = Rogue::start(2, &own).await;
    let says = Says {
        next_update: Some(Timestamp::MAX),
        ..Says::sound(2)
    };
    let week = SignedDuration::from_hours(7 * 24);
    rogue.passes(&[says.clone().signed(&own)]);
    let mut a = Member::start(1).await;
    a.join([Join::to(2, &rogue.url)]);
    let domain = a.until_domain(2, 2, PeerState::Synced, "").await;
    assert_eq!(domain.next_update, Some(says.issued + week));
    let old = Says {
        issued: says.issued - week,
        ..says.later()
    };
    rogue.passes(&[old.signed(&own)]);
    a.until_state(2, PeerState::Failed, "expired").await;
}

#[tokio::test]
async fn who_rolls_its_key_without_end_takes_nothing_from_an_honest_peer() {
    const ROLLS: usize = 20;
    let mut own = key();
    let liar = Rogue::start(2, &own).await;
    let mut says = Says {
        next_update: Some(Timestamp::MAX),
        ..Says::sound(2)
    };
    liar.passes(&[says.clone().signed(&own)]);
    let mut a = Member::start(1).await;
    let few = |peer, base| Join {
        more: "refresh.interval = \"20ms\"\nimport.max_domains = 1\n",
        ..Join::to(peer, base)
    };
    a.join([few(2, &liar.url)]);
    a.until_state(2, PeerState::Synced, "").await;
    // More than its share: sixteen keys, and two for each domain.
    for _ in 0..ROLLS {
        let next = key();
        for (signer, other) in [(&own, &next), (&next, &own)] {
            says = says.later();
            says.other_keys = documents(other);
            liar.passes(&[says.clone().signed(signer)]);
            let public = signer.public().to_string();
            let by_signer = signed_by(&public, KeyTrust::Direct);
            let (by_signer, serial) = (&by_signer, says.serial);
            let is_taken = move |peer: &PeerStatus| {
                let had = domain_of(peer, 2).and_then(|domain| domain.serial);
                had == Some(serial) && by_signer(peer)
            };
            a.until(2, "signed anew", is_taken).await;
        }
        own = next;
    }
    let mut b = Member::start(3).await;
    b.states(&[]).await;
    b.join([Join::to(1, &a.url)]);
    a.join([few(2, &liar.url), few(3, &b.url)]);
    a.until_cost(3, Some(inside(3))).await;
    let made = b.data().join("store.key");
    let (path, _) = key_file(&b, "second.key");
    // First the old key signs and names the new one, then the new one signs.
    for (hours, cost) in [(9, 0.25), (5, 0.5)] {
        let end = Timestamp::now() + SignedDuration::from_hours(hours);
        let old = format!("{{key = {made:?}, not_after = \"{end}\"}}");
        b.restart_with(&format!(
            "[federation]\nkey = {path:?}\nold_keys = [{old}]\n"
        ))
        .await;
        b.costs(cost).await;
        a.nudge();
        a.until_cost(3, Some(cost)).await;
    }
    a.until_state(3, PeerState::Synced, "").await;
}

#[tokio::test]
async fn what_a_removed_relay_vouched_for_is_forgotten_with_it() {
    let (own, squatter, relayed) = (key(), key(), key());
    let [liar, honest] = [
        Rogue::start(2, &squatter).await,
        Rogue::start(3, &own).await,
    ];
    liar.passes(&[
        Says::sound(2).signed(&squatter),
        Says::with_costs(4, r#"{"core":{"edge":99}}"#)
            .signed(&squatter)
            .through(&[2]),
    ]);
    honest.passes(&[
        Says::sound(3).signed(&own),
        Says::sound(4).later().signed(&relayed).through(&[3]),
    ]);
    let mut a = Member::start(1).await;
    a.join([Join::to(2, &liar.url)]);
    a.until_cost(4, Some(99.0)).await;
    let seldom = Join {
        more: SELDOM,
        ..Join::to(3, &honest.url)
    };
    a.join([Join::to(2, &liar.url), seldom]);
    a.until_domain(3, 4, PeerState::Held, "held").await;
    // After a reload without the liar, the honest peer is read again, because only its word
    // counts now.
    a.join([seldom]);
    a.until_cost(4, Some(inside(4))).await;
    a.until_domain(3, 4, PeerState::Synced, "").await;
}

#[tokio::test]
async fn who_lost_its_serials_is_believed_when_its_key_is_forgotten() {
    let own = key();
    let rogue = Rogue::start(2, &own).await;
    let first = Says::sound(2);
    rogue.passes(&[first.clone().later().signed(&own)]);
    let mut a = Member::start(1).await;
    a.join([Join::to(2, &rogue.url)]);
    a.until_cost(2, Some(inside(2))).await;
    let restored = Says {
        serial: first.serial,
        ..Says::with_costs(2, r#"{"core":{"edge":3}}"#)
    };
    rogue.passes(&[restored.signed(&own)]);
    a.until_state(2, PeerState::Failed, "old-serial").await;
    let path = "/s2s/v1/domains/isp-b/forget-key";
    let forgotten = a.request(Method::POST, path).token(OPS).send().await;
    assert_eq!(forgotten.status, 204, "{forgotten:?}");
    a.until_cost(2, Some(3.0)).await;
}
