//! Life with peers: who gets what, what a reload adds and removes, what is there after a
//! restart, and what operators see of it.

use altofed::api::s2s::{ManifestEntry, PeerState, Scope};
use altofed::ident::{Digest, DomainLabel};
use reqwest::Method;
use serde_json::json;
use std::slice::from_ref;

use super::links::{Link, inside, label};
use super::member::{Join, Member, STRANGER, secret};
use super::rogue::{Rogue, Says, Signed, blob, key};
use super::site::{PATIENCE, glance};
use crate::support::events::UPDATES;
use crate::support::{Answer, OPS, command};

/// Returns the labels of the domains that a caller gets.
async fn passed(node: &Member, token: &str) -> Vec<String> {
    let request = node.request(Method::GET, "/s2s/v1/manifests").token(token);
    let answer = request.send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let entries: Vec<ManifestEntry> = serde_json::from_slice(&answer.body).expect("entries");
    for entry in &entries {
        assert_eq!(
            entry.path.last().map(DomainLabel::as_str),
            Some(node.label.as_str())
        );
        assert_eq!(entry.path.first(), Some(&entry.domain));
    }
    entries
        .into_iter()
        .map(|entry| entry.domain.to_string())
        .collect()
}

/// Returns the status of the answer to a request for a document by a caller.
async fn blob_status(node: &Member, token: &str, signed: &Signed) -> u16 {
    let path = blob(&signed.bodies[1].0);
    let request = node.request(Method::GET, &path).token(token);
    request.send().await.status.as_u16()
}

#[tokio::test]
async fn each_caller_gets_what_is_exported_to_it_and_in_scope_and_nothing_goes_back() {
    let keys = [key(), key(), key(), key()];
    let labels = ["isp-a", "isp-b"].map(|text| DomainLabel::new(text).expect("a label"));
    let only = Scope::Only(labels.into());
    let scoped = |number, scope, key| {
        Says {
            scope,
            ..Says::sound(number)
        }
        .signed(key)
    };
    let a = scoped(1, Scope::Any, &keys[0]);
    let c = scoped(3, Scope::None, &keys[1]);
    let d = scoped(4, only, &keys[2]);
    // It came through isp-a, and then isp-d.
    let e = scoped(5, Scope::Any, &keys[3]).through(&[1, 4]);
    let [of_a, of_c, of_d] = [
        Rogue::start(1, &keys[0]).await,
        Rogue::start(3, &keys[1]).await,
        Rogue::start(4, &keys[2]).await,
    ];
    of_a.passes(from_ref(&a));
    of_c.passes(from_ref(&c));
    of_d.passes(&[d.clone(), e.clone()]);
    let mut b = Member::start(2).await;
    b.states(&[]).await;
    let join = |peer, rogue: &'static str| Join {
        export: rogue,
        ..Join::to(peer, "")
    };
    b.join([
        Join {
            base: &of_a.url,
            ..join(1, "*")
        },
        Join {
            base: &of_c.url,
            ..join(3, "own")
        },
        Join {
            base: &of_d.url,
            ..join(4, "isp-e")
        },
    ]);
    for number in [1, 3, 4, 5] {
        b.until_cost(number, Some(inside(number))).await;
    }
    // isp-c is for its direct peers only; isp-d is for us and isp-a; isp-e came through isp-a.
    assert_eq!(passed(&b, &secret(2, 1)).await, ["isp-b", "isp-d"]);
    assert_eq!(passed(&b, &secret(2, 3)).await, ["isp-b"]);
    assert_eq!(passed(&b, &secret(2, 4)).await, Vec::<String>::new());
    assert_eq!(passed(&b, STRANGER).await, ["isp-b"]);
    for (number, documents) in [(1, [404, 404, 200, 404]), (3, [404; 4]), (4, [404; 4])] {
        for (signed, status) in [&a, &c, &d, &e].into_iter().zip(documents) {
            let found = blob_status(&b, &secret(2, number), signed).await;
            assert_eq!(
                found,
                status,
                "{} for {}",
                signed.entry.domain,
                label(number)
            );
        }
    }
    assert_eq!(blob_status(&b, STRANGER, &d).await, 404);
    // A document that a caller does not get answers like one that does not exist, to the byte.
    let told = |answer: Answer| {
        let mut headers = answer.headers.clone();
        for own in ["x-request-id", "date"] {
            headers.remove(own);
        }
        let text = answer.text().replace("isp-z", "isp-e");
        (answer.status.as_u16(), headers, text)
    };
    let asked = async |digest: &Digest| {
        let request = b.request(Method::GET, &format!("/s2s/v1/blobs/{digest}"));
        told(request.token(&secret(2, 1)).send().await)
    };
    let none = asked(&Digest::of(b"nothing")).await;
    for (resource, _) in a.bodies.iter().chain(&c.bodies).chain(&e.bodies) {
        assert_eq!(asked(&resource.sha_256).await, none);
    }
    let follow = async |id: &str| {
        let body = json!({"add": {"1": {"resource-id": id}}}).to_string();
        let request = b.request(Method::POST, "/s2s/v1/updates");
        let request = request.token(&secret(2, 1)).typed(UPDATES, body);
        told(request.send().await)
    };
    for path in ["manifest", "networkmap"] {
        let withheld = follow(&format!("isp-e:{path}")).await;
        assert_eq!(withheld.0, 400);
        assert_eq!(withheld, follow(&format!("isp-z:{path}")).await);
    }
    let nobody = b.request(Method::GET, "/s2s/v1/manifests").send().await;
    assert_eq!(nobody.status, 401);

    // Our domain is for isp-c only.
    b.change("[federation]\nscope = [\"isp-c\"]\n");
    while passed(&b, STRANGER).await != Vec::<String>::new() {
        b.until_state(1, PeerState::Synced, "").await;
    }
    assert_eq!(passed(&b, &secret(2, 1)).await, ["isp-d"]);
    assert_eq!(passed(&b, &secret(2, 3)).await, ["isp-b"]);
}

#[tokio::test]
async fn a_domain_of_scope_none_is_refused_from_relays_and_one_of_a_list_from_all_but_it() {
    let (relay_key, key) = (key(), key());
    let relay = Rogue::start(2, &relay_key).await;
    let only = |text: &str| Scope::Only([DomainLabel::new(text).expect("a label")].into());
    let scoped = |number, scope| {
        let says = Says {
            scope,
            ..Says::sound(number)
        };
        says.signed(&key).through(&[2])
    };
    relay.passes(&[
        Says {
            scope: Scope::None,
            ..Says::sound(2)
        }
        .signed(&relay_key),
        scoped(3, Scope::None),
        scoped(4, only("isp-a")),
        scoped(5, only("isp-x")),
    ]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    a.join([Join::to(2, &relay.url)]);
    a.until_domain(2, 2, PeerState::Synced, "").await;
    a.until_domain(2, 3, PeerState::Failed, "scope").await;
    a.until_domain(2, 4, PeerState::Synced, "").await;
    a.until_domain(2, 5, PeerState::Failed, "scope").await;
    // It is published a little after it is taken.
    a.until_cost(4, Some(inside(4))).await;
    assert!(a.has(2).await && a.has(4).await && !a.has(3).await && !a.has(5).await);
}

#[tokio::test]
async fn only_the_domains_that_are_wanted_are_taken() {
    let (relay_key, key) = (key(), key());
    let relay = Rogue::start(2, &relay_key).await;
    relay.passes(&[
        Says::sound(2).signed(&relay_key),
        Says::sound(3).signed(&key).through(&[2]),
    ]);
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    for (import, wanted) in [
        ("*", [true, true]),
        ("own", [true, false]),
        ("isp-c", [false, true]),
    ] {
        a.join([Join {
            import,
            ..Join::to(2, &relay.url)
        }]);
        let held = |number, wanted: bool| wanted.then(|| inside(number));
        a.until_cost(2, held(2, wanted[0])).await;
        a.until_cost(3, held(3, wanted[1])).await;
    }
}

#[tokio::test]
async fn a_reload_adds_and_removes_a_peer_with_all_that_it_passed() {
    let (relay_key, key) = (key(), key());
    let relay = Rogue::start(2, &relay_key).await;
    relay.passes(&[
        Says::sound(2).linked(Link(1, 2)).signed(&relay_key),
        Says::sound(3).signed(&key).through(&[2]),
    ]);
    let mut a = Member::start(1).await;
    a.states(&[Link(1, 2)]).await;
    let before = (a.own_answers().await, a.costs_of("merged").await);
    for _ in 0..2 {
        a.join([Join::to(2, &relay.url)]);
        a.until_cost(2, Some(inside(2))).await;
        a.until_cost(3, Some(inside(3))).await;
        a.join([]);
        a.until_cost(2, None).await;
        a.until_cost(3, None).await;
        assert!(a.peers().await.peers.is_empty());
        let after = (a.own_answers().await, a.costs_of("merged").await);
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn what_peers_passed_is_there_after_a_restart_without_them() {
    let key = key();
    let rogue = Rogue::start(2, &key).await;
    rogue.passes(&[Says::sound(2).linked(Link(1, 2)).signed(&key)]);
    let mut a = Member::start(1).await;
    a.states(&[Link(1, 2)]).await;
    a.join([Join::to(2, &rogue.url)]);
    a.until_cost(2, Some(inside(2))).await;
    a.until_state(2, PeerState::Synced, "").await;
    let before = (a.own_answers().await, a.costs_of("merged").await);
    a.stop().await;
    drop(rogue);
    a.start_again().await;
    assert_eq!(
        a.cost_inside(2).await,
        Some(inside(2)),
        "from the first moment"
    );
    let after = (a.own_answers().await, a.costs_of("merged").await);
    assert_eq!(after, before);
    let peer = a.until_state(2, PeerState::Failed, "transport").await;
    assert!(peer.last_sync.is_some(), "{peer:?}");
}

/// Returns what the program prints.
async fn printed(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let run = move || {
        let mut command = command(words);
        command.env("ALTOFED_OPS", OPS);
        command.output().expect("it runs")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn operators_see_peers_and_paths_by_the_program() {
    let keys = [key(), key(), key()];
    let [b, c] = [
        Rogue::start(2, &keys[0]).await,
        Rogue::start(3, &keys[1]).await,
    ];
    let link = Link(1, 2);
    b.passes(&[
        Says::sound(2).linked(link).signed(&keys[0]),
        Says::sound(4).signed(&keys[2]).through(&[2]),
    ]);
    let mut a = Member::start(1).await;
    a.states(&[link, Link(1, 3)]).await;
    a.join([Join::to(2, &b.url), Join::to(3, &c.url)]);
    a.until_cost(2, Some(inside(2))).await;
    a.until_cost(4, Some(inside(4))).await;
    c.passes(&[Says::sound(3).signed(&keys[2])]);
    a.until_state(3, PeerState::Failed, "key").await;
    let operator = ["--url", &a.url, "--token-env", "ALTOFED_OPS"];
    let peers = printed(&[&["peers"][..], &operator].concat()).await;
    for words in [
        "isp-b",
        "synced",
        "isp-d > isp-b",
        "isp-c is failed (key)",
        "unseen",
    ] {
        assert!(peers.contains(words), "{words:?} is not in\n{peers}");
    }
    let json = printed(&[&["peers", "--json"][..], &operator].concat()).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["peers"][0]["domain"], "isp-b");
    assert_eq!(json["peers"][1]["reason"]["code"], "key");
    let one = printed(&[&["peer", "isp-b"][..], &operator].concat()).await;
    let direct = format!("direct key {}", keys[0].public());
    assert!(one.contains(&direct) && one.contains("altofed"), "{one}");
    a.until_signed().await;
    let list = a.peers().await;
    let theirs = list.peers[0].domains[0].fingerprint.expect("it is signed");
    assert!(one.contains(&format!("fingerprint {theirs}")), "{one}");
    let own = list.own.expect("it signed");
    let ours = printed(&[&["peer", "isp-a"][..], &operator].concat()).await;
    assert!(
        ours.contains(&format!("fingerprint {}", own.fingerprint)),
        "{ours}"
    );
    let path = ["explain", "10.1.0.1", "10.2.128.1"];
    let path = printed(&[&path[..], &operator].concat()).await;
    for words in ["isp-a", "x-1-2", "isp-b", "routingcost"] {
        assert!(path.contains(words), "{words:?} is not in\n{path}");
    }
    let file = a.data().join("new.key");
    let file = file.to_str().expect("text");
    let made = printed(&["keygen", "--out", file]).await;
    assert!(made.contains("keys = [\"ed25519:"), "{made}");
    a.restart_with(&format!("[federation]\nkey = {file:?}\n"))
        .await;
    let shown = async || {
        let answer = a.get("/.well-known/alto-federation").await;
        let key = answer.json()["keys"][0]["ed25519"].clone();
        key.as_str().map(str::to_owned).unwrap_or_default()
    };
    while !made.contains(&shown().await) {
        a.until_state(2, PeerState::Synced, "").await;
    }
}

#[tokio::test]
async fn what_a_link_to_a_plain_domain_costs_from_us_changes_by_a_reload() {
    let [mut a, mut b] = [Member::start(1).await, Member::start(2).await];
    for member in [&a, &b] {
        member.states(&[]).await;
    }
    b.join([Join::to(1, &a.url)]);
    let link = |cost: u8| {
        format!(
            "protocol = \"alto\"\n[[peer.interconnect]]\nid = \"x\"\nborder = \"core\"\n\
             peer_border = \"core\"\ncosts = {{ routingcost = {cost} }}\n\
             reverse_costs = {{ routingcost = 1 }}\n"
        )
    };
    for cost in [5, 7] {
        let more = link(cost);
        let base = format!("{}/views/isp-b", b.url);
        a.join([Join {
            more: &more,
            ..Join::to(2, &base)
        }]);
        let wanted = Some(f64::from(cost));
        let there = async || {
            let costs = a.costs_of("merged").await?;
            costs.get("isp-a:core")?.get("isp-b:core").copied()
        };
        let came = tokio::time::timeout(PATIENCE, async {
            while there().await != wanted {
                glance().await;
            }
        });
        came.await.expect("the cost from us is another");
    }
}
