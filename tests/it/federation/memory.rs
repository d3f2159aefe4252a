//! What peers send does not fill the memory of the node.

use std::net::SocketAddr;
use std::slice::from_ref;

use altofed::api::s2s::PeerState;
use tempfile::TempDir;

use super::links::inside;
use super::member::{Join, own_section};
use super::poison::{bomb, chunked, endless};
use super::rogue::{Rogue, Says, blob, key};
use super::site::Site;
use crate::metro::COST_MAP;
use crate::peer::server::{answer, ok};
use crate::support::{JSON, Program, config_path};

const MB: u64 = 1024 * 1024;

/// What a peer's answer may cost: some copies of the largest body.
const GROWTH: u64 = 48 * MB;

#[tokio::test]
async fn ten_gigabytes_a_bomb_and_deep_json_cost_a_node_a_few_megabytes() {
    let directory = TempDir::new().expect("a directory");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let keys = [key(), key(), key(), key(), key()];
    let mut rogues = Vec::new();
    let mut text = own_section(1, listen, directory.path(), "");
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
    std::fs::write(config_path(directory.path()), text).expect("a file");
    let config = config_path(directory.path());
    let serve = move || Program::run(&config, &["--json"]);
    let program = tokio::task::spawn_blocking(serve).await.expect("no panic");
    let program = program.unwrap_or_else(|end| panic!("{}", end.log));
    let a = Site::new(1, program.url.clone());
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
