//! Counts what was refused of peers, by reason.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::runtime::lock;

use super::import_error::ImportError;

/// How often something from a peer was refused since the start, by reason.
#[derive(Debug)]
pub(super) struct Rejections(Mutex<BTreeMap<&'static str, u64>>);

impl Rejections {
    /// The reasons that are counted.
    const REASONS: &'static [&'static str] = &[
        "broken",
        "change",
        "clock",
        "content",
        "digest",
        "equivocation",
        "form",
        "held",
        "key",
        "lagging",
        "limit",
        "limit-exceeded",
        "loop",
        "media-type",
        "merged",
        "mismatch",
        "old-serial",
        "path",
        "peer",
        "room",
        "scope",
        "signature",
    ];

    /// Starts all counters at 0.
    pub(super) fn new() -> Self {
        let none = Self::REASONS.iter().map(|reason| (*reason, 0));
        Self(Mutex::new(none.collect()))
    }

    pub(super) fn count(&self, refusal: &ImportError) {
        if let Some(reason) = refusal.rejection() {
            *self.lock().entry(reason).or_default() += 1;
        }
    }

    pub(super) fn now(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::PeerError;
    use crate::federation::manifest::JwsError;
    use crate::federation::testing::{at, label};
    use crate::store::StoreError;

    #[test]
    fn what_came_and_was_refused_is_counted_by_a_reason_known_before() {
        let text = || "why".to_owned();
        let body = |limit| {
            ImportError::Client(PeerError::Body {
                url: text(),
                reason: text(),
                limit,
            })
        };
        let media_type = PeerError::MediaType {
            url: text(),
            wanted: text(),
            found: text(),
        };
        let old = ImportError::OldSerial {
            serial: 1,
            highest: 2,
        };
        let refusals = [
            (ImportError::Loop(label("isp-a")), "loop"),
            (ImportError::Path(text()), "path"),
            (ImportError::Form(text()), "form"),
            (ImportError::Mismatch(text()), "mismatch"),
            (ImportError::Signature(JwsError::Form), "signature"),
            (ImportError::Key(text()), "key"),
            (ImportError::Held(text()), "held"),
            (ImportError::Change(text()), "change"),
            (
                ImportError::Clock {
                    text: text(),
                    until: at(0),
                },
                "clock",
            ),
            (ImportError::Scope(label("isp-a")), "scope"),
            (old, "old-serial"),
            (ImportError::Equivocation(1), "equivocation"),
            (ImportError::Limit(text()), "limit"),
            (ImportError::Digest(text()), "digest"),
            (ImportError::Content(text()), "content"),
            (ImportError::Lagging(text()), "lagging"),
            (ImportError::Merged(text()), "merged"),
            (ImportError::Peer(text()), "peer"),
            (StoreError::NoRoom { free: 1, needed: 2 }.into(), "room"),
            (media_type.into(), "media-type"),
            (body(true), "limit-exceeded"),
            (body(false), "broken"),
        ];
        let rejections = Rejections::new();
        let before = rejections.now();
        for (refusal, reason) in &refusals {
            assert_eq!(before.get(reason), Some(&0), "{reason}");
            rejections.count(refusal);
            assert_eq!(rejections.now()[reason], 1, "{reason}");
        }
        assert!(rejections.now().values().all(|count| *count == 1));
        rejections.count(&ImportError::Expired {
            text: text(),
            since: at(0),
        });
        assert_eq!(rejections.now()["clock"], 2, "its end is a time too");
    }

    #[test]
    fn that_nothing_came_and_that_we_failed_is_no_rejection() {
        let rejections = Rejections::new();
        let before = rejections.now();
        for refusal in [
            ImportError::Client(PeerError::Timeout {
                url: String::new(),
                limit: std::time::Duration::from_secs(1),
            }),
            ImportError::Client(PeerError::Status {
                url: String::new(),
                status: 401,
                retry_after: None,
            }),
            ImportError::Store(StoreError::Closed),
            ImportError::Defect("a panic".to_owned()),
        ] {
            rejections.count(&refusal);
        }
        assert_eq!(rejections.now(), before);
    }
}
