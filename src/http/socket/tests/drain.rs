//! Shutdown: requests under way end; those that do not are cut.

use std::sync::Arc;

use super::*;
use axum::routing::get;
use tokio::sync::{Notify, mpsc};

/// A handler that announces each request, then answers when told to.
struct Slow {
    arrived: Arc<Notify>,
    answer: Arc<Notify>,
    /// Closed when every handler is gone.
    gone: mpsc::Receiver<()>,
}

fn slow() -> (Router, Slow) {
    let (arrived, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (held, gone) = mpsc::channel(1);
    let slow = Slow {
        arrived: arrived.clone(),
        answer: answer.clone(),
        gone,
    };
    let handler = async move || {
        let _held = held;
        arrived.notify_one();
        answer.notified().await;
        "done"
    };
    (Router::new().route("/", get(handler)), slow)
}

impl Slow {
    async fn all_gone(&mut self) {
        assert_eq!(soon(self.gone.recv()).await, None);
    }
}

#[tokio::test]
async fn an_http1_request_under_way_is_answered_and_told_that_the_connection_ends() {
    let (router, slow) = slow();
    let site = Site::start(router).await;
    let addr = site.addr;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    soon(slow.arrived.notified()).await;
    let hand = site.hand.clone();
    let drained = Task::spawn("drain", site.drain(30 * SECOND));
    soon(hand.sleeper(30 * SECOND)).await;
    // The open connection keeps another test from getting the port meanwhile.
    soon(async { while TcpStream::connect(addr).await.is_ok() {} }).await;
    slow.answer.notify_one();
    let (head, body) = response(&mut client).await;
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(body, b"done");
    assert_eq!(rest(&mut client).await, "");
    drop(client);
    assert_eq!(soon(drained.join()).await, Ok(Ok(())));
}

#[tokio::test]
async fn an_http2_request_under_way_is_answered_after_goaway() {
    let (router, slow) = slow();
    let site = Site::start(router).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    client.send(&h2::get(1)).await;
    soon(slow.arrived.notified()).await;
    let hand = site.hand.clone();
    let drained = Task::spawn("drain", site.drain(30 * SECOND));
    soon(hand.sleeper(30 * SECOND)).await;
    assert!(client.next(h2::GOAWAY).await.is_some());
    slow.answer.notify_one();
    let (_, data) = client.next(h2::DATA).await.unwrap();
    assert_eq!(data, b"done");
    drop(client);
    assert_eq!(soon(drained.join()).await, Ok(Ok(())));
}

#[tokio::test]
async fn idle_connections_and_those_that_never_asked_are_closed_at_once() {
    let site = Site::start(Router::new()).await;
    let mut silent = site.connect().await;
    let mut idle = site.connect().await;
    idle.write_all(GET).await.unwrap();
    response(&mut idle).await;
    let drained = Task::spawn("drain", site.drain(30 * SECOND));
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut idle).await, "");
    drop((silent, idle));
    assert_eq!(soon(drained.join()).await, Ok(Ok(())));
}

#[tokio::test]
async fn an_http1_request_that_does_not_end_is_cut_with_its_handler() {
    let (router, mut slow) = slow();
    let site = Site::start(router).await;
    let mut client = site.connect().await;
    client.write_all(GET).await.unwrap();
    soon(slow.arrived.notified()).await;
    let (stats, hand) = (site.stats.clone(), site.hand.clone());
    let drained = Task::spawn("drain", site.drain(30 * SECOND));
    soon(hand.sleeper(30 * SECOND)).await;
    hand.advance(30 * SECOND);
    soon(drained.join()).await.unwrap().ok();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(stats.now().overdue_close, 1);
    slow.all_gone().await;
}

#[tokio::test]
async fn an_http2_request_that_does_not_end_is_cut_with_its_handler() {
    let (router, mut slow) = slow();
    let site = Site::start(router).await;
    let mut client = h2::Client::open(site.connect().await, h2::WINDOW).await;
    client.send(&h2::get(1)).await;
    soon(slow.arrived.notified()).await;
    let hand = site.hand.clone();
    let drained = Task::spawn("drain", site.drain(10 * SECOND));
    soon(hand.sleeper(10 * SECOND)).await;
    hand.advance(10 * SECOND);
    soon(drained.join()).await.unwrap().ok();
    assert_eq!(client.next(h2::DATA).await, None);
    slow.all_gone().await;
}

#[tokio::test]
async fn a_listener_dropped_while_serving_cuts_everything() {
    let (router, mut slow) = slow();
    let site = Site::start(router).await;
    let mut http1 = site.connect().await;
    http1.write_all(GET).await.unwrap();
    soon(slow.arrived.notified()).await;
    let mut http2 = h2::Client::open(site.connect().await, h2::WINDOW).await;
    http2.send(&h2::get(1)).await;
    soon(slow.arrived.notified()).await;
    soon(site.task.cancel()).await;
    assert_eq!(rest(&mut http1).await, "");
    assert_eq!(http2.next(h2::DATA).await, None);
    slow.all_gone().await;
    assert_eq!(site.stats.now().open, 0);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_handler_with_it() {
    let (router, mut slow) = slow();
    let site = Site::start(router).await;
    let mut http1 = site.connect().await;
    http1.write_all(GET).await.unwrap();
    soon(slow.arrived.notified()).await;
    let mut http2 = h2::Client::open(site.connect().await, h2::WINDOW).await;
    http2.send(&h2::get(1)).await;
    soon(slow.arrived.notified()).await;
    drop((http1, http2));
    site.until(|counts| counts.open == 0).await;
    soon(site.task.cancel()).await;
    slow.all_gone().await;
}
