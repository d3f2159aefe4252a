//! The settings of the federation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::api::interconnect::Relationship;
use crate::api::s2s::Scope;
use crate::brake::{Hold, MaxChange, Share, Thresholds};
use crate::client::{AnswerLimits, Identity, PeerOptions};
use crate::ident::{DomainLabel, Hidden, InterconnectId, MetricName, PidName};
use crate::runtime::duration;

use super::copies::Amount;
use super::manifest::{KeySettings, PublicKey};

/// All settings of the federation.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Our own part.
    pub own: OwnSettings,
    /// `[[peer]]`: the servers of others, by domain.
    pub peers: BTreeMap<DomainLabel, PeerSettings>,
    /// `[domain.NAME] keys`: the keys that are pinned.
    pub pins: BTreeMap<DomainLabel, Vec<PublicKey>>,
    /// `[federation] max_memory`, `max_disk`: what everything from all peers together may take.
    pub budget: Amount,
    /// `[federation] max_pending`: how many bytes of documents from all peers together may wait
    /// until a view is made of them.
    pub max_pending: u64,
}

/// What we state about ourselves.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnSettings {
    /// The label of our domain.
    pub domain: DomainLabel,
    /// Our name, for people.
    pub name: String,
    /// Our autonomous systems.
    pub asns: Vec<u32>,
    /// The keys that our manifests are signed with.
    pub keys: KeySettings,
    /// Whether to make the key if its file is missing.
    pub make_key: bool,
    /// Which domains may have what we state.
    pub scope: Scope,
}

/// `[[peer]]`: the server of another domain.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerSettings {
    /// The label of its domain.
    pub domain: DomainLabel,
    /// The URI of its directory.
    pub directory: Url,
    /// The protocol that is spoken with it.
    pub protocol: Protocol,
    /// The bearer token that we show it.
    pub token: Option<Hidden>,
    /// The certificate that we show it.
    pub identity: Option<Identity>,
    /// A PEM file of the certificate authorities that are trusted in place of
    /// the system's.
    pub cacert: Option<PathBuf>,
    /// Whether it may be in a private network, and be asked without TLS.
    pub allow_private_addresses: bool,
    /// The network map that is taken from a plain server; absent: its default.
    pub network_map: Option<String>,
    /// What we import from it.
    pub import: ImportSettings,
    /// What we export to it.
    pub export: ExportSettings,
    /// When it is read.
    pub refresh: RefreshSettings,
    /// The links to a plain domain, which cannot state them itself.
    pub interconnects: BTreeMap<InterconnectId, PlainInterconnect>,
}

/// The protocol that is spoken with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Signed manifests if it has them, else ALTO alone.
    #[default]
    Auto,
    /// Signed manifests only.
    Altofed,
    /// ALTO alone (RFC 7285).
    Alto,
}

/// `[peer.import]`: what is taken from a peer. A domain that exceeds a limit is refused as a
/// whole; a change that is too large at once is held.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportSettings {
    /// The domains that are taken; `own` is the peer's own.
    pub domains: Domains,
    /// How many domains are taken.
    pub max_domains: usize,
    /// How many domains a manifest may have come through.
    pub max_path: usize,
    /// How many prefixes a domain may have.
    pub max_prefixes: usize,
    /// How many PIDs a domain may have.
    pub max_pids: usize,
    /// How many metrics a domain may have.
    pub max_metrics: usize,
    /// How many interconnects a domain may have.
    pub max_interconnects: usize,
    /// How many bytes a document may have, after decompression.
    pub max_bytes: usize,
    /// The share of a domain's prefixes, PIDs, interconnects or costs that may go at once.
    pub max_removed: Share,
    /// How many of its costs may move at once, and how far.
    pub max_change: MaxChange,
    /// How long a change is held that exceeds either of the two.
    pub hold: Hold,
    /// How many bytes of memory everything may take that the peer passes on.
    pub max_memory: u64,
    /// How many bytes of the disk everything may take that the peer passes on.
    pub max_disk: u64,
    /// How many bytes the peer may push, and how many bytes the documents that it pushes may
    /// have, before a manifest names them.
    pub max_pending: usize,
}

impl Default for ImportSettings {
    fn default() -> Self {
        let Thresholds {
            max_removed,
            max_change,
        } = Thresholds::default();
        Self {
            max_removed,
            max_change,
            hold: Hold::default(),
            domains: Domains::own(),
            max_domains: 1000,
            max_path: 8,
            max_prefixes: 200_000,
            max_pids: 5_000,
            max_metrics: 32,
            max_interconnects: 1_000,
            max_bytes: 256 * 1024 * 1024,
            max_memory: 1536 * 1024 * 1024,
            max_disk: 2 * 1024 * 1024 * 1024,
            max_pending: 256 * 1024 * 1024,
        }
    }
}

impl ImportSettings {
    /// Returns the thresholds above which a change of a domain is held.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            max_removed: self.max_removed,
            max_change: self.max_change,
        }
    }

    /// Returns what everything may take that the peer passes on.
    pub fn budget(&self) -> Amount {
        Amount {
            memory: self.max_memory,
            disk: self.max_disk,
        }
    }

    /// Returns the limits for one domain.
    pub fn limits(&self) -> Limits {
        Limits {
            max_pids: self.max_pids,
            max_prefixes: self.max_prefixes,
            max_metrics: self.max_metrics,
            max_interconnects: self.max_interconnects,
            max_bytes: self.max_bytes,
            max_domains: self.max_domains,
            max_memory: self.max_memory,
            max_cells: usize::try_from(self.max_memory / 8).unwrap_or(usize::MAX),
            ..Limits::default()
        }
    }
}

/// The limits on what is taken of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Number of PIDs.
    pub max_pids: usize,
    /// Number of prefixes in all PIDs together.
    pub max_prefixes: usize,
    /// Number of costs in all metrics together, at least 8 bytes each.
    pub max_cells: usize,
    /// Bytes of memory of its costs in all metrics together.
    pub max_memory: u64,
    /// Number of metrics.
    pub max_metrics: usize,
    /// Number of interconnects.
    pub max_interconnects: usize,
    /// Bytes of all its maps together, and of any other response, after
    /// decompression.
    pub max_bytes: usize,
    /// Bytes of one signed manifest.
    pub max_manifest_bytes: usize,
    /// Number of domains that one peer passes on to us.
    pub max_domains: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pids: 5_000,
            max_prefixes: 200_000,
            max_cells: 100_000_000,
            max_memory: 1536 * 1024 * 1024,
            max_metrics: 32,
            max_interconnects: 1_000,
            max_bytes: 256 * 1024 * 1024,
            max_manifest_bytes: 4 * 1024 * 1024,
            max_domains: 1_000,
        }
    }
}

/// `[peer.export]`: what is exported to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportSettings {
    /// The domains that it gets; `own` is our own.
    pub domains: Domains,
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self {
            domains: Domains::own(),
        }
    }
}

/// `[peer.refresh]`: when a peer is read, and how long a reading counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefreshSettings {
    /// The time between two readings.
    #[serde(with = "duration::positive")]
    pub interval: Duration,
    /// The age at which what was read counts as stale.
    #[serde(with = "duration::positive")]
    pub stale_after: Duration,
    /// The age at which what was read leaves the merged view.
    #[serde(with = "duration::positive")]
    pub expire_after: Duration,
    /// Whether its update stream is followed, if it has one.
    pub push: bool,
}

impl Default for RefreshSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            stale_after: Duration::from_secs(10 * 60),
            expire_after: Duration::from_secs(6 * 60 * 60),
            push: true,
        }
    }
}

/// A choice of domains: `["own"]`, labels, or `["*"]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Domains {
    all: bool,
    own: bool,
    labels: BTreeSet<DomainLabel>,
}

impl Domains {
    /// Returns the choice of `own` alone: the domain of the server that speaks.
    pub fn own() -> Self {
        Self {
            own: true,
            ..Self::default()
        }
    }

    /// Whether a domain is among them; `own` is the domain that the word `own` stands for.
    pub fn includes(&self, domain: &DomainLabel, own: &DomainLabel) -> bool {
        self.all || (self.own && domain == own) || self.labels.contains(domain)
    }
}

impl TryFrom<Vec<String>> for Domains {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let mut domains = Self::default();
        for word in words {
            match word.as_str() {
                "*" => domains.all = true,
                "own" => domains.own = true,
                label => {
                    let label = DomainLabel::new(label).map_err(|error| {
                        format!("{error}; give \"own\", \"*\", or labels of domains")
                    })?;
                    domains.labels.insert(label);
                }
            }
        }
        Ok(domains)
    }
}

/// `[[peer.interconnect]]`: a link to a plain domain, both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainInterconnect {
    /// Our PID at the link.
    pub border: PidName,
    /// The peer's PID at the link.
    pub peer_border: PidName,
    /// The relationship of the peer to us.
    pub relationship: Relationship,
    /// Our relationship to the peer.
    pub peer_relationship: Relationship,
    /// The costs from us to the peer.
    pub costs: BTreeMap<MetricName, f64>,
    /// The costs from the peer to us.
    pub reverse_costs: BTreeMap<MetricName, f64>,
}

impl Settings {
    /// The default of what everything from all peers together may take.
    pub const BUDGET: Amount = Amount {
        memory: 4 * 1024 * 1024 * 1024,
        disk: 8 * 1024 * 1024 * 1024,
    };

    /// The default of how many bytes may be pending, from all peers together.
    pub const MAX_PENDING: u64 = 512 * 1024 * 1024;

    /// Returns the keys that are pinned for a domain.
    pub fn pins(&self, domain: &DomainLabel) -> &[PublicKey] {
        self.pins.get(domain).map_or(&[], Vec::as_slice)
    }
}

impl PeerSettings {
    /// Returns the options by which the peer is asked.
    pub fn options(&self) -> PeerOptions {
        PeerOptions {
            token: self.token.clone(),
            cacert: self.cacert.clone(),
            identity: self.identity.clone(),
            allow_private_addresses: self.allow_private_addresses,
            limits: AnswerLimits {
                max_bytes: self.import.max_bytes,
                ..AnswerLimits::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> DomainLabel {
        DomainLabel::new(text).expect("a label")
    }

    fn domains(words: &[&str]) -> Result<Domains, String> {
        Domains::try_from(
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn an_honest_domain_of_five_thousand_pids_and_five_metrics_is_within_the_budgets() {
        let import = ImportSettings::default();
        let dense = 5_000 * 5_000 * 5 * size_of::<f64>() as u64;
        assert!(dense < import.max_memory && dense < import.limits().max_memory);
        assert!(dense / 8 < import.limits().max_cells as u64);
        assert!(4 * import.max_bytes as u64 <= import.max_disk);
        assert!(import.max_memory <= Settings::BUDGET.memory);
        // The first peer that asks may take three quarters of it.
        assert!(import.max_bytes as u64 <= Settings::MAX_PENDING / 4 * 3);
    }

    #[test]
    fn domains_are_chosen_by_word_and_label() {
        let includes = |words: &[&str], domain: &str| {
            let chosen = domains(words).expect("sound");
            chosen.includes(&label(domain), &label("isp-b"))
        };
        assert!(includes(&["own"], "isp-b") && !includes(&["own"], "isp-c"));
        assert!(includes(&["*"], "isp-c") && includes(&["isp-c", "own"], "ISP-C"));
        assert!(!includes(&["isp-c"], "isp-b") && !includes(&[], "isp-b"));
        let refused = domains(&["isp b"]).expect_err("no label");
        assert!(refused.contains("\"own\", \"*\""), "{refused}");
    }
}
