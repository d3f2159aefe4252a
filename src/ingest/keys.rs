//! Idempotency keys: a repeated request within a day gets the first answer.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ident::{Digest, Sha256};

use super::ledger::Outcome;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many are kept; requests with further keys are refused until older ones
/// expire.
const MAX_KEYS: usize = 100_000;

/// The key of a request, and a mark of the request it was given with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Of the caller and the key's text.
    pub key: Digest,
    /// Of everything the request asks.
    pub request: Digest,
}

impl IdempotencyKey {
    /// The key `text` of `principal` for a request of these parts.
    pub fn new(principal: &str, text: &str, request: &[&[u8]]) -> Self {
        Self {
            key: digest(&[principal.as_bytes(), text.as_bytes()]),
            request: digest(request),
        }
    }
}

/// A digest of byte strings that tells where each ends.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finish()
}

/// An answer as it is kept in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The digest of the request, in hex.
    request: String,
    /// When it was given.
    time: Timestamp,
    /// The answer.
    pub(super) answer: Outcome,
}

/// The answers of the last day.
#[derive(Default)]
pub(super) struct Keys {
    answers: HashMap<Vec<u8>, Kept>,
    /// The keys by age.
    order: VecDeque<(Timestamp, Vec<u8>)>,
}

/// What is known of a key.
pub(super) enum Known {
    /// Nothing: the request is new.
    New,
    /// The same request was answered so.
    Answered(Outcome),
    /// The key was given with another request.
    Other,
    /// No further keys are taken for now.
    Full,
}

impl Keys {
    /// The answers that the store has.
    pub(super) fn load(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let mut loaded: Vec<(Vec<u8>, Kept)> = rows
            .into_iter()
            .filter_map(|(key, value)| Some((key, serde_json::from_slice(&value).ok()?)))
            .collect();
        loaded.sort_by_key(|(_, kept)| kept.time);
        let order = loaded.iter().map(|(key, kept)| (kept.time, key.clone()));
        Self {
            order: order.collect(),
            answers: loaded.into_iter().collect(),
        }
    }

    /// What is known of a key now.
    pub(super) fn find(&self, key: &IdempotencyKey, now: Timestamp) -> Known {
        match self.answers.get(key.key.as_bytes().as_slice()) {
            Some(kept) if expired(kept.time, now) => Known::New,
            Some(kept) if kept.request == key.request.to_string() => {
                Known::Answered(kept.answer.clone())
            }
            Some(_) => Known::Other,
            None if self.answers.len() >= MAX_KEYS && !self.has_expired(now) => Known::Full,
            None => Known::New,
        }
    }

    /// Keeps an answer, and forgets up to a hundred that are over a day old.
    /// The changes to be made to the stored table are returned.
    pub(super) fn keep(
        &mut self,
        key: &IdempotencyKey,
        answer: &Outcome,
        now: Timestamp,
    ) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut changes = Vec::new();
        while changes.len() < 100 && self.has_expired(now) {
            let Some((time, old)) = self.order.pop_front() else {
                break;
            };
            // A key that was given again after its day has a newer answer.
            if self.answers.get(&old).is_some_and(|kept| kept.time == time) {
                self.answers.remove(&old);
                changes.push((old, None));
            }
        }
        let kept = Kept {
            request: key.request.to_string(),
            time: now,
            answer: answer.clone(),
        };
        let name = key.key.as_bytes().to_vec();
        changes.retain(|(old, _)| *old != name);
        changes.push((name.clone(), Some(stored(&kept))));
        self.order.push_back((now, name.clone()));
        self.answers.insert(name, kept);
        changes
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.order
            .front()
            .is_some_and(|(time, _)| expired(*time, now))
    }
}

/// An answer as the store keeps it. One that is too long for a row of the
/// store is kept without its warnings.
fn stored(kept: &Kept) -> Vec<u8> {
    let text = serde_json::to_vec(kept).unwrap_or_default();
    if text.len() <= crate::store::MAX_VALUE {
        return text;
    }
    let mut short = kept.clone();
    short.answer.warnings.clear();
    serde_json::to_vec(&short).unwrap_or_default()
}

fn expired(time: Timestamp, now: Timestamp) -> bool {
    now.duration_since(time) > KEPT.try_into().unwrap_or(jiff::SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours)
    }

    fn key(text: &str, request: &[u8]) -> IdempotencyKey {
        IdempotencyKey::new("noc", text, &[b"put", request])
    }

    fn outcome(revision: u64) -> Outcome {
        Outcome {
            revision,
            changed: vec!["network-map".into()],
            warnings: Vec::new(),
            created: true,
            tag: None,
        }
    }

    fn answered(keys: &Keys, key: &IdempotencyKey, now: Timestamp) -> Option<Outcome> {
        match keys.find(key, now) {
            Known::Answered(outcome) => Some(outcome),
            _ => None,
        }
    }

    #[test]
    fn a_repeat_within_a_day_gets_the_first_answer_and_later_none() {
        let mut keys = Keys::default();
        let asked = key("a", b"x");
        assert!(matches!(keys.find(&asked, at(0)), Known::New));
        keys.keep(&asked, &outcome(7), at(0));
        assert_eq!(answered(&keys, &asked, at(24)), Some(outcome(7)));
        assert!(matches!(keys.find(&asked, at(25)), Known::New));
    }

    #[test]
    fn a_key_given_with_another_request_or_by_another_caller_is_another_matter() {
        let mut keys = Keys::default();
        keys.keep(&key("a", b"x"), &outcome(1), at(0));
        assert!(matches!(keys.find(&key("a", b"y"), at(1)), Known::Other));
        let other = IdempotencyKey::new("probe", "a", &[b"put", b"x"]);
        assert!(matches!(keys.find(&other, at(1)), Known::New));
        // The parts of a request are told apart, not only their concatenation.
        let shifted = IdempotencyKey::new("noc", "a", &[b"pu", b"tx"]);
        assert!(matches!(keys.find(&shifted, at(1)), Known::Other));
    }

    #[test]
    fn an_answer_given_again_outlives_the_first_ones_day() {
        let mut keys = Keys::default();
        for n in 0..150_u8 {
            keys.keep(&key("older", &[n]), &outcome(0), at(0));
            keys.keep(&key(&format!("k{n}"), b"x"), &outcome(0), at(0));
        }
        let asked = key("k149", b"x");
        keys.keep(&asked, &outcome(1), at(30));
        keys.keep(&key("next", b"x"), &outcome(2), at(31));
        keys.keep(&key("last", b"x"), &outcome(3), at(31));
        assert_eq!(answered(&keys, &asked, at(32)), Some(outcome(1)));
    }

    #[test]
    fn what_is_stored_is_what_is_known_after_a_restart() {
        let mut keys = Keys::default();
        let mut rows = std::collections::BTreeMap::new();
        for (n, hour) in [(0_u8, 0), (1, 30), (2, 31)] {
            for (name, value) in keys.keep(&key("k", &[n]), &outcome(u64::from(n)), at(hour)) {
                match value {
                    Some(value) => rows.insert(name, value),
                    None => rows.remove(&name),
                };
            }
            for (name, value) in keys.keep(&key(&format!("k{n}"), b"x"), &outcome(9), at(hour)) {
                match value {
                    Some(value) => rows.insert(name, value),
                    None => rows.remove(&name),
                };
            }
        }
        let loaded = Keys::load(rows.into_iter().collect());
        assert_eq!(answered(&loaded, &key("k", &[2]), at(32)), Some(outcome(2)));
        assert_eq!(
            answered(&loaded, &key("k1", b"x"), at(32)),
            Some(outcome(9))
        );
        assert!(
            matches!(loaded.find(&key("k0", b"x"), at(32)), Known::New),
            "it is over a day old"
        );
    }

    #[test]
    fn an_answer_too_long_for_a_row_is_kept_without_its_warnings() {
        let mut keys = Keys::default();
        let mut long = outcome(3);
        long.warnings = vec!["w".repeat(5000)];
        let rows = keys.keep(&key("a", b"x"), &long, at(0));
        let (_, value) = rows.into_iter().next_back().expect("one row");
        let value = value.expect("it is set");
        assert!(value.len() <= crate::store::MAX_VALUE);
        let kept: Kept = serde_json::from_slice(&value).expect("our own text");
        assert_eq!((kept.answer.revision, kept.answer.warnings.len()), (3, 0));
    }

    #[test]
    fn no_further_key_is_taken_when_all_places_are_taken() {
        let mut keys = Keys::default();
        for n in 0..MAX_KEYS as u64 {
            keys.answers.insert(
                n.to_be_bytes().to_vec(),
                Kept {
                    request: String::new(),
                    time: at(0),
                    answer: outcome(n),
                },
            );
            keys.order.push_back((at(0), n.to_be_bytes().to_vec()));
        }
        assert!(matches!(keys.find(&key("new", b"x"), at(1)), Known::Full));
        assert!(
            matches!(keys.find(&key("new", b"x"), at(25)), Known::New),
            "the old ones can go"
        );
    }
}
