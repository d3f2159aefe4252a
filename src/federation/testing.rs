//! Helpers that the tests of the federation share.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use proptest::strategy::Strategy;
use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use url::Url;

use crate::alto::network::AddressGroup;
use crate::api::interconnect::Relationship;
use crate::api::s2s::Scope;
use crate::client::{Directory, DirectoryError, Page, Pages};
use crate::facts::{Interconnect, Interconnects};
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::{Lpm, Matrix, PidIndex};
use crate::publish::{Costs, Lookup, NetworkMap, Origin, Properties, View, ViewName};
use crate::store::Store;

use super::copies::Amount;
use super::manifest::KeySettings;
use super::settings::{
    ExportSettings, ImportSettings, OwnSettings, PeerSettings, Protocol, RefreshSettings, Settings,
};

/// Returns a time, in hours after a fixed one.
pub(super) fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000 + hours)
}

pub(super) fn label(text: &str) -> DomainLabel {
    DomainLabel::new(text).expect("a label")
}

pub(super) fn pid(text: &str) -> PidName {
    PidName::new(text).expect("a name")
}

pub(super) fn amount(memory: u64, disk: u64) -> Amount {
    Amount { memory, disk }
}

/// Returns amounts of less than `end` bytes of each.
pub(super) fn amounts(end: u64) -> impl Strategy<Value = Amount> {
    (0..end, 0..end).prop_map(|(memory, disk)| amount(memory, disk))
}

/// Returns the view of a domain with two PIDs, `east` and `west`, and costs between them in two
/// metrics.
pub(super) fn domain_view(domain: &str) -> Arc<View> {
    domain_view_with(domain, 5.0)
}

/// Returns the view of [`domain_view`] with another cost from east to west.
pub(super) fn domain_view_with(domain: &str, cost: f64) -> Arc<View> {
    let prefixes = ["198.51.100.0/24", "2001:db8:1::/48", "203.0.113.0/24"];
    let prefixes = prefixes.map(|text| text.parse().expect("a prefix"));
    let mut groups = vec![AddressGroup::default(), AddressGroup::default()];
    for (prefix, place) in prefixes.into_iter().zip([0_usize, 0, 1]) {
        groups[place].insert(prefix);
    }
    let lpm = Lpm::build(prefixes.into_iter().zip([0, 0, 1])).expect("no prefix twice");
    let lookup = Lookup {
        lpm: Arc::new(lpm),
        ..Lookup::default()
    };
    let pids = Arc::new(PidIndex::new(vec![pid("east"), pid("west")]));
    let network = NetworkMap::new(pids, groups.into_iter().map(Arc::new).collect(), lookup);
    let matrix = |cells: [f64; 4]| {
        let matrix = Matrix::from_cells(2, 2, cells.to_vec()).expect("four cells");
        Costs::Dense(Arc::new(matrix))
    };
    let costs = BTreeMap::from([
        (MetricName::routingcost(), matrix([0.0, cost, 7.5, 0.0])),
        (
            MetricName::new("delay-ow:p99.9").expect("a metric"),
            matrix([f64::NAN, 12.25, 1e-7, f64::NAN]),
        ),
    ]);
    let origin = Origin {
        serial: 1,
        received: at(0),
    };
    let name = ViewName::Domain(label(domain));
    let properties = Arc::new(Properties::default());
    Arc::new(View::new(
        name,
        origin,
        Arc::new(network),
        costs,
        properties,
        None,
    ))
}

/// Returns one link, from `east` to the PID `gate` of another domain.
pub(super) fn links(to: &str) -> Interconnects {
    let link = Interconnect {
        border: pid("east"),
        costs: BTreeMap::from([(MetricName::routingcost(), 2.5)]),
        peer_border: pid("gate"),
        peer_domain: label(to),
        relationship: Relationship::Open,
    };
    Interconnects::from([(InterconnectId::new("x-1").expect("an id"), link)])
}

/// Opens a new store that keeps little in memory; returns its directory too.
pub(super) fn small_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = crate::store::Settings {
        cache_bytes: 1024 * 1024,
        ..crate::store::Settings::default()
    };
    let opened = Store::open(&directory.path().join("store"), &settings).expect("opened");
    (directory, opened.store)
}

/// Returns a peer with the default settings.
pub(super) fn peer(domain: &str, directory: &str) -> PeerSettings {
    PeerSettings {
        domain: label(domain),
        directory: Url::parse(directory).expect("a URL"),
        protocol: Protocol::Auto,
        token: None,
        identity: None,
        cacert: None,
        allow_private_addresses: true,
        network_map: None,
        import: ImportSettings::default(),
        export: ExportSettings::default(),
        refresh: RefreshSettings::default(),
        interconnects: BTreeMap::new(),
    }
}

/// Returns the settings of the domain `isp-a`, without peers.
pub(super) fn settings() -> Settings {
    Settings {
        budget: Settings::BUDGET,
        max_pending: Settings::MAX_PENDING,
        own: OwnSettings {
            domain: label("isp-a"),
            name: "ISP A".to_owned(),
            asns: vec![64500],
            keys: KeySettings {
                key: PathBuf::from("key.pem"),
                old: Vec::new(),
            },
            make_key: false,
            scope: Scope::Any,
        },
        peers: BTreeMap::new(),
        pins: BTreeMap::new(),
    }
}

/// A log that is kept in memory.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Takes what this thread logs from now on, until the guard is dropped.
    pub(super) fn taken() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    /// Counts how often the log contains these words.
    pub(super) fn count(&self, words: &str) -> usize {
        let bytes = self.0.lock().expect("no panic");
        String::from_utf8_lossy(&bytes).matches(words).count()
    }
}

/// Returns the crawled directory of a server that has a single one, with this content.
pub(super) fn crawled(root: &Url, directory: &Value) -> Directory {
    struct One(Bytes);

    impl Pages for One {
        type Error = DirectoryError;

        async fn page(&mut self, url: &Url) -> Result<Option<Page>, DirectoryError> {
            Ok(Some(Page {
                place: url.clone(),
                body: self.0.clone(),
            }))
        }
    }

    let pages = One(directory.to_string().into());
    let crawl = Directory::crawl(root, 1, pages).now_or_never();
    crawl.expect("nothing waits").expect("a directory")
}
