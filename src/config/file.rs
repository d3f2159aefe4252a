//! The file as it is written.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use crate::auth::{AccessSettings, Token, TokenError, TokenSettings};
use crate::brake::{Hold, Share};
use crate::federation::Settings;
use crate::http::{self, TlsFiles, limit};
use crate::ident::{DomainLabel, Hidden, SourceName};
use crate::ingest::{Limits, SourceBrake};
use crate::publish::ViewName;
use crate::store;

use super::exposure::{Others, exposed};
use super::peers::{self, DomainSection, FederationSection, MergeSection, PeerSection};
use super::report::{ConfigError, Fault, described};
use super::secret;
use super::{Config, Node};

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
    limits: limit::Settings,
    #[serde(default)]
    bodies: http::BodySettings,
    #[serde(default)]
    updates: http::UpdateSettings,
    #[serde(default)]
    publish: http::PublishSettings,
    #[serde(default)]
    ingest: Limits,
    #[serde(default)]
    store: store::Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeSection {
    domain: DomainLabel,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    asns: Vec<u32>,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default)]
    public_url: Option<Spanned<String>>,
    data_dir: PathBuf,
    #[serde(default)]
    tls: Option<Spanned<TlsFiles>>,
    #[serde(default)]
    threads: usize,
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

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8181))
}

/// A principal, and where it stands.
pub(super) type Stated = (Token, Range<usize>);

/// Reads a configuration. `others` is what everybody on the machine may do with its file.
pub(super) fn read(text: &str, path: &Path, others: Others) -> Result<Config, ConfigError> {
    let file: File =
        toml::from_str(text).map_err(|error| ConfigError::parse(path, text, &error))?;
    let mut faults = Vec::new();
    let exposed = exposed(file.node.tls.as_ref(), &file.token, &file.peer, others);
    let node = node(file.node, &mut faults);
    let mut tokens = tokens(&file.token, &mut faults);
    let (federation, of_peers) =
        peers::settings(&node, file.federation, file.peer, &file.domain, &mut faults);
    check_bindings(&file.token, &federation, &mut faults);
    tokens.extend(of_peers);
    check_shown(&tokens, &mut faults);
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
    let tokens = tokens.into_iter().map(|(token, _)| token).collect();
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

/// An answer that fits a share must find room in memory.
fn check_flight(limits: &limit::Settings, faults: &mut Vec<Fault>) {
    let budget = limits.answers();
    let most = budget.all - budget.for_small;
    if budget.of_caller > most {
        let reason = format!(
            "limits.max_bytes_per_client is more than all answers that wait for room may take: make \
             it at most {most}, or limits.max_bytes_in_flight larger, of which that is seven eighths"
        );
        faults.push(Fault::new(None::<std::ops::Range<usize>>, reason));
    }
}

/// A body that may be sent must find room in memory.
fn check_ingest(limits: &limit::Settings, bodies: &http::BodySettings, faults: &mut Vec<Fault>) {
    let most = limits.ingest().of_caller;
    if bodies.max_ingest_bytes as u64 > most {
        let reason = format!(
            "bodies.max_ingest_bytes is more than one principal may have in memory: make it at most \
             {most}, or limits.max_ingest_bytes_in_flight larger, of which that is three quarters"
        );
        faults.push(Fault::new(None::<std::ops::Range<usize>>, reason));
    }
}

fn node(section: NodeSection, faults: &mut Vec<Fault>) -> Node {
    let mut refuse = |stated: &Spanned<String>, reason: &str| {
        faults.push(Fault::new(stated.span(), reason));
    };
    let public_url =
        section
            .public_url
            .as_ref()
            .and_then(|stated| match Url::parse(stated.get_ref()) {
                Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                    refuse(stated, "it must start with http:// or https://");
                    None
                }
                Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                    refuse(
                        stated,
                        "it must end with its path: leave out `?` and `#` and what follows",
                    );
                    None
                }
                Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                    refuse(
                        stated,
                        "it must be without a user and a password: it is told to everybody",
                    );
                    None
                }
                Ok(url) => Some(url),
                Err(error) => {
                    refuse(
                        stated,
                        &format!("it is no URL: {error}; write it like https://alto.example.net"),
                    );
                    None
                }
            });
    Node {
        name: section.name.unwrap_or_else(|| section.domain.to_string()),
        domain: section.domain,
        asns: section.asns,
        listen: section.listen,
        public_url,
        data_dir: section.data_dir,
        tls: section.tls.map(Spanned::into_inner),
        threads: section.threads,
    }
}

fn tokens(stated: &[Spanned<TokenSettings>], faults: &mut Vec<Fault>) -> Vec<Stated> {
    let mut names = BTreeMap::new();
    let mut tokens = Vec::new();
    for spanned in stated {
        let (settings, span) = (spanned.get_ref(), spanned.span());
        if let Some(earlier) = names.insert(&settings.name, span.clone()) {
            let reason = "another token has this name; give each one of its own";
            faults.push(Fault::new(span.clone(), reason).at("name").beside(earlier));
        }
        let secret = secret::Stated {
            keys: ["secret", "secret_env", "secret_file"],
            value: settings.secret.as_ref(),
            env: settings.secret_env.as_deref(),
            file: settings.secret_file.as_deref(),
        };
        match secret.resolve() {
            Err((key, reason)) => faults.push(Fault::new(span, reason).at(key)),
            Ok(secret) => match Token::new(settings, secret.as_ref().map(Hidden::expose)) {
                Ok(token) => tokens.push((token, span)),
                Err(error) => faults.push(refused(error, span)),
            },
        }
    }
    tokens
}

/// The fault of a token, or of a peer that shows a certificate.
pub(super) fn refused(error: TokenError, span: Range<usize>) -> Fault {
    let fault = Fault::new(span, error.to_string());
    error.key().into_iter().fold(fault, Fault::at)
}

/// By what is shown one principal is known, and no other.
fn check_shown(tokens: &[Stated], faults: &mut Vec<Fault>) {
    for (at, (token, span)) in tokens.iter().enumerate() {
        for (earlier, place) in &tokens[..at] {
            let same = if token.secret.is_some() && token.secret == earlier.secret {
                "secret"
            } else if token.certificate.is_some() && token.certificate == earlier.certificate {
                "client_cert_sha256"
            } else {
                continue;
            };
            let reason = format!(
                "another principal has the same {same}, so that one passes for the other; give \
                 each its own"
            );
            faults.push(Fault::new(span.clone(), reason).beside(place.clone()));
        }
    }
}

/// A token can only be bound to a peer that there is.
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

/// Where there are peers, domains can come that no [[peer]] names.
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
        assert_eq!(config.node.listen, listen());
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
