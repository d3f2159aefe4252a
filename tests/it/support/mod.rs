//! Shared by the tests: nodes on free ports, and a client for them.

pub mod certificates;
pub mod changes;
mod disk;
pub mod events;
mod program;
pub mod tips;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use altofed::config::Config;
use altofed::node::{Ground, Node};
use altofed::runtime::Clock;
use altofed::store::{Durability, FreeSpace};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

pub use disk::Disk;
pub use program::{Program, command, config_path, set_mode, text, write_config, write_private};

/// The secrets of the tokens that every test node has.
pub const NOC: &str = "noc-secret-0123456789";
pub const NOC2: &str = "noc2-secret-0123456789";
pub const OPS: &str = "ops-secret-0123456789";
pub const CDN: &str = "cdn-secret-0123456789";

/// Media types of requests.
pub const JSON: &str = "application/json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const NETWORK_FILTER: &str = "application/alto-networkmapfilter+json";
pub const COST_FILTER: &str = "application/alto-costmapfilter+json";
pub const PROPERTY_PARAMS: &str = "application/alto-endpointpropparams+json";
pub const COST_PARAMS: &str = "application/alto-endpointcostparams+json";

/// A node of the domain `isp-a` on a free port, with its own data directory.
pub struct TestNode {
    node: Option<Node>,
    data: TempDir,
    more: String,
    clock: Clock,
    pub url: String,
    http: reqwest::Client,
}

impl TestNode {
    /// Starts a node with the defaults and the tokens above.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// Starts a node with more configuration.
    pub async fn with(more: &str) -> Self {
        Self::run(more, Clock::system(), Durability::Real).await
    }

    /// Starts a node with a clock. Its connections stay open for days, so that a leap of the
    /// clock does not end those of the client.
    pub async fn clocked(clock: Clock, more: &str) -> Self {
        let more = format!("{more}[http]\nidle_timeout = \"100h\"\n");
        Self::run(&more, clock, Durability::Real).await
    }

    /// Starts a node whose store fails as `durability` says.
    pub async fn failing(durability: Durability) -> Self {
        Self::failing_at(Clock::system(), durability).await
    }

    /// Starts a node whose store fails, with a clock.
    pub async fn failing_at(clock: Clock, durability: Durability) -> Self {
        Self::run("", clock, durability).await
    }

    /// Starts a node whose store fails, with more configuration.
    pub async fn failing_with(more: &str, clock: Clock, durability: Durability) -> Self {
        Self::run(more, clock, durability).await
    }

    async fn run(more: &str, clock: Clock, durability: Durability) -> Self {
        let ground = Ground {
            durability,
            ..Ground::at(clock)
        };
        let node = Self::on(ground, more).await;
        node.joined().await;
        node
    }

    /// Starts a node whose disk has as much free space as `free` says.
    pub async fn filling(free: FreeSpace, more: &str) -> Self {
        let ground = Ground {
            free,
            ..Ground::at(Clock::system())
        };
        let node = Self::on(ground, more).await;
        node.joined().await;
        node
    }

    /// Starts a node on this ground, and waits until it listens.
    pub async fn on(ground: Ground, more: &str) -> Self {
        let data = TempDir::new().expect("a directory");
        let config = config(data.path(), more);
        let clock = ground.clock.clone();
        let node = Node::start_on(config, ground).await.expect("a node");
        Self {
            clock,
            url: reached_at(&node, more),
            node: Some(node),
            data,
            more: more.to_owned(),
            http: plain_client(),
        }
    }

    /// Waits until the node has its merged view.
    async fn joined(&self) {
        until_joined(self.node.as_ref().expect("it runs")).await;
    }

    /// Waits until the node has signed its domain: until then it writes to its disk by itself.
    pub async fn signed(&self) {
        let manifests = || self.request(Method::GET, "/s2s/v1/manifests").token(OPS);
        while manifests().send().await.status != 200 {
            tokio::task::yield_now().await;
        }
    }

    /// Returns the node itself.
    pub fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("it runs")
    }

    /// Returns the directory of its store.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Stops the node properly; returns the directory of its store.
    pub async fn stop(mut self) -> TempDir {
        let node = self.node.take().expect("it runs");
        let ended = node.shutdown(std::time::Duration::from_secs(10));
        ended.await.expect("a sound end");
        self.data
    }

    /// Stops the node properly and starts it again on the same data; its port may change.
    pub async fn restart(&mut self) {
        self.restart_at(self.clock.clone()).await;
    }

    /// Restarts it with another clock.
    pub async fn restart_at(&mut self, clock: Clock) {
        let node = self.node.take().expect("it runs");
        node.shutdown(std::time::Duration::from_secs(10))
            .await
            .expect("a sound end");
        let config = config(self.data.path(), &self.more);
        self.clock = clock.clone();
        let node = Node::start(config, clock).await.expect("a node");
        self.url = reached_at(&node, &self.more);
        self.node = Some(node);
        self.joined().await;
    }

    /// Stops the node properly and starts it again on the same data, on another ground.
    pub async fn restart_on(&mut self, ground: Ground) {
        let node = self.node.take().expect("it runs");
        let ended = node.shutdown(std::time::Duration::from_secs(10));
        ended.await.expect("a sound end");
        let config = config(self.data.path(), &self.more);
        self.clock = ground.clock.clone();
        let node = Node::start_on(config, ground).await.expect("a node");
        self.url = reached_at(&node, &self.more);
        self.node = Some(node);
        self.joined().await;
    }

    /// Stops the node properly and starts it again with another configuration besides the
    /// defaults.
    pub async fn restart_with(&mut self, more: &str) {
        self.more = more.to_owned();
        self.restart().await;
    }

    /// Returns the text of a configuration like its own, with other additions.
    pub fn config_text(&self, more: &str) -> String {
        config_text(self.data.path(), more)
    }

    /// Returns a configuration like its own, with other additions.
    pub fn config_with(&self, more: &str) -> Config {
        config(self.data.path(), more)
    }

    /// Makes a request to a path, or to a full URL.
    pub fn request(&self, method: Method, path: &str) -> Request {
        self.request_by(&self.http, method, path)
    }

    /// Makes a request by another client than the node's own.
    pub fn request_by(&self, client: &reqwest::Client, method: Method, path: &str) -> Request {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", self.url),
        };
        Request::to(client, method, &url)
    }

    /// GET without any header.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// Makes a POST of a query.
    pub async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.request(Method::POST, path)
            .typed(media_type, body)
            .send()
            .await
    }

    /// Returns the value of a metric.
    pub async fn metric(&self, name: &str) -> f64 {
        metric(self.get("/metrics").await.text(), name)
    }

    /// Waits until a metric has a value.
    pub async fn until_metric(&self, name: &str, is: impl Fn(f64) -> bool) -> f64 {
        crate::peer::soon(async {
            loop {
                let value = self.metric(name).await;
                if is(value) {
                    return value;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Makes a request to the network-to-server API, with a body of the type that goes with the
    /// method.
    pub fn n2s(&self, secret: &str, method: Method, path: &str, body: Option<&Value>) -> Request {
        let media_type = if method == Method::PATCH {
            MERGE_PATCH
        } else {
            JSON
        };
        let request = self
            .request(method, &format!("/n2s/v1/{path}"))
            .token(secret);
        match body {
            Some(body) => request.typed(media_type, body.to_string()),
            None => request,
        }
    }

    /// Gets a document from the network-to-server API by the source `noc`.
    pub async fn stated(&self, path: &str) -> Answer {
        self.n2s(NOC, Method::GET, path, None).send().await
    }

    /// Puts a document by the source `noc`, which must succeed.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        let answer = self.n2s(NOC, Method::PUT, path, Some(body)).send().await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        answer
    }
}

/// Returns the value of a metric from the text of all metrics.
pub fn metric(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.strip_prefix(' ')?.parse().ok()
    });
    value.unwrap_or_else(|| panic!("{name} is not in {text}"))
}

/// Waits until a node has its merged view.
pub async fn until_joined(node: &Node) {
    let mut snapshots = node.snapshots();
    let joined = snapshots.wait_for(|snapshot| snapshot.merged_revision().is_some());
    drop(joined.await.expect("it runs"));
}

/// Returns the URL of a node for a client beside it, whatever its public name.
fn reached_at(node: &Node, more: &str) -> String {
    match more.contains("public_url") {
        true => format!("http://{}", node.address()),
        false => node.base_url().to_owned(),
    }
}

/// Returns the configuration of a test node.
fn config(directory: &Path, more: &str) -> Config {
    let text = config_text(directory, more);
    Config::parse(&text, Path::new("test.toml")).expect("a sound configuration")
}

/// Returns the text of the configuration of a test node. `more` may begin with further keys of
/// `[node]`. Unless it sets limits of its own, the requests of a test, and its wrong
/// credentials, may come from one caller as fast as the machine can send them.
fn config_text(directory: &Path, more: &str) -> String {
    let unlimited = if more.contains("[limits]") {
        "\n"
    } else {
        "\n[limits]\nrequests_per_second = 0\nwrong_credentials_per_minute = 0\n"
    };
    // How long a merge takes must not matter in a test.
    let patient = if more.contains("[merge]") {
        ""
    } else {
        "[merge]\npatience = \"1h\"\n"
    };
    let token = |name: &str, secret: &str, scopes: &str, rest: &str| {
        format!("[[token]]\nname = {name:?}\nsecret = {secret:?}\nscopes = {scopes}\n{rest}\n")
    };
    [
        format!(
            "[node]\ndomain = \"isp-a\"\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\nthreads = 2\n",
            directory.join("store")
        ),
        more.to_owned(),
        unlimited.to_owned(),
        patient.to_owned(),
        token("noc", NOC, "[\"ingest\"]", "sources = [\"probe\"]"),
        token("noc2", NOC2, "[\"ingest\"]", ""),
        token("ops", OPS, "[\"ingest\", \"operate\", \"peer\"]", ""),
        token("cdn", CDN, "[\"query\"]", ""),
    ]
    .concat()
}

/// Makes a client that adds nothing to a request by itself.
pub fn plain_client() -> reqwest::Client {
    client_builder().build().expect("a client")
}

/// Makes such a client at an address that no other one has.
pub fn client_elsewhere() -> reqwest::Client {
    client_at([127, 0, 0, 2])
}

/// Makes such a client at an address.
pub fn client_at(address: [u8; 4]) -> reqwest::Client {
    let address = std::net::Ipv4Addr::from(address);
    let builder = client_builder().local_address(std::net::IpAddr::from(address));
    builder.build().expect("a client")
}

/// Makes the builder of [`plain_client`].
pub fn client_builder() -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trusting_nobody = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    builder_with(trusting_nobody)
}

/// Makes a client like [`plain_client`], with this side of TLS.
pub fn client_with(tls: rustls::ClientConfig) -> reqwest::Client {
    builder_with(tls).build().expect("a client")
}

fn builder_with(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_gzip()
        .no_zstd()
        .redirect(reqwest::redirect::Policy::none())
}

/// A request that is being made.
pub struct Request(reqwest::RequestBuilder);

impl Request {
    /// Makes a request to a URL.
    pub fn to(client: &reqwest::Client, method: Method, url: &str) -> Self {
        Self(client.request(method, url))
    }

    /// Adds a bearer token.
    pub fn token(self, secret: &str) -> Self {
        Self(self.0.bearer_auth(secret))
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Adds a header that need not be text.
    pub fn raw(self, name: &str, value: HeaderValue) -> Self {
        Self(self.0.header(name, value))
    }

    /// Adds a body of a media type.
    pub fn typed(self, media_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("content-type", media_type).body(body))
    }

    /// Adds a body.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    /// Sends the request and reads the whole answer.
    pub async fn send(self) -> Answer {
        self.tried().await.expect("an answer")
    }

    /// Sends the request and reads the whole answer, if it comes.
    pub async fn tried(self) -> Result<Answer, reqwest::Error> {
        let response = self.begin().await?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// Sends the request; the body of the answer is left to be read.
    pub async fn begin(self) -> Result<reqwest::Response, reqwest::Error> {
        self.0.send().await
    }
}

/// An answer that was read completely.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns a header as text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value: &HeaderValue| value.to_str().expect("text"))
    }

    /// Returns the body as it was before compression.
    pub fn decoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self.header("content-encoding") {
            "" => out.extend_from_slice(&self.body),
            "gzip" => {
                let read = flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut out);
                read.expect("gzip");
            }
            "zstd" => out = zstd::stream::decode_all(&self.body[..]).expect("zstd"),
            other => panic!("coded as {other}"),
        }
        out
    }

    /// Returns the JSON of an answer, which must be 200 and of this media type.
    #[track_caller]
    pub fn ok(&self, media_type: &str) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), media_type);
        self.json()
    }

    /// Checks that the answer is a problem with this status, and with faults at these pointers,
    /// in order.
    #[track_caller]
    pub fn problem(&self, status: u16, pointers: &[&str]) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        let kind = problem["type"].as_str().expect("a type");
        assert!(kind.starts_with("urn:altofed:problem:"), "{problem}");
        for member in ["title", "detail"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
        }
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = errors
            .iter()
            .map(|error| error["pointer"].as_str().expect("a pointer"))
            .collect();
        assert_eq!(found, pointers, "{problem}");
        problem
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(600)
            .collect();
        write!(f, "{} {:?} {text}", self.status, self.headers)
    }
}
