//! Tests what happens when peers do something wrong: the last good copy is kept, and the reason
//! is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::s2s::{KeyTrust, PeerState};
use crate::federation::manifest::Compact;
use crate::federation::testing::{Log, at, label};

use super::node::{
    Node, Reply, Time, chain, cost, domain, failures, has_reason, is_synced, joined, pair, refused,
    state,
};

/// Replaces the body of the answer at a path.
fn replace(at: &'static str, body: impl Into<bytes::Bytes>) -> impl FnMut(&str, Reply) -> Reply {
    let body = body.into();
    move |path, reply| {
        if path == at {
            Reply {
                body: body.clone(),
                ..reply
            }
        } else {
            reply
        }
    }
}

/// Answers with another status at paths that begin with `at`.
fn status(at: &'static str, status: u16) -> impl FnMut(&str, Reply) -> Reply {
    move |path, reply| {
        if path.starts_with(at) {
            Reply { status, ..reply }
        } else {
            reply
        }
    }
}

const DESCRIPTOR: &str = "/.well-known/alto-federation";
const MANIFESTS: &str = "/s2s/v1/manifests";
const BLOBS: &str = "/s2s/v1/blobs/";

/// Returns the list of manifests that a node passes on to anybody, as a body.
fn passed(node: &Node) -> Vec<u8> {
    serde_json::to_vec(&node.federation.exports(None).expect("all")).expect("JSON")
}

#[tokio::test]
async fn one_byte_of_a_relayed_map_altered_is_seen() {
    let time = Time::new();
    let (a, b, c) = chain(&time).await;
    a.reads(&b, "*", "own");
    a.has("isp-c").await;
    c.say(&time, 6.0).await;
    b.read_until("isp-c", |it| cost(it, "isp-c") == Some(6.0))
        .await;
    b.tamper(|path, mut reply| {
        if path.starts_with(BLOBS) {
            let mut body = reply.body.to_vec();
            body[20] ^= 1;
            reply.body = body.into();
        }
        reply
    });
    a.read_until("isp-b", |it| refused(it, "isp-b", "isp-c") == "digest")
        .await;
    assert_eq!(cost(&a.federation, "isp-c"), Some(5.0), "the last good");
    assert_eq!(state(&a.federation, "isp-b").0, PeerState::Synced);
    b.mend();
    // What was refused is examined again, although the manifests are the same.
    a.until(|it| is_synced(it, "isp-b")).await;
    time.hand.advance(Duration::from_secs(60));
    a.until(|it| cost(it, "isp-c") == Some(6.0)).await;
    assert_eq!(refused(&a.federation, "isp-b", "isp-c"), "");
}

#[tokio::test]
async fn a_manifest_that_was_replayed_is_refused() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let old = passed(&b);
    b.say(&time, 6.0).await;
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(6.0))
        .await;
    b.tamper(replace(MANIFESTS, old));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "old-serial"))
        .await;
    assert_eq!(state(&a.federation, "isp-b").0, PeerState::Failed);
    assert_eq!(cost(&a.federation, "isp-b"), Some(6.0));
}

/// Returns the manifests of `isp-b`, signed with its key but with another content.
fn forged(b: &Node, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let ring = b.keyring();
    let issued = b.federation.issued().borrow()[0].clone();
    let mut manifest = serde_json::to_value(&issued.manifest).expect("JSON");
    change(&mut manifest);
    let key = ring.signer(issued.manifest.issued);
    let text = Compact::sign(key, manifest.to_string().as_bytes());
    let entry = json!([{
        "domain": "isp-b", "serial": manifest["serial"], "path": ["isp-b"], "manifest": text,
    }]);
    entry.to_string().into_bytes()
}

#[tokio::test]
async fn one_serial_with_two_contents_is_refused_and_named() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let other = forged(&b, |manifest| manifest["scope"] = json!(["isp-a"]));
    b.tamper(replace(MANIFESTS, other));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "equivocation"))
        .await;
    assert_eq!(cost(&a.federation, "isp-b"), Some(5.0));
}

#[tokio::test]
async fn what_is_refused_again_for_the_same_reason_is_logged_once() {
    let (log, _logged) = Log::taken();
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let lies = || a.federation.status().rejections["equivocation"];
    let lied = |scope: &[&str]| {
        let other = forged(&b, |manifest| manifest["scope"] = json!(scope));
        b.tamper(replace(MANIFESTS, other));
    };
    for scope in [&["isp-a"][..], &["isp-a", "isp-c"], &["isp-a", "isp-d"]] {
        let before = lies();
        lied(scope);
        a.read_until("isp-b", |_| lies() > before).await;
    }
    assert_eq!((lies(), log.count("refused: two manifests")), (3, 1));
    b.mend();
    a.read_until("isp-b", |it| is_synced(it, "isp-b")).await;
    lied(&["isp-a"]);
    a.read_until("isp-b", |_| lies() > 3).await;
    assert_eq!(log.count("refused: two manifests"), 2, "it is news again");
}

#[tokio::test]
async fn who_is_told_something_else_under_one_serial_has_another_fingerprint() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    let c = Node::start(&time, "isp-c").await;
    a.reads(&b, "own", "own");
    a.has("isp-b").await;
    b.tamper(replace(
        MANIFESTS,
        forged(&b, |manifest| manifest["scope"] = json!("none")),
    ));
    c.reads(&b, "own", "own");
    c.has("isp-b").await;
    let had = |node: &Node| {
        let status = domain(&node.federation, "isp-b", "isp-b").expect("it is passed");
        (status.serial, status.fingerprint)
    };
    let own = b.federation.peers().own.expect("it signed");
    assert_eq!(had(&a), (Some(own.serial), Some(own.fingerprint)));
    assert_eq!(had(&c).0, Some(own.serial));
    assert_ne!(had(&c).1, Some(own.fingerprint));
}

#[tokio::test]
async fn a_wrong_clock_is_told_from_a_wrong_signature() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    let ahead = forged(&b, |manifest| {
        manifest["serial"] = json!(u64::MAX / 2);
        manifest["issued"] = json!(at(3));
        manifest["next-update"] = json!(at(9));
    });
    b.tamper(replace(MANIFESTS, ahead));
    a.reads(&b, "own", "own");
    a.until(|it| has_reason(it, "isp-b", "clock")).await;
    let ahead = a.federation.status().rejections["clock"];
    assert!(ahead > 0);
    let behind = forged(&b, |manifest| manifest["next-update"] = json!(at(0)));
    b.tamper(replace(MANIFESTS, behind));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "expired"))
        .await;
    assert!(a.federation.status().rejections["clock"] > ahead);
    assert_eq!(a.federation.status().rejections["signature"], 0);
    let mut altered = String::from_utf8(passed(&b)).expect("text");
    let end = altered.rfind("\"}]").expect("the end of the signature");
    let other = if altered[end - 20..].starts_with('_') {
        "-"
    } else {
        "_"
    };
    altered.replace_range(end - 20..end - 19, other);
    b.tamper(replace(MANIFESTS, altered));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "signature"))
        .await;
    assert_eq!(cost(&a.federation, "isp-b"), None);
    b.mend();
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(5.0))
        .await;
}

#[tokio::test]
async fn another_key_is_not_taken_until_the_known_one_is_forgotten() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    let new_file = super::node::new_key(&b.directory.path().join("new.pem"));
    b.configure(|settings| settings.own.keys.key = new_file);
    b.say(&time, 6.0).await;
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "key"))
        .await;
    assert_eq!(cost(&a.federation, "isp-b"), Some(5.0), "the last good");
    assert!(
        a.federation
            .forget_key(&label("isp-b"))
            .await
            .expect("kept")
    );
    a.until(|it| cost(it, "isp-b") == Some(6.0)).await;
    assert!(
        !a.federation
            .forget_key(&label("isp-x"))
            .await
            .expect("kept")
    );
}

#[tokio::test]
async fn only_a_pinned_key_counts_where_there_is_one() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    a.pins("isp-b", &a);
    a.until(|it| cost(it, "isp-b").is_none() && has_reason(it, "isp-b", "key"))
        .await;
    a.pins("isp-b", &b);
    a.has("isp-b").await;
    let trust = domain(&a.federation, "isp-b", "isp-b").and_then(|it| it.key);
    assert_eq!(trust.map(|key| key.trust), Some(KeyTrust::Pinned));
}

#[tokio::test]
async fn a_key_squatted_through_a_relay_is_held_until_one_is_pinned() {
    let time = Time::new();
    let (a, b, c) = chain(&time).await;
    let x = Node::start(&time, "isp-x").await;
    // Another node claims to be isp-c, and a relay believes it.
    let squatter = Node::start(&time, "isp-c").await;
    squatter.say(&time, 99.0).await;
    x.reads(&squatter, "own", "own");
    x.reads(&a, "own", "*");
    x.has("isp-c").await;
    a.reads(&b, "*", "own");
    assert_eq!(a.has("isp-c").await, 5.0);
    a.reads(&x, "*", "own");
    a.until(|it| domain(it, "isp-x", "isp-c").is_some_and(|it| it.state == PeerState::Held))
        .await;
    assert_eq!(refused(&a.federation, "isp-x", "isp-c"), "held");
    assert_eq!(cost(&a.federation, "isp-c"), Some(5.0), "the last good");
    c.say(&time, 6.0).await;
    b.read_until("isp-c", |it| cost(it, "isp-c") == Some(6.0))
        .await;
    a.read_until("isp-b", |it| refused(it, "isp-b", "isp-c") == "held")
        .await;
    a.pins("isp-c", &c);
    a.until(|it| cost(it, "isp-c") == Some(6.0)).await;
    a.until(|it| refused(it, "isp-x", "isp-c") == "key").await;
}

#[tokio::test]
async fn a_peer_that_signed_once_is_not_read_without_signatures() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.tamper(status(DESCRIPTOR, 404));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "key"))
        .await;
    // Its directory is requested to find the descriptor, but not for what it offers.
    let mut asked = b.asked();
    asked.retain(|path| {
        ![DESCRIPTOR, "/directory", MANIFESTS, "/s2s/v1/updates"].contains(&&**path)
    });
    asked.retain(|path| !path.starts_with(BLOBS));
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(cost(&a.federation, "isp-b"), Some(5.0));
}

#[tokio::test]
async fn a_node_of_another_domain_than_configured_is_refused() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    let c = Node::start(&time, "isp-c").await;
    a.configure(|settings| {
        let peer = crate::federation::testing::peer("isp-b", &format!("{}/directory", c.url));
        settings.peers.insert(label("isp-b"), peer);
    });
    a.until(|it| has_reason(it, "isp-b", "peer")).await;
    drop(b);
}

#[tokio::test]
async fn what_is_at_another_origin_is_not_asked_for() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    let mut descriptor = b.federation.descriptor(&b.url);
    descriptor.s2s = "http://169.254.169.254/s2s/v1/".to_owned();
    let body = serde_json::to_vec(&descriptor).expect("JSON");
    b.tamper(replace(DESCRIPTOR, body));
    a.reads(&b, "own", "own");
    a.until(|it| has_reason(it, "isp-b", "elsewhere")).await;
}

#[tokio::test]
async fn a_map_that_is_gone_has_the_manifests_read_again_three_times_at_most() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(status(BLOBS, 404));
    a.reads(&b, "own", "own");
    a.until(|it| has_reason(it, "isp-b", "status")).await;
    let manifests = |node: &Node| {
        let asked = node.asked().into_iter();
        asked.filter(|path| path == MANIFESTS).count()
    };
    assert_eq!(manifests(&b), 3);
    // Once the document is there again, the next attempt within the same reading finds it.
    let left = Arc::new(AtomicUsize::new(1));
    b.tamper(move |path, reply| {
        let gone = path.starts_with(BLOBS)
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if gone {
            Reply {
                status: 404,
                ..reply
            }
        } else {
            reply
        }
    });
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(5.0))
        .await;
    assert_eq!(manifests(&b), 2);
}

#[tokio::test]
async fn a_domain_that_is_no_longer_passed_is_gone_the_peers_own_too() {
    let time = Time::new();
    let (a, b, _c) = chain(&time).await;
    a.reads(&b, "*", "own");
    a.has("isp-c").await;
    a.has("isp-b").await;
    b.tamper(replace(MANIFESTS, "[]"));
    a.read_until("isp-b", |it| cost(it, "isp-c").is_none())
        .await;
    a.until(|it| has_reason(it, "isp-b", "content")).await;
    assert_eq!(cost(&a.federation, "isp-b"), None);
    let a = a.restart(&time.clock).await;
    assert_eq!(cost(&a.federation, "isp-b"), None, "nor from the disk");
    b.mend();
    a.read_until("isp-b", |it| cost(it, "isp-b") == Some(5.0))
        .await;
}

#[tokio::test]
async fn answers_that_are_no_documents_are_refused() {
    let time = Time::new();
    let (a, b) = pair(&time).await;
    b.tamper(replace(DESCRIPTOR, "{\"domain\":"));
    a.reads(&b, "own", "own");
    a.until(|it| has_reason(it, "isp-b", "form")).await;
    b.tamper(replace(MANIFESTS, "{}"));
    a.read_until("isp-b", |it| {
        has_reason(it, "isp-b", "form") && failures(it) > 1
    })
    .await;
    let deep = "[".repeat(100_000);
    b.tamper(replace(MANIFESTS, deep));
    a.read_until("isp-b", |it| has_reason(it, "isp-b", "limit-exceeded"))
        .await;
    // An entry that cannot be read does not affect the others.
    let good = String::from_utf8(passed(&b)).expect("text");
    let mixed = good.replacen('[', r#"[{"domain":"no label"},{"domain":"isp-q"},"#, 1);
    b.tamper(replace(MANIFESTS, mixed));
    a.configure(|settings| {
        let peer = settings.peers.get_mut(&label("isp-b")).expect("a peer");
        peer.import.domains = vec!["*".to_owned()].try_into().expect("a choice");
    });
    a.has("isp-b").await;
    a.until(|it| refused(it, "isp-b", "isp-q") == "form").await;
}

#[tokio::test]
async fn a_peer_that_is_away_is_asked_again_ever_more_seldom() {
    let time = Time::new();
    let (a, b) = joined(&time).await;
    b.tamper(status("/", 503));
    a.read_until("isp-b", |it| failures(it) >= 1).await;
    assert_eq!(
        state(&a.federation, "isp-b"),
        (PeerState::Failed, "status".to_owned())
    );
    let rejections = a.federation.status().rejections;
    assert!(rejections.values().all(|n| *n == 0), "{rejections:?}");
    for n in 2..6 {
        time.hand.advance(Duration::from_secs(300));
        a.until(|it| failures(it) >= n).await;
    }
    b.mend();
    time.hand.advance(Duration::from_secs(300));
    a.until(|it| is_synced(it, "isp-b")).await;
    assert_eq!(a.peer("isp-b").failures, 0);
}
