//! What a listener counts.

use std::sync::Arc;

use tokio::sync::watch;

use super::watchdog::Overdue;
use crate::runtime::{Measured, Measures};

/// The counts of one listener, which can be read while it serves and after.
#[derive(Clone, Debug, Default)]
pub struct ListenerStats(Arc<watch::Sender<Counts>>);

/// The counts at one moment; all but `open` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections being served now, including TLS handshakes.
    pub open: u64,
    /// Connections taken from the system, including refused ones.
    pub accepted: u64,
    /// Connections refused because `max_connections` were open.
    pub refused_full: u64,
    /// Connections refused because their client had `max_connections_per_client` open.
    pub refused_client: u64,
    /// How often the system could not give a connection, most likely for lack of descriptors.
    pub failed_accepts: u64,
    /// TLS handshakes that failed, took too long, or were overtaken by the drain.
    pub failed_handshakes: u64,
    /// Connections cut because a request head did not come in time.
    pub overdue_header: u64,
    /// Connections closed because no further request came in time.
    pub overdue_idle: u64,
    /// Connections cut because the client did not take a response.
    pub overdue_write: u64,
    /// Connections cut because they did not end after this side asked them to.
    pub overdue_close: u64,
    /// TLS connections cut because the client's certificate expired or its authority is no
    /// longer trusted.
    pub lapsed_proofs: u64,
}

impl ListenerStats {
    /// Returns the present counts.
    pub fn now(&self) -> Counts {
        *self.0.borrow()
    }

    /// Waits until `test` accepts the counts, and returns them.
    pub async fn until(&self, mut test: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.0.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        match counts.wait_for(|counts| test(counts)).await {
            Ok(counts) => *counts,
            Err(_) => self.now(),
        }
    }

    pub(super) fn add(&self, change: impl FnOnce(&mut Counts)) {
        self.0.send_modify(change);
    }
}

impl Measured for Counts {
    fn measure(&self, out: &mut Measures) {
        out.gauge("altofed_http_connections", "Open connections", self.open);
        out.counter(
            "altofed_http_connections_accepted",
            "Connections accepted",
            self.accepted,
        );
        out.counters(
            "altofed_http_connections_cut",
            "Connections refused or cut, by reason",
            "reason",
            [
                ("full", self.refused_full),
                ("client", self.refused_client),
                ("accept", self.failed_accepts),
                ("handshake", self.failed_handshakes),
                ("header", self.overdue_header),
                ("idle", self.overdue_idle),
                ("write", self.overdue_write),
                ("close", self.overdue_close),
                ("certificate", self.lapsed_proofs),
            ],
        );
    }
}

impl Counts {
    pub(super) fn overdue(&mut self, overdue: Overdue) {
        *match overdue {
            Overdue::Header => &mut self.overdue_header,
            Overdue::Idle => &mut self.overdue_idle,
            Overdue::Write => &mut self.overdue_write,
            Overdue::Close => &mut self.overdue_close,
        } += 1;
    }
}
