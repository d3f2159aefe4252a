//! A domain that changes who may have it: whoever may no longer have it loses it, wherever it
//! came from.

use altofed::api::s2s::{PeerState, Scope};
use altofed::ident::DomainLabel;
use reqwest::Method;

use super::links::{Link, inside, label};
use super::member::{Join, Member, secret};
use super::rogue::{Rogue, Says, key};
use super::site::{PATIENCE, Site, glance};

/// Changes that arrive within a test were pushed.
const BY_STREAM: &str = "refresh.interval = \"10m\"\n";

const BY_READING: &str = "refresh.interval = \"100ms\"\nrefresh.push = false\n";

/// Waits until a node has nothing of a domain, in no view.
async fn until_gone(site: &Site, number: u8) {
    let begins = format!("{}:", label(number));
    let came = tokio::time::timeout(PATIENCE, async {
        loop {
            let merged = site.get("/views/merged/networkmap").await.json();
            let pids = merged["network-map"].as_object().expect("a map");
            if !site.has(number).await && !pids.keys().any(|pid| pid.starts_with(&begins)) {
                return;
            }
            glance().await;
        }
    });
    came.await.expect("it is gone");
}

/// States who may have `isp-c`.
fn scope(member: &mut Member, words: &str) {
    member.change(&format!("[federation]\nscope = {words}\n"));
}

/// Returns the status of the answer to a node's peer for a document of a domain.
async fn document(node: &Member, peer: u8, sha_256: &str) -> u16 {
    let path = format!("/s2s/v1/blobs/{sha_256}");
    let request = node.request(Method::GET, &path);
    let token = secret(node.number, peer);
    request.token(&token).send().await.status.as_u16()
}

/// `isp-a` reads `isp-b`, which reads `isp-c`; with `also`, `isp-a` reads `isp-c` too.
async fn narrows(more: &str, also: bool) {
    let links = [Link(1, 2), Link(2, 3)];
    let [mut a, mut b, mut c] = [
        Member::start(1).await,
        Member::start(2).await,
        Member::start(3).await,
    ];
    for member in [&a, &b, &c] {
        member.states(&links).await;
        member.until_signed().await;
    }
    let join = |peer, base| Join {
        more,
        ..Join::to(peer, base)
    };
    let urls = [&a, &b, &c].map(|member| member.url.clone());
    let direct = also.then(|| join(3, &urls[2]));
    a.join([join(2, &urls[1])].into_iter().chain(direct));
    b.join([join(1, &urls[0]), join(3, &urls[2])]);
    c.join([join(1, &urls[0]), join(2, &urls[1])]);
    for member in [&mut a, &mut b] {
        // The node that started first did not know the other yet.
        member.nudge();
    }
    a.until_cost(3, Some(inside(3))).await;
    b.until_cost(3, Some(inside(3))).await;
    let map = a.get("/views/isp-c/networkmap").await;
    let map = altofed::ident::Digest::of(&map.body).to_string();
    assert_eq!(document(&b, 1, &map).await, 200);

    // It is for the relay alone: a node that got it from the relay, or itself, loses it.
    scope(&mut c, "[\"isp-b\"]");
    until_gone(&a, 3).await;
    // The relay may learn of it after those that it passed it to.
    let refused = tokio::time::timeout(PATIENCE, async {
        while document(&b, 1, &map).await != 404 {
            glance().await;
        }
    });
    refused.await.expect("it passes nothing of it");
    assert!(b.has(3).await);
    c.costs(0.5).await;
    b.until_cost(3, Some(0.5)).await;
    assert!(!a.has(3).await);
    // Nor does it come back from the disk.
    a.stop().await;
    a.start_again().await;
    assert!(!a.has(3).await);

    // Now the relay may not have it either.
    scope(&mut c, "[\"isp-x\"]");
    until_gone(&b, 3).await;
    b.until_state(3, PeerState::Failed, "content").await;
    assert!(!a.has(3).await);

    // It is for all again.
    scope(&mut c, "\"any\"");
    b.until_cost(3, Some(0.5)).await;
    a.until_cost(3, Some(0.5)).await;
}

#[tokio::test]
async fn a_domain_that_narrows_its_scope_is_withdrawn_by_streams() {
    narrows(BY_STREAM, false).await;
}

#[tokio::test]
async fn a_domain_that_narrows_its_scope_is_withdrawn_by_reading() {
    narrows(BY_READING, false).await;
}

#[tokio::test]
async fn a_domain_that_narrows_its_scope_is_withdrawn_from_whom_it_is_a_peer_of() {
    narrows(BY_STREAM, true).await;
}

#[tokio::test]
async fn what_a_relay_passes_out_of_scope_withdraws_what_others_passed_before() {
    let (key, keys) = (key(), [key(), key()]);
    let relays = [
        Rogue::start(2, &keys[0]).await,
        Rogue::start(3, &keys[1]).await,
    ];
    let old = Says::sound(4);
    let only = |text: &str| Scope::Only([DomainLabel::new(text).expect("a label")].into());
    let newer = |scope| Says {
        scope,
        ..old.clone().later()
    };
    let passes = |relay: usize, says: &Says| {
        let number = [2, 3][relay];
        let own = Says::sound(number).signed(&keys[relay]);
        relays[relay].passes(&[own, says.signed(&key).through(&[number])]);
    };
    passes(0, &old);
    passes(1, &old);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    a.join([Join::to(2, &relays[0].url), Join::to(3, &relays[1].url)]);
    a.until_cost(4, Some(inside(4))).await;
    for relay in [2, 3] {
        a.until_domain(relay, 4, PeerState::Synced, "").await;
    }
    // A manifest that its domain did not sign withdraws nothing.
    let forged = newer(only("isp-x")).signed(&keys[1]).through(&[3]);
    relays[1].passes(&[Says::sound(3).signed(&keys[1]), forged]);
    a.until_domain(3, 4, PeerState::Failed, "key").await;
    assert!(a.has(4).await);
    passes(1, &newer(only("isp-x")));
    a.until_domain(3, 4, PeerState::Failed, "scope").await;
    a.until_domain(2, 4, PeerState::Failed, "old-serial").await;
    until_gone(&a, 4).await;
    passes(0, &newer(only("isp-a")).later());
    a.until_cost(4, Some(inside(4))).await;
}
