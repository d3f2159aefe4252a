//! The structure of the crate: imports only go down, and never in a circle.

mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sources::{Import, Sources};

/// Each module and the modules of the crate that it may import.
const FLOORS: [(&str, &[&str]); 21] = [
    ("ident", &[]),
    ("runtime", &[]),
    ("net", &["ident"]),
    ("paths", &["net", "ident"]),
    ("alto", &["net", "ident"]),
    ("store", &["ident", "runtime"]),
    ("api", &["ident"]),
    ("publish", &["paths", "alto", "net", "ident", "runtime"]),
    ("facts", &["api", "alto", "net", "ident"]),
    (
        "compile",
        &[
            "facts", "api", "publish", "paths", "alto", "net", "ident", "runtime",
        ],
    ),
    ("render", &["publish", "ident", "runtime"]),
    ("follow", &["render", "publish", "alto", "ident", "runtime"]),
    (
        "brake",
        &["facts", "api", "publish", "alto", "net", "ident", "runtime"],
    ),
    (
        "ingest",
        &[
            "brake", "facts", "api", "compile", "store", "alto", "net", "ident", "runtime",
        ],
    ),
    ("auth", &["ident"]),
    ("client", &["api", "alto", "ident", "runtime"]),
    (
        "federation",
        &[
            "brake", "follow", "client", "facts", "store", "api", "publish", "alto", "net",
            "ident", "runtime",
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
            "ident",
            "runtime",
        ],
    ),
    (
        "node",
        &[
            "config",
            "http",
            "federation",
            "follow",
            "render",
            "ingest",
            "compile",
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
            "api",
            "publish",
            "store",
            "alto",
            "net",
            "ident",
            "runtime",
        ],
    ),
];

/// The modules that take facts and make views of them.
const ABOVE_FACTS: [&str; 3] = ["facts", "ingest", "compile"];

/// The files and folders of `http` that import one of these.
const HTTP_OF_FACTS: [&str; 3] = ["app.rs", "conditional.rs", "n2s"];

static SOURCE: LazyLock<PathBuf> =
    LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));

static SOURCES: LazyLock<Sources> = LazyLock::new(|| Sources::read(&SOURCE));

/// The imports between rooms, each with the room that imports and the one that is imported.
fn imports_between_rooms() -> Vec<(String, String, Import)> {
    let room = |path: &Path| {
        let room = path.iter().next().expect("a part").to_string_lossy();
        room.trim_end_matches(".rs").to_owned()
    };
    let imports = SOURCES.imports().into_iter();
    let imports = imports.map(|import| (room(&import.from), room(&import.to), import));
    imports.filter(|(from, to, _)| from != to).collect()
}

#[test]
fn every_module_imports_only_from_the_floors_below() {
    let mut wrong = BTreeSet::new();
    let mut unused: BTreeSet<_> = FLOORS
        .iter()
        .flat_map(|(from, allowed)| allowed.iter().map(move |to| (*from, *to)))
        .collect();
    for (from, to, import) in imports_between_rooms() {
        if from == "main" {
            continue;
        }
        let (_, allowed) = FLOORS
            .iter()
            .find(|(name, _)| *name == from)
            .unwrap_or_else(|| panic!("src/{from} has no floor; give it one here"));
        if !allowed.contains(&to.as_str()) {
            wrong.insert(import.to_string());
        }
        unused.retain(|used| *used != (&*from, &*to));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(unused.is_empty(), "allowed, and not imported: {unused:?}");
}

#[test]
fn of_http_only_what_takes_facts_imports_what_they_are_made_into() {
    let parts = imports_between_rooms().into_iter();
    let parts = parts.filter(|(from, to, _)| from == "http" && ABOVE_FACTS.contains(&to.as_str()));
    let part = |import: &Import| {
        import
            .from
            .iter()
            .nth(1)
            .map(|it| it.to_string_lossy().into_owned())
    };
    let parts: BTreeSet<String> = parts.filter_map(|(.., import)| part(&import)).collect();
    let wanted = HTTP_OF_FACTS
        .iter()
        .map(|part| (*part).to_owned())
        .collect();
    assert_eq!(parts, wanted);
}

#[test]
fn every_path_of_the_crate_is_resolved() {
    let unresolved = SOURCES.unresolved();
    assert!(unresolved.is_empty(), "{unresolved:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = SOURCES.circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

/// The code of a service is in its own file: no other file asks for its media types to find out
/// what a resource is.
#[test]
fn what_a_resource_is_is_asked_in_the_table_of_services_alone() {
    // Of the rooms that do not appear here, `alto` names the media types, `client` and `cli` speak
    // to servers of any kind, and `facts` says in which types its documents are put.
    let rooms = [
        "compile",
        "federation",
        "follow",
        "http",
        "node",
        "publish",
        "render",
    ];
    // A server that is not of our kind says by media types alone what its resources are.
    let may = ["publish/service", "federation/plain"];
    // Of directories, transports, errors and patches, which belong to no service.
    let others = [
        "DIRECTORY",
        "ERROR",
        "EVENT_STREAM",
        "UPDATE_STREAM_PARAMS",
        "UPDATE_STREAM_CONTROL",
        "TIPS",
        "TIPS_PARAMS",
        "JSON",
        "JSON_PATCH",
        "MERGE_PATCH",
        "PROBLEM",
    ];
    let media = fs::read_to_string(SOURCE.join("alto/media.rs")).expect("the media types");
    let names = media.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("pub const ")?.split_once(':')?;
        Some(name).filter(|name| !others.contains(name))
    });
    let names: Vec<String> = names.map(|name| format!("media::{name}")).collect();
    let mut found = BTreeSet::new();
    for (path, text) in SOURCES.texts() {
        let is_of_room = rooms.iter().any(|room| path.starts_with(room));
        if !is_of_room || may.iter().any(|part| path.starts_with(part)) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let named = names.iter().filter(|name| code.contains(name.as_str()));
        found.extend(named.map(|name| format!("{}: {name}", path.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
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
        (
            "lib.rs",
            "pub mod a;\npub mod b;\nmod alone;\nmod parent;\nmod through;\nmod wrong;",
        ),
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
        // A parent that calls a child, which imports it, in each way that a path can be written.
        (
            "parent/mod.rs",
            "mod child;\npub struct P;\nfn f() { child::g(P) }\n\
             macro_rules! made { ($n:ident) => { pub struct M; struct $n; } }\nmade!(N);",
        ),
        (
            "parent/child.rs",
            "use super::{M, N, P};\npub fn g(p: P) -> M { todo!() }",
        ),
        (
            "through.rs",
            "use crate::a;\nfn f() -> a::Z { std::mem::take(a::Z::new()) }",
        ),
        ("wrong.rs", "fn f() { crate::a::nothing() }"),
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
        "parent/child.rs -> parent/mod.rs",
        "parent/mod.rs -> parent/child.rs",
        "through.rs -> a/mod.rs",
        "through.rs -> a/y.rs",
    ];
    assert_eq!(found, wanted);
    let circles = [
        vec!["a/x.rs", "a/y.rs", "b.rs"],
        vec!["parent/child.rs", "parent/mod.rs"],
    ];
    assert_eq!(sources.circles(), circles);
    let unresolved: Vec<String> = sources.unresolved().into_iter().collect();
    assert_eq!(unresolved, ["wrong.rs: crate::a::nothing"]);
}
