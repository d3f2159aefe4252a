//! Clients, our own among them, follow a node over a wire that does its worst: in the end they
//! have what the node answers, and at every moment before they have what it answered some time.

mod follower;
mod ours;
mod puller;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use altofed::alto::canonical::value_text;
use altofed::runtime::Task;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::metro::COSTS;
use crate::peer::soon;
use crate::support::TestNode;
use crate::support::changes::Changes;
use wire::Wire;

/// A resource that is followed.
#[derive(Clone, Copy)]
struct Target {
    id: &'static str,
    path: &'static str,
}

const MAP: Target = Target {
    id: "isp-a:networkmap",
    path: "/views/isp-a/networkmap",
};
const TARGETS: [Target; 4] = [
    MAP,
    Target {
        id: "isp-a:costmap-routingcost",
        path: "/views/isp-a/costmap-routingcost",
    },
    Target {
        id: "isp-a:ordinal-routingcost",
        path: "/views/isp-a/ordinal-routingcost",
    },
    Target {
        id: "isp-a:filtered-costmap",
        path: COSTS.path,
    },
];

impl Target {
    fn is_network_map(self) -> bool {
        self.id == MAP.id
    }

    /// Returns the parameters of the filtered costs; maps have none.
    fn input(self) -> Option<Value> {
        let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
        let input = json!({"cost-type": cost_type, "constraints": ["ge 100", "le 300"]});
        (self.path == COSTS.path).then_some(input)
    }

    fn params(self) -> Value {
        match self.input() {
            Some(input) => json!({"resource-id": self.id, "input": input}),
            None => json!({"resource-id": self.id}),
        }
    }

    /// Returns what the node answers now.
    async fn text(self, node: &TestNode) -> String {
        let answer = match self.input() {
            Some(input) => COSTS.ask(node, input).await,
            None => node.get(self.path).await,
        };
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    }
}

/// What a client has and had.
#[derive(Clone)]
struct Board(Arc<watch::Sender<Held>>);

#[derive(Default)]
struct Held {
    documents: BTreeMap<&'static str, Value>,
    /// The text of each document that the client ever had.
    seen: BTreeSet<(&'static str, String)>,
    /// How often the client started over.
    returns: u64,
}

impl Board {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    fn get(&self, id: &str) -> Option<Value> {
        self.0.borrow().documents.get(id).cloned()
    }

    fn put(&self, id: &str, document: Value) {
        let target = TARGETS.into_iter().find(|target| target.id == id);
        let id = target.expect("what was asked for").id;
        self.0.send_modify(|held| {
            held.seen.insert((id, value_text(&document)));
            held.documents.insert(id, document);
        });
    }

    fn drop_state(&self, id: &str) {
        self.0.send_modify(|held| drop(held.documents.remove(id)));
    }

    fn came_back(&self) {
        self.0.send_modify(|held| held.returns += 1);
    }
}

/// A node that changes, a wire to it, and clients on the other side of the wire.
struct Scene {
    node: TestNode,
    wire: Wire,
    changes: Changes,
    boards: Vec<Board>,
    /// All that the node ever answered.
    answered: BTreeSet<(&'static str, String)>,
    clients: Vec<Task<()>>,
}

impl Scene {
    /// Starts clients of all kinds over a wire that `begin` makes misbehave from the start.
    async fn new(seed: u64, more: &str, begin: impl FnOnce(&Wire)) -> Self {
        let wire = Wire::new().await;
        // A connection that was cut may stay open at the node for a while.
        let roomy = "[http]\nmax_connections_per_client = 10000\n";
        let more = format!("public_url = {:?}\n{more}{roomy}", wire.url);
        let node = TestNode::with(&more).await;
        let changes = Changes::begin(&node, seed, 10).await;
        wire.lead_to(Some(&node.url));
        begin(&wire);
        let boards = [(); 4].map(|()| Board::new());
        let [followed, pulled, streamed, viewed] = boards.clone();
        let mut clients = vec![
            follower::follow(&wire.url, TARGETS.into(), followed),
            ours::stream(&wire.url, streamed),
            ours::tips(&node, viewed).await,
        ];
        for target in TARGETS {
            clients.push(puller::pull(&wire.url, target, pulled.clone()));
        }
        let mut scene = Self {
            node,
            wire,
            changes,
            boards: boards.into(),
            answered: BTreeSet::new(),
            clients,
        };
        scene.note().await;
        scene
    }

    /// Records what the node answers.
    async fn note(&mut self) {
        for target in TARGETS {
            let text = target.text(&self.node).await;
            self.answered.insert((target.id, text));
        }
    }

    async fn change(&mut self) {
        self.changes.make(&self.node).await;
        self.note().await;
    }

    async fn restart(&mut self) {
        // Another process may get its port.
        self.wire.lead_to(None);
        self.node.restart().await;
        self.wire.lead_to(Some(&self.node.url));
        self.note().await;
    }

    /// Returns when every client has what the node answers.
    async fn all_have_it(&self) {
        for target in TARGETS {
            let text = target.text(&self.node).await;
            for board in &self.boards {
                let mut held = board.0.subscribe();
                let same = held.wait_for(|held| {
                    let document = held.documents.get(target.id);
                    document.is_some_and(|document| value_text(document) == text)
                });
                soon(same).await.expect("the client runs");
            }
        }
    }

    /// Ends the trouble, and checks that all clients have what the node answers and never had
    /// anything that it did not answer.
    async fn end(self) -> u64 {
        self.wire.calm();
        self.all_have_it().await;
        assert!(
            !self.clients.iter().any(Task::is_finished),
            "a client failed"
        );
        let mut returns = 0;
        for board in &self.boards {
            let held = board.0.borrow();
            for seen in &held.seen {
                assert!(self.answered.contains(seen), "never answered: {seen:?}");
            }
            returns += held.returns;
        }
        returns
    }
}

/// How many rounds and seeds a test has.
fn heavier(usual: u64, heavy: u64) -> u64 {
    match std::env::var_os("ALTOFED_HEAVY") {
        Some(_) => heavy,
        None => usual,
    }
}

#[tokio::test]
async fn cuts_in_the_middle_of_events_lose_and_invent_nothing() {
    for seed in 1..=heavier(2, 8) {
        let mut scene = Scene::new(seed, "", |_| {}).await;
        for _ in 0..heavier(15, 60) {
            let budgets: Vec<usize> = (0..5).map(|_| scene.changes.below(6000) as usize).collect();
            scene.wire.cut(budgets);
            scene.change().await;
            scene.wire.kill();
        }
        assert!(scene.end().await > 10, "nothing was cut");
    }
}

#[tokio::test]
async fn bytes_that_come_one_by_one_make_the_same_events() {
    let mut scene = Scene::new(3, "", |wire| wire.bytewise(true)).await;
    scene.all_have_it().await;
    for _ in 0..heavier(6, 60) {
        scene.change().await;
        scene.all_have_it().await;
    }
    scene.end().await;
}

#[tokio::test]
async fn what_was_held_back_for_many_versions_arrives_in_the_end() {
    for seed in 1..=heavier(2, 8) {
        let mut scene = Scene::new(seed, "", |_| {}).await;
        scene.all_have_it().await;
        for _ in 0..2 {
            scene.wire.hold(true);
            for _ in 0..heavier(20, 40) {
                scene.change().await;
            }
            scene.wire.hold(false);
            scene.all_have_it().await;
        }
        scene.end().await;
    }
}

#[tokio::test]
async fn who_was_away_for_some_versions_goes_on_from_what_it_has() {
    let mut scene = Scene::new(17, "", |_| {}).await;
    for away in 1..=heavier(10, 100) {
        scene.all_have_it().await;
        scene.wire.lead_to(None);
        scene.wire.kill();
        for _ in 0..away % 7 {
            scene.change().await;
        }
        scene.wire.lead_to(Some(&scene.node.url));
    }
    scene.end().await;
}

#[tokio::test]
async fn connections_that_die_while_all_is_sent_anew_are_tried_again() {
    let mut scene = Scene::new(5, "", |wire| {
        // The first answers are cut at every place.
        wire.cut((0..heavier(60, 600)).map(|cut| (cut * 97 % 7000) as usize));
    })
    .await;
    while scene.wire.cuts_left() {
        scene.change().await;
    }
    assert!(scene.end().await >= 40, "nothing was cut");
}

#[tokio::test]
async fn who_waits_while_the_graph_is_compacted_past_it_goes_on_from_a_snapshot() {
    let mut scene = Scene::new(8, "[updates]\nhistory_bytes = 0\n", |_| {}).await;
    for _ in 0..heavier(10, 100) {
        scene.all_have_it().await;
        scene.change().await;
    }
    // Several versions at once, while nothing gets through.
    scene.wire.hold(true);
    for _ in 0..10 {
        scene.change().await;
    }
    scene.wire.hold(false);
    scene.end().await;
}

#[tokio::test]
async fn a_server_that_restarts_is_followed_on() {
    let mut scene = Scene::new(13, "", |_| {}).await;
    for _ in 0..heavier(3, 10) {
        scene.all_have_it().await;
        scene.change().await;
        scene.restart().await;
        scene.change().await;
    }
    assert!(scene.end().await >= 3, "nobody noticed");
}

#[tokio::test]
async fn all_of_it_at_once_in_any_order() {
    for seed in 1..=heavier(3, 10) {
        let more = "[updates]\nhistory_bytes = 1500\n";
        let mut scene = Scene::new(seed, more, |_| {}).await;
        for _ in 0..heavier(40, 120) {
            match scene.changes.below(20) {
                0..10 => scene.change().await,
                10..12 => {
                    let budget = scene.changes.below(5000) as usize;
                    scene.wire.cut([budget]);
                }
                12..14 => scene.wire.kill(),
                14 => scene.wire.bytewise(true),
                15 => scene.wire.bytewise(false),
                16 => scene.wire.hold(true),
                17 => scene.wire.hold(false),
                18 => {
                    scene.wire.calm();
                    scene.all_have_it().await;
                }
                _ => {
                    scene.wire.hold(false);
                    scene.restart().await;
                }
            }
        }
        scene.end().await;
    }
}
