//! Lists that a peer can make long are shown in part, with the number of the rest.

use altofed::api::s2s::{ManifestEntry, PeerList, PeerState, PeerStatus};
use altofed::ident::DomainLabel;

use super::member::{Join, Member};
use super::rogue::{Rogue, Says, Signed, key};
use super::site::domain_of;
use crate::support::{OPS, command};

/// A domain of which nothing can be used.
fn junk(number: usize) -> Signed {
    let labels = [format!("x-{number}"), "isp-b".to_owned()];
    let path = labels.map(|label| DomainLabel::new(&label).expect("a label"));
    Signed {
        entry: ManifestEntry {
            domain: path[0].clone(),
            serial: 1,
            path: path.into(),
            manifest: "no manifest".to_owned(),
        },
        bodies: Vec::new(),
    }
}

#[tokio::test]
async fn ten_thousand_unknown_resources_are_counted_and_twenty_listed() {
    let own = key();
    let rogue = Rogue::start(2, &own).await;
    let says = Says {
        unknown: 10_000,
        ..Says::sound(2)
    };
    rogue.passes(&[says.signed(&own)]);
    let mut a = Member::start(1).await;
    a.join([Join::to(2, &rogue.url)]);
    let domain = a.until_domain(2, 2, PeerState::Synced, "").await;
    assert_eq!((domain.ignored.len(), domain.ignored_total), (20, 10_000));
    let status = a.get("/s2s/v1/peers").await;
    assert!(status.body.len() < 10_000, "{} bytes", status.body.len());
}

#[tokio::test]
async fn of_many_domains_a_hundred_are_listed_the_peers_own_first_and_each_when_asked_for() {
    const JUNK: usize = 150;
    let own = key();
    let rogue = Rogue::start(2, &own).await;
    let mut all: Vec<Signed> = (0..JUNK).map(junk).collect();
    all.push(Says::sound(2).signed(&own));
    rogue.passes(&all);
    let mut a = Member::start(1).await;
    a.join([Join::to(2, &rogue.url)]);
    let whole = |peer: &PeerStatus| peer.domains_total == JUNK + 1 && domain_of(peer, 2).is_some();
    let peer = a.until(2, "read whole", whole).await;
    assert_eq!(peer.domains.len(), 100);
    let last = format!("x-{}", JUNK - 1);
    let one: PeerList = a.read(&format!("/s2s/v1/peers?domain={last}")).await;
    let shown: Vec<&str> = one.peers[0]
        .domains
        .iter()
        .map(|it| it.domain.as_str())
        .collect();
    assert_eq!(
        (shown, one.peers[0].domains_total),
        (vec![&*last], JUNK + 1)
    );
    a.request(reqwest::Method::GET, "/s2s/v1/peers?domain=a/b")
        .token(OPS)
        .send()
        .await
        .problem(400, &[]);

    let url = a.url.clone();
    let printed = async |words: Vec<String>| {
        let url = url.clone();
        let run = move || {
            let mut command = command(words);
            command.args(["--url", &url, "--token-env", "ALTOFED_OPS"]);
            command.env("ALTOFED_OPS", OPS).output().expect("it runs")
        };
        let output = tokio::task::spawn_blocking(run).await.expect("no panic");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let peers = printed(vec!["peers".to_owned()]).await;
    assert!(peers.contains("and 51 more"), "{peers}");
    let found = printed(vec!["peer".to_owned(), last.clone()]).await;
    assert!(found.contains(&format!("domain {last} by")), "{found}");
}
