//! Peers whose maps make the search for ways long: it ends where the operator says, and pairs
//! that it did not finish have no cost.

use std::collections::BTreeMap;

use altofed::api::conflict::MergeConflictKind;
use altofed::federation::SigningKey;
use serde_json::{Value, json};

use super::links::{Link, inside};
use super::member::{Join, Member};
use super::rogue::{Rogue, Says, Signed, key};
use super::site::{PATIENCE, glance};

/// The domain between `isp-a` and `isp-c`.
const BETWEEN: u8 = 2;

/// The domains that it makes up.
const MADE_UP: std::ops::RangeInclusive<u8> = 4..=9;

/// The cost through `isp-b` in the trap: more than any detour.
const THROUGH: u32 = 100_000;

/// More labels than honest domains need, and fewer than the trap needs.
const LABELS: u64 = 100;

/// The links of `isp-b`: to the ends, and to the domains that are made up.
fn of_between() -> Vec<Link> {
    vec![Link(1, 2), Link(2, 3), Link(4, 2), Link(2, 5)]
}

/// What `isp-b` states honestly.
fn sound() -> Says {
    of_between()
        .into_iter()
        .fold(Says::sound(BETWEEN), Says::linked)
}

/// In the trap, all are linked to all, and between the borders of `isp-b` a detour by any of
/// them is cheaper than the way through it: a search across it finds ways that enter it twice,
/// and has to look at all of them.
fn trap(key: &SigningKey) -> Vec<Signed> {
    let costs = json!({"core": {"edge": THROUGH}, "edge": {"core": THROUGH}});
    let between = Says {
        cost_map: costs.to_string(),
        ..sound()
    };
    let mesh: Vec<Link> = MADE_UP
        .flat_map(|a| MADE_UP.map(move |b| Link(a, b)))
        .filter(|link| link.0 != link.1)
        .chain(of_between())
        .collect();
    let made_up = MADE_UP.map(|number| {
        let links = mesh.iter().copied();
        let says = links.fold(Says::sound(number), Says::linked);
        says.signed(&self::key()).through(&[BETWEEN])
    });
    std::iter::once(between.later().signed(key))
        .chain(made_up)
        .collect()
}

/// Returns the cost in the merged view of one end, from its core to the edge of another domain;
/// null if there is none.
async fn cost(from: &Member, to: u8) -> Value {
    let answer = from.endpoint_cost("merged", from.number, to).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let source = format!("ipv4:10.{}.0.1", from.number);
    let target = format!("ipv4:10.{to}.128.1");
    answer.json()["endpoint-cost-map"][source][target].take()
}

/// Returns the costs of the merged view of a node, by source and destination.
async fn merged(node: &Member) -> BTreeMap<(String, String), f64> {
    let rows = node.costs_of("merged").await.expect("a view").into_iter();
    let cells = rows.flat_map(|(from, row)| {
        let row = row.into_iter();
        row.map(move |(to, cost)| ((from.clone(), to), cost))
    });
    cells.collect()
}

#[tokio::test]
async fn maps_that_make_the_search_too_long_cost_the_pairs_they_are_in_the_way_of_and_no_more() {
    let key = key();
    let rogue = Rogue::start(BETWEEN, &key).await;
    rogue.passes(&[sound().signed(&key)]);
    let [mut a, mut c] = [Member::start(1).await, Member::start(3).await];
    for end in [&a, &c] {
        end.states(&of_between()).await;
        end.until_signed().await;
    }
    let hasty = format!("[merge]\nmax_labels = {LABELS}\n");
    a.join_under(&hasty, [Join::to(BETWEEN, &rogue.url), Join::to(3, &c.url)]);
    c.join([Join::to(BETWEEN, &rogue.url), Join::to(1, &a.url)]);
    a.until_cost(2, Some(inside(2))).await;
    a.until_cost(3, Some(inside(3))).await;
    c.until_cost(1, Some(inside(1))).await;
    let unsettled = MergeConflictKind::UnsettledPair;
    let before = a.own_answers().await;
    let honest = 12.0 + 2.5 + 23.0;
    assert_eq!(cost(&a, 3).await, honest);
    assert_eq!(a.conflicts(unsettled).await, Vec::<String>::new());

    rogue.passes(&trap(&key));
    for number in MADE_UP {
        a.until_cost(number, Some(inside(number))).await;
        c.until_cost(number, Some(inside(number))).await;
    }
    a.until_cost(2, Some(f64::from(THROUGH))).await;
    c.until_cost(2, Some(f64::from(THROUGH))).await;
    let listed = a.conflicts(unsettled).await;
    assert!(listed.contains(&"isp-a isp-c".to_owned()), "{listed:?}");
    assert_eq!(c.conflicts(unsettled).await, Vec::<String>::new());
    assert!(cost(&a, 3).await.is_null());
    // Each cost is either right or missing.
    let (had, all) = (merged(&a).await, merged(&c).await);
    assert!(had.iter().all(|(pair, cost)| all.get(pair) == Some(cost)));
    assert!(had.len() < all.len());
    let spared = ("isp-a:core".to_owned(), "isp-f:core".to_owned());
    assert!(had.contains_key(&spared), "{had:?}");
    assert_eq!(a.own_answers().await, before);
    let path = "/views/merged/explain?src=10.1.0.1&dst=10.3.128.1";
    let explained = a.get(path).await;
    let detail = explained.problem(404, &[])["detail"].to_string();
    assert!(detail.contains("max_labels"), "{detail}");

    // Whoever spends the time gets the costs; so do we with as many labels.
    let exact = 12.0 + f64::from(THROUGH) + 23.0;
    a.join([Join::to(BETWEEN, &rogue.url), Join::to(3, &c.url)]);
    let came = tokio::time::timeout(PATIENCE, async {
        while merged(&a).await != all {
            glance().await;
        }
    });
    came.await.expect("the costs that the other end has");
    assert_eq!(a.conflicts(unsettled).await, Vec::<String>::new());
    assert_eq!(cost(&a, 3).await, exact);
    assert_eq!(a.own_answers().await, before);
}
