//! Tests what happens when a domain changes too much at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::alto::network::AddressGroup;
use crate::api::difference::Lost;
use crate::api::s2s::{HeldStatus, PeerState};
use crate::brake::Hold;
use crate::federation::copies::{assemble, network_of};
use crate::federation::settings::Limits;
use crate::federation::testing::{at, label, links, pid};
use crate::federation::{Federation, OwnDomain};
use crate::ident::MetricName;
use crate::net::Matrix;
use crate::publish::{Costs, Origin};

use super::node::{Node, Time, chain, domain, is_synced, pair, refused, state};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a domain of this many PIDs with one prefix each, the same cost between any two of
/// them, and one link with the cost `link`.
pub(super) fn wide(name: &str, pids: u8, cost: f64, link: f64) -> OwnDomain {
    let group = |n: u8| {
        let mut group = AddressGroup::default();
        let prefix = format!("10.{n}.0.0/16");
        group.insert(prefix.parse().expect("a prefix"));
        (pid(&format!("p{n:02}")), Arc::new(group))
    };
    let mut groups: BTreeMap<_, _> = (0..pids).map(group).collect();
    groups.insert(pid("east"), Arc::default());
    let size = groups.len();
    let network = network_of(groups, &Limits::default()).expect("few");
    let cells = Matrix::from_cells(size, size, vec![cost; size * size]).expect("as many");
    let costs = BTreeMap::from([(MetricName::routingcost(), Costs::Dense(Arc::new(cells)))]);
    let origin = Origin {
        serial: 1,
        received: at(0),
    };
    let view = assemble(&label(name), origin, Arc::new(network), costs, None);
    let mut links = links("isp-z");
    for one in links.values_mut() {
        one.costs.insert(MetricName::routingcost(), link);
    }
    OwnDomain {
        view,
        off_net: Arc::default(),
        interconnects: Arc::new(links),
    }
}

/// Returns how many prefixes the copy of a domain in use has.
fn prefixes(federation: &Federation, domain: &str) -> Option<usize> {
    let imports = federation.imported().borrow().clone();
    let used = imports.get(&label(domain))?;
    Some(used.view.network().prefix_count())
}

/// Returns the held change of a domain from a peer.
fn held(federation: &Federation, peer: &str, name: &str) -> Option<HeldStatus> {
    domain(federation, peer, name)?.held
}

/// Returns `isp-a`, which uses sixteen prefixes of `isp-b`, and `isp-b`.
async fn joined(time: &Time) -> (Node, Node) {
    let (a, b) = pair(time).await;
    b.state(time, wide("isp-b", 16, 5.0, 2.0)).await;
    a.reads(&b, "own", "own");
    a.until(|it| prefixes(it, "isp-b") == Some(16)).await;
    a.until(|it| is_synced(it, "isp-b")).await;
    (a, b)
}

#[tokio::test]
async fn a_peer_that_shrinks_is_held_with_the_difference_until_the_operator_accepts() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    assert_eq!(prefixes(&a.federation, "isp-b"), Some(16), "the last good");
    assert_eq!(
        state(&a.federation, "isp-b"),
        (PeerState::Held, "change".to_owned())
    );
    let status = held(&a.federation, "isp-b", "isp-b").expect("held");
    let lost = |of, removed| Lost { of, removed };
    assert_eq!(status.difference.prefixes, lost(16, 15));
    assert_eq!(status.difference.pids, lost(17, 15));
    assert!(!status.accepted);
    assert_eq!(status.until, Some(status.since + Duration::from_secs(3600)));
    let reason = domain(&a.federation, "isp-b", "isp-b").and_then(|it| it.reason);
    let reason = reason.expect("a reason").detail;
    for words in ["15 of 16 prefixes go", "`altofed peer isp-b --accept`"] {
        assert!(reason.contains(words), "{reason}");
    }
    // Each reading finds the change again, but it is counted once.
    for _ in 0..3 {
        let before = a.peer("isp-b").last_sync;
        time.hand.advance(MINUTE);
        a.until(|it| super::node::status(it, "isp-b").is_some_and(|it| it.last_sync > before))
            .await;
    }
    assert_eq!(a.federation.status().rejections["change"], 1);
    assert_eq!(prefixes(&a.federation, "isp-b"), Some(16));

    assert!(a.federation.accept(&label("isp-b")).await.expect("kept"));
    a.until(|it| prefixes(it, "isp-b") == Some(1)).await;
    a.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(held(&a.federation, "isp-b", "isp-b"), None);
    assert!(!a.federation.accept(&label("isp-b")).await.expect("kept"));
}

#[tokio::test]
async fn an_interconnect_that_costs_millions_at_once_is_held() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 16, 5.0, 5_000_000.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    let status = held(&a.federation, "isp-b", "isp-b").expect("held");
    let moved = status.difference.interconnect_costs[&MetricName::routingcost()];
    assert_eq!((moved.of, moved.changed), (1, 1));
    assert_eq!(
        a.copy("isp-b").interconnects["x-1"].costs["routingcost"],
        2.0
    );
}

#[tokio::test]
async fn what_is_held_is_taken_when_its_time_is_over_however_often_it_is_said() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    let since = held(&a.federation, "isp-b", "isp-b").map(|it| it.since);
    // It states something else each time, but removes not much more.
    for n in 0_u8..5 {
        time.hand.advance(10 * MINUTE);
        b.state(&time, wide("isp-b", 1 + n % 2, 5.0 + f64::from(n), 2.0))
            .await;
        let serial = b.federation.issued().borrow()[0].manifest.serial;
        a.read_until("isp-b", |it| {
            held(it, "isp-b", "isp-b").is_some_and(|it| it.serial == serial)
        })
        .await;
        assert_eq!(prefixes(&a.federation, "isp-b"), Some(16));
    }
    assert_eq!(
        held(&a.federation, "isp-b", "isp-b").map(|it| it.since),
        since
    );
    time.hand.advance(10 * MINUTE);
    a.until(|it| prefixes(it, "isp-b") == Some(1)).await;
    a.until(|it| is_synced(it, "isp-b")).await;
}

#[tokio::test]
async fn what_takes_much_more_at_the_last_moment_is_held_anew_but_not_for_ever() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let mut since = None;
    // Going from 9 of 16 removed to all of them, at most three steps are worse by a tenth or
    // more.
    for (left, anew) in [
        (7, true),
        (5, true),
        (4, false),
        (3, true),
        (5, false),
        (1, true),
    ] {
        b.state(&time, wide("isp-b", left, 5.0, 2.0)).await;
        let serial = b.federation.issued().borrow()[0].manifest.serial;
        a.read_until("isp-b", |it| {
            held(it, "isp-b", "isp-b").is_some_and(|it| it.serial == serial)
        })
        .await;
        let now = held(&a.federation, "isp-b", "isp-b").map(|it| it.since);
        assert_eq!(now != since, anew, "{left}");
        since = now;
        assert_eq!(prefixes(&a.federation, "isp-b"), Some(16));
        time.hand.advance(20 * MINUTE);
    }
}

#[tokio::test]
async fn what_is_held_is_held_no_more_when_the_peer_takes_it_back() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    b.state(&time, wide("isp-b", 15, 6.0, 2.0)).await;
    a.read_until("isp-b", |it| prefixes(it, "isp-b") == Some(15))
        .await;
    a.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(held(&a.federation, "isp-b", "isp-b"), None);
}

#[tokio::test]
async fn small_steps_within_an_hour_count_together() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    for left in [13, 10, 8] {
        b.state(&time, wide("isp-b", left, 5.0, 2.0)).await;
        a.read_until("isp-b", |it| prefixes(it, "isp-b") == Some(left.into()))
            .await;
    }
    b.state(&time, wide("isp-b", 7, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    let status = held(&a.federation, "isp-b", "isp-b").expect("held");
    assert_eq!(status.difference.prefixes, Lost { of: 16, removed: 9 });
    assert_eq!(prefixes(&a.federation, "isp-b"), Some(8));
    // An hour later it is a small step from what is in use then.
    a.until(|it| held(it, "isp-b", "isp-b").is_some()).await;
    time.hand.advance(60 * MINUTE);
    a.until(|it| prefixes(it, "isp-b") == Some(7)).await;
}

/// A domain that returns after a short absence is compared with what it was before, whether its
/// peer left it out or a budget of ours removed it.
#[tokio::test]
async fn what_was_away_for_a_moment_is_compared_with_what_it_was() {
    let time = Time::new();
    for by_budget in [false, true] {
        let (a, b) = joined(&time).await;
        let budget = |memory| a.configure(|settings| settings.budget.memory = memory);
        if by_budget {
            budget(100)
        } else {
            b.tamper(|path, reply| {
                if path.ends_with("/manifests") {
                    super::node::Reply {
                        body: b"[]".to_vec().into(),
                        ..reply
                    }
                } else {
                    reply
                }
            })
        }
        a.read_until("isp-b", |it| prefixes(it, "isp-b").is_none())
            .await;
        b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
        budget(1 << 30);
        b.mend();
        a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
            .await;
        let status = held(&a.federation, "isp-b", "isp-b").expect("held");
        assert_eq!(
            status.difference.prefixes,
            Lost {
                of: 16,
                removed: 15
            }
        );
        // A reading that was under way may have restored the old copy, but never the held
        // change.
        assert_ne!(prefixes(&a.federation, "isp-b"), Some(1));
        // The costs are compared too.
        b.state(&time, wide("isp-b", 16, 5000.0, 2.0)).await;
        a.read_until("isp-b", |it| {
            let held = held(it, "isp-b", "isp-b");
            held.is_some_and(|held| !held.difference.costs.is_empty())
        })
        .await;
        b.state(&time, wide("isp-b", 16, 5.0, 2.0)).await;
        a.read_until("isp-b", |it| prefixes(it, "isp-b") == Some(16))
            .await;
        // An hour later, what it was before is forgotten.
        budget(100);
        a.until(|it| prefixes(it, "isp-b").is_none()).await;
        b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
        // This makes sure that no reading of its former content is under way.
        a.federation.retry(&label("isp-b"), MINUTE).await;
        time.hand.advance(60 * MINUTE);
        budget(1 << 30);
        a.read_until("isp-b", |it| prefixes(it, "isp-b") == Some(1))
            .await;
    }
}

/// A domain that is dropped for a budget is not held any more, neither on the disk nor in
/// memory.
#[tokio::test]
async fn what_is_held_goes_with_what_was_good_before_it() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    b.tamper(|_, reply| super::node::Reply {
        status: 500,
        ..reply
    });
    a.configure(|settings| settings.budget.memory = 100);
    a.until(|it| prefixes(it, "isp-b").is_none()).await;
    assert_eq!(held(&a.federation, "isp-b", "isp-b"), None);
    assert_eq!(refused(&a.federation, "isp-b", "isp-b"), "limit");
}

/// A step by a factor of nine is less than tenfold, but two such steps are more.
#[tokio::test]
async fn small_steps_of_costs_within_an_hour_count_together() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let crossing = |it: &Federation| {
        let imports = it.imported().borrow().clone();
        let used = imports.get(&label("isp-b"))?;
        used.interconnects["x-1"].costs.get("routingcost").copied()
    };
    b.state(&time, wide("isp-b", 16, 5.0, 18.0)).await;
    a.read_until("isp-b", |it| crossing(it) == Some(18.0)).await;
    b.state(&time, wide("isp-b", 16, 5.0, 162.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    let status = held(&a.federation, "isp-b", "isp-b").expect("held");
    let moved = status.difference.interconnect_costs[&MetricName::routingcost()];
    assert_eq!((moved.of, moved.changed), (1, 1));
    // The same holds for costs inside the domain as for those across a link.
    b.state(&time, wide("isp-b", 16, 45.0, 18.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_none())
        .await;
    b.state(&time, wide("isp-b", 16, 400.0, 18.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    assert_eq!(crossing(&a.federation), Some(18.0));
}

#[tokio::test]
async fn what_is_held_for_ever_is_held_on_while_the_peer_signs_on() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    a.configure(|settings| {
        let peer = settings.peers.get_mut(&label("isp-b")).expect("a peer");
        peer.import.hold = Hold::Forever;
    });
    a.until(|it| is_synced(it, "isp-b")).await;
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    let until = held(&a.federation, "isp-b", "isp-b").and_then(|it| it.until);
    assert_eq!(until, None);
    // This takes longer than the copy in use counts, but the domain still signs manifests.
    for _ in 0..12 {
        let before = b.federation.issued().borrow()[0].manifest.serial;
        time.hand.advance(61 * MINUTE);
        let mut issued = b.federation.issued();
        let again = issued.wait_for(|issued| issued[0].manifest.serial > before);
        let serial = crate::runtime::testing::soon(again)
            .await
            .expect("it signs")[0]
            .manifest
            .serial;
        a.read_until("isp-b", |it| {
            held(it, "isp-b", "isp-b").is_some_and(|it| it.serial == serial)
        })
        .await;
        assert_eq!(prefixes(&a.federation, "isp-b"), Some(16));
    }
}

#[tokio::test]
async fn a_restart_forgets_neither_the_last_good_nor_how_long_it_has_been_held() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    a.until(|it| state(it, "isp-b").0 == PeerState::Held).await;
    let before = held(&a.federation, "isp-b", "isp-b").expect("held");
    time.hand.advance(40 * MINUTE);
    let a = a.restart(&time.clock).await;
    assert_eq!(prefixes(&a.federation, "isp-b"), Some(16));
    let after = held(&a.federation, "isp-b", "isp-b").expect("held");
    assert_eq!((after.since, after.until), (before.since, before.until));
    assert_eq!(after.difference, before.difference);
    let reason = (PeerState::Held, "change".to_owned());
    assert_eq!(state(&a.federation, "isp-b"), reason);
    let synced = |it: &Federation| super::node::status(it, "isp-b").and_then(|it| it.last_sync);
    let long_ago = synced(&a.federation);
    a.until(|it| synced(it) != long_ago).await;
    assert_eq!(state(&a.federation, "isp-b"), reason);
    assert_eq!(
        a.federation.status().rejections["change"],
        0,
        "it is no news"
    );
    time.hand.advance(20 * MINUTE);
    a.until(|it| prefixes(it, "isp-b") == Some(1)).await;
    // Nothing of the held change is left for the next start.
    a.until(|it| is_synced(it, "isp-b")).await;
    let a = a.restart(&time.clock).await;
    assert_eq!(held(&a.federation, "isp-b", "isp-b"), None);
    assert_eq!(prefixes(&a.federation, "isp-b"), Some(1));
}

#[tokio::test]
async fn a_relayed_domain_is_held_by_itself_by_whatever_way_it_comes() {
    let time = Time::new();
    let (a, b, c) = chain(&time).await;
    c.state(&time, wide("isp-c", 16, 5.0, 2.0)).await;
    b.read_until("isp-c", |it| prefixes(it, "isp-c") == Some(16))
        .await;
    b.configure(|settings| {
        // This relay holds nothing.
        let peer = settings.peers.get_mut(&label("isp-c")).expect("a peer");
        peer.import.max_removed = crate::brake::Share::new(1.0).expect("a share");
    });
    a.reads(&b, "*", "own");
    a.until(|it| prefixes(it, "isp-c") == Some(16)).await;
    a.until(|it| is_synced(it, "isp-b")).await;
    c.state(&time, wide("isp-c", 1, 5.0, 2.0)).await;
    b.read_until("isp-c", |it| prefixes(it, "isp-c") == Some(1))
        .await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-c").is_some())
        .await;
    assert_eq!(refused(&a.federation, "isp-b", "isp-c"), "change");
    assert_eq!(state(&a.federation, "isp-b").0, PeerState::Synced);
    // Reading it from the domain itself is no way around the hold.
    a.reads(&c, "own", "own");
    a.until(|it| held(it, "isp-c", "isp-c").is_some()).await;
    assert_eq!(prefixes(&a.federation, "isp-c"), Some(16));
    // The relay's own domain is not held up.
    b.say(&time, 6.0).await;
    a.read_until("isp-b", |it| super::node::cost(it, "isp-b") == Some(6.0))
        .await;
    assert!(a.federation.accept(&label("isp-c")).await.expect("kept"));
    a.until(|it| prefixes(it, "isp-c") == Some(1)).await;
    a.until(|it| held(it, "isp-b", "isp-c").is_none()).await;
    a.until(|it| held(it, "isp-c", "isp-c").is_none()).await;
}

#[tokio::test]
async fn what_is_accepted_is_no_more_than_what_was_shown() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 7, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    // It states something much worse before it is read again.
    b.tamper(|_, reply| super::node::Reply {
        status: 500,
        ..reply
    });
    assert!(a.federation.accept(&label("isp-b")).await.expect("kept"));
    a.until(|it| super::node::failures(it) > 0).await;
    let accepted = held(&a.federation, "isp-b", "isp-b").map(|it| it.accepted);
    assert_eq!(accepted, Some(true));
    b.state(&time, wide("isp-b", 1, 5.0, 2.0)).await;
    let serial = b.federation.issued().borrow()[0].manifest.serial;
    b.mend();
    a.read_until("isp-b", |it| {
        held(it, "isp-b", "isp-b").is_some_and(|it| it.serial == serial)
    })
    .await;
    let accepted = held(&a.federation, "isp-b", "isp-b").map(|it| it.accepted);
    assert_eq!(accepted, Some(false));
    assert_eq!(prefixes(&a.federation, "isp-b"), Some(16));
}

#[tokio::test]
async fn what_comes_after_something_was_accepted_is_compared_with_that() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.state(&time, wide("isp-b", 13, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| prefixes(it, "isp-b") == Some(13))
        .await;
    // This is a small step from what is in use, but a large one from what was an hour ago.
    b.state(&time, wide("isp-b", 7, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| held(it, "isp-b", "isp-b").is_some())
        .await;
    assert!(a.federation.accept(&label("isp-b")).await.expect("kept"));
    a.until(|it| prefixes(it, "isp-b") == Some(7)).await;
    b.state(&time, wide("isp-b", 6, 5.0, 2.0)).await;
    a.read_until("isp-b", |it| prefixes(it, "isp-b") == Some(6))
        .await;
}
