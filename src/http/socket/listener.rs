//! The accept loop: it lets connections in, turns away those above the limits, and ends by drain.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::admission::{Admission, Refused};
use super::connection::Server;
use super::peer::Peer;
use super::settings::Settings;
use super::stats::ListenerStats;
use super::tls::Tls;
use super::watchdog::LINGER;
use crate::runtime::{Clock, Drain};

/// How long accepting rests after an error of the system, such as too many open files: long
/// enough not to spin, short enough that a freed descriptor is soon used.
const ACCEPT_REST: Duration = Duration::from_millis(250);

/// How many connections may be turned away with an answer at a time; above that they are closed
/// without one. The answer is a courtesy that must not become the next target of a flood.
const MAX_FAREWELLS: usize = 64;

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Retry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const CLIENT: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
    Retry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A fatal `internal_error` alert (RFC 8446 §6). A handshake only to send a 503 would cost most
/// when there is least to spend. The alert tells the client that the server is alive but cannot
/// serve, which a bare close would not.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 80];

/// A bound socket, ready to [`serve`](Listener::serve).
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    stats: ListenerStats,
}

/// The node cannot listen at the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {}", mend(source))]
pub struct ListenError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// The system's error.
    pub source: io::Error,
}

/// An address that this process has bound, but that nobody can connect to yet.
#[derive(Debug)]
pub struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Reserved {
    /// Reserves `address`; for port 0 the system chooses a port.
    ///
    /// # Errors
    /// [`ListenError`] when the address is taken, not this machine's, or not allowed.
    pub fn new(address: SocketAddr) -> Result<Reserved, ListenError> {
        let failed = |source| ListenError { address, source };
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(failed)?;
        // As the library's listeners do: connections that linger from before a restart are no
        // hindrance, but another listener is.
        #[cfg(unix)]
        socket.set_reuseaddr(true).map_err(failed)?;
        #[cfg(target_os = "linux")]
        keep_little_unsent(&socket).map_err(failed)?;
        socket.bind(address).map_err(failed)?;
        Ok(Reserved { socket, address })
    }

    /// Starts to listen, so that clients can connect.
    ///
    /// # Errors
    /// Another program listens at the address by now.
    pub fn listen(self) -> Result<Listener, ListenError> {
        /// How many connections may wait to be accepted.
        const BACKLOG: u32 = 1024;
        let address = self.address;
        let failed = |source| ListenError { address, source };
        let tcp = self.socket.listen(BACKLOG).map_err(failed)?;
        let local = tcp.local_addr().map_err(failed)?;
        Ok(Listener {
            tcp,
            local,
            stats: ListenerStats::default(),
        })
    }
}

/// How many unsent bytes the kernel takes of a connection.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Makes the kernel take more of each of the listener's connections only when little is left to
/// send. Otherwise megabytes are copied for a client that reads nothing, on the threads that
/// serve sockets, and kept where no budget counts them. Bytes in flight are not limited, so that
/// a fast client far away remains fast.
#[cfg(target_os = "linux")]
fn keep_little_unsent(socket: &TcpSocket) -> io::Result<()> {
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT)
}

impl Listener {
    /// Binds `address`; for port 0 the system chooses a port, see [`Listener::local_addr`].
    ///
    /// # Errors
    /// As [`Reserved::new`].
    pub fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
        Reserved::new(address)?.listen()
    }

    /// Returns the address that clients connect to, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the counts of this listener, which can be read while it serves.
    pub fn stats(&self) -> ListenerStats {
        self.stats.clone()
    }

    /// Serves `router` until `drain` signals. Then it accepts no more connections, lets the
    /// requests under way end, announces the end on each connection (HTTP/1:
    /// `Connection: close`, HTTP/2: GOAWAY), cuts what is left at the drain's deadline, and
    /// returns. The drain waits for it. If it is dropped before that, it cuts all connections.
    ///
    /// Every request carries its [`Peer`] as an extension. `settings` and the TLS configuration
    /// are read anew for each connection.
    ///
    /// This relies on the following behaviour of hyper, each held by a test: dropping an HTTP/2
    /// connection drops its handlers; a head above `max_header_bytes` is answered 431; a body
    /// that its handler leaves unread ends the connection after the answer; draining an idle
    /// HTTP/1 connection closes it at once.
    pub async fn serve(
        self,
        router: Router,
        tls: Option<Tls>,
        settings: watch::Receiver<Settings>,
        clock: Clock,
        drain: Drain,
    ) {
        let _guard = drain.guard();
        let refusals = match &tls {
            Some(_) => [ALERT, ALERT],
            None => [FULL, CLIENT],
        };
        let server = Server {
            router,
            tls,
            clock: clock.clone(),
            drain: drain.clone(),
            stats: self.stats.clone(),
        };
        let admission = Admission::new(self.stats.clone());
        let mut connections = JoinSet::new();
        let mut farewells = JoinSet::new();
        let mut draining = std::pin::pin!(drain.draining());
        loop {
            let (tcp, addr) = tokio::select! {
                biased;
                _ = draining.as_mut() => break,
                Some(end) = connections.join_next() => {
                    log_panic(end);
                    continue;
                }
                Some(_) = farewells.join_next() => continue,
                accepted = self.tcp.accept() => match accepted {
                    Ok(connection) => connection,
                    Err(error) if is_of_connection(&error) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections for the moment");
                        self.stats.add(|counts| counts.failed_accepts += 1);
                        tokio::select! {
                            _ = draining.as_mut() => break,
                            () = clock.sleep(ACCEPT_REST) => continue,
                        }
                    }
                },
            };
            let accepted = clock.now();
            let peer = Peer::new(addr);
            let settings = settings.borrow().clone();
            match admission.admit(peer.client(), &settings) {
                Ok(place) => {
                    let connection = server.clone().serve(tcp, peer, settings, accepted);
                    connections.spawn(async move {
                        let _place = place;
                        connection.await;
                    });
                }
                Err(_) if farewells.len() >= MAX_FAREWELLS => drop(tcp),
                Err(refused) => {
                    let [full, client] = refusals;
                    let answer = match refused {
                        Refused::Full => full,
                        Refused::Client => client,
                    };
                    farewells.spawn(turn_away(tcp, answer, clock.clone()));
                }
            }
        }
        drop(self.tcp);
        drop(farewells);
        while let Some(end) = connections.join_next().await {
            log_panic(end);
        }
    }
}

/// Answers and closes a connection that is not let in. What the client has sent, and still
/// sends, is read first: see [`LINGER`].
async fn turn_away(mut tcp: TcpStream, answer: &'static [u8], clock: Clock) {
    let farewell = async {
        tcp.write_all(answer).await?;
        tcp.shutdown().await?;
        let mut scratch = [0; 1024];
        while tcp.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that is gone, or stays longer, is dropped.
    let _ = clock.timeout(LINGER, farewell).await;
}

/// Whether an error of accept only concerns the connection that it would have returned.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop the process that has it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        io::ErrorKind::PermissionDenied => "choose a port of 1024 or above, or grant the right",
        _ => "choose another address",
    }
}

fn log_panic(end: Result<(), JoinError>) {
    if let Err(error) = end {
        tracing::error!(%error, "a request handler panicked and took its connection with it");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn little_is_kept_unsent_of_each_connection() {
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address"));
        let listener = listener.expect("a free port");
        let client = TcpStream::connect(listener.local_addr());
        let (client, accepted) = tokio::join!(client, listener.tcp.accept());
        let (accepted, _) = accepted.expect("a connection");
        let most = socket2::SockRef::from(&accepted).tcp_notsent_lowat();
        assert_eq!(most.expect("a number"), UNSENT);
        drop(client);
    }
}
