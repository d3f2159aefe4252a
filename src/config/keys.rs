//! The keys of the configuration, as `docs/configuration.md` describes them. An error about a
//! value says what it should be, never what it is.

/// The documentation. A test checks that it describes every key and no other.
const TEXT: &str = include_str!("../../docs/configuration.md");

/// The place of a name that the operator chooses, in the path of a key.
pub(super) const NAME: &str = "NAME";

/// A key and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name with all the tables around it: `node.listen`, `domain.NAME.prefixes`.
    name: &'static str,
    kind: &'static str,
    meaning: &'static str,
}

/// Iterates over all keys.
fn keys() -> impl Iterator<Item = Key> {
    TEXT.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.splitn(5, " | ");
        let (name, kind) = (cells.next()?.strip_suffix('`')?, cells.next()?);
        let meaning = cells.nth(2)?;
        Some(Key {
            name,
            kind,
            meaning: meaning.trim_end_matches(['|', ' ']),
        })
    })
}

/// Finds the key with a name.
pub(super) fn find(name: &str) -> Option<Key> {
    keys().find(|key| key.name == name)
}

/// Whether a key or a table with this name exists.
pub(super) fn is_known(name: &str) -> bool {
    keys().any(|key| {
        let rest = key.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Whether a table may be repeated: `[[token]]`.
pub(super) fn is_list(table: &str) -> bool {
    TEXT.contains(&format!("`[[{table}]]`"))
}

impl Key {
    /// Describes for people what it takes: its type, and the first sentence of its meaning.
    pub(super) fn form(&self) -> String {
        let example = match self.kind {
            "duration" => " such as \"500ms\", \"10s\", \"5m\" or \"1h 30m\"",
            _ => "",
        };
        let meaning = without_links(self.meaning);
        let end = meaning.find(". ").unwrap_or(meaning.len());
        let (sentence, kind) = (meaning[..end].trim_end_matches('.'), self.kind);
        let article = match kind.chars().next() {
            Some('a' | 'e' | 'i' | 'o' | 'u') => "an ",
            Some(first) if first.is_ascii_lowercase() && !kind.starts_with("list") => "a ",
            Some('U') => "a ",
            Some('l') => "a ",
            _ => "",
        };
        format!("{article}{kind}{example}: {sentence}")
    }
}

/// Removes the targets of links from Markdown.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, target)) = rest.split_once("](") {
        let (words, open) = match before.rfind('[') {
            Some(at) => (&before[..at], &before[at + 1..]),
            None => (before, ""),
        };
        out.push_str(words);
        out.push_str(open);
        rest = target.split_once(')').map_or("", |(_, rest)| rest);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_what_it_takes() {
        let form = |name| find(name).expect("documented").form();
        assert!(form("node.domain").starts_with("a string: The label of our domain: letters,"));
        assert!(form("limits.burst").starts_with("an integer: Requests of one caller"));
        assert!(form("peer.refresh.interval").starts_with("a duration such as \"500ms\""));
        assert!(form("node.asns").starts_with("a list of integers: "));
        assert!(form("node.public_url").starts_with("a URL: "));
        assert_eq!(find("node.nothing"), None);
    }

    #[test]
    fn tables_are_known_by_the_keys_in_them() {
        assert!(is_known("node") && is_known("peer.import") && is_known("domain.NAME"));
        assert!(!is_known("nod") && !is_known("peer.import.") && !is_known("node.listen.x"));
        assert!(is_list("token") && is_list("peer.interconnect") && !is_list("node"));
    }

    #[test]
    fn links_are_told_by_their_words() {
        assert_eq!(
            without_links("as [ADR 12](adr/12.md) says"),
            "as ADR 12 says"
        );
        assert_eq!(without_links("a [b] c"), "a [b] c");
    }
}
