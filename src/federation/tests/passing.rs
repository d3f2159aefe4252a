//! Tests what domains pass on to each other when all goes well.

use std::sync::Arc;
use std::time::Duration;

use crate::api::s2s::{KeyTrust, Scope, SpokenProtocol};
use crate::federation::testing::label;

use super::node::{Node, Time, chain, cost, domain, is_synced, joined, pair, refused};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_domain_is_had_as_it_is_and_each_change_of_it() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    a.reads(&b, "own", "own");
    assert_eq!(a.has("isp-b").await, 5.0);
    a.until(|it| is_synced(it, "isp-b")).await;
    let copy = a.copy("isp-b");
    assert_eq!(
        copy.view.network().tag(),
        b.own.borrow().view.network().tag()
    );
    assert_eq!(*copy.interconnects, *b.own.borrow().interconnects);
    assert!(copy.rewritten.is_empty() && copy.ignored.is_empty());
    assert_eq!(a.peer("isp-b").protocol, Some(SpokenProtocol::Altofed));
    let trust = domain(&a.federation, "isp-b", "isp-b").and_then(|it| it.key);
    assert_eq!(trust.map(|key| key.trust), Some(KeyTrust::Direct));

    b.asked();
    b.say(&time, 6.0).await;
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(6.0))
        .await;
    let asked = b.asked();
    let blobs = asked.iter().filter(|path| path.contains("blobs"));
    assert_eq!(blobs.count(), 1, "only what changed: {asked:?}");
}

#[tokio::test]
async fn what_did_not_change_costs_two_requests_and_no_news() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let mut imported = a.federation.imported();
    imported.mark_unchanged();
    b.asked();
    time.hand.advance(Duration::from_secs(60));
    let synced = |it: &_| {
        let status = super::node::status(it, "isp-b").expect("a peer");
        status.last_sync > Some(crate::federation::testing::at(0))
    };
    a.until(synced).await;
    let mut asked = b.asked();
    // The stream is opened after the first reading, perhaps only after the paths were taken.
    asked.retain(|path| path != "/s2s/v1/updates");
    assert_eq!(asked, ["/.well-known/alto-federation", "/s2s/v1/manifests"]);
    assert!(!imported.has_changed().expect("it runs"));
}

#[tokio::test]
async fn signed_again_a_domain_is_no_other() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let before = a.copy("isp-b");
    b.asked();
    let mut issued = b.federation.issued();
    issued.mark_unchanged();
    time.hand.advance(HOUR);
    crate::runtime::testing::soon(issued.changed())
        .await
        .expect("it signs");
    a.read_until("isp-b", |_| a.copy("isp-b").serial > before.serial)
        .await;
    let after = a.copy("isp-b");
    assert!(Arc::ptr_eq(&before.view, &after.view));
    assert_eq!(before.digest, after.digest);
    assert!(after.end() > before.end());
    assert!(!b.asked().iter().any(|path| path.contains("blobs")));
}

#[tokio::test]
async fn a_relay_passes_on_what_was_signed_and_keeps_its_bytes() {
    let time = Time::new();
    let (a, b, c) = chain(&time).await;
    a.reads(&b, "*", "own");
    assert_eq!(a.has("isp-c").await, 5.0);
    assert_eq!(a.has("isp-b").await, 5.0);
    let copy = a.copy("isp-c");
    assert_eq!(copy.path, [label("isp-c"), label("isp-b")]);
    let text = &copy.signed.as_ref().expect("signed").text;
    assert_eq!(**text, c.federation.issued().borrow()[0].text);
    let own = c.federation.peers().own.expect("it signed");
    assert_eq!(
        copy.fingerprint(),
        Some(own.fingerprint),
        "as at its origin"
    );
    let key = copy.key().expect("signed");
    assert_eq!(key.trust, KeyTrust::Vouched);
    // The origin reads the relay, and does not get its own domain back.
    c.reads(&b, "*", "own");
    c.has("isp-b").await;
    c.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(cost(&c.federation, "isp-c"), None);
    assert_eq!(
        refused(&c.federation, "isp-b", "isp-c"),
        "",
        "it is not even offered"
    );
}

#[tokio::test]
async fn only_wanted_domains_are_taken() {
    let time = Time::new();
    let (a, b, _c) = chain(&time).await;
    a.reads(&b, "own", "own");
    a.has("isp-b").await;
    a.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(cost(&a.federation, "isp-c"), None);
    a.reads(&b, "isp-c", "own");
    a.has("isp-c").await;
    a.until(|it| cost(it, "isp-b").is_none()).await;
}

#[tokio::test]
async fn a_ring_of_three_converges_and_stays_as_it_is() {
    let time = Time::new();
    let names = ["isp-a", "isp-b", "isp-c"];
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(Node::start(&time, name).await);
    }
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        nodes[from].reads(&nodes[to], "*", "*");
        nodes[to].reads(&nodes[from], "*", "*");
    }
    let all = |cost_of_c: f64| {
        move |node: &Node| {
            let others = names.iter().filter(|name| **name != node.name);
            others.into_iter().all(|name| {
                let wanted = if *name == "isp-c" { cost_of_c } else { 5.0 };
                cost(&node.federation, name) == Some(wanted)
            })
        }
    };
    for node in &nodes {
        node.until(|_| all(5.0)(node)).await;
    }
    nodes[2].say(&time, 8.0).await;
    for node in &nodes[..2] {
        for other in names.iter().filter(|name| **name != node.name) {
            node.federation.refresh(&label(other));
        }
        node.until(|_| all(8.0)(node)).await;
    }
    for node in &nodes {
        let imports = node.federation.imported().borrow().clone();
        assert_eq!(imports.len(), 2);
        assert!(
            !imports.contains_key(&label(node.name)),
            "nobody takes its own"
        );
    }
}

#[tokio::test]
async fn who_is_not_in_scope_gets_nothing() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    let c = Node::start(&time, "isp-c").await;
    c.configure(|settings| settings.own.scope = Scope::None);
    c.say(&time, 6.0).await;
    b.reads(&c, "own", "own");
    b.reads(&a, "own", "*");
    assert_eq!(b.has("isp-c").await, 6.0, "it is a direct peer");
    a.reads(&b, "*", "own");
    a.has("isp-b").await;
    a.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(cost(&a.federation, "isp-c"), None);
}

#[tokio::test]
async fn a_new_key_is_followed_while_the_old_one_counts() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let key = || a.copy("isp-b").key().map(|key| key.key);
    let old = key();
    let new_file = super::node::new_key(&b.directory.path().join("new.pem"));
    let until = crate::federation::testing::at(8);
    b.configure(|settings| {
        let keys = &mut settings.own.keys;
        let key = std::mem::replace(&mut keys.key, new_file);
        keys.old.push(crate::federation::OldKey {
            key,
            not_after: until,
        });
    });
    let new = b.keyring().signer(until).public().to_string();
    // For two hours the old key signs, and names the new one.
    b.say(&time, 6.0).await;
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(6.0))
        .await;
    assert_eq!(key(), old);
    time.hand.advance(HOUR * 2);
    b.say(&time, 7.0).await;
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(7.0))
        .await;
    assert_eq!(key(), Some(new));
}
