//! What is measured of the node, read when the metrics are asked for.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use crate::api::conflict::{ConflictKind, MergeConflictKind};
use crate::api::s2s::PeerStatus;
use crate::compile::{Conflicts, Merged};
use crate::federation::Federation;
use crate::ingest::Ledger;
use crate::publish::Snapshot;
use crate::render::{Answers, Bodies, Flight};
use crate::runtime::Clock;
use crate::store::Store;

use super::merging::Merging;
use super::push::Push;
use super::socket::ListenerStats;

/// Reads the node's counts.
pub struct NodeMetrics {
    /// The views in force.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The facts that are not used.
    pub conflicts: watch::Receiver<Arc<Conflicts>>,
    /// How the merged view was made; none before it was made once.
    pub merged: watch::Receiver<Option<Arc<Merged>>>,
    /// How it follows what the domains state.
    pub merging: watch::Receiver<Merging>,
    /// The time.
    pub clock: Clock,
    /// The domains of others.
    pub federation: Arc<Federation>,
    /// The facts.
    pub ledger: Arc<Ledger>,
    /// Where they are kept.
    pub store: Store,
    /// What works out large answers.
    pub answers: Arc<Answers>,
    /// The memory of bodies of the network-to-server API.
    pub intake: Flight,
    /// The bodies of full maps.
    pub bodies: Arc<Bodies>,
    /// What clients follow.
    pub push: Arc<Push>,
    /// What peers follow.
    pub peer_push: Arc<Push>,
    /// The connections.
    pub listener: ListenerStats,
}

impl fmt::Debug for NodeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeMetrics")
    }
}

type Encoded = Result<(), fmt::Error>;

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Encoded {
    let counter = ConstCounter::new(value);
    let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
    counter.encode(metric)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Encoded {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric)
}

impl Collector for NodeMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        let out = &mut encoder;
        let counts = self.listener.now();
        gauge(
            out,
            "altofed_http_connections",
            "Open connections",
            counts.open,
        )?;
        counter(
            out,
            "altofed_http_connections_accepted",
            "Connections accepted",
            counts.accepted,
        )?;
        let refused = [
            ("full", counts.refused_full),
            ("client", counts.refused_client),
            ("accept", counts.failed_accepts),
            ("handshake", counts.failed_handshakes),
            ("header", counts.overdue_header),
            ("idle", counts.overdue_idle),
            ("write", counts.overdue_write),
            ("close", counts.overdue_close),
            ("certificate", counts.lapsed_proofs),
        ];
        let help = "Connections refused or cut, by reason";
        let kind = MetricType::Counter;
        let mut family = out.encode_descriptor("altofed_http_connections_cut", help, None, kind)?;
        for (reason, count) in refused {
            let labels = [("reason", reason)];
            let metric = family.encode_family(&labels)?;
            ConstCounter::new(count).encode(metric)?;
        }
        let push = &self.push;
        for (name, help, count) in [
            (
                "altofed_http_update_streams",
                "Open update streams",
                push.open_streams(),
            ),
            (
                "altofed_http_tips_polls",
                "Requests that wait for the next edge of a TIPS view",
                push.waiting(),
            ),
            (
                "altofed_http_followed_answers",
                "Answers whose changes are kept",
                push.followed().count(),
            ),
        ] {
            gauge(out, name, help, count as u64)?;
        }
        gauge(
            out,
            "altofed_http_followed_cells",
            "Cells of the answers whose changes are kept",
            push.followed().cells(),
        )?;
        gauge(
            out,
            "altofed_http_history_bytes",
            "Bytes that histories of answers keep: patches, and data of views that were replaced",
            push.followed().kept_bytes() as u64,
        )?;
        gauge(
            out,
            "altofed_http_answer_bytes",
            "Bytes of queries and answers in memory until their clients have taken them",
            self.answers.flight().bytes(),
        )?;
        counter(
            out,
            "altofed_http_answers_refused",
            "Requests that were answered 503 since there was no room for them or their answers",
            self.answers.flight().refused(),
        )?;
        gauge(
            out,
            "altofed_http_ingest_bytes",
            "Bytes of bodies of the network-to-server API in memory",
            self.intake.bytes(),
        )?;
        counter(
            out,
            "altofed_http_ingest_refused",
            "Writes that were answered 503 since there was no room for their bodies",
            self.intake.refused(),
        )?;
        gauge(
            out,
            "altofed_http_replaced_bytes",
            "Bytes of replaced views that answers on their way kept when the last view was published",
            self.answers.pins().bytes() as u64,
        )?;
        counter(
            out,
            "altofed_http_answers_cut",
            "Answers that were cut off since they kept too much of replaced views, or read too \
             little of a kept body",
            self.answers.pins().cut() + self.bodies.cut(),
        )?;
        counter(
            out,
            "altofed_http_answer_cells",
            "Cells that were read for large answers and full maps",
            self.answers.cells(),
        )?;
        counter(
            out,
            "altofed_http_unknown_streams",
            "Requests to control an update stream that is not there",
            push.misses(),
        )?;
        counter(
            out,
            "altofed_federation_unpushed_documents",
            "Documents that pushed manifests named and that had to be fetched",
            self.federation.unpushed(),
        )?;
        counter(
            out,
            "altofed_federation_damped_changes",
            "Changes that peers pushed and that waited, since their domains change all the time",
            self.federation.damped(),
        )?;
        counter(
            out,
            "altofed_federation_charges_seen",
            "Charges of domains that were looked at to judge what is over a budget",
            self.federation.charges_seen(),
        )?;
        gauge(
            out,
            "altofed_federation_update_streams",
            "Update streams that peers have open",
            self.peer_push.open_streams() as u64,
        )?;
        counter(
            out,
            "altofed_federation_update_looks",
            "Substreams of peers that were looked at for something to send",
            self.peer_push.followed().looks(),
        )?;
        let snapshot = self.snapshots.borrow().clone();
        gauge(
            out,
            "altofed_publish_generation",
            "The snapshot in force",
            snapshot.generation,
        )?;
        gauge(
            out,
            "altofed_publish_revision",
            "The revision that is published",
            snapshot.revision,
        )?;
        gauge(
            out,
            "altofed_publish_views",
            "Views that are served",
            snapshot.views.len() as u64,
        )?;
        let pids: usize = snapshot
            .views
            .values()
            .map(|view| view.network().pids().len())
            .sum();
        gauge(
            out,
            "altofed_publish_pids",
            "PIDs of all views",
            pids as u64,
        )?;
        let kept = self.bodies.kept_bytes();
        gauge(
            out,
            "altofed_publish_bodies_bytes",
            "Rendered bodies that are kept",
            kept,
        )?;
        let revision = self.ledger.durable().borrow().facts.revision;
        gauge(
            out,
            "altofed_ingest_revision",
            "The newest revision that is durable",
            revision,
        )?;
        let help = "1 for a source whose writes are refused since they take too much at once";
        let kind = MetricType::Gauge;
        let mut family = out.encode_descriptor("altofed_ingest_held", help, None, kind)?;
        let held = self.ledger.held();
        for source in self.ledger.rules().brakes.keys() {
            let is_held = ConstGauge::new(i64::from(held.contains_key(source)));
            is_held.encode(family.encode_family(&[("source", source.as_str())])?)?;
        }
        let conflicts = self.conflicts.borrow().clone();
        let kind = MetricType::Gauge;
        let help = "Facts that are kept and not used, by kind";
        let mut family = out.encode_descriptor("altofed_compile_conflicts", help, None, kind)?;
        for kind in ConflictKind::ALL {
            let labels = [("kind", kind.as_str())];
            let metric = family.encode_family(&labels)?;
            let count = i64::try_from(conflicts.count(kind)).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(metric)?;
        }
        self.encode_merging(out, snapshot.merged_revision())?;
        let merged = self.merged.borrow().clone();
        let count_of = |kind| {
            let count = merged
                .as_ref()
                .map_or(0, |merged| merged.conflicts.count(kind));
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        let help = "What domains state and the merged view does not use, by kind";
        let kind = MetricType::Gauge;
        let mut family =
            out.encode_descriptor("altofed_compile_merge_conflicts", help, None, kind)?;
        for kind in MergeConflictKind::ALL {
            let labels = [("kind", kind.as_str())];
            let metric = family.encode_family(&labels)?;
            ConstGauge::new(count_of(kind)).encode(metric)?;
        }
        self.encode_rejections(out)?;
        self.encode_peers(out)?;
        self.encode_room(out)?;
        if let Ok(size) = self.store.size_on_disk() {
            gauge(
                out,
                "altofed_store_size_bytes",
                "The database on disk",
                size,
            )?;
        }
        Ok(())
    }
}

impl NodeMetrics {
    /// How the merged view follows what the domains state.
    fn encode_merging(&self, out: &mut DescriptorEncoder<'_>, revision: Option<u64>) -> Encoded {
        let merging = self.merging.borrow().clone();
        gauge(
            out,
            "altofed_publish_merged_revision",
            "The revision that the merged view shows; 0 before it was made once",
            revision.unwrap_or(0),
        )?;
        let now = self.clock.now();
        let behind = merging.behind_since.map(|since| now.since(since));
        for (name, help, time) in [
            (
                "altofed_publish_merged_lag_seconds",
                "Since when something is stated that the merged view does not have; 0 if nothing",
                behind,
            ),
            (
                "altofed_publish_merge_duration_seconds",
                "How long the merged view took to be made the last time",
                merging.took,
            ),
        ] {
            let gauge = ConstGauge::new(time.unwrap_or_default().as_secs_f64());
            let metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge.encode(metric)?;
        }
        let (read, kept) = self.federation.restoring().borrow().read();
        let left = if self.federation.restoring().borrow().is_over() {
            0
        } else {
            kept - read
        };
        gauge(
            out,
            "altofed_federation_restoring",
            "Copies of domains that are still to be read from the disk after the start",
            left as u64,
        )
    }

    /// How much room is left on the disk, and what was refused for want of it.
    fn encode_room(&self, out: &mut DescriptorEncoder<'_>) -> Encoded {
        let room = self.store.room();
        gauge(
            out,
            "altofed_store_free_bytes",
            "What is free on the disk of the store",
            room.free(),
        )?;
        let name = "altofed_store_refused_for_room";
        let help = "What was not written since the disk is full, by kind";
        let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (kind, count) in [
            ("write", room.refused_facts()),
            ("document", room.refused_blobs()),
        ] {
            let labels = [("kind", kind)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// What of the peers was not taken.
    fn encode_rejections(&self, out: &mut DescriptorEncoder<'_>) -> Encoded {
        let name = "altofed_import_rejected";
        let help = "Documents and manifests of peers that were refused, by reason";
        let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (reason, count) in self.federation.rejections() {
            let labels = [("reason", reason)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// How things stand with the peers. Peers are configured, so that their
    /// labels are few.
    fn encode_peers(&self, out: &mut DescriptorEncoder<'_>) -> Encoded {
        let peers = self.federation.status().peers;
        let name = "altofed_federation_peer_state";
        let help = "1 for the state that a peer is in";
        let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for peer in &peers {
            let labels = [
                ("peer", peer.domain.as_str()),
                ("state", peer.state.as_str()),
            ];
            ConstGauge::new(1i64).encode(family.encode_family(&labels)?)?;
        }
        let name = "altofed_federation_peer_failures";
        let help = "Attempts to read a peer that failed in a row";
        let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for peer in &peers {
            let labels = [("peer", peer.domain.as_str())];
            let failures = ConstGauge::new(i64::from(peer.failures));
            failures.encode(family.encode_family(&labels)?)?;
        }
        let name = "altofed_federation_held";
        let help = "Domains of a peer whose change is held, since it is too large at once";
        let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for peer in &peers {
            let held = peer.domains.iter().filter(|domain| domain.held.is_some());
            let held = ConstGauge::new(i64::try_from(held.count()).unwrap_or(i64::MAX));
            held.encode(family.encode_family(&[("peer", peer.domain.as_str())])?)?;
        }
        for (name, help, bytes) in [
            (
                "altofed_federation_peer_memory_bytes",
                "About what the domains that a peer passes take in memory",
                (|peer| peer.memory_bytes) as fn(&PeerStatus) -> u64,
            ),
            (
                "altofed_federation_peer_disk_bytes",
                "What the domains that a peer passes may take on the disk",
                |peer| peer.disk_bytes,
            ),
        ] {
            let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for peer in &peers {
                let labels = [("peer", peer.domain.as_str())];
                let bytes = ConstGauge::new(i64::try_from(bytes(peer)).unwrap_or(i64::MAX));
                bytes.encode(family.encode_family(&labels)?)?;
            }
        }
        let name = "altofed_federation_data_age_seconds";
        let help = "Since the oldest of what a peer passes to us was confirmed";
        let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for peer in &peers {
            let age = peer
                .domains
                .iter()
                .filter_map(|domain| domain.age_seconds)
                .max();
            if let Some(age) = age {
                let labels = [("peer", peer.domain.as_str())];
                let age = ConstGauge::new(i64::try_from(age).unwrap_or(i64::MAX));
                age.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
