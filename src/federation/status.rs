//! The status of the federation.

use std::collections::BTreeMap;

use crate::api::s2s::{PeerList, PeerStatus};
use crate::runtime::{MeasureKind, Measured, Measures, Sample, Value};

use super::service::Federation;

/// The status of the federation at one moment.
#[derive(Debug)]
pub struct Status {
    /// Our manifests and the peers.
    pub peers: PeerList,
    /// Documents and manifests that were refused since the start, by reason: a fixed set, with 0
    /// for those that did not occur. What is refused again at the next reading is counted again.
    pub rejections: BTreeMap<&'static str, u64>,
    /// Documents that pushed manifests named and that had to be fetched.
    pub unpushed: u64,
    /// Changes that peers pushed and that were made to wait.
    pub damped: u64,
    /// Charges that were examined to find what exceeds a budget.
    pub charges_seen: u64,
    /// Copies of domains that are still to be read from the disk after the start.
    pub restoring: usize,
}

impl Federation {
    /// Returns the status of the federation now.
    pub fn status(&self) -> Status {
        let restoring = self.restoring().borrow().clone();
        let (read, kept) = restoring.read();
        let copies = &self.shared.copies;
        Status {
            peers: self.peers(),
            rejections: copies.rejections(),
            unpushed: copies.unpushed(),
            damped: copies.damped(),
            charges_seen: copies.charges_seen(),
            restoring: if restoring.is_over() { 0 } else { kept - read },
        }
    }
}

impl Measured for Status {
    fn measure(&self, out: &mut Measures) {
        out.counter(
            "altofed_federation_unpushed_documents",
            "Documents that pushed manifests named and that had to be fetched",
            self.unpushed,
        );
        out.counter(
            "altofed_federation_damped_changes",
            "Changes that peers pushed and that waited, since their domains change all the time",
            self.damped,
        );
        out.counter(
            "altofed_federation_charges_seen",
            "Charges of domains that were examined to find what exceeds a budget",
            self.charges_seen,
        );
        out.gauge(
            "altofed_federation_restoring",
            "Copies of domains that are still to be read from the disk after the start",
            self.restoring,
        );
        out.counters(
            "altofed_import_rejected",
            "Documents and manifests of peers that were refused, by reason",
            "reason",
            self.rejections
                .iter()
                .map(|(reason, count)| (*reason, *count)),
        );
        self.measure_peers(out);
    }
}

impl Status {
    /// Measures the peers. They are configured, so their labels are few.
    fn measure_peers(&self, out: &mut Measures) {
        let peers = &self.peers.peers;
        let states = peers.iter().map(|peer| Sample {
            labels: vec![
                ("peer", peer.domain.to_string()),
                ("state", peer.state.as_str().to_owned()),
            ],
            value: Value::Count(1),
        });
        out.add(
            "altofed_federation_peer_state",
            "1 for the state that a peer is in",
            MeasureKind::Gauge,
            states,
        );
        let mut gauges = |name, help, of: fn(&PeerStatus) -> Option<u64>| {
            let values = peers.iter();
            let values = values.filter_map(|peer| Some((peer.domain.as_str(), of(peer)?)));
            out.gauges(name, help, "peer", values);
        };
        gauges(
            "altofed_federation_peer_failures",
            "Attempts to read a peer that failed in a row",
            |peer| Some(peer.failures.into()),
        );
        gauges(
            "altofed_federation_held",
            "Domains of a peer whose change is held, since it is too large at once",
            |peer| {
                let held = peer.domains.iter().filter(|domain| domain.held.is_some());
                Some(held.count() as u64)
            },
        );
        gauges(
            "altofed_federation_peer_memory_bytes",
            "Estimated memory use of the domains that a peer passes",
            |peer| Some(peer.memory_bytes),
        );
        gauges(
            "altofed_federation_peer_disk_bytes",
            "What the domains that a peer passes may take on the disk",
            |peer| Some(peer.disk_bytes),
        );
        gauges(
            "altofed_federation_data_age_seconds",
            "Age of a peer's oldest data: the time since the peer confirmed it",
            |peer| {
                let ages = peer.domains.iter().filter_map(|domain| domain.age_seconds);
                ages.max()
            },
        );
    }
}
