//! Peers that are plain ALTO servers and push: their changes arrive by themselves.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use altofed::api::s2s::{PeerState, Scope};
use altofed::federation::{
    ExportSettings, Federation, ImportSettings, KeySettings, OwnDomain, OwnSettings, PeerSettings,
    Protocol, RefreshSettings, Settings, SigningKey,
};
use altofed::ident::DomainLabel;
use altofed::net::PidIndex;
use altofed::publish::{Lookup, NetworkMap, Origin, Properties, View, ViewName};
use altofed::runtime::{Clock, Gate, ManualClock, Pool};
use altofed::store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::server::{Server, Stream};
use super::{JSON_PATCH, MERGE_PATCH, directory, map, stream_entry};
use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::peer::server::Got;
use crate::peer::soon;

const PATH: &str = "/updates/stream";
const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How soon after another a change is taken.
const DAMPED: RangeInclusive<Duration> = Duration::from_millis(1)..=SECOND;

fn label(text: &str) -> DomainLabel {
    DomainLabel::new(text).expect("a label")
}

/// Makes the cost map over a version of the network map.
fn costs(tag: &str, cost: f64) -> Value {
    let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
    let mut costs = super::costs(tag, cost);
    costs["meta"]["cost-type"] = cost_type;
    costs
}

/// Starts a server that answers once for each of its maps.
async fn server(more: Value) -> Server {
    let server = Server::start(directory(more)).await;
    let tagged = |media_type| [("content-type", media_type), ("etag", "\"e1\"")];
    let first = map("t1", &["10.0.0.0/8"]);
    server.answer("/map", "200 OK", &tagged(NETWORK_MAP), &first);
    server.answer("/costs", "200 OK", &tagged(COST_MAP), &costs("t1", 1.0));
    server
}

/// `isp-a`, which reads the server as the plain peer `isp-b`.
struct Node {
    federation: Federation,
    hand: ManualClock,
    _settings: watch::Sender<Arc<Settings>>,
    _own: watch::Sender<OwnDomain>,
    _store: Store,
    _files: tempfile::TempDir,
}

impl Node {
    async fn start(server: &Server, push: bool) -> Self {
        Self::taking(ImportSettings::default(), server, push).await
    }

    /// Starts a node that imports within these limits.
    async fn taking(import: ImportSettings, server: &Server, push: bool) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let key = files.path().join("key.pem");
        let made = SigningKey::generate().expect("a key");
        made.save(&key).expect("saved");
        let peer = PeerSettings {
            domain: label("isp-b"),
            directory: server.root.clone(),
            protocol: Protocol::Alto,
            token: None,
            identity: None,
            cacert: None,
            allow_private_addresses: true,
            network_map: None,
            import,
            export: ExportSettings::default(),
            refresh: RefreshSettings {
                interval: INTERVAL,
                push,
                ..RefreshSettings::default()
            },
            interconnects: BTreeMap::new(),
        };
        let settings = Settings {
            budget: Settings::BUDGET,
            max_pending: Settings::MAX_PENDING,
            own: OwnSettings {
                domain: label("isp-a"),
                name: "ISP A".to_owned(),
                asns: Vec::new(),
                keys: KeySettings {
                    key,
                    old: Vec::new(),
                },
                make_key: false,
                scope: Scope::Any,
            },
            peers: BTreeMap::from([(label("isp-b"), peer)]),
            pins: BTreeMap::new(),
        };
        let (settings, configured) = watch::channel(Arc::new(settings));
        let (own, said) = watch::channel(nothing());
        let small = altofed::store::Settings {
            cache_bytes: 1024 * 1024,
            ..altofed::store::Settings::default()
        };
        let opened = Store::open(&files.path().join("store"), &small).expect("opened");
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let pool = Pool::new(1).expect("a thread");
        let gate = Gate::default();
        let federation = Federation::start(configured, said, &opened.store, pool, clock, gate);
        Self {
            federation: federation.await.expect("it starts"),
            hand,
            _settings: settings,
            _own: own,
            _store: opened.store,
            _files: files,
        }
    }

    /// Starts a node that has the first version of both maps, and has just opened the stream on
    /// which they come again.
    async fn followed(server: &mut Server) -> (Self, Stream) {
        Self::followed_taking(ImportSettings::default(), server).await
    }

    /// Starts it within limits.
    async fn followed_taking(import: ImportSettings, server: &mut Server) -> (Self, Stream) {
        let stream = server.stream(PATH);
        let node = Self::taking(import, server, true).await;
        node.has(1.0).await;
        assert_eq!(paths(server, 3).await, ["/map", "/costs", PATH]);
        stream.begins("x");
        stream.event(&format!("{NETWORK_MAP},0"), &map("t1", &["10.0.0.0/8"]));
        stream.event(&format!("{COST_MAP},1"), &costs("t1", 1.0));
        (node, stream)
    }

    fn cost(&self) -> Option<f64> {
        let imports = self.federation.imported().borrow().clone();
        let view = &imports.get(&label("isp-b"))?.view;
        let mut row = Vec::new();
        view.costs().get("routingcost")?.row(0, &mut row);
        row.first().copied()
    }

    /// Waits until this is the peer's only cost. A change that comes soon after another is taken
    /// a little later.
    async fn has(&self, cost: f64) {
        let mut changes = self.federation.changes();
        soon(async {
            while self.cost() != Some(cost) {
                tokio::select! {
                    biased;
                    changed = changes.changed() => changed.expect("it runs"),
                    ahead = self.hand.sleeper_within(DAMPED) => self.hand.advance(ahead),
                }
            }
        })
        .await;
    }

    /// Returns the next request to the server after a pause, which is by chance up to half
    /// shorter than a second, and after what was damped.
    async fn asks(&self, server: &mut Server) -> Got {
        let mut asked = std::pin::pin!(server.asked());
        loop {
            tokio::select! {
                biased;
                got = &mut asked => return got,
                ahead = self.hand.sleeper_within(DAMPED) => self.hand.advance(ahead),
            }
        }
    }

    fn is_well(&self) -> bool {
        let peers = self.federation.peers().peers;
        peers
            .iter()
            .all(|peer| peer.state == PeerState::Synced && peer.failures == 0)
    }
}

/// A domain with nothing in it.
fn nothing() -> OwnDomain {
    let pids = Arc::new(PidIndex::new(Vec::new()));
    let network = NetworkMap::new(pids, Vec::new(), Lookup::default());
    let origin = Origin {
        serial: 1,
        received: Timestamp::UNIX_EPOCH,
    };
    let name = ViewName::Domain(label("isp-a"));
    let (network, properties) = (Arc::new(network), Arc::new(Properties::default()));
    let view = View::new(name, origin, network, BTreeMap::new(), properties, None);
    OwnDomain {
        off_net: Default::default(),
        view: Arc::new(view),
        interconnects: Arc::default(),
    }
}

/// Returns the paths of the next requests.
async fn paths(server: &mut Server, count: usize) -> Vec<String> {
    let mut paths = Vec::new();
    for _ in 0..count {
        paths.push(server.asked().await.path().to_owned());
    }
    paths
}

#[tokio::test]
async fn a_change_comes_by_itself_and_no_map_is_asked_for_again() {
    let mut server = server(stream_entry()).await;
    let (node, stream) = Node::followed(&mut server).await;
    let change = json!({"cost-map": {"a": {"a": 2.0}}});
    stream.event(&format!("{MERGE_PATCH},1"), &change);
    node.has(2.0).await;
    // A new network map waits for the costs over it.
    let renumbered = json!([
        {"op": "replace", "path": "/meta/vtag/tag", "value": "t2"},
        {"op": "replace", "path": "/network-map/a/ipv4/0", "value": "11.0.0.0/8"},
    ]);
    stream.event(&format!("{JSON_PATCH},0"), &renumbered);
    stream.event(&format!("{COST_MAP},1"), &costs("t2", 3.0));
    node.has(3.0).await;
    let imports = node.federation.imported().borrow().clone();
    let network = imports[&label("isp-b")].view.network().clone();
    let pid = |addr: &str| network.pid_of(addr.parse().expect("an address"));
    assert!(pid("11.0.0.1").is_some() && pid("10.0.0.1").is_none());
    assert!(server.is_idle(), "nothing was asked for since");
    assert!(node.is_well());
}

#[tokio::test]
async fn a_plain_peer_that_changes_all_the_time_is_heard_ever_more_seldom() {
    let mut server = server(stream_entry()).await;
    let (node, stream) = Node::followed(&mut server).await;
    let push = |cost: f64| {
        let change = json!({"cost-map": {"a": {"a": cost}}});
        stream.event(&format!("{MERGE_PATCH},1"), &change);
    };
    push(2.0);
    node.has(2.0).await;
    for (wait, cost) in [(SECOND / 4, 3.0), (SECOND / 2, 4.0)] {
        push(cost);
        soon(node.hand.sleeper(wait)).await;
        assert_eq!(node.cost(), Some(cost - 1.0));
        node.hand.advance(wait);
        node.has(cost).await;
    }
    assert_eq!(node.federation.status().damped, 2);
    assert!(server.is_idle() && node.is_well());
}

/// What is kept of the pushes of a plain peer, however it is padded, is charged to the peer;
/// above the limit the peer is not followed.
#[tokio::test]
async fn what_a_plain_peer_pushes_is_charged_and_has_an_end() {
    let mut server = server(stream_entry()).await;
    let import = ImportSettings {
        max_pending: 100_000,
        ..ImportSettings::default()
    };
    let (node, stream) = Node::followed_taking(import, &mut server).await;
    let takes = || node.federation.peers().peers[0].memory_bytes;
    let padded = |cost: f64, bytes: usize| {
        let mut costs = costs("t1", cost);
        costs["meta"]["padding"] = json!("x".repeat(bytes));
        costs
    };
    stream.event(&format!("{COST_MAP},1"), &padded(2.0, 10));
    node.has(2.0).await;
    let before = takes();
    stream.event(&format!("{COST_MAP},1"), &padded(3.0, 40_010));
    node.has(3.0).await;
    // And the documents that it is compared with.
    let grown = takes() - before;
    assert!((40_000..41_000).contains(&grown), "{grown}");
    assert!(node.is_well());
    stream.event(&format!("{COST_MAP},1"), &padded(4.0, 100_000));
    let mut changes = node.federation.changes();
    let reason = soon(async {
        loop {
            let peer = node.federation.peers().peers.remove(0);
            match peer.reason.filter(|_| peer.state == PeerState::Failed) {
                Some(reason) => break reason,
                None => changes.changed().await.expect("it runs"),
            }
        }
    });
    let reason = reason.await;
    assert_eq!(reason.code, "limit");
    assert!(reason.detail.contains("max_pending"), "{}", reason.detail);
    assert_eq!(node.cost(), Some(3.0), "the last good");
    soon(async {
        while takes() >= before {
            changes.changed().await.expect("it runs");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_a_plain_peer_that_is_cut_is_opened_again_with_the_tags() {
    let mut server = server(stream_entry()).await;
    let (node, stream) = Node::followed(&mut server).await;
    stream.event(&format!("{COST_MAP},1"), &costs("t1", 2.0));
    node.has(2.0).await;
    let next = server.stream(PATH);
    drop(stream);
    let again = node.asks(&mut server).await;
    assert_eq!(again.path(), PATH);
    let params: Value = serde_json::from_str(&again.body).expect("JSON");
    assert_eq!(params["add"]["0"]["tag"], "t1");
    next.begins("x");
    let change = json!({"cost-map": {"a": {"a": 3.0}}});
    next.event(&format!("{COST_MAP},1"), &costs("t1", 2.0));
    next.event(&format!("{MERGE_PATCH},1"), &change);
    node.has(3.0).await;
    assert!(server.is_idle() && node.is_well());
}

#[tokio::test]
async fn what_is_pushed_and_cannot_be_used_does_not_fail_a_plain_peer() {
    let mut server = server(stream_entry()).await;
    let (node, stream) = Node::followed(&mut server).await;
    let wrong = json!({"cost-map": {"a": {"a": -1.0}}});
    stream.event(&format!("{MERGE_PATCH},1"), &wrong);
    server.document("/map", NETWORK_MAP, &map("t1", &["10.0.0.0/8"]));
    server.document("/costs", COST_MAP, &costs("t1", 4.0));
    let read = node.asks(&mut server).await;
    assert!(read.line.starts_with("GET /map "), "{}", read.line);
    node.has(4.0).await;
    assert!(node.is_well());
}

#[tokio::test]
async fn a_plain_peer_that_does_not_push_is_read_each_interval() {
    for (more, push, refused) in [
        (json!({}), true, None),
        (stream_entry(), false, None),
        (stream_entry(), true, Some(PATH)),
    ] {
        let mut server = server(more).await;
        let node = Node::start(&server, push).await;
        node.has(1.0).await;
        assert_eq!(paths(&mut server, 2).await, ["/map", "/costs"]);
        if let Some(path) = refused {
            assert_eq!(paths(&mut server, 1).await, [path]);
        }
        server.answer("/map", "304 Not Modified", &[("etag", "\"e1\"")], &json!(0));
        server.document("/costs", COST_MAP, &costs("t1", 2.0));
        // Once it counts as read, the next reading is at most an interval away.
        let mut changes = node.federation.changes();
        while !node.is_well() {
            soon(changes.changed()).await.expect("it runs");
        }
        let by_chance = INTERVAL * 9 / 10..=INTERVAL;
        soon(node.hand.sleeper_within(by_chance)).await;
        node.hand.advance(INTERVAL);
        let reads = [server.asked().await, server.asked().await];
        for (read, path) in reads.iter().zip(["/map", "/costs"]) {
            assert_eq!(read.path(), path);
            assert!(read.head.contains("if-none-match: \"e1\""), "{}", read.head);
        }
        node.has(2.0).await;
        assert!(node.is_well());
    }
}
