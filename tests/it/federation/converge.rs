//! Every node of a federation computes the same merged view.

use super::links::{Costs, Link, shortest};
use super::member::{Federation, Join, Member};
use super::proxy::{Deed, Proxy};
use super::site::{PATIENCE, glance};

/// Waits until every member has the costs that follow from its domains and links, and all answer
/// the same, byte for byte.
async fn converged(members: &[Member], links: &[Link]) {
    let numbers: Vec<u8> = members.iter().map(|member| member.number).collect();
    let wanted = shortest(&numbers, links);
    let mut last = String::new();
    let came = tokio::time::timeout(PATIENCE, async {
        while let Some(difference) = difference(members, &wanted).await {
            last = difference;
            glance().await;
        }
    });
    assert!(came.await.is_ok(), "{last}");
}

/// Describes what is not as wanted, or not the same everywhere.
async fn difference(members: &[Member], wanted: &Costs) -> Option<String> {
    for member in members {
        let costs = member.costs_of("merged").await;
        if costs.as_ref() != Some(wanted) {
            return Some(format!("{}: {costs:?}, not {wanted:?}", member.label));
        }
    }
    for map in ["networkmap", "costmap-routingcost", "costmap-hopcount"] {
        let path = format!("/views/merged/{map}");
        let first = members[0].get(&path).await;
        for member in &members[1..] {
            let other = member.get(&path).await;
            if first.status != 200 || first.body != other.body {
                return Some(format!("{}: {first:?}, not {other:?}", member.label));
            }
        }
    }
    None
}

/// Five domains in a ring.
const RING: [Link; 5] = [Link(1, 2), Link(2, 3), Link(3, 4), Link(4, 5), Link(5, 1)];

#[tokio::test]
async fn a_ring_of_five_agrees_and_goes_the_other_way_around_where_it_is_cut() {
    let mut ring = Federation::along(&RING).await;
    converged(&ring.members, &RING).await;
    // The link is gone, the peers still read each other.
    let cut = &RING[..4];
    ring.at(5).states(cut).await;
    ring.at(1).states(cut).await;
    converged(&ring.members, cut).await;
}

#[tokio::test]
async fn a_star_of_five_agrees_through_its_hub() {
    let star = [Link(1, 2), Link(1, 3), Link(4, 1), Link(5, 1)];
    let federation = Federation::along(&star).await;
    converged(&federation.members, &star).await;
}

#[tokio::test]
async fn a_mesh_of_five_agrees_however_many_copies_of_each_there_are() {
    let pairs = (1..=5).flat_map(|a| (a + 1..=5).map(move |b| Link(a, b)));
    let mesh: Vec<Link> = pairs.collect();
    let mut federation = Federation::along(&mesh).await;
    converged(&federation.members, &mesh).await;
    // The most expensive domain becomes the cheapest to cross; all see it alike.
    federation.at(5).costs(0.125).await;
    for member in &federation.members {
        member.until_cost(5, Some(0.125)).await;
    }
    let path = "/views/merged/costmap-routingcost";
    let first = federation.members[0].get(path).await;
    for member in &federation.members {
        assert_eq!(first.text(), member.get(path).await.text());
    }
}

#[tokio::test]
async fn a_domain_that_is_cut_off_has_no_costs_instead_of_ever_greater_ones() {
    let chain = [Link(1, 2), Link(2, 3), Link(3, 1), Link(3, 4)];
    let mut federation = Federation::along(&chain).await;
    converged(&federation.members, &chain).await;
    // Only one side takes the link back, which is enough.
    let cut = &chain[..3];
    federation.at(4).states(cut).await;
    converged(&federation.members, cut).await;
}

#[tokio::test]
async fn a_node_that_dies_leaves_every_view_though_the_others_pass_its_domain_around() {
    let mut federation = Federation::along(&RING).await;
    converged(&federation.members, &RING).await;
    let urls: Vec<String> = federation.members.iter().map(|m| m.url.clone()).collect();
    let mut dead = federation.remove(3);
    dead.stop().await;
    // Its neighbours have to notice it now; the others learn it from them.
    for (number, others) in [(2, [1, 3]), (4, [3, 5])] {
        let joins = others.map(|peer| Join {
            more: match peer {
                3 => {
                    "refresh.interval = \"100ms\"\nrefresh.stale_after = \"100ms\"\n\
                     refresh.expire_after = \"100ms\"\n"
                }
                _ => Join::to(peer, "").more,
            },
            ..Join::to(peer, &urls[usize::from(peer) - 1])
        });
        federation.at(number).join(joins);
    }
    converged(&federation.members, &RING).await;
    for member in &federation.members {
        assert!(!member.has(3).await, "{}", member.label);
    }
}

#[tokio::test]
async fn a_partition_heals() {
    let link = [Link(1, 2)];
    let (to_a, to_b) = (Proxy::start().await, Proxy::start().await);
    let mut a = Member::behind(1, &to_a).await;
    let mut b = Member::behind(2, &to_b).await;
    a.states(&link).await;
    b.states(&link).await;
    a.join([Join::to(2, &to_b.url)]);
    b.join([Join::to(1, &to_a.url)]);
    let mut both = [a, b];
    converged(&both, &link).await;
    to_a.set(Deed::Refuse);
    to_b.set(Deed::Refuse);
    for member in &both {
        member.costs(0.5).await;
    }
    for (member, peer) in both.iter().zip([2, 1]) {
        member.until(peer, "away", |peer| peer.failures > 0).await;
        // The copy of the other domain is older.
        assert_ne!(member.cost_inside(peer).await, Some(0.5));
        assert_eq!(member.cost_inside(member.number).await, Some(0.5));
    }
    to_a.set(Deed::Pass);
    to_b.set(Deed::Pass);
    for member in &mut both {
        member.nudge();
    }
    for (member, peer) in both.iter().zip([2, 1]) {
        member.until_cost(peer, Some(0.5)).await;
    }
    let merged = [
        both[0].costs_of("merged").await,
        both[1].costs_of("merged").await,
    ];
    assert_eq!(merged[0], merged[1]);
}
