//! The house: imports go down only.

use std::fs;
use std::path::{Path, PathBuf};

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
            "brake", "ingest", "client", "facts", "store", "api", "publish", "alto", "net",
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

/// Of `http` only these files and folders import `ingest`, `compile` and `facts`.
const HTTP_ABOVE_INGEST: [&str; 5] = ["n2s", "s2s.rs", "app.rs", "metrics.rs", "conditional.rs"];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

/// The modules of the crate that a text imports, by `use crate::x` or `crate::x::`.
fn imports(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .match_indices("crate::")
        .filter(|(at, _)| {
            !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
        })
        .map(|(at, mark)| {
            let rest = &text[at + mark.len()..];
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|module: &String| !module.is_empty())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_module_imports_only_from_the_floors_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).expect("below src");
        let module = inside
            .iter()
            .next()
            .expect("a part")
            .to_string_lossy()
            .into_owned();
        if module == "lib.rs" || module == "main.rs" {
            continue;
        }
        let (_, allowed) = FLOORS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("src/{module} has no floor; give it one here"));
        let text = fs::read_to_string(&path).expect("text");
        for import in imports(&text) {
            let room = inside.iter().nth(1).unwrap_or_default().to_string_lossy();
            let above = module == "http"
                && matches!(import.as_str(), "ingest" | "compile" | "facts")
                && !HTTP_ABOVE_INGEST.contains(&room.as_ref());
            if import != module && (above || !allowed.contains(&import.as_str())) {
                wrong.push(format!("{} imports crate::{import}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_store_names_sled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).expect("below src");
        let names = fs::read_to_string(&path).expect("text").contains("sled::");
        assert!(
            !names || inside.starts_with("store"),
            "{} names sled",
            inside.display()
        );
    }
}
