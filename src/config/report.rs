//! Reports what is wrong with a configuration, for people.
//!
//! No value of the file is ever shown, nor an unknown key: it may be a secret. A report has the
//! file, the line, the column, the path of the key, and what should be there.

use std::ops::Range;
use std::path::Path;

use crate::runtime::duration;

use super::keys;
use super::place::{KeyPath, Source, Step};

/// Everything that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ConfigError {
    text: String,
}

impl ConfigError {
    /// The file cannot be read.
    pub(super) fn read(path: &Path, error: &std::io::Error) -> Self {
        Self {
            text: format!(
                "cannot read {}: {error}; give the path of your configuration with --config",
                path.display()
            ),
        }
    }

    /// The text is not a configuration.
    pub(super) fn parse(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let source = Source::new(text);
        let at = error.span().map_or(0, |span| span.start);
        let place = source.place(at, &[]);
        // Messages about the syntax contain only words of the parser.
        let message = if source.is_sound() {
            mistake(error.message(), &place.path)
        } else if place.path.documented().is_empty() {
            told(&source.key_of_line(at), error.message())
        } else {
            told(&place.path, error.message())
        };
        let (line, column) = (place.line, place.column);
        Self {
            text: format!("{}:{line}:{column}: {message}", path.display()),
        }
    }

    /// Joins faults that were found in the text.
    pub(super) fn faults(path: &Path, text: &str, faults: &[Fault]) -> Self {
        Self {
            text: described(path, text, faults).join("\n"),
        }
    }
}

/// One thing that is wrong, and where. Its message contains no value of the file.
pub(super) struct Fault {
    /// `None`: the whole file.
    span: Option<Range<usize>>,
    steps: Vec<Step>,
    beside: Option<Range<usize>>,
    message: String,
}

impl Fault {
    /// Makes a fault of the value at a span.
    pub(super) fn new(span: impl Into<Option<Range<usize>>>, message: impl Into<String>) -> Self {
        Self {
            span: span.into(),
            steps: Vec::new(),
            beside: None,
            message: message.into(),
        }
    }

    /// Says that it is in this key of the value.
    pub(super) fn at(mut self, key: &'static str) -> Self {
        self.steps.push(Step::Key(key));
        self
    }

    /// Says that it is in this item of that, counted from 0.
    pub(super) fn item(mut self, index: usize) -> Self {
        self.steps.push(Step::Item(index));
        self
    }

    /// Says what else it does not go together with.
    pub(super) fn beside(mut self, other: Range<usize>) -> Self {
        self.beside = Some(other);
        self
    }
}

/// Describes each of these faults with its place: `file:line:column: key: message`.
pub(super) fn described(path: &Path, text: &str, faults: &[Fault]) -> Vec<String> {
    let source = Source::new(text);
    let describe = |fault: &Fault| {
        let Some(span) = &fault.span else {
            return format!("{}: {}", path.display(), fault.message);
        };
        let place = source.place(span.start, &fault.steps);
        let beside = fault.beside.as_ref();
        let beside = beside.map(|other| source.place(other.start, &[]).line);
        let beside = beside.map_or_else(String::new, |line| format!(" (see line {line})"));
        let (line, column) = (place.line, place.column);
        let message = told(&place.path, &fault.message);
        format!("{}:{line}:{column}: {message}{beside}", path.display())
    };
    faults.iter().map(describe).collect()
}

fn told(path: &KeyPath, message: &str) -> String {
    match path.documented() {
        "" => message.to_owned(),
        _ => format!("{path}: {message}"),
    }
}

/// Describes a mistake that serde found at a key. Its message may contain any value of the
/// file, so that only known words are taken from it.
fn mistake(message: &str, path: &KeyPath) -> String {
    if let Some(field) = message.strip_prefix("missing field `") {
        let field = field.trim_end_matches('`');
        return match path.key(field) {
            Some(missing) => {
                let form = form(missing.documented());
                format!("{missing} is missing; it takes {form}")
            }
            None => told(path, &format!("it takes {}", form(path.documented()))),
        };
    }
    if let Some(unknown) = message.strip_prefix("unknown field `") {
        return unknown_field(unknown, path);
    }
    if message == duration::ZERO {
        return told(path, message);
    }
    let kind = message.strip_prefix("invalid type: ").and_then(kind);
    let kind = kind.map_or_else(|| "this".to_owned(), |kind| format!("a {kind}"));
    let form = form(path.documented());
    told(path, &format!("it cannot be {kind}; it takes {form}"))
}

/// Describes what a key, or a table, takes.
fn form(name: &str) -> String {
    match (keys::find(name), name) {
        (Some(key), _) => key.form(),
        (None, "") => "the tables that docs/configuration.md tells".to_owned(),
        (None, table) if keys::is_list(table) => format!("tables: write [[{table}]] above each"),
        (None, table) => format!("a table: write [{table}] above its keys"),
    }
}

/// Returns the kind of value that is there, from serde's "invalid type: string \"…\", expected
/// …".
fn kind(rest: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 6] = [
        ("string", "string"),
        ("integer", "whole number"),
        ("floating point", "number with a fraction"),
        ("boolean", "boolean"),
        ("sequence", "list"),
        ("map", "table"),
    ];
    let known = KINDS.into_iter().find(|(word, _)| rest.starts_with(word));
    known.map(|(_, kind)| kind)
}

/// Describes, from "x`, expected one of `a`, `b`", which keys exist, and which one was meant if
/// x is much like it. Only then x is shown too: it differs from a known word by a slip of the
/// hand.
fn unknown_field(rest: &str, path: &KeyPath) -> String {
    let (unknown, expected) = rest.rsplit_once("`, expected ").unwrap_or((rest, ""));
    let known = expected.split('`').skip(1).step_by(2);
    let like = |known: &str| strsim::jaro_winkler(unknown, known);
    let meant = known
        .map(|known| (like(known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known);
    let slip = |meant: &&str| strsim::osa_distance(unknown, meant) <= MAX_SLIP;
    let name = match meant.filter(slip) {
        Some(_) => format!(" `{unknown}`"),
        None => String::new(),
    };
    let table = match path.documented() {
        "" => String::new(),
        _ => format!(" in {path}"),
    };
    let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
    format!("unknown field{name}{table}, expected {expected}{meant}")
}

/// By how many characters a misspelt key may differ from what was meant, to be shown.
const MAX_SLIP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn field(message: &str) -> String {
        mistake(message, &KeyPath::default())
    }

    #[test]
    fn a_key_is_told_if_it_is_a_slip_of_the_hand_and_else_only_its_place() {
        let expected = "`, expected one of `secret`, `secret_env`";
        let slip = field(&format!("unknown field `secrett{expected}"));
        assert_eq!(
            slip,
            "unknown field `secrett`, expected one of `secret`, `secret_env`; did you mean `secret`?"
        );
        for key in ["secretABCDEF", "ABCDEF", "ABCDEF`, expected one of `x"] {
            let told = field(&format!("unknown field `{key}{expected}"));
            assert!(!told.contains("ABCDEF"), "{told}");
            assert!(told.contains("`secret_env`"), "{told}");
        }
    }

    #[test]
    fn of_a_value_its_kind_is_told_at_most() {
        let message = "invalid type: string \"ABCDEF\", expected u32";
        let told = field(message);
        assert!(told.starts_with("it cannot be a string; "), "{told}");
        for message in [
            message,
            "unknown variant `ABCDEF`, expected `open`",
            "ABCDEF is not a duration",
            "invalid value: integer `-1`, expected ABCDEF",
        ] {
            assert!(!field(message).contains("ABCDEF"), "{message}");
        }
    }
}
