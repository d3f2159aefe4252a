//! Which answers moved with an edition, so that a stream checks only those.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::ident::DomainLabel;

/// The most answers and documents that the remembered moves have together. A stream that is
/// further behind checks everything.
const MAX_ITEMS: usize = 64 * 1024;

/// The number of a followed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerId(pub u64);

/// What changed with an edition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// The answers that have a newer version, or ended.
    pub answers: Vec<AnswerId>,
    /// The domains that have another document, or no longer have one.
    pub documents: Vec<DomainLabel>,
    /// Whether a domain came or went.
    pub is_another_list: bool,
}

impl Moved {
    /// Compares two sets of documents.
    pub(super) fn between(
        before: &BTreeMap<DomainLabel, Bytes>,
        after: &BTreeMap<DomainLabel, Bytes>,
    ) -> Self {
        let mut moved = Self::default();
        for (domain, manifest) in after {
            match before.get(domain) {
                None => moved.is_another_list = true,
                Some(former) if is_same(former, manifest) => continue,
                Some(_) => {}
            }
            moved.documents.push(domain.clone());
        }
        for domain in before.keys().filter(|domain| !after.contains_key(*domain)) {
            moved.is_another_list = true;
            moved.documents.push(domain.clone());
        }
        moved
    }

    /// Returns how many answers and documents moved.
    pub fn count(&self) -> usize {
        self.answers.len() + self.documents.len()
    }
}

/// Whether two texts are equal. Texts at the same address are not read.
fn is_same(a: &Bytes, b: &Bytes) -> bool {
    (a.as_ptr() == b.as_ptr() && a.len() == b.len()) || a == b
}

/// The last moves, numbered from 0.
#[derive(Debug, Default)]
pub struct Moves {
    last: VecDeque<Moved>,
    /// How many moves there have been.
    count: u64,
    /// How many answers and documents the remembered moves have together.
    items: usize,
}

impl Moves {
    /// Returns how many moves there have been.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a move, and forgets the oldest ones over the limit.
    pub(super) fn push(&mut self, moved: Moved) {
        self.count += 1;
        self.items += moved.count();
        self.last.push_back(moved);
        while self.items > MAX_ITEMS || self.last.len() > MAX_ITEMS {
            let Some(oldest) = self.last.pop_front() else {
                return;
            };
            self.items -= oldest.count();
        }
    }

    /// Returns the moves after the first `seen` ones; none if some of them are forgotten.
    pub fn since(&self, seen: u64) -> Option<impl Iterator<Item = &Moved> + Clone> {
        let missed = usize::try_from(self.count.saturating_sub(seen)).ok()?;
        let known = self.last.len().checked_sub(missed)?;
        Some(self.last.iter().skip(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> DomainLabel {
        DomainLabel::new(text).expect("a label")
    }

    fn manifests(texts: &[(&str, &'static str)]) -> BTreeMap<DomainLabel, Bytes> {
        let texts = texts.iter();
        texts
            .map(|(domain, text)| (label(domain), Bytes::from_static(text.as_bytes())))
            .collect()
    }

    fn of(count: usize) -> Moved {
        Moved {
            answers: (0..).map(AnswerId).take(count).collect(),
            ..Moved::default()
        }
    }

    #[test]
    fn a_manifest_moves_when_it_comes_goes_or_says_something_else() {
        let before = manifests(&[("isp-a", "1"), ("isp-b", "1"), ("isp-c", "1")]);
        let moved = |after: &[(&str, &'static str)]| {
            let moved = Moved::between(&before, &manifests(after));
            let names: Vec<String> = moved.documents.iter().map(|d| d.to_string()).collect();
            (names.join(" "), moved.is_another_list)
        };
        let same = [("isp-a", "1"), ("isp-b", "1"), ("isp-c", "1")];
        assert_eq!(moved(&same), (String::new(), false));
        let other = [("isp-a", "1"), ("isp-b", "2"), ("isp-c", "1")];
        assert_eq!(moved(&other), ("isp-b".to_owned(), false));
        let gone = [("isp-a", "1"), ("isp-c", "1")];
        assert_eq!(moved(&gone), ("isp-b".to_owned(), true));
        let came = [same[0], same[1], same[2], ("isp-d", "1")];
        assert_eq!(moved(&came), ("isp-d".to_owned(), true));
    }

    #[test]
    fn who_has_seen_some_moves_is_given_the_others_while_they_are_remembered() {
        let mut moves = Moves::default();
        let since = |moves: &Moves, seen| -> Option<Vec<usize>> {
            Some(moves.since(seen)?.map(Moved::count).collect())
        };
        assert_eq!(since(&moves, 0), Some(Vec::new()));
        for count in 1..=3 {
            moves.push(of(count));
        }
        assert_eq!(moves.count(), 3);
        assert_eq!(since(&moves, 3), Some(Vec::new()));
        assert_eq!(since(&moves, 1), Some(vec![2, 3]));
        moves.push(of(MAX_ITEMS - 3));
        assert_eq!(since(&moves, 1), None);
        assert_eq!(since(&moves, 2), Some(vec![3, MAX_ITEMS - 3]));
        moves.push(of(MAX_ITEMS + 1));
        assert_eq!(since(&moves, 4), None);
        assert_eq!(since(&moves, 5), Some(Vec::new()));
    }
}
