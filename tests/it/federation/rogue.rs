//! A peer that is not one of our nodes: it signs what it likes, with its own keys.

use altofed::api::s2s::{
    Descriptor, KeyDocument, Manifest, ManifestEntry, ManifestResource, Scope,
};
use altofed::federation::SigningKey;
use altofed::ident::{Digest, DomainLabel, ResourceId, Tag};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::links::{Link, cost_map, inside, interconnects, label, network_map};
use crate::metro::{COST_MAP, NETWORK_MAP};
use crate::peer::server::{Reply, Server, ok};
use crate::support::JSON;

/// Makes a key.
pub fn key() -> SigningKey {
    SigningKey::generate().expect("a key")
}

/// Returns the documents that state a key.
pub fn documents(key: &SigningKey) -> Vec<KeyDocument> {
    vec![KeyDocument {
        kid: key.public().kid(),
        ed25519: key.public().encoded(),
        not_after: None,
    }]
}

/// What a domain states, as it is written.
#[derive(Clone)]
pub struct Says {
    pub number: u8,
    pub serial: u64,
    pub issued: Timestamp,
    pub scope: Scope,
    pub network_map: String,
    pub cost_map: String,
    /// Its costs in further metrics.
    pub more: Vec<(&'static str, String)>,
    pub links: Vec<Link>,
    /// How many unknown resources it names.
    pub unknown: usize,
    /// Until when it claims to be valid, if not six hours.
    pub next_update: Option<Timestamp>,
    /// The keys that it states besides the one that signs.
    pub other_keys: Vec<KeyDocument>,
}

impl Says {
    /// Returns what an honest node of this domain states.
    pub fn sound(number: u8) -> Self {
        let now = Timestamp::now();
        let member = |document: Value, name: &str| document[name].to_string();
        Self {
            number,
            serial: u64::try_from(now.as_millisecond()).expect("after 1970"),
            issued: now,
            scope: Scope::Any,
            network_map: member(network_map(number), "network-map"),
            cost_map: member(cost_map(number, inside(number)), "cost-map"),
            more: Vec::new(),
            links: Vec::new(),
            unknown: 0,
            next_update: None,
            other_keys: Vec::new(),
        }
    }

    /// Adds these prefixes in a further PID.
    pub fn claiming(number: u8, prefixes: &[&str]) -> Self {
        let mut map = network_map(number)["network-map"].take();
        map["more"] = json!({"ipv4": prefixes});
        Self {
            network_map: map.to_string(),
            ..Self::sound(number)
        }
    }

    /// Sets these costs, as they are written.
    pub fn with_costs(number: u8, cost_map: &str) -> Self {
        Self {
            cost_map: cost_map.to_owned(),
            ..Self::sound(number)
        }
    }

    /// Gives it a later serial.
    pub fn later(mut self) -> Self {
        self.serial += 1;
        self
    }

    /// Adds a link, as that domain states it.
    pub fn linked(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Returns its manifest, signed by a key that states itself, and the documents that it
    /// names.
    pub fn signed(&self, key: &SigningKey) -> Signed {
        let domain = label(self.number);
        let tag = Tag::from(Digest::of(self.network_map.as_bytes()));
        let id = format!("{domain}:networkmap");
        let network_map = format!(
            "{{\"meta\":{{\"vtag\":{{\"resource-id\":\"{id}\",\"tag\":\"{tag}\"}}}},\
             \"network-map\":{}}}",
            self.network_map
        );
        let cost_map = |(metric, costs): (&str, &str)| {
            let text = format!(
                "{{\"meta\":{{\"cost-type\":{{\"cost-metric\":{metric:?},\
                 \"cost-mode\":\"numerical\"}},\"dependent-vtags\":[{{\"resource-id\":\"{id}\",\
                 \"tag\":\"{tag}\"}}]}},\"cost-map\":{costs}}}"
            );
            (format!("costmap-{metric}"), text)
        };
        let resource = |path: &str, media_type: &str, tag: Tag, body: &str| ManifestResource {
            resource_id: ResourceId::new(&format!("{domain}:{path}")).expect("an id"),
            media_type: media_type.to_owned(),
            tag,
            length: body.len() as u64,
            sha_256: Digest::of(body.as_bytes()),
        };
        let all = [("routingcost", &*self.cost_map)].into_iter();
        let all = all.chain(self.more.iter().map(|(metric, costs)| (*metric, &**costs)));
        let cost_maps: Vec<(String, String)> = all.map(cost_map).collect();
        let mut resources = vec![resource(
            "networkmap",
            NETWORK_MAP,
            tag.clone(),
            &network_map,
        )];
        for (path, text) in &cost_maps {
            let tag = Tag::from(Digest::of(text.as_bytes()));
            resources.push(resource(path, COST_MAP, tag, text));
        }
        let known = resources.len();
        for number in 0..self.unknown {
            let tag = Tag::from(Digest::of(b""));
            resources.push(resource(&format!("unknown-{number}"), JSON, tag, ""));
        }
        let label = DomainLabel::new(&domain).expect("a label");
        let mut links = interconnects(self.number, &self.links);
        let manifest = Manifest {
            off_net: Default::default(),
            domain: label.clone(),
            serial: self.serial,
            issued: self.issued,
            next_update: match self.next_update {
                Some(end) => end,
                None => self.issued + SignedDuration::from_hours(6),
            },
            scope: self.scope.clone(),
            keys: [documents(key), self.other_keys.clone()].concat(),
            interconnects: serde_json::from_value(links["interconnects"].take())
                .expect("interconnects"),
            resources,
        };
        let text = jws(key, &serde_json::to_vec(&manifest).expect("JSON"));
        let texts = [network_map]
            .into_iter()
            .chain(cost_maps.into_iter().map(|(_, text)| text));
        let bodies = manifest
            .resources
            .iter()
            .take(known)
            .cloned()
            .zip(texts.map(String::into_bytes));
        Signed {
            entry: ManifestEntry {
                domain: label.clone(),
                serial: self.serial,
                path: vec![label],
                manifest: text,
            },
            bodies: bodies.collect(),
        }
    }
}

/// Makes a compact JWS of a payload (RFC 7515, RFC 8037 §3.1).
fn jws(key: &SigningKey, payload: &[u8]) -> String {
    let kid = key.public().kid();
    let header = json!({"alg": "EdDSA", "kid": kid, "typ": "altofed-manifest"});
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Returns the payload of a compact JWS, whoever signed it.
pub fn payload(jws: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1)?).ok()?;
    String::from_utf8(payload).ok()
}

/// A manifest and the documents that it names.
#[derive(Clone)]
pub struct Signed {
    pub entry: ManifestEntry,
    pub bodies: Vec<(ManifestResource, Vec<u8>)>,
}

impl Signed {
    /// Returns it as it comes through these domains, the sender last.
    pub fn through(mut self, path: &[u8]) -> Self {
        let path = path.iter().map(|&number| label(number));
        let path = path.map(|text| DomainLabel::new(&text).expect("a label"));
        self.entry.path.extend(path);
        self
    }
}

/// The server of a rogue peer.
pub struct Rogue {
    pub url: String,
    pub server: Server,
}

impl Rogue {
    /// Makes it pose as a node of this domain, with this key.
    pub async fn start(number: u8, key: &SigningKey) -> Self {
        let server = Server::start([]).await;
        let url = server.root.origin().ascii_serialization();
        let rogue = Self { url, server };
        rogue.shows(number, key, "/s2s/v1/");
        rogue.passes(&[]);
        rogue
    }

    /// Makes it serve this descriptor.
    pub fn shows(&self, number: u8, key: &SigningKey, s2s: &str) {
        self.describes(number, key, s2s, &[]);
    }

    /// Makes it pose as a node of this domain that has an update stream.
    pub fn pushes(&self, number: u8, key: &SigningKey) {
        self.describes(number, key, "/s2s/v1/", &["updates"]);
    }

    fn describes(&self, number: u8, key: &SigningKey, s2s: &str, features: &[&str]) {
        let descriptor = Descriptor {
            domain: DomainLabel::new(&label(number)).expect("a label"),
            name: String::new(),
            asns: Vec::new(),
            directory: format!("{}/directory", self.url),
            s2s: s2s.to_owned(),
            keys: documents(key),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
        };
        let text = serde_json::to_vec(&descriptor).expect("JSON");
        self.server
            .set("/.well-known/alto-federation", ok(JSON, text));
    }

    /// Makes it pass these domains from now on.
    pub fn passes(&self, domains: &[Signed]) {
        for (resource, body) in domains.iter().flat_map(|signed| &signed.bodies) {
            let path = blob(resource);
            self.server.set(&path, ok(&resource.media_type, body));
        }
        let entries: Vec<&ManifestEntry> = domains.iter().map(|signed| &signed.entry).collect();
        let text = serde_json::to_vec(&entries).expect("JSON");
        self.answers("/s2s/v1/manifests", ok(JSON, text));
    }

    /// Sets what it does from now on when it is asked for a path.
    pub fn answers(&self, path: &str, reply: Reply) {
        self.server.set(path, reply);
    }
}

/// Returns the path of a document.
pub fn blob(resource: &ManifestResource) -> String {
    format!("/s2s/v1/blobs/{}", resource.sha_256)
}
