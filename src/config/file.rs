//! The configuration: as the file has it, and as it is used.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::auth::{AccessSettings, Token, TokenSettings};
use crate::brake::{Hold, Share};
use crate::compile::MergePolicy;
use crate::facts::Limits;
use crate::federation::{self, Settings};
use crate::follow;
use crate::http::{self, LimitSettings};
use crate::ident::{DomainLabel, SourceName};
use crate::ingest::SourceBrake;
use crate::publish::ViewName;
use crate::render;
use crate::store;

use super::exposure::{Others, exposed};
use super::node::{Node, NodeSection};
use super::peers::{self, DomainSection, FederationSection, MergeSection, PeerSection};
use super::report::{ConfigError, Fault, described};
use super::tokens;

/// A configuration that can be used: read, checked, secrets resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[access]`
    pub access: AccessSettings,
    /// `[[token]]`
    pub tokens: Vec<Token>,
    /// `[source.NAME]` priorities.
    pub priorities: BTreeMap<SourceName, i64>,
    /// `[source.NAME]`: how much may go at once of what sources state.
    pub brakes: BTreeMap<SourceName, SourceBrake>,
    /// `[federation]`, `[[peer]]` and the keys of `[domain.NAME]`.
    pub federation: federation::Settings,
    /// `[merge]` and the rest of `[domain.NAME]`.
    pub merge: MergePolicy,
    /// `merge.patience`: how long the answer to a write waits for the merged view.
    pub merge_patience: Duration,
    /// `[http]`
    pub http: http::Settings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[bodies]`
    pub bodies: http::BodySettings,
    /// `[updates]`
    pub updates: follow::Settings,
    /// `[publish]`
    pub publish: render::Settings,
    /// `[ingest]`
    pub ingest: Limits,
    /// `[store]`
    pub store: store::Settings,
    /// Files with secrets that others can read, each with its key.
    pub exposed: Vec<String>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: NodeSection,
    #[serde(default)]
    access: Option<Spanned<AccessSettings>>,
    #[serde(default)]
    token: Vec<Spanned<TokenSettings>>,
    #[serde(default)]
    source: BTreeMap<SourceName, SourceSection>,
    #[serde(default)]
    federation: FederationSection,
    #[serde(default)]
    peer: Vec<Spanned<PeerSection>>,
    #[serde(default)]
    domain: BTreeMap<DomainLabel, Spanned<DomainSection>>,
    #[serde(default)]
    merge: Option<Spanned<MergeSection>>,
    #[serde(default)]
    http: http::Settings,
    #[serde(default)]
    limits: LimitSettings,
    #[serde(default)]
    bodies: http::BodySettings,
    #[serde(default)]
    updates: follow::Settings,
    #[serde(default)]
    publish: render::Settings,
    #[serde(default)]
    ingest: Limits,
    #[serde(default)]
    store: store::Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceSection {
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    max_removed: Option<Share>,
    #[serde(default)]
    hold: Hold,
}

impl Config {
    /// Reads the file at `path`. Relative paths in it are relative to the
    /// working directory.
    ///
    /// # Errors
    /// All that is wrong with it, each with its line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::read(path, &error))?;
        read(&text, path, Others::of(path))
    }

    /// Reads a configuration from text. Errors name `path`.
    ///
    /// # Errors
    /// All that is wrong with it, each with its line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        read(text, path, Others::default())
    }
}

/// Reads a configuration. `others` is what everybody on the machine may do with its file.
fn read(text: &str, path: &Path, others: Others) -> Result<Config, ConfigError> {
    let file: File =
        toml::from_str(text).map_err(|error| ConfigError::parse(path, text, &error))?;
    let mut faults = Vec::new();
    let exposed = exposed(file.node.tls.as_ref(), &file.token, &file.peer, others);
    let node = file.node.read(&mut faults);
    let mut tokens = tokens::read(&file.token, &mut faults);
    let (federation, of_peers) =
        peers::settings(&node, file.federation, file.peer, &file.domain, &mut faults);
    check_bindings(&file.token, &federation, &mut faults);
    tokens.extend(of_peers);
    tokens::check_shown(&tokens, &mut faults);
    let merge_patience = peers::merge_patience(file.merge.as_ref());
    let merge = peers::merge_policy(&node, file.merge, &file.domain, &mut faults);
    let access = match file.access {
        Some(access) => {
            check_views(&access, &federation, &mut faults);
            access.into_inner()
        }
        None => AccessSettings::default(),
    };
    check_flight(&file.limits, &mut faults);
    check_ingest(&file.limits, &file.bodies, &mut faults);
    if !faults.is_empty() {
        return Err(ConfigError::faults(path, text, &faults));
    }
    let tokens = tokens.into_iter().map(|stated| stated.token).collect();
    let mut priorities = BTreeMap::new();
    let mut brakes = BTreeMap::new();
    for (source, section) in file.source {
        let hold = section.hold;
        let brake = section
            .max_removed
            .map(|max_removed| SourceBrake { max_removed, hold });
        brakes.extend(brake.map(|brake| (source.clone(), brake)));
        priorities.insert(source, section.priority);
    }
    Ok(Config {
        node,
        access,
        tokens,
        federation,
        merge,
        merge_patience,
        priorities,
        brakes,
        http: file.http,
        limits: file.limits,
        bodies: file.bodies,
        updates: file.updates,
        publish: file.publish,
        ingest: file.ingest,
        store: file.store,
        exposed: described(path, text, &exposed),
    })
}

/// Checks that an answer that fits into a caller's share finds room in memory.
fn check_flight(limits: &LimitSettings, faults: &mut Vec<Fault>) {
    let budget = limits.answers();
    let most = budget.all - budget.for_small;
    if budget.of_caller > most {
        let reason = format!(
            "limits.max_bytes_per_client is more than all answers that wait for room may take: make \
             it at most {most}, or limits.max_bytes_in_flight larger, of which that is seven eighths"
        );
        faults.push(Fault::new(None, reason));
    }
}

/// Checks that a body that may be sent finds room in memory.
fn check_ingest(limits: &LimitSettings, bodies: &http::BodySettings, faults: &mut Vec<Fault>) {
    let most = limits.ingest().of_caller;
    if bodies.max_ingest_bytes as u64 > most {
        let reason = format!(
            "bodies.max_ingest_bytes is more than one principal may have in memory: make it at most \
             {most}, or limits.max_ingest_bytes_in_flight larger, of which that is three quarters"
        );
        faults.push(Fault::new(None, reason));
    }
}

/// Checks that each token is bound to a peer that exists.
fn check_bindings(
    tokens: &[Spanned<TokenSettings>],
    federation: &Settings,
    faults: &mut Vec<Fault>,
) {
    for token in tokens {
        let peer = token.get_ref().peer.as_ref();
        if peer.is_some_and(|peer| !federation.peers.contains_key(peer)) {
            let reason = "there is no [[peer]] of this domain; add it, with what is exported to it";
            faults.push(Fault::new(token.span(), reason).at("peer"));
        }
    }
}

/// Checks the names of views. Where there are peers, domains may come that no `[[peer]]` names.
fn check_views(access: &Spanned<AccessSettings>, federation: &Settings, faults: &mut Vec<Fault>) {
    let domain = &federation.own.domain;
    for (index, name) in access.get_ref().views.iter().enumerate() {
        let known = match ViewName::parse(name) {
            _ if name == "*" => true,
            Some(ViewName::Merged) => true,
            Some(ViewName::Domain(label)) => label == *domain || !federation.peers.is_empty(),
            None => false,
        };
        if !known {
            let reason =
                "there is no such view; there are \"*\", \"merged\" and the label of node.domain";
            faults.push(Fault::new(access.span(), reason).at("views").item(index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("peers.toml")).map_err(|error| error.to_string())
    }

    const NODE: &str = "[node]\ndomain = \"isp-a\"\ndata_dir = \"var\"\n";

    #[test]
    fn the_least_configuration_has_defaults_for_the_rest() {
        let config = parse(NODE).expect("valid");
        assert_eq!(config.node.listen.to_string(), "127.0.0.1:8181");
        assert_eq!(config.node.name, "isp-a");
        assert_eq!(config.store.keep_revisions, 1000);
    }

    #[test]
    fn an_unknown_key_is_reported_with_its_line_and_what_was_meant() {
        let error = parse(&NODE.replace("data_dir", "datadir")).expect_err("unknown");
        assert!(
            error.starts_with("peers.toml:3:1: unknown field `datadir` in node, expected"),
            "{error}"
        );
        assert!(error.contains("did you mean `data_dir`?"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        let error = parse(&format!("{NODE}[acess]\n")).expect_err("unknown");
        assert!(error.contains("did you mean `access`?"), "{error}");
    }

    #[test]
    fn values_that_cannot_be_are_refused_with_their_place() {
        for (line, words) in [
            ("domain = \"isp a\"", "letters, digits and hyphens"),
            ("domain = \"merged\"", "not `merged`"),
            ("listen = \"localhost\"", "node.listen: it cannot be this"),
            ("public_url = \"ftp://x\"", "must start with http"),
            ("public_url = \"alto\"", "is no URL"),
            ("public_url = \"http://x/?a\"", "leave out"),
        ] {
            let key = line.split(' ').next().expect("a key");
            let kept: Vec<&str> = NODE.lines().filter(|l| !l.starts_with(key)).collect();
            let error = parse(&format!("{}\n{line}\n", kept.join("\n"))).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
            assert!(error.starts_with("peers.toml:"), "{error}");
        }
    }

    #[test]
    fn every_fault_of_every_token_is_reported() {
        let token =
            |rest: &str| format!("[[token]]\nname = \"noc\"\nscopes = [\"ingest\"]\n{rest}\n");
        let text = [
            NODE.to_owned(),
            token("secret = \"short\""),
            token("secret_env = \"ALTOFED_TEST_NOT_SET\""),
            token("secret = \"0123456789abcdef\"\nsecret_file = \"x\""),
        ];
        let error = parse(&text.concat()).expect_err("faulty");
        for words in [
            "fewer than 16",
            "token[2].secret_env: the environment has no variable of this name",
            "several places",
            "token[2].name: another token has this name",
        ] {
            assert!(error.contains(words), "{words}: {error}");
        }
        let scope = token("secret = \"0123456789abcdef\"").replace("ingest", "admin");
        let error = parse(&format!("{NODE}{scope}")).expect_err("scope");
        assert!(
            error.contains("token[1].scopes[1]: it cannot be this"),
            "{error}"
        );
        assert!(error.contains("`operate`"), "{error}");
    }

    #[test]
    fn two_principals_never_show_the_same() {
        let token = |name: &str, shown: &str| {
            format!("[[token]]\nname = {name:?}\nscopes = [\"ingest\"]\n{shown}\n")
        };
        let [secret, other] = ["0", "1"].map(|digit| format!("secret = {:?}", digit.repeat(16)));
        let certificate = format!("client_cert_sha256 = {:?}", "0A".repeat(32));
        let spelt = certificate.replace("0A", "0a:").replace(":\"", "\"");
        let sound = format!("{NODE}{}{}", token("a", &secret), token("b", &other));
        assert!(parse(&sound).is_ok());
        for (one, two, words) in [
            (&secret, &secret, "the same secret"),
            (&certificate, &spelt, "the same client_cert_sha256"),
        ] {
            let text = format!("{NODE}{}{}", token("a", one), token("b", two));
            let error = parse(&text).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
        let peer = "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://b.example/d\"\n";
        let text = format!("{NODE}{peer}{certificate}\n{}", token("a", &spelt));
        let error = parse(&text).expect_err("the same");
        assert!(error.contains("the same client_cert_sha256"), "{error}");
    }

    #[test]
    fn views_that_are_open_must_exist() {
        assert!(
            parse(&format!(
                "{NODE}[access]\nviews = [\"merged\", \"ISP-A\"]\n"
            ))
            .is_ok()
        );
        let error = parse(&format!("{NODE}[access]\nviews = [\"isp-b\"]\n")).expect_err("unknown");
        assert!(
            error.contains("access.views[1]: there is no such view"),
            "{error}"
        );
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let running = parse(NODE).expect("valid");
        let hot = parse(&format!(
            "{NODE}[limits]\nburst = 7\n[source.noc]\npriority = 3\n"
        ));
        assert!(hot.expect("valid").needs_restart(&running).is_empty());
        let cold = parse(&format!(
            "{NODE}listen = \"127.0.0.1:1\"\n[store]\nkeep_revisions = 7\n"
        ));
        assert_eq!(
            cold.expect("valid").needs_restart(&running),
            ["node.listen", "store"]
        );
    }
}
