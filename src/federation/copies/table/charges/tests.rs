//! Tests that what is here is charged, and that what is over a budget is taken as soon as there
//! is room.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::federation::testing::{amount, amounts, at, label, peer};
use crate::federation::tests::copies::copy;
use crate::ident::Digest;
use crate::runtime::Clock;

use super::*;

const PEERS: [&str; 3] = ["isp-b", "isp-c", "isp-d"];
const DOMAINS: [&str; 5] = ["isp-a", "isp-b", "isp-c", "isp-d", "isp-e"];

/// A version of a domain that one peer passes on, and what it takes.
#[derive(Debug, Clone, Copy)]
struct Version {
    peer: usize,
    domain: usize,
    serial: u64,
    takes: Amount,
}

impl Version {
    fn copy(self) -> DomainCopy {
        let (sender, domain) = (PEERS[self.peer], DOMAINS[self.domain]);
        let mut path = vec![domain];
        path.extend((sender != domain).then_some(sender));
        DomainCopy {
            amount: self.takes,
            ..copy(&path, self.serial, at(0))
        }
    }

    fn offer<'c>(
        &self,
        copies: &'c Copies,
        copy: &DomainCopy,
    ) -> Result<Reserved<'c>, ImportError> {
        copies.offer(copy.sender(), &copy.domain, &copy.digest, copy.amount)
    }
}

fn version() -> impl Strategy<Value = Version> {
    let of = (0..PEERS.len(), 0..DOMAINS.len(), 0..9u64);
    (of, amounts(12)).prop_map(|((peer, domain, serial), takes)| Version {
        peer,
        domain,
        serial,
        takes,
    })
}

/// A step of the test.
#[derive(Debug, Clone)]
enum Event {
    /// A version is offered, and taken or given up at some later time.
    Offer(Version),
    Take(usize),
    GiveUp(usize),
    /// A version is refused for another reason.
    Refuse(usize, usize),
    Retain(usize, usize),
    Drop(usize),
    Budget(Amount),
}

fn event() -> impl Strategy<Value = Event> {
    let (peer, domain) = (0..PEERS.len(), 0..DOMAINS.len());
    prop_oneof![
        6 => version().prop_map(Event::Offer),
        5 => any::<usize>().prop_map(Event::Take),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => (peer.clone(), domain.clone()).prop_map(|(peer, domain)| Event::Refuse(peer, domain)),
        1 => (peer, domain.clone()).prop_map(|(peer, domain)| Event::Retain(peer, domain)),
        1 => domain.prop_map(Event::Drop),
        1 => amounts(50).prop_map(Event::Budget),
    ]
}

/// Returns the copies of peers that have these budgets.
fn copies(each: Amount, all: Amount) -> Copies {
    let (clock, _) = Clock::manual(at(0));
    let copies = Copies::new(clock);
    copies.set_budget(all);
    copies.set_peers(PEERS.map(|name| {
        let mut peer = peer(name, "https://alto.example/");
        (peer.import.max_memory, peer.import.max_disk) = (each.memory, each.disk);
        Arc::new(peer)
    }));
    copies
}

/// Returns the versions that are here.
fn had(copies: &Copies) -> BTreeMap<(DomainLabel, DomainLabel), u64> {
    let peers = copies.lock();
    let of = |(sender, peer): (&DomainLabel, &Peer)| {
        let copies = peer.copies.iter();
        let named = copies.map(|(domain, copy)| ((sender.clone(), domain.clone()), copy.serial));
        named.collect::<Vec<_>>()
    };
    peers.iter().flat_map(of).collect()
}

/// Checks that the sums are those of what is here, and that nothing that was over a budget waits
/// while there is room for it.
fn check_all(copies: &Copies) -> Result<(), TestCaseError> {
    let peers = copies.lock();
    let asked = lock(&copies.again);
    for (sender, peer) in &*peers {
        let sum = peer.had().map(|claim| claim.takes);
        prop_assert_eq!(
            peer.copies.takes(),
            sum.fold(Amount::default(), Amount::plus)
        );
        for (domain, over) in &peer.over {
            if over.fits {
                prop_assert!(asked.contains(sender))
            } else {
                prop_assert!(copies.check(&peers, sender, domain, over.takes).is_err());
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_copy_is_dropped_only_if_what_is_there_is_over(
        events in proptest::collection::vec(event(), 1..60),
        each in amounts(40), all in amounts(60),
    ) {
        let copies = copies(each, all);
        let mut offered = Vec::new();
        for event in events {
            match event {
                Event::Offer(version) => {
                    let copy = version.copy();
                    let before = had(&copies);
                    match version.offer(&copies, &copy) {
                        Ok(room) => offered.push((room, copy)),
                        Err(refusal) => {
                            let refused = Refused::of(&refusal, &[], Some(Digest::of(b"it")));
                            let grounds = copies.grounds();
                            copies.refuse(copy.sender(), &copy.domain, refused, grounds);
                        }
                    }
                    prop_assert_eq!(had(&copies), before, "the last good stays");
                }
                Event::Take(which) if !offered.is_empty() => {
                    let (_room, copy) = offered.swap_remove(which % offered.len());
                    copies.take(Arc::new(copy));
                }
                Event::GiveUp(which) if !offered.is_empty() => {
                    offered.swap_remove(which % offered.len());
                }
                Event::Take(_) | Event::GiveUp(_) => {}
                Event::Refuse(peer, domain) => {
                    let refused = Refused::of(&ImportError::Content("no".to_owned()), &[], None);
                    let (peer, domain) = (label(PEERS[peer]), label(DOMAINS[domain]));
                    copies.refuse(&peer, &domain, refused, copies.grounds());
                    prop_assert!(!copies.lock()[&peer].over.contains_key(&domain));
                }
                Event::Retain(peer, domain) => {
                    let kept = label(DOMAINS[domain]);
                    copies.retain(&label(PEERS[peer]), |domain| *domain == kept);
                }
                Event::Drop(domain) => {
                    let gone = label(DOMAINS[domain]);
                    copies.drop_where(|copy| copy.domain == gone);
                }
                Event::Budget(all) => copies.set_budget(all),
            }
            check_all(&copies)?;
            let before = had(&copies);
            let is_within = copies.is_within(&copies.lock());
            let is_less = copies.enforce();
            prop_assert_eq!(is_less, !is_within);
            prop_assert_eq!(had(&copies) != before, is_less);
            prop_assert!(copies.is_within(&copies.lock()));
            check_all(&copies)?;
        }
    }

    /// The same domains are here in the end, whatever their order: those that fit beside what
    /// goes before them.
    #[test]
    fn what_is_had_does_not_depend_on_what_came_first(
        versions in proptest::collection::btree_map(
            (0..PEERS.len(), 0..DOMAINS.len()), amounts(12), 1..12,
        ),
        seed in any::<u64>(),
        each in amounts(40), all in amounts(60),
    ) {
        let copies = copies(each, all);
        let mut versions: Vec<_> = versions.into_iter().map(|((peer, domain), takes)| {
            Version { peer, domain, serial: 1, takes }
        }).collect();
        let mut state = seed | 1;
        for place in (1..versions.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            versions.swap(place, (state >> 33) as usize % (place + 1));
        }
        let all_copies: Vec<DomainCopy> = versions.iter().map(|version| version.copy()).collect();
        let claims = all_copies.iter().map(|copy| Claim {
            sender: copy.sender(),
            domain: &copy.domain,
            takes: copy.amount,
        });
        let over = over(claims, |_| each, all);
        let is_over = |copy: &DomainCopy| {
            let of = |(claim, _): &(Claim<'_>, Over)| {
                claim.sender == copy.sender() && *claim.domain == copy.domain
            };
            over.iter().any(of)
        };
        let wanted = all_copies.iter().filter(|copy| !is_over(copy));
        let wanted: BTreeMap<_, _> = wanted
            .map(|copy| ((copy.sender().clone(), copy.domain.clone()), 1))
            .collect();
        // First each of them, then those of the peers that are asked again.
        let mut due: Vec<(Version, DomainCopy)> = versions.into_iter().zip(all_copies.clone()).collect();
        let mut rounds = 0;
        while !due.is_empty() {
            for (version, copy) in due.drain(..) {
                if let Ok(_room) = version.offer(&copies, &copy) {
                    copies.take(Arc::new(copy));
                    copies.enforce();
                }
            }
            lock(&copies.again).clear();
            let peers = copies.lock();
            due = all_copies.iter().filter_map(|copy| {
                let peer = &peers[copy.sender()];
                let fits = peer.over.get(&copy.domain)?.fits;
                let number = |names: &[&str], name: &DomainLabel| {
                    names.iter().position(|it| *it == name.to_string())
                };
                let version = Version {
                    peer: number(&PEERS, copy.sender())?,
                    domain: number(&DOMAINS, &copy.domain)?,
                    serial: 1,
                    takes: copy.amount,
                };
                fits.then(|| (version, copy.clone()))
            }).collect();
            rounds += 1;
            prop_assert!(rounds <= 12, "it goes on and on");
        }
        prop_assert_eq!(had(&copies), wanted);
    }
}

#[test]
fn of_two_offers_at_a_time_only_what_fits_beside_the_other_is_taken() {
    let copies = copies(amount(100, 100), amount(13, 100));
    let of = |peer: usize, serial, memory| Version {
        peer,
        domain: peer + 1,
        serial,
        takes: amount(memory, 1),
    };
    for peer in [0, 1] {
        let version = of(peer, 1, 4);
        let copy = version.copy();
        let _room = version.offer(&copies, &copy).expect("room");
        copies.take(Arc::new(copy));
    }
    let (first, second) = (of(0, 2, 8), of(1, 2, 8));
    let (first_copy, second_copy) = (first.copy(), second.copy());
    let room = first.offer(&copies, &first_copy).expect("room");
    let refused = second.offer(&copies, &second_copy);
    assert_eq!(refused.expect_err("no room").code(), "limit");
    copies.take(Arc::new(first_copy));
    drop(room);
    assert!(!copies.enforce());
    assert_eq!(had(&copies).values().copied().collect::<Vec<_>>(), [2, 1]);
    assert!(lock(&copies.again).is_empty());
}

#[test]
fn what_is_over_is_asked_for_again_when_the_room_is_given_up_that_it_lacked() {
    let copies = copies(amount(100, 100), amount(10, 100));
    let (b, d) = (
        Version {
            peer: 0,
            domain: 1,
            serial: 1,
            takes: amount(8, 1),
        },
        Version {
            peer: 2,
            domain: 3,
            serial: 1,
            takes: amount(4, 1),
        },
    );
    let room = b.offer(&copies, &b.copy()).expect("room");
    let copy = d.copy();
    let refusal = d.offer(&copies, &copy).expect_err("no room");
    assert_eq!(
        copies
            .check_over(copy.sender(), &copy.domain, &copy.digest)
            .map_err(|e| e.code()),
        Err("limit")
    );
    assert!(!copies.has_due(copy.sender()));
    // A refusal that is noted only afterwards is known to be out of date.
    drop(room);
    assert!(copies.has_due(copy.sender()));
    assert_eq!(
        *lock(&copies.again),
        BTreeSet::from([copy.sender().clone()])
    );
    let entry = Digest::of(b"entry");
    let refused = Refused::of(&refusal, &[], Some(entry));
    copies.refuse(copy.sender(), &copy.domain, refused, copies.grounds());
    let refused = copies.refused(copy.sender(), &copy.domain);
    assert_eq!(refused.map(|refused| refused.lasts), Some(Lasts::Not));
    let _room = d.offer(&copies, &copy).expect("room");
    assert!(!copies.has_due(copy.sender()));
}

#[test]
fn what_is_kept_to_compare_with_is_charged_and_given_up_before_anything_is_refused_for_it() {
    let copies = copies(amount(20, 100), amount(100, 100));
    let takes = |copies: &Copies| copies.lock()[&label("isp-b")].copies.takes().memory;
    let version = |domain, serial, memory| Version {
        peer: 0,
        domain,
        serial,
        takes: amount(memory, 1),
    };
    let take = |version: Version| {
        let copy = version.copy();
        let room = version.offer(&copies, &copy);
        room.map(|_room| copies.take(Arc::new(copy)))
    };
    take(version(1, 1, 5)).expect("room");
    let change = |serial| {
        let copy = version(1, serial, 5).copy();
        let used = copies.copy(copy.sender(), &copy.domain).expect("it is had");
        copies.changes_from(used, &copy, 4);
        copies.take(Arc::new(copy));
    };
    change(2);
    assert_eq!(takes(&copies), 9);
    // The earlier copy is given up for what would not fit beside it, and only for that.
    take(version(2, 1, 11)).expect("room");
    assert_eq!(takes(&copies), 20);
    take(version(3, 1, 4)).expect("room");
    assert_eq!(takes(&copies), 20);
    let is_kept = || lock(&copies.references).get(&label("isp-b")).is_some();
    assert!(!is_kept());
    // There is no room for the earlier copy from the start.
    change(3);
    assert!(!is_kept() && takes(&copies) == 20);
    // The earlier copy goes with its domain, and when its time is over.
    copies.retain(&label("isp-b"), |domain| *domain == label("isp-b"));
    change(4);
    assert!(is_kept() && takes(&copies) == 9);
    copies.accept_as_it_is(&label("isp-b"));
    assert!(!is_kept() && takes(&copies) == 5);
    change(5);
    copies.retain(&label("isp-b"), |_| false);
    assert_eq!(takes(&copies), 0);
}

/// Takes a version of a peer's domain, and then a change of it that an earlier copy of `kept`
/// bytes is kept to be compared with.
fn take_and_change(copies: &Copies, peer: usize, memory: u64, kept: u64) {
    let version = |serial| Version {
        peer,
        domain: peer + 1,
        serial,
        takes: amount(memory, 1),
    };
    let copy = version(1).copy();
    let _room = version(1).offer(copies, &copy).expect("room");
    copies.take(Arc::new(copy));
    let copy = version(2).copy();
    let used = copies.copy(copy.sender(), &copy.domain);
    copies.changes_from(used.expect("it is had"), &copy, kept);
    copies.take(Arc::new(copy));
}

#[test]
fn pushed_maps_displace_an_earlier_copy_only_if_there_is_no_room_beside_it() {
    let copies = copies(amount(20, 100), amount(100, 100));
    let isp_b = label("isp-b");
    let is_kept = || lock(&copies.references).get(&isp_b).is_some();
    take_and_change(&copies, 0, 5, 4);
    copies.follows(&isp_b, 11).expect("room beside it");
    assert!(is_kept());
    copies.follows(&isp_b, 12).expect("room in its place");
    assert!(!is_kept());
    let refused = copies.follows(&isp_b, 16).expect_err("no room");
    assert_eq!(refused.code(), "limit");
    copies
        .follows(&isp_b, 15)
        .expect("what was refused is not charged");
}

#[test]
fn what_is_over_is_asked_for_again_when_pushed_maps_shrink() {
    let copies = copies(amount(10, 100), amount(100, 100));
    let isp_b = label("isp-b");
    copies.follows(&isp_b, 8).expect("room");
    let version = Version {
        peer: 0,
        domain: 1,
        serial: 1,
        takes: amount(4, 1),
    };
    version
        .offer(&copies, &version.copy())
        .expect_err("no room");
    copies.follows(&isp_b, 7).expect("it is less");
    assert!(!copies.has_due(&isp_b));
    copies.follows(&isp_b, 6).expect("it is less");
    assert!(copies.has_due(&isp_b));
}

#[test]
fn of_peers_only_the_one_over_its_budget_gives_up_earlier_copies() {
    let copies = copies(amount(20, 100), amount(100, 100));
    take_and_change(&copies, 0, 5, 4);
    take_and_change(&copies, 1, 5, 4);
    copies.set_peers(PEERS.map(|name| {
        let mut peer = peer(name, "https://alto.example/");
        peer.import.max_memory = if name == "isp-b" { 7 } else { 20 };
        Arc::new(peer)
    }));
    assert!(!copies.enforce(), "nothing that is used is dropped");
    let is_kept = |name| lock(&copies.references).get(&label(name)).is_some();
    assert!(!is_kept("isp-b") && is_kept("isp-c"));
}
