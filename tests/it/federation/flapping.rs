//! Changes that never stop are taken ever more rarely, and so passed on ever more rarely.

use std::time::Duration;

use altofed::api::s2s::PeerState;
use altofed::runtime::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::member::{Join, Member, SELDOM};
use super::rogue::{Rogue, Says, Signed, key};
use crate::metro::COST_MAP;
use crate::peer::server::{Reply, head};
use crate::peer::soon;
use crate::support::OPS;
use crate::support::events::{CONTROL, UPDATES};

/// An update stream that delivers these events and then nothing.
pub struct Script(Vec<u8>);

impl Script {
    /// Makes a stream that begins as any does.
    pub fn new() -> Self {
        let mut script = Self(head("200 OK", &[("content-type", "text/event-stream")]));
        let control = json!({"control-uri": null, "started": ["d"]}).to_string();
        script.push(CONTROL, &control);
        script
    }

    /// Delivers an event.
    pub fn push(&mut self, name: &str, data: &str) {
        let text = format!("event: {name}\ndata: {data}\n\n");
        self.0.extend(text.bytes());
    }

    /// Delivers the cost map of a domain, which has this place among those that are followed.
    pub fn costs(&mut self, place: usize, signed: &Signed) {
        let (_, costs) = signed.bodies.last().expect("two maps");
        let costs = std::str::from_utf8(costs).expect("text");
        self.push(&format!("{COST_MAP},{place}-1"), costs);
    }

    /// Delivers the manifest of the domain.
    pub fn manifest(&mut self, place: usize, signed: &Signed) {
        let entry = serde_json::to_string(&signed.entry).expect("JSON");
        self.push(&format!("application/json,{place}"), &entry);
    }

    /// Returns what the server does.
    pub fn reply(self) -> Reply {
        Reply::hangs(self.0)
    }
}

/// A peer that passes many domains changes each of them in turn, none often enough to be damped:
/// of all domains together, fifty changes are taken at once, then one a second.
#[tokio::test]
async fn a_peer_that_has_many_domains_change_in_turn_is_heard_once_a_second() {
    const OWN: u8 = 2;
    const LAST: u8 = 26;
    let keys: Vec<_> = (OWN..=LAST).map(|_| key()).collect();
    let signed = |number: u8, round: u8| {
        let mut says = Says::sound(number);
        says.serial += u64::from(round);
        says.cost_map = json!({"core": {"edge": round}}).to_string();
        let signed = says.signed(&keys[usize::from(number - OWN)]);
        match number {
            OWN => signed,
            _ => signed.through(&[OWN]),
        }
    };
    let rogue = Rogue::start(OWN, &keys[0]).await;
    rogue.pushes(OWN, &keys[0]);
    let first: Vec<Signed> = (OWN..=LAST).map(|number| signed(number, 1)).collect();
    rogue.passes(&first);
    let mut script = Script::new();
    for round in 2..=4 {
        for (place, number) in (OWN..=LAST).enumerate() {
            let signed = signed(number, round);
            script.costs(place, &signed);
            script.manifest(place, &signed);
        }
    }
    rogue.answers("/s2s/v1/updates", script.reply());
    let (clock, hand) = Clock::manual(Timestamp::now());
    let mut a = Member::with(1, clock, "[http]\nidle_timeout = \"100h\"\n").await;
    a.join([Join {
        more: SELDOM,
        ..Join::to(OWN, &rogue.url)
    }]);
    // Twenty-five changes, and as many again as soon as the first domain is calm.
    soon(hand.sleeper(Duration::from_millis(250))).await;
    a.until_cost(LAST, Some(2.0)).await;
    assert_eq!(a.cost_inside(OWN).await, Some(2.0));
    hand.advance(Duration::from_millis(250));
    // Not after the half second that the first one would have to wait now.
    soon(hand.sleeper(Duration::from_millis(750))).await;
    a.until_cost(LAST, Some(3.0)).await;
    hand.advance(Duration::from_millis(750));
    for number in OWN..OWN + 3 {
        soon(hand.sleeper(Duration::from_secs(1))).await;
        a.until_cost(number, Some(4.0)).await;
        assert_eq!(a.cost_inside(number + 1).await, Some(3.0));
        hand.advance(Duration::from_secs(1));
    }
}

/// A peer pushes as many changes as are taken: the first is taken at once, the next ones after
/// waits that double up to a minute, and a client that follows the domain is sent as many.
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
    let mut script = Script::new();
    for number in 1..=PUSHED {
        says = says.later();
        says.cost_map = json!({"core": {"edge": number}}).to_string();
        let signed = says.signed(&own);
        script.costs(0, &signed);
        script.manifest(0, &signed);
    }
    rogue.answers("/s2s/v1/updates", script.reply());

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
        // It is the next event: nothing was sent in between.
        assert_eq!(cost().await, Some(f64::from(number)));
    }
    soon(hand.sleeper(Duration::from_secs(60))).await;
    let taken = a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(taken.domains[0].serial, Some(first + 10), "of forty");
    assert_eq!(a.own_answers().await, before);
}
