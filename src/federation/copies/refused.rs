//! What is refused of a peer, and how long the same is refused again.

use jiff::Timestamp;

use crate::api::s2s::Reason;
use crate::federation::import_error::{ImportError, Lasts};
use crate::ident::{Digest, DomainLabel};

/// A failed attempt: why it failed.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Failure {
    pub(in crate::federation) reason: Reason,
    pub(in crate::federation) kind: FailureKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum FailureKind {
    /// The peer could not be reached, so that our copies age.
    Away,
    /// The peer answered with something that is refused.
    Wrong,
    /// The operator has to decide.
    Held,
}

/// The refusal of a peer's version of a domain.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Refused {
    pub(in crate::federation) path: Vec<DomainLabel>,
    pub(in crate::federation) failure: Failure,
    /// The digest of the entry that the peer passes on; `None` if the refusal is not about an
    /// entry.
    pub(in crate::federation) entry: Option<Digest>,
    pub(in crate::federation) lasts: Lasts,
}

/// How many domains of a refused path are remembered, since a path that is too long can have any
/// number.
const MAX_PATH: usize = 16;

impl Failure {
    pub(in crate::federation) fn of(refusal: &ImportError) -> Self {
        let kind = match refusal {
            ImportError::Held(_) | ImportError::Change(_) => FailureKind::Held,
            refusal if refusal.is_absence() => FailureKind::Away,
            _ => FailureKind::Wrong,
        };
        Self {
            reason: refusal.reason(),
            kind,
        }
    }
}

impl Refused {
    pub(in crate::federation) fn of(
        refusal: &ImportError,
        path: &[DomainLabel],
        entry: Option<Digest>,
    ) -> Self {
        Self {
            path: path.iter().take(MAX_PATH).cloned().collect(),
            failure: Failure::of(refusal),
            entry,
            lasts: refusal.lasts(),
        }
    }

    /// Whether this entry is known to be refused still.
    pub(in crate::federation) fn covers(&self, entry: &Digest, now: Timestamp) -> bool {
        self.entry.as_ref() == Some(entry) && self.lasts.holds(now)
    }

    /// Whether this entry was refused and there is no reason to expect another outcome yet: it
    /// is not news, although another look may take it.
    pub(in crate::federation) fn is_known(&self, entry: &Digest, now: Timestamp) -> bool {
        let is_due = self.lasts != Lasts::Not && !self.lasts.holds(now);
        self.entry.as_ref() == Some(entry) && !is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::testing::{at, label};

    #[test]
    fn what_the_clock_refuses_is_refused_until_the_clock_says_otherwise() {
        let ahead = ImportError::Clock {
            text: String::new(),
            until: at(1),
        };
        let over = ImportError::Expired {
            text: String::new(),
            since: at(1),
        };
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let ahead = Refused::of(&ahead, &[], Some(one));
        assert!(ahead.covers(&one, at(0)) && !ahead.covers(&other, at(0)));
        assert!(!ahead.covers(&one, at(1)));
        let over = Refused::of(&over, &[], Some(one));
        assert!(over.covers(&one, at(1)) && over.covers(&one, at(9)));
        assert!(!over.covers(&one, at(0)), "the date was set back");
    }

    #[test]
    fn only_the_entry_that_was_refused_is_known() {
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let limit = Refused::of(&ImportError::Limit(String::new()), &[], Some(one));
        assert!(limit.is_known(&one, at(0)) && !limit.is_known(&other, at(0)));
        let ahead = ImportError::Clock {
            text: String::new(),
            until: at(1),
        };
        let ahead = Refused::of(&ahead, &[], Some(one));
        assert!(ahead.is_known(&one, at(0)) && !ahead.is_known(&one, at(1)));
    }

    #[test]
    fn what_a_peer_writes_is_cut() {
        let path: Vec<DomainLabel> = (0..1_000).map(|n| label(&format!("isp-{n}"))).collect();
        let long = ImportError::Form("é".repeat(100_000));
        let refused = Refused::of(&long, &path, None);
        assert_eq!(refused.path, path[..MAX_PATH]);
        assert!(refused.failure.reason.detail.len() < 2_100);
    }

    #[test]
    fn what_may_be_mended_without_another_manifest_is_looked_at_again() {
        let one = Digest::of(b"1");
        let holds =
            |refusal: &ImportError| Refused::of(refusal, &[], Some(one)).covers(&one, at(0));
        let text = || "why".to_owned();
        assert!(holds(&ImportError::Path(text())) && holds(&ImportError::Key(text())));
        assert!(holds(&ImportError::Limit(text())) && holds(&ImportError::Content(text())));
        assert!(holds(&ImportError::Full(text())), "until there is room");
        assert!(!holds(&ImportError::Digest(text())) && !holds(&ImportError::Lagging(text())));
        assert!(!holds(&ImportError::Defect(text())) && !holds(&ImportError::Peer(text())));
        let nothing = Refused::of(&ImportError::Content(text()), &[], None);
        assert!(!nothing.covers(&one, at(0)));
    }
}
