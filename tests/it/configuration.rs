//! Checks `docs/configuration.md` against the code.

use std::collections::BTreeSet;
use std::path::Path;

use altofed::config::Config;

/// A row of the documentation: a key, its default and whether it is hot.
struct Row {
    key: String,
    default: String,
    hot: bool,
}

fn rows() -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(file).expect("the documentation");
    let row = |line: &str| {
        let cells: Vec<&str> = line
            .split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ']))
            .collect();
        let key = cells.first()?.strip_prefix('`')?.strip_suffix('`')?;
        Some(Row {
            key: key.to_owned(),
            default: cells[2].trim_matches('`').to_owned(),
            hot: match cells[3] {
                "yes" => true,
                "no" => false,
                other => panic!("{key}: hot is {other:?}"),
            },
        })
    };
    text.lines().filter_map(row).collect()
}

/// A configuration with one section set to these lines.
fn configuration(section: &str, lines: &str) -> String {
    let mut node = "domain = \"isp-a\"\ndata_dir = \"var\"\n".to_owned();
    let mut token =
        "name = \"noc\"\nsecret = \"0123456789abcdef\"\nscopes = [\"ingest\", \"peer\"]\n"
            .to_owned();
    let mut peer = "domain = \"isp-b\"\ndirectory = \"https://b.example/directory\"\n".to_owned();
    let mut link = "id = \"x\"\nborder = \"ams\"\npeer_border = \"gw\"\n".to_owned();
    let mut rest = String::new();
    let key = lines.split(" =").next().unwrap_or_default();
    let put = |table: &mut String| {
        let kept: Vec<&str> = table
            .lines()
            .filter(|line| !line.starts_with(&format!("{key} =")))
            .collect();
        *table = format!("{}\n{lines}\n", kept.join("\n"));
    };
    match section {
        "node" => put(&mut node),
        "token" => put(&mut token),
        "peer" => put(&mut peer),
        "peer.interconnect" => put(&mut link),
        "merge.metric.NAME" => rest = format!("[merge.metric.\"priv:NAME\"]\n{lines}\n"),
        other => rest = format!("[{other}]\n{lines}\n"),
    }
    format!("[node]\n{node}[[token]]\n{token}[[peer]]\n{peer}[[peer.interconnect]]\n{link}{rest}")
}

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("x")).map_err(|error| error.to_string())
}

fn split(key: &str) -> (&str, &str) {
    let (section, name) = key.rsplit_once('.').expect("section.name");
    (section, name)
}

#[test]
fn every_key_of_the_code_is_documented_and_no_other() {
    let rows = rows();
    let stated = rows.len();
    let documented: BTreeSet<String> = rows.into_iter().map(|row| row.key).collect();
    assert_eq!(stated, documented.len(), "a key is documented twice");
    let sections: BTreeSet<&str> = documented.iter().map(|key| split(key).0).collect();
    let mut known = BTreeSet::new();
    for section in &sections {
        let error = parse(&configuration(section, "no_such_key = 1")).expect_err("unknown");
        let (_, expected) = error
            .split_once(", expected ")
            .unwrap_or_else(|| panic!("{section}: {error}"));
        let names = expected.split('`').skip(1).step_by(2);
        // After the list of names comes the suggestion and the line, which the message adds.
        let names = names.take_while(|name| !name.contains(char::is_whitespace));
        known.extend(names.map(|name| format!("{section}.{name}")));
    }
    // A table inside another one is documented by its keys.
    let is_table = |key: &String| documented.iter().any(|d| d.starts_with(&format!("{key}.")));
    known.retain(|key| !is_table(key));
    assert_eq!(known, documented);
    let error =
        parse(&format!("no_such_key = 1\n{}", configuration("node", ""))).expect_err("unknown");
    let (_, expected) = error.split_once(", expected ").expect("what there is");
    let top: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
    let documented: BTreeSet<&str> = sections
        .iter()
        .map(|s| s.split('.').next().expect("a part"))
        .collect();
    assert_eq!(top, documented);
}

#[test]
fn what_no_key_takes_is_told_by_the_key_and_never_by_the_value() {
    const MARK: &str = "qvxkz7";
    for row in rows() {
        let (section, name) = split(&row.key);
        for value in [
            format!("\"{MARK} {MARK}\""),
            format!("[\"{MARK} \"]"),
            format!("[[\"{MARK}\"]]"),
            format!("{{ {MARK} = \"{MARK}\" }}"),
            format!("{{ {MARK} = {{ {MARK} = 1 }} }}"),
            format!("\"{MARK}"),
            format!("'''{MARK}\n{MARK}"),
            MARK.to_owned(),
            format!("[{MARK}, \"{MARK}\"]"),
        ] {
            let text = configuration(section, &format!("{name} = {value}"));
            let Err(error) = parse(&text) else { continue };
            assert!(!error.contains(MARK), "{text}: {error}");
            let at: Vec<&str> = error.splitn(4, ':').collect();
            assert!(at[1].parse::<usize>().is_ok(), "{error}");
            assert!(at[2].parse::<usize>().is_ok(), "{error}");
        }
        let text = configuration(section, &format!("{name} = [[[]]]"));
        let error = parse(&text).expect_err(name);
        let plain = |text: &str| text.replace(|c: char| "[0123456789]".contains(c), "");
        let key = format!("::: {}: it cannot be", plain(&row.key));
        assert!(plain(&error).contains(&key), "{}: {error}", row.key);
    }
}

#[test]
fn every_default_is_as_documented() {
    for row in rows() {
        let (section, name) = split(&row.key);
        if row.default.starts_with(['"', '[']) || row.default.parse::<f64>().is_ok() {
            // Another key, without which this one has no meaning.
            let beside = if row.key == "source.NAME.hold" {
                "max_removed = 0.5"
            } else {
                ""
            };
            let told = |text: String| {
                let config = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", row.key));
                format!("{config:?}")
            };
            let lines = format!("{name} = {}\n{beside}", row.default);
            let stated = told(configuration(section, &lines));
            let plain = told(configuration(section, beside));
            assert_eq!(
                stated, plain,
                "{} = {} is not the default",
                row.key, row.default
            );
        } else if row.default == "required" {
            let text = configuration(section, &format!("{name}_ = 1"))
                .replace(&format!("\n{name}_ = 1"), "");
            let without: String = text
                .lines()
                .filter(|l| !l.starts_with(&format!("{name} =")))
                .map(|l| format!("{l}\n"))
                .collect();
            assert!(parse(&without).is_err(), "{} is not required", row.key);
        }
    }
}

/// Whether a key bounds what others can make a node spend.
fn is_budget(key: &str) -> bool {
    let name = split(key).1;
    let starts = ["max_", "min_", "requests_", "wrong_", "burst"];
    // The limits of changes, and what is computed, are described elsewhere.
    let is_other = ["max_removed", "factor", "share"].contains(&name)
        || ["merge.max_domains", "store.cache_bytes"].contains(&key);
    (starts.iter().any(|start| name.starts_with(start)) || name.ends_with("_bytes")) && !is_other
}

#[test]
fn every_budget_stands_in_the_threat_model_once() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/threat-model.md");
    let text = std::fs::read_to_string(file).expect("the documentation");
    let rows = rows();
    let budgets: Vec<&str> = rows
        .iter()
        .map(|row| row.key.as_str())
        .filter(|key| is_budget(key))
        .collect();
    assert!(budgets.len() > 40, "{budgets:?}");
    for key in budgets {
        let (_, name) = split(key);
        let is_named = [key, name]
            .iter()
            .any(|it| text.contains(&format!("`{it}`")));
        assert!(is_named, "docs/threat-model.md has no {key}");
    }
    let mut first = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cell = line.split(" | ").next().unwrap_or(line);
        assert!(
            first.insert(cell),
            "docs/threat-model.md has {cell:?} twice"
        );
    }
}

#[test]
fn what_needs_a_restart_is_as_documented() {
    let running = parse(&configuration("access", "")).expect("sound");
    for row in rows() {
        let (section, name) = split(&row.key);
        let other = match row.key.as_str() {
            "node.domain" | "node.name" | "node.data_dir" => "\"other\"".into(),
            "node.asns" => "[7]".into(),
            "node.listen" => "\"127.0.0.1:7\"".into(),
            "node.public_url" => "\"http://other\"".into(),
            "node.tls" => "{ cert = \"c\", key = \"k\" }".into(),
            "access.views" => "[\"merged\"]".into(),
            "token.name" => "\"other\"".into(),
            "token.secret" => "\"fedcba9876543210\"".into(),
            "token.scopes" => "[\"query\"]".into(),
            "token.sources" => "[\"other\"]".into(),
            "federation.key" => "\"other.key\"".into(),
            "federation.old_keys" => {
                "[{ key = \"old.key\", not_after = \"2027-03-01T00:00:00Z\" }]".into()
            }
            "federation.scope" => "[\"isp-c\"]".into(),
            "peer.domain" => "\"isp-c\"".into(),
            "peer.directory" => "\"https://c.example/directory\"".into(),
            "peer.protocol" => "\"alto\"".into(),
            "peer.token" | "peer.network_map" => "\"other\"".into(),
            "peer.client_cert" => "{ cert = \"c\", key = \"k\" }".into(),
            "peer.cacert" => "\"ca.pem\"".into(),
            "peer.client_cert_sha256" => format!("{:?}", "ab".repeat(32)),
            "peer.allow_private_addresses" => "true".into(),
            "peer.import.domains" | "peer.export.domains" => "[\"*\"]".into(),
            "source.NAME.max_removed"
            | "peer.import.max_removed"
            | "peer.import.max_change.share" => "0.7".into(),
            "peer.refresh.interval" => "\"7s\"".into(),
            "peer.refresh.stale_after" => "\"11m\"".into(),
            "peer.refresh.expire_after" => "\"7h\"".into(),
            "peer.interconnect.id"
            | "peer.interconnect.border"
            | "peer.interconnect.peer_border" => "\"other\"".into(),
            "peer.interconnect.relationship" | "peer.interconnect.peer_relationship" => {
                "\"peer\"".into()
            }
            "peer.interconnect.costs" | "peer.interconnect.reverse_costs" | "domain.NAME.scale" => {
                "{ routingcost = 2 }".into()
            }
            "domain.NAME.keys" => {
                "[\"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"]".into()
            }
            "domain.NAME.off_net" => "[\"peer-b\"]".into(),
            "domain.NAME.prefixes" => "[\"192.0.2.0/24\"]".into(),
            "merge.select_by" => "\"hopcount\"".into(),
            "merge.max_domains" => "3".into(),
            "merge.metric.NAME.compose" => "\"add\"".into(),
            "token.peer" => "\"isp-b\"".into(),
            "token.client_cert_sha256" => format!("{:?}", "ab".repeat(32)),
            "token.secret_env" | "token.secret_file" | "peer.token_env" | "peer.token_file" => {
                continue;
            }
            _ if row.default == "\"open\"" => "\"token\"".into(),
            _ if row.default == "true" => "false".into(),
            _ if row.default.starts_with('"') => "\"7s\"".into(),
            _ => (row.default.parse::<u64>().expect("a number") + 1).to_string(),
        };
        let text = configuration(section, &format!("{name} = {other}"));
        let config = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", row.key));
        let cold = config.needs_restart(&running);
        assert_eq!(cold.is_empty(), row.hot, "{}: {cold:?}", row.key);
    }
}

#[test]
fn the_configuration_at_the_top_works() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.toml");
    let text = std::fs::read_to_string(&file).expect("peers.toml");
    let text = text.replace(
        "secret_env = \"ALTOFED_NOC_TOKEN\"",
        "secret = \"0123456789abcdef\"",
    );
    let config = Config::parse(&text, &file).expect("it can be used");
    assert_eq!(config.tokens.len(), 1);
}

#[test]
fn shares_that_never_fit_are_refused() {
    let limits = |client: u64, all: u64| {
        let lines = format!("max_bytes_per_client = {client}\nmax_bytes_in_flight = {all}");
        parse(&configuration("limits", &lines))
    };
    assert!(limits(8_388_608, 9_586_981).is_ok());
    let refused = limits(8_388_608, 9_586_979).expect_err("never fits");
    assert!(refused.contains("limits.max_bytes_per_client"), "{refused}");
    assert!(refused.contains("at most 8388607"), "{refused}");
    let refused = limits(65_536, 9_586_981).expect_err("no map fits");
    assert!(refused.contains("8 MiB at least"), "{refused}");
}
