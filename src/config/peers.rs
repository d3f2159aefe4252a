//! The sections on other domains, as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use crate::api::s2s::Scope;
use crate::auth::Token;
use crate::client::Identity;
use crate::compile::{DomainPolicy, MergePolicy, Relationship};
use crate::federation::{
    BearerToken, ExportSettings, ImportSettings, KeySettings, OldKey, OwnSettings, PeerSettings,
    PlainInterconnect, Protocol, PublicKey, RefreshSettings, Settings,
};
use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::MAX_DOMAINS;
use crate::publish::Rule;
use crate::runtime::duration;

use super::Node;
use super::report::Fault;
use super::secret;

/// `[federation]`: what we tell of ourselves.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FederationSection {
    key: Option<PathBuf>,
    old_keys: Vec<OldKeySection>,
    scope: Scope,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldKeySection {
    key: PathBuf,
    not_after: jiff::Timestamp,
}

/// `[[peer]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerSection {
    domain: DomainLabel,
    directory: String,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    token_env: Option<String>,
    #[serde(default)]
    token_file: Option<PathBuf>,
    #[serde(default)]
    client_cert: Option<IdentitySection>,
    #[serde(default)]
    client_cert_sha256: Option<String>,
    #[serde(default)]
    cacert: Option<PathBuf>,
    #[serde(default)]
    allow_private_addresses: bool,
    #[serde(default)]
    network_map: Option<String>,
    #[serde(default)]
    import: ImportSettings,
    #[serde(default)]
    export: ExportSettings,
    #[serde(default)]
    refresh: RefreshSettings,
    #[serde(default)]
    interconnect: Vec<Spanned<InterconnectSection>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentitySection {
    cert: PathBuf,
    key: PathBuf,
}

/// `[[peer.interconnect]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterconnectSection {
    id: InterconnectId,
    border: PidName,
    peer_border: PidName,
    #[serde(default = "open")]
    relationship: Relationship,
    #[serde(default = "open")]
    peer_relationship: Relationship,
    #[serde(default)]
    costs: BTreeMap<MetricName, f64>,
    #[serde(default)]
    reverse_costs: BTreeMap<MetricName, f64>,
}

fn open() -> Relationship {
    Relationship::Open
}

/// `[domain.NAME]`: policy for a domain.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DomainSection {
    keys: Vec<String>,
    prefixes: Option<Vec<ipnet::IpNet>>,
    preference: i64,
    scale: BTreeMap<MetricName, f64>,
}

/// `[merge]`: how domains become one view.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MergeSection {
    select_by: Option<MetricName>,
    max_domains: Option<usize>,
    max_labels: Option<u64>,
    patience: Option<Patience>,
    private_prefixes: Option<bool>,
    metric: BTreeMap<MetricName, MetricSection>,
}

/// `merge.patience`
#[derive(Deserialize, Clone, Copy)]
struct Patience(#[serde(with = "duration")] Duration);

/// How long the answer to a write waits for the merged view if nothing is said.
const PATIENCE: Duration = Duration::from_millis(250);

/// `[merge.metric.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricSection {
    compose: Rule,
}

/// What the sections say together, and who may call as a peer by certificate.
pub(super) fn settings(
    node: &Node,
    own: FederationSection,
    peers: Vec<Spanned<PeerSection>>,
    domains: &BTreeMap<DomainLabel, Spanned<DomainSection>>,
    faults: &mut Vec<Fault>,
) -> (Settings, Vec<Token>) {
    let mut pins = BTreeMap::new();
    for (label, section) in domains {
        let keys = section.get_ref().keys.iter().map(|key| key.parse());
        match keys.collect::<Result<Vec<PublicKey>, _>>() {
            Ok(keys) if keys.is_empty() => {}
            Ok(keys) => drop(pins.insert(label.clone(), keys)),
            Err(error) => {
                faults.push(Fault::new(Some(section.span()), error.to_string()));
            }
        }
    }
    let mut known = BTreeMap::new();
    let mut tokens = Vec::new();
    for section in peers {
        let span = section.span();
        let section = section.into_inner();
        let fingerprint = section.client_cert_sha256.clone();
        match peer(node, section) {
            Ok(peer) => {
                match fingerprint.map(|text| Token::of_peer(&peer.domain, &text)) {
                    Some(Ok(token)) => tokens.push(token),
                    Some(Err(reason)) => faults.push(Fault::new(Some(span.clone()), reason)),
                    None => {}
                }
                let domain = peer.domain.clone();
                if known.insert(domain.clone(), peer).is_some() {
                    let reason = format!("there are two peers {domain}; keep one");
                    faults.push(Fault::new(Some(span), reason));
                }
            }
            Err(reason) => faults.push(Fault::new(Some(span), reason)),
        }
    }
    let old = own.old_keys.into_iter().map(|old| OldKey {
        key: old.key,
        not_after: old.not_after,
    });
    let beside_data = || {
        let mut name = node.data_dir.clone().into_os_string();
        name.push(".key");
        PathBuf::from(name)
    };
    let settings = Settings {
        own: OwnSettings {
            domain: node.domain.clone(),
            name: node.name.clone(),
            asns: node.asns.clone(),
            make_key: own.key.is_none(),
            keys: KeySettings {
                key: own.key.unwrap_or_else(beside_data),
                old: old.collect(),
            },
            scope: own.scope,
        },
        peers: known,
        pins,
    };
    (settings, tokens)
}

/// A peer, or what is wrong with it.
fn peer(node: &Node, section: PeerSection) -> Result<PeerSettings, String> {
    let domain = section.domain;
    if domain == node.domain {
        return Err(format!(
            "the peer {domain} has our own label; give the label of its domain"
        ));
    }
    let directory = Url::parse(&section.directory).map_err(|error| {
        format!(
            "the directory of the peer {domain} is no URL: {error}; write it like \
             https://alto.example.net/directory"
        )
    })?;
    match directory.scheme() {
        "https" => {}
        "http" if section.allow_private_addresses => {}
        "http" => {
            return Err(format!(
                "the directory of the peer {domain} is asked without TLS; use https, or in a lab \
                 set allow_private_addresses = true"
            ));
        }
        other => {
            return Err(format!(
                "the directory of the peer {domain} is a {other} URI; it must be https"
            ));
        }
    }
    if directory.host_str().is_none_or(str::is_empty)
        || !directory.username().is_empty()
        || directory.password().is_some()
    {
        return Err(format!(
            "the directory of the peer {domain} must be a URI with a host and without a user; \
             give a token by token_env"
        ));
    }
    let refresh = &section.refresh;
    if refresh.stale_after > refresh.expire_after || refresh.interval > refresh.stale_after {
        return Err(format!(
            "the peer {domain} must have interval <= stale_after <= expire_after in its refresh"
        ));
    }
    let stated = secret::Stated {
        key: "token",
        owner: format!("peer {domain}"),
        value: section.token.as_deref(),
        env: section.token_env.as_deref(),
        file: section.token_file.as_deref(),
    };
    let token = stated.resolve()?.map(BearerToken);
    if section.protocol == Protocol::Altofed
        && (section.network_map.is_some() || !section.interconnect.is_empty())
    {
        return Err(format!(
            "network_map and interconnect are for plain ALTO servers; the peer {domain} speaks \
             altofed and states its own"
        ));
    }
    let mut interconnects = BTreeMap::new();
    for link in section.interconnect {
        let link = link.into_inner();
        let id = link.id.clone();
        for (metric, cost) in link.costs.iter().chain(&link.reverse_costs) {
            metric.check().check(*cost).map_err(|reason| {
                format!("the {metric} of interconnect {id} of the peer {domain}: {reason}")
            })?;
        }
        let link = PlainInterconnect {
            border: link.border,
            peer_border: link.peer_border,
            relationship: link.relationship,
            peer_relationship: link.peer_relationship,
            costs: link.costs,
            reverse_costs: link.reverse_costs,
        };
        if interconnects.insert(id.clone(), link).is_some() {
            return Err(format!(
                "the peer {domain} has two interconnects {id}; keep one"
            ));
        }
    }
    Ok(PeerSettings {
        domain,
        directory,
        protocol: section.protocol,
        token,
        identity: section.client_cert.map(|files| Identity {
            certificate: files.cert,
            key: files.key,
        }),
        cacert: section.cacert,
        allow_private_addresses: section.allow_private_addresses,
        network_map: section.network_map,
        import: section.import,
        export: section.export,
        refresh: section.refresh,
        interconnects,
    })
}

/// How long the answer to a write waits for the merged view.
pub(super) fn merge_patience(merge: Option<&Spanned<MergeSection>>) -> Duration {
    let stated = merge.and_then(|merge| merge.get_ref().patience);
    stated.map_or(PATIENCE, |stated| stated.0)
}

/// The policy of the merged view.
pub(super) fn merge_policy(
    node: &Node,
    merge: Option<Spanned<MergeSection>>,
    domains: &BTreeMap<DomainLabel, Spanned<DomainSection>>,
    faults: &mut Vec<Fault>,
) -> MergePolicy {
    let span = merge.as_ref().map(Spanned::span);
    let merge = merge.map_or_else(MergeSection::default, Spanned::into_inner);
    let mut refuse = |reason: String| faults.push(Fault::new(span.clone(), reason));
    let defaults = MergePolicy::new(node.domain.clone());
    let rules = merge.metric.into_iter();
    let policy = MergePolicy {
        select_by: merge.select_by.unwrap_or(defaults.select_by),
        max_domains: merge.max_domains.unwrap_or(defaults.max_domains),
        max_labels: merge.max_labels.unwrap_or(defaults.max_labels),
        private_prefixes: merge.private_prefixes.unwrap_or(defaults.private_prefixes),
        compose: rules
            .map(|(metric, section)| (metric, section.compose))
            .collect(),
        ..defaults
    };
    let select_by = &policy.select_by;
    if policy
        .compose
        .get(select_by)
        .copied()
        .or(Rule::of(select_by))
        != Some(Rule::Add)
    {
        refuse(format!(
            "select_by = \"{select_by}\" is no additive metric; take routingcost, hopcount or a \
             delay"
        ));
    }
    if !(2..=MAX_DOMAINS).contains(&policy.max_domains) {
        refuse(format!("max_domains must be from 2 to {MAX_DOMAINS}"));
    }
    let mut known = BTreeMap::new();
    for (label, spanned) in domains {
        let section = spanned.get_ref();
        let routingcost = MetricName::routingcost();
        let scale = section.scale.get(&routingcost).copied();
        let mut refuse = |reason: String| faults.push(Fault::new(Some(spanned.span()), reason));
        if section.scale.keys().any(|metric| *metric != routingcost) {
            refuse(format!(
                "only routingcost can be scaled in domain {label}: other metrics have units"
            ));
        }
        if scale.is_some_and(|scale| !(scale.is_finite() && scale > 0.0)) {
            refuse(format!("the scale of domain {label} must be above 0"));
        }
        let with_host_bits = section.prefixes.iter().flatten();
        for prefix in with_host_bits.filter(|prefix| prefix.trunc() != **prefix) {
            refuse(format!(
                "prefix {prefix} of domain {label} has host bits; did you mean {}?",
                prefix.trunc()
            ));
        }
        let policy = DomainPolicy {
            prefixes: section.prefixes.clone(),
            preference: section.preference,
            scale,
        };
        known.insert(label.clone(), policy);
    }
    MergePolicy {
        domains: known,
        ..policy
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    const NODE: &str = "[node]\ndomain = \"isp-a\"\ndata_dir = \"var/a\"\n";
    const PEER: &str =
        "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://b.example/directory\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("peers.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_least_peer_has_defaults_for_the_rest() {
        let config = parse(&format!("{NODE}{PEER}")).expect("sound");
        let (label, peer) = config.federation.peers.first_key_value().expect("a peer");
        assert_eq!(label.as_str(), "isp-b");
        assert!(peer.token.is_none() && !peer.allow_private_addresses);
        assert!(peer.import.domains.includes(label, label));
        let own = &config.federation.own;
        assert_eq!(own.keys.key, Path::new("var/a.key"));
        assert!(own.make_key);
        assert_eq!(config.merge.select_by.as_str(), "routingcost");
        let named = parse(&format!("{NODE}[federation]\nkey = \"k\"\n")).expect("sound");
        assert!(
            !named.federation.own.make_key,
            "a key that is named is there"
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line_and_the_mend() {
        let peer = |more: &str| format!("{NODE}{PEER}{more}\n");
        let domain = |more: &str| format!("{NODE}[domain.isp-b]\n{more}\n");
        let merge = |more: &str| format!("{NODE}[merge]\n{more}\n");
        for (text, words) in [
            (
                peer("").replace("https", "http"),
                "set allow_private_addresses",
            ),
            (peer("").replace("https", "ftp"), "it must be https"),
            (
                peer("").replace("https://", "https://me@"),
                "without a user",
            ),
            (peer("").replace("https://b.example", "b"), "is no URL"),
            (peer("").replace("isp-b", "isp-a"), "our own label"),
            (format!("{NODE}{PEER}{PEER}"), "two peers isp-b"),
            (
                peer("token_env = \"ALTOFED_TEST_NOT_SET\""),
                "set ALTOFED_TEST_NOT_SET",
            ),
            (peer("token = \"x\"\ntoken_file = \"y\""), "several places"),
            (
                peer("refresh.stale_after = \"1s\""),
                "interval <= stale_after",
            ),
            (
                peer("protocol = \"altofed\"\nnetwork_map = \"m\""),
                "for plain ALTO servers",
            ),
            (peer("import.domains = [\"isp b\"]"), "\"own\", \"*\""),
            (peer("client_cert_sha256 = \"ab\""), "64 hex digits"),
            (
                peer(
                    "[[peer.interconnect]]\nid = \"x\"\nborder = \"a\"\npeer_border = \"b\"\n\
                     costs = { routingcost = -1 }",
                ),
                "must not be negative",
            ),
            (domain("keys = [\"ed25519:x\"]"), "is no key"),
            (
                domain("prefixes = [\"192.0.2.1/24\"]"),
                "did you mean 192.0.2.0/24?",
            ),
            (domain("scale = { delay-ow = 2 }"), "only routingcost"),
            (domain("scale = { routingcost = 0 }"), "above 0"),
            (merge("select_by = \"tput\""), "no additive metric"),
            (merge("max_domains = 1"), "from 2 to"),
            (
                format!(
                    "{NODE}[[token]]\nname = \"x\"\nsecret = \"0123456789abcdef\"\n\
                     scopes = [\"peer\"]\npeer = \"isp-c\"\n"
                ),
                "which is no [[peer]]",
            ),
        ] {
            let error = parse(&text).expect_err(words);
            assert!(error.contains(words), "{words}: {error}");
            assert!(error.starts_with("peers.toml:"), "{error}");
        }
    }

    #[test]
    fn a_peer_may_be_known_by_its_certificate() {
        let text = format!("{NODE}{PEER}client_cert_sha256 = \"{}\"\n", "ab".repeat(32));
        let config = parse(&text).expect("sound");
        let token = config.tokens.first().expect("a principal");
        assert_eq!(token.certificate, Some([0xab; 32]));
        assert_eq!(token.peer.as_ref().map(|peer| peer.as_str()), Some("isp-b"));
    }
}
