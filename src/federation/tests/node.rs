//! A node of the federation for tests: a [`Federation`] and a minimal HTTP server, written for
//! these tests only, that serves what the node passes on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::api::s2s::{ImportStatus, PeerState, PeerStatus};
use crate::federation::settings::Domains;
use crate::federation::testing::{at, domain_view_with, label, links, peer, settings};
use crate::federation::{
    Blob, DomainCopy, Federation, Keyring, OwnDomain, Restoring, Settings, SigningKey,
};
use crate::ident::{Digest, DomainLabel};
use crate::runtime::testing::soon;
use crate::runtime::{Clock, Gate, ManualClock, Pool, Task};
use crate::store::{Opened, Store};

/// An answer of the server.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

/// What is done to an answer on its way, given the requested path.
type Tamper = Box<dyn FnMut(&str, Reply) -> Reply + Send>;

/// What the server has.
#[derive(Default)]
struct Desk {
    federation: OnceLock<Arc<Federation>>,
    tamper: Mutex<Option<Tamper>>,
    asked: Mutex<Vec<String>>,
}

/// A node under test.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) federation: Arc<Federation>,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) own: watch::Sender<OwnDomain>,
    desk: Arc<Desk>,
    store: Store,
    pub(super) directory: Arc<tempfile::TempDir>,
    _server: Task<()>,
}

/// The clock of all nodes of a test.
pub(super) struct Time {
    pub(super) clock: Clock,
    pub(super) hand: ManualClock,
}

impl Time {
    pub(super) fn new() -> Self {
        let (clock, hand) = Clock::manual(at(0));
        Self { clock, hand }
    }
}

/// Returns what a domain states, with this cost from east to west.
pub(super) fn says(name: &str, cost: f64) -> OwnDomain {
    OwnDomain {
        view: domain_view_with(name, cost),
        off_net: Arc::default(),
        interconnects: Arc::new(links("isp-z")),
    }
}

/// Starts `isp-a` and `isp-b`, neither of which reads the other.
pub(super) async fn pair(time: &Time) -> (Node, Node) {
    (
        Node::start(time, "isp-a").await,
        Node::start(time, "isp-b").await,
    )
}

/// Starts `isp-a` and `isp-b`; `isp-a` reads `isp-b` and uses its domain.
pub(super) async fn joined(time: &Time) -> (Node, Node) {
    let (a, b) = pair(time).await;
    a.reads(&b, "own", "own");
    a.has("isp-b").await;
    a.until(|it| is_synced(it, "isp-b")).await;
    (a, b)
}

/// Starts `isp-a`, `isp-b` that relays everything to it, and `isp-c` that `isp-b` reads; `isp-a`
/// reads nobody yet.
pub(super) async fn chain(time: &Time) -> (Node, Node, Node) {
    let (a, b) = pair(time).await;
    let c = Node::start(time, "isp-c").await;
    b.reads(&c, "own", "own");
    b.reads(&a, "own", "*");
    b.has("isp-c").await;
    (a, b, c)
}

impl Node {
    /// Starts a node without peers.
    pub(super) async fn start(time: &Time, name: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = settings();
        settings.own.domain = label(name);
        settings.own.keys.key = new_key(&directory.path().join("key.pem"));
        Self::start_with(&time.clock, name, Arc::new(directory), settings).await
    }

    async fn start_with(
        clock: &Clock,
        name: &'static str,
        directory: Arc<tempfile::TempDir>,
        settings: Settings,
    ) -> Self {
        let Opened { store, .. } = open(&directory).await;
        let (own, own_read) = watch::channel(says(name, 5.0));
        let (settings, settings_read) = watch::channel(Arc::new(settings));
        let pool = Pool::new(1).expect("a pool");
        let (clock, gate) = (clock.clone(), Gate::default());
        let federation = Federation::start(settings_read, own_read, &store, pool, clock, gate);
        let federation = Arc::new(federation.await.expect("it starts"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let desk = Arc::new(Desk::default());
        assert!(desk.federation.set(federation.clone()).is_ok());
        let server = serve(listener, desk.clone(), url.clone());
        let node = Self {
            name,
            url,
            federation,
            settings,
            own,
            desk,
            store,
            directory,
            _server: Task::spawn("server", server),
        };
        let mut issued = node.federation.issued();
        soon(issued.wait_for(|issued| !issued.is_empty()))
            .await
            .expect("it signs");
        let mut restoring = node.federation.restoring();
        soon(restoring.wait_for(Restoring::is_over))
            .await
            .expect("it restores");
        node
    }

    /// Stops the node and starts it again on the same data, at another port.
    pub(super) async fn restart(self, clock: &Clock) -> Self {
        let settings = Settings::clone(&self.settings.borrow());
        let (name, directory) = self.stop().await;
        Self::start_with(clock, name, directory, settings).await
    }

    /// Stops the node, so that its port does not answer any more; returns its name and data.
    pub(super) async fn stop(self) -> (&'static str, Arc<tempfile::TempDir>) {
        let Self {
            name,
            federation,
            store,
            directory,
            _server: server,
            desk,
            ..
        } = self;
        server.cancel().await;
        drop((federation, desk));
        store.close().await.expect("closed");
        (name, directory)
    }

    /// Changes the node's settings.
    pub(super) fn configure(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::clone(&self.settings.borrow());
        change(&mut settings);
        self.settings.send_replace(Arc::new(settings));
    }

    /// Has the node read `other`, importing and exporting these domains.
    pub(super) fn reads(&self, other: &Node, import: &str, export: &str) {
        self.configure(|settings| {
            let mut peer = peer(other.name, &format!("{}/directory", other.url));
            peer.token = Some(self.name.to_owned().into());
            peer.import.domains = choice(import);
            peer.export.domains = choice(export);
            settings.peers.insert(label(other.name), peer);
        });
    }

    /// Applies `tamper` to each answer from now on.
    pub(super) fn tamper(&self, tamper: impl FnMut(&str, Reply) -> Reply + Send + 'static) {
        *self.desk.tamper.lock().expect("no panic") = Some(Box::new(tamper));
    }

    /// Stops tampering with answers.
    pub(super) fn mend(&self) {
        *self.desk.tamper.lock().expect("no panic") = None;
    }

    /// Takes the paths that were requested since they were last taken.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.desk.asked.lock().expect("no panic"))
    }

    /// States another cost, and waits until that is signed.
    pub(super) async fn say(&self, time: &Time, cost: f64) {
        self.state(time, says(self.name, cost)).await;
    }

    /// States this domain, and waits until that is signed.
    pub(super) async fn state(&self, time: &Time, said: OwnDomain) {
        const SECOND: Duration = Duration::from_secs(1);
        let mut issued = self.federation.issued();
        self.own.send_replace(said.clone());
        let signed = issued.wait_for(|issued| Arc::ptr_eq(&issued[0].view, &said.view));
        let mut signed = std::pin::pin!(soon(signed));
        loop {
            tokio::select! {
                signed = &mut signed => {
                    drop(signed.expect("it signs"));
                    return;
                }
                // The publisher may have to wait, because it just signed.
                () = time.hand.sleeper(SECOND) => time.hand.advance(SECOND),
            }
        }
    }

    /// Waits until a condition holds for the federation.
    pub(super) async fn until(&self, holds: impl Fn(&Federation) -> bool) {
        let mut changes = self.federation.changes();
        let waiting = async {
            while !holds(&self.federation) {
                changes.changed().await.expect("it runs");
            }
        };
        let limit = Duration::from_secs(20);
        if tokio::time::timeout(limit, waiting).await.is_err() {
            let status = self.federation.peers();
            panic!("it does not come to hold: {status:#?}");
        }
    }

    /// Has the node read a peer, and waits until a condition holds.
    pub(super) async fn read_until(&self, peer: &str, holds: impl Fn(&Federation) -> bool) {
        assert!(self.federation.refresh(&label(peer)), "{peer} is a peer");
        self.until(holds).await;
    }

    /// Waits until the node uses the domain; returns its cost from east to west.
    pub(super) async fn has(&self, domain: &str) -> f64 {
        self.until(|it| cost(it, domain).is_some()).await;
        cost(&self.federation, domain).expect("it was there")
    }

    /// Returns the copy of a domain that the node uses.
    pub(super) fn copy(&self, domain: &str) -> Arc<DomainCopy> {
        self.federation.imported().borrow()[&label(domain)].clone()
    }

    /// Returns the keys that the node is configured to sign with.
    pub(super) fn keyring(&self) -> Keyring {
        Keyring::load(&self.settings.borrow().own.keys).expect("loaded")
    }

    /// Pins the key of `signer` for a domain.
    pub(super) fn pins(&self, domain: &str, signer: &Node) {
        let key = *signer.keyring().signer(at(0)).public();
        self.configure(|settings| drop(settings.pins.insert(label(domain), vec![key])));
    }

    /// Returns the status of a peer.
    pub(super) fn peer(&self, name: &str) -> PeerStatus {
        status(&self.federation, name).expect("a peer")
    }
}

/// Returns the status of a peer, if it is one.
pub(super) fn status(federation: &Federation, peer: &str) -> Option<PeerStatus> {
    let peers = federation.peers().peers.into_iter();
    peers
        .into_iter()
        .find(|status| status.domain == label(peer))
}

/// Returns the state of a peer, and the code of the reason for it.
pub(super) fn state(federation: &Federation, peer: &str) -> (PeerState, String) {
    let status = status(federation, peer).expect("a peer");
    let reason = status.reason.map(|reason| reason.code);
    (status.state, reason.unwrap_or_default())
}

/// Whether the state of a peer has this reason.
pub(super) fn has_reason(federation: &Federation, peer: &str, code: &str) -> bool {
    let reason = status(federation, peer).and_then(|status| status.reason);
    reason.is_some_and(|reason| reason.code == code)
}

/// Returns how often in a row `isp-b` could not be read.
pub(super) fn failures(federation: &Federation) -> u32 {
    status(federation, "isp-b").map_or(0, |status| status.failures)
}

/// Whether a peer was read and what it gave was taken.
pub(super) fn is_synced(federation: &Federation, peer: &str) -> bool {
    let status = status(federation, peer);
    status.is_some_and(|status| status.state == PeerState::Synced && status.reason.is_none())
}

/// Returns the status of a domain that a peer passes on.
pub(super) fn domain(federation: &Federation, peer: &str, domain: &str) -> Option<ImportStatus> {
    let domains = status(federation, peer)?.domains.into_iter();
    domains.into_iter().find(|it| it.domain == label(domain))
}

/// Returns the code of the reason why a domain was refused, or an empty text.
pub(super) fn refused(federation: &Federation, peer: &str, name: &str) -> String {
    let domain = domain(federation, peer, name);
    let reason = domain.and_then(|domain| domain.reason);
    reason.map(|reason| reason.code).unwrap_or_default()
}

/// Returns the cost from east to west of a domain, if it is used.
pub(super) fn cost(federation: &Federation, domain: &str) -> Option<f64> {
    let imports = federation.imported().borrow().clone();
    let view = &imports.get(&label(domain))?.view;
    let mut row = Vec::new();
    view.costs().get("routingcost")?.row(0, &mut row);
    row.get(1).copied()
}

/// Makes a key and saves it to a file.
pub(super) fn new_key(path: &std::path::Path) -> PathBuf {
    let key = SigningKey::generate().expect("a key");
    key.save(path).expect("saved");
    path.to_owned()
}

fn choice(words: &str) -> Domains {
    let words = words.split(' ').map(str::to_owned);
    Domains::try_from(words.collect::<Vec<_>>()).expect("a choice")
}

async fn open(directory: &tempfile::TempDir) -> Opened {
    let settings = crate::store::Settings {
        cache_bytes: 1024 * 1024,
        ..crate::store::Settings::default()
    };
    let path = directory.path().join("store");
    Store::open(&path, &settings).expect("opened")
}

async fn serve(listener: TcpListener, desk: Arc<Desk>, base: String) {
    let mut connections = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (desk, base) = (desk.clone(), base.clone());
        let connection = async move {
            // A peer may close the connection at any time.
            let _left = answer(stream, &desk, &base).await;
        };
        connections.push(Task::spawn("connection", connection));
    }
}

/// Answers the requests of a connection, one after the other.
async fn answer(mut stream: TcpStream, desk: &Desk, base: &str) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_owned())
        };
        let caller = header("authorization");
        let caller = caller.and_then(|text| DomainLabel::new(text.strip_prefix("Bearer ")?).ok());
        desk.asked.lock().expect("no panic").push(path.clone());
        let mut reply = reply(desk, base, &path, caller.as_ref()).await;
        if let Some(tamper) = &mut *desk.tamper.lock().expect("no panic") {
            reply = tamper(&path, reply);
        }
        let etag = format!("\"{}\"", Digest::of(&reply.body));
        if reply.status == 200 && header("if-none-match").as_deref() == Some(&etag) {
            reply.status = 304;
            reply.body = Bytes::new();
        }
        let (status, length) = (reply.status, reply.body.len());
        let mut out = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {}\r\netag: {etag}\r\n",
            reply.media_type
        );
        if status != 304 {
            out.push_str(&format!("content-length: {length}\r\n"));
        }
        out.push_str("\r\n");
        stream.write_all(out.as_bytes()).await?;
        stream.write_all(&reply.body).await?;
    }
}

async fn reply(desk: &Desk, base: &str, path: &str, caller: Option<&DomainLabel>) -> Reply {
    let json = |body: Vec<u8>| Reply {
        status: 200,
        media_type: "application/json".to_owned(),
        body: body.into(),
    };
    let without_body = |status| Reply {
        status,
        media_type: "text/plain".to_owned(),
        body: Bytes::new(),
    };
    let missing = || without_body(404);
    let Some(federation) = desk.federation.get() else {
        return missing();
    };
    if path == "/.well-known/alto-federation" {
        return json(serde_json::to_vec(&federation.descriptor(base)).expect("JSON"));
    }
    if path == "/s2s/v1/manifests" {
        return match federation.exports(caller) {
            Ok(entries) => json(serde_json::to_vec(&entries).expect("JSON")),
            Err(_) => without_body(503),
        };
    }
    let digest = path.strip_prefix("/s2s/v1/blobs/");
    let Some(digest) = digest.and_then(|text| text.parse().ok()) else {
        return missing();
    };
    match federation.blob(caller, &digest).await.expect("readable") {
        Some(Blob::Resource(view, resource)) => {
            let rendering = view.rendering(&resource).expect("by GET");
            let (_, body) = rendering.finish(usize::MAX);
            Reply {
                media_type: resource.media_type().to_owned(),
                ..json(body.expect("a body"))
            }
        }
        Some(Blob::Kept(media_type, reader)) => {
            let pieces: Result<Vec<Bytes>, _> = reader.collect();
            Reply {
                status: 200,
                media_type,
                body: pieces.expect("read").concat().into(),
            }
        }
        None => missing(),
    }
}
