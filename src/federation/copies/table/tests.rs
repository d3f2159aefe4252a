//! Tests that choosing step by step gives the same as choosing among all copies.

use proptest::prelude::*;

use crate::federation::testing::{at, label, peer};
use crate::federation::tests::copies::copy;

use super::*;

const PEERS: [&str; 3] = ["isp-b", "isp-c", "isp-d"];

/// A step of the test.
#[derive(Debug, Clone)]
enum Event {
    Take {
        peer: usize,
        domain: usize,
        serial: u64,
    },
    Refuse {
        peer: usize,
        domain: usize,
    },
    Confirm {
        peer: usize,
        domain: usize,
    },
    Retain {
        peer: usize,
        domain: usize,
    },
    Synced(usize),
    Failed(usize),
    Drop(usize),
    Pass(u64),
    Age,
}

impl Event {
    fn happen(self, copies: &Copies, hand: &crate::runtime::ManualClock) {
        let name = |number: usize| label(PEERS[number]);
        let refusal = ImportError::Content("no".to_owned());
        match self {
            Event::Take {
                peer,
                domain,
                serial,
            } => {
                let mut path = vec![PEERS[domain]];
                path.extend((peer != domain).then_some(PEERS[peer]));
                copies.take(Arc::new(copy(&path, serial, copies.clock.wall())));
            }
            Event::Refuse { peer, domain } => {
                let refused = Refused::of(&refusal, &[], None);
                copies.refuse(&name(peer), &name(domain), refused, copies.grounds());
            }
            Event::Confirm { peer, domain } => copies.confirm(&name(peer), &name(domain)),
            Event::Retain { peer, domain } => {
                copies.retain(&name(peer), |kept| *kept == name(domain));
            }
            Event::Synced(peer) => copies.synced(&name(peer), SpokenProtocol::Altofed),
            Event::Failed(peer) => drop(copies.failed(&name(peer), &refusal)),
            Event::Drop(domain) => drop(copies.drop_where(|copy| copy.domain == name(domain))),
            Event::Pass(minutes) => {
                hand.advance(Duration::from_secs(60 * minutes));
                // The task that marks old copies runs when it is due.
                if copies.clock.now() >= *lock(&copies.look) {
                    copies.age();
                }
            }
            Event::Age => drop(copies.age()),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let (peer, domain) = (0..PEERS.len(), 0..PEERS.len());
    let both = (peer.clone(), domain.clone());
    prop_oneof![
        4 => (both.clone(), 0..4u64)
            .prop_map(|((peer, domain), serial)| Event::Take { peer, domain, serial }),
        1 => (both.clone()).prop_map(|(peer, domain)| Event::Refuse { peer, domain }),
        1 => (both.clone()).prop_map(|(peer, domain)| Event::Confirm { peer, domain }),
        1 => (both).prop_map(|(peer, domain)| Event::Retain { peer, domain }),
        3 => peer.clone().prop_map(Event::Synced),
        1 => peer.clone().prop_map(Event::Failed),
        1 => domain.prop_map(Event::Drop),
        2 => (0..200u64).prop_map(Event::Pass),
        1 => Just(Event::Age),
    ]
}

proptest! {
    #[test]
    fn what_is_used_is_what_would_be_chosen_of_all(
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let (clock, hand) = Clock::manual(at(0));
        let copies = Copies::new(clock.clone());
        copies.set_peers(PEERS.map(|name| Arc::new(peer(name, "https://alto.example/"))));
        copies.age();
        for event in events {
            event.happen(&copies, &hand);
            let chosen = choose(&copies.lock(), clock.now(), clock.wall());
            let used = copies.used().borrow().clone();
            let names = |imports: &Imports| -> Vec<(DomainLabel, DomainLabel, u64)> {
                let all = imports.iter();
                all.map(|(domain, it)| (domain.clone(), it.sender().clone(), it.serial))
                    .collect()
            };
            prop_assert_eq!(names(&used), names(&chosen));
            for peer in copies.lock().values() {
                prop_assert_eq!(peer.shown.0, peer.state(clock.now()));
            }
        }
    }
}
