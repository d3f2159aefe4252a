//! Manifests that are signed by another, replayed, altered, or sent back to us are not accepted;
//! the copy that we have stays, and the reason is shown.

use altofed::api::s2s::PeerState;
use altofed::runtime::Clock;

use super::links::{Link, inside, label};
use super::member::{Join, Member};
use super::proxy::{Deed, Proxy};
use super::rogue::{Rogue, Says, Signed, key};

/// `isp-a`, and a rogue posing as `isp-b` that it reads.
async fn beside(rogue: &Rogue) -> Member {
    let mut a = Member::start(1).await;
    a.states(&[Link(1, 2)]).await;
    a.join([Join::to(2, &rogue.url)]);
    a
}

#[tokio::test]
async fn a_manifest_that_is_replayed_is_known_to_be_old() {
    let proxy = Proxy::start().await;
    let mut a = Member::start(1).await;
    let mut b = Member::behind(2, &proxy).await;
    b.states(&[]).await;
    b.until_signed().await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    a.join([Join::to(2, &proxy.url)]);
    b.join([Join::to(1, &a.url)]);
    a.until_cost(2, Some(inside(2))).await;
    proxy.remember();
    b.costs(0.5).await;
    a.until_cost(2, Some(0.5)).await;
    proxy.set(Deed::Replay);
    a.until_state(2, PeerState::Failed, "old-serial").await;
    assert_eq!(a.cost_inside(2).await, Some(0.5), "the newest stays");
    // The disk remembers that it was seen.
    a.stop().await;
    a.start_again().await;
    a.until_state(2, PeerState::Failed, "old-serial").await;
    assert_eq!(a.cost_inside(2).await, Some(0.5));
    assert_eq!(a.own_answers().await, before);
    proxy.set(Deed::Pass);
    a.nudge();
    a.until_state(2, PeerState::Synced, "").await;
}

#[tokio::test]
async fn one_serial_with_two_contents_is_refused_and_reported() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let first = Says::sound(2);
    rogue.passes(&[first.signed(&key)]);
    let a = beside(&rogue).await;
    let before = a.own_answers().await;
    a.until_cost(2, Some(inside(2))).await;
    let second = Says {
        serial: first.serial,
        ..Says::with_costs(2, r#"{"core":{"edge":0.5}}"#)
    };
    rogue.passes(&[second.signed(&key)]);
    a.until_state(2, PeerState::Failed, "equivocation").await;
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn another_key_and_a_broken_signature_are_told_apart() {
    let (shown, other) = (key(), key());
    let rogue = Rogue::start(2, &shown).await;
    let says = Says::sound(2);
    rogue.passes(&[says.signed(&shown)]);
    let a = beside(&rogue).await;
    let before = a.own_answers().await;
    a.until_cost(2, Some(inside(2))).await;
    let newer = Says::with_costs(2, r#"{"core":{"edge":0.5}}"#).later();
    rogue.passes(&[newer.signed(&other)]);
    let peer = a.until_state(2, PeerState::Failed, "key").await;
    let reason = peer.reason.expect("a reason").detail;
    assert!(reason.contains("--forget-key"), "{reason}");

    let mut broken = newer.signed(&shown);
    let text = &mut broken.entry.manifest;
    let last = text.pop().expect("a signature");
    text.push(if last == 'A' { 'Q' } else { 'A' });
    rogue.passes(&[broken]);
    a.until(2, "broken", |peer| {
        let code = peer.reason.as_ref().map(|reason| reason.code.as_str());
        matches!(code, Some("signature" | "form"))
    })
    .await;
    // A payload with the signature of another one.
    let mut spliced = newer.signed(&shown);
    let payload = |signed: &Signed| -> String {
        let mut parts = signed.entry.manifest.split('.').skip(1);
        parts.next().expect("a payload").to_owned()
    };
    let theirs = payload(&Says::with_costs(2, "{}").later().signed(&shown));
    let ours = payload(&spliced);
    spliced.entry.manifest = spliced.entry.manifest.replace(&ours, &theirs);
    spliced.entry.serial = newer.serial;
    rogue.passes(&[spliced]);
    a.until(2, "spliced", |peer| {
        let code = peer.reason.as_ref().map(|reason| reason.code.as_str());
        matches!(code, Some("signature" | "mismatch"))
    })
    .await;
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn a_key_squatted_through_a_relay_is_held_until_it_is_pinned() {
    let (relay_key, rogue_key, honest, squatted) = (key(), key(), key(), key());
    let relay = Rogue::start(2, &relay_key).await;
    let rogue = Rogue::start(3, &rogue_key).await;
    let truth = Says::sound(4).signed(&honest).through(&[2]);
    // With a higher serial it would win if keys were not checked.
    let lie = Says::with_costs(4, r#"{"core":{"edge":0.5}}"#).later();
    let lie = lie.signed(&squatted).through(&[3]);
    relay.passes(&[Says::sound(2).signed(&relay_key), truth]);
    rogue.passes(&[Says::sound(3).signed(&rogue_key), lie]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    a.join([Join::to(2, &relay.url)]);
    a.until_cost(4, Some(inside(4))).await;
    let joins = || [Join::to(2, &relay.url), Join::to(3, &rogue.url)];
    a.join(joins());
    let held = a.until_domain(3, 4, PeerState::Held, "held").await;
    let reason = held.reason.expect("a reason").detail;
    assert!(reason.contains("pin it"), "{reason}");
    assert_eq!(a.cost_inside(4).await, Some(inside(4)));
    assert_eq!(a.own_answers().await, before);

    let pin = format!("[domain.isp-d]\nkeys = [\"{}\"]\n", honest.public());
    a.join_under(&pin, joins());
    a.until_domain(3, 4, PeerState::Failed, "key").await;
    a.until_domain(2, 4, PeerState::Synced, "").await;
    assert_eq!(a.cost_inside(4).await, Some(inside(4)));
}

#[tokio::test]
async fn a_key_that_the_domain_showed_itself_beats_one_that_a_relay_vouches_for() {
    let (honest, rogue_key, squatted) = (key(), key(), key());
    let origin = Rogue::start(4, &honest).await;
    let rogue = Rogue::start(3, &rogue_key).await;
    origin.passes(&[Says::sound(4).signed(&honest)]);
    let lie = Says::with_costs(4, r#"{"core":{"edge":0.5}}"#).later();
    let lie = lie.signed(&squatted).through(&[3]);
    rogue.passes(&[Says::sound(3).signed(&rogue_key), lie]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    // The relay comes first; what it vouches for is not remembered as shown by the domain.
    a.join([Join::to(3, &rogue.url)]);
    a.until_cost(4, Some(0.5)).await;
    a.join([Join::to(3, &rogue.url), Join::to(4, &origin.url)]);
    a.until_state(4, PeerState::Synced, "").await;
    a.until_domain(3, 4, PeerState::Failed, "key").await;
    a.until_cost(4, Some(inside(4))).await;
}

/// `isp-d` comes by two relays: `isp-b` passes the truth, read every ten minutes, and `isp-c`
/// passes a lie that it signed itself.
struct Squatted {
    a: Member,
    relay: Rogue,
    rogue: Rogue,
    truth: Signed,
    /// What else the rogue passes, and the lie.
    own: Signed,
    lie: Signed,
}

impl Squatted {
    /// Joins one after the other, so that what the second one passes is held.
    async fn start(lie_first: bool) -> Self {
        let (relay_key, rogue_key, honest, squatted) = (key(), key(), key(), key());
        let lie = Says::with_costs(4, r#"{"core":{"edge":0.5}}"#).later();
        let mut it = Self {
            a: Member::start(1).await,
            relay: Rogue::start(2, &relay_key).await,
            rogue: Rogue::start(3, &rogue_key).await,
            truth: Says::sound(4).signed(&honest),
            own: Says::sound(3).signed(&rogue_key),
            lie: lie.signed(&squatted).through(&[3]),
        };
        let truth = it.truth.clone().through(&[2]);
        it.relay.passes(&[Says::sound(2).signed(&relay_key), truth]);
        it.rogue.passes(&[it.own.clone(), it.lie.clone()]);
        it.a.states(&[]).await;
        let [first, second] = if lie_first { [3, 2] } else { [2, 3] };
        it.join(&[first]);
        it.a.until_domain(first, 4, PeerState::Synced, "").await;
        it.join(&[first, second]);
        it.a.until_domain(second, 4, PeerState::Held, "held").await;
        it
    }

    fn join(&mut self, peers: &[u8]) {
        let seldom = Join {
            more: "refresh.interval = \"10m\"\n",
            ..Join::to(2, &self.relay.url)
        };
        let joins = [seldom, Join::to(3, &self.rogue.url)];
        let mut joins = Vec::from(joins);
        joins.retain(|join| peers.contains(&join.peer));
        self.a.join(joins);
    }

    /// Waits until what the honest relay passes is used.
    async fn until_true(&self) {
        self.a.until_domain(2, 4, PeerState::Synced, "").await;
        self.a.until_cost(4, Some(inside(4))).await;
    }
}

#[tokio::test]
async fn a_lie_holds_a_domain_no_longer_than_a_relay_passes_it() {
    for lie_first in [true, false] {
        let it = Squatted::start(lie_first).await;
        it.rogue.passes(std::slice::from_ref(&it.own));
        it.until_true().await;
        // When it is told again, it is held and does no harm.
        it.rogue.passes(&[it.own.clone(), it.lie.clone()]);
        it.a.until_domain(3, 4, PeerState::Held, "held").await;
        assert_eq!(it.a.cost_inside(4).await, Some(inside(4)));
    }
}

#[tokio::test]
async fn a_relay_that_comes_to_pass_the_truth_holds_a_domain_no_more() {
    let it = Squatted::start(true).await;
    it.rogue
        .passes(&[it.own.clone(), it.truth.clone().through(&[3])]);
    it.until_true().await;
    it.a.until_domain(3, 4, PeerState::Synced, "").await;
}

#[tokio::test]
async fn a_relay_that_is_no_peer_any_more_holds_no_domain() {
    let mut it = Squatted::start(true).await;
    it.join(&[2]);
    it.until_true().await;
}

#[tokio::test]
async fn what_a_plain_domain_says_itself_counts_before_what_a_relay_signed_for_it() {
    let (rogue_key, squatted) = (key(), key());
    let rogue = Rogue::start(3, &rogue_key).await;
    let lie = Says::with_costs(4, r#"{"core":{"edge":0.5}}"#).later();
    let lie = lie.signed(&squatted).through(&[3]);
    rogue.passes(&[Says::sound(3).signed(&rogue_key), lie]);
    let (mut a, mut d) = (Member::start(1).await, Member::start(4).await);
    a.states(&[]).await;
    d.states(&[]).await;
    d.join([Join::to(1, &a.url)]);
    a.join([Join::to(3, &rogue.url)]);
    a.until_cost(4, Some(0.5)).await;
    let base = format!("{}/views/isp-d", d.url);
    let plain = Join {
        more: "refresh.interval = \"100ms\"\nprotocol = \"alto\"\n",
        ..Join::to(4, &base)
    };
    a.join([Join::to(3, &rogue.url), plain]);
    a.until_cost(4, Some(inside(4))).await;
    a.until_state(4, PeerState::Synced, "").await;
    a.stop().await;
    a.start_again().await;
    assert_eq!(a.cost_inside(4).await, Some(inside(4)));
}

#[tokio::test]
async fn two_contents_of_one_serial_are_reported_though_the_direct_copy_counts() {
    let (relay_key, honest) = (key(), key());
    let relay = Rogue::start(2, &relay_key).await;
    let origin = Rogue::start(4, &honest).await;
    let said = Says::sound(4);
    let other = Says {
        serial: said.serial,
        ..Says::with_costs(4, r#"{"core":{"edge":0.5}}"#)
    };
    origin.passes(&[said.signed(&honest)]);
    let other = other.signed(&honest).through(&[2]);
    relay.passes(&[Says::sound(2).signed(&relay_key), other]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    a.join([Join::to(4, &origin.url)]);
    a.until_cost(4, Some(inside(4))).await;
    a.join([Join::to(4, &origin.url), Join::to(2, &relay.url)]);
    a.until_domain(2, 4, PeerState::Failed, "equivocation")
        .await;
    assert_eq!(a.cost_inside(4).await, Some(inside(4)));
}

#[tokio::test]
async fn one_byte_of_a_relayed_document_altered_is_seen() {
    let proxy = Proxy::start().await;
    let mut a = Member::start(1).await;
    let mut b = Member::behind(2, &proxy).await;
    let key = key();
    let origin = Rogue::start(4, &key).await;
    origin.passes(&[Says::sound(4).signed(&key)]);
    a.states(&[]).await;
    b.states(&[]).await;
    let before = a.own_answers().await;
    b.join([Join::to(1, &a.url), Join::to(4, &origin.url)]);
    a.join([Join::to(2, &proxy.url)]);
    a.until_cost(4, Some(inside(4))).await;
    a.until_cost(2, Some(inside(2))).await;
    proxy.set(Deed::Alter("blobs/", |body| {
        let digit = body.iter().rposition(|byte| byte.is_ascii_digit());
        body[digit.expect("a digit")] ^= 1;
    }));
    let newer = Says::with_costs(4, r#"{"core":{"edge":0.5}}"#).later();
    origin.passes(&[newer.signed(&key)]);
    b.until_cost(4, Some(0.5)).await;
    a.until_domain(2, 4, PeerState::Failed, "digest").await;
    assert_eq!(a.cost_inside(4).await, Some(inside(4)));
    assert_eq!(a.own_answers().await, before);
    proxy.set(Deed::Pass);
    a.nudge();
    a.until_cost(4, Some(0.5)).await;
}

#[tokio::test]
async fn our_own_domain_sent_back_and_paths_that_cannot_be_are_refused_by_name() {
    let (relay_key, squatted) = (key(), key());
    let relay = Rogue::start(2, &relay_key).await;
    let own = || Says::sound(2).signed(&relay_key);
    let lie = |number| Says::with_costs(number, r#"{"core":{"edge":0.5}}"#).signed(&squatted);
    relay.passes(&[
        own(),
        // Ours; one that came through us; one without the sender; one that is too long.
        lie(1).through(&[2]),
        lie(3).through(&[1, 2]),
        lie(4).through(&[5]),
        lie(6).through(&[7, 8, 9, 10, 11, 12, 13, 2]),
        lie(7).through(&[8, 8, 2]),
    ]);
    let a = beside(&relay).await;
    let before = a.own_answers().await;
    for (number, code) in [
        (1, "loop"),
        (3, "loop"),
        (4, "path"),
        (6, "path"),
        (7, "path"),
    ] {
        a.until_domain(2, number, PeerState::Failed, code).await;
        let has = a.has(number).await;
        assert_eq!(has, number == 1, "{}", label(number));
    }
    let metrics = a.get("/metrics").await;
    for reason in ["loop", "path"] {
        let sample = format!("altofed_import_rejected_total{{reason=\"{reason}\"}} ");
        let count = metrics
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(&sample));
        let count: u64 = count.expect("a sample").parse().expect("a count");
        assert!(count >= 2, "{sample}{count}");
    }
    a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn who_answered_with_signatures_once_is_not_read_without_them() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[Says::sound(2).signed(&key)]);
    let a = Member::with(1, Clock::system(), "").await;
    a.states(&[]).await;
    let mut a = a;
    a.join([Join::to(2, &rogue.url)]);
    a.until_cost(2, Some(inside(2))).await;
    rogue.answers(
        "/.well-known/alto-federation",
        crate::peer::server::answer("404 Not Found", &[], b""),
    );
    a.until_state(2, PeerState::Failed, "key").await;
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));
}
