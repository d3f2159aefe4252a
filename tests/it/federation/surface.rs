//! The server-to-server API as peers see it.

use std::convert::Infallible;
use std::slice::from_ref;

use altofed::api::s2s::{Descriptor, Manifest, ManifestEntry};
use altofed::ident::Digest;
use altofed::runtime::{Clock, Task};
use futures_util::{StreamExt, stream};
use reqwest::Method;

use super::links::inside;
use super::member::{Join, Member, STRANGER, secret};
use super::rogue::{Rogue, Says, blob, key, payload};
use crate::peer::soon;
use crate::support::events::UPDATES;
use crate::support::{Answer, JSON, OPS, metric};

const DESCRIPTOR: &str = "/.well-known/alto-federation";
const MANIFESTS: &str = "/s2s/v1/manifests";

async fn asked(node: &Member, path: &str, known: Option<&str>) -> Answer {
    let request = node.request(Method::GET, path).token(STRANGER);
    match known {
        Some(tag) => request.header("if-none-match", tag).send().await,
        None => request.send().await,
    }
}

async fn manifest(node: &Member) -> (ManifestEntry, Manifest) {
    let answer = asked(node, MANIFESTS, None).await;
    let mut entries: Vec<ManifestEntry> = serde_json::from_value(answer.ok(JSON)).expect("entries");
    let entry = entries.remove(0);
    let payload = payload(&entry.manifest).expect("a manifest");
    let manifest = serde_json::from_str(&payload).expect("a manifest");
    (entry, manifest)
}

#[tokio::test]
async fn the_descriptor_says_who_we_are_and_where_to_ask() {
    let node = Member::start(1).await;
    node.states(&[]).await;
    node.until_signed().await;
    let answer = node.request(Method::GET, DESCRIPTOR).send().await;
    let descriptor: Descriptor = serde_json::from_value(answer.ok(JSON)).expect("a descriptor");
    assert_eq!(descriptor.domain.as_str(), "isp-a");
    assert_eq!(descriptor.directory, format!("{}/directory", node.url));
    assert_eq!(descriptor.s2s, format!("{}/s2s/v1/", node.url));
    assert_eq!(descriptor.keys.len(), 1);
    let again = asked(&node, DESCRIPTOR, Some(answer.header("etag"))).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
}

#[tokio::test]
async fn directories_announce_the_descriptor_to_whoever_asks() {
    let more = "[access]\nquery = \"token\"\n";
    let node = Member::with(1, Clock::system(), more).await;
    let place = format!("{}/s2s/v1/descriptor", node.url);
    let link = format!("<{place}>; rel=\"alto-federation\"");
    let root = node.get("/directory").await;
    for path in ["/directory", "/views/isp-a/directory"] {
        let answer = node.get(path).await;
        assert_eq!(answer.json()["meta"]["alto-federation"], place.as_str());
        assert_eq!(answer.header("link"), link);
        let head = node.request(Method::HEAD, path).token(OPS).send().await;
        assert_eq!(head.header("link"), link);
    }
    let known = node.request(Method::GET, "/directory").token(OPS);
    let known = known.header("if-none-match", root.header("etag"));
    let known = known.send().await;
    assert_eq!((known.status.as_u16(), known.header("link")), (304, &*link));
    // A caller that may not read it learns that, but not which views exist.
    for path in [
        "/directory",
        "/views/isp-a/directory",
        "/views/isp-x/directory",
    ] {
        let refused = node.request(Method::GET, path).send().await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("link")),
            (401, &*link)
        );
    }
    let there = node.request(Method::GET, "/s2s/v1/descriptor").send().await;
    let known = node.request(Method::GET, DESCRIPTOR).send().await;
    assert_eq!(there.ok(JSON), known.ok(JSON));
}

#[tokio::test]
async fn manifests_that_are_known_cost_a_304_until_something_changes() {
    let node = Member::start(1).await;
    node.states(&[]).await;
    node.until_signed().await;
    let first = asked(&node, MANIFESTS, None).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let again = asked(&node, MANIFESTS, Some(&tag)).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let (entry, before) = manifest(&node).await;
    assert_eq!(entry.serial, before.serial);
    node.costs(0.5).await;
    node.until_signed().await;
    let changed = asked(&node, MANIFESTS, Some(&tag)).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
    let (_, after) = manifest(&node).await;
    assert!(after.serial > before.serial);
    assert_eq!(after.next_update.duration_since(after.issued).as_hours(), 6);
}

#[tokio::test]
async fn every_document_of_a_manifest_is_there_by_its_digest_and_as_a_get_returns_it() {
    let node = Member::start(1).await;
    node.states(&[]).await;
    node.until_signed().await;
    let (_, manifest) = manifest(&node).await;
    assert!(manifest.resources.len() > 4, "{manifest:?}");
    for resource in &manifest.resources {
        let path = format!("/s2s/v1/blobs/{}", resource.sha_256);
        let document = asked(&node, &path, None).await;
        assert_eq!(document.status, 200, "{document:?}");
        assert_eq!(Digest::of(&document.body), resource.sha_256);
        assert_eq!(document.body.len() as u64, resource.length);
        assert_eq!(document.header("content-type"), resource.media_type);
        assert!(document.header("cache-control").contains("immutable"));
        assert!(!document.header("etag").is_empty());
        let (_, name) = resource
            .resource_id
            .as_str()
            .split_once(':')
            .expect("an id");
        let got = node.get(&format!("/views/isp-a/{name}")).await;
        assert_eq!(got.body, document.body, "{name}");
        assert!(
            got.header("etag").contains(resource.tag.as_str()),
            "{got:?}"
        );
    }
    // A document that the last manifest no longer names is there for readers of the manifest
    // before.
    node.costs(0.5).await;
    node.until_signed().await;
    for resource in &manifest.resources {
        let path = format!("/s2s/v1/blobs/{}", resource.sha_256);
        let document = asked(&node, &path, None).await;
        assert_eq!(document.status, 200, "{}", resource.resource_id);
        assert_eq!(Digest::of(&document.body), resource.sha_256);
    }
}

#[tokio::test]
async fn what_no_manifest_names_is_not_found_and_other_methods_are_not_allowed() {
    let node = Member::start(1).await;
    for digest in ["00".repeat(32), "x".to_owned(), "AB".repeat(32)] {
        let path = format!("/s2s/v1/blobs/{digest}");
        asked(&node, &path, None).await.problem(404, &[]);
    }
    for path in [
        DESCRIPTOR,
        "/s2s/v1/descriptor",
        MANIFESTS,
        "/s2s/v1/peers",
        "/s2s/v1/conflicts",
        "/s2s/v1/blobs/00",
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let answer = node.request(method, path).token(OPS).send().await;
            assert_eq!(answer.status, 405, "{path}: {answer:?}");
            assert!(answer.header("allow").contains("GET"), "{answer:?}");
        }
    }
    let forget = "/s2s/v1/domains/isp-b/forget-key";
    assert_eq!(node.get(forget).await.status, 405);
    // A peer is no operator.
    for path in ["/s2s/v1/peers", "/s2s/v1/conflicts"] {
        assert_eq!(asked(&node, path, None).await.status, 403);
        let nobody = node.request(Method::GET, path).send().await;
        assert_eq!(nobody.status, 401);
    }
}

/// The body of a peer's request to open an update stream: it counts as a mebibyte and never
/// ends.
fn asks(node: &Member, peer: u8) -> Task<()> {
    let come = stream::iter([Ok::<_, Infallible>("x".repeat(1 << 18))]);
    let endless = reqwest::Body::wrap_stream(come.chain(stream::pending()));
    let request = node.request(Method::POST, "/s2s/v1/updates");
    let request = request.token(&secret(2, peer)).typed(UPDATES, endless);
    Task::spawn("asks", async move {
        let answer = request.begin().await;
        panic!("{answer:?}");
    })
}

/// A document that is larger than the rest of a peer's share is passed on, and read as it is
/// taken. A peer whose share is used up, and that waits for what we would write for it, does not
/// keep others from what is on the disk.
#[tokio::test]
async fn a_document_is_passed_on_however_little_of_a_share_is_left() {
    let keys = [key(), key()];
    let mut says = Says::sound(1);
    says.cost_map += &" ".repeat(3 << 20);
    let signed = says.signed(&keys[0]);
    let of_a = Rogue::start(1, &keys[0]).await;
    of_a.passes(from_ref(&signed));
    let of_c = Rogue::start(3, &keys[1]).await;
    let limits = "[limits]\nrequests_per_second = 0\nmax_bytes_per_client = 8388608\n\
                  max_wait = \"1h\"\n[publish]\ncache_bytes = 0\n";
    let mut b = Member::with(2, Clock::system(), limits).await;
    b.states(&[]).await;
    let exporting = |peer, base| Join {
        export: "*",
        ..Join::to(peer, base)
    };
    b.join([
        Join::to(1, &of_a.url),
        exporting(3, &of_c.url),
        exporting(4, &of_c.url),
    ]);
    b.until_cost(1, Some(inside(1))).await;
    b.until_signed().await;
    let (resource, body) = &signed.bodies[1];
    let get = async |peer| {
        let request = b.request(Method::GET, &blob(resource));
        request.token(&secret(2, peer)).send().await
    };
    let bytes = async |held: u64| {
        let held_now = async || {
            let metrics = b.request(Method::GET, "/metrics").token(OPS).send().await;
            metric(metrics.text(), "altofed_http_answer_bytes")
        };
        soon(async {
            while held_now().await != held as f64 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    let mut held: Vec<Task<()>> = (0..6).map(|_| asks(&b, 3)).collect();
    bytes(6 << 20).await;
    let passed = get(3).await;
    assert_eq!(passed.status, 200, "{passed:?}");
    assert!(passed.body == *body);
    bytes(6 << 20).await;
    held.extend((0..2).map(|_| asks(&b, 3)));
    bytes(8 << 20).await;
    let (_, ours) = manifest(&b).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let path = blob(&ours.resources[0]);
            let request = b.request(Method::GET, &path).token(&secret(2, 3));
            Task::spawn("waits", async move { drop(request.send().await) })
        })
        .collect();
    let other = soon(get(4)).await;
    assert!(other.status == 200 && other.body == *body);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
}
