//! Tests who gets what, and how much work a change makes.

use proptest::prelude::*;

use crate::api::s2s::Scope;
use crate::facts::Interconnects;
use crate::federation::copies::{CopyName, NewCopy, SignedManifest};
use crate::federation::manifest::{Issued, Signed, Signer, Statement, content_digest, resources};
use crate::federation::settings::Domains;
use crate::federation::testing::{
    at, domain_view, domain_view_with, label, peer, settings, small_store,
};
use crate::federation::{Keyring, SigningKey};
use crate::runtime::Task;
use crate::runtime::testing::soon;

use super::*;

fn statement(view: &Arc<View>, domain: &str, scope: &Scope) -> (Arc<Issued>, Signer) {
    let ring = Keyring::new(SigningKey::generate().expect("a key"), Vec::new());
    let statement = Statement {
        off_net: &Default::default(),
        domain: &label(domain),
        resources: resources(view),
        interconnects: &Interconnects::new(),
        scope,
        keys: ring.documents(at(0)),
    };
    let Signed {
        manifest,
        text,
        fingerprint,
    } = statement.sign(1, at(0), ring.signer(at(0)));
    let issued = Issued {
        manifest,
        text,
        fingerprint,
        view: view.clone(),
    };
    let signer = Signer {
        key: *ring.signer(at(0)).public(),
        trust: crate::api::s2s::KeyTrust::Direct,
    };
    (Arc::new(issued), signer)
}

fn imported(path: &[&str], scope: Scope) -> (DomainLabel, Arc<DomainCopy>) {
    let view = domain_view(path[0]);
    let (issued, signer) = statement(&view, path[0], &scope);
    let copy = DomainCopy {
        amount: Default::default(),
        domain: label(path[0]),
        path: path.iter().map(|name| label(name)).collect(),
        serial: 1,
        digest: content_digest(&issued.manifest),
        signed: Some(SignedManifest {
            manifest: Arc::new(issued.manifest.clone()),
            text: issued.text.clone().into(),
            fingerprint: issued.fingerprint,
            signer,
        }),
        view,
        off_net: Arc::default(),
        interconnects: Arc::default(),
        ours: Arc::default(),
        ignored: Vec::new(),
        rewritten: Vec::new(),
    };
    (label(path[0]), Arc::new(copy))
}

/// Returns the exports of `isp-a`, which has copies of `isp-b`, and of `isp-c` and `isp-d`
/// through it; its peers are `isp-b`, `isp-e` and `isp-f`.
fn export(scope: Scope) -> Export {
    let mut settings = settings();
    for (name, export) in [("isp-b", "*"), ("isp-e", "*"), ("isp-f", "own")] {
        let mut peer = peer(name, "https://alto.example/");
        peer.export.domains = Domains::try_from(vec![export.to_owned()]).expect("a choice");
        settings.peers.insert(label(name), peer);
    }
    let imports = [
        imported(&["isp-b"], Scope::Any),
        imported(&["isp-c", "isp-e", "isp-b"], Scope::Any),
        imported(&["isp-d", "isp-b"], scope),
    ];
    let issued = [statement(&domain_view("isp-a"), "isp-a", &Scope::Any).0];
    let imports = Arc::new(BTreeMap::from(imports));
    Export::of(Arc::new(settings), issued.into(), imports, None)
}

/// Returns the exports after a change.
fn after(
    export: &Export,
    change: impl FnOnce(&mut Settings, &mut IssuedManifests, &mut Imports),
) -> Export {
    let mut settings = Settings::clone(&export.settings);
    let mut issued = export.issued.clone();
    let mut imports = Imports::clone(&export.imports);
    change(&mut settings, &mut issued, &mut imports);
    Export::of(Arc::new(settings), issued, Arc::new(imports), Some(export))
}

fn seen(export: &Export, caller: Option<&str>) -> Vec<String> {
    let caller = caller.map(label);
    let entries = export.entries(caller.as_ref());
    entries
        .iter()
        .map(|entry| entry.domain.to_string())
        .collect()
}

#[tokio::test]
async fn each_edition_has_the_number_after_the_last() {
    let (_settings, settings) = watch::channel(Arc::new(settings()));
    let (_issued, issued) = watch::channel(IssuedManifests::default());
    let (used, imports) = watch::channel(Arc::new(Imports::default()));
    let exports = Arc::new(Exports::new(settings, issued, imports));
    let (publishing, mut published) = watch::channel(Edition::default());
    let _task = Task::spawn("exports", exports.publish(publishing));
    for generation in 1..4u64 {
        let next = published.wait_for(|edition| edition.generation == generation);
        drop(soon(next).await.expect("it is published"));
        let path = format!("isp-{generation}");
        let import = imported(&[&path], Scope::Any);
        used.send_replace(Arc::new(BTreeMap::from([import])));
    }
}

#[test]
fn nothing_goes_back_to_whom_it_came_from_or_came_through() {
    let export = export(Scope::Any);
    assert_eq!(seen(&export, Some("isp-b")), ["isp-a"]);
    assert_eq!(seen(&export, Some("isp-e")), ["isp-a", "isp-b", "isp-d"]);
    let entries = export.entries(Some(&label("isp-e")));
    let path: Vec<_> = entries[2].path.iter().map(DomainLabel::as_str).collect();
    assert_eq!(path, ["isp-d", "isp-b", "isp-a"]);
}

#[test]
fn a_caller_gets_what_its_export_names_and_an_unbound_one_ours_alone() {
    let export = export(Scope::Any);
    assert_eq!(seen(&export, Some("isp-f")), ["isp-a"]);
    assert_eq!(seen(&export, None), ["isp-a"]);
    assert_eq!(seen(&export, Some("isp-x")), ["isp-a"], "it is no peer");
}

#[test]
fn what_is_out_of_scope_is_not_passed_on() {
    let only = |name| Scope::Only([label(name)].into());
    assert_eq!(
        seen(&export(Scope::None), Some("isp-e")),
        ["isp-a", "isp-b"]
    );
    let some = export(only("isp-e"));
    assert_eq!(seen(&some, Some("isp-e")), ["isp-a", "isp-b", "isp-d"]);
    let others = export(only("isp-f"));
    assert_eq!(seen(&others, Some("isp-e")), ["isp-a", "isp-b"]);
    let ours = export(Scope::Any);
    for (scope, peers, anybody) in [(Scope::None, 1, 1), (only("isp-e"), 0, 0)] {
        let ours = after(&ours, |settings, _, _| settings.own.scope = scope);
        assert_eq!(seen(&ours, Some("isp-b")).len(), peers);
        assert_eq!(seen(&ours, None).len(), anybody);
    }
}

#[test]
fn plain_domains_are_not_passed_on() {
    let export = after(&export(Scope::Any), |_, _, imports| {
        let plain = imports.get_mut(&label("isp-d")).expect("there");
        Arc::make_mut(plain).signed = None;
    });
    assert_eq!(seen(&export, Some("isp-e")), ["isp-a", "isp-b"]);
}

#[tokio::test]
async fn a_blob_is_for_who_may_see_a_manifest_that_names_it() {
    let (_directory, store) = small_store();
    let (archive, _) = Archive::open(&store).await.expect("opened");
    let pool = Pool::new(1).expect("a pool");
    let export = export(Scope::Any);
    let d = export.imports[&label("isp-d")].clone();
    let signed = d.signed.as_ref().expect("signed");
    let name = CopyName {
        sender: label("isp-b"),
        domain: label("isp-d"),
    };
    let text = Bytes::from(signed.text.to_string());
    let map = d.view.catalog().get("networkmap").expect("a map");
    let (version, body) = d.view.rendering(map).expect("a map").finish(usize::MAX);
    let body = Bytes::from(body.expect("a body"));
    archive
        .keep_copy(
            &name,
            NewCopy {
                path: d.path.clone(),
                manifest: text,
                signed: true,
                takes: Default::default(),
                documents: vec![body.clone()],
            },
        )
        .await
        .expect("kept");
    let ask = async |export: &Export, caller: Option<&str>, digest: Digest| {
        let caller = caller.map(label);
        let blob = export.blob(caller.as_ref(), &digest, &archive, &pool);
        match blob.await.expect("read") {
            Some(Blob::Kept(_, reader)) => {
                let pieces: Result<Vec<Bytes>, _> = reader.collect();
                Some(pieces.expect("read").concat().into())
            }
            Some(Blob::Resource(view, resource)) => {
                let rendering = view.rendering(&resource)?;
                rendering.finish(usize::MAX).1.map(Bytes::from)
            }
            None => None,
        }
    };
    let e = Some("isp-e");
    assert_eq!(ask(&export, e, version.digest).await, Some(body));
    assert_eq!(ask(&export, Some("isp-f"), version.digest).await, None);
    assert_eq!(ask(&export, Some("isp-b"), version.digest).await, None);
    assert_eq!(ask(&export, None, version.digest).await, None);
    // Ordinal costs are made from numerical ones, and match what was signed.
    let stated = signed.manifest.resources.iter();
    for resource in stated.filter(|r| r.resource_id.as_str().contains("ordinal")) {
        let body = ask(&export, e, resource.sha_256).await.expect("made");
        assert_eq!(Digest::of(&body), resource.sha_256);
    }
    // Every caller that may see ours gets it, also by the manifests before the last.
    let before = resources(&export.issued[0].view)[0].clone();
    let newer = domain_view_with("isp-a", 9.0);
    let newer = statement(&newer, "isp-a", &Scope::Any).0;
    let export = after(&export, |_, issued, _| {
        *issued = [newer, issued[0].clone()].into();
    });
    for caller in [None, e, Some("isp-f")] {
        let body = ask(&export, caller, before.sha_256).await.expect("kept");
        assert_eq!(Digest::of(&body), before.sha_256);
    }
    assert_eq!(ask(&export, e, Digest::ZERO).await, None);
}

/// Returns the domains whose entries were written anew between two moments.
fn written(before: &Export, now: &Export) -> Vec<String> {
    let is_new = |(domain, exported): &(&DomainLabel, &Exported)| {
        let known = before.domains.get(*domain);
        known.is_none_or(|known| known.text.as_ptr() != exported.text.as_ptr())
    };
    let new = now.domains.iter().filter(is_new);
    new.map(|(domain, _)| domain.to_string()).collect()
}

#[test]
fn a_change_writes_the_entry_of_its_domain_alone_and_leaves_every_set_as_it_is() {
    for count in [10, 50, 100] {
        let mut settings = settings();
        let mut imports = Imports::new();
        for number in 0..count {
            let name = format!("n{number:03}");
            let mut peer = peer(&name, "https://alto.example/");
            peer.export.domains = Domains::try_from(vec!["*".to_owned()]).expect("a choice");
            settings.peers.insert(label(&name), peer);
            imports.extend([imported(&[&name], Scope::Any)]);
        }
        let issued = [statement(&domain_view("isp-a"), "isp-a", &Scope::Any).0];
        let before = Export::of(Arc::new(settings), issued.into(), Arc::new(imports), None);
        let now = after(&before, |_, _, imports| {
            imports.extend([imported(&["n007"], Scope::Any)]);
        });
        assert_eq!(written(&before, &now), ["n007"]);
        let sets = before.passed.values().zip(now.passed.values());
        assert!(
            sets.into_iter()
                .all(|(before, now)| Arc::ptr_eq(before, now))
        );
        assert!(!now.is_same(&before));
        let ours = after(&now, |_, issued, _| {
            *issued = [statement(&domain_view("isp-a"), "isp-a", &Scope::Any).0].into();
        });
        assert_eq!(written(&now, &ours), ["isp-a"]);
        let reloaded = after(&ours, |_, _, _| {});
        assert!(written(&ours, &reloaded).is_empty() && reloaded.is_same(&ours));
    }
}

/// Something that changes.
#[derive(Debug, Clone)]
enum Change {
    Import { path: Vec<u8>, scope: u8 },
    Plain(u8),
    Gone(u8),
    Issued(u8),
    OwnScope(u8),
    Export { peer: u8, what: u8 },
    Peer(u8),
    NoPeer(u8),
}

fn name(number: u8) -> String {
    format!("isp-{}", char::from(b'b' + number))
}

fn scope(number: u8) -> Scope {
    match number {
        0 => Scope::Any,
        1 => Scope::None,
        2 => Scope::Only([label("isp-b"), label("isp-c")].into()),
        _ => Scope::Only([label("isp-d")].into()),
    }
}

impl Change {
    fn happen(self, settings: &mut Settings, issued: &mut IssuedManifests, to: &mut Imports) {
        match self {
            Change::Import { path, scope: s } => {
                let path: Vec<String> = path.into_iter().map(name).collect();
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                to.extend([imported(&path, scope(s))]);
            }
            Change::Plain(number) => {
                if let Some(known) = to.get_mut(&label(&name(number))) {
                    Arc::make_mut(known).signed = None;
                }
            }
            Change::Gone(number) => drop(to.remove(&label(&name(number)))),
            Change::Issued(s) => {
                let (new, _) = statement(&domain_view("isp-a"), "isp-a", &scope(s));
                *issued = [new]
                    .into_iter()
                    .chain(issued.iter().cloned())
                    .take(4)
                    .collect();
            }
            Change::OwnScope(s) => settings.own.scope = scope(s),
            Change::Export { peer, what } => {
                if let Some(peer) = settings.peers.get_mut(&label(&name(peer))) {
                    let words = ["*", "own", "isp-b", "isp-c"];
                    let what = vec![words[usize::from(what)].to_owned()];
                    peer.export.domains = Domains::try_from(what).expect("a choice");
                }
            }
            Change::Peer(number) => {
                let name = name(number);
                let peer = peer(&name, "https://alto.example/");
                settings.peers.insert(label(&name), peer);
            }
            Change::NoPeer(number) => drop(settings.peers.remove(&label(&name(number)))),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let path = proptest::sample::subsequence(vec![0u8, 1, 2, 3, 4], 1..4).prop_shuffle();
    prop_oneof![
        (path, 0..4u8).prop_map(|(path, scope)| Change::Import { path, scope }),
        (0..5u8).prop_map(Change::Plain),
        (0..5u8).prop_map(Change::Gone),
        (0..4u8).prop_map(Change::Issued),
        (0..4u8).prop_map(Change::OwnScope),
        (0..5u8, 0..4u8).prop_map(|(peer, what)| Change::Export { peer, what }),
        (0..5u8).prop_map(Change::Peer),
        (0..5u8).prop_map(Change::NoPeer),
    ]
}

proptest! {
    #[test]
    fn what_is_brought_forward_is_what_is_worked_out_from_nothing(
        changes in proptest::collection::vec(change(), 1..40),
    ) {
        let mut export = export(Scope::Any);
        for change in changes {
            export = after(&export, |settings, issued, imports| {
                change.happen(settings, issued, imports);
            });
            let (settings, imports) = (export.settings.clone(), export.imports.clone());
            let anew = Export::of(settings, export.issued.clone(), imports, None);
            prop_assert_eq!(&export.passed, &anew.passed);
            prop_assert_eq!(&export.passed_to_others, &anew.passed_to_others);
            let texts = |export: &Export| -> Vec<Bytes> {
                export.domains.values().map(|it| it.text.clone()).collect()
            };
            prop_assert_eq!(texts(&export), texts(&anew));
        }
    }
}
