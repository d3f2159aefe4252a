//! What a client proved in a TLS handshake, and for how long that is valid.

use std::time::Duration;

use jiff::Timestamp;
use rustls::HandshakeKind;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::tls::Terms;
use super::x509::not_after;
use crate::runtime::Clock;

/// The longest sleep, in case somebody sets the system's date.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// The certificates that a client showed, if any. They were trusted when the connection began;
/// whether they still are is checked again when one of them expires and when the authorities are
/// reloaded.
pub(super) struct Proof {
    chain: Vec<CertificateDer<'static>>,
    terms: watch::Receiver<Terms>,
    clock: Clock,
    /// Whether the session was resumed, which does not verify the certificate again.
    resumed: bool,
}

impl Proof {
    /// Takes what the client of a session proved, by terms that were current when it began.
    pub fn new<I>(stream: &TlsStream<I>, terms: watch::Receiver<Terms>, clock: Clock) -> Self {
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        Self {
            chain: chain.to_vec(),
            terms,
            clock,
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Returns when the proof is not valid any more.
    pub async fn lapsed(mut self) {
        if self.resumed && !self.holds() {
            return;
        }
        let mut due = self.next_expiry();
        loop {
            let asked_again = tokio::select! {
                changed = self.terms.changed() => match changed {
                    Ok(()) => true,
                    // There will be no other terms: the listener ends.
                    Err(_) => std::future::pending().await,
                },
                () = sleep_towards(due, &self.clock) => false,
            };
            let expired = due.is_some_and(|due| due <= self.clock.wall());
            if (asked_again || expired) && !self.holds() {
                return;
            }
            if expired {
                due = self.next_expiry();
            }
        }
    }

    /// Whether a client that showed this would be let in now.
    fn holds(&mut self) -> bool {
        let clients = self.terms.borrow_and_update().clients.clone();
        let Some((leaf, issuers)) = self.chain.split_first() else {
            return !clients.client_auth_mandatory();
        };
        let since_epoch = self.clock.wall().duration_since(Timestamp::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since_epoch.unsigned_abs());
        clients.offer_client_auth() && clients.verify_client_cert(leaf, issuers, now).is_ok()
    }

    /// Returns when the next of the certificates expires. Each is valid to the end of its last
    /// second.
    fn next_expiry(&self) -> Option<Timestamp> {
        let now = self.clock.wall();
        let ends = self.chain.iter().filter_map(|der| not_after(der));
        let expiries = ends.filter_map(|end| end.checked_add(Duration::from_secs(1)).ok());
        expiries.filter(|expiry| *expiry > now).min()
    }
}

async fn sleep_towards(due: Option<Timestamp>, clock: &Clock) {
    let Some(due) = due else {
        return std::future::pending().await;
    };
    let rest = due.duration_since(clock.wall());
    let rest = Duration::try_from(rest).unwrap_or_default();
    clock.sleep(rest.min(LOOK_AGAIN)).await;
}
