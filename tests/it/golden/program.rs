//! What the program prints.

use std::path::Path;

use tempfile::TempDir;

use super::tape::Tape;
use super::world::World;
use crate::support::{OPS, command, text, write_private};

/// Runs the program beside a node that needs the runtime of this thread, and records its output.
/// Names in braces stand for paths.
pub async fn runs(tape: &mut Tape, places: &[(&str, &str)], line: &str) {
    tape.part(line);
    let words = line.split(' ').map(|word| {
        let places = places.iter();
        places.fold(word.to_owned(), |word, (name, place)| {
            word.replace(name, place)
        })
    });
    let mut command = command(words);
    command
        .env("ALTOFED_GOLDEN_TOKEN", OPS)
        .env_remove("COLUMNS");
    let ran = tokio::task::spawn_blocking(move || command.output());
    let output = ran.await.expect("it ran").expect("the program");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    tape.write(&format!(
        "exit code {}\n\n{out}{err}",
        output.status.code().expect("a code")
    ));
}

/// A node that is reached by its address, so that the program finds it.
fn nameless(key: &Path) -> String {
    format!("name = \"ISP A\"\nasns = [64500]\n[federation]\nkey = {key:?}\n")
}

#[tokio::test]
async fn questions() {
    let world = World::known_as(nameless).await;
    let mut tape = Tape::of("What the program says of a running node", &world.masks);
    let directory = format!("{}/directory", world.node.url);
    let places = [("{directory}", &*directory), ("{node}", &*world.node.url)];
    for line in [
        "query {directory} directory",
        "query {directory} directory --json",
        "query {directory} map",
        "query {directory} map --json",
        "query {directory} map --map isp-a:networkmap",
        "query {directory} map --map none",
        "query {directory} costs",
        "query {directory} costs --json",
        "query {directory} costs --metric hopcount",
        "query {directory} costs --metric none",
        "query {directory} cost --src 10.1.0.1 --dst 10.2.0.1 10.3.0.1 8.8.8.8",
        "query {directory} cost --src 10.1.0.1 --dst 10.2.0.1 10.3.0.1 8.8.8.8 --json",
        "query {directory} pid 10.1.7.9 2001:db8:2::1 8.8.8.8",
        "query {directory} pid 10.1.7.9 2001:db8:2::1 8.8.8.8 --json",
        "query {node}/livez directory",
        "explain 10.1.7.9 10.3.0.1 --url {node}",
        "explain isp-a:core isp-b:core --url {node} --json",
        "explain isp-a:void isp-b:core --url {node}",
        "peers --url {node} --token-env ALTOFED_GOLDEN_TOKEN",
        "peers --url {node} --token-env ALTOFED_GOLDEN_TOKEN --json",
        "peers --url {node}",
        "peer isp-b --url {node} --token-env ALTOFED_GOLDEN_TOKEN",
        "peer isp-b --url {node} --token-env ALTOFED_GOLDEN_TOKEN --json",
        "peer isp-c --url {node} --token-env ALTOFED_GOLDEN_TOKEN",
        "peer isp-d --url {node} --token-env ALTOFED_GOLDEN_TOKEN",
        "peer isp-a --url {node} --token-env ALTOFED_GOLDEN_TOKEN",
        "peer isp-x --url {node} --token-env ALTOFED_GOLDEN_TOKEN",
        "peer isp-b --url {node} --token-env ALTOFED_GOLDEN_TOKEN --retry",
    ] {
        runs(&mut tape, &places, line).await;
    }
    tape.is("program-questions.txt");
}

/// Configurations of one node, both sound and faulty.
const CONFIGS: [(&str, &str); 9] = [
    ("of little", ""),
    (
        "of much",
        "name = \"ISP A\"\nasns = [64500]\npublic_url = \"https://h.example/alto/\"\n\
         [[token]]\nname = \"noc\"\nsecret = \"noc-secret-0123456789\"\n\
         scopes = [\"ingest\", \"operate\"]\n\
         [[peer]]\ndomain = \"isp-b\"\ndirectory = \"https://b.example/directory\"\n\
         [merge]\nprivate_prefixes = false\n\
         [domain.isp-b]\nprefixes = [\"10.1.0.0/16\", \"198.51.100.0/24\"]\n",
    ),
    (
        "with a key that there is not",
        "lissten = \"127.0.0.1:0\"\n",
    ),
    ("with a value of another type", "asns = \"64500\"\n"),
    ("with an address that is none", "listen = \"nowhere\"\n"),
    (
        "with a token that has no secret",
        "[[token]]\nname = \"noc\"\nscopes = [\"ingest\"]\n",
    ),
    (
        "with a scope that there is not",
        "[[token]]\nname = \"noc\"\nsecret = \"noc-secret-0123456789\"\nscopes = [\"x\"]\n",
    ),
    (
        "with a peer that is itself",
        "[[peer]]\ndomain = \"isp-a\"\ndirectory = \"https://b.example/directory\"\n",
    ),
    ("that is no TOML", "[x\n"),
];

#[tokio::test]
async fn configurations() {
    let mut tape = Tape::of("What the program says of configurations", &[]);
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("peers.toml");
    tape.mask(directory.path().to_str().expect("text"), "{directory}");
    let places = [("{file}", file.to_str().expect("text"))];
    for (title, more) in CONFIGS {
        tape.part(title);
        let config = format!("[node]\ndomain = \"isp-a\"\ndata_dir = \"var\"\n{more}");
        tape.write(&config);
        write_private(&file, &config);
        for line in ["check --config {file}", "check --config {file} --json"] {
            runs(&mut tape, &places, line).await;
        }
    }
    tape.is("program-configurations.txt");
}

#[tokio::test]
async fn helps() {
    let mut tape = Tape::of("How the program is used", &[]);
    for line in [
        "--help",
        "serve --help",
        "check --help",
        "demo --help",
        "query --help",
        "query http://h.example/directory cost --help",
        "query http://h.example/directory watch --help",
        "keygen --help",
        "peers --help",
        "peer --help",
        "explain --help",
        "store --help",
        "store export --help",
        "frobnicate",
        "query http://h.example/directory cost",
    ] {
        runs(&mut tape, &[], line).await;
    }
    tape.is("program-helps.txt");
}
