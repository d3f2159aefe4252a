//! What turns one version of an answer into another, held against the answers
//! themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use altofed::alto::canonical::value_text;
use altofed::alto::json::read;
use altofed::alto::network::AddressGroup;
use altofed::alto::property::read_property_map;
use altofed::ident::{DomainLabel, MetricName, PidName};
use altofed::net::{Lpm, Matrix, PidIndex};
use altofed::publish::{
    Change, Costs, Form, Lookup, NetworkMap, Origin, Patch, Properties, Query, View, ViewName,
};
use serde_json::Value;

const PIDS: [&str; 6] = ["a", "b", "c", "c:1", "d", "e"];
const PREFIXES: [&str; 9] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "192.0.2.0/25",
    "192.0.2.128/25",
    "198.51.100.7/32",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "::/0",
];
const COSTS: [f64; 7] = [f64::NAN, f64::NAN, 0.0, 1.0, 2.5, 1e21, 0.1];
const METRICS: [&str; 2] = ["routingcost", "bw-available"];

/// What is asked of each version: a resource, and the body of the request.
const QUESTIONS: [(&str, &str); 10] = [
    ("networkmap", ""),
    (
        "filtered-networkmap",
        r#"{"pids":[],"address-types":["ipv6"]}"#,
    ),
    ("filtered-networkmap", r#"{"pids":["a","c:1","zz"]}"#),
    ("costmap-routingcost", ""),
    ("ordinal-bw-available", ""),
    (
        "filtered-costmap",
        r#"{"cost-type":{"cost-metric":"routingcost","cost-mode":"ordinal"},"pids":{"srcs":["b","a"],"dsts":[]},"constraints":["ge 1"]}"#,
    ),
    (
        "filtered-costmap",
        r#"{"multi-cost-types":[{"cost-metric":"routingcost","cost-mode":"numerical"},{"cost-metric":"bw-available","cost-mode":"numerical"}],"or-constraints":[["[0] ge 1"],["[1] le 2"]]}"#,
    ),
    (
        "endpointcost",
        r#"{"cost-type":{"cost-metric":"routingcost","cost-mode":"numerical"},"endpoints":{"srcs":["ipv4:10.1.2.3","ipv4:192.0.2.200"],"dsts":["ipv4:10.9.0.1","ipv6:2001:db8:1::7","ipv4:198.51.100.7"]}}"#,
    ),
    (
        "endpointcost",
        r#"{"multi-cost-types":[{"cost-metric":"bw-available","cost-mode":"ordinal"}],"endpoints":{"dsts":["ipv4:10.9.0.1","ipv6:2001:db8:1::7"]}}"#,
    ),
    (
        "endpointprop",
        r#"{"properties":["d:networkmap.pid","priv:x"],"endpoints":["ipv4:10.1.2.3","ipv6:2001:db8::9","ipv4:203.0.113.1"]}"#,
    ),
];

/// Two changes of a view: each patch, the two one after the other, and the one
/// over both give the answer that the view itself gives.
pub fn delta(bytes: &[u8]) {
    let (first, edits) = bytes.split_at(bytes.len().min(120));
    let mut content = first.to_vec();
    content.resize(120, 0);
    let mut versions = vec![view(&content)];
    let half = edits.len() / 2;
    for edits in [&edits[..half], &edits[half..]] {
        for edit in edits.chunks_exact(2) {
            let place = usize::from(edit[0]) % content.len();
            content[place] = edit[1];
        }
        versions.push(view(&content));
    }
    let client: IpAddr = [10, 1, 2, 9].into();
    for (path, input) in QUESTIONS {
        for forms in [
            &[Form::Merge][..],
            &[Form::Json],
            &[Form::Merge, Form::Json],
        ] {
            let Some(resource) = versions[0].catalog().get(path) else {
                panic!("every view has {path}")
            };
            let query = Query::new(resource, input.as_bytes().to_vec(), client);
            let answers = versions.iter().map(|view| query.answer(view));
            // Of properties that one version does not have it cannot be asked.
            let Ok(answers) = answers.collect::<Result<Vec<_>, _>>() else {
                continue;
            };
            let patch = |from: usize, to: usize| {
                let change = query.changes(&versions[from], &versions[to], forms, usize::MAX);
                match change.expect("both were answered") {
                    Change::Same => None,
                    Change::Patch(patch) => Some(patch),
                    Change::TooLong => panic!("no limit was set"),
                }
            };
            let mut chained = tree(&answers[0]);
            for next in [1, 2] {
                apply(&mut chained, patch(next - 1, next));
                assert_eq!(
                    value_text(&chained).as_bytes(),
                    answers[next],
                    "{path} {forms:?}"
                );
            }
            let mut at_once = tree(&answers[0]);
            apply(&mut at_once, patch(0, 2));
            assert_eq!(at_once, chained, "{path} {forms:?}");
            assert_eq!(patch(0, 2).is_none(), answers[0] == answers[2]);
        }
    }
}

fn tree(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn apply(document: &mut Value, patch: Option<Patch>) {
    let Some(patch) = patch else { return };
    let text = tree(&patch.text);
    match patch.form {
        Form::Merge => {
            assert_eq!(value_text(&text).as_bytes(), patch.text, "canonical");
            json_patch::merge(document, &text);
        }
        Form::Json => {
            let operations: json_patch::Patch = serde_json::from_value(text).expect("operations");
            json_patch::patch(document, &operations).expect("fits");
        }
    }
}

/// The view that these bytes stand for.
fn view(bytes: &[u8]) -> Arc<View> {
    let mut dice = bytes.iter().map(|byte| usize::from(*byte));
    let mut roll = |sides: usize| dice.next().unwrap_or(0) % sides;
    let mut names: Vec<&str> = PIDS.into_iter().filter(|_| roll(8) != 7).collect();
    if names.is_empty() {
        names.push("a");
    }
    let mut groups = vec![AddressGroup::default(); names.len()];
    let mut prefixes = Vec::new();
    for prefix in PREFIXES {
        let pid = roll(names.len() + 1);
        if let Some(group) = groups.get_mut(pid) {
            let net = prefix.parse().expect("a prefix");
            group.insert(net);
            prefixes.push((net, u32::try_from(pid).expect("few")));
        }
    }
    let costs = METRICS.map(|name| {
        let mut costs = Matrix::new(names.len(), names.len());
        for src in 0..names.len() {
            for dst in 0..names.len() {
                costs.set(src, dst, COSTS[roll(COSTS.len())]);
            }
        }
        let metric = MetricName::new(name).expect("a metric");
        (metric, Costs::Dense(Arc::new(costs)))
    });
    let entities = ["ipv4:10.0.0.0/8", "ipv4:10.1.2.0/24", "ipv6:2001:db8::/32"].into_iter();
    let stated = entities.filter_map(|entity| match roll(3) {
        0 => None,
        value => Some(format!(r#""{entity}":{{"priv:x":"{value}\""}}"#)),
    });
    let stated: Vec<String> = stated.collect();
    let stated = format!("{{{}}}", stated.join(","));
    let properties = read(stated.as_bytes(), read_property_map()).expect("properties");
    let lookup = Lookup {
        lpm: Arc::new(Lpm::build(prefixes).expect("each once")),
        ..Lookup::default()
    };
    let pid = |name: &&str| PidName::new(name).expect("a name");
    let network = NetworkMap::new(
        Arc::new(PidIndex::new(names.iter().map(pid).collect())),
        groups.into_iter().map(Arc::new).collect(),
        lookup,
    );
    let origin = Origin {
        serial: 1,
        received: jiff::Timestamp::UNIX_EPOCH,
    };
    Arc::new(View::new(
        ViewName::Domain(DomainLabel::new("d").expect("a label")),
        origin,
        Arc::new(network),
        BTreeMap::from(costs),
        Arc::new(Properties::new(properties)),
        None,
    ))
}
