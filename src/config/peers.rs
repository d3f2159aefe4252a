//! The sections about other domains, as they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use crate::api::interconnect::Relationship;
use crate::api::s2s::Scope;
use crate::auth::Token;
use crate::client::Identity;
use crate::compile::{DomainPolicy, MergePolicy};
use crate::federation::{
    Amount, ExportSettings, ImportSettings, KeySettings, OldKey, OwnSettings, PeerSettings,
    PlainInterconnect, Protocol, PublicKey, RefreshSettings, Settings,
};
use crate::ident::{DomainLabel, Hidden, InterconnectId, MetricName, PidName};
use crate::paths::MAX_DOMAINS;
use crate::paths::Rule;
use crate::runtime::duration;

use super::node::Node;
use super::report::Fault;
use super::secret;
use super::tokens::{StatedToken, refused};

/// `[federation]`: what we say of ourselves, and what all peers together may take.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FederationSection {
    key: Option<PathBuf>,
    old_keys: Vec<OldKeySection>,
    scope: Scope,
    max_memory: Option<u64>,
    max_disk: Option<u64>,
    max_pending: Option<u64>,
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
    pub(super) token: Option<Hidden>,
    #[serde(default)]
    token_env: Option<String>,
    #[serde(default)]
    pub(super) token_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) client_cert: Option<IdentitySection>,
    #[serde(default)]
    client_cert_sha256: Option<String>,
    #[serde(default)]
    pub(super) cacert: Option<PathBuf>,
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
pub(super) struct IdentitySection {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
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
    off_net: BTreeSet<PidName>,
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
    max_multi_pids: Option<usize>,
    metric: BTreeMap<MetricName, MetricSection>,
}

/// `merge.patience`
#[derive(Deserialize, Clone, Copy)]
struct Patience(#[serde(with = "duration")] Duration);

/// How long the answer to a write waits for the merged view by default.
const PATIENCE: Duration = Duration::from_millis(250);

/// `[merge.metric.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricSection {
    compose: Rule,
}

/// Joins the sections, and returns also the principals of peers that are known by their
/// certificates.
pub(super) fn settings(
    node: &Node,
    own: FederationSection,
    peers: Vec<Spanned<PeerSection>>,
    domains: &BTreeMap<DomainLabel, Spanned<DomainSection>>,
    faults: &mut Vec<Fault>,
) -> (Settings, Vec<StatedToken>) {
    let mut pins = BTreeMap::new();
    for (label, section) in domains {
        let mut keys: Vec<PublicKey> = Vec::new();
        for (index, key) in section.get_ref().keys.iter().enumerate() {
            match key.parse() {
                Ok(key) => keys.push(key),
                Err(_) => {
                    let reason = "it is no key; write `ed25519:` and 43 characters of base64url, \
                                  as `altofed keygen` prints it";
                    faults.push(Fault::new(section.span(), reason).at("keys").item(index));
                }
            }
        }
        if !keys.is_empty() {
            pins.insert(label.clone(), keys);
        }
    }
    let mut known = BTreeMap::new();
    let mut tokens = Vec::new();
    for section in peers {
        let span = section.span();
        let section = section.into_inner();
        let fingerprint = section.client_cert_sha256.clone();
        match peer(node, section, &span) {
            Ok(peer) => {
                match fingerprint.map(|text| Token::of_peer(&peer.domain, &text)) {
                    Some(Ok(token)) => tokens.push(StatedToken {
                        token,
                        span: span.clone(),
                    }),
                    Some(Err(error)) => faults.push(refused(error, span.clone())),
                    None => {}
                }
                if known.insert(peer.domain.clone(), peer).is_some() {
                    let reason = "another [[peer]] has this domain; keep one";
                    faults.push(Fault::new(span, reason).at("domain"));
                }
            }
            Err(fault) => faults.push(fault),
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
        budget: Amount {
            memory: own.max_memory.unwrap_or(Settings::BUDGET.memory),
            disk: own.max_disk.unwrap_or(Settings::BUDGET.disk),
        },
        max_pending: own.max_pending.unwrap_or(Settings::MAX_PENDING),
    };
    (settings, tokens)
}

/// Reads the section of a peer.
///
/// # Errors
/// What is wrong with it.
fn peer(node: &Node, section: PeerSection, span: &Range<usize>) -> Result<PeerSettings, Fault> {
    let wrong = |key, reason: &str| Err(Fault::new(span.clone(), reason).at(key));
    let domain = section.domain;
    if domain == node.domain {
        return wrong(
            "domain",
            "this is our own label; give the label of the peer's domain",
        );
    }
    let directory = match Url::parse(&section.directory) {
        Ok(directory) => directory,
        Err(error) => {
            let reason =
                format!("it is no URL: {error}; write it like https://alto.example.net/directory");
            return wrong("directory", &reason);
        }
    };
    match directory.scheme() {
        "https" => {}
        "http" if section.allow_private_addresses => {}
        "http" => {
            return wrong(
                "directory",
                "it is asked without TLS; use https, or in a lab set allow_private_addresses = \
                 true",
            );
        }
        _ => return wrong("directory", "it must be https"),
    }
    if directory.host_str().is_none_or(str::is_empty)
        || !directory.username().is_empty()
        || directory.password().is_some()
    {
        return wrong(
            "directory",
            "it must be a URI with a host and without a user; give a token by token_env",
        );
    }
    let refresh = &section.refresh;
    if refresh.stale_after > refresh.expire_after || refresh.interval > refresh.stale_after {
        return wrong(
            "refresh",
            "these must be interval <= stale_after <= expire_after",
        );
    }
    let secret = secret::Stated {
        keys: ["token", "token_env", "token_file"],
        value: section.token.as_ref(),
        env: section.token_env.as_deref(),
        file: section.token_file.as_deref(),
    };
    let token = match secret.resolve() {
        Ok(token) => token,
        Err((key, reason)) => return wrong(key, &reason),
    };
    if section.protocol == Protocol::Altofed
        && (section.network_map.is_some() || !section.interconnect.is_empty())
    {
        return wrong(
            "protocol",
            "network_map and interconnect are for plain ALTO servers; one that speaks altofed \
             states its own",
        );
    }
    let mut interconnects = BTreeMap::new();
    for link in section.interconnect {
        let span = link.span();
        let link = link.into_inner();
        for (key, costs) in [
            ("costs", &link.costs),
            ("reverse_costs", &link.reverse_costs),
        ] {
            for (metric, cost) in costs {
                let checked = metric.check().check(*cost);
                checked.map_err(|reason| Fault::new(span.clone(), reason).at(key))?;
            }
        }
        let id = link.id.clone();
        let link = PlainInterconnect {
            border: link.border,
            peer_border: link.peer_border,
            relationship: link.relationship,
            peer_relationship: link.peer_relationship,
            costs: link.costs,
            reverse_costs: link.reverse_costs,
        };
        if interconnects.insert(id, link).is_some() {
            let reason = "another interconnect of the peer has this id; keep one";
            return Err(Fault::new(span, reason).at("id"));
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

/// Returns how long the answer to a write waits for the merged view.
pub(super) fn merge_patience(merge: Option<&Spanned<MergeSection>>) -> Duration {
    let stated = merge.and_then(|merge| merge.get_ref().patience);
    stated.map_or(PATIENCE, |stated| stated.0)
}

/// Returns the policy of the merged view.
pub(super) fn merge_policy(
    node: &Node,
    merge: Option<Spanned<MergeSection>>,
    domains: &BTreeMap<DomainLabel, Spanned<DomainSection>>,
    faults: &mut Vec<Fault>,
) -> MergePolicy {
    let span = merge.as_ref().map(Spanned::span);
    let merge = merge.map_or_else(MergeSection::default, Spanned::into_inner);
    let mut refuse = |key, reason: String| faults.push(Fault::new(span.clone(), reason).at(key));
    let defaults = MergePolicy::new(node.domain.clone());
    let rules = merge.metric.into_iter();
    let policy = MergePolicy {
        select_by: merge.select_by.unwrap_or(defaults.select_by),
        max_domains: merge.max_domains.unwrap_or(defaults.max_domains),
        max_labels: merge.max_labels.unwrap_or(defaults.max_labels),
        private_prefixes: merge.private_prefixes.unwrap_or(defaults.private_prefixes),
        max_multi_pids: merge.max_multi_pids.unwrap_or(defaults.max_multi_pids),
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
        let reason = "it must be an additive metric: routingcost, hopcount or a delay";
        refuse("select_by", reason.to_owned());
    }
    if !(2..=MAX_DOMAINS).contains(&policy.max_domains) {
        refuse("max_domains", format!("it must be from 2 to {MAX_DOMAINS}"));
    }
    let mut known = BTreeMap::new();
    for (label, spanned) in domains {
        let section = spanned.get_ref();
        let routingcost = MetricName::routingcost();
        let scale = section.scale.get(&routingcost).copied();
        let wrong = |key, reason: &str| Fault::new(spanned.span(), reason).at(key);
        if section.scale.keys().any(|metric| *metric != routingcost) {
            let reason = "only routingcost can be scaled: other metrics have units";
            faults.push(wrong("scale", reason));
        }
        if scale.is_some_and(|scale| !(scale.is_finite() && scale > 0.0)) {
            faults.push(wrong("scale", "the factor must be above 0"));
        }
        for (index, prefix) in section.prefixes.iter().flatten().enumerate() {
            if prefix.trunc() != *prefix {
                let reason = "the prefix has host bits: those behind its length must be 0";
                faults.push(wrong("prefixes", reason).item(index));
            }
        }
        let policy = DomainPolicy {
            prefixes: section.prefixes.clone(),
            off_net: section.off_net.clone(),
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
            (format!("{NODE}{PEER}{PEER}"), "another [[peer]] has this"),
            (
                peer("token_env = \"ALTOFED_TEST_NOT_SET\""),
                "peer[1].token_env: the environment has no variable",
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
            (peer("import.domains = [\"isp b\"]"), "labels, or `*`"),
            (peer("client_cert_sha256 = \"ab\""), "64 hex digits"),
            (
                peer(
                    "[[peer.interconnect]]\nid = \"x\"\nborder = \"a\"\npeer_border = \"b\"\n\
                     costs = { routingcost = -1 }",
                ),
                "must not be negative",
            ),
            (domain("keys = [\"ed25519:x\"]"), "it is no key"),
            (
                domain("prefixes = [\"192.0.2.1/24\"]"),
                "prefixes[1]: the prefix has host bits",
            ),
            (domain("scale = { delay-ow = 2 }"), "only routingcost"),
            (domain("scale = { routingcost = 0 }"), "above 0"),
            (merge("select_by = \"tput\""), "must be an additive metric"),
            (merge("max_domains = 1"), "from 2 to"),
            (
                format!(
                    "{NODE}[[token]]\nname = \"x\"\nsecret = \"0123456789abcdef\"\n\
                     scopes = [\"peer\"]\npeer = \"isp-c\"\n"
                ),
                "there is no [[peer]]",
            ),
        ] {
            let error = parse(&text).expect_err(words);
            assert!(error.contains(words), "{words}: {error}");
            assert!(error.starts_with("peers.toml:"), "{error}");
        }
    }

    #[test]
    fn a_plain_server_without_prefixes_is_warned_of() {
        let warnings = |more: &str| {
            let text = format!("{NODE}{PEER}{more}\n");
            parse(&text).expect("sound").warnings()
        };
        let plain = "protocol = \"alto\"\n";
        let [warning] = &warnings(plain)[..] else {
            panic!("{:?}", warnings(plain));
        };
        assert!(
            warning.contains("give [domain.isp-b] prefixes"),
            "{warning}"
        );
        let link = "[[peer.interconnect]]\nid = \"x\"\nborder = \"a\"\npeer_border = \"b\"\n";
        assert_eq!(warnings(link).len(), 1);
        let prefixes = "[domain.isp-b]\nprefixes = [\"192.0.2.0/24\"]\n";
        for sound in ["", &format!("{plain}{prefixes}")] {
            assert_eq!(warnings(sound), Vec::<String>::new());
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
