//! Tests of the listener over real sockets, with time moved by hand.

mod caps;
mod drain;
mod h2;
mod half_open;
mod protocol;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Counts, Listener, ListenerStats, Settings, Tls};
use crate::runtime::testing::soon;
use crate::runtime::{Clock, Drain, ManualClock, Overrun, Signal, Task};

const SECOND: Duration = Duration::from_secs(1);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A listener that serves on a free port of the loopback interface.
struct Site {
    addr: SocketAddr,
    stats: ListenerStats,
    settings: watch::Sender<Settings>,
    clock: Clock,
    hand: ManualClock,
    signal: Signal,
    task: Task<()>,
}

impl Site {
    async fn start(router: Router) -> Site {
        Site::with(router, Settings::default(), None).await
    }

    async fn with(router: Router, settings: Settings, tls: Option<Tls>) -> Site {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(loopback).unwrap();
        let (addr, stats) = (listener.local_addr(), listener.stats());
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (signal, drain) = Drain::new();
        let (settings, hot) = watch::channel(settings);
        let serving = listener.serve(router, tls, hot, clock.clone(), drain);
        Site {
            addr,
            stats,
            settings,
            clock,
            hand,
            signal,
            task: Task::spawn("site", serving),
        }
    }

    /// Connects, and waits until the listener has let the connection in.
    async fn connect(&self) -> TcpStream {
        let open = self.stats.now().open;
        let stream = TcpStream::connect(self.addr).await.unwrap();
        self.until(|counts| counts.open > open).await;
        stream
    }

    async fn until(&self, test: impl FnMut(&Counts) -> bool) -> Counts {
        soon(self.stats.until(test)).await
    }

    /// Waits until something is due in exactly `ahead`, and moves the time there.
    async fn pass(&self, ahead: Duration) {
        soon(self.hand.sleeper(ahead)).await;
        self.hand.advance(ahead);
    }

    /// Drains, and waits for the listener to end.
    async fn drain(self, within: Duration) -> Result<(), Overrun> {
        let drained = soon(self.signal.drain(&self.clock, within)).await;
        soon(self.task.join()).await.unwrap();
        drained
    }
}

/// Reads what comes until the other side closes or resets the stream.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset ends the stream just as a close does.
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one HTTP/1 response: its head, and its body as long as the head says.
async fn response(stream: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
        rest.split("\r\n").next().unwrap().parse().unwrap()
    });
    let mut body = vec![0; length];
    soon(stream.read_exact(&mut body)).await.unwrap();
    (head, body)
}

/// Makes a client of each protocol, which trusts no certificate.
fn clients() -> [reqwest::Client; 2] {
    let tls = tls::client_config(rustls::RootCertStore::empty(), None);
    let builder = || {
        let builder = reqwest::Client::builder().no_proxy();
        builder.tls_backend_preconfigured(tls.clone())
    };
    [
        builder().http1_only().build().unwrap(),
        builder().http2_prior_knowledge().build().unwrap(),
    ]
}
