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
            let Some((_, old)) = self.order.pop_front() else {
                break;
            };
            self.answers.remove(&old);
            changes.push((old, None));
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
