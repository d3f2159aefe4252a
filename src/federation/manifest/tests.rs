//! Tests that what is signed is received, and that nothing else is.

use jiff::{SignedDuration, Timestamp};

use crate::api::interconnect::InterconnectDocument;
use crate::api::s2s::{ManifestEntry, Scope};
use crate::facts::Interconnects;
use crate::federation::import_error::ImportError;
use crate::ident::Digest;

use super::document::{content_digest, interconnects};
use super::key::SigningKey;
use super::received::{Received, Reception};
use super::sign::Compact;
use super::statement::{Statement, next_serial, resources};
use crate::api::interconnect::Relationship;
use crate::federation::Keyring;
use crate::federation::testing::{at, domain_view, label, links};

fn ring() -> Keyring {
    Keyring::new(SigningKey::generate().expect("a key"), Vec::new())
}

/// Returns the entry by which `path` passes on a manifest of `isp-c`.
fn entry(ring: &Keyring, scope: Scope, serial: u64, path: &[&str]) -> ManifestEntry {
    let now = at(0);
    let statement = Statement {
        off_net: &Default::default(),
        domain: &label("isp-c"),
        resources: resources(&domain_view("isp-c")),
        interconnects: &links("isp-d"),
        scope: &scope,
        keys: ring.documents(now),
    };
    let manifest = statement.sign(serial, now, ring.signer(now)).text;
    ManifestEntry {
        domain: label("isp-c"),
        serial,
        path: path.iter().map(|name| label(name)).collect(),
        manifest,
    }
}

fn receive(entry: &ManifestEntry) -> Result<Received, ImportError> {
    let reception = Reception {
        own: &label("isp-a"),
        sender: &label("isp-b"),
        max_path: 3,
        max_bytes: 100_000,
    };
    reception.read(entry)
}

fn code<T>(result: Result<T, ImportError>) -> &'static str {
    result.err().map_or("taken", |refusal| refusal.code())
}

const PATH: [&str; 2] = ["isp-c", "isp-b"];

#[test]
fn what_is_signed_is_what_is_received() {
    let ring = ring();
    let received = receive(&entry(&ring, Scope::Any, 7, &PATH)).expect("sound");
    let key = *ring.signer(at(0)).public();
    assert_eq!(received.verify(&[key]).expect("signed"), key);
    assert_eq!(received.manifest.serial, 7);
    assert_eq!(received.manifest.next_update, at(6));
    let (read, ignored) = interconnects(&received.manifest);
    assert_eq!((read, ignored.len()), (links("isp-d"), 0));
    let view = domain_view("isp-c");
    let resources = &received.manifest.resources;
    let map = &resources[0];
    assert_eq!(map.resource_id.as_str(), "isp-c:networkmap");
    assert_eq!(map.tag, *view.network().tag());
    let rendering = view.rendering(view.catalog().get("networkmap").expect("it"));
    let (_, body) = rendering.expect("a map").finish(usize::MAX);
    let body = body.expect("a body");
    assert_eq!(map.sha_256, Digest::of(&body));
    assert_eq!(map.length, body.len() as u64);
    let gets = view.catalog().iter().filter(|r| r.accepts().is_none());
    assert_eq!(resources.len(), gets.count());
}

#[test]
fn the_serial_never_falls() {
    let hour = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    assert_eq!(next_serial(0, hour), 3_600_000);
    assert_eq!(next_serial(3_600_000, hour), 3_600_001);
    assert_eq!(next_serial(9_000_000, hour), 9_000_001);
    assert_eq!(next_serial(0, Timestamp::MIN), 1);
}

#[test]
fn a_path_that_the_sender_cannot_state_is_refused() {
    let ring = ring();
    let refused = |path: &[&str]| code(receive(&entry(&ring, Scope::Any, 1, path)));
    assert_eq!(refused(&PATH), "taken");
    assert_eq!(refused(&["isp-c", "isp-d", "isp-b"]), "taken");
    assert_eq!(refused(&["isp-c", "isp-a", "isp-b"]), "loop");
    assert_eq!(refused(&["isp-c", "isp-d", "isp-e", "isp-b"]), "path");
    assert_eq!(refused(&["isp-c", "isp-d"]), "path");
    assert_eq!(refused(&["isp-d", "isp-b"]), "path");
    assert_eq!(refused(&["isp-c", "isp-b", "isp-b"]), "path");
    assert_eq!(refused(&[]), "path");
}

#[test]
fn our_own_domain_is_never_taken_from_others() {
    let entry = ManifestEntry {
        domain: label("isp-a"),
        path: vec![label("isp-b")],
        ..entry(&ring(), Scope::Any, 1, &PATH)
    };
    assert_eq!(code(receive(&entry)), "loop");
}

#[test]
fn what_the_peer_says_around_a_manifest_must_be_what_it_says() {
    let good = entry(&ring(), Scope::Any, 5, &PATH);
    let serial = ManifestEntry {
        serial: 6,
        ..good.clone()
    };
    assert_eq!(code(receive(&serial)), "mismatch");
    let domain = ManifestEntry {
        domain: label("isp-d"),
        path: vec![label("isp-d"), label("isp-b")],
        ..good
    };
    assert_eq!(code(receive(&domain)), "mismatch");
}

#[test]
fn a_manifest_too_large_or_with_a_member_twice_is_refused() {
    let ring = ring();
    let mut entry = entry(&ring, Scope::Any, 5, &PATH);
    let payload = br#"{"domain":"isp-c","domain":"isp-c"}"#;
    entry.manifest = Compact::sign(ring.signer(at(0)), payload);
    assert_eq!(code(receive(&entry)), "form");
    entry.manifest = "x".repeat(100_001);
    assert_eq!(code(receive(&entry)), "limit");
}

#[test]
fn who_is_out_of_scope_does_not_take_it() {
    let ring = ring();
    let only = |names: &[&str]| Scope::Only(names.iter().map(|name| label(name)).collect());
    let taken = |scope, path: &[&str]| {
        let received = receive(&entry(&ring, scope, 1, path)).expect("sound");
        code(received.check_scope(&label("isp-a")))
    };
    assert_eq!(taken(only(&["isp-a"]), &PATH), "taken");
    assert_eq!(taken(only(&["isp-e"]), &PATH), "scope");
    assert_eq!(taken(Scope::None, &PATH), "scope");
    assert!(Scope::None.admits(&label("isp-a"), true));
    assert!(!only(&["isp-e"]).admits(&label("isp-a"), true));
}

#[test]
fn only_a_key_that_counts_and_is_stated_verifies() {
    let (ring, other) = (ring(), ring());
    let key = *ring.signer(at(0)).public();
    let stranger = *other.signer(at(0)).public();
    let received = receive(&entry(&ring, Scope::Any, 1, &PATH)).expect("sound");
    assert_eq!(code(received.verify(&[stranger])), "key");
    assert_eq!(code(received.verify(&[])), "key");
    let statement = Statement {
        off_net: &Default::default(),
        domain: &label("isp-c"),
        resources: Vec::new(),
        interconnects: &Interconnects::new(),
        scope: &Scope::Any,
        keys: other.documents(at(0)),
    };
    let manifest = statement.sign(1, at(0), ring.signer(at(0))).text;
    let unstated = ManifestEntry {
        manifest,
        ..entry(&ring, Scope::Any, 1, &PATH)
    };
    let unstated = receive(&unstated).expect("sound");
    assert_eq!(code(unstated.verify(&[key])), "key");
}

#[test]
fn a_clock_that_is_wrong_is_told_from_a_signature_that_is() {
    let received = receive(&entry(&ring(), Scope::Any, 1, &PATH)).expect("sound");
    let second = SignedDuration::from_secs(1);
    assert_eq!(code(received.check_clock(at(-2))), "taken");
    assert_eq!(code(received.check_clock(at(-2) - second)), "clock");
    assert_eq!(code(received.check_clock(at(6) - second)), "taken");
    assert_eq!(code(received.check_clock(at(6))), "expired");
}

#[test]
fn an_old_serial_and_a_second_content_of_one_serial_are_refused() {
    let ring = ring();
    let received = |serial, scope| receive(&entry(&ring, scope, serial, &PATH)).expect("sound");
    let seen = received(5, Scope::Any).mark();
    let check = |received: Received| code(received.check_serial(Some(&seen)));
    assert_eq!(check(received(5, Scope::Any)), "taken");
    assert_eq!(check(received(6, Scope::Any)), "taken");
    assert_eq!(check(received(4, Scope::Any)), "old-serial");
    let other = Scope::Only([label("isp-a")].into());
    assert_eq!(check(received(5, other)), "equivocation");
    assert_eq!(code(received(1, Scope::Any).check_serial(None)), "taken");
}

#[test]
fn signing_again_does_not_change_the_content() {
    let ring = ring();
    let content = |serial| {
        let received = receive(&entry(&ring, Scope::Any, serial, &PATH)).expect("sound");
        content_digest(&received.manifest)
    };
    assert_eq!(content(1), content(2));
    let mut manifest = receive(&entry(&ring, Scope::Any, 1, &PATH))
        .expect("sound")
        .manifest;
    let before = content_digest(&manifest);
    manifest.resources[0].sha_256 = Digest::ZERO;
    assert_ne!(content_digest(&manifest), before);
    let mut manifest = receive(&entry(&ring, Scope::Any, 1, &PATH))
        .expect("sound")
        .manifest;
    manifest.interconnects.clear();
    assert_ne!(content_digest(&manifest), before);
}

#[test]
fn an_interconnect_that_cannot_be_used_is_left_aside_with_the_reason() {
    let ring = ring();
    let received = receive(&entry(&ring, Scope::Any, 1, &PATH)).expect("sound");
    let with = |change: &dyn Fn(&mut InterconnectDocument)| {
        let mut manifest = received.manifest.clone();
        manifest.interconnects.values_mut().for_each(change);
        let (links, ignored) = interconnects(&manifest);
        (links.len(), ignored.len())
    };
    let costing = |metric: &str, cost: f64| {
        with(&|link| {
            link.costs.insert(metric.to_owned(), cost);
        })
    };
    assert_eq!(with(&|_| {}), (1, 0));
    assert_eq!(with(&|link| link.border = "a b".into()), (0, 1));
    assert_eq!(with(&|link| link.peer_domain = "ISP-C".into()), (0, 1));
    assert_eq!(costing("routingcost", -1.0), (0, 1));
    assert_eq!(costing("hopcount", 1.5), (0, 1));
    assert_eq!(costing("colour", -1.0), (1, 0));
    assert_eq!(with(&|link| link.relationship = Relationship::Peer), (1, 0));
}
