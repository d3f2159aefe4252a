//! Golden files of what others build on: a change shows in the diff.
//!
//! The files have the description of the API, the names of the metrics, and the answers of every
//! service, byte for byte, from nodes whose clock stands still and whose keys are fixed.
//! `ALTOFED_BLESS=1 cargo test --test it golden::` rewrites the files.

mod api;
mod endpoints;
mod filtered;
mod maps;
mod n2s;
mod ops;
mod program;
mod s2s;
mod store;
mod tape;
mod tips;
mod updates;
mod world;

use std::path::Path;

use serde_json::Value;

use crate::metro::cost_type;

/// Checks that a text equals the golden file.
#[track_caller]
fn golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    if std::env::var_os("ALTOFED_BLESS").is_some() {
        std::fs::write(&path, text).expect("a golden file");
    }
    let kept = std::fs::read_to_string(&path).expect("a golden file");
    if kept == text {
        return;
    }
    let lines = kept.lines().zip(text.lines());
    let line = lines.take_while(|(was, is)| was == is).count();
    let [was, is] = [&*kept, text].map(|text| text.lines().nth(line).unwrap_or("(the end)"));
    let chars = was.chars().zip(is.chars());
    let same = chars.take_while(|(was, is)| was == is).count();
    let near = |line: &str| -> String {
        let near = line.chars().skip(same.saturating_sub(40));
        near.take(120).collect()
    };
    panic!(
        "{file} is not what it was from line {}, character {} on: {:?} is {:?} now; see all that \
         changed with ALTOFED_BLESS=1 and git diff",
        line + 1,
        same + 1,
        near(was),
        near(is),
    );
}

/// Returns the path of a resource of our own view.
fn own(resource: &str) -> String {
    format!("/views/isp-a/{resource}")
}

/// Returns the path of a resource of the merged view.
fn merged(resource: &str) -> String {
    format!("/views/merged/{resource}")
}

/// Returns the cost type of hop counts, as numbers.
fn hops() -> Value {
    cost_type("hopcount", "numerical")
}

/// Returns the cost type of `routingcost` as ranks.
fn ranks() -> Value {
    cost_type("routingcost", "ordinal")
}
