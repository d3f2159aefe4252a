//! The answers of the server-to-server API.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::tape::{Tape, ask, get, post};
use super::world::World;
use crate::federation::member::secret;
use crate::support::events::UPDATES;
use crate::support::{CDN, JSON, MERGE_PATCH, NOC, OPS};

const MANIFESTS: &str = "/s2s/v1/manifests";
const PEERS: &str = "/s2s/v1/peers";

/// The token that the plain peer shows to us: it gets all domains.
fn peer() -> String {
    secret(1, 4)
}

/// Records the content of the manifests in a list, and the documents that they name.
async fn told(tape: &mut Tape, world: &World, list: &Value) {
    for entry in list.as_array().expect("a list") {
        tape.part(&format!("what the manifest of {} says", entry["domain"]));
        let parts = entry["manifest"].as_str().expect("a text").split('.');
        for part in parts.take(2) {
            let part = URL_SAFE_NO_PAD.decode(part).expect("base64url");
            tape.write(&String::from_utf8(part.clone()).expect("text"));
            let said: Value = serde_json::from_slice(&part).expect("JSON");
            for resource in said["resources"].as_array().into_iter().flatten() {
                let [id, digest] = ["resource-id", "sha-256"].map(|name| resource[name].as_str());
                let path = format!("/s2s/v1/blobs/{}", digest.expect("a digest"));
                let blob = get(path).by(&peer());
                tape.ask(&world.node, id.expect("an id"), blob).await;
            }
        }
    }
}

#[tokio::test]
async fn what_peers_get() {
    let world = World::start().await;
    let node = &world.node;
    let mut tape = Tape::of("The server-to-server API: what peers get", &world.masks);
    let described = tape
        .ask(node, "the descriptor", get("/.well-known/alto-federation"))
        .await;
    let tag = described.header("etag");
    let asks = [
        (
            "the descriptor where directories announce it",
            get("/s2s/v1/descriptor"),
        ),
        (
            "the descriptor that is known",
            get("/s2s/v1/descriptor").with("if-none-match", tag),
        ),
        (
            "the descriptor without its body",
            ask(Method::HEAD, "/s2s/v1/descriptor"),
        ),
        (
            "the descriptor by another method",
            ask(Method::PUT, "/s2s/v1/descriptor"),
        ),
        ("our own manifest", get(MANIFESTS).by(OPS)),
        (
            "for the peer that passes the others",
            get(MANIFESTS).by(&secret(1, 2)),
        ),
    ];
    tape.all(node, asks).await;
    let list = tape
        .ask(node, "for a peer that gets all", get(MANIFESTS).by(&peer()))
        .await;
    let known = get(MANIFESTS)
        .by(&peer())
        .with("if-none-match", list.header("etag"));
    tape.ask(node, "that are known", known).await;
    told(&mut tape, &world, &list.json()).await;
    let blob = |digest: &str| get(format!("/s2s/v1/blobs/{digest}"));
    let asks = [
        ("manifests for nobody", get(MANIFESTS)),
        ("manifests for a source", get(MANIFESTS).by(NOC)),
        (
            "manifests by another method",
            ask(Method::POST, MANIFESTS).by(OPS),
        ),
        (
            "a document that no manifest names",
            blob(&"00".repeat(32)).by(OPS),
        ),
        ("what is no digest", blob("x").by(OPS)),
        ("a document for nobody", blob("00")),
        ("what there is not", get("/s2s/v1/none").by(OPS)),
    ];
    tape.all(node, asks).await;
    tape.is("s2s-manifests.txt");
}

#[tokio::test]
async fn how_peers_stand() {
    let world = World::start().await;
    let node = &world.node;
    let mut tape = Tape::of(
        "The server-to-server API: how things stand with peers",
        &world.masks,
    );
    let on = |path: &str| ask(Method::POST, format!("/s2s/v1/{path}")).by(OPS);
    let asks = [
        ("the peers", get(PEERS).by(OPS)),
        (
            "the peers, of one domain",
            get(format!("{PEERS}?domain=isp-c")).by(OPS),
        ),
        (
            "the peers, of a domain that there is not",
            get(format!("{PEERS}?domain=isp-x")).by(OPS),
        ),
        (
            "the peers, of what is no domain",
            get(format!("{PEERS}?domain=a.b")).by(OPS),
        ),
        ("the peers for nobody", get(PEERS)),
        ("the peers for a peer", get(PEERS).by(&peer())),
        (
            "the peers by another method",
            ask(Method::PUT, PEERS).by(OPS),
        ),
        ("what does not fit", get("/s2s/v1/conflicts").by(OPS)),
        (
            "what does not fit for a peer",
            get("/s2s/v1/conflicts").by(&peer()),
        ),
        (
            "what does not fit by another method",
            ask(Method::PUT, "/s2s/v1/conflicts").by(OPS),
        ),
        ("a peer is read now", on("peers/isp-b/retry")),
        ("a plain peer is read now", on("peers/isp-d/retry")),
        ("who is no peer is read", on("peers/isp-c/retry")),
        ("what is no label is read", on("peers/a.b/retry")),
        (
            "a peer is read by who may not",
            ask(Method::POST, "/s2s/v1/peers/isp-b/retry").by(NOC),
        ),
        (
            "a peer is read by another method",
            get("/s2s/v1/peers/isp-b/retry").by(OPS),
        ),
        (
            "a change is accepted that is not held",
            on("domains/isp-b/accept"),
        ),
        (
            "a change is accepted of a domain that there is not",
            on("domains/isp-x/accept"),
        ),
        ("a key is forgotten", on("domains/isp-c/forget-key")),
        (
            "a key is forgotten that nobody knows",
            on("domains/isp-x/forget-key"),
        ),
        (
            "a key is forgotten by another method",
            get("/s2s/v1/domains/isp-c/forget-key").by(OPS),
        ),
    ];
    tape.all(node, asks).await;
    tape.is("s2s-peers.txt");
}

#[tokio::test]
async fn what_is_pushed_to_peers() {
    let world = World::start().await;
    let node = &world.node;
    let mut tape = Tape::of("The server-to-server API: update streams", &world.masks);
    let stream = |add: Value| post("/s2s/v1/updates", UPDATES, json!({"add": add})).by(&peer());
    let of = |id: &str| json!({"resource-id": id});
    let add = json!({
        "costs": of("isp-a:costmap-routingcost"),
        "domains": of("domains"),
        "manifest": of("isp-a:manifest"),
        "map": of("isp-a:networkmap"),
        "other": of("isp-b:networkmap"),
        "other-manifest": of("isp-c:manifest"),
    });
    // A push follows after signing.
    let mut known = stream(add.clone()).request(node).open().await;
    let is_signed = |document: &Value| document["serial"] == 1_767_323_046_000_u64;
    known
        .until(|documents| documents.get("manifest").is_some_and(is_signed))
        .await;
    let mut events = tape.open(node, "of several domains", stream(add)).await;
    let all = [
        "",
        "costs",
        "domains",
        "manifest",
        "map",
        "other",
        "other-manifest",
    ];
    tape.until(&mut events, &all).await;
    let patch = |path: &str, body: Value| {
        let patch = ask(Method::PATCH, format!("/n2s/v1/{path}"));
        patch.by(NOC).typed(MERGE_PATCH, body)
    };
    let cost = json!({"cost-map": {"core": {"edge": 13.5}}});
    tape.ask(node, "costs change", patch("cost-maps/routingcost", cost))
        .await;
    world.hand.advance(Duration::from_secs(1));
    tape.until(&mut events, &["costs", "manifest"]).await;
    let map = json!({"network-map": {"void": {"ipv4": ["203.0.113.0/24"]}}});
    tape.ask(node, "the map changes", patch("network-map", map))
        .await;
    world.hand.advance(Duration::from_secs(1));
    tape.until(&mut events, &["costs", "manifest", "map"]).await;
    let asks = [
        ("nothing", stream(json!({}))),
        (
            "a resource that there is not",
            stream(json!({"a": of("isp-a:none")})),
        ),
        (
            "a domain that it does not get",
            stream(json!({"a": of("isp-x:manifest")})),
        ),
        (
            "a resource that is no map",
            stream(json!({"a": of("isp-a:filtered-costmap")})),
        ),
        (
            "broken JSON",
            post("/s2s/v1/updates", UPDATES, "{").by(&peer()),
        ),
        (
            "of another type",
            post("/s2s/v1/updates", JSON, "{}").by(&peer()),
        ),
        ("for nobody", post("/s2s/v1/updates", UPDATES, "{}")),
        (
            "by who is no peer",
            post("/s2s/v1/updates", UPDATES, "{}").by(CDN),
        ),
        ("by another method", get("/s2s/v1/updates").by(&peer())),
    ];
    tape.all(node, asks).await;
    tape.is("s2s-updates.txt");
}
