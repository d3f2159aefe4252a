//! Finds where in the file something stands: its line, its column and the path of its key.
//!
//! A path contains only words that the documentation contains too. An unknown key, or a name
//! that the operator chose, may be a secret that got into the wrong place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, NAME};

/// A file as it is written.
pub(super) struct Source<'t> {
    text: &'t str,
    root: DeTable<'t>,
    is_sound: bool,
}

/// The path of a key, or of an item of its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyPath {
    /// For people: `token[2].secret`, counted from 1.
    shown: String,
    /// As the documentation has it: `token.secret`.
    documented: String,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) path: KeyPath,
}

/// A step from a value into it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Key(&'static str),
    /// Counted from 0.
    Item(usize),
}

impl KeyPath {
    pub(super) fn documented(&self) -> &str {
        &self.documented
    }

    /// Returns the path of a key in this table, if there is such a key.
    pub(super) fn key(&self, word: &str) -> Option<Self> {
        let name = |word: &str| match self.documented.as_str() {
            "" => word.to_owned(),
            table => format!("{table}.{word}"),
        };
        let known = [word, NAME].into_iter().find(|word| {
            let is_word = !word.is_empty() && !word.contains('.');
            is_word && keys::is_known(&name(word))
        })?;
        let shown = match self.shown.as_str() {
            "" => known.to_owned(),
            table => format!("{table}.{known}"),
        };
        Some(Self {
            shown,
            documented: name(known),
        })
    }

    fn item(&self, index: usize) -> Self {
        Self {
            shown: format!("{}[{}]", self.shown, index + 1),
            documented: self.documented.clone(),
        }
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The narrowest part of a file around a place.
struct Found<'f, 't> {
    width: usize,
    path: KeyPath,
    value: Option<&'f DeValue<'t>>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        Self {
            text,
            root: root.into_inner(),
            is_sound: errors.is_empty(),
        }
    }

    /// Whether the file is TOML.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Returns the place of what begins at a byte, or of what `steps` lead to from there as far
    /// as the file has it.
    pub(super) fn place(&self, at: usize, steps: &[Step]) -> Place {
        let mut found = Found {
            width: usize::MAX,
            path: KeyPath::default(),
            value: None,
        };
        search(&self.root, at, &mut found);
        let (mut at, mut path, mut value) = (at, found.path, found.value);
        for step in steps {
            let next = match step {
                Step::Key(key) => {
                    let Some(below) = path.key(key) else { break };
                    let inner = value.and_then(|value| member(value, key));
                    path = below;
                    inner
                }
                Step::Item(index) => {
                    path = path.item(*index);
                    let items = value.and_then(DeValue::as_array);
                    items.and_then(|items| items.get(*index))
                }
            };
            value = next.map(Spanned::get_ref);
            if let Some(next) = next {
                at = next.span().start;
            }
        }
        let (line, column) = self.line(at);
        Place { line, column, path }
    }

    /// Returns the path of the key that the line of a byte begins with. Where the syntax is
    /// wrong, the part that can be parsed may end before that byte.
    pub(super) fn key_of_line(&self, at: usize) -> KeyPath {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = &self.text[start..];
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        self.place(start + indent, &[]).path
    }

    /// Returns the line and column of a byte, counted from 1.
    fn line(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[start..].chars().count() + 1)
    }
}

fn member<'f, 't>(value: &'f DeValue<'t>, key: &str) -> Option<&'f Spanned<DeValue<'t>>> {
    let mut members = value.as_table()?.iter();
    let found = members.find(|(name, _)| name.get_ref() == key);
    found.map(|(_, value)| value)
}

/// Finds the narrowest part around a byte, and of equal ones the innermost: the span of a table
/// is that of its header.
fn search<'f, 't>(table: &'f DeTable<'t>, at: usize, found: &mut Found<'f, 't>) {
    let around = found.path.clone();
    descend(table, &around, at, found);
}

fn descend<'f, 't>(table: &'f DeTable<'t>, path: &KeyPath, at: usize, found: &mut Found<'f, 't>) {
    for (key, value) in table {
        let below = path.key(key.get_ref());
        // What does not exist is reported with the table that it would be in.
        let told = below.as_ref().unwrap_or(path);
        found.consider(key.span(), at, told, Some(value.get_ref()));
        found.consider(value.span(), at, told, Some(value.get_ref()));
        if let Some(below) = below {
            inside(value.get_ref(), &below, at, found);
        }
    }
}

fn inside<'f, 't>(value: &'f DeValue<'t>, path: &KeyPath, at: usize, found: &mut Found<'f, 't>) {
    if let Some(table) = value.as_table() {
        descend(table, path, at, found);
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let below = path.item(index);
        found.consider(item.span(), at, &below, Some(item.get_ref()));
        inside(item.get_ref(), &below, at, found);
    }
}

impl<'f, 't> Found<'f, 't> {
    fn consider(
        &mut self,
        span: Range<usize>,
        at: usize,
        path: &KeyPath,
        value: Option<&'f DeValue<'t>>,
    ) {
        let is_around = span.contains(&at) || span.start == at;
        if is_around && span.len() <= self.width {
            self.width = span.len();
            self.path = path.clone();
            self.value = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[node]
domain = 'a'
[[token]]
name = 'x'
[[token]]
secrett = 'y'
scopes = ['query', 'ingest']
[domain.isp-b]
prefixes = []
[merge.metric.delay-ow]
compose = 'add'
[[peer]]
import.max_pids = 1
[[peer.interconnect]]
costs = { routingcost = 1 }
";

    #[test]
    fn a_place_is_told_by_line_column_and_key() {
        let source = Source::new(TEXT);
        for (words, path, line, column) in [
            ("[node]", "node", 1, 1),
            ("'a'", "node.domain", 2, 10),
            ("secrett", "token[2]", 6, 1),
            ("'y'", "token[2]", 6, 11),
            ("'ingest'", "token[2].scopes[2]", 7, 20),
            ("isp-b", "domain.NAME", 8, 9),
            ("prefixes", "domain.NAME.prefixes", 9, 1),
            ("'add'", "merge.metric.NAME.compose", 11, 11),
            ("max_pids", "peer[1].import.max_pids", 13, 8),
            ("routingcost", "peer[1].interconnect[1].costs", 15, 11),
        ] {
            let place = source.place(TEXT.find(words).expect("there"), &[]);
            assert_eq!(place.path.to_string(), path, "{words}");
            assert_eq!((place.line, place.column), (line, column), "{words}");
        }
    }

    #[test]
    fn what_ends_too_early_is_told_by_the_key_of_its_line() {
        let text = "[[token]]\n  secret = \"abc\nname = \"x\"\n";
        let source = Source::new(text);
        assert!(!source.is_sound());
        let end = text.find("\nname").expect("there");
        assert_eq!(source.key_of_line(end).to_string(), "token[1].secret");
    }

    #[test]
    fn steps_lead_into_a_value_as_far_as_it_goes() {
        let source = Source::new(TEXT);
        let second = TEXT.rfind("[[token]]").expect("there");
        let place = source.place(second, &[Step::Key("scopes"), Step::Item(1)]);
        assert_eq!(place.path.to_string(), "token[2].scopes[2]");
        assert_eq!((place.line, place.column), (7, 20));
        let place = source.place(second, &[Step::Key("secret")]);
        assert_eq!(place.path.to_string(), "token[2].secret");
        assert_eq!((place.line, place.column), (5, 1));
    }
}
