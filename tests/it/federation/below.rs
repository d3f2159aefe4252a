//! A node below a path of its host, behind a proxy that forwards only that path: it is read by
//! its manifests, and a view that joins several domains is never read as one domain.

use std::net::SocketAddr;

use altofed::api::s2s::{PeerState, SpokenProtocol};
use altofed::runtime::{Clock, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::links::{Link, inside};
use super::member::{Join, Member};

const LINKS: [Link; 2] = [Link(1, 2), Link(2, 3)];

/// What the proxy does with a request for a path.
enum Way {
    /// Passes it to the node with this number in the list, for this path.
    To(usize, String),
    /// Answers it like this.
    Answered(&'static str),
}

const NOT_FOUND: &str = "404 Not Found\r\ncontent-type: text/html";

/// A proxy in front of nodes.
struct Front {
    url: String,
    nodes: watch::Sender<Vec<SocketAddr>>,
    _task: Task<()>,
}

impl Front {
    async fn start(way: fn(&str) -> Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (nodes, known) = watch::channel(Vec::new());
        let task = Task::spawn("front", async move {
            let mut passing = Vec::new();
            while let Ok((near, _)) = listener.accept().await {
                let nodes = known.clone();
                let pass = async move {
                    // Either side may close at any time.
                    let _left = pass(near, way, &nodes).await;
                };
                passing.push(Task::spawn("connection", pass));
            }
        });
        Self {
            url,
            nodes,
            _task: task,
        }
    }
}

/// Passes one request on, and passes its answer back as it comes.
async fn pass(
    mut near: TcpStream,
    way: fn(&str) -> Way,
    nodes: &watch::Receiver<Vec<SocketAddr>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let (line, fields) = head.split_once("\r\n").expect("a line");
    let mut words = line.split(' ');
    let (method, path) = (words.next().expect("one"), words.next().expect("a path"));
    match way(path) {
        Way::Answered(answer) => {
            let answer =
                format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            near.write_all(answer.as_bytes()).await
        }
        Way::To(node, path) => {
            let address = nodes.borrow().get(node).copied();
            let Some(address) = address else {
                return Ok(());
            };
            let mut far = TcpStream::connect(address).await?;
            let head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n{fields}");
            far.write_all(head.as_bytes()).await?;
            copy_bidirectional(&mut near, &mut far).await.map(drop)
        }
    }
}

/// The routes of a proxy with the first node below `/alto` and nothing else.
fn alto_alone(path: &str) -> Way {
    match path.strip_prefix("/alto/") {
        Some(rest) => Way::To(0, format!("/{rest}")),
        None => Way::Answered(NOT_FOUND),
    }
}

/// Starts `isp-b` below `/alto`, whose directory only clients may read and which has `isp-c`
/// too, and `isp-a`, which does not read it yet.
async fn below(front: &Front) -> [Member; 3] {
    let more = format!(
        "public_url = \"{}/alto\"\n[access]\nquery = \"token\"\n",
        front.url
    );
    let mut b = Member::with(2, Clock::system(), &more).await;
    front
        .nodes
        .send_modify(|nodes| nodes.insert(0, b.address()));
    let (a, mut c) = (Member::start(1).await, Member::start(3).await);
    for member in [&a, &b, &c] {
        member.states(&LINKS).await;
        member.until_signed().await;
    }
    c.join([Join::to(2, &format!("{}/alto", front.url))]);
    b.join([Join::to(1, &a.url), Join::to(3, &c.url)]);
    b.until_cost(3, Some(inside(3))).await;
    [a, b, c]
}

fn joined<'a>(base: &'a str, import: &'a str, more: &'a str) -> [Join<'a>; 1] {
    [Join {
        import,
        more,
        ..Join::to(2, base)
    }]
}

/// Readings are ten minutes apart: whatever comes sooner was pushed.
const SELDOM: &str = "refresh.interval = \"10m\"\n";

/// Waits until the node is read by manifests, and checks that it has only its own addresses.
async fn is_read_by_manifests(a: &Member) {
    let peer = a.until_state(2, PeerState::Synced, "").await;
    assert_eq!(peer.protocol, Some(SpokenProtocol::Altofed));
    a.until_cost(2, Some(inside(2))).await;
    let map = a.get("/views/isp-b/networkmap").await.json();
    assert!(map["network-map"]["core"].is_object(), "{map}");
    assert!(!map.to_string().contains("10.3."), "{map}");
}

#[tokio::test]
async fn a_node_below_a_path_is_found_by_its_directory_and_followed() {
    let front = Front::start(alto_alone).await;
    let [mut a, b, _c] = below(&front).await;
    let base = format!("{}/alto", front.url);
    a.join(joined(&base, "own", SELDOM));
    is_read_by_manifests(&a).await;
    assert!(!a.has(3).await);
    b.costs(0.5).await;
    a.until_cost(2, Some(0.5)).await;
    a.join(joined(&base, "*", SELDOM));
    a.until_cost(3, Some(inside(3))).await;
    // What was found is found again.
    a.stop().await;
    a.start_again().await;
    b.costs(0.75).await;
    a.until_cost(2, Some(0.75)).await;
}

/// The routes of a proxy with the first node below `/alto`; the rest of the origin is another
/// node's.
fn beside_another(path: &str) -> Way {
    match path.strip_prefix("/alto/") {
        Some(rest) => Way::To(0, format!("/{rest}")),
        None => Way::To(1, path.to_owned()),
    }
}

#[tokio::test]
async fn a_node_at_the_origin_is_not_the_one_below_a_path() {
    let front = Front::start(beside_another).await;
    let d = Member::start(4).await;
    front.nodes.send_modify(|nodes| nodes.push(d.address()));
    let [mut a, _b, _c] = below(&front).await;
    a.join(joined(&format!("{}/alto", front.url), "own", SELDOM));
    is_read_by_manifests(&a).await;
}

fn without_well_known(path: &str, answer: &'static str) -> Way {
    match (
        path.strip_prefix("/alto/"),
        path.starts_with("/.well-known/"),
    ) {
        (_, true) => Way::Answered(answer),
        (Some(rest), _) => Way::To(0, format!("/{rest}")),
        (None, false) => Way::Answered(NOT_FOUND),
    }
}

#[tokio::test]
async fn whatever_is_at_the_well_known_place_instead() {
    let ways: [fn(&str) -> Way; 4] = [
        |path| without_well_known(path, "403 Forbidden"),
        |path| without_well_known(path, "200 OK\r\ncontent-type: text/html"),
        |path| without_well_known(path, "502 Bad Gateway"),
        |path| without_well_known(path, "302 Found\r\nlocation: http://192.0.2.1/login"),
    ];
    for way in ways {
        let front = Front::start(way).await;
        let [mut a, _b, _c] = below(&front).await;
        a.join(joined(&format!("{}/alto", front.url), "own", SELDOM));
        is_read_by_manifests(&a).await;
    }
}

/// The routes for what clients read of the node below `/alto`, and nothing for peers.
fn for_clients(path: &str) -> Way {
    match path.strip_prefix("/alto/") {
        Some(rest) if !rest.starts_with("s2s") => Way::To(0, format!("/{rest}")),
        _ => Way::Answered(NOT_FOUND),
    }
}

#[tokio::test]
async fn what_announces_itself_and_is_not_forwarded_is_not_read_as_a_plain_server() {
    let front = Front::start(for_clients).await;
    let [mut a, _b, _c] = below(&front).await;
    let before = a.own_answers().await;
    a.join(joined(&format!("{}/alto", front.url), "own", ""));
    let peer = a.until_state(2, PeerState::Failed, "peer").await;
    let reason = peer.reason.expect("a reason").detail;
    assert!(reason.contains("altofed check"), "{reason}");
    assert!(!a.has(2).await);
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn a_view_that_joins_domains_is_never_read_as_one() {
    let [mut a, mut b, c] = [
        Member::start(1).await,
        Member::start(2).await,
        Member::start(3).await,
    ];
    for member in [&a, &b, &c] {
        member.states(&LINKS).await;
    }
    b.join([Join::to(1, &a.url), Join::to(3, &c.url)]);
    let plain = "protocol = \"alto\"\nrefresh.interval = \"100ms\"\n";
    a.join(joined(&b.url, "own", plain));
    let peer = a.until_state(2, PeerState::Failed, "merged").await;
    let reason = peer.reason.expect("a reason").detail;
    assert!(reason.contains("/views/isp-b/directory"), "{reason}");
    assert!(!a.has(2).await);
    // The view of only that domain is.
    let one = format!("{}/views/isp-b", b.url);
    a.join(joined(&one, "own", plain));
    a.until_state(2, PeerState::Synced, "").await;
    a.until_cost(2, Some(inside(2))).await;
}
