//! A small federation whose clock stands still and whose keys are fixed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use altofed::federation::SigningKey;
use altofed::runtime::{Clock, ManualClock};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::federation::links::Link;
use crate::federation::member::{Join, secret};
use crate::federation::rogue::{Rogue, Says, Signed, payload};
use crate::metro::{COST_MAP, DIRECTORY, NETWORK_MAP};
use crate::peer::server::{Server, ok};
use crate::peer::soon;
use crate::support::{OPS, TestNode, write_private};

/// The time at which everything begins.
pub fn beginning() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a time")
}

/// Returns the configuration of a node that is known as `isp-a.example`, and signs with this
/// key.
pub fn known(key: &Path) -> String {
    format!(
        "public_url = \"http://isp-a.example\"\nname = \"ISP A\"\nasns = [64500]\n\
         [federation]\nkey = {key:?}\n"
    )
}

/// Writes the key made from a seed to a file: PKCS #8 (RFC 8410 section 7).
pub fn write_key(directory: &TempDir, seed: u8) -> PathBuf {
    const HEAD: [u8; 16] = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let der = [&HEAD[..], &[seed; 32]].concat();
    let text = STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    let file = directory.path().join(format!("{seed}.pem"));
    write_private(&file, &pem);
    file
}

/// Returns what `isp-a` states, in an order in which it can be put.
pub fn facts() -> [(&'static str, Value); 6] {
    [
        (
            "network-map",
            json!({"network-map": {
                "core": {"ipv4": ["10.1.0.0/17"], "ipv6": ["2001:db8:1::/48"]},
                "edge": {"ipv4": ["198.51.100.128/25", "10.1.128.0/17"]},
                "lab": {"ipv4": ["10.1.7.0/24"], "ipv6": ["2001:db8:1:7::/64"]},
                "void": {},
            }}),
        ),
        (
            "cost-maps/routingcost",
            json!({"cost-map": {
                "core": {"core": 0, "edge": 4.5, "lab": 1},
                "edge": {"core": 5, "edge": 0.125, "lab": 12.75},
                "lab": {"core": 1, "lab": 0},
            }}),
        ),
        (
            "cost-maps/hopcount",
            json!({"cost-map": {"core": {"edge": 2}, "edge": {"core": 2, "lab": 3}}}),
        ),
        (
            "cost-maps/bw-available",
            json!({"cost-map": {"core": {"edge": 1e21, "lab": 1e-7}, "edge": {"core": 25e9}}}),
        ),
        (
            "properties",
            json!({"property-map": {
                "ipv4:10.1.7.0/24": {"priv:access": "fibre"},
                "ipv6:2001:db8:1::/48": {"priv:access": "\"é\"\n", "priv:shared": true},
                "pid:core": {"priv:memory": 64.5},
            }}),
        ),
        (
            "interconnects",
            json!({"interconnects": {
                "x-1-2": {
                    "border": "core", "peer-domain": "isp-b", "peer-border": "edge",
                    "relationship": "open", "costs": {"hopcount": 1, "routingcost": 12},
                },
                // The other side does not confirm this one.
                "x-1-9": {
                    "border": "edge", "peer-domain": "isp-i", "peer-border": "edge",
                    "relationship": "peer", "costs": {"routingcost": 3},
                },
            }}),
        ),
    ]
}

/// Our node and its peers: `isp-b` signs and passes on `isp-c`; `isp-d` is a plain server.
pub struct World {
    pub node: TestNode,
    pub hand: ManualClock,
    /// The names that are recorded for the addresses of servers.
    pub masks: Vec<(String, String)>,
    _rogue: Rogue,
    _plain: Server,
    _directory: TempDir,
}

impl World {
    /// Starts all of them, and waits until the merged view has all domains and our own is
    /// signed.
    pub async fn start() -> Self {
        Self::known_as(known).await
    }

    /// Starts them with our node known as in this configuration.
    pub async fn known_as(known: impl Fn(&Path) -> String) -> Self {
        let directory = TempDir::new().expect("a directory");
        let keys = [2, 3].map(|seed| SigningKey::load(&write_key(&directory, seed)));
        let keys = keys.map(|key| key.expect("a key"));
        let rogue = Rogue::start(2, &keys[0]).await;
        let plain = plain().await;
        let own = known(&write_key(&directory, 1));
        let peers = [own, peers(&rogue.url, plain.root.as_str())].concat();
        let (clock, hand) = Clock::manual(beginning());
        rogue.passes(&passed(&keys));
        let node = TestNode::clocked(clock, &peers).await;
        let address = |url: &str| url.split('/').nth(2).expect("an address").to_owned();
        let masks = [
            (&*node.url, "isp-a.example"),
            (&*rogue.url, "isp-b.example"),
            (plain.root.as_str(), "isp-d.example"),
        ];
        let world = Self {
            masks: masks.map(|(url, name)| (address(url), name.into())).into(),
            node,
            hand,
            _rogue: rogue,
            _plain: plain,
            _directory: directory,
        };
        world.joined(&["isp-b:core", "isp-c:more", "isp-d:a"]).await;
        world.node.signed().await;
        for (path, body) in facts() {
            world.node.put(path, &body).await;
        }
        // Until then it signs nothing more.
        world.hand.advance(Duration::from_secs(1));
        world.until_signed("x-1-9").await;
        world
    }

    /// Waits until the merged network map contains these words.
    pub async fn joined(&self, words: &[&str]) {
        soon(async {
            loop {
                let map = self.node.get("/views/merged/networkmap").await;
                let ready = self.node.get("/readyz?verbose").await;
                if words.iter().all(|word| map.text().contains(word))
                    && !ready.text().contains("behind")
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Waits until our own manifest contains these words.
    pub async fn until_signed(&self, words: &str) {
        soon(async {
            loop {
                let manifests = self.node.request(Method::GET, "/s2s/v1/manifests");
                let answer = manifests.token(OPS).send().await.json();
                let own = answer[0]["manifest"].as_str().and_then(payload);
                if own.is_some_and(|own| own.contains(words)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Returns what `isp-b` passes.
fn passed(keys: &[SigningKey; 2]) -> [Signed; 2] {
    let said = Says {
        serial: 7,
        issued: beginning(),
        more: vec![(
            "hopcount",
            r#"{"core":{"edge":1},"edge":{"core":1}}"#.into(),
        )],
        ..Says::sound(2)
    };
    let said = said.linked(Link(1, 2)).linked(Link(2, 3));
    let beyond = Says {
        serial: 9,
        issued: beginning(),
        // The first one also comes from `isp-b`.
        ..Says::claiming(3, &["10.2.128.0/17", "192.0.2.0/25"])
    };
    let beyond = beyond.linked(Link(2, 3)).signed(&keys[1]);
    [said.signed(&keys[0]), beyond.through(&[2])]
}

/// Starts the plain server of `isp-d`.
async fn plain() -> Server {
    let cost_type = json!({"cost-metric": "routingcost", "cost-mode": "numerical"});
    let directory = json!({
        "meta": {"default-alto-network-map": "map", "cost-types": {"rc": cost_type}},
        "resources": {
            "map": {"uri": "map", "media-type": NETWORK_MAP},
            "rc": {
                "uri": "rc", "media-type": COST_MAP, "uses": ["map"],
                "capabilities": {"cost-type-names": ["rc"]},
            },
        },
    });
    let vtag = json!({"resource-id": "map", "tag": "1"});
    let map = json!({
        "meta": {"vtag": vtag},
        "network-map": {
            "a": {"ipv4": ["192.0.2.128/25"]},
            "b": {"ipv4": ["0.0.0.0/0", "100.64.0.0/10"], "ipv6": ["::/0"]},
        },
    });
    let costs = json!({
        "meta": {"dependent-vtags": [vtag], "cost-type": cost_type},
        "cost-map": {"a": {"a": 0, "b": 7.5}, "b": {"a": 3}},
    });
    Server::start([
        ("/alto/directory", ok(DIRECTORY, directory.to_string())),
        ("/alto/map", ok(NETWORK_MAP, map.to_string())),
        ("/alto/rc", ok(COST_MAP, costs.to_string())),
    ])
    .await
}

/// Returns the configuration of our peers.
fn peers(signed: &str, plain: &str) -> String {
    let join = Join {
        more: "",
        ..Join::to(2, signed)
    };
    let shown = secret(1, 4);
    format!(
        "{}\
         [[token]]\nname = \"from-isp-d\"\nsecret = {shown:?}\nscopes = [\"peer\"]\n\
         peer = \"isp-d\"\n\
         [[peer]]\ndomain = \"isp-d\"\ndirectory = {plain:?}\nprotocol = \"alto\"\n\
         allow_private_addresses = true\nexport.domains = [\"*\"]\n\
         [[peer.interconnect]]\nid = \"x-1-4\"\nborder = \"edge\"\npeer_border = \"a\"\n\
         costs = {{ routingcost = 3.5 }}\nreverse_costs = {{ routingcost = 4 }}\n",
        join.text(1)
    )
}
