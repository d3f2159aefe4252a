//! Tests that what is kept is what is read, and that what is not kept goes.

use super::*;
use crate::federation::manifest::Highest;
use crate::federation::testing::{at, label, small_store};

const TAKES: Amount = Amount { memory: 7, disk: 9 };

fn name() -> CopyName {
    CopyName {
        sender: label("isp-b"),
        domain: label("isp-c"),
    }
}

/// Returns an unsigned manifest that names one body.
fn manifest(serial: u64, body: &[u8]) -> Bytes {
    let text = serde_json::json!({
        "domain": "isp-c", "serial": serial, "scope": "any", "keys": [],
        "issued": at(0), "next-update": at(6), "interconnects": {},
        "resources": [{
            "resource-id": "isp-c:networkmap", "tag": "t",
            "media-type": "application/alto-networkmap+json",
            "length": body.len(), "sha-256": Digest::of(body),
        }],
    });
    text.to_string().into()
}

async fn keep(archive: &Archive, serial: u64) {
    let body = serial.to_string().into_bytes();
    let text = manifest(serial, &body);
    let copy = NewCopy {
        path: vec![label("isp-c"), label("isp-b")],
        manifest: text,
        signed: false,
        takes: TAKES,
        documents: vec![body.into()],
    };
    archive.keep_copy(&name(), copy).await.expect("kept");
}

#[tokio::test]
async fn facts_are_as_they_were_after_a_restart() {
    let (_directory, store) = small_store();
    let (archive, kept) = Archive::open(&store).await.expect("opened");
    assert_eq!(kept.serial, 0);
    archive.keep_serial(9).await.expect("kept");
    let mark = Mark {
        highest: Highest {
            serial: 7,
            payload: Digest::of(b"x"),
            until: at(6),
        },
        by: Some(label("isp-b")),
    };
    let c = label("isp-c");
    let name = MarkName {
        domain: c.clone(),
        kid: "kid".to_owned(),
    };
    archive.keep_mark(&name, &mark).await.expect("kept");
    let key = crate::federation::SigningKey::generate().expect("a key");
    let ring = crate::federation::Keyring::new(key, Vec::new());
    let set = KeySet::of(&ring.documents(at(0))).expect("few");
    let keys = KnownKeys {
        direct: set.clone(),
        vouched: BTreeMap::from([(label("isp-b"), set)]),
    };
    let none = KnownKeys::default();
    archive.keep_keys(&c, &none, &keys).await.expect("kept");
    let peer = PeerRow {
        synced: at(1),
        protocol: SpokenProtocol::Alto,
    };
    archive
        .keep_peer(&label("isp-b"), &peer)
        .await
        .expect("kept");

    let (archive, kept) = Archive::open(&store).await.expect("opened");
    assert_eq!(kept.serial, 9);
    assert_eq!(kept.marks, [(name.clone(), mark)]);
    archive.drop_marks(&[name]).await.expect("dropped");
    assert_eq!(kept.keys[&c], keys);
    assert_eq!(kept.peers[&label("isp-b")], peer);
    archive.keep_keys(&c, &keys, &none).await.expect("kept");
    let (_, kept) = Archive::open(&store).await.expect("opened");
    assert!(kept.keys.is_empty() && kept.marks.is_empty());
}

#[tokio::test]
async fn the_bodies_of_the_last_four_manifests_are_kept_and_no_others() {
    let (_directory, store) = small_store();
    let (archive, _) = Archive::open(&store).await.expect("opened");
    for serial in 1..=6 {
        keep(&archive, serial).await;
    }
    // A manifest that is kept again does not count twice.
    keep(&archive, 6).await;
    let (archive, _) = Archive::open(&store).await.expect("opened");
    let mut found = Vec::new();
    for serial in 1..=6_u64 {
        let digest = Digest::of(serial.to_string().as_bytes());
        let named = archive.named(&digest).await.expect("read");
        let blob = archive.blob(&digest).await.expect("read");
        assert_eq!(
            named.first().map(|(name, _)| name.clone()),
            blob.as_ref().map(|_| name())
        );
        found.extend(blob.map(|_| serial));
    }
    assert_eq!(found, [3, 4, 5, 6]);
    let copies = archive
        .kept_copies(&label("isp-b"), |_| true)
        .await
        .expect("read");
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].manifest, manifest(6, b"6"));
    assert_eq!(copies[0].path, [label("isp-c"), label("isp-b")]);
    assert_eq!(archive.takes().await, BTreeMap::from([(name(), TAKES)]));
}

#[tokio::test]
async fn what_a_copy_named_goes_with_it() {
    let (_directory, store) = small_store();
    let (archive, _) = Archive::open(&store).await.expect("opened");
    keep(&archive, 1).await;
    archive.retain(|_| true, |_| true).await.expect("kept");
    let blob = archive.blob(&Digest::of(b"1")).await.expect("read");
    assert!(blob.is_some());
    let has = |kept: &CopyName| *kept != name();
    archive.retain(has, |_| true).await.expect("dropped");
    let kept = archive
        .kept_copies(&label("isp-b"), |_| true)
        .await
        .expect("read");
    assert!(kept.is_empty());
    let blob = archive.blob(&Digest::of(b"1")).await.expect("read");
    assert_eq!(blob, None);
}

#[tokio::test]
async fn what_is_taken_while_it_is_to_be_dropped_stays() {
    let (_directory, store) = small_store();
    let (archive, _) = Archive::open(&store).await.expect("opened");
    keep(&archive, 1).await;
    // The copy is gone when the sweep begins, and is here again when the sweep reaches it.
    let asked = std::cell::Cell::new(0);
    let has = |_: &CopyName| asked.replace(asked.get() + 1) > 0;
    archive.retain(has, |_| true).await.expect("kept");
    let kept = archive
        .kept_copies(&label("isp-b"), |_| true)
        .await
        .expect("read");
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn what_is_loose_is_dropped_later_if_it_cannot_be_now() {
    let (_directory, store) = small_store();
    let (archive, _) = Archive::open(&store).await.expect("opened");
    keep(&archive, 1).await;
    // One was written by a call that went no further, and one by a call that did.
    let left = archive.blobs.put("left".into()).await.expect("put");
    let kept = Digest::of(b"1");
    archive.copies.lock().await.loose = vec![left, kept];
    archive.retain(|_| true, |_| true).await.expect("swept");
    assert_eq!(archive.blob(&left).await.expect("read"), None);
    assert!(archive.blob(&kept).await.expect("read").is_some());
    assert!(archive.copies.lock().await.loose.is_empty());
}
