//! No value of a configuration is shown, whatever is wrong with it.

use std::fs;
use std::path::Path;

use altofed::config::Config;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::certificates::{Identity, authority};
use crate::support::{Program, command, config_path, set_mode, text, write_config, write_private};

/// A configuration with a marker, `@`, in every text value.
const TEXT: &str = "\
[node]
domain = \"@0\"
name = \"@1\"
data_dir = \"@2\"
public_url = \"https://@3.example\"
tls = { cert = \"@4\", key = \"@5\" }
asns = [64500]
threads = 2
[access]
views = [\"merged\"]
[[token]]
name = \"@6\"
secret = \"@7\"
scopes = [\"ingest\", \"query\"]
sources = [\"@8\"]
[[token]]
name = \"@9\"
secret_file = \"@10\"
scopes = [\"query\"]
[[token]]
name = \"@11\"
secret_env = \"@12\"
scopes = [\"query\"]
[source.noc]
priority = 3
[federation]
key = \"@13\"
scope = \"any\"
[[peer]]
domain = \"@14\"
directory = \"https://@15.example/directory\"
token = \"@16\"
import.domains = [\"@17\"]
refresh = { interval = \"10s\" }
[domain.isp-c]
keys = [\"@18\"]
prefixes = [\"192.0.2.0/24\"]
[merge]
select_by = \"routingcost\"
patience = \"250ms\"
[limits]
burst = 7
";

/// The characters that markers are made of; no other text here has [`TELLING`] of them in a row.
const LETTERS: &[u8] = b"qxzkvjw0123456789";

/// A part of a marker that has this length reveals it.
const TELLING: usize = 6;

/// The markers that stand for secrets.
const SECRETS: [usize; 2] = [7, 16];

/// A mistake in typing, at a place that is given by numbers.
#[derive(Debug, Clone)]
enum Slip {
    /// A letter of a line is typed twice,
    Twice(usize, usize),
    /// or left out,
    Out(usize, usize),
    /// or two are exchanged.
    Exchanged(usize, usize),
    /// All quotes of one kind, or brackets, are removed from a line, from some place on.
    Unclosed(usize, usize),
    /// A line is lost,
    Lost(usize),
    /// written twice,
    Doubled(usize),
    /// or joined with the next.
    Joined(usize),
    /// The keys of two lines are exchanged.
    Keys(usize, usize),
    /// The value of a line is replaced by this one, with a marker for `@`.
    Value(usize, &'static str, usize),
    /// A line is replaced by this one.
    Line(usize, &'static str),
}

const VALUES: &[&str] = &[
    "\"@\"",
    "'@'",
    "@",
    "[\"@\"]",
    "{ @ = 1 }",
    "{ secret = \"@\" }",
    "7",
    "true",
    "\"\"\"@",
    "\"@\\q\"",
    "1979-05-27",
    "-1",
    "[[]]",
    "[1, \"@\"]",
];
const LINES: &[&str] = &[
    "[token]",
    "[[node]]",
    "[tokens]",
    "[[peer.token]]",
    "[domain.@0]",
    "[@7]",
    "[[@7]]",
    "@7 = 1",
    "\"@7\"",
    "secrett = \"@7\"",
    "tokens = \"@7\"",
    "secret \"@7\"",
    "secret = @7\"",
    "[node",
    "@7.secret = 1",
    "token.@7 = 1",
    "secret.@7 = 1",
    "secret = \"@7\" \"@7\"",
];

fn slip() -> impl Strategy<Value = Slip> {
    let at = || 0..TEXT.lines().count();
    let column = || 0..40_usize;
    prop_oneof![
        (at(), column()).prop_map(|(line, at)| Slip::Twice(line, at)),
        (at(), column()).prop_map(|(line, at)| Slip::Out(line, at)),
        (at(), column()).prop_map(|(line, at)| Slip::Exchanged(line, at)),
        (at(), column()).prop_map(|(line, at)| Slip::Unclosed(line, at)),
        at().prop_map(Slip::Lost),
        at().prop_map(Slip::Doubled),
        at().prop_map(Slip::Joined),
        (at(), at()).prop_map(|(one, other)| Slip::Keys(one, other)),
        (at(), prop::sample::select(VALUES), 0..19_usize)
            .prop_map(|(line, value, marker)| Slip::Value(line, value, marker)),
        (at(), prop::sample::select(LINES)).prop_map(|(line, text)| Slip::Line(line, text)),
    ]
}

impl Slip {
    fn make(&self, lines: &mut Vec<String>) {
        let count = lines.len().max(1);
        let edit = |lines: &mut Vec<String>, line: usize, edit: &dyn Fn(&mut Vec<char>)| {
            if let Some(line) = lines.get_mut(line % count) {
                let mut letters: Vec<char> = line.chars().collect();
                edit(&mut letters);
                *line = letters.into_iter().collect();
            }
        };
        match *self {
            Slip::Twice(line, at) => edit(lines, line, &|letters| {
                if let Some(&letter) = letters.get(at) {
                    letters.insert(at, letter);
                }
            }),
            Slip::Out(line, at) => edit(lines, line, &|letters| {
                if at < letters.len() {
                    letters.remove(at);
                }
            }),
            Slip::Exchanged(line, at) => edit(lines, line, &|letters| {
                if at + 1 < letters.len() {
                    letters.swap(at, at + 1);
                }
            }),
            Slip::Unclosed(line, at) => edit(lines, line, &|letters| {
                let mut place = 0;
                letters.retain(|letter| {
                    place += 1;
                    place <= at || !"\"]})".contains(*letter)
                });
            }),
            Slip::Lost(line) => drop(lines.remove(line % count)),
            Slip::Doubled(line) => lines.insert(line % count, lines[line % count].clone()),
            Slip::Joined(line) if line % count + 1 < count => {
                let next = lines.remove(line % count + 1);
                lines[line % count].push_str(&next);
            }
            Slip::Joined(_) => {}
            Slip::Keys(one, other) => {
                let key = |line: &str| line.split_once(" = ").map(|(key, _)| key.to_owned());
                let (one, other) = (one % count, other % count);
                if let (Some(first), Some(second)) = (key(&lines[one]), key(&lines[other])) {
                    lines[one] = lines[one].replacen(&first, &second, 1);
                    lines[other] = lines[other].replacen(&second, &first, 1);
                }
            }
            Slip::Value(line, value, marker) => {
                let line = &mut lines[line % count];
                if let Some((key, _)) = line.split_once(" = ") {
                    *line = format!("{key} = {}", value.replace('@', &format!("@{marker}")));
                }
            }
            Slip::Line(line, text) => lines[line % count] = text.to_owned(),
        }
    }
}

/// Returns the text with these values in the places of its markers.
fn filled(text: &str, markers: &[String]) -> String {
    let of = |(index, marker): (usize, &String)| (format!("@{index}"), marker.clone());
    let mut places: Vec<(String, String)> = markers.iter().enumerate().map(of).collect();
    // `@12` contains `@1`.
    places.reverse();
    places
        .iter()
        .fold(text.to_owned(), |text, (place, marker)| {
            text.replace(place, marker)
        })
}

/// Finds a part of a marker in a text.
fn told<'m>(text: &str, markers: impl IntoIterator<Item = &'m String>) -> Option<&'m str> {
    let mut parts = markers
        .into_iter()
        .flat_map(|marker| (0..=marker.len() - TELLING).map(move |at| &marker[at..at + TELLING]));
    parts.find(|part| text.contains(part))
}

fn markers() -> impl Strategy<Value = Vec<String>> {
    let letter = prop::sample::select(LETTERS).prop_map(char::from);
    let marker = prop::collection::vec(letter, 18).prop_map(|letters| {
        // A label may not be longer, and a secret not shorter.
        format!("q{}", letters.into_iter().collect::<String>())
    });
    prop::collection::vec(marker, 19)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_configuration_with_any_mistake_tells_no_value(
        markers in markers(),
        slips in prop::collection::vec(slip(), 1..4),
    ) {
        let mut lines: Vec<String> = TEXT.lines().map(str::to_owned).collect();
        for slip in &slips {
            slip.make(&mut lines);
        }
        let text = filled(&lines.join("\n"), &markers);
        match Config::parse(&text, Path::new("peers.toml")) {
            Err(error) => {
                let words = format!("{error}\n{error:?}");
                prop_assert_eq!(told(&words, &markers), None, "{}\n{}", words, text);
                prop_assert!(words.starts_with("peers.toml:"), "{}", words);
            }
            Ok(config) => {
                let secrets = SECRETS.map(|index| &markers[index]);
                let is_secret = |line: &&str| line.starts_with("secret =") || line.starts_with("token =");
                let stated: String = text.lines().filter(is_secret).collect();
                let secrets = secrets.into_iter().filter(|secret| stated.contains(*secret));
                prop_assert_eq!(told(&format!("{config:?}"), secrets), None);
            }
        }
    }
}

/// The mistakes that people make with secrets, and what the report must name.
const MISTAKES: [(&str, &str); 13] = [
    (
        "[[token]]\nname = \"a\"\nsecrett = \"@\"\nscopes = []\n",
        "`secrett`",
    ),
    ("tokens = \"@\"\n", "did you mean `token`?"),
    ("token = \"@\"\n", ": duplicate key"),
    (
        "[[token]]\nname = \"a\"\nsecret = \"@\nscopes = []\n",
        "token[5].secret",
    ),
    (
        "[[token]]\nname = \"a\"\nsecret = @\nscopes = []\n",
        "token[5].secret",
    ),
    (
        "[[token]]\nname = \"a\"\nsecret = [\"@\"]\nscopes = []\n",
        "token[5].secret",
    ),
    (
        "[[token]]\nname = \"a\"\nsecret_env = \"@\"\nscopes = []\n",
        "token[5].secret_env",
    ),
    (
        "[[token]]\nname = \"a\"\nsecret_file = \"@\"\nscopes = []\n",
        "token[5].secret_file",
    ),
    (
        "[[token]]\nname = \"a\"\nclient_cert_sha256 = \"@\"\nscopes = []\n",
        "client_cert_sha256",
    ),
    (
        "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://me:@@b.example/\"\n",
        "peer[1].directory",
    ),
    (
        "[[peer]]\ndomain = \"isp-b\"\ndirectory = \"ftp://b.example/?key=@\"\n",
        "peer[1].directory",
    ),
    ("[node.tls]\ncert = \"@\"\nkey = \"@\"\n", "node.tls.cert"),
    (
        "[federation]\nkey = \"-----BEGIN PRIVATE KEY-----\\n@\"\n",
        "federation.key",
    ),
];

const MARKER: &str = "qxzkvjw0123456789qxz";

#[test]
fn check_tells_where_a_mistake_with_a_secret_is_and_never_the_secret() {
    let directory = TempDir::new().expect("a directory");
    let config = config_path(directory.path());
    let markers = [MARKER.to_owned()];
    for (mistake, named) in MISTAKES {
        write_config(directory.path(), "");
        add(&config, mistake);
        for arguments in [&["check"][..], &["check", "--json"], &["serve"], &["peers"]] {
            let mut command = command(arguments);
            let ended = command.arg("--config").arg(&config).output();
            let ended = ended.expect("the program");
            let said = format!("{}{}", text(&ended.stdout), text(&ended.stderr));
            assert_eq!(told(&said, &markers), None, "{arguments:?}: {said}");
            // A command to a running node does not read the files that the configuration names.
            let is_read = arguments != ["peers"];
            assert!(!is_read || !ended.status.success(), "{mistake}: {said}");
            assert!(!is_read || said.contains(named), "{named}: {said}");
        }
    }
}

#[test]
fn a_reload_tells_where_a_mistake_is_and_never_a_value() {
    let directory = TempDir::new().expect("a directory");
    let config = config_path(directory.path());
    let program = Program::serve(directory.path(), "").unwrap_or_else(|end| panic!("{}", end.log));
    let mut seen = 0;
    for (mistake, named) in MISTAKES {
        // Whether there is TLS needs a restart.
        if named == "node.tls.cert" {
            continue;
        }
        write_config(directory.path(), "");
        add(&config, mistake);
        program.signal("HUP");
        program.logs(named, seen);
        seen = program.logs("the former stays in force", seen);
    }
    program.signal("TERM");
    let log = program.end().log;
    assert_eq!(told(&log, &[MARKER.to_owned()]), None, "{log}");
}

/// Files with a key, damaged as happens when people copy one.
fn damaged() -> [String; 4] {
    let whole = format!("-----BEGIN PRIVATE KEY-----\n{MARKER}\n-----END PRIVATE KEY-----\n");
    [
        whole.replace('\n', ""),
        whole.replace('\n', "\\n"),
        whole.replace("-----END", ""),
        whole.replace(MARKER, &format!("{MARKER}!")),
    ]
}

#[test]
fn a_damaged_file_is_told_of_by_its_key_and_never_by_what_it_holds() {
    let directory = TempDir::new().expect("a directory");
    let config = config_path(directory.path());
    let site = Identity::new(&authority("ca"), &["localhost"]);
    let [cert, key] = site.write(directory.path());
    let file = directory.path().join("damaged.pem");
    let own = |cert: &Path, key: &Path, more: &str| {
        format!("[node.tls]\ncert = {cert:?}\nkey = {key:?}\n{more}")
    };
    let peer = |more: &str| {
        let directory = "https://b.example/directory";
        format!("[[peer]]\ndomain = \"isp-b\"\ndirectory = {directory:?}\n{more}")
    };
    let shown = |cert: &Path, key: &Path| {
        peer(&format!(
            "client_cert = {{ cert = {cert:?}, key = {key:?} }}\n"
        ))
    };
    let bytes = format!("{:?}", &MARKER.as_bytes()[..TELLING]);
    let bytes = bytes.trim_matches(['[', ']']);
    for text in damaged() {
        write_private(&file, &text);
        for (more, named) in [
            (own(&file, &key, ""), "node.tls.cert"),
            (own(&cert, &file, ""), "node.tls.key"),
            (
                own(&cert, &key, &format!("client_ca = {file:?}\n")),
                "node.tls.client_ca",
            ),
            (shown(&file, &key), "client_cert.cert"),
            (shown(&cert, &file), "client_cert.key"),
            (peer(&format!("cacert = {file:?}\n")), "cacert"),
            (format!("[federation]\nkey = {file:?}\n"), "federation.key"),
        ] {
            write_config(directory.path(), "");
            add(&config, &more);
            let mut check = command(["check", "--config"]);
            let ended = check.arg(&config).output().expect("the program");
            let said = self::text(&ended.stderr);
            assert_eq!(ended.status.code(), Some(2), "{more}: {said}");
            assert!(said.contains(named), "{named}: {said}");
            assert_eq!(told(&said, &[MARKER.to_owned()]), None, "{said}");
            assert!(!said.contains(bytes), "{said}");
        }
    }
}

/// Adds a mistake to a configuration that only its owner can read.
fn add(config: &Path, mistake: &str) {
    let sound = fs::read_to_string(config).expect("the configuration");
    // A key above all tables belongs to no table.
    let text = match mistake.starts_with('[') {
        true => format!("{sound}\n{mistake}"),
        false => format!("{mistake}\n{sound}"),
    };
    fs::write(config, text.replace('@', MARKER)).expect("a file");
    set_mode(config, 0o600);
}
