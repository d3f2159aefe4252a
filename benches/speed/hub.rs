//! A node in the middle of a star: measures what a change costs it, by the number of neighbours.
//!
//! The neighbours are made up. Each serves a signed domain of two PIDs, and holds an update
//! stream of every domain that the hub passes to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use altofed::federation::SigningKey;
use altofed::ident::Digest;
use altofed::runtime::Clock;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::cpu_time;
use crate::stream::{Base, Stream};
use crate::streams::runtime;

/// How many changes are made.
const CHANGES: usize = 10;

const TOKEN: &str = "hub-operator-0123456789";

/// Runs a program as a hub with this many neighbours, and prints the CPU time that it takes
/// until all have all domains, and for each change of its own domain and of a neighbour's.
pub fn run(program: &str, neighbours: &str) {
    let count: usize = neighbours.parse().expect("a number of neighbours");
    runtime().block_on(measure(Path::new(program), count));
}

async fn measure(program: &Path, count: usize) {
    let mut neighbours = Vec::with_capacity(count);
    for number in 0..count {
        neighbours.push(Neighbour::start(number).await);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(program, directory.path(), &neighbours);
    let base = Base(&hub.url);
    base.put("network-map", TOKEN, NETWORK.as_bytes()).await;
    base.put("cost-maps/routingcost", TOKEN, &costs(1)).await;
    // The neighbour that is read last is passed to all others.
    let mut passed = 0;
    while passed < count {
        Clock::system().sleep(Duration::from_millis(200)).await;
        passed = base
            .get("/s2s/v1/manifests", &secret(0))
            .await
            .matches("\"manifest\"")
            .count();
    }
    let open = neighbours.iter().map(|neighbour| async {
        let params = neighbour.params(count);
        let events = 1 + params["add"].as_object().expect("substreams").len();
        let path = "/s2s/v1/updates";
        let mut stream = base
            .open_as(path, &params.to_string(), &secret(neighbour.number))
            .await;
        stream.until(events).await;
        stream
    });
    let mut streams = join_all(open).await;
    let converged = hub.cpu();
    let own = changes(&hub, &mut streams, None, async |round| {
        base.put("cost-maps/routingcost", TOKEN, &costs(2 + round))
            .await;
    });
    let own = own.await;
    let relayed = changes(&hub, &mut streams, Some(0), async |round| {
        neighbours[0].says(2 + round);
    });
    let relayed = relayed.await;
    println!(
        "{count} neighbours: {converged:.2} s of CPU until all have all domains; {own:.1} ms for a \
         change of the hub's own domain, {relayed:.1} ms for one that it relays"
    );
}

/// Returns the milliseconds of CPU time that a change takes the hub until all streams have it,
/// except `but`, the stream of the neighbour whose domain changes.
async fn changes(
    hub: &Hub,
    streams: &mut [Stream],
    but: Option<usize>,
    change: impl AsyncFn(usize),
) -> f64 {
    let before = hub.cpu();
    for round in 0..CHANGES {
        change(round).await;
        let told = streams
            .iter_mut()
            .enumerate()
            .filter(|(number, _)| Some(*number) != but);
        // Two events: the costs and the manifest.
        let told = told.map(|(_, stream)| stream.until(stream.events + 2));
        join_all(told).await;
    }
    (hub.cpu() - before) * 1e3 / CHANGES as f64
}

const NETWORK: &str =
    r#"{"network-map":{"core":{"ipv4":["10.250.0.0/17"]},"edge":{"ipv4":["10.250.128.0/17"]}}}"#;

fn costs(cost: usize) -> Vec<u8> {
    json!({"cost-map": {"core": {"edge": cost}, "edge": {"core": 1}}})
        .to_string()
        .into_bytes()
}

/// Returns the secret that a neighbour and the hub show each other.
fn secret(number: usize) -> String {
    format!("hub-secret-{number:08}")
}

/// The process of the hub.
struct Hub {
    child: Child,
    url: String,
}

impl Hub {
    fn start(program: &Path, directory: &Path, neighbours: &[Neighbour]) -> Self {
        let mut text = format!(
            "[node]\ndomain = \"hub\"\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\n\
             [limits]\nrequests_per_second = 0\n\
             [[token]]\nname = \"operator\"\nsecret = {TOKEN:?}\nscopes = [\"ingest\", \"operate\"]\n",
            directory.join("store")
        );
        for Neighbour { number, url, .. } in neighbours {
            let (secret, label) = (secret(*number), label(*number));
            let interval = if *number == 0 { "1s" } else { "1h" };
            text.push_str(&format!(
                "[[token]]\nname = \"from-{label}\"\nsecret = {secret:?}\nscopes = [\"peer\"]\n\
                 peer = {label:?}\n\
                 [[peer]]\ndomain = {label:?}\ndirectory = \"{url}/directory\"\n\
                 allow_private_addresses = true\nexport.domains = [\"*\"]\n\
                 refresh = {{ interval = \"{interval}\", stale_after = \"2h\" }}\n"
            ));
        }
        let config = directory.join("peers.toml");
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(program);
        command.args(["serve", "--json", "--config"]).arg(&config);
        let mut child = command
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let url = said["listening"].as_str().expect("a URL").to_owned();
        Self { child, url }
    }

    /// Returns the seconds of CPU time that the process has used.
    fn cpu(&self) -> f64 {
        cpu_time(&self.child.id().to_string()).as_secs_f64()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn label(number: usize) -> String {
    format!("n{number:03}")
}

/// A neighbour, with its answers by path.
struct Neighbour {
    number: usize,
    url: String,
    key: SigningKey,
    answers: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Neighbour {
    async fn start(number: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let served = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        let key = SigningKey::generate().expect("a key");
        let neighbour = Self {
            number,
            url,
            key,
            answers,
        };
        let descriptor = json!({
            "domain": label(number), "directory": format!("{}/directory", neighbour.url),
            "s2s": "/s2s/v1/", "keys": neighbour.keys(),
        });
        neighbour.answer("/.well-known/alto-federation", descriptor.to_string());
        neighbour.says(1);
        neighbour
    }

    fn answer(&self, path: &str, body: String) {
        let mut answers = self.answers.lock().expect("no panic");
        answers.insert(path.to_owned(), body.into_bytes());
    }

    fn keys(&self) -> Value {
        let key = self.key.public();
        json!([{"kid": key.kid(), "ed25519": key.encoded()}])
    }

    /// Changes the neighbour's cost.
    fn says(&self, cost: usize) {
        let domain = label(self.number);
        let net = 10 + self.number;
        let map = format!(
            r#"{{"core":{{"ipv4":["{net}.0.0.0/17"]}},"edge":{{"ipv4":["{net}.0.128.0/17"]}}}}"#
        );
        let id = format!("{domain}:networkmap");
        let tag = &Digest::of(map.as_bytes()).to_string()[..32];
        let vtag = json!({"resource-id": id, "tag": tag});
        let network = format!(r#"{{"meta":{{"vtag":{vtag}}},"network-map":{map}}}"#);
        let costs = json!({
            "cost-map": {"core": {"edge": cost}, "edge": {"core": 1}},
            "meta": {
                "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
                "dependent-vtags": [vtag],
            },
        });
        let costs = costs.to_string();
        let resource = |path: &str, media_type: &str, tag: &str, body: &str| {
            json!({
                "resource-id": format!("{domain}:{path}"),
                "media-type": format!("application/alto-{media_type}+json"),
                "tag": tag, "length": body.len(), "sha-256": Digest::of(body.as_bytes()),
            })
        };
        let costs_tag = Digest::of(costs.as_bytes()).to_string();
        let now = jiff::Timestamp::now();
        let serial = now.as_millisecond();
        let payload = json!({
            "domain": domain, "serial": serial, "issued": now,
            "next-update": now + jiff::SignedDuration::from_hours(6), "scope": "any",
            "keys": self.keys(), "interconnects": {},
            "resources": [
                resource("networkmap", "networkmap", tag, &network),
                resource("costmap-routingcost", "costmap", &costs_tag[..32], &costs),
            ],
        });
        for body in [network, costs] {
            self.answer(
                &format!("/s2s/v1/blobs/{}", Digest::of(body.as_bytes())),
                body,
            );
        }
        let header = json!({
            "alg": "EdDSA", "kid": self.key.public().kid(), "typ": "altofed-manifest",
        });
        let [header, payload] =
            [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        let entry = json!([{
            "domain": domain, "serial": serial, "path": [domain],
            "manifest": format!("{signed}.{signature}"),
        }]);
        self.answer("/s2s/v1/manifests", entry.to_string());
    }

    /// Returns the request for what the neighbour follows: the hub's domain and those of all
    /// others.
    fn params(&self, neighbours: usize) -> Value {
        let others = (0..neighbours)
            .filter(|other| *other != self.number)
            .map(label);
        let mut add = serde_json::Map::new();
        for domain in others.chain(["hub".to_owned()]) {
            for path in ["networkmap", "costmap-routingcost", "manifest"] {
                let id = format!("{domain}:{path}");
                add.insert(
                    id.clone(),
                    json!({"resource-id": id, "incremental-changes": true}),
                );
            }
        }
        add.insert("d".to_owned(), json!({"resource-id": "domains"}));
        json!({ "add": add })
    }
}

async fn serve(mut stream: TcpStream, answers: Arc<Mutex<BTreeMap<String, Vec<u8>>>>) {
    let mut asked = Vec::new();
    loop {
        let end = asked.windows(4).position(|end| end == b"\r\n\r\n");
        let Some(end) = end else {
            match stream.read_buf(&mut asked).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&asked[..end]).into_owned();
        asked.drain(..end + 4);
        let path = head.split(' ').nth(1).unwrap_or_default();
        let found = answers.lock().expect("no panic").get(path).cloned();
        let (status, body) = match found {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", Vec::new()),
        };
        let media_type = match () {
            () if body.starts_with(b"{\"meta\":{\"vtag") => "application/alto-networkmap+json",
            () if body.starts_with(b"{\"cost-map") => "application/alto-costmap+json",
            () => "application/json",
        };
        let mut out = Vec::new();
        let _ = write!(
            out,
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        out.extend(body);
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}
