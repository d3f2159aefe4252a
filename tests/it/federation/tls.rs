//! Peers over TLS: each trusts the authorities that are configured for the other, and identifies
//! it by its certificate.

use std::path::{Path, PathBuf};
use std::slice::from_ref;

use altofed::api::s2s::{ManifestEntry, PeerState};
use rcgen::{CertificateParams, date_time_ymd};
use reqwest::Method;
use tempfile::TempDir;

use super::links::{Link, inside, label, shortest};
use super::member::{Join, Member};
use super::rogue::{Rogue, Says, blob, key};
use super::site::domain_of;
use crate::support::certificates::{Authority, Identity, authority, client};
use crate::support::{Answer, Request};

const LINK: [Link; 1] = [Link(1, 2)];

/// The address at which nodes are reached.
const HERE: &str = "127.0.0.1";

/// An authority, with files of what it issued.
struct Issuer {
    files: TempDir,
    authority: Authority,
}

impl Issuer {
    fn new() -> Self {
        let issuer = Self {
            files: TempDir::new().expect("a directory"),
            authority: authority("ours"),
        };
        issuer.publish(&issuer.authority);
        issuer
    }

    /// Returns the file of the authorities to trust.
    fn cacert(&self) -> PathBuf {
        self.files.path().join("ca.pem")
    }

    /// Writes an authority to that file, and no other.
    fn publish(&self, authority: &Authority) {
        std::fs::write(self.cacert(), authority.pem()).expect("a file");
    }

    /// Returns the directory of the certificate of a domain.
    fn directory(&self, number: u8) -> PathBuf {
        let directory = self.files.path().join(label(number));
        std::fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    /// Writes a certificate for the addresses of nodes to the files of a domain.
    fn issue(&self, number: u8) -> Identity {
        let identity = Identity::new(&self.authority, &[HERE]);
        identity.write(&self.directory(number));
        identity
    }

    /// Starts the node of a domain, which shows the certificate in these files.
    async fn node(&self, number: u8) -> Member {
        let tls = served(&self.directory(number), "");
        Member::secured(number, &tls, client(&self.authority, None)).await
    }

    /// Returns the keys for a peer that this authority vouches for.
    fn believed(&self) -> String {
        format!(
            "cacert = {:?}\nrefresh.interval = \"100ms\"\n",
            self.cacert()
        )
    }
}

/// Returns the key of `[node]` for the certificate in a directory.
fn served(directory: &Path, more: &str) -> String {
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    format!("tls = {{ cert = {cert:?}, key = {key:?}{more} }}\n")
}

/// Returns a peer with these keys.
fn by<'a>(more: &'a str, peer: u8, base: &'a str) -> Join<'a> {
    Join {
        more,
        ..Join::to(peer, base)
    }
}

#[tokio::test]
async fn peers_that_believe_each_others_certificates_see_each_others_domains() {
    let issuer = Issuer::new();
    issuer.issue(1);
    issuer.issue(2);
    let (mut a, mut b) = (issuer.node(1).await, issuer.node(2).await);
    assert!(a.url.starts_with("https://") && b.url.starts_with("https://"));
    a.states(&LINK).await;
    b.states(&LINK).await;
    a.until_signed().await;
    b.until_signed().await;
    let more = issuer.believed();
    a.join([by(&more, 2, &b.url)]);
    b.join([by(&more, 1, &a.url)]);
    a.until_cost(2, Some(inside(2))).await;
    b.until_cost(1, Some(inside(1))).await;
    let agreed = Some(shortest(&[1, 2], &LINK));
    assert_eq!(a.costs_of("merged").await, agreed);
    assert_eq!(b.costs_of("merged").await, agreed);
    a.until_state(2, PeerState::Synced, "").await;
    b.until_state(1, PeerState::Synced, "").await;
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_fails_the_peer_with_a_reason_that_names_it() {
    let issuer = Issuer::new();
    let over = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let wrong = [
        (
            2,
            "UnknownIssuer",
            Identity::new(&authority("another"), &[HERE]),
        ),
        (
            3,
            "not valid for name",
            Identity::new(&issuer.authority, &["alto.isp-b.example"]),
        ),
        (
            4,
            "expired",
            Identity::with(&issuer.authority, &[HERE], over),
        ),
    ];
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let before = a.own_answers().await;
    let mut peers = Vec::new();
    for (number, _, identity) in &wrong {
        identity.write(&issuer.directory(*number));
        let mut peer = issuer.node(*number).await;
        peer.join([Join::to(1, &a.url)]);
        peers.push(peer);
    }
    let more = issuer.believed();
    let joins = peers.iter().map(|peer| by(&more, peer.number, &peer.url));
    a.join(joins);
    for (number, words, _) in &wrong {
        let peer = a.until_state(*number, PeerState::Failed, "transport").await;
        let reason = peer.reason.expect("a reason").detail;
        assert!(reason.contains("certificate"), "{reason}");
        assert!(reason.contains(words), "{reason}");
        assert!(!a.has(*number).await);
    }
    assert_eq!(a.own_answers().await, before);

    // With a valid certificate all is well.
    for peer in &mut peers {
        issuer.issue(peer.number);
        peer.nudge();
        peer.states(&[]).await;
    }
    a.nudge();
    for (number, _, _) in &wrong {
        a.until_state(*number, PeerState::Synced, "").await;
        a.until_cost(*number, Some(inside(*number))).await;
    }
    assert_eq!(a.own_answers().await, before);
}

#[tokio::test]
async fn a_peer_whose_certificate_no_longer_holds_is_not_asked_and_what_it_gave_stays() {
    let issuer = Issuer::new();
    issuer.issue(2);
    let mut b = issuer.node(2).await;
    b.states(&LINK).await;
    b.until_signed().await;
    let mut a = Member::start(1).await;
    a.states(&LINK).await;
    let (before, more) = (a.own_answers().await, issuer.believed());
    b.join([Join::to(1, &a.url)]);
    a.join([by(&more, 2, &b.url)]);
    a.until_cost(2, Some(inside(2))).await;
    a.until_state(2, PeerState::Synced, "").await;
    let merged = a.costs_of("merged").await;

    // Whoever has its address now, it is not the peer.
    b.stop().await;
    let forged = Identity::new(&authority("another"), &[HERE]);
    forged.write(&issuer.directory(2));
    b.start_again().await;
    // It may have been asked while nothing listened there.
    let peer = loop {
        a.nudge();
        let peer = a.until_state(2, PeerState::Failed, "transport").await;
        let reason = peer.reason.as_ref().map(|reason| reason.detail.as_str());
        if reason.is_some_and(|text| text.contains("certificate")) {
            break peer;
        }
    };
    assert!(domain_of(&peer, 2).is_some_and(|domain| domain.used));
    assert_eq!(a.costs_of("merged").await, merged);
    assert_eq!(a.own_answers().await, before);

    issuer.issue(2);
    b.nudge();
    a.nudge();
    a.until_state(2, PeerState::Synced, "").await;
}

/// A peer that is identified by its certificate: no token is shown to it, and none is accepted
/// from it.
fn bound(number: u8, base: &str, shown: &Path, fingerprint: &str, more: &str) -> String {
    let (cert, key) = (shown.join("cert.pem"), shown.join("key.pem"));
    let domain = label(number);
    format!(
        "[[peer]]\ndomain = {domain:?}\ndirectory = \"{base}/directory\"\n\
         allow_private_addresses = true\nclient_cert = {{ cert = {cert:?}, key = {key:?} }}\n\
         client_cert_sha256 = {fingerprint:?}\nimport.domains = [\"*\"]\n{more}\n"
    )
}

/// Gets a path with this certificate, or with none.
async fn asked(issuer: &Issuer, identity: Option<&Identity>, node: &Member, path: &str) -> Answer {
    let http = client(&issuer.authority, identity);
    let url = format!("{}{path}", node.url);
    Request::to(&http, Method::GET, &url).send().await
}

/// Returns the labels of the domains that are passed to the holder of this certificate.
async fn passed(issuer: &Issuer, identity: &Identity, node: &Member) -> Vec<String> {
    let answer = asked(issuer, Some(identity), node, "/s2s/v1/manifests").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let entries: Vec<ManifestEntry> = serde_json::from_slice(&answer.body).expect("entries");
    let domains = entries.into_iter().map(|entry| entry.domain.to_string());
    domains.collect()
}

/// Three domains without any token between them: `isp-b` passes everything to `isp-a`, and its
/// own domain to `isp-d`. It gets `isp-c` from a node that asks for no credentials.
struct Bound {
    issuer: Issuer,
    identities: [Identity; 3],
    a: Member,
    b: Member,
    d: Member,
    /// Returns the section of `isp-c`.
    of_c: String,
}

impl Bound {
    async fn start(c: &Rogue) -> Self {
        let issuer = Issuer::new();
        let identities = [1, 2, 4].map(|number| issuer.issue(number));
        let node = async |number| {
            let client_ca = format!(", client_ca = {:?}", issuer.cacert());
            let tls = served(&issuer.directory(number), &client_ca);
            let node = Member::secured(number, &tls, client(&issuer.authority, None)).await;
            node.states(&[]).await;
            node.until_signed().await;
            node
        };
        let (a, b, d) = (node(1).await, node(2).await, node(4).await);
        let of_c = format!(
            "[[peer]]\ndomain = \"isp-c\"\ndirectory = \"{}/directory\"\n\
             allow_private_addresses = true\n",
            c.url
        );
        let mut bound = Self {
            issuer,
            identities,
            a,
            b,
            d,
            of_c,
        };
        let known = bound.identities[0].fingerprint();
        bound.binds(&known);
        let shown_by_b = bound.identities[1].fingerprint();
        for member in [&mut bound.a, &mut bound.d] {
            let shown = bound.issuer.directory(member.number);
            let more = bound.issuer.believed();
            let of_b = self::bound(2, &bound.b.url, &shown, &shown_by_b, &more);
            member.join_under(&of_b, []);
        }
        bound.b.nudge();
        bound
    }

    /// Makes `isp-b` identify `isp-a` by this certificate.
    fn binds(&mut self, of_a: &str) {
        let shown = self.issuer.directory(2);
        let of_d = self.identities[2].fingerprint();
        let section = |member: &Member, fingerprint: &str, domains: &str| {
            let more = format!("{}export.domains = [{domains:?}]\n", self.issuer.believed());
            bound(member.number, &member.url, &shown, fingerprint, &more)
        };
        let sections = [
            section(&self.a, of_a, "*"),
            section(&self.d, &of_d, "own"),
            self.of_c.clone(),
        ];
        self.b.join_under(&sections.concat(), []);
    }
}

#[tokio::test]
async fn a_caller_known_by_its_certificate_gets_what_is_exported_to_it_and_others_nothing() {
    let of_c = key();
    let c = Rogue::start(3, &of_c).await;
    let signed = Says::sound(3).signed(&of_c);
    c.passes(from_ref(&signed));
    let mut all = Bound::start(&c).await;
    for number in [1, 3, 4] {
        all.b.until_cost(number, Some(inside(number))).await;
    }
    for number in [2, 3, 4] {
        all.a.until_cost(number, Some(inside(number))).await;
    }
    all.d.until_cost(2, Some(inside(2))).await;
    all.d.until_state(2, PeerState::Synced, "").await;
    assert!(!all.d.has(3).await && !all.d.has(1).await);

    let (issuer, [of_a, _, of_d]) = (&all.issuer, &all.identities);
    assert_eq!(
        passed(issuer, of_a, &all.b).await,
        ["isp-b", "isp-c", "isp-d"]
    );
    assert_eq!(passed(issuer, of_d, &all.b).await, ["isp-b"]);
    let document = blob(&signed.bodies[1].0);
    let stranger = Identity::new(&issuer.authority, &[HERE]);
    for (identity, status) in [
        (Some(of_a), 200),
        (Some(of_d), 404),
        (Some(&stranger), 401),
        (None, 401),
    ] {
        let found = asked(issuer, identity, &all.b, &document).await;
        assert_eq!(found.status, status, "{found:?}");
    }
    for identity in [Some(&stranger), None] {
        for path in ["manifests", "peers", "conflicts"] {
            let path = format!("/s2s/v1/{path}");
            let refused = asked(issuer, identity, &all.b, &path).await;
            refused.problem(401, &[]);
        }
    }
    // It may do only what it is bound for.
    let refused = asked(issuer, Some(of_a), &all.b, "/s2s/v1/peers").await;
    refused.problem(403, &[]);

    // Another certificate is isp-a's: the holder of the former one is nobody.
    let before = all.a.own_answers().await;
    all.binds(&stranger.fingerprint());
    let peer = all.a.until_state(2, PeerState::Failed, "status").await;
    let reason = peer.reason.expect("a reason").detail;
    assert!(reason.contains("401"), "{reason}");
    assert_eq!(all.a.cost_inside(3).await, Some(inside(3)));
    assert_eq!(all.a.own_answers().await, before);
    all.d.until_state(2, PeerState::Synced, "").await;

    // It has that certificate in its file, and reads it again.
    stranger.write(&all.issuer.directory(1));
    all.a.nudge();
    all.a.until_state(2, PeerState::Synced, "").await;
}

#[tokio::test]
async fn the_authorities_of_a_peer_are_read_again_on_a_reload() {
    let issuer = Issuer::new();
    issuer.issue(2);
    let mut b = issuer.node(2).await;
    b.states(&[]).await;
    let mut a = Member::start(1).await;
    a.states(&[]).await;
    let more = issuer.believed();
    b.join([Join::to(1, &a.url)]);
    a.join([by(&more, 2, &b.url)]);
    a.until_state(2, PeerState::Synced, "").await;

    let renewed = authority("its successor");
    Identity::new(&renewed, &[HERE]).write(&issuer.directory(2));
    b.stop().await;
    b.start_again().await;
    a.until_state(2, PeerState::Failed, "transport").await;
    issuer.publish(&renewed);
    a.nudge();
    a.until_state(2, PeerState::Synced, "").await;

    // The former ones no longer count.
    issuer.publish(&issuer.authority);
    a.nudge();
    a.until_state(2, PeerState::Failed, "transport").await;
}
