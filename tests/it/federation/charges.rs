//! Budgets: what one peer, and all together, may make us keep. Each is used up completely.

use std::fmt::Write;
use std::path::Path;

use altofed::api::s2s::{PeerState, PeerStatus};
use altofed::federation::SigningKey;
use reqwest::Method;
use serde_json::{Map, json};
use tempfile::TempDir;

use super::links::{inside, label, network_map};
use super::member::{Join, Member};
use super::memory::serve;
use super::rogue::{Rogue, Says, Signed, key};
use super::site::{Site, domain_of};
use crate::metro::{COST_MAP, DIRECTORY, NETWORK_MAP};
use crate::peer::server::{Reply, Server, head};
use crate::peer::soon;
use crate::support::{OPS, Request, metric, plain_client};

const MIB: u64 = 1024 * 1024;

/// How much a node may grow besides what the budgets are for.
const SLACK: u64 = 48 * MIB;

async fn measured(site: &Site, name: &str) -> f64 {
    let url = format!("{}/metrics", site.url);
    let metrics = Request::to(&plain_client(), Method::GET, &url).token(OPS);
    metric(metrics.send().await.text(), name)
}

/// The beginning of an update stream of the peer.
fn stream() -> Vec<u8> {
    let mut first = head("200 OK", &[("content-type", "text/event-stream")]);
    let control =
        "event: application/alto-updatestreamcontrol+json\ndata: {\"control-uri\":null}\n\n";
    first.extend_from_slice(control.as_bytes());
    first
}

/// An event of a cost map that no manifest names, of 128 KiB.
fn loose_map() -> Vec<u8> {
    let map = json!({"meta": {}, "cost-map": {"core": {"x".repeat(1 << 17): 1}}});
    format!("event: {COST_MAP},0-1\ndata: {map}\n\n").into_bytes()
}

#[tokio::test]
async fn a_stream_of_maps_without_a_manifest_is_ended_shown_counted_and_backed_off() {
    const PENDING: u64 = 1_000_000;
    /// How many bytes may be in sockets between the two.
    const ON_THE_WAY: u64 = 12 * MIB;
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[Says::sound(2).signed(&key)]);
    rogue.pushes(2, &key);
    rogue.answers("/s2s/v1/updates", Reply::Endless(stream(), loose_map()));
    let directory = TempDir::new().expect("a directory");
    let join = Join {
        more: "refresh.interval = \"100ms\"\nimport.max_pending = 1000000\n",
        ..Join::to(2, &rogue.url)
    };
    let (program, a) = serve(directory.path(), &join.text(1)).await;
    a.states(&[]).await;
    let own = a.own_answers().await;
    let before = program.peak_resident();
    let peer = a.until_state(2, PeerState::Failed, "limit").await;
    let detail = peer.reason.expect("a reason").detail;
    assert!(detail.contains("max_pending"), "{detail}");
    let (mut readings, mut streams) = (0, 0);
    let mut count = || {
        for got in rogue.server.asked() {
            readings += u64::from(got.path() == "/s2s/v1/manifests");
            streams += u64::from(got.path() == "/s2s/v1/updates");
        }
        (readings, streams)
    };
    // It is read as often as before, and its stream is opened ever more rarely.
    let (at_first, _) = count();
    let (_, streams) = soon(async {
        loop {
            let (readings, streams) = count();
            if readings >= at_first + 10 {
                break (readings, streams);
            }
            super::site::glance().await;
        }
    })
    .await;
    assert!((1..=6).contains(&streams), "{streams} streams");
    assert!(rogue.server.sent() <= streams * (PENDING + ON_THE_WAY));
    let counted = measured(&a, "altofed_import_rejected_total{reason=\"limit\"}").await;
    assert!(counted >= 1.0);
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));
    assert_eq!(a.own_answers().await, own);
    let grown = program.peak_resident() - before;
    assert!(grown < SLACK, "{} MB", grown / MIB);
    // A stream that behaves is followed again.
    rogue.answers("/s2s/v1/updates", Reply::hangs(stream()));
    a.until_state(2, PeerState::Synced, "").await;
}

/// Peers send events that never end, for as long as they are read: all of them together have one
/// budget, and others are followed within their own.
#[tokio::test]
async fn what_is_pending_of_all_peers_has_one_budget_and_an_honest_one_its_share() {
    const ROGUES: std::ops::RangeInclusive<u8> = 2..=5;
    const HONEST: u8 = 6;
    /// How many bytes of each are read and not kept.
    const READ: u64 = 24 * MIB;
    let keys: Vec<SigningKey> = (0..5).map(|_| key()).collect();
    let mut rogues = Vec::new();
    let mut text = "[federation]\nmax_pending = 16777216\n".to_owned();
    for (number, key) in ROGUES.zip(&keys) {
        let rogue = Rogue::start(number, key).await;
        rogue.passes(&[Says::sound(number).signed(key)]);
        rogue.pushes(number, key);
        let mut first = stream();
        first.extend_from_slice(format!("event: {COST_MAP},0-1\ndata: ").as_bytes());
        rogue.answers(
            "/s2s/v1/updates",
            Reply::Endless(first, vec![b'x'; 1 << 16]),
        );
        let join = Join {
            more: "refresh.interval = \"10m\"\nimport.max_bytes = 33554432\n",
            ..Join::to(number, &rogue.url)
        };
        text += &join.text(1);
        rogues.push(rogue);
    }
    let honest = Rogue::start(HONEST, &keys[4]).await;
    let mut says = Says::sound(HONEST);
    honest.passes(&[says.signed(&keys[4])]);
    text += &Join::to(HONEST, &honest.url).text(1);
    let directory = TempDir::new().expect("a directory");
    let (program, a) = serve(directory.path(), &text).await;
    a.states(&[]).await;
    let before = program.peak_resident();
    for (number, rogue) in ROGUES.zip(&rogues) {
        soon(async {
            while rogue.server.sent() < READ {
                super::site::glance().await;
            }
        })
        .await;
        assert_eq!(a.cost_inside(number).await, Some(inside(number)));
    }
    says = says.later();
    says.cost_map = json!({"core": {"edge": 9}}).to_string();
    honest.passes(&[says.signed(&keys[4])]);
    a.until_cost(HONEST, Some(9.0)).await;
    let grown = program.peak_resident() - before;
    assert!(grown < SLACK, "{} MB", grown / MIB);

    // Documents that can never have room are not fetched.
    let space = " ".repeat(13 << 20);
    says.cost_map = format!("{{{space}\"core\":{{\"edge\":1}}}}");
    let large = says.later().signed(&keys[4]);
    honest.server.asked();
    honest.passes(std::slice::from_ref(&large));
    let domain = a
        .until_domain(HONEST, HONEST, PeerState::Failed, "limit")
        .await;
    let detail = domain.reason.expect("a reason").detail;
    assert!(detail.contains("federation.max_pending"), "{detail}");
    let path = super::rogue::blob(&large.bodies[1].0);
    assert!(honest.server.asked().iter().all(|got| got.path() != path));
}

/// How many PIDs the domains of these tests have: their costs take 1.28 MB.
const PIDS: usize = 400;

/// Returns a domain with costs between all of this many PIDs.
fn dense(number: u8, pids: usize) -> Says {
    let mut map = network_map(number)["network-map"].take();
    let mut names = vec!["core".to_owned(), "edge".to_owned()];
    for pid in names.len()..pids {
        let name = format!("p{pid}");
        map[&name] = json!({});
        names.push(name);
    }
    let row: Map<String, _> = names.iter().map(|name| (name.clone(), json!(1))).collect();
    let row = json!(row).to_string();
    let mut costs = String::from("{");
    for name in &names {
        let separator = if costs.len() > 1 { "," } else { "" };
        let _ = write!(costs, "{separator}{name:?}:{row}");
    }
    costs.push('}');
    Says {
        network_map: map.to_string(),
        cost_map: costs,
        ..Says::sound(number)
    }
}

/// Returns the domains that a peer passes, with their states and the codes of their reasons.
fn states(peer: &PeerStatus) -> Vec<(String, bool, String)> {
    let domains = peer.domains.iter().map(|domain| {
        let reason = domain.reason.as_ref();
        let code = reason.map_or(String::new(), |reason| reason.code.clone());
        (domain.domain.to_string(), domain.serial.is_some(), code)
    });
    domains.collect()
}

fn state(number: u8, had: bool, code: &str) -> (String, bool, String) {
    (label(number), had, code.to_owned())
}

/// A peer passes its own domain and six others, more than its budget has room for. The refused
/// ones are the last by label, in whatever order they come, but never its own domain, though its
/// label is the last of all.
#[tokio::test]
async fn a_relay_is_charged_for_what_it_passes_its_own_domain_first_then_by_label() {
    const BUDGET: u64 = 5 * MIB;
    const SENDER: u8 = 9;
    let own = key();
    let rogue = Rogue::start(SENDER, &own).await;
    let keys: Vec<SigningKey> = (3..9).map(|_| key()).collect();
    let relayed = |number: u8| {
        let signed = dense(number, PIDS).signed(&keys[usize::from(number) - 3]);
        signed.through(&[SENDER])
    };
    let of_its_own = |pids: usize, serial: u64| {
        let mut says = dense(SENDER, pids);
        says.serial += serial;
        says.signed(&own)
    };
    let directory = TempDir::new().expect("a directory");
    let join = Join {
        more: "refresh.interval = \"100ms\"\nimport.max_memory = 5242880\nimport.max_removed = 1.0\n",
        ..Join::to(SENDER, &rogue.url)
    };
    let (program, a) = serve(directory.path(), &join.text(1)).await;
    a.states(&[]).await;
    let before = program.peak_resident();
    // The last by label come first, and use up the budget.
    let others: Vec<Signed> = (3..9).map(relayed).collect();
    let small = of_its_own(2, 0);
    let mut backwards = others.clone();
    backwards.reverse();
    backwards.push(small.clone());
    rogue.passes(&backwards);
    let refused = |from: u8| {
        move |number: u8| {
            if number < from {
                state(number, true, "")
            } else {
                state(number, false, "limit")
            }
        }
    };
    let three = (3..9).map(refused(6)).chain([state(SENDER, true, "")]);
    let three: Vec<_> = three.collect();
    let is = |wanted: &[(String, bool, String)]| {
        let wanted = wanted.to_vec();
        move |peer: &PeerStatus| states(peer) == wanted
    };
    let peer = a.until(SENDER, "filled", is(&three)).await;
    assert!(peer.memory_bytes <= BUDGET, "{}", peer.memory_bytes);
    assert!(peer.memory_bytes > BUDGET / 2, "{}", peer.memory_bytes);
    let gauge = format!(
        "altofed_federation_peer_memory_bytes{{peer=\"{}\"}}",
        label(SENDER)
    );
    assert_eq!(measured(&a, &gauge).await, peer.memory_bytes as f64);
    let reason = domain_of(&peer, 6).and_then(|domain| domain.reason.clone());
    let detail = reason.expect("a reason").detail;
    assert!(detail.contains("peer.import.max_memory"), "{detail}");
    let rejected = "altofed_import_rejected_total{reason=\"limit\"}";
    assert!(measured(&a, rejected).await >= 3.0);

    // Its own domain grows: domains with lower priority make room.
    let with = |own: Signed| [&others[..], &[own]].concat();
    rogue.passes(&with(of_its_own(PIDS, 1)));
    let two = (3..9).map(refused(5)).chain([state(SENDER, true, "")]);
    a.until(SENDER, "filled by its own", is(&two.collect::<Vec<_>>()))
        .await;

    // It grows beyond all bounds: it is refused, and its last good version stays.
    rogue.passes(&with(of_its_own(2 * PIDS + 50, 2)));
    let kept = (3..9).map(refused(5)).chain([state(SENDER, true, "limit")]);
    a.until(SENDER, "over by its own", is(&kept.collect::<Vec<_>>()))
        .await;

    // It is small again: what was refused is accepted, without a change of it.
    rogue.passes(&with(of_its_own(2, 3)));
    a.until(SENDER, "as before", is(&three)).await;
    let grown = program.peak_resident() - before;
    assert!(grown < SLACK, "{} MB", grown / MIB);
    let after = program.resident().saturating_sub(before);
    assert!(after < SLACK, "{} MB", after / MIB);
}

#[tokio::test]
async fn all_peers_together_have_a_budget_and_own_domains_go_before_relayed_ones() {
    let keys = [key(), key(), key()];
    let (b, c) = (
        Rogue::start(2, &keys[0]).await,
        Rogue::start(3, &keys[1]).await,
    );
    let directory = TempDir::new().expect("a directory");
    let joins = [(2, &b.url), (3, &c.url)].map(|(number, url)| Join::to(number, url).text(1));
    let text = format!("[federation]\nmax_memory = 3145728\n{}", joins.concat());
    let (_program, a) = serve(directory.path(), &text).await;
    a.states(&[]).await;
    let relayed = dense(1 + 3, PIDS).signed(&keys[2]).through(&[2]);
    b.passes(&[Says::sound(2).signed(&keys[0]), relayed.clone()]);
    a.until(2, "taken", |peer| {
        states(peer) == [state(2, true, ""), state(4, true, "")]
    })
    .await;
    // What another peer states itself takes precedence over what the first one relays.
    c.passes(&[dense(3, PIDS + PIDS / 4).signed(&keys[1])]);
    a.until(3, "taken", |peer| states(peer) == [state(3, true, "")])
        .await;
    let peer = a
        .until(2, "charged", |peer| {
            states(peer) == [state(2, true, ""), state(4, false, "limit")]
        })
        .await;
    let reason = domain_of(&peer, 4).and_then(|domain| domain.reason.clone());
    let detail = reason.expect("a reason").detail;
    assert!(detail.contains("federation.max_memory"), "{detail}");
}

/// Returns how many bytes of the documents of others are on the disk.
fn on_disk(directory: &Path) -> u64 {
    let blobs = std::fs::read_dir(directory.join("store/blobs")).into_iter();
    let sizes = blobs.flatten().flatten();
    let sizes = sizes.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.sum()
}

#[tokio::test]
async fn what_a_peer_may_have_on_our_disk_is_bounded_and_the_last_good_stays() {
    const BUDGET: u64 = 7 * MIB;
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let directory = TempDir::new().expect("a directory");
    let join = Join {
        more: "refresh.interval = \"100ms\"\nimport.max_disk = 7340032\n",
        ..Join::to(2, &rogue.url)
    };
    let (_program, a) = serve(directory.path(), &join.text(1)).await;
    a.states(&[]).await;
    let mut says = Says::sound(2);
    // Its statements are far apart in time, each in another document of a mebibyte and a half.
    for round in 1..=4 {
        let cost = inside(2) + f64::from(round);
        let space = " ".repeat(3 << 19);
        says.cost_map = format!("{{{space}\"core\":{{\"edge\":{cost}}}}}");
        says = says.later();
        rogue.passes(&[says.signed(&key)]);
        a.until_cost(2, Some(cost)).await;
        assert!(on_disk(directory.path()) <= BUDGET);
    }
    // A reader of an older manifest finds the documents that it names.
    assert!(on_disk(directory.path()) >= 6 * MIB);
    let last_good = inside(2) + 4.0;
    let space = " ".repeat(3 << 20);
    says.cost_map = format!("{{{space}\"core\":{{\"edge\":1}}}}");
    rogue.passes(&[says.later().signed(&key)]);
    let domain = a.until_domain(2, 2, PeerState::Failed, "limit").await;
    let detail = domain.reason.expect("a reason").detail;
    assert!(detail.contains("peer.import.max_disk"), "{detail}");
    assert_eq!(a.cost_inside(2).await, Some(last_good));
    assert!(on_disk(directory.path()) <= BUDGET);
}

/// A plain server that serves its documents with entity tags.
struct PlainServer(Server);

impl PlainServer {
    /// Makes it serve this, as a version with this tag.
    async fn start(says: &Says, tag: &'static str) -> Self {
        let it = Self(Server::start([]).await);
        let directory = json!({
            "meta": {
                "default-alto-network-map": "m",
                "cost-types": {"rc": {"cost-metric": "routingcost", "cost-mode": "numerical"}},
            },
            "resources": {
                "m": {"uri": "map", "media-type": NETWORK_MAP},
                "rc": {
                    "uri": "costs", "media-type": COST_MAP, "uses": ["m"],
                    "capabilities": {"cost-type-names": ["rc"]},
                },
            },
        });
        let tagged = Reply::Tagged("directory", DIRECTORY, directory.to_string().into());
        it.0.set("/directory", tagged);
        it.says(says, tag);
        it
    }

    fn says(&self, says: &Says, tag: &'static str) {
        let meta = json!({"vtag": {"resource-id": "m", "tag": tag}});
        let map = format!(r#"{{"meta":{meta},"network-map":{}}}"#, says.network_map);
        let meta = json!({
            "dependent-vtags": [{"resource-id": "m", "tag": tag}],
            "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        });
        let costs = format!(r#"{{"meta":{meta},"cost-map":{}}}"#, says.cost_map);
        self.0
            .set("/map", Reply::Tagged(tag, NETWORK_MAP, map.into()));
        self.0
            .set("/costs", Reply::Tagged(tag, COST_MAP, costs.into()));
    }

    fn base(&self) -> String {
        self.0.root.origin().ascii_serialization()
    }

    /// Returns how often the costs were requested with and without this tag since the last call.
    fn asked(&self, tag: &str) -> (usize, usize) {
        let asked = self.0.asked();
        let costs = asked.iter().filter(|got| got.path() == "/costs");
        let knows = |got: &&crate::peer::server::Got| {
            got.head.contains(&format!("if-none-match: \"{tag}\""))
        };
        let all = costs.clone().count();
        let known = costs.filter(knows).count();
        (known, all - known)
    }
}

#[tokio::test]
async fn a_plain_domain_that_is_over_is_not_fetched_again_and_comes_back_with_the_room() {
    let says = Says::sound(2);
    let server = PlainServer::start(&says, "one").await;
    let base = server.base();
    let join = || Join {
        more: "refresh.interval = \"100ms\"\nprotocol = \"alto\"\nimport.max_removed = 1.0\n",
        ..Join::to(2, &base)
    };
    let with = |memory: u64| format!("[federation]\nmax_memory = {memory}\n");
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    a.join_under(&with(MIB), [join()]);
    a.until_cost(2, Some(inside(2))).await;

    // It grows beyond the budget: the last good version stays, and the new one is fetched once.
    server.says(&dense(2, PIDS), "two");
    a.until_state(2, PeerState::Failed, "limit").await;
    let mut whole = 0;
    soon(async {
        loop {
            let (known, anew) = server.asked("two");
            whole += anew;
            if known > 0 {
                break;
            }
            super::site::glance().await;
        }
    })
    .await;
    // The requests until the change sent the former tag.
    let more = server.asked("two").1;
    assert_eq!(more, 0, "{whole} before");
    assert_eq!(a.cost_inside(2).await, Some(inside(2)));

    // There is room for it, then for nothing, then for it again: meanwhile it does not change.
    a.join_under(&with(4 * MIB), [join()]);
    a.until_cost(2, Some(1.0)).await;
    a.until_state(2, PeerState::Synced, "").await;
    a.join_under(&with(1000), [join()]);
    a.until_cost(2, None).await;
    let peer = a.until_state(2, PeerState::Failed, "limit").await;
    assert_eq!(peer.memory_bytes, 0);
    soon(async {
        while on_disk(a.data()) > 0 {
            super::site::glance().await;
        }
    })
    .await;
    a.join_under(&with(4 * MIB), [join()]);
    a.until_cost(2, Some(1.0)).await;

    // What was over the budget and has not changed is in use.
    server.says(&dense(2, 4 * PIDS), "three");
    a.until_state(2, PeerState::Failed, "limit").await;
    server.says(&dense(2, PIDS), "two");
    a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(a.cost_inside(2).await, Some(1.0));
}

/// The state of a domain before a change is kept for an hour, to compare further changes with
/// it.
#[tokio::test]
async fn what_a_domain_was_before_it_changed_is_charged() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    let mut says = dense(2, PIDS);
    rogue.passes(&[says.signed(&key)]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    a.join([Join::to(2, &rogue.url)]);
    a.until_cost(2, Some(1.0)).await;
    let before = a.until_state(2, PeerState::Synced, "").await.memory_bytes;
    says = says.later();
    says.cost_map = says.cost_map.replace(":1,", ":2,").replace(":1}", ":2}");
    rogue.passes(&[says.signed(&key)]);
    a.until_cost(2, Some(2.0)).await;
    let after = a.until_state(2, PeerState::Synced, "").await.memory_bytes;
    assert!(after > before / 10 * 19, "{after} after {before}");
}

/// A node that starts with less room than before keeps as much as fits, in the order of
/// priority.
#[tokio::test]
async fn a_start_with_less_room_keeps_what_goes_first_whoever_is_restored_first() {
    let keys = [key(), key(), key(), key()];
    let (b, c) = (
        Rogue::start(2, &keys[0]).await,
        Rogue::start(3, &keys[1]).await,
    );
    let relayed = |says: Says, key| says.signed(key).through(&[2]);
    b.passes(&[
        Says::sound(2).signed(&keys[0]),
        relayed(dense(4, PIDS + PIDS / 10), &keys[2]),
        relayed(dense(5, PIDS), &keys[3]),
    ]);
    c.passes(&[dense(3, PIDS).signed(&keys[1])]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let joins = || [Join::to(2, &b.url), Join::to(3, &c.url)];
    a.join(joins());
    let all = |peer: &PeerStatus| states(peer) == [2, 4, 5].map(|number| state(number, true, ""));
    a.until(2, "taken", all).await;
    a.until_cost(3, Some(1.0)).await;
    let peers = a.peers().await.peers;
    // By label the larger relayed domain comes first, but it does not fit beside the domains
    // that are not relayed.
    let room = peers[1].memory_bytes + peers[0].memory_bytes / 2;
    a.stop().await;
    a.join_under(&format!("[federation]\nmax_memory = {room}\n"), joins());
    drop((b, c));
    a.start_again().await;
    let restored = a.peers().await.peers;
    let had = |peer: &PeerStatus| {
        let domains = peer.domains.iter().filter(|domain| domain.serial.is_some());
        domains
            .map(|domain| domain.domain.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(had(&restored[0]), [label(2), label(5)]);
    assert_eq!(had(&restored[1]), [label(3)]);
}

#[tokio::test]
async fn what_is_not_restored_leaves_the_disk() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[Says::sound(2).signed(&key)]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    a.join([Join::to(2, &rogue.url)]);
    a.until_cost(2, Some(inside(2))).await;
    a.until_state(2, PeerState::Synced, "").await;
    assert!(on_disk(a.data()) > 0);
    a.stop().await;
    a.join([Join {
        more: "import.max_prefixes = 1\n",
        ..Join::to(2, &rogue.url)
    }]);
    drop(rogue);
    a.start_again().await;
    a.until_state(2, PeerState::Failed, "transport").await;
    soon(async {
        while on_disk(a.data()) > 0 {
            super::site::glance().await;
        }
    })
    .await;
}

/// A domain relays another, which grows by the text of its manifest.
#[tokio::test]
async fn what_older_manifests_take_is_charged_too() {
    let (own, relayed) = (key(), key());
    let rogue = Rogue::start(2, &own).await;
    let directory = TempDir::new().expect("a directory");
    let (_program, a) = serve(directory.path(), &Join::to(2, &rogue.url).text(1)).await;
    a.states(&[]).await;
    let mut says = Says::sound(3);
    for round in 1..=4 {
        let cost = inside(3) + f64::from(round);
        says = says.later();
        says.cost_map = format!(r#"{{"core":{{"edge":{cost}}}}}"#);
        // The last one is small: what came before is not kept for its sake.
        says.unknown = if round < 4 { 10_000 } else { 0 };
        rogue.passes(&[
            Says::sound(2).signed(&own),
            says.signed(&relayed).through(&[2]),
        ]);
        a.until_cost(3, Some(cost)).await;
        let peer = a.until_state(2, PeerState::Synced, "").await;
        let there = on_disk(directory.path());
        assert!(there <= peer.disk_bytes, "{there} of {}", peer.disk_bytes);
        assert!(round == 4 || there > MIB, "{there}");
    }
    assert!(on_disk(directory.path()) < MIB);
}
