//! A small network to query, its services, and checks of the answers.

use std::collections::BTreeMap;
use std::fmt::Display;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, COST_FILTER, COST_PARAMS, NETWORK_FILTER, NOC, PROPERTY_PARAMS, TestNode,
};

pub const DIRECTORY: &str = "application/alto-directory+json";
pub const NETWORK_MAP: &str = "application/alto-networkmap+json";
pub const COST_MAP: &str = "application/alto-costmap+json";
pub const ENDPOINT_PROPERTIES: &str = "application/alto-endpointprop+json";
pub const ENDPOINT_COSTS: &str = "application/alto-endpointcost+json";
pub const ERROR: &str = "application/alto-error+json";

/// The id of the network map of the view that the tests query.
pub const MAP_ID: &str = "isp-a:networkmap";

/// Starts a node with a core that all other addresses fall to, prefixes inside prefixes, a PID
/// without addresses, and costs that are neither symmetric nor complete.
pub async fn metro() -> TestNode {
    let node = TestNode::start().await;
    fill(&node).await;
    node
}

/// Puts the network of [`metro`].
pub async fn fill(node: &TestNode) {
    let map = json!({"network-map": {
        "core": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]},
        "east": {"ipv4": ["10.20.0.0/16"]},
        "lab": {"ipv4": ["10.20.30.0/24", "10.20.31.128/25"], "ipv6": ["2001:db8:30::/48"]},
        "void": {},
    }});
    node.put("network-map", &map).await;
    let costs = json!({"cost-map": {"core": {"east": 4, "lab": 9}, "east": {"lab": 6}}});
    node.put("cost-maps/routingcost", &costs).await;
}

/// Removes a document.
pub async fn delete(node: &TestNode, path: &str) {
    let request = node.request(Method::DELETE, &format!("/n2s/v1/{path}"));
    let answer = request.token(NOC).send().await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
}

/// A service that is queried by POST, in the view of the node's own domain.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub path: &'static str,
    pub accepts: &'static str,
    pub media_type: &'static str,
}

/// Filtered network maps (RFC 7285 §11.3.1).
pub const NETWORK: Service = Service {
    path: "/views/isp-a/filtered-networkmap",
    accepts: NETWORK_FILTER,
    media_type: NETWORK_MAP,
};
/// Filtered cost maps (RFC 7285 §11.3.2).
pub const COSTS: Service = Service {
    path: "/views/isp-a/filtered-costmap",
    accepts: COST_FILTER,
    media_type: COST_MAP,
};
/// Endpoint properties (RFC 7285 §11.4.1).
pub const PROPERTIES: Service = Service {
    path: "/views/isp-a/endpointprop",
    accepts: PROPERTY_PARAMS,
    media_type: ENDPOINT_PROPERTIES,
};
/// Endpoint costs (RFC 7285 §11.5.1).
pub const ENDPOINTS: Service = Service {
    path: "/views/isp-a/endpointcost",
    accepts: COST_PARAMS,
    media_type: ENDPOINT_COSTS,
};

impl Service {
    /// Returns the answer to a body, sound or not.
    pub async fn ask(self, node: &TestNode, body: impl Display) -> Answer {
        node.post(self.path, self.accepts, body.to_string()).await
    }

    /// Returns the answer to a query that must succeed.
    pub async fn ok(self, node: &TestNode, query: &Value) -> Value {
        sound(&self.ask(node, query).await, self.media_type)
    }

    /// Checks that each of these bodies is refused with this error.
    pub async fn refuses(self, node: &TestNode, cases: &[(Value, &str, &str, &str)]) {
        for (body, code, field, value) in cases {
            let answer = self.ask(node, body).await;
            assert_eq!(
                fault(&answer),
                ((*code).into(), (*field).into(), (*value).into()),
                "{body}"
            );
        }
    }
}

pub const SYNTAX: &str = "E_SYNTAX";
pub const MISSING: &str = "E_MISSING_FIELD";
pub const TYPE: &str = "E_INVALID_FIELD_TYPE";
pub const VALUE: &str = "E_INVALID_FIELD_VALUE";

/// Returns the JSON of an answer, which must be 200, of this media type and canonical. The tree
/// alone would not show a member that occurs twice.
#[track_caller]
pub fn sound(answer: &Answer, media_type: &str) -> Value {
    let tree = answer.ok(media_type);
    assert_eq!(answer.text(), canonical_text(&tree));
    tree
}

/// RFC 8785, implemented again: our own serializer would agree with itself.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().expect("a double");
            out.push_str(ryu_js::Buffer::new().format_finite(number));
        }
        Value::Array(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                canonical(element, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_by_key(|key| key.encode_utf16().collect::<Vec<_>>());
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&json!(key).to_string());
                out.push(':');
                canonical(&object[key], out);
            }
            out.push('}');
        }
        // serde_json escapes in strings exactly what RFC 8785 §3.2.2.2 requires.
        other => out.push_str(&other.to_string()),
    }
}

/// Returns a tree as canonical JSON.
pub fn canonical_text(value: &Value) -> String {
    let mut out = String::new();
    canonical(value, &mut out);
    out
}

/// Returns the code, field and value of an ALTO error, empty where absent. The answer must be an
/// error as in RFC 7285 §8.5.2, with status 400.
#[track_caller]
pub fn fault(answer: &Answer) -> (String, String, String) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.header("content-type"), ERROR, "{answer:?}");
    let document = answer.json();
    let members: Vec<&String> = document.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["meta"], "an error has no data member");
    let meta = document["meta"].as_object().expect("an object");
    let text = |name: &str| match meta.get(name) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => panic!("{name} is {other}, which is no string"),
    };
    let code = text("code");
    assert!([SYNTAX, MISSING, TYPE, VALUE].contains(&code.as_str()));
    assert!(meta.contains_key("field") || !meta.contains_key("value"));
    (code, text("field"), text("value"))
}

/// Makes a cost type.
pub fn cost_type(metric: &str, mode: &str) -> Value {
    json!({"cost-metric": metric, "cost-mode": mode})
}

/// Returns the cost type of `routingcost` as a number.
pub fn rc() -> Value {
    cost_type("routingcost", "numerical")
}

/// Gets a full map of the node's own domain, which must exist.
pub async fn full(node: &TestNode, resource: &str) -> Value {
    let answer = node.get(&format!("/views/isp-a/{resource}")).await;
    let media_type = match resource {
        "networkmap" => NETWORK_MAP,
        _ => COST_MAP,
    };
    sound(&answer, media_type)
}

/// Returns the PID of each address, by the endpoint property service.
pub async fn pids(node: &TestNode, addresses: &[&str]) -> BTreeMap<String, String> {
    let property = format!("{MAP_ID}.pid");
    let query = json!({"properties": [property], "endpoints": addresses});
    let answer = PROPERTIES.ok(node, &query).await;
    let endpoints = answer["endpoint-properties"].as_object().expect("a map");
    let pid = |(address, values): (&String, &Value)| {
        let pid = values.get(&property)?.as_str()?.to_owned();
        Some((address.clone(), pid))
    };
    endpoints.iter().filter_map(pid).collect()
}

/// An entry of a directory, and the directory that it is in.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: String,
    pub directory: String,
    pub entry: Value,
}

impl Entry {
    /// Returns a member that is a string; empty if absent.
    pub fn text(&self, member: &str) -> &str {
        self.entry[member].as_str().unwrap_or_default()
    }

    /// Returns a capability that is a list of strings; empty if absent.
    pub fn capability(&self, name: &str) -> Vec<&str> {
        texts(&self.entry["capabilities"][name])
    }

    /// Returns the ids in `uses`.
    pub fn uses(&self) -> Vec<&str> {
        texts(&self.entry["uses"])
    }
}

fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// Returns the directories that the root directory leads to, by URL, including itself.
pub async fn directories(node: &TestNode) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![format!("{}/directory", node.url)];
    while let Some(url) = waiting.pop() {
        let directory = node.get(&url).await.ok(DIRECTORY);
        let entries = directory["resources"].as_object().expect("resources");
        let delegated = entries
            .values()
            .filter(|entry| entry["media-type"] == DIRECTORY);
        waiting.extend(
            delegated
                .map(|entry| entry["uri"].as_str().expect("a uri").to_owned())
                .filter(|url| !found.contains_key(url)),
        );
        found.insert(url, directory);
    }
    found
}

/// Returns every entry of those directories.
pub fn entries(directories: &BTreeMap<String, Value>) -> Vec<Entry> {
    let of = |(url, directory): (&String, &Value)| {
        let resources = directory["resources"].as_object().expect("resources");
        let entry = |(id, entry): (&String, &Value)| Entry {
            id: id.clone(),
            directory: url.clone(),
            entry: entry.clone(),
        };
        resources.iter().map(entry).collect::<Vec<_>>()
    };
    directories.iter().flat_map(of).collect()
}
