//! Checks that the tests that `docs/conformance.md` names exist.

use std::fs;
use std::path::Path;

/// A row of a table: the clause, and the cell that names its tests.
struct Row {
    clause: String,
    held_by: String,
}

fn rows() -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let text = fs::read_to_string(file).expect("the documentation");
    let mut previous = "";
    for line in text.lines() {
        // Each table has one head, with a rule below it.
        let is_head = previous.starts_with("| clause ");
        assert_eq!(line.starts_with("|---"), is_head, "after {previous:?}");
        assert!(
            !is_head || previous == "| clause | rule | held by |",
            "{previous}"
        );
        previous = line;
    }
    let row = |line: &str| {
        let line = line.strip_prefix('|')?;
        let cells: Vec<&str> = line
            .trim_end_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        let head = cells[0] == "clause" || cells[0].starts_with("---");
        assert!(head || cells.len() == 3, "not three cells: {line}");
        (!head).then(|| Row {
            clause: cells[0].to_owned(),
            held_by: cells[2].to_owned(),
        })
    };
    text.lines().filter_map(row).collect()
}

/// Returns the tests that a cell names: `module::name` between backticks.
fn tests(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.contains("::")).collect()
}

/// Whether a file below `tests/it/` or `src/` that is this module has the test.
fn exists(test: &str) -> bool {
    let (module, name) = test.rsplit_once("::").expect("a module");
    let path = module.replace("::", "/");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests/it", "src"].into_iter().flat_map(|top| {
        let base = root.join(top);
        [
            base.join(format!("{path}.rs")),
            base.join(&path).join("mod.rs"),
        ]
    });
    let mut texts = files.filter_map(|file| fs::read_to_string(file).ok());
    texts.any(|text| {
        let found = text
            .split(&format!("fn {name}("))
            .next()
            .filter(|before| before.len() < text.len());
        // The attribute is on the line before.
        found.is_some_and(|before| {
            before
                .trim_end_matches("async ")
                .trim_end()
                .ends_with("test]")
        })
    })
}

#[test]
fn every_test_that_the_document_names_exists() {
    let rows = rows();
    assert!(rows.len() > 100, "only {} rows were found", rows.len());
    let named = rows
        .iter()
        .flat_map(|row| tests(&row.held_by).into_iter().map(move |test| (row, test)));
    let missing: Vec<String> = named
        .filter(|(_, test)| !exists(test))
        .map(|(row, test)| format!("{}: {test}", row.clause))
        .collect();
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

#[test]
fn every_clause_has_a_test_or_a_reason() {
    for row in rows() {
        let reason = ["not ours: ", "waived: "]
            .iter()
            .find_map(|start| row.held_by.strip_prefix(start));
        let held = reason.map_or(!tests(&row.held_by).is_empty(), |reason| reason.len() > 15);
        assert!(
            held,
            "{} has neither a test nor a reason: {:?}",
            row.clause, row.held_by
        );
    }
}

#[test]
fn no_clause_has_the_number_of_another() {
    let mut section = String::new();
    let mut seen = std::collections::BTreeSet::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    for line in fs::read_to_string(file).expect("the documentation").lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let clause = line
            .strip_prefix("| ")
            .and_then(|line| line.split(" | ").next());
        if let Some(clause) = clause.filter(|clause| *clause != "clause") {
            assert!(
                seen.insert((section.clone(), clause.to_owned())),
                "{section}: {clause} stands twice"
            );
        }
    }
}
