//! Tests that what is obtained is judged without I/O: the manifest, its documents, and how much
//! they change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::api::s2s::{KeyTrust, ManifestEntry, Scope};
use crate::brake::Hold;
use crate::federation::copies::{Before, DomainCopy, HeldChange, Now};
use crate::federation::judge::{Ruling, Trusted, Verified, change};
use crate::federation::manifest::{
    KeySet, KnownKeys, Mark, MarkName, Marks, Reception, Statement, Via, resources,
};
use crate::federation::settings::{ImportSettings, Limits};
use crate::federation::testing::{at, domain_view_with, label, links};
use crate::federation::{Keyring, SigningKey};
use crate::ident::Digest;
use crate::publish::View;
use crate::runtime::{Clock, ManualClock};

use super::held::wide;

/// The domain `isp-b`, which signs.
struct Origin(Keyring);

impl Origin {
    fn new() -> Self {
        let key = SigningKey::generate().expect("a key");
        Self(Keyring::new(key, Vec::new()))
    }

    /// Returns a manifest of it, as `isp-b` itself passes it on.
    fn says(&self, view: &Arc<View>, serial: u64, now: Timestamp) -> Verified {
        let statement = Statement {
            off_net: &Default::default(),
            domain: &label("isp-b"),
            resources: resources(view),
            interconnects: &links("isp-c"),
            scope: &Scope::Any,
            keys: self.0.documents(now),
        };
        let entry = ManifestEntry {
            domain: label("isp-b"),
            serial,
            path: vec![label("isp-b")],
            manifest: statement.sign(serial, now, self.0.signer(now)).text,
        };
        let reception = Reception {
            own: &label("isp-a"),
            sender: &label("isp-b"),
            max_path: 8,
            max_bytes: 1_000_000,
        };
        let received = reception.read(&entry).expect("sound");
        let shown = self.0.documents(now);
        let known = KnownKeys::default();
        let signer = known.verify(&[], Via::Origin(&shown), &received, now);
        Verified {
            received,
            signer: signer.expect("its own key"),
        }
    }
}

fn documents(view: &Arc<View>) -> BTreeMap<Digest, Bytes> {
    let catalog = view.catalog().iter();
    let bodies = catalog.filter_map(|resource| {
        let (marks, body) = view.rendering(resource)?.finish(usize::MAX);
        Some((marks.digest, Bytes::from(body?)))
    });
    bodies.collect()
}

fn judged(verified: Verified, view: &Arc<View>, former: Option<&DomainCopy>) -> DomainCopy {
    let judged = verified.judge(&documents(view), former, &Limits::default(), at(1));
    judged.expect("sound")
}

#[test]
fn a_manifest_counts_if_its_key_its_date_and_its_serial_do() {
    let (origin, stranger) = (Origin::new(), Origin::new());
    let view = domain_view_with("isp-b", 5.0);
    let said = origin.says(&view, 7, at(0));
    let shown = origin.0.documents(at(0));
    let keys = KnownKeys {
        direct: KeySet::of(&shown).expect("few"),
        ..KnownKeys::default()
    };
    let mut marks = Marks::default();
    let judge = |verified: &Verified, marks: &Marks, now| {
        let trusted = Trusted {
            pins: &[],
            keys: &keys,
            marks,
            now,
        };
        let judged = trusted.judge(Via::Origin(&shown), &verified.received);
        judged.map_or_else(|refusal| refusal.code(), |signer| signer.trust.as_str())
    };
    assert_eq!(judge(&said, &marks, at(0)), KeyTrust::Direct.as_str());
    assert_eq!(judge(&said, &marks, at(-3)), "clock");
    assert_eq!(judge(&said, &marks, at(6)), "expired");
    let other = stranger.says(&view, 7, at(0));
    assert_eq!(judge(&other, &marks, at(0)), "key");
    let newer = Mark {
        highest: origin.says(&view, 8, at(0)).received.mark(),
        by: None,
    };
    let name = MarkName {
        domain: label("isp-b"),
        kid: said.signer.key.kid(),
    };
    marks.insert(name, newer);
    assert_eq!(judge(&said, &marks, at(0)), "old-serial");
}

#[test]
fn a_domain_that_is_only_signed_again_is_the_same_view() {
    let (origin, view) = (Origin::new(), domain_view_with("isp-b", 5.0));
    let first = judged(origin.says(&view, 1, at(0)), &view, None);
    let again = origin.says(&view, 2, at(1));
    assert!(!again.is_of(&first) && again.content() == first.digest);
    let again = again.again(&first);
    assert!(Arc::ptr_eq(&again.view, &first.view));
    assert_eq!((again.serial, &again.digest), (2, &first.digest));
    assert!(origin.says(&view, 2, at(1)).is_of(&again));
}

#[test]
fn why_a_key_is_trusted_and_the_way_are_part_of_what_a_copy_is() {
    let (origin, view) = (Origin::new(), domain_view_with("isp-b", 5.0));
    let copy = judged(origin.says(&view, 1, at(0)), &view, None);
    let mut pinned = origin.says(&view, 1, at(0));
    assert!(pinned.is_of(&copy));
    pinned.signer.trust = KeyTrust::Pinned;
    assert!(!pinned.is_of(&copy));
    let mut relayed = origin.says(&view, 1, at(0));
    relayed.received.path.push(label("isp-d"));
    assert!(!relayed.is_of(&copy));
}

#[test]
fn only_documents_that_changed_are_needed_beside_a_former_copy() {
    let origin = Origin::new();
    let (before, after) = (
        domain_view_with("isp-b", 5.0),
        domain_view_with("isp-b", 6.0),
    );
    let former = judged(origin.says(&before, 1, at(0)), &before, None);
    let mut changed = documents(&after);
    changed.retain(|digest, _| !documents(&before).contains_key(digest));
    let judge = |former| {
        let said = origin.says(&after, 2, at(0));
        said.judge(&changed, former, &Limits::default(), at(1))
    };
    let copy = judge(Some(&former)).expect("the rest is had");
    assert!(Arc::ptr_eq(copy.view.network(), former.view.network()));
    assert_eq!(
        judge(None).expect_err("the rest is not there").code(),
        "digest"
    );
}

/// Returns a copy of a domain with this many PIDs.
fn of_size(pids: u8) -> DomainCopy {
    let said = wide("isp-b", pids, 1.0, 2.0);
    let verified = Origin::new().says(&said.view, u64::from(pids), at(0));
    judged(verified, &said.view, None)
}

fn compared(used: &DomainCopy) -> Before {
    Before {
        used: Arc::new(used.clone()),
        in_use: true,
        reference: None,
        held: None,
    }
}

fn now(clock: &Clock) -> Now {
    Now {
        moment: clock.now(),
        date: clock.wall(),
    }
}

/// Judges the change from a copy of twenty PIDs to one of four.
fn shrunk(clock: &Clock, held: Option<HeldChange>) -> Ruling {
    let before = Before {
        held,
        ..compared(&of_size(20))
    };
    change(&of_size(4), &before, &ImportSettings::default(), now(clock))
}

fn holds(ruling: Ruling) -> (HeldChange, bool) {
    match ruling {
        Ruling::Holds { change, is_news } => (*change, is_news),
        other => panic!("{other:?}"),
    }
}

fn clock() -> (Clock, ManualClock) {
    Clock::manual(at(0))
}

#[test]
fn a_domain_that_grows_passes_and_one_that_loses_most_of_it_is_held() {
    let (clock, _hand) = clock();
    let import = ImportSettings::default();
    let grown = change(&of_size(20), &compared(&of_size(4)), &import, now(&clock));
    assert!(
        matches!(grown, Ruling::Passes { grows: true, .. }),
        "{grown:?}"
    );
    let (held, is_news) = holds(shrunk(&clock, None));
    assert!(is_news && held.serial == 4);
    // The same hold goes on.
    let (_, is_news) = holds(shrunk(&clock, Some(held)));
    assert!(!is_news);
}

#[test]
fn small_steps_are_held_when_they_come_to_a_large_one() {
    let (clock, _hand) = clock();
    let import = ImportSettings::default();
    let (all, most, less) = (of_size(20), of_size(16), of_size(9));
    let step = change(&less, &compared(&most), &import, now(&clock));
    assert!(matches!(step, Ruling::Passes { .. }), "{step:?}");
    let before = Before {
        reference: Some(Arc::new(all)),
        ..compared(&most)
    };
    holds(change(&less, &before, &import, now(&clock)));
}

#[test]
fn what_is_held_passes_when_its_time_is_over_or_it_is_accepted() {
    let (clock, hand) = clock();
    let (held, _) = holds(shrunk(&clock, None));
    let mut accepted = held.clone();
    accepted.held.accept();
    let ruling = shrunk(&clock, Some(accepted));
    assert!(
        matches!(ruling, Ruling::Due { accepted: true }),
        "{ruling:?}"
    );
    let Hold::For(time) = ImportSettings::default().hold else {
        panic!("it is held for a time");
    };
    hand.advance(time - Duration::from_secs(1));
    holds(shrunk(&clock, Some(held.clone())));
    hand.advance(Duration::from_secs(1));
    let ruling = shrunk(&clock, Some(held));
    assert!(
        matches!(ruling, Ruling::Due { accepted: false }),
        "{ruling:?}"
    );
}
