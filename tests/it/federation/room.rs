//! The maps of a peer and a small disk.

use std::slice::from_ref;

use altofed::api::s2s::PeerState;
use serde_json::json;

use super::links::inside;
use super::member::Join;
use super::memory::serve;
use super::rogue::{Rogue, Says, key};
use crate::support::{Disk, OPS, Request, metric, plain_client};
use reqwest::Method;

/// How many bytes one of the peer's maps has.
const LARGE: usize = 6 << 20;

/// Each manifest of the peer names another large map. Maps that leave room for our own facts are
/// kept; the first that does not is refused before it is fetched, and the last good version
/// stays.
#[tokio::test]
async fn maps_of_a_peer_leave_room_for_our_own_facts() {
    let Some(disk) = Disk::new(64) else { return };
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let policy = "[store]\nmin_free = 16777216\n";
    let join = Join::to(2, &rogue.url).text(1) + policy;
    let (program, a) = serve(disk.path(), &join).await;
    a.states(&[]).await;
    let mut says = Says::sound(2);
    let mut taken = 0;
    let refused = loop {
        assert!(taken < 4, "a disk of 64 MiB has more of them than has room");
        let cost = inside(2) + f64::from(taken);
        // Its statements are far apart in time.
        says.cost_map = format!("{{{}\"core\":{{\"edge\":{cost}}}}}", " ".repeat(LARGE));
        says = says.later();
        let signed = says.signed(&key);
        rogue.passes(from_ref(&signed));
        let serial = says.serial;
        let peers = a
            .until(2, "the next map taken or refused", |peer| {
                let domain = super::site::domain_of(peer, 2);
                let is_taken = domain.is_some_and(|domain| domain.serial == Some(serial));
                let reason = domain.and_then(|domain| domain.reason.as_ref());
                is_taken || reason.is_some_and(|reason| reason.code == "room")
            })
            .await;
        let domain = super::site::domain_of(&peers, 2).expect("it is passed");
        if domain.reason.is_some() {
            break signed;
        }
        a.until_cost(2, Some(cost)).await;
        taken += 1;
    };
    assert!(taken >= 1);
    let last_good = inside(2) + f64::from(taken - 1);
    a.until_cost(2, Some(last_good)).await;
    a.until_domain(2, 2, PeerState::Failed, "room").await;
    let unwanted = super::rogue::blob(&refused.bodies[1].0);
    let asked = rogue.server.asked();
    assert!(
        asked.iter().all(|got| got.path() != unwanted),
        "it was fetched"
    );
    let metrics = Request::to(
        &plain_client(),
        Method::GET,
        &format!("{}/metrics", program.url),
    );
    let metrics = metrics.token(OPS).send().await;
    let free = metric(metrics.text(), "altofed_store_free_bytes");
    assert!(free >= f64::from(32 << 20), "{free}");
    let refused = "altofed_store_refused_for_room_total{kind=\"document\"}";
    assert!(metric(metrics.text(), refused) > 0.0);
    // Our own facts can still be written.
    a.put(
        "properties",
        &json!({"property-map": {"pid:core": {"priv:x": 1}}}),
    )
    .await;
}
