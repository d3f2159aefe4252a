//! The structure of the crate: imports only go down, and never in a circle.

mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use sources::Sources;

/// Each module and the modules of the crate that it may import.
const FLOORS: [(&str, &[&str]); 21] = [
    ("ident", &[]),
    ("runtime", &[]),
    ("net", &["ident"]),
    ("paths", &["net", "ident"]),
    ("alto", &["net", "ident"]),
    ("store", &["ident", "runtime"]),
    ("api", &["ident"]),
    ("publish", &["paths", "alto", "net", "ident"]),
    ("facts", &["api", "alto", "net", "ident"]),
    (
        "compile",
        &["facts", "api", "publish", "paths", "alto", "net", "ident"],
    ),
    ("render", &["publish", "ident", "runtime"]),
    (
        "follow",
        &["render", "publish", "alto", "net", "ident", "runtime"],
    ),
    (
        "brake",
        &["facts", "api", "publish", "alto", "net", "ident", "runtime"],
    ),
    (
        "ingest",
        &[
            "brake", "facts", "api", "compile", "store", "publish", "alto", "net", "ident",
            "runtime",
        ],
    ),
    ("auth", &["ident", "runtime"]),
    ("client", &["api", "alto", "net", "ident", "runtime"]),
    (
        "federation",
        &[
            "brake", "follow", "ingest", "client", "facts", "store", "api", "publish", "alto",
            "net", "ident", "runtime",
        ],
    ),
    (
        "http",
        &[
            "federation",
            "follow",
            "render",
            "ingest",
            "compile",
            "facts",
            "store",
            "auth",
            "api",
            "publish",
            "paths",
            "alto",
            "net",
            "ident",
            "runtime",
        ],
    ),
    (
        "config",
        &[
            "brake",
            "http",
            "federation",
            "follow",
            "render",
            "ingest",
            "client",
            "compile",
            "facts",
            "auth",
            "api",
            "publish",
            "paths",
            "store",
            "net",
            "ident",
            "runtime",
        ],
    ),
    (
        "node",
        &[
            "api",
            "config",
            "http",
            "federation",
            "follow",
            "render",
            "ingest",
            "compile",
            "facts",
            "auth",
            "publish",
            "store",
            "ident",
            "runtime",
        ],
    ),
    (
        "cli",
        &[
            "node",
            "config",
            "federation",
            "client",
            "http",
            "api",
            "brake",
            "compile",
            "publish",
            "store",
            "alto",
            "net",
            "ident",
            "runtime",
        ],
    ),
];

/// Within `http`, only these files and folders import `ingest`, `compile` and `facts`.
const HTTP_ABOVE_INGEST: [&str; 5] = ["n2s", "s2s.rs", "app.rs", "metrics.rs", "conditional.rs"];

static SOURCES: LazyLock<Sources> =
    LazyLock::new(|| Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")));

#[test]
fn every_module_imports_only_from_the_floors_below() {
    let mut wrong = BTreeSet::new();
    for import in SOURCES.imports() {
        let [from, to] = [&import.from, &import.to].map(|path| {
            let room = path.iter().next().expect("a part").to_string_lossy();
            room.trim_end_matches(".rs").to_owned()
        });
        if from == to || from == "main" {
            continue;
        }
        let (_, allowed) = FLOORS
            .iter()
            .find(|(name, _)| *name == from)
            .unwrap_or_else(|| panic!("src/{from} has no floor; give it one here"));
        let part = import.from.iter().nth(1).unwrap_or_default();
        let above = from == "http"
            && matches!(to.as_str(), "ingest" | "compile")
            && !HTTP_ABOVE_INGEST.contains(&part.to_string_lossy().as_ref());
        if above || !allowed.contains(&to.as_str()) {
            wrong.insert(import.to_string());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = SOURCES.circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

/// The code of a service is in its own file: no other file asks for its media type to find out
/// what a resource is.
#[test]
fn what_a_resource_is_is_asked_in_the_table_of_services_alone() {
    let rooms = ["compile", "follow", "http", "node", "publish", "render"];
    for (path, text) in SOURCES.texts() {
        let is_of_room = rooms.iter().any(|room| path.starts_with(room));
        // Providers send documents in the media types of the maps that they state.
        let may = ["publish/service", "http/n2s"]
            .iter()
            .any(|part| path.starts_with(part));
        if !is_of_room || may {
            continue;
        }
        for kind in [
            "NETWORK_MAP",
            "COST_MAP",
            "ENDPOINT_COSTS",
            "ENDPOINT_PROPERTIES",
        ] {
            let name = format!("media::{kind}");
            assert!(!text.contains(&name), "{} names {name}", path.display());
        }
    }
}

#[test]
fn only_the_store_names_sled() {
    for (path, text) in SOURCES.texts() {
        let is_free = !text.contains("sled::") || path.starts_with("store");
        assert!(is_free, "{} names sled", path.display());
    }
}

/// Tests the reader of sources itself on a small crate.
#[test]
fn circles_and_imports_are_found_through_reexports() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [
        ("lib.rs", "pub mod a;\npub mod b;\nmod alone;"),
        (
            "a/mod.rs",
            "mod x;\nmod y;\npub use x::X;\npub use self::y::{Y as Z};",
        ),
        ("a/x.rs", "use super::y::Y;\npub struct X(Y);"),
        ("a/y.rs", "pub struct Y;\nfn f() { vec![crate::b::g()]; }"),
        ("b.rs", "pub fn g() -> crate::a::X { todo!() }"),
        (
            "alone.rs",
            "#[cfg(test)]\nmod tests { use crate::b::g; }\nuse crate::a::Z;",
        ),
    ];
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    let sources = Sources::read(directory.path());
    let imports = sources.imports();
    let found: Vec<String> = imports.iter().map(ToString::to_string).collect();
    let wanted = [
        "a/x.rs -> a/y.rs",
        "a/y.rs -> b.rs",
        "alone.rs -> a/y.rs",
        "b.rs -> a/x.rs",
    ];
    assert_eq!(found, wanted);
    let circle: Vec<String> = ["a/x.rs", "a/y.rs", "b.rs"].map(String::from).into();
    assert_eq!(sources.circles(), [circle]);
}
