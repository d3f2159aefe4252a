//! What changes all the time is taken ever more seldom, and so told on.

use std::time::Duration;

use altofed::api::s2s::PeerState;
use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::member::{Join, Member, SELDOM};
use super::rogue::{Rogue, Says, key};
use crate::metro::COST_MAP;
use crate::peer::server::{Reply, head};
use crate::peer::soon;
use crate::support::OPS;
use crate::support::events::{CONTROL, UPDATES};

/// A peer pushes as many changes as are taken: the first is taken at once, the next
/// after waits that double up to a minute, and a client that follows the domain is
/// sent that many.
#[tokio::test]
async fn a_peer_that_pushes_changes_without_end_is_heard_ten_times_in_two_minutes() {
    const PUSHED: u32 = 40;
    const WAITS: [u64; 9] = [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000];
    let own = key();
    let (clock, hand) = Clock::manual(Timestamp::now());
    let rogue = Rogue::start(2, &own).await;
    rogue.pushes(2, &own);
    let mut says = Says::sound(2);
    let first = says.serial;
    rogue.passes(&[says.clone().signed(&own)]);
    let mut text = head("200 OK", &[("content-type", "text/event-stream")]);
    let mut push = |name: &str, data: &str| {
        text.extend(format!("event: {name}\ndata: {data}\n\n").bytes());
    };
    push(
        CONTROL,
        &json!({"control-uri": null, "started": ["d", "0", "0-0", "0-1"]}).to_string(),
    );
    for number in 1..=PUSHED {
        says = says.later();
        says.cost_map = json!({"core": {"edge": number}}).to_string();
        let signed = says.signed(&own);
        let (_, costs) = signed.bodies.last().expect("two maps");
        let costs = std::str::from_utf8(costs).expect("text");
        push(&format!("{COST_MAP},0-1"), costs);
        let entry = serde_json::to_string(&signed.entry).expect("JSON");
        push("application/json,0", &entry);
    }
    rogue.answers("/s2s/v1/updates", Reply::hangs(text));

    let more = "[http]\nidle_timeout = \"100h\"\n";
    let mut a = Member::with(1, clock, more).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    a.join([Join {
        more: SELDOM,
        ..Join::to(2, &rogue.url)
    }]);
    a.until_cost(2, Some(1.0)).await;
    let costs = json!({"resource-id": "isp-b:costmap-routingcost", "incremental-changes": false});
    let params = json!({"add": {"c": costs}});
    let request = a.request(Method::POST, "/views/isp-b/updates").token(OPS);
    let mut client = request.typed(UPDATES, params.to_string()).open().await;
    let mut cost = async || {
        let event = client.next_of("c").await;
        event.json()["cost-map"]["core"]["edge"].as_f64()
    };
    assert_eq!(cost().await, Some(1.0));
    for (wait, number) in WAITS.into_iter().zip(2_u32..) {
        soon(hand.sleeper(Duration::from_millis(wait))).await;
        assert_eq!(a.cost_inside(2).await, Some(f64::from(number - 1)));
        hand.advance(Duration::from_millis(wait));
        // The next event: nothing was sent in between.
        assert_eq!(cost().await, Some(f64::from(number)));
    }
    soon(hand.sleeper(Duration::from_secs(60))).await;
    let taken = a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(taken.domains[0].serial, Some(first + 10), "of forty");
    assert_eq!(a.own_answers().await, before);
}
