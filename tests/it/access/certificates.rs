//! Callers that are identified by their TLS client certificate.

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::peer::soon;
use crate::support::certificates::{self, Authority, Identity, authority, client};
use crate::support::events::UPDATES;
use crate::support::{CDN, NOC, TestNode};

/// A node with TLS; this certificate identifies the principal `collector`.
async fn node(files: &TempDir, authority: &Authority, collector: &Identity) -> TestNode {
    Identity::new(authority, &["127.0.0.1"]).write(files.path());
    std::fs::write(files.path().join("ca.pem"), authority.pem()).expect("a file");
    let path = |file: &str| files.path().join(file);
    let (cert, key, ca) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
    let fingerprint = collector.fingerprint();
    TestNode::with(&format!(
        "tls = {{ cert = {cert:?}, key = {key:?}, client_ca = {ca:?} }}\n\
         [[token]]\nname = \"collector\"\nclient_cert_sha256 = \"{fingerprint}\"\n\
         scopes = [\"ingest\"]\n"
    ))
    .await
}

#[tokio::test]
async fn a_client_certificate_makes_a_caller_a_principal() {
    let (files, authority) = (TempDir::new().expect("a directory"), authority("ours"));
    let (known, stranger) = (
        Identity::new(&authority, &["collector"]),
        Identity::new(&authority, &["stranger"]),
    );
    let node = node(&files, &authority, &known).await;
    assert!(node.url.starts_with("https://127.0.0.1:"), "{}", node.url);
    let put = |client: &reqwest::Client| {
        let request = node.request_by(client, Method::PUT, "/n2s/v1/network-map");
        request.typed("application/json", "{\"network-map\":{\"ams\":{}}}")
    };

    let collector = client(&authority, Some(&known));
    assert_eq!(put(&collector).send().await.status, 201);
    let revision = node.request_by(&collector, Method::GET, "/n2s/v1/revisions/1");
    assert_eq!(revision.send().await.json()["principal"], "collector");
    // A token takes precedence over the certificate, even if it is wrong.
    let shown = put(&collector).token(NOC).send().await;
    assert_eq!(shown.status, 201, "{shown:?}");
    assert_eq!(put(&collector).token(CDN).send().await.status, 403);
    let wrong = put(&collector).token("no-such-token-0123").send().await;
    assert_eq!(wrong.status, 401);

    // Without a listed certificate the caller is nobody.
    for nobody in [
        client(&authority, Some(&stranger)),
        client(&authority, None),
    ] {
        assert_eq!(put(&nobody).send().await.status, 401);
        let map = node.request_by(&nobody, Method::GET, "/views/merged/networkmap");
        assert_eq!(map.send().await.status, 200);
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_not_believed_is_refused() {
    let (files, authority) = (TempDir::new().expect("a directory"), authority("ours"));
    let known = Identity::new(&authority, &["collector"]);
    let node = node(&files, &authority, &known).await;
    let other = certificates::authority("another");
    let forged = client(&authority, Some(&Identity::new(&other, &["collector"])));
    let url = format!("{}/views/merged/networkmap", node.url);
    assert!(forged.get(&url).send().await.is_err());
    assert!(client(&authority, None).get(&url).send().await.is_ok());
}

#[tokio::test]
async fn a_stream_ends_with_the_certificate_that_opened_it() {
    let (files, authority) = (TempDir::new().expect("a directory"), authority("ours"));
    let known = Identity::new(&authority, &["collector"]);
    let mut node = node(&files, &authority, &known).await;
    let collector = client(&authority, Some(&known));
    let map = "{\"network-map\":{\"ams\":{}}}";
    let put = node.request_by(&collector, Method::PUT, "/n2s/v1/network-map");
    assert_eq!(put.typed("application/json", map).send().await.status, 201);
    let open = |caller: &reqwest::Client| {
        let add = json!({"add": {"map": {"resource-id": "isp-a:networkmap"}}}).to_string();
        let request = node.request_by(caller, Method::POST, "/views/isp-a/updates");
        request.typed(UPDATES, add).open()
    };
    let nobody = client(&authority, None);
    let (mut shown, mut plain) = (open(&collector).await, open(&nobody).await);
    for events in [&mut shown, &mut plain] {
        events.next_of("map").await;
    }
    let path = |file: &str| files.path().join(file);
    let (cert, key, ca) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
    std::fs::write(&ca, certificates::authority("another").pem()).expect("a file");
    let config = node.config_with(&format!(
        "tls = {{ cert = {cert:?}, key = {key:?}, client_ca = {ca:?} }}\n"
    ));
    node.node().reload(config).expect("sound files");
    soon(shown.broken()).await;
    let map = json!({"network-map": {"fra": {}}});
    let put = node.request_by(&nobody, Method::PUT, "/n2s/v1/network-map");
    let put = put.token(NOC).typed("application/json", map.to_string());
    assert_eq!(put.send().await.status, 201);
    assert_eq!(plain.next().await.expect("an event").substream, "map");
}

#[tokio::test]
async fn a_new_certificate_is_taken_by_a_reload() {
    let (files, authority) = (TempDir::new().expect("a directory"), authority("ours"));
    let known = Identity::new(&authority, &["collector"]);
    let mut node = node(&files, &authority, &known).await;
    let path = |file: &str| files.path().join(file);
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let config = node.config_with(&format!("tls = {{ cert = {cert:?}, key = {key:?} }}\n"));
    let trusted = certificates::authority("another");
    Identity::new(&trusted, &["127.0.0.1"]).write(files.path());
    node.node().reload(config.clone()).expect("sound files");
    let url = format!("{}/livez", node.url);
    assert!(client(&authority, None).get(&url).send().await.is_err());
    assert!(client(&trusted, None).get(&url).send().await.is_ok());

    std::fs::write(&cert, "no certificate").expect("a file");
    let refused = node.node().reload(config).expect_err("no certificate");
    assert!(refused.to_string().contains("node.tls.cert"), "{refused}");
    assert!(client(&trusted, None).get(&url).send().await.is_ok());
}
