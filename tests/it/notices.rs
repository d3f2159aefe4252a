//! The file `NOTICES`: what the licences of the libraries in the program ask to be passed on with it.
//! `ALTOFED_BLESS=1 cargo test --test it notices::` rewrites it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::text;

const HEAD: &str = "\
The program altofed contains the libraries below. A library that offers several licences is taken
under the Apache License 2.0 if that is one of them, and otherwise under the MIT licence.
`ALTOFED_BLESS=1 cargo test --test it notices::` wrote this from the packages themselves.
";

/// The standard library is not a package of Cargo's. This is from `COPYRIGHT-library.html`, which
/// comes with Rust 1.95, and from `LICENSE.txt` of libm.
const STANDARD: &str = "\
The Rust standard library is by the Rust Project Developers (https://thanks.rust-lang.org) and
others. Its tables of Unicode (Copyright 1991-2024 Unicode, Inc.) are under the Unicode License v3.
";

const LIBM: &str = "\
Portions of this software are derived from third-party works licensed under
terms compatible with the MIT license below:

* musl libc, Copyright © 2005-2020 Rich Felker, et al. https://www.musl-libc.org/
* The CORE-MATH project https://core-math.gitlabpages.inria.fr/
";

/// The systems that the program is built for, as in `deny.toml`.
const SYSTEMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Files that are about a licence which is offered beside the one that is taken.
const NOT_TAKEN: [(&str, &str); 1] = [("zstd-sys", "zstd/COPYING")];

/// A package in the program.
struct Package {
    name: String,
    licence: String,
    authors: String,
    directory: PathBuf,
}

/// The licence that a package is taken under.
#[derive(PartialEq, Eq)]
enum Taken {
    Apache,
    Mit,
    /// All that it names.
    All,
}

impl Package {
    fn taken(&self) -> Taken {
        let offered = self.licence.replace('/', " OR ");
        let offered: Vec<&str> = offered.split(" OR ").map(str::trim).collect();
        if offered.len() > 1 && self.licence.contains(" AND ") {
            Taken::All
        } else if offered.contains(&"Apache-2.0") {
            Taken::Apache
        } else if offered.len() > 1 {
            assert!(offered.contains(&"MIT"), "{}: {}", self.name, self.licence);
            Taken::Mit
        } else {
            Taken::All
        }
    }

    /// Returns the texts that go along with the program, in the order of their files.
    fn texts(&self) -> Vec<String> {
        let taken = self.taken();
        let mut files = Vec::new();
        find(&self.directory, &mut files);
        files.sort();
        let wanted = |path: &&PathBuf| {
            let path = path.strip_prefix(&self.directory).expect("it is inside");
            let file = path.to_str().expect("text");
            if NOT_TAKEN.contains(&(&self.name, file)) {
                return false;
            }
            // A file further below is about the part of the package beside it.
            let root = path.components().count() == 1;
            let notice = file.starts_with("NOTICE") || file.starts_with("COPYRIGHT");
            !root
                || match taken {
                    Taken::Apache => notice || file.contains("THIRD-PARTY"),
                    Taken::Mit => notice || file == "LICENSE-MIT",
                    Taken::All => true,
                }
        };
        let read = |path: &PathBuf| fs::read_to_string(path).expect("a text");
        let texts: Vec<String> = files.iter().filter(wanted).map(read).collect();
        if !texts.is_empty() || taken == Taken::Apache {
            return texts;
        }
        let name = &self.name;
        assert_eq!(self.licence, "MIT", "{name} has no text of its licence");
        let authors = &self.authors;
        vec![format!(
            "The package has no text of its licence, MIT, and names as its authors:\n{authors}\n\n{}",
            mit()
        )]
    }
}

/// Returns the terms of the MIT licence.
fn mit() -> String {
    let ours = fs::read_to_string(root("LICENSE-MIT")).expect("our own licence");
    let terms = ours.find("Permission is").expect("its terms");
    ours[terms..].to_owned()
}

fn root(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Finds the files about licences in a directory and below.
fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            find(&entry.path(), files);
            continue;
        }
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let names = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];
        if names.iter().any(|start| name.starts_with(start)) && !name.ends_with(".RS") {
            files.push(entry.path());
        }
    }
}

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .arg("--locked")
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Returns the packages in the program for a system, ours left out.
fn packages(system: &str) -> Vec<Package> {
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform",
        system,
    ]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let described = metadata["packages"].as_array().expect("packages").iter();
    let described: BTreeMap<(&str, &str), &Value> = described
        .map(|package| {
            let member = |name: &str| package[name].as_str().expect("text");
            ((member("name"), member("version")), package)
        })
        .collect();
    // The metadata also has what tests and build scripts need.
    let built = [
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--no-dedupe",
        "--format={p}",
    ];
    let tree = cargo(&[&["tree", "--target", system][..], &built[..]].concat());
    let mut packages = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        let name = words.next().expect("a name");
        let version = words.next().expect("a version").trim_start_matches('v');
        if name == env!("CARGO_PKG_NAME") {
            continue;
        }
        let package = described[&(name, version)];
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let authors = package["authors"].as_array().expect("authors").iter();
        let authors: Vec<&str> = authors.filter_map(Value::as_str).collect();
        let package = Package {
            name: name.to_owned(),
            licence: package["license"].as_str().expect("a licence").to_owned(),
            authors: authors.join("\n"),
            directory: manifest.parent().expect("a directory").to_owned(),
        };
        packages.insert((name.to_owned(), version.to_owned()), package);
    }
    packages.into_values().collect()
}

/// Returns what `NOTICES` has to say.
fn notices() -> String {
    let mut apache = BTreeSet::from(["the Rust standard library".to_owned()]);
    // The packages of each text; texts that differ in their spaces alone are one.
    let mut texts: BTreeMap<String, (BTreeSet<String>, String)> = BTreeMap::new();
    let mut add = |name: &str, text: String| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let known = texts.entry(words.join(" "));
        let (names, _) = known.or_insert((BTreeSet::new(), text));
        names.insert(name.to_owned());
    };
    for package in SYSTEMS.into_iter().flat_map(packages) {
        if package.taken() == Taken::Apache {
            apache.insert(package.name.clone());
        }
        for text in package.texts() {
            add(&package.name, text);
        }
    }
    add(
        "the Rust standard library's mathematics (libm)",
        format!("{LIBM}\n{}", mit()),
    );
    let licence = fs::read_to_string(root("LICENSE-APACHE")).expect("the Apache License");
    let mut parts: Vec<(BTreeSet<String>, String)> = texts.into_values().collect();
    parts.sort();
    parts.insert(0, (apache, licence));
    let mut all = format!("{HEAD}\n{STANDARD}");
    for (names, text) in parts {
        let line = "-".repeat(80);
        let text: Vec<&str> = text.lines().map(str::trim_end).collect();
        let text = text.join("\n");
        let text = text.trim_matches('\n');
        let _ = write!(all, "\n{line}\n{}\n{line}\n\n{text}\n", wrapped(&names));
    }
    assert!(
        all.contains("UNICODE LICENSE V3"),
        "{STANDARD} says that it is there"
    );
    all
}

/// Returns names with commas, in lines of at most 80 characters.
fn wrapped(names: &BTreeSet<String>) -> String {
    let mut text = String::new();
    let mut length = 0;
    for name in names {
        let start = match length {
            0 => "",
            length if length + name.len() + 3 > 80 => ",\n",
            _ => ", ",
        };
        if start == ",\n" {
            length = 0;
        }
        length += start.len() + name.len();
        text.push_str(start);
        text.push_str(name);
    }
    text
}

#[test]
fn the_notices_have_every_library_in_the_program() {
    let is = notices();
    if std::env::var_os("ALTOFED_BLESS").is_some() {
        fs::write(root("NOTICES"), &is).expect("the notices");
    }
    let kept = fs::read_to_string(root("NOTICES")).expect("the notices");
    let lines = kept.lines().zip(is.lines());
    let same = lines.take_while(|(was, is)| was == is).count();
    assert!(
        kept == is,
        "NOTICES is not what the packages say, from line {} on; \
         `ALTOFED_BLESS=1 cargo test --test it notices::` writes it: look at `git diff` then",
        same + 1
    );
}
