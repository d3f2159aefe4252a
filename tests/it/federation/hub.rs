//! A node in the middle of a star: the cost of a change is that of sending it, however many
//! neighbours there are and however many domains each of them follows.

use std::ops::RangeInclusive;

use altofed::federation::SigningKey;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::links::label;
use super::member::{Join, Member};
use super::rogue::{Rogue, Says, Signed, key};
use crate::support::events::{Events, UPDATES};
use crate::support::metric;

/// The domain that relays the others to the hub.
const RELAY: u8 = 2;

/// The domains that it relays.
const RELAYED: RangeInclusive<u8> = 3..=22;

fn neighbour(number: usize) -> String {
    format!("n{number:03}")
}

fn secret(number: usize) -> String {
    format!("neighbour-secret-{number:03}")
}

/// Neighbours that get everything, and that cannot be read.
fn neighbours(count: usize) -> String {
    let section = |number| {
        let (peer, secret) = (neighbour(number), secret(number));
        format!(
            "[[token]]\nname = \"from-{peer}\"\nsecret = {secret:?}\nscopes = [\"peer\"]\n\
             peer = {peer:?}\n\
             [[peer]]\ndomain = {peer:?}\ndirectory = \"http://127.0.0.1:9/directory\"\n\
             allow_private_addresses = true\nexport.domains = [\"*\"]\n"
        )
    };
    (0..count).map(section).collect()
}

/// A hub and the streams of its neighbours, each with three documents of each domain.
struct Star {
    hub: Member,
    relay: Rogue,
    key: SigningKey,
    /// The domains that the relay passes, its own first.
    relayed: Vec<Signed>,
    streams: Vec<Events>,
}

impl Star {
    async fn of(count: usize) -> Self {
        let key = key();
        let relay = Rogue::start(RELAY, &key).await;
        let others = RELAYED.map(|number| Says::sound(number).signed(&key).through(&[RELAY]));
        let own = Says::sound(RELAY).signed(&key);
        let relayed: Vec<Signed> = std::iter::once(own).chain(others).collect();
        relay.passes(&relayed);
        let mut hub = Member::start(1).await;
        hub.states(&[]).await;
        hub.until_signed().await;
        hub.join_under(&neighbours(count), [Join::to(RELAY, &relay.url)]);
        let domains = || [1, RELAY].into_iter().chain(RELAYED);
        for number in domains() {
            while !hub.has(number).await {}
        }
        let mut add = serde_json::Map::new();
        for domain in domains().map(label) {
            for path in ["networkmap", "costmap-routingcost", "manifest"] {
                let id = format!("{domain}:{path}");
                let update = json!({"resource-id": id, "incremental-changes": true});
                add.insert(id, update);
            }
        }
        add.insert("domains".to_owned(), json!({"resource-id": "domains"}));
        let body = json!({ "add": add }).to_string();
        let open = (0..count).map(|number| {
            let request = hub.request(Method::POST, "/s2s/v1/updates");
            let request = request.token(&secret(number));
            request.typed(UPDATES, body.clone()).open()
        });
        let mut streams = join_all(open).await;
        for stream in &mut streams {
            stream.until(|documents| documents.len() == add.len()).await;
        }
        Self {
            hub,
            relay,
            key,
            relayed,
            streams,
        }
    }

    async fn counted(&self, name: &str) -> f64 {
        metric(self.hub.get("/metrics").await.text(), name)
    }

    /// Returns how many substreams were looked at so far.
    async fn looks(&self) -> f64 {
        self.counted("altofed_federation_update_looks_total").await
    }

    /// Reads every stream until it has a new manifest of a domain.
    async fn told_of(&mut self, domain: u8) {
        let substream = format!("{}:manifest", label(domain));
        for stream in &mut self.streams {
            stream.next_of(&substream).await;
        }
    }
}

#[tokio::test]
async fn a_change_costs_each_neighbour_the_same_however_many_there_are() {
    // The costs, their manifest, and one look after each that finds nothing more.
    const EACH: f64 = 4.0;
    for count in [4, 24] {
        let mut star = Star::of(count).await;
        let most = EACH * count as f64;
        let before = star.looks().await;
        star.hub.costs(0.5).await;
        star.told_of(1).await;
        let looks = star.looks().await - before;
        assert!(looks <= most, "{looks} for {count} neighbours");

        let before = star.looks().await;
        let newer = Says::with_costs(RELAY, r#"{"core":{"edge":0.5}}"#).later();
        star.relayed[0] = newer.signed(&star.key);
        star.relay.passes(&star.relayed);
        star.told_of(RELAY).await;
        let looks = star.looks().await - before;
        assert!(looks <= most, "{looks} for {count} neighbours");
        // Nobody is near a budget: the sums that are kept suffice, and no single charge is
        // looked at.
        let seen = star.counted("altofed_federation_charges_seen_total").await;
        assert_eq!(seen, 0.0, "for {count} neighbours");
    }
}
