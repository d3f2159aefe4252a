//! What peers send does not fill the memory of a node.

use std::net::SocketAddr;
use std::path::Path;
use std::slice::from_ref;

use altofed::api::s2s::PeerState;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::links::{inside, network_map};
use super::member::{Join, own_section};
use super::poison::{bomb, chunked, endless};
use super::rogue::{Rogue, Says, blob, key};
use super::site::Site;
use crate::metro::COST_MAP;
use crate::peer::server::{answer, ok};
use crate::support::{JSON, Program, config_path};

const MB: u64 = 1024 * 1024;

/// How much memory an answer of a peer may take: some copies of the largest body.
const GROWTH: u64 = 48 * MB;

/// The most PIDs of a domain.
const PIDS: usize = 5_000;

/// The metrics of a sparse domain.
const METRICS: [&str; 4] = ["routingcost", "hopcount", "delay-ow", "bw-available"];

/// Makes a domain with the most PIDs, and a cost between two of them in each metric.
fn sparse_maps(number: u8) -> (Value, Value) {
    let mut map = network_map(number);
    for pid in 2..PIDS {
        map["network-map"][format!("p{pid}")] = json!({});
    }
    (map, json!({"cost-map": {"core": {"edge": inside(number)}}}))
}

/// Starts a node in a process of its own, with these peers.
pub async fn serve(directory: &Path, peers: &str) -> (Program, Site) {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let text = own_section(1, listen, directory, "") + peers;
    let config = config_path(directory);
    std::fs::write(&config, text).expect("a file");
    let serve = move || Program::run(&config, &["--json"]);
    let program = tokio::task::spawn_blocking(serve).await.expect("no panic");
    let program = program.unwrap_or_else(|end| panic!("{}", end.log));
    let site = Site::new(1, program.url.clone());
    (program, site)
}

#[tokio::test]
async fn sparse_maps_take_memory_by_their_costs_whoever_states_them() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[]);
    let directory = TempDir::new().expect("a directory");
    let join = Join::to(2, &rogue.url).text(1);
    let (program, a) = serve(directory.path(), &join).await;
    a.states(&[]).await;
    let before = program.peak_resident();

    // A domain of a peer.
    let (map, costs) = sparse_maps(2);
    let costs = costs["cost-map"].to_string();
    let says = Says {
        network_map: map["network-map"].to_string(),
        cost_map: costs.clone(),
        more: METRICS[1..]
            .iter()
            .map(|metric| (*metric, costs.replace(".25", "")))
            .collect(),
        ..Says::sound(2)
    };
    rogue.passes(&[says.signed(&key)]);
    a.until_cost(2, Some(inside(2))).await;
    let grown = program.peak_resident() - before;
    assert!(grown < GROWTH, "{} MB", grown / MB);

    // Our own domain, with all of both views read.
    let (map, mut costs) = sparse_maps(1);
    a.put("network-map", &map).await;
    for metric in METRICS {
        costs["cost-map"]["core"]["edge"] = json!(1);
        a.put(&format!("cost-maps/{metric}"), &costs).await;
    }
    for view in ["isp-a", "isp-b"] {
        for metric in METRICS {
            let map = a.get(&format!("/views/{view}/costmap-{metric}")).await;
            assert_eq!(map.status, 200, "{map:?}");
        }
    }
    // A hundred million pairs are looked at for each of its metrics.
    let map = a.get("/views/merged/costmap-routingcost").await;
    assert_eq!(map.status, 200, "{map:?}");
    let grown = program.peak_resident() - before;
    assert!(grown < 2 * GROWTH, "{} MB", grown / MB);
}

#[tokio::test]
async fn ten_gigabytes_a_bomb_and_deep_json_cost_a_node_a_few_megabytes() {
    let directory = TempDir::new().expect("a directory");
    let keys = [key(), key(), key(), key(), key()];
    let mut rogues = Vec::new();
    let mut text = String::new();
    for (number, key) in (2..).zip(&keys) {
        let rogue = Rogue::start(number, key).await;
        rogue.passes(&[Says::sound(number).signed(key)]);
        let join = Join {
            more: "refresh.interval = \"100ms\"\nimport.max_bytes = 4000000\n",
            ..Join::to(number, &rogue.url)
        };
        text += &join.text(1);
        rogues.push(rogue);
    }
    let (program, a) = serve(directory.path(), &text).await;
    a.states(&[]).await;
    let own = a.own_answers().await;
    for number in 2..=6 {
        a.until_cost(number, Some(inside(number))).await;
    }
    let before = program.peak_resident();

    let manifests = "/s2s/v1/manifests";
    let gzip = [("content-type", JSON), ("content-encoding", "gzip")];
    rogues[0].answers(manifests, endless());
    rogues[1].answers(manifests, chunked());
    rogues[2].answers(manifests, answer("200 OK", &gzip, &bomb()));
    rogues[3].answers(manifests, ok(JSON, "[".repeat(100_000)));
    let newer = Says::with_costs(6, r#"{"core":{"edge":0.5}}"#).later();
    let newer = newer.signed(&keys[4]);
    rogues[4].passes(from_ref(&newer));
    let headers = [("content-type", COST_MAP), ("content-encoding", "gzip")];
    let document = answer("200 OK", &headers, &bomb());
    rogues[4].answers(&blob(&newer.bodies[1].0), document);
    for number in 2..=6 {
        let state = a.until_state(number, PeerState::Failed, "limit-exceeded");
        state.await;
        assert_eq!(a.cost_inside(number).await, Some(inside(number)));
    }
    assert_eq!(a.own_answers().await, own);
    let grown = program.peak_resident() - before;
    assert!(grown < GROWTH, "{} MB", grown / MB);
}
