//! Statements that are always refused are not read again and again, neither between honest nodes
//! one of which is misconfigured, nor from a peer that wants to be read.

use std::collections::BTreeMap;
use std::time::Duration;

use altofed::api::s2s::PeerState;
use altofed::runtime::{Clock, ManualClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::flapping::Script;
use super::links::{inside, label, network_map};
use super::member::{Join, Member, SELDOM};
use super::rogue::{Rogue, Says, blob, key};
use super::site::{Site, glance};
use crate::peer::server::{Reply, head, ok};
use crate::peer::soon;
use crate::support::events::CONTROL;
use crate::support::{OPS, command};

/// Returns the sum of a metric's samples whose line has these words.
async fn metric(site: &Site, name: &str, words: &str) -> f64 {
    let metrics = site.get("/metrics").await;
    let lines = metrics.text().lines();
    let samples = lines.filter(|line| line.starts_with(name) && line.contains(words));
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    samples.filter_map(value).sum()
}

/// Returns how often a node was asked for its manifests.
async fn readings(site: &Site) -> f64 {
    metric(site, "altofed_http_requests_total", "manifests").await
}

/// Returns how often a node refused something for this reason.
async fn refusals(site: &Site, reason: &str) -> f64 {
    metric(site, "altofed_import_rejected_total", reason).await
}

/// Waits until it did so more often than this.
async fn until_refused(site: &Site, reason: &str, before: f64) {
    soon(async {
        while refusals(site, reason).await == before {
            glance().await;
        }
    })
    .await;
}

/// Waits until one peer has a stream open at a node.
async fn until_followed(site: &Site) {
    soon(async {
        while metric(site, "altofed_federation_update_streams", "").await != 1.0 {
            glance().await;
        }
    })
    .await;
}

/// `isp-a`, whose clock stands still, and `isp-b`, which it reads rarely and follows.
struct Pair {
    a: Member,
    hand: ManualClock,
    b: Member,
}

impl Pair {
    /// Starts both, with the clock of `isp-a` this far behind.
    async fn start(behind: SignedDuration) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::now() - behind);
        let a = Member::with(1, clock, "[http]\nidle_timeout = \"100h\"\n").await;
        let mut b = Member::start(2).await;
        for member in [&a, &b] {
            member.states(&[]).await;
        }
        b.until_signed().await;
        b.join([Join::to(1, &a.url)]);
        Self { a, hand, b }
    }

    /// Makes `isp-a` read `isp-b`, with these further keys and sections of policy.
    fn reads(&mut self, policy: &str, more: &str) {
        let more = format!("{SELDOM}{more}");
        let join = Join {
            more: &more,
            ..Join::to(2, &self.b.url)
        };
        self.a.join_under(policy, [join]);
    }

    /// Refuses whatever `isp-b` passes of a domain, for this reason, and checks that it is not
    /// read again although it keeps being announced.
    async fn refuses(&mut self, says: &Site, domain: u8, code: &str) {
        self.a
            .until_domain(2, domain, PeerState::Failed, code)
            .await;
        until_followed(&self.b).await;
        let read = readings(&self.b).await;
        assert!(read >= 1.0);
        for cost in [20.0, 21.0] {
            let before = refusals(&self.a, code).await;
            // It is calm, so that a push is taken at once.
            self.hand.advance(Duration::from_secs(1));
            says.costs(cost).await;
            until_refused(&self.a, code, before).await;
        }
        assert_eq!(readings(&self.b).await, read, "it was read again");
        assert_eq!(self.a.cost_inside(domain).await, None);
    }
}

#[tokio::test]
async fn a_peer_whose_key_is_pinned_wrongly_is_heard_and_not_read_again_until_the_pin_is_mended() {
    let mut pair = Pair::start(SignedDuration::ZERO).await;
    let pin = format!("[domain.isp-b]\nkeys = [\"{}\"]\n", key().public());
    pair.reads(&pin, "");
    let said = Site::new(2, pair.b.url.clone());
    pair.refuses(&said, 2, "key").await;
    pair.a.until_state(2, PeerState::Failed, "key").await;
    pair.reads("", "");
    pair.a.until_cost(2, Some(21.0)).await;
}

#[tokio::test]
async fn a_domain_over_a_limit_is_not_read_again_until_the_limit_is_another() {
    let mut pair = Pair::start(SignedDuration::ZERO).await;
    pair.reads("", "import.max_prefixes = 2\n");
    let said = Site::new(2, pair.b.url.clone());
    pair.refuses(&said, 2, "limit").await;
    pair.reads("", "import.max_prefixes = 5\n");
    pair.a.until_cost(2, Some(21.0)).await;
}

#[tokio::test]
async fn what_is_signed_ahead_is_taken_when_the_clock_has_come_so_far() {
    let mut pair = Pair::start(SignedDuration::from_hours(3)).await;
    pair.reads("", "");
    let said = Site::new(2, pair.b.url.clone());
    pair.refuses(&said, 2, "clock").await;
    // Up to an hour before, a reading changes nothing.
    let before = refusals(&pair.a, "clock").await;
    pair.a.retry(2).await;
    assert_eq!(pair.a.cost_inside(2).await, None);
    assert!(refusals(&pair.a, "clock").await > before);
    pair.hand.advance(Duration::from_secs(70 * 60));
    pair.a.retry(2).await;
    assert_eq!(pair.a.cost_inside(2).await, Some(21.0));
}

/// Starts a pair whose second node passes the domain of a third, and returns that one.
async fn relayed() -> (Pair, Member) {
    let mut pair = Pair::start(SignedDuration::ZERO).await;
    let mut c = Member::start(3).await;
    c.states(&[]).await;
    c.until_signed().await;
    let silent = format!("{SELDOM}refresh.push = false\n");
    c.join([Join {
        more: &silent,
        ..Join::to(2, &pair.b.url)
    }]);
    let joins = [Join::to(1, &pair.a.url), Join::to(3, &c.url)];
    pair.b.join(joins);
    pair.b.until_cost(3, Some(inside(3))).await;
    c.nudge();
    c.until_state(2, PeerState::Synced, "").await;
    (pair, c)
}

/// A healthy relay passes a domain that is not accepted: the relay is still followed.
#[tokio::test]
async fn one_domain_that_is_refused_does_not_have_its_healthy_relay_read_again() {
    let (mut pair, c) = relayed().await;
    pair.reads("", "import.max_path = 1\n");
    pair.refuses(&c, 3, "path").await;
    pair.a.until_state(2, PeerState::Synced, "").await;
    let before = readings(&pair.b).await;
    pair.b.costs(7.0).await;
    pair.a.until_cost(2, Some(7.0)).await;
    assert_eq!(readings(&pair.b).await, before);
    pair.reads("", "");
    pair.a.until_cost(3, Some(21.0)).await;
}

/// The relay passes a domain of which we have a version, and later versions are refused: each
/// change comes as a patch to what was refused before, and the stream goes on.
#[tokio::test]
async fn a_domain_that_comes_to_be_refused_does_not_end_the_stream_of_its_healthy_relay() {
    let (mut pair, c) = relayed().await;
    pair.reads("", "import.max_prefixes = 5\n");
    pair.a.until_cost(3, Some(inside(3))).await;
    until_followed(&pair.b).await;
    let before = readings(&pair.b).await;
    for more in 6..9_u8 {
        let refused = refusals(&pair.a, "limit").await;
        pair.hand.advance(Duration::from_secs(1));
        let prefixes: Vec<String> = (0..more).map(|n| format!("10.3.{n}.0/24")).collect();
        let map = json!({"network-map": {
            "core": {"ipv4": prefixes}, "edge": {"ipv4": ["10.3.128.0/17"]},
        }});
        c.put("network-map", &map).await;
        until_refused(&pair.a, "limit", refused).await;
    }
    pair.b.costs(7.0).await;
    pair.a.until_cost(2, Some(7.0)).await;
    assert_eq!(
        pair.a.cost_inside(3).await,
        Some(inside(3)),
        "the last good"
    );
    // Before a stream is opened the peer is read, so the stream went on.
    assert_eq!(readings(&pair.b).await, before);
    pair.a.until_state(2, PeerState::Synced, "").await;
    // When it is small again, it is accepted and its maps are followed again.
    pair.hand.advance(Duration::from_secs(10));
    c.put("network-map", &network_map(3)).await;
    c.costs(9.0).await;
    pair.a.until_cost(3, Some(9.0)).await;
}

/// A version that is over a budget is reported once, not at each reading.
#[tokio::test]
async fn a_domain_over_a_budget_is_not_asked_for_again_and_again() {
    let mut pair = Pair::start(SignedDuration::ZERO).await;
    pair.reads("", "import.max_memory = 1000\n");
    pair.a.until_domain(2, 2, PeerState::Failed, "limit").await;
    until_followed(&pair.b).await;
    let before = readings(&pair.b).await;
    // Short enough that a silent stream does not count as broken.
    for _ in 0..30 {
        pair.hand.advance(Duration::from_secs(1));
        glance().await;
    }
    assert_eq!(readings(&pair.b).await, before);
    // The stream is read: another version is checked.
    let refused = refusals(&pair.a, "limit").await;
    pair.b.costs(20.0).await;
    until_refused(&pair.a, "limit", refused).await;
}

/// Known content is not a flood, however much of it comes, nor is refused content: each manifest
/// accounts for the maps before it.
#[tokio::test]
async fn a_stream_that_brings_what_is_refused_or_had_for_long_is_no_flood() {
    let keys = [key(), key()];
    let rogue = Rogue::start(2, &keys[0]).await;
    rogue.pushes(2, &keys[0]);
    // Costs of nine thousand bytes.
    let row: BTreeMap<String, u32> = (0..30).map(|pid| (format!("p{pid:02}"), 1)).collect();
    let costs = |cost: u32| {
        let mut costs: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for pid in row.keys() {
            costs.insert(pid.clone(), row.clone());
        }
        costs.insert(
            "core".to_owned(),
            BTreeMap::from([("edge".to_owned(), cost)]),
        );
        json!(costs).to_string()
    };
    let says = |number: u8, serial: u64, cost: u32| {
        let mut map = network_map(number)["network-map"].take();
        for pid in row.keys() {
            map[pid] = json!({});
        }
        let mut says = Says::sound(number);
        says.serial += serial;
        says.network_map = map.to_string();
        says.cost_map = costs(cost);
        says
    };
    let own = |serial, cost| says(2, serial, cost).signed(&keys[0]);
    let relayed = |serial, cost, by: &[u8]| says(3, serial, cost).signed(&keys[1]).through(by);
    let (had, first) = (own(0, 1), relayed(0, 1, &[2]));
    rogue.passes(&[had.clone(), first]);
    let mut script = Script::new();
    for serial in 1..=4 {
        // Refused because of its path.
        let refused = relayed(serial.into(), 1 + serial, &[4, 2]);
        script.costs(1, &refused);
        script.manifest(1, &refused);
        script.costs(0, &had);
        script.manifest(0, &had);
    }
    let last = own(1, 5);
    script.costs(0, &last);
    script.manifest(0, &last);
    rogue.answers("/s2s/v1/updates", script.reply());
    let (clock, hand) = Clock::manual(Timestamp::now());
    let mut a = Member::with(1, clock, "[http]\nidle_timeout = \"100h\"\n").await;
    let more = format!("{SELDOM}import.max_path = 2\nimport.max_pending = 10000\n");
    a.join([Join {
        more: &more,
        ..Join::to(2, &rogue.url)
    }]);
    a.until_cost(3, Some(1.0)).await;
    soon(async {
        while a.cost_inside(2).await != Some(5.0) {
            hand.advance(Duration::from_millis(250));
            glance().await;
        }
    })
    .await;
    a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(refusals(&a, "path").await, 4.0);
    let asked = rogue.server.asked();
    let posts = asked.iter().filter(|got| got.line.starts_with("POST"));
    assert_eq!(posts.count(), 1);
}

#[tokio::test]
async fn an_operator_has_a_peer_read_now() {
    let mut pair = Pair::start(SignedDuration::ZERO).await;
    pair.reads("", "import.max_prefixes = 2\n");
    pair.a.until_state(2, PeerState::Failed, "limit").await;
    let (asked, refused) = (readings(&pair.b).await, refusals(&pair.a, "limit").await);
    let url = pair.a.url.clone();
    let told = tokio::task::spawn_blocking(move || {
        let words = ["peer", "isp-b", "--retry", "--url", &url];
        let mut command = command(words);
        command.args(["--token-env", "ALTOFED_OPS"]);
        command.env("ALTOFED_OPS", OPS).output().expect("it runs")
    });
    let told = told.await.expect("no panic");
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{told:?}");
    assert!(
        said.contains("is read now") && said.contains("(limit)"),
        "{said}"
    );
    // When the program ends, the peer has been read, and the same was checked again.
    assert!(readings(&pair.b).await > asked);
    assert!(refusals(&pair.a, "limit").await > refused);

    let path = "/s2s/v1/peers/isp-b/retry";
    let anybody = pair.a.request(reqwest::Method::POST, path).send().await;
    assert_eq!(anybody.status, 401);
    let unknown = pair
        .a
        .request(reqwest::Method::POST, "/s2s/v1/peers/isp-x/retry");
    unknown.token(OPS).send().await.problem(404, &[]);
}

#[tokio::test]
async fn a_peer_that_cannot_be_read_is_not_synced() {
    let (clock, hand) = Clock::manual(Timestamp::now());
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[Says::sound(2).signed(&key)]);
    let mut a = Member::with(1, clock, "").await;
    a.states(&[]).await;
    a.join([Join {
        more: "refresh.interval = \"1m\"\n",
        ..Join::to(2, &rogue.url)
    }]);
    a.until_state(2, PeerState::Synced, "").await;
    rogue.answers(
        "/s2s/v1/manifests",
        Reply::Whole(head("502 Bad Gateway", &[])),
    );
    hand.advance(Duration::from_secs(60));
    a.until_state(2, PeerState::Failed, "status").await;
    a.until_domain(2, 2, PeerState::Failed, "").await;
    assert_eq!(a.cost_inside(2).await, Some(inside(2)), "the last good");
}

/// The events of a stream, which then hangs.
fn stream(events: &[(&str, String)]) -> Reply {
    Reply::hangs(events_of(events))
}

fn events_of(events: &[(&str, String)]) -> Vec<u8> {
    let mut text = head("200 OK", &[("content-type", "text/event-stream")]);
    for (name, data) in events {
        text.extend(format!("event: {name}\ndata: {data}\n\n").bytes());
    }
    text
}

/// Whatever a peer's stream asks readings for, they become rarer: after the first one a second
/// passes, then two, then four, and so on.
#[tokio::test]
async fn a_peer_that_has_itself_read_again_and_again_is_read_ever_more_seldom() {
    let own = key();
    let sound = Says::sound(2);
    // A manifest that names another map than it sends.
    let mut lie = sound.clone().later();
    lie.more
        .push(("hopcount", r#"{"core":{"edge":9}}"#.to_owned()));
    let lie = lie.signed(&own);
    let wrong = serde_json::to_string(&lie.entry).expect("JSON");
    let (map, body) = lie.bodies.last().expect("three");
    let control = || {
        (
            CONTROL,
            json!({"control-uri": null, "started": ["d"]}).to_string(),
        )
    };
    let unknown = (
        "application/json,d",
        json!({"domains": ["isp-b", "isp-z"]}).to_string(),
    );
    let stopped = (CONTROL, json!({"stopped": ["0"]}).to_string());
    let deeds = [
        ("unknown", stream(&[control(), unknown])),
        ("stopped", stream(&[control(), stopped])),
        (
            "digest",
            stream(&[control(), ("application/json,0", wrong)]),
        ),
        (
            "nonsense",
            stream(&[control(), ("application/json,d", "[".to_owned())]),
        ),
        ("closed", Reply::Whole(events_of(&[control()]))),
        ("refused", Reply::Whole(head("429 Too Many Requests", &[]))),
    ];
    for (name, deed) in deeds {
        let (clock, hand) = Clock::manual(Timestamp::now());
        let rogue = Rogue::start(2, &own).await;
        rogue.pushes(2, &own);
        rogue.passes(&[sound.clone().signed(&own)]);
        rogue.answers(&blob(map), ok(&map.media_type, vec![b' '; body.len()]));
        rogue.answers("/s2s/v1/updates", deed);
        let more = "[http]\nidle_timeout = \"100h\"\n";
        let mut a = Member::with(1, clock.clone(), more).await;
        a.join([Join {
            more: SELDOM,
            ..Join::to(2, &rogue.url)
        }]);
        let mut waits = Vec::new();
        let mut last = None;
        while waits.len() < 7 {
            let peer = a.peers().await.peers.remove(0);
            let wait = |at: Timestamp| at.duration_since(clock.wall()).as_secs_f64();
            let next = peer
                .next_attempt
                .filter(|at| Some(*at) != last && wait(*at) < 3_600.0);
            match next {
                Some(at) => {
                    last = next;
                    waits.push(wait(at));
                    hand.advance(Duration::from_secs_f64(wait(at).max(0.0)));
                }
                // A push right after another one waits a little.
                None => {
                    hand.advance(Duration::from_millis(10));
                    glance().await;
                }
            }
        }
        let doubled = waits.windows(2).skip(2);
        assert!(
            doubled.into_iter().all(|w| w[1] > 1.5 * w[0]),
            "{name}: {waits:?}"
        );
        let asked = rogue.server.asked();
        let posts = asked.iter().filter(|got| got.line.starts_with("POST"));
        assert!(posts.count() <= waits.len() + 2, "{name}");
        assert!(a.has(2).await, "{name}: {}", label(2));
        if name == "digest" {
            a.until_state(2, PeerState::Failed, "digest").await;
        }
    }
}
