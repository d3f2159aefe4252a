//! Tests which copy of a domain is used, and for how long.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::s2s::{KeyTrust, PeerState, Scope, SpokenProtocol};
use crate::client::PeerError;
use crate::facts::Interconnects;
use crate::federation::copies::{Copies, Refused};
use crate::federation::manifest::{Signed, Statement, content_digest};
use crate::federation::testing::{at, domain_view, label, peer};
use crate::federation::{DomainCopy, ImportError, Keyring, SignedManifest, Signer, SigningKey};
use crate::ident::DomainLabel;
use crate::runtime::{Clock, ManualClock};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn copies(peers: &[&str]) -> (Copies, ManualClock) {
    let (clock, hand) = Clock::manual(at(0));
    let copies = Copies::new(clock);
    let peer = |name: &&str| Arc::new(peer(name, "https://alto.example/directory"));
    copies.set_peers(peers.iter().map(peer));
    (copies, hand)
}

/// Returns a copy that came along a path. It counts for six hours from `issued`.
pub(in crate::federation) fn copy(path: &[&str], serial: u64, issued: Timestamp) -> DomainCopy {
    let domain = label(path[0]);
    let key = SigningKey::generate().expect("a key");
    let signer = Signer {
        key: *key.public(),
        trust: KeyTrust::Direct,
    };
    let ring = Keyring::new(key, Vec::new());
    let statement = Statement {
        domain: &domain,
        resources: Vec::new(),
        off_net: &Default::default(),
        interconnects: &Interconnects::new(),
        scope: &Scope::Any,
        keys: ring.documents(issued),
    };
    let Signed {
        manifest,
        text,
        fingerprint,
    } = statement.sign(serial, issued, ring.signer(issued));
    DomainCopy {
        amount: Default::default(),
        view: domain_view(path[0]),
        path: path.iter().map(|name| label(name)).collect(),
        serial,
        digest: content_digest(&manifest),
        signed: Some(SignedManifest {
            manifest: Arc::new(manifest),
            text: text.into(),
            fingerprint,
            signer,
        }),
        off_net: Arc::default(),
        interconnects: Arc::default(),
        ours: Arc::default(),
        ignored: Vec::new(),
        rewritten: Vec::new(),
        domain,
    }
}

fn plain(domain: &str, serial: u64) -> DomainCopy {
    DomainCopy {
        signed: None,
        ..copy(&[domain], serial, at(0))
    }
}

fn sync(copies: &Copies, peer: &str) {
    copies.synced(&label(peer), SpokenProtocol::Altofed);
}

/// Returns the sender of the copy of `isp-c` that is used.
fn used(copies: &Copies) -> Option<String> {
    let used = copies.used().borrow().clone();
    let imported = used.get(&label("isp-c"))?;
    Some(imported.sender().to_string())
}

fn state(copies: &Copies, peer: &str) -> (PeerState, Option<String>) {
    let mut status = copies.status().into_iter();
    let peer = status.find(|status| status.domain == label(peer));
    let peer = peer.expect("configured");
    (peer.state, peer.reason.map(|reason| reason.code))
}

fn refuse(copies: &Copies, peer: &DomainLabel, domain: &DomainLabel, refusal: &ImportError) {
    let refused = Refused::of(refusal, &[], None);
    copies.refuse(peer, domain, refused, copies.grounds());
}

fn away() -> ImportError {
    ImportError::Client(PeerError::Transport {
        url: "https://alto.example/".to_owned(),
        reason: "refused".to_owned(),
    })
}

#[test]
fn of_two_copies_the_serial_then_the_path_then_the_label_decides() {
    let (copies, _hand) = copies(&["isp-b", "isp-c", "isp-d"]);
    for peer in ["isp-b", "isp-c", "isp-d"] {
        sync(&copies, peer);
    }
    copies.take(Arc::new(copy(&["isp-c", "isp-d"], 5, at(0))));
    assert_eq!(used(&copies).as_deref(), Some("isp-d"));
    copies.take(Arc::new(copy(&["isp-c", "isp-b"], 5, at(0))));
    assert_eq!(used(&copies).as_deref(), Some("isp-b"), "the smaller label");
    copies.take(Arc::new(copy(&["isp-c"], 5, at(0))));
    assert_eq!(used(&copies).as_deref(), Some("isp-c"), "the shorter path");
    copies.take(Arc::new(copy(&["isp-c", "isp-d"], 6, at(0))));
    assert_eq!(used(&copies).as_deref(), Some("isp-d"), "the higher serial");
    copies.take(Arc::new(plain("isp-c", 7)));
    assert_eq!(used(&copies).as_deref(), Some("isp-d"), "signed over plain");
}

#[test]
fn what_a_domain_says_itself_is_used_before_what_a_relay_vouches_for() {
    let (copies, _hand) = copies(&["isp-b", "isp-c"]);
    sync(&copies, "isp-b");
    sync(&copies, "isp-c");
    let mut vouched = copy(&["isp-c", "isp-b"], 9, at(0));
    if let Some(signed) = &mut vouched.signed {
        signed.signer.trust = KeyTrust::Vouched;
    }
    copies.take(Arc::new(vouched));
    assert_eq!(used(&copies).as_deref(), Some("isp-b"));
    copies.take(Arc::new(plain("isp-c", 1)));
    assert_eq!(used(&copies).as_deref(), Some("isp-c"), "plain");
    copies.take(Arc::new(copy(&["isp-c"], 1, at(0))));
    assert_eq!(used(&copies).as_deref(), Some("isp-c"), "signed");
    copies.retain(&label("isp-c"), |_| false);
    assert_eq!(used(&copies).as_deref(), Some("isp-b"));
}

#[test]
fn what_a_peer_said_last_is_used_becomes_stale_and_expires() {
    let (copies, hand) = copies(&["isp-c"]);
    assert_eq!(state(&copies, "isp-c"), (PeerState::Connecting, None));
    sync(&copies, "isp-c");
    copies.take(Arc::new(plain("isp-c", 1)));
    copies.failed(&label("isp-c"), &away());
    let reason = Some("transport".to_owned());
    assert_eq!(state(&copies, "isp-c"), (PeerState::Failed, reason.clone()));
    assert_eq!(copies.age(), MINUTE / 2);
    hand.advance(10 * MINUTE - MINUTE / 3);
    assert_eq!(copies.age(), MINUTE / 3, "until it becomes stale");
    assert_eq!(state(&copies, "isp-c").0, PeerState::Failed);
    hand.advance(MINUTE / 3);
    copies.age();
    assert_eq!(state(&copies, "isp-c"), (PeerState::Stale, reason.clone()));
    assert_eq!(used(&copies).as_deref(), Some("isp-c"));
    hand.advance(6 * HOUR - 10 * MINUTE);
    copies.age();
    assert_eq!(state(&copies, "isp-c"), (PeerState::Expired, reason));
    assert_eq!(used(&copies), None);
    sync(&copies, "isp-c");
    assert_eq!(state(&copies, "isp-c"), (PeerState::Synced, None));
    assert_eq!(used(&copies).as_deref(), Some("isp-c"));
}

#[test]
fn a_signed_domain_leaves_when_its_origin_is_silent_though_the_relay_speaks() {
    let (copies, hand) = copies(&["isp-b"]);
    sync(&copies, "isp-b");
    copies.take(Arc::new(copy(&["isp-c", "isp-b"], 1, at(0))));
    hand.advance(6 * HOUR - MINUTE / 2);
    sync(&copies, "isp-b");
    assert_eq!(copies.age(), MINUTE / 2);
    assert!(used(&copies).is_some());
    hand.advance(MINUTE / 2);
    sync(&copies, "isp-b");
    copies.age();
    assert_eq!(used(&copies), None);
    let status = &copies.status()[0];
    assert_eq!(status.state, PeerState::Synced);
    assert_eq!(status.domains[0].state, PeerState::Expired);
}

#[test]
fn a_peer_that_answers_wrongly_has_failed_and_one_that_is_held_says_so() {
    let (copies, _hand) = copies(&["isp-b", "isp-c"]);
    let c = label("isp-c");
    copies.failed(&c, &away());
    assert_eq!(state(&copies, "isp-c").0, PeerState::Failed, "never read");
    sync(&copies, "isp-c");
    copies.take(Arc::new(copy(&["isp-c"], 1, at(0))));
    refuse(&copies, &c, &c, &ImportError::Equivocation(1));
    let failed = (PeerState::Failed, Some("equivocation".to_owned()));
    assert_eq!(state(&copies, "isp-c"), failed);
    assert!(used(&copies).is_some(), "the last good is kept");
    refuse(&copies, &c, &c, &ImportError::Held("pin it".to_owned()));
    assert_eq!(state(&copies, "isp-c").0, PeerState::Held);
    copies.confirm(&c, &c);
    assert_eq!(state(&copies, "isp-c"), (PeerState::Synced, None));
    // The refusal of a domain that a peer only relays does not make the peer fail.
    sync(&copies, "isp-b");
    refuse(&copies, &label("isp-b"), &c, &ImportError::Equivocation(1));
    assert_eq!(state(&copies, "isp-b"), (PeerState::Synced, None));
}

#[test]
fn what_a_peer_no_longer_passes_is_gone_and_another_copy_takes_its_place() {
    let (copies, _hand) = copies(&["isp-b", "isp-d"]);
    for peer in ["isp-b", "isp-d"] {
        sync(&copies, peer);
        copies.take(Arc::new(copy(&["isp-c", peer], 1, at(0))));
    }
    assert_eq!(used(&copies).as_deref(), Some("isp-b"));
    assert!(!copies.retain(&label("isp-b"), |_| true));
    assert!(copies.retain(&label("isp-b"), |_| false));
    assert_eq!(used(&copies).as_deref(), Some("isp-d"));
}

#[test]
fn a_relay_passes_a_domain_until_it_is_read_without_it_or_has_expired() {
    let (copies, hand) = copies(&["isp-b", "isp-d"]);
    let (b, c, d) = (label("isp-b"), label("isp-c"), label("isp-d"));
    assert!(copies.passes(&b, &c), "it was not read yet");
    assert!(!copies.passes(&label("isp-x"), &c), "it is no peer");
    hand.advance(MINUTE);
    copies.restore(&b, at(0), SpokenProtocol::Altofed);
    assert!(copies.passes(&b, &c), "it may still be restored");
    sync(&copies, "isp-b");
    assert!(!copies.passes(&b, &c), "it was read without it");
    let refused = Refused::of(&ImportError::Held("pin it".to_owned()), &[], None);
    copies.refuse(&b, &c, refused, copies.grounds());
    assert!(copies.passes(&b, &c), "it is held");
    assert_eq!(copies.held().len(), 1);
    hand.advance(6 * HOUR);
    assert!(!copies.passes(&b, &c), "that was long ago");
    sync(&copies, "isp-d");
    copies.take(Arc::new(copy(&["isp-c", "isp-d"], 1, at(1))));
    assert!(copies.passes(&d, &c));
    hand.advance(HOUR);
    sync(&copies, "isp-d");
    assert!(!copies.passes(&d, &c), "its origin signs no more");
    copies.retain(&b, |_| false);
    assert!(copies.held().is_empty());
}

#[test]
fn nobody_is_told_of_what_did_not_change() {
    let (copies, hand) = copies(&["isp-b"]);
    sync(&copies, "isp-b");
    copies.take(Arc::new(copy(&["isp-c", "isp-b"], 1, at(0))));
    let mut used = copies.used();
    used.mark_unchanged();
    hand.advance(MINUTE);
    sync(&copies, "isp-b");
    copies.failed(&label("isp-b"), &away());
    copies.age();
    assert!(!used.has_changed().expect("open"));
    hand.advance(10 * MINUTE);
    copies.age();
    assert!(!used.has_changed().expect("open"), "it is stale, and used");
    hand.advance(6 * HOUR);
    copies.age();
    assert!(used.has_changed().expect("open"), "it has expired");
}

#[test]
fn that_the_copies_of_a_failed_peer_become_stale_is_a_change() {
    let (copies, hand) = copies(&["isp-c"]);
    sync(&copies, "isp-c");
    copies.take(Arc::new(copy(&["isp-c"], 1, at(0))));
    let wrong = ImportError::Peer("it is another".to_owned());
    copies.failed(&label("isp-c"), &wrong);
    copies.age();
    let shown = || {
        let status = &copies.status()[0];
        (status.state, status.domains[0].state)
    };
    assert_eq!(shown(), (PeerState::Failed, PeerState::Failed));
    let mut changes = copies.changes();
    changes.mark_unchanged();
    hand.advance(10 * MINUTE);
    copies.age();
    assert_eq!(shown(), (PeerState::Failed, PeerState::Stale));
    assert!(changes.has_changed().expect("open"));
    changes.mark_unchanged();
    copies.age();
    assert!(!changes.has_changed().expect("open"));
}

#[test]
fn the_age_goes_on_over_a_restart() {
    let (copies, hand) = copies(&["isp-c"]);
    hand.advance(HOUR);
    copies.restore(&label("isp-c"), at(0), SpokenProtocol::Alto);
    copies.take(Arc::new(plain("isp-c", 1)));
    assert_eq!(state(&copies, "isp-c").0, PeerState::Stale);
    let status = copies.status();
    assert_eq!(status[0].domains[0].age_seconds, Some(3600));
    hand.advance(5 * HOUR);
    copies.age();
    assert_eq!(used(&copies), None);
}

#[test]
fn peers_that_are_no_longer_configured_are_gone_with_what_they_passed() {
    let (copies, _hand) = copies(&["isp-b", "isp-d"]);
    sync(&copies, "isp-b");
    copies.take(Arc::new(copy(&["isp-c", "isp-b"], 1, at(0))));
    copies.set_peers([]);
    assert_eq!(used(&copies), None);
    copies.take(Arc::new(copy(&["isp-c", "isp-b"], 2, at(0))));
    assert!(copies.status().is_empty() && used(&copies).is_none());
}

#[test]
fn a_domain_that_is_shown_as_expired_is_never_shown_as_used() {
    let (copies, hand) = copies(&["isp-c"]);
    copies.take(Arc::new(copy(&["isp-c"], 1, at(0))));
    sync(&copies, "isp-c");
    let shown = || {
        let domain = copies.status()[0].domains[0].clone();
        (domain.state, domain.used)
    };
    assert_eq!(shown(), (PeerState::Synced, true));
    // Nothing has examined the ages since.
    hand.advance(HOUR * 6);
    assert_eq!(shown(), (PeerState::Expired, false));
}
