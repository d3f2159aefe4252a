//! Peers follow each other by update streams: changes come by themselves.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use altofed::runtime::{Clock, Task};

use super::links::{Link, inside};
use super::member::{Join, Member};
use super::site::{Site, glance};

/// Readings are ten minutes apart: whatever comes sooner was pushed.
const SELDOM: &str = "refresh.interval = \"10m\"\n";

fn seldom(peer: u8, base: &str) -> Join<'_> {
    Join {
        more: SELDOM,
        ..Join::to(peer, base)
    }
}

/// Starts three nodes in a row that read each other every ten minutes.
async fn row() -> [Member; 3] {
    let links = [Link(1, 2), Link(2, 3)];
    let mut members = [
        Member::start(1).await,
        Member::start(2).await,
        Member::start(3).await,
    ];
    for member in &members {
        member.states(&links).await;
    }
    for member in &members {
        member.until_signed().await;
    }
    let urls: Vec<String> = members.iter().map(|member| member.url.clone()).collect();
    let [a, b, c] = &mut members;
    b.join([seldom(1, &urls[0]), seldom(3, &urls[2])]);
    a.join([seldom(2, &urls[1])]);
    c.join([seldom(2, &urls[1])]);
    for member in &mut members {
        // The node that started first did not know the other yet.
        member.nudge();
    }
    for (member, far) in [(&members[0], 3), (&members[2], 1)] {
        member.until_cost(far, Some(inside(far))).await;
    }
    members
}

/// Returns the sum of a metric's samples whose line has these words.
async fn metric(site: &Site, name: &str, words: &str) -> f64 {
    let metrics = site.get("/metrics").await;
    let samples = metrics
        .text()
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(words));
    let value = |line: &str| {
        line.rsplit(' ')
            .next()
            .and_then(|value| value.parse::<f64>().ok())
    };
    samples.filter_map(value).sum::<f64>()
}

/// Waits until this many peers have a stream open at a node.
async fn until_followed(site: &Site, peers: f64) {
    while metric(site, "altofed_federation_update_streams", "").await != peers {
        glance().await;
    }
}

#[tokio::test]
async fn a_change_goes_over_two_hops_and_no_map_is_fetched() {
    let [a, b, c] = row().await;
    until_followed(&a, 1.0).await;
    until_followed(&b, 2.0).await;
    let asked = async |site: &Site| metric(site, "altofed_http_requests_total", "blobs").await;
    let before = (asked(&a).await, asked(&b).await);
    for cost in [7.0, 7.5, 8.0] {
        a.costs(cost).await;
        c.until_cost(1, Some(cost)).await;
    }
    assert_eq!((asked(&a).await, asked(&b).await), before);
    for site in [&b, &c] {
        assert_eq!(metric(site, "altofed_federation_unpushed", "").await, 0.0);
    }
    // A document rebuilt from patches is, byte for byte, the one that was signed.
    for map in ["networkmap", "costmap-routingcost", "costmap-hopcount"] {
        let path = format!("/views/isp-a/{map}");
        assert_eq!(c.get(&path).await.body, a.get(&path).await.body, "{map}");
    }
}

#[tokio::test]
async fn a_domain_that_a_relay_learns_of_and_one_that_it_loses_are_heard_of() {
    let [a, mut b, c] = row().await;
    until_followed(&b, 2.0).await;
    let mut d = Member::start(4).await;
    d.states(&[]).await;
    d.until_signed().await;
    d.join([seldom(2, &b.url)]);
    let joins = [(1, &a.url), (3, &c.url), (4, &d.url)];
    b.join(joins.map(|(peer, url)| seldom(peer, url)));
    c.until_cost(4, Some(inside(4))).await;
    // A new map of a followed domain comes too.
    d.put(
        "cost-maps/delay-ow",
        &serde_json::json!({"cost-map": {"core": {"edge": 9}}}),
    )
    .await;
    while c.get("/views/isp-d/costmap-delay-ow").await.status != 200 {
        glance().await;
    }
    b.join([seldom(1, &a.url), seldom(3, &c.url)]);
    while c.has(4).await {
        glance().await;
    }
    assert!(c.has(1).await);
}

#[tokio::test]
async fn a_peer_that_comes_back_is_followed_again() {
    let [mut a, b, c] = row().await;
    until_followed(&a, 1.0).await;
    a.stop().await;
    a.start_again().await;
    a.costs(6.0).await;
    c.until_cost(1, Some(6.0)).await;
    until_followed(&a, 1.0).await;
    a.costs(6.5).await;
    c.until_cost(1, Some(6.5)).await;
    assert!(b.has(1).await);
}

#[tokio::test]
async fn who_is_not_to_be_pushed_to_reads() {
    let mut a = Member::start(1).await;
    let mut b = Member::start(2).await;
    for member in [&a, &b] {
        member.states(&[Link(1, 2)]).await;
        member.until_signed().await;
    }
    a.join([seldom(2, &b.url)]);
    let more = "refresh.interval = \"100ms\"\nrefresh.push = false\n";
    b.join([Join {
        more,
        ..Join::to(1, &a.url)
    }]);
    b.until_cost(1, Some(inside(1))).await;
    a.costs(6.0).await;
    b.until_cost(1, Some(6.0)).await;
    assert_eq!(
        metric(&a, "altofed_federation_update_streams", "").await,
        0.0
    );
}

#[tokio::test]
async fn a_domain_that_is_no_longer_exported_is_no_longer_pushed() {
    let [a, mut b, c] = row().await;
    until_followed(&b, 2.0).await;
    let to_c = Join {
        export: "own",
        ..seldom(3, &c.url)
    };
    b.join([seldom(1, &a.url), to_c]);
    while c.has(1).await {
        glance().await;
    }
    b.costs(9.0).await;
    c.until_cost(2, Some(9.0)).await;
    assert!(!c.has(1).await);
}

/// A function that alters a text that is passed on.
type Alter = fn(&str) -> String;

/// Passes bytes both ways between whoever connects and an address, once it is known. The first
/// function alters them on the way there, the second on the way back.
async fn altered(
    there: Alter,
    back: Alter,
) -> (SocketAddr, watch::Sender<Option<SocketAddr>>, Task<()>) {
    let (tell, to) = watch::channel(None::<SocketAddr>);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = Task::spawn("wire", async move {
        let mut passing = Vec::new();
        while let Ok((near, _)) = listener.accept().await {
            let mut to = to.clone();
            passing.push(Task::spawn("connection", async move {
                let Ok(to) = to.wait_for(Option::is_some).await.map(|to| *to) else {
                    return;
                };
                let Ok(far) = TcpStream::connect(to.expect("it is some")).await else {
                    return;
                };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::select! {
                    () = pass(near_in, far_out, there) => {}
                    () = pass(far_in, near_out, back) => {}
                }
            }));
        }
    });
    (address, tell, task)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, alter: Alter) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let text = alter(&String::from_utf8_lossy(&bytes[..count]));
        if to.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Starts two nodes; the second reads the first through such a wire.
async fn pair(there: Alter, back: Alter) -> (Member, Member, Task<()>) {
    let (address, tell, wire) = altered(there, back).await;
    // Its URIs lead through the wire.
    let more = format!("public_url = \"http://{address}\"\n");
    let mut a = Member::with(1, Clock::system(), &more).await;
    tell.send_replace(Some(a.address()));
    let mut b = Member::start(2).await;
    for member in [&a, &b] {
        member.states(&[Link(1, 2)]).await;
        member.until_signed().await;
    }
    let url = format!("http://{address}");
    a.join([seldom(2, &b.url)]);
    b.join([seldom(1, &url)]);
    b.until_cost(1, Some(inside(1))).await;
    until_followed(&a, 1.0).await;
    (a, b, wire)
}

#[tokio::test]
async fn what_does_not_have_the_digest_of_its_manifest_is_fetched_and_counted() {
    let lie = |text: &str| {
        if text.contains("event: application/merge-patch+json") {
            text.replace("6.125", "6.625")
        } else {
            text.to_owned()
        }
    };
    let (a, b, _wire) = pair(str::to_owned, lie).await;
    a.costs(6.125).await;
    b.until_cost(1, Some(6.125)).await;
    assert!(metric(&b, "altofed_federation_unpushed", "").await > 0.0);
    // And it goes on.
    a.costs(5.0).await;
    b.until_cost(1, Some(5.0)).await;
}

#[tokio::test]
async fn a_stream_that_is_refused_is_asked_for_again_long_before_the_next_reading() {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let astray = |text: &str| match text.starts_with("POST /s2s/v1/updates ") {
        true if !REFUSED.swap(true, Ordering::Relaxed) => text.replacen("updates", "upstate", 1),
        _ => text.to_owned(),
    };
    let (a, b, _wire) = pair(astray, str::to_owned).await;
    assert!(REFUSED.load(Ordering::Relaxed));
    a.costs(5.0).await;
    b.until_cost(1, Some(5.0)).await;
}
