//! Serves one connection, from its accept to its end.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::exchange::{Exchange, Paced};
use super::peer::{ClientCertificate, Peer};
use super::proof::Proof;
use super::settings::{MIN_HEADER_BYTES, Settings};
use super::stats::ListenerStats;
use super::tls::Tls;
use super::watchdog::{Limits, Overdue, Watchdog};
use super::wire::Wire;
use crate::runtime::{Clock, Drain, Moment, Sleep};

/// How many streams may be reset by the client before a handler has seen them; above that HTTP/2
/// is ended. RFC 9113 has no limit, which made the rapid reset attack possible (CVE-2023-44487).
/// 20 is h2's own default, pinned here so that a release of h2 cannot lift it unnoticed.
const MAX_PENDING_RESETS: usize = 20;

/// How many streams may be reset by this side for errors of the client; above that HTTP/2 is
/// ended (RUSTSEC-2024-0003). Well-behaved clients cause none.
const MAX_ERROR_RESETS: usize = 128;

/// How many bytes a client may send before the handler reads them: per HTTP/2 stream, and per
/// connection over all its streams.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How many bytes of one response may wait in the protocol's buffers: at 128 streams 8 MiB on a
/// connection whose client does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub router: Router,
    pub tls: Option<Tls>,
    pub clock: Clock,
    pub drain: Drain,
    pub stats: ListenerStats,
}

/// The node's clock, as hyper uses it.
#[derive(Clone, Debug)]
struct Timer(Clock);

/// The service of one connection.
#[derive(Debug)]
struct Handler {
    router: Router,
    peer: Peer,
    watchdog: Arc<Watchdog>,
}

impl Server {
    /// Serves a connection that was accepted at `accepted`, until it or one of its deadlines
    /// ends it.
    pub async fn serve(self, tcp: TcpStream, peer: Peer, settings: Settings, accepted: Moment) {
        // Answers are written whole; waiting to fill a segment would only delay them. A socket
        // that refuses the option is about to fail anyway.
        let _ = tcp.set_nodelay(true);
        let limits = Limits {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
            write: settings.write_timeout,
        };
        let watchdog = Arc::new(Watchdog::new(self.clock.clone(), limits, accepted));
        let wire = Wire::new(tcp, watchdog.clone());
        match &self.tls {
            None => self.drive(wire, peer, &settings, watchdog).await,
            // Boxed, so that a plain connection does not have the size of what only TLS needs,
            // which is several times its own.
            Some(tls) => {
                let encrypted = self.encrypt(tls, wire, peer, &settings, watchdog, accepted);
                Box::pin(encrypted).await;
            }
        }
    }

    async fn encrypt(
        &self,
        tls: &Tls,
        wire: Wire,
        peer: Peer,
        settings: &Settings,
        watchdog: Arc<Watchdog>,
        accepted: Moment,
    ) {
        let mut terms = tls.terms();
        let config = terms.borrow_and_update().config.clone();
        let Some(stream) = self.handshake(config, wire, settings, accepted).await else {
            self.stats.add(|counts| counts.failed_handshakes += 1);
            return;
        };
        let peer = Peer {
            tls: true,
            certificate: certificate(&stream),
            ..peer
        };
        let proof = Proof::new(&stream, terms, self.clock.clone());
        tokio::select! {
            biased;
            () = proof.lapsed() => {
                tracing::debug!(client = %peer.client(), "the client's certificate counts no more");
                self.stats.add(|counts| counts.lapsed_proofs += 1);
            }
            () = self.drive(stream, peer.clone(), settings, watchdog) => {}
        }
    }

    /// Returns the TLS session, unless the handshake fails, takes too long or is overtaken by
    /// the drain.
    async fn handshake(
        &self,
        config: Arc<ServerConfig>,
        wire: Wire,
        settings: &Settings,
        accepted: Moment,
    ) -> Option<TlsStream<Wire>> {
        let limit = settings.handshake_timeout.min(settings.header_timeout);
        tokio::select! {
            biased;
            session = TlsAcceptor::from(config).accept(wire) => session
                .inspect_err(|error| tracing::debug!(%error, "TLS handshake failed"))
                .ok(),
            () = self.clock.sleep_until(accepted + limit) => None,
            _ = self.drain.draining() => None,
        }
    }

    async fn drive<I>(&self, io: I, peer: Peer, settings: &Settings, watchdog: Arc<Watchdog>)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handler = Handler {
            router: self.router.clone(),
            peer,
            watchdog: watchdog.clone(),
        };
        let builder = protocols(settings, &self.clock);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), handler));
        let mut draining = pin!(self.drain.draining().fuse());
        let mut watch = watchdog.overdue();
        loop {
            tokio::select! {
                biased;
                end = connection.as_mut() => {
                    if let Err(error) = end {
                        tracing::debug!(error, "connection ended");
                    }
                    return;
                }
                cut = draining.as_mut() => {
                    watchdog.cut_at(cut);
                    watchdog.leave();
                    connection.as_mut().graceful_shutdown();
                }
                overdue = &mut watch => {
                    self.stats.add(|counts| counts.overdue(overdue));
                    if overdue != Overdue::Idle {
                        return;
                    }
                    watchdog.leave();
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Configures both protocols with their limits. The watchdog has the deadlines, so hyper's own
/// timer for heads is off; see the table in [`super::watchdog`].
fn protocols(settings: &Settings, clock: &Clock) -> Builder<TokioExecutor> {
    let max_header = settings.max_header_bytes.max(MIN_HEADER_BYTES);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(Timer(clock.clone()))
        .header_read_timeout(None)
        .max_buf_size(max_header);
    builder
        .http2()
        .timer(Timer(clock.clone()))
        .keep_alive_interval(settings.h2_ping_interval)
        .keep_alive_timeout(settings.h2_ping_timeout)
        .max_concurrent_streams(settings.max_h2_streams)
        .max_header_list_size(u32::try_from(max_header).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER);
    builder
}

fn certificate<I>(stream: &TlsStream<I>) -> Option<Arc<ClientCertificate>> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    Some(Arc::new(ClientCertificate::new(leaf)))
}

impl hyper::service::Service<Request<Incoming>> for Handler {
    type Response = Response<Paced>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Paced>, Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let exchange = Exchange::begin(self.watchdog.clone(), request.version());
        request.extensions_mut().insert(self.peer.clone());
        // A router is always ready.
        let response = self.router.clone().call(request.map(Body::new));
        response
            .map(|response| response.map(|response| response.map(|body| exchange.answer(body))))
            .boxed()
    }
}

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(self.0.sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(self.0.sleep_until(Moment::from(deadline)))
    }

    fn now(&self) -> Instant {
        self.0.now().instant()
    }
}

impl hyper::rt::Sleep for Sleep {}
