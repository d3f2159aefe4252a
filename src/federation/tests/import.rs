//! Tests how documents become views: what is taken and what is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::alto::media;
use crate::api::s2s::{Manifest, ManifestResource, Scope};
use crate::federation::copies::{Former, Import, Parts, import, is_part};
use crate::federation::manifest::{Statement, resources};
use crate::federation::testing::{at, domain_view, domain_view_with, label, links};
use crate::federation::{ImportError, Keyring, Limits, SigningKey};
use crate::ident::{Digest, ResourceId};
use crate::publish::View;

/// A domain as it goes over the wire.
#[derive(Clone)]
struct Wire {
    manifest: Manifest,
    bodies: BTreeMap<Digest, Bytes>,
}

impl Wire {
    fn of(view: &Arc<View>) -> Self {
        let ring = Keyring::new(SigningKey::generate().expect("a key"), Vec::new());
        let statement = Statement {
            off_net: &Default::default(),
            domain: &label("isp-b"),
            resources: resources(view),
            interconnects: &links("isp-c"),
            scope: &Scope::Any,
            keys: ring.documents(at(0)),
        };
        let manifest = statement.sign(7, at(0), ring.signer(at(0))).manifest;
        let bodies = view.catalog().iter().filter_map(|resource| {
            let (version, body) = view.rendering(resource)?.finish(usize::MAX);
            Some((version.digest, Bytes::from(body?)))
        });
        Self {
            bodies: bodies.collect(),
            manifest,
        }
    }

    fn small() -> Self {
        Self::of(&domain_view("isp-b"))
    }

    fn import(&self) -> Result<Import, ImportError> {
        self.import_with(&Limits::default(), None)
    }

    fn import_with(
        &self,
        limits: &Limits,
        former: Option<Former<'_>>,
    ) -> Result<Import, ImportError> {
        import(&self.manifest, &self.bodies, former, limits, at(1))
    }

    /// Replaces text in the body of a resource, and adapts the manifest.
    fn edit(mut self, id: &str, from: &str, to: &str) -> Self {
        let resource = self.resource(id).clone();
        let body = self.bodies[&resource.sha_256].to_vec();
        let body = String::from_utf8(body).expect("text");
        assert!(body.contains(from), "{body}");
        let body = Bytes::from(body.replace(from, to));
        let place = self.resource(id);
        place.sha_256 = Digest::of(&body);
        place.length = body.len() as u64;
        let digest = place.sha_256;
        self.bodies.insert(digest, body);
        self
    }

    fn resource(&mut self, id: &str) -> &mut ManifestResource {
        let mut all = self.manifest.resources.iter_mut();
        all.find(|r| r.resource_id.as_str() == id).expect(id)
    }
}

const MAP: &str = "isp-b:networkmap";
const COSTS: &str = "isp-b:costmap-routingcost";
const DELAY: &str = "isp-b:costmap-delay-ow:p99_9";

fn code(result: Result<Import, ImportError>) -> &'static str {
    result.err().map_or("taken", |refusal| refusal.code())
}

#[test]
fn a_domain_arrives_with_the_same_bytes_and_tags() {
    let view = domain_view("isp-b");
    let import = Wire::of(&view).import().expect("sound");
    assert!(import.rewritten.is_empty() && import.ignored.is_empty());
    assert_eq!(*import.interconnects, links("isp-c"));
    assert_eq!(import.view.origin().serial, 7);
    assert_eq!(import.view.name(), view.name());
    for resource in resources(&import.view) {
        assert!(resources(&view).contains(&resource), "{resource:?}");
    }
    let address = "198.51.100.7".parse().expect("an address");
    assert_eq!(import.view.network().pid_of(address), Some(0));
}

#[test]
fn what_did_not_change_is_neither_needed_nor_made_again() {
    let before = Wire::small();
    let first = before.import().expect("sound");
    let former = Former {
        manifest: &before.manifest,
        view: &first.view,
    };
    let mut after = Wire::of(&domain_view_with("isp-b", 6.0));
    let parts = Parts::of(&after.manifest, &Limits::default()).expect("sound");
    let needed: Vec<_> = parts.resources().filter(|r| !former.has(r)).collect();
    assert_eq!(needed.len(), 1);
    let needed = needed[0].sha_256;
    after.bodies.retain(|digest, _| *digest == needed);
    let second = after
        .import_with(&Limits::default(), Some(former))
        .expect("sound");
    assert!(Arc::ptr_eq(first.view.network(), second.view.network()));
    let same = |metric: &str| {
        let costs = |import: &Import| import.view.costs()[metric].clone();
        costs(&first).same(&costs(&second))
    };
    assert!(same("delay-ow:p99.9") && !same("routingcost"));
    assert!(second.rewritten.is_empty());
}

#[test]
fn a_body_that_is_not_the_signed_one_is_refused() {
    let mut wire = Wire::small();
    let digest = wire.resource(COSTS).sha_256;
    let mut body = wire.bodies[&digest].to_vec();
    body[20] ^= 1;
    wire.bodies.insert(digest, body.into());
    assert_eq!(code(wire.import()), "digest");
    wire.bodies.remove(&digest);
    assert_eq!(code(wire.import()), "digest");
    let mut wire = Wire::small();
    wire.resource(COSTS).length += 1;
    assert_eq!(code(wire.import()), "digest");
}

#[test]
fn costs_that_no_domain_can_state_are_refused_whole() {
    for wrong in ["-5", "1e999", "\"NaN\"", "null", "NaN", "[5]"] {
        let wire = Wire::small().edit(COSTS, "\"west\":5", &format!("\"west\":{wrong}"));
        assert_eq!(code(wire.import()), "content", "{wrong}");
    }
    let wire = Wire::small().edit(COSTS, "\"west\":5", "\"south\":5");
    assert_eq!(code(wire.import()), "content", "an unknown destination");
    let wire = Wire::small().edit(COSTS, "{\"east\":{", "{\"south\":{");
    assert_eq!(code(wire.import()), "content", "an unknown source");
}

#[test]
fn a_prefix_that_stands_twice_is_refused() {
    let wire = Wire::small().edit(MAP, "203.0.113.0/24", "198.51.100.0/24");
    assert_eq!(code(wire.import()), "content");
}

#[test]
fn a_cost_map_of_another_network_map_is_refused() {
    let view = domain_view("isp-b");
    let tag = view.network().tag().as_str();
    let other = "0".repeat(32);
    assert_eq!(
        code(Wire::small().edit(COSTS, tag, &other).import()),
        "content"
    );
    assert_eq!(
        code(Wire::small().edit(MAP, tag, &other).import()),
        "content"
    );
    let ordinal = Wire::small().edit(COSTS, "numerical", "ordinal");
    assert_eq!(code(ordinal.import()), "content");
    let metric = Wire::small().edit(DELAY, "delay-ow:p99.9", "delay-ow:p99");
    assert_eq!(code(metric.import()), "content");
}

#[test]
fn more_than_the_limits_is_refused_and_just_as_much_is_taken() {
    let exact = Limits {
        max_pids: 2,
        max_prefixes: 3,
        max_cells: 6,
        max_metrics: 2,
        max_interconnects: 1,
        max_bytes: 1000,
        ..Limits::default()
    };
    let wire = Wire::small();
    let try_with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = exact.clone();
        change(&mut limits);
        code(wire.import_with(&limits, None))
    };
    assert_eq!(try_with(&|_| {}), "taken");
    assert_eq!(try_with(&|limits| limits.max_pids = 1), "limit");
    assert_eq!(try_with(&|limits| limits.max_cells = 5), "limit");
    assert_eq!(try_with(&|limits| limits.max_memory = 100), "limit");
    assert_eq!(try_with(&|limits| limits.max_metrics = 1), "limit");
    assert_eq!(try_with(&|limits| limits.max_bytes = 300), "limit");
    assert_eq!(try_with(&|limits| limits.max_interconnects = 0), "limit");
    assert_eq!(try_with(&|limits| limits.max_prefixes = 2), "limit");
}

#[test]
fn a_view_is_made_of_its_network_map_and_its_numerical_costs() {
    let resource = |id: &str, media_type: &str| ManifestResource {
        resource_id: ResourceId::new(id).expect("an id"),
        media_type: media_type.to_owned(),
        ..Wire::small().manifest.resources[0].clone()
    };
    let is_part = |id, media_type| is_part(&resource(id, media_type), &label("isp-b"));
    assert!(is_part("isp-b:networkmap", media::NETWORK_MAP));
    assert!(is_part("isp-b:costmap-routingcost", media::COST_MAP));
    assert!(!is_part("isp-b:ordinal-routingcost", media::COST_MAP));
    assert!(!is_part("isp-b:networkmap", media::COST_MAP));
    assert!(!is_part("isp-c:networkmap", media::NETWORK_MAP));
    assert!(!is_part("networkmap", media::NETWORK_MAP));
}

#[test]
fn unknown_kinds_of_resources_and_metrics_are_left_aside() {
    let mut wire = Wire::small();
    let mut add = |id: &str, media_type: &str| {
        let resource = ManifestResource {
            resource_id: ResourceId::new(id).expect("an id"),
            media_type: media_type.to_owned(),
            ..wire.manifest.resources[0].clone()
        };
        wire.manifest.resources.push(resource);
    };
    add("isp-b:costmap-colour", media::COST_MAP);
    add("isp-b:properties", "application/alto-propmap+json");
    let import = wire.import().expect("sound");
    assert_eq!(import.ignored.len(), 2);
    assert_eq!(import.view.costs().len(), 2);
}

#[test]
fn a_manifest_without_a_map_or_with_one_of_another_domain_is_refused() {
    let mut wire = Wire::small();
    wire.manifest
        .resources
        .retain(|r| r.resource_id.as_str() != MAP);
    assert_eq!(code(wire.import()), "content");
    let mut wire = Wire::small();
    wire.resource(COSTS).resource_id = ResourceId::new("isp-c:costmap-routingcost").expect("an id");
    assert_eq!(code(wire.import()), "content");
    let mut wire = Wire::small();
    let twice = wire.resource(COSTS).clone();
    wire.manifest.resources.push(twice);
    assert_eq!(code(wire.import()), "content");
}

#[test]
fn a_domain_without_routingcost_has_it_without_costs() {
    let mut wire = Wire::small();
    wire.manifest
        .resources
        .retain(|r| !r.resource_id.as_str().ends_with("routingcost"));
    let import = wire.import().expect("sound");
    let mut row = Vec::new();
    import.view.costs()["routingcost"].row(0, &mut row);
    assert_eq!(row.len(), 2);
    assert!(row.iter().all(|cost| cost.is_nan()));
}

#[test]
fn a_link_at_no_pid_of_the_domain_is_left_aside() {
    let mut wire = Wire::small();
    for link in wire.manifest.interconnects.values_mut() {
        link.border = "south".to_owned();
    }
    let import = wire.import().expect("sound");
    assert_eq!((import.interconnects.len(), import.ignored.len()), (0, 1));
}

#[test]
fn bytes_that_we_would_write_otherwise_are_counted() {
    let wire = Wire::small().edit(COSTS, "\"west\":5", "\"west\":5.0");
    let import = wire.import().expect("sound");
    let rewritten: Vec<_> = import.rewritten.iter().map(|id| id.as_str()).collect();
    assert_eq!(rewritten, [COSTS]);
}
