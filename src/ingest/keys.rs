//! Idempotency keys: a repeated request within a day gets the first answer.
//!
//! Each principal has a share of keys. One that has used up its share gets no further key until
//! its oldest expires; the others are not affected.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ident::{Digest, SourceName};

use super::key::IdempotencyKey;
use super::write::Outcome;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many expired answers are removed with each that is kept: more than one, so that all are in
/// time, and few enough for a change of rows without a revision.
const FORGOTTEN_AT_ONCE: usize = 16;

/// The largest answer that is kept whole, in bytes of its row. A hundred thousand of them take
/// 100 MB.
const MAX_ANSWER: usize = 1024;

/// An answer as it is kept in memory and in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    /// The digest of the request, in hex.
    request: String,
    /// When the answer was given.
    time: Timestamp,
    /// The answer.
    answer: Outcome,
    /// The principal whose share it counts towards; an earlier release kept answers without one.
    #[serde(default)]
    principal: Option<SourceName>,
}

/// The answers that were given within the last day.
#[derive(Default)]
pub(super) struct Keys {
    answers: HashMap<Digest, Kept>,
    /// The keys of each principal, the oldest first.
    shares: HashMap<Option<SourceName>, VecDeque<(Timestamp, Digest)>>,
}

/// What is known about a key.
pub(super) enum Known {
    /// Nothing: the request is new.
    New,
    /// The same request was given this answer.
    Answered(Outcome),
    /// The key was given with another request.
    Other,
    /// The share of the principal is used up, for as long as given.
    Full(Duration),
}

/// An answer that is about to be kept: the rows to make durable, and what is remembered after
/// that.
pub(super) struct Keeping {
    /// The changes of the side table.
    pub(super) rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    key: Digest,
    kept: Kept,
    expired: Vec<(Option<SourceName>, usize)>,
}

impl Keys {
    /// Loads the answers from the rows of the side table.
    pub(super) fn load(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let mut loaded: Vec<(Digest, Kept)> = rows
            .into_iter()
            .filter_map(|(key, value)| {
                let key = Digest::from_bytes(key.try_into().ok()?);
                Some((key, serde_json::from_slice(&value).ok()?))
            })
            .collect();
        loaded.sort_by_key(|(_, kept)| kept.time);
        let mut keys = Self::default();
        for (key, kept) in loaded {
            keys.remember(key, kept);
        }
        keys
    }

    /// Looks up a key. `share` is how many keys a principal may use in a day.
    pub(super) fn find(&self, key: &IdempotencyKey, share: usize, now: Timestamp) -> Known {
        match self.answers.get(&key.key) {
            Some(kept) if expired(kept.time, now) => {}
            Some(kept) if kept.request == key.request.to_string() => {
                return Known::Answered(kept.answer.clone());
            }
            Some(_) => return Known::Other,
            None => {}
        }
        let none = VecDeque::new();
        let used = self.shares.get(&Some(key.principal.clone()));
        let used = used.unwrap_or(&none);
        let old = used.partition_point(|(time, _)| expired(*time, now));
        let Some(more) = (used.len() - old).checked_sub(share) else {
            return Known::New;
        };
        // The key whose expiry makes room.
        let end = used.get(old + more);
        Known::Full(end.map_or(KEPT, |(time, _)| until_expired(*time, now)))
    }

    /// Prepares keeping an answer under a key, and removing a few answers that are over a day
    /// old.
    pub(super) fn keeping(
        &self,
        key: &IdempotencyKey,
        answer: &Outcome,
        now: Timestamp,
    ) -> Keeping {
        let kept = Kept {
            request: key.request.to_string(),
            time: now,
            answer: answer.clone(),
            principal: Some(key.principal.clone()),
        };
        let (kept, row) = stored(kept);
        let mut keeping = Keeping {
            rows: Vec::new(),
            key: key.key,
            kept,
            expired: Vec::new(),
        };
        let mut room = FORGOTTEN_AT_ONCE;
        for (principal, used) in &self.shares {
            let old = used.iter().take_while(|(time, _)| expired(*time, now));
            let old: Vec<_> = old.take(room).collect();
            room -= old.len();
            for (time, name) in &old {
                // A key that was given again after its day has a newer answer.
                let kept = self.answers.get(name);
                if *name != key.key && kept.is_some_and(|kept| kept.time == *time) {
                    keeping.rows.push((name.as_bytes().to_vec(), None));
                }
            }
            keeping.expired.push((principal.clone(), old.len()));
        }
        keeping.rows.push((key.key.as_bytes().to_vec(), Some(row)));
        keeping
    }

    /// Remembers an answer whose rows the store has been given, and forgets those that it
    /// removes.
    pub(super) fn keep(&mut self, keeping: Keeping) {
        for (principal, count) in keeping.expired {
            if let Some(used) = self.shares.get_mut(&principal) {
                used.drain(..count);
                if used.is_empty() {
                    self.shares.remove(&principal);
                }
            }
        }
        for (name, value) in &keeping.rows {
            if let (None, Ok(name)) = (value, name.as_slice().try_into()) {
                self.answers.remove(&Digest::from_bytes(name));
            }
        }
        self.remember(keeping.key, keeping.kept);
    }

    fn remember(&mut self, key: Digest, kept: Kept) {
        let used = self.shares.entry(kept.principal.clone()).or_default();
        used.push_back((kept.time, key));
        self.answers.insert(key, kept);
    }
}

/// Returns an answer as it is kept, and its row. If it is too long, its warnings are left out
/// and, if need be, the list of changed documents, which the revision has.
fn stored(mut kept: Kept) -> (Kept, Vec<u8>) {
    let text = |kept: &Kept| serde_json::to_vec(kept).unwrap_or_default();
    let mut row = text(&kept);
    let revision = kept.answer.revision;
    for shorten in [
        |answer: &mut Outcome| answer.warnings.clear(),
        |answer: &mut Outcome| answer.changed.clear(),
    ] {
        if row.len() <= MAX_ANSWER {
            break;
        }
        shorten(&mut kept.answer);
        let note = format!(
            "the first answer was too long to be kept whole; /n2s/v1/revisions/{revision} says \
             what changed"
        );
        kept.answer.warnings = vec![note];
        row = text(&kept);
    }
    (kept, row)
}

fn expired(time: Timestamp, now: Timestamp) -> bool {
    now.duration_since(time) > KEPT.try_into().unwrap_or(jiff::SignedDuration::MAX)
}

fn until_expired(time: Timestamp, now: Timestamp) -> Duration {
    let age = Duration::try_from(now.duration_since(time)).unwrap_or_default();
    KEPT.saturating_sub(age) + Duration::from_secs(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const SHARE: usize = 1_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours)
    }

    fn key_of(principal: &str, text: &str, request: &[u8]) -> IdempotencyKey {
        let principal = SourceName::new(principal).expect("valid");
        IdempotencyKey::new(&principal, text, &[b"put", request])
    }

    fn key(text: &str, request: &[u8]) -> IdempotencyKey {
        key_of("noc", text, request)
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

    /// The stored table.
    type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    fn keep(keys: &mut Keys, rows: &mut Rows, key: &IdempotencyKey, answer: Outcome, hour: i64) {
        let keeping = keys.keeping(key, &answer, at(hour));
        assert!(keeping.rows.len() <= FORGOTTEN_AT_ONCE + 1);
        for (name, value) in keeping.rows.clone() {
            match value {
                Some(value) => rows.insert(name, value),
                None => rows.remove(&name),
            };
        }
        keys.keep(keeping);
    }

    fn answered(keys: &Keys, key: &IdempotencyKey, hour: i64) -> Option<Outcome> {
        match keys.find(key, SHARE, at(hour)) {
            Known::Answered(outcome) => Some(outcome),
            _ => None,
        }
    }

    #[test]
    fn a_repeat_within_a_day_gets_the_first_answer_and_later_none() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        let asked = key("a", b"x");
        assert!(matches!(keys.find(&asked, SHARE, at(0)), Known::New));
        keep(&mut keys, &mut rows, &asked, outcome(7), 0);
        assert_eq!(answered(&keys, &asked, 24), Some(outcome(7)));
        assert!(matches!(keys.find(&asked, SHARE, at(25)), Known::New));
    }

    #[test]
    fn what_was_not_handed_to_the_store_is_not_remembered() {
        let keys = Keys::default();
        let asked = key("a", b"x");
        drop(keys.keeping(&asked, &outcome(7), at(0)));
        assert!(matches!(keys.find(&asked, SHARE, at(0)), Known::New));
    }

    #[test]
    fn a_key_given_with_another_request_or_by_another_caller_is_another_matter() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        keep(&mut keys, &mut rows, &key("a", b"x"), outcome(1), 0);
        let find = |key: &IdempotencyKey| keys.find(key, SHARE, at(1));
        assert!(matches!(find(&key("a", b"y")), Known::Other));
        assert!(matches!(find(&key_of("probe", "a", b"x")), Known::New));
        // Requests of different parts differ, even if these are the same when joined.
        let noc = SourceName::new("noc").expect("valid");
        let shifted = IdempotencyKey::new(&noc, "a", &[b"pu", b"tx"]);
        assert!(matches!(find(&shifted), Known::Other));
    }

    #[test]
    fn an_answer_given_again_outlives_the_first_ones_day() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        for n in 0..150_u8 {
            keep(&mut keys, &mut rows, &key("older", &[n]), outcome(0), 0);
            keep(
                &mut keys,
                &mut rows,
                &key(&format!("k{n}"), b"x"),
                outcome(0),
                0,
            );
        }
        let asked = key("k149", b"x");
        keep(&mut keys, &mut rows, &asked, outcome(1), 30);
        for n in 0..50 {
            keep(
                &mut keys,
                &mut rows,
                &key(&format!("next{n}"), b"x"),
                outcome(2),
                31,
            );
        }
        assert_eq!(answered(&keys, &asked, 32), Some(outcome(1)));
        assert_eq!((keys.answers.len(), rows.len()), (51, 51));
    }

    #[test]
    fn no_more_are_forgotten_at_once_than_the_store_takes_however_many_principals_there_are() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        for n in 0..60 {
            let asked = key_of(&format!("p{}", n % 6), &format!("k{n}"), b"x");
            keep(&mut keys, &mut rows, &asked, outcome(1), 0);
        }
        for n in 0..4 {
            let asked = key(&format!("new{n}"), b"x");
            let keeping = keys.keeping(&asked, &outcome(2), at(25));
            let forgotten = keeping.rows.iter().filter(|(_, value)| value.is_none());
            let due = (60 - n * FORGOTTEN_AT_ONCE).min(FORGOTTEN_AT_ONCE);
            assert_eq!(forgotten.count(), due);
            keep(&mut keys, &mut rows, &asked, outcome(2), 25);
        }
        assert_eq!((keys.answers.len(), rows.len()), (4, 4));
    }

    #[test]
    fn what_is_stored_is_what_is_known_after_a_restart() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        for (n, hour) in [(0_u8, 0), (1, 30), (2, 31)] {
            keep(
                &mut keys,
                &mut rows,
                &key("k", &[n]),
                outcome(u64::from(n)),
                hour,
            );
            keep(
                &mut keys,
                &mut rows,
                &key(&format!("k{n}"), b"x"),
                outcome(9),
                hour,
            );
        }
        let loaded = Keys::load(rows.into_iter().collect());
        assert_eq!(answered(&loaded, &key("k", &[2]), 32), Some(outcome(2)));
        assert_eq!(answered(&loaded, &key("k1", b"x"), 32), Some(outcome(9)));
        let old = loaded.find(&key("k0", b"x"), SHARE, at(32));
        assert!(matches!(old, Known::New), "it is over a day old");
        let used = loaded.find(&key("new", b"x"), 3, at(32));
        assert!(matches!(used, Known::Full(_)), "three of its keys are kept");
    }

    #[test]
    fn what_an_earlier_altofed_kept_is_known_and_is_of_nobodys_share() {
        let asked = key("a", b"x");
        let row = serde_json::json!({
            "request": asked.request.to_string(), "time": at(0), "answer": outcome(7),
        });
        let row = (asked.key.as_bytes().to_vec(), row.to_string().into_bytes());
        let keys = Keys::load(vec![row]);
        assert_eq!(answered(&keys, &asked, 1), Some(outcome(7)));
        assert!(matches!(keys.find(&key("b", b"x"), 1, at(1)), Known::New));
    }

    #[test]
    fn an_answer_that_is_too_long_is_kept_short_and_says_so() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        let mut long = outcome(3);
        long.warnings = vec!["w".repeat(5000)];
        keep(&mut keys, &mut rows, &key("a", b"x"), long.clone(), 0);
        long.changed = (0..500).map(|n| format!("cost-maps/priv:{n}")).collect();
        keep(&mut keys, &mut rows, &key("b", b"x"), long, 0);
        assert!(rows.values().all(|row| row.len() <= MAX_ANSWER));
        let loaded = Keys::load(rows.into_iter().collect());
        for (text, changed) in [("a", 1), ("b", 0)] {
            let kept = answered(&keys, &key(text, b"x"), 1).expect("kept");
            assert_eq!((kept.revision, kept.changed.len()), (3, changed));
            assert!(kept.warnings[0].contains("/n2s/v1/revisions/3"), "{kept:?}");
            // Before and after a restart it is the same answer.
            assert_eq!(answered(&loaded, &key(text, b"x"), 1), Some(kept));
        }
    }

    #[test]
    fn who_has_used_its_share_up_waits_for_its_oldest_key_and_nobody_else_does() {
        let (mut keys, mut rows) = (Keys::default(), Rows::new());
        for hour in 0..5 {
            keep(
                &mut keys,
                &mut rows,
                &key(&format!("k{hour}"), b"x"),
                outcome(0),
                hour,
            );
        }
        let find = |key: &IdempotencyKey, share, hour| keys.find(key, share, at(hour));
        let Known::Full(wait) = find(&key("new", b"x"), 5, 6) else {
            panic!("the share is used up");
        };
        assert_eq!(wait, Duration::from_secs(18 * 3600 + 1));
        // If the share is smaller than what is used, several keys must expire first.
        let Known::Full(wait) = find(&key("new", b"x"), 3, 6) else {
            panic!("the share is used up");
        };
        assert_eq!(wait, Duration::from_secs(20 * 3600 + 1));
        assert!(matches!(find(&key("new", b"x"), 6, 6), Known::New));
        assert!(matches!(
            find(&key_of("probe", "new", b"x"), 0, 6),
            Known::Full(KEPT)
        ));
        assert!(matches!(find(&key("k0", b"x"), 5, 6), Known::Answered(_)));
        assert!(matches!(find(&key("k0", b"y"), 5, 6), Known::Other));
        assert!(matches!(
            find(&key_of("probe", "new", b"x"), 5, 6),
            Known::New
        ));
        assert!(
            matches!(find(&key("new", b"x"), 5, 25), Known::New),
            "the oldest is old"
        );
    }
}
