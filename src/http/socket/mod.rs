//! The lowest layer: sockets, and the deadlines of clients.
//!
//! * [`Listener`] accepts connections and serves a router over HTTP/1.1 and HTTP/2, plain or
//!   with TLS, and limits every client by [`Settings`]. It takes the place of `axum::serve`,
//!   which has no deadlines.
//! * [`Tls`] is the certificate and key in force, which can be replaced without a restart.
//! * [`Peer`] tells a handler who is at the other end.

mod admission;
mod connection;
mod exchange;
mod listener;
mod peer;
mod proof;
mod settings;
mod stats;
mod tls;
mod watchdog;
mod wire;
mod x509;

pub use listener::{ListenError, Listener, Reserved};
pub use peer::{ClientCertificate, Peer};
pub use settings::Settings;
pub use stats::{Counts, ListenerStats};
pub use tls::{ClientAuth, Tls, TlsError, TlsFiles};

#[cfg(test)]
mod tests;
