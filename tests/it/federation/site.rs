//! A node as seen from outside: by its answers.

use std::time::Duration;

use altofed::api::conflict::MergeConflictKind;
use altofed::api::s2s::{ConflictList, ImportStatus, PeerList, PeerState, PeerStatus, Reason};
use altofed::ident::Digest;
use reqwest::Method;
use serde_json::{Value, json};

use super::links::{Costs, Link, cost_map, inside, interconnects, label, network_map};
use super::rogue::payload;
use crate::support::{Answer, COST_PARAMS, JSON, OPS, Request, plain_client};

/// How long to wait for something that happens at once when the code is right: far longer than
/// on any machine.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// How long to wait before looking at a state again.
const GLANCE: Duration = Duration::from_millis(10);

/// The URI of a node, and its domain.
pub struct Site {
    pub number: u8,
    pub label: String,
    pub url: String,
    http: reqwest::Client,
}

impl Site {
    /// Makes the site of a domain's node at the base of its URIs.
    pub fn new(number: u8, url: String) -> Self {
        Self::asked_by(plain_client(), number, url)
    }

    /// Makes the site with this client.
    pub fn asked_by(http: reqwest::Client, number: u8, url: String) -> Self {
        Self {
            number,
            label: label(number),
            url,
            http,
        }
    }

    /// Puts all that its domain states.
    pub async fn states(&self, links: &[Link]) {
        let number = self.number;
        self.put("network-map", &network_map(number)).await;
        self.costs(inside(number)).await;
        let hops = json!({"cost-map": {"core": {"edge": 1}, "edge": {"core": 1}}});
        self.put("cost-maps/hopcount", &hops).await;
        self.put("interconnects", &interconnects(number, links))
            .await;
    }

    /// Puts its routing costs, with this one from `core` to `edge`.
    pub async fn costs(&self, there: f64) {
        let costs = cost_map(self.number, there);
        self.put("cost-maps/routingcost", &costs).await;
    }

    /// Puts a document.
    pub async fn put(&self, path: &str, body: &Value) {
        let request = self.request(Method::PUT, &format!("/n2s/v1/{path}"));
        let put = request.token(OPS).typed(JSON, body.to_string());
        let answer = put.send().await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
    }

    /// Makes a request to a path.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::to(&self.http, method, &format!("{}{path}", self.url))
    }

    /// GET with all rights of an operator; for what is made of the domains, once they are
    /// joined.
    pub async fn get(&self, path: &str) -> Answer {
        if ["/directory", "/views/merged/", "/s2s/v1/conflicts"]
            .iter()
            .any(|joined| path.starts_with(joined))
        {
            self.until_joined().await;
        }
        self.request(Method::GET, path).token(OPS).send().await
    }

    /// Waits until the merged view has all that the domain views have.
    pub async fn until_joined(&self) {
        let came = tokio::time::timeout(PATIENCE, async {
            loop {
                let path = "/readyz?verbose";
                let answer = self.request(Method::GET, path).token(OPS).send().await;
                if answer.status == 200 && !answer.text().contains("behind") {
                    return;
                }
                glance().await;
            }
        });
        came.await.expect("the domains are joined");
    }

    /// Gets a document that must exist.
    pub async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        serde_json::from_slice(&answer.body).expect("the document")
    }

    /// Returns what it answers about its own domain, which must not depend on others.
    pub async fn own_answers(&self) -> Vec<String> {
        let own = |resource: &str| format!("/views/{}/{resource}", self.label);
        let mut answers = Vec::new();
        for map in ["directory", "networkmap", "costmap-routingcost"] {
            answers.push(self.get(&own(map)).await);
        }
        for view in [self.label.as_str(), "merged"] {
            answers.push(self.endpoint_cost(view, self.number, self.number).await);
        }
        assert!(
            answers.iter().all(|answer| answer.status == 200),
            "{answers:?}"
        );
        let text = |answer: &Answer| answer.text().to_owned();
        // The tag of the merged map depends on all domains.
        answers
            .iter()
            .map(|answer| match answer.json()["endpoint-cost-map"].take() {
                Value::Null => text(answer),
                costs => costs.to_string(),
            })
            .collect()
    }

    /// Returns the routing cost from the core of one domain to the edge of another, by
    /// addresses.
    pub async fn endpoint_cost(&self, view: &str, from: u8, to: u8) -> Answer {
        if view == "merged" {
            self.until_joined().await;
        }
        let path = format!("/views/{view}/endpointcost");
        let query = json!({
            "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
            "endpoints": {
                "srcs": [format!("ipv4:10.{from}.0.1")],
                "dsts": [format!("ipv4:10.{to}.128.1")],
            },
        });
        let request = self.request(Method::POST, &path).token(OPS);
        request.typed(COST_PARAMS, query.to_string()).send().await
    }

    /// Returns the routing costs of a view; none if it does not have the view.
    pub async fn costs_of(&self, view: &str) -> Option<Costs> {
        let answer = self
            .get(&format!("/views/{view}/costmap-routingcost"))
            .await;
        if answer.status == 404 {
            return None;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let costs = answer.json()["cost-map"].take();
        let mut costs: Costs = serde_json::from_value(costs).expect("costs");
        costs.retain(|_, row| !row.is_empty());
        Some(costs)
    }

    /// Returns its cost from `core` to `edge` of another domain.
    pub async fn cost_inside(&self, number: u8) -> Option<f64> {
        let costs = self.costs_of(&label(number)).await?;
        costs.get("core")?.get("edge").copied()
    }

    /// Waits until it has this cost from `core` to `edge` of another domain.
    pub async fn until_cost(&self, number: u8, wanted: Option<f64>) {
        let mut last = None;
        let came = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.cost_inside(number).await;
                if last == wanted {
                    return;
                }
                glance().await;
            }
        });
        let came = came.await;
        assert!(came.is_ok(), "{}: {last:?}, not {wanted:?}", self.label);
    }

    /// Returns the states of its peers.
    pub async fn peers(&self) -> PeerList {
        self.read("/s2s/v1/peers").await
    }

    /// Makes it read a peer now, and returns when it has.
    pub async fn retry(&self, peer: u8) {
        let path = format!("/s2s/v1/peers/{}/retry", label(peer));
        let answer = self.request(Method::POST, &path).token(OPS).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Waits until a peer is in a wanted state.
    pub async fn until(
        &self,
        peer: u8,
        what: &str,
        wanted: impl Fn(&PeerStatus) -> bool,
    ) -> PeerStatus {
        let mut last = None;
        let came = tokio::time::timeout(PATIENCE, async {
            loop {
                let list = self.peers().await.peers;
                let found = list.into_iter().find(|p| p.domain.as_str() == label(peer));
                match found {
                    Some(found) if wanted(&found) => return found,
                    found => last = found,
                }
                glance().await;
            }
        });
        let came = came.await;
        came.unwrap_or_else(|_| panic!("{} is never {what}: {last:?}", label(peer)))
    }

    /// Waits until a peer is in this state for this reason; an empty reason means none.
    pub async fn until_state(&self, peer: u8, state: PeerState, code: &str) -> PeerStatus {
        let what = format!("{} {code}", state.as_str());
        let is = |peer: &PeerStatus| peer.state == state && code_of(&peer.reason) == code;
        self.until(peer, &what, is).await
    }

    /// Waits until a domain that a peer passes is in this state for this reason.
    pub async fn until_domain(
        &self,
        peer: u8,
        number: u8,
        state: PeerState,
        code: &str,
    ) -> ImportStatus {
        let what = format!("{} {code} for {}", state.as_str(), label(number));
        let is = |domain: &ImportStatus| domain.state == state && code_of(&domain.reason) == code;
        let found = self
            .until(peer, &what, |peer| domain_of(peer, number).is_some_and(is))
            .await;
        domain_of(&found, number).expect("it is there").clone()
    }

    /// Returns how many conflicts of a kind the merged view has, and their subjects.
    pub async fn conflicts(&self, kind: MergeConflictKind) -> Vec<String> {
        let list: ConflictList = self.read("/s2s/v1/conflicts").await;
        let conflicts = list.conflicts.into_iter().filter(|c| c.kind == kind);
        conflicts
            .map(|conflict| format!("{} {}", conflict.domain, conflict.subject))
            .collect()
    }

    /// Whether a view of a domain exists.
    pub async fn has(&self, number: u8) -> bool {
        let path = format!("/views/{}/networkmap", label(number));
        self.get(&path).await.status == 200
    }

    /// Waits until what it signed last is what it states.
    pub async fn until_signed(&self) {
        let own = |map: &str| format!("/views/{}/{map}", self.label);
        let mut wanted = Vec::new();
        for map in ["networkmap", "costmap-routingcost"] {
            let answer = self.get(&own(map)).await;
            wanted.push(Digest::of(&answer.body).to_string());
        }
        let links: Value = self.read("/n2s/v1/interconnects").await;
        let links = links["interconnects"].as_object().expect("links");
        wanted.extend(links.keys().cloned());
        let came = tokio::time::timeout(PATIENCE, async {
            loop {
                let entries: Value = self.read("/s2s/v1/manifests").await;
                let own = entries.as_array().expect("entries").iter();
                let mut own = own.filter(|entry| entry["domain"] == self.label.as_str());
                let text = own.next().and_then(|entry| entry["manifest"].as_str());
                let said = text.and_then(payload).unwrap_or_default();
                if wanted.iter().all(|word| said.contains(word)) {
                    return;
                }
                glance().await;
            }
        });
        came.await.expect("it signs what it states");
    }
}

/// Waits for a moment: nothing outside tells that a state changed.
pub async fn glance() {
    let _ = tokio::time::timeout(GLANCE, std::future::pending::<()>()).await;
}

/// Finds what a peer passes of a domain.
pub fn domain_of(peer: &PeerStatus, number: u8) -> Option<&ImportStatus> {
    let label = label(number);
    peer.domains.iter().find(|d| d.domain.as_str() == label)
}

fn code_of(reason: &Option<Reason>) -> &str {
    reason.as_ref().map_or("", |reason| reason.code.as_str())
}
