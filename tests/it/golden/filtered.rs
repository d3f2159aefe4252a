//! The answers of RFC 7285 and RFC 8189: filtered maps.

use reqwest::Method;
use serde_json::{Value, json};

use super::tape::{Tape, ask, get, post};
use super::world::World;
use super::{hops, merged, own, ranks};
use crate::metro::{COST_MAP, cost_type, rc};
use crate::support::{COST_FILTER, JSON, NETWORK_FILTER};

#[tokio::test]
async fn filtered_network_maps() {
    let world = World::start().await;
    let mut tape = Tape::of(
        "RFC 7285 section 11.3.1: filtered network maps",
        &world.masks,
    );
    for view in ["isp-a", "merged"] {
        let (path, prefix) = match view {
            "merged" => (merged("filtered-networkmap"), "isp-a:"),
            _ => (own("filtered-networkmap"), ""),
        };
        let pids = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
            json!(names)
        };
        let query = |body: Value| post(&*path, NETWORK_FILTER, body);
        let asks = [
            ("one PID", query(json!({"pids": pids(&["lab"])}))),
            (
                "several, one of them unknown",
                query(json!({"pids": pids(&["void", "core", "none"])})),
            ),
            ("all", query(json!({"pids": []}))),
            (
                "one family",
                query(json!({"pids": [], "address-types": ["ipv6"]})),
            ),
            (
                "both families",
                query(json!({"pids": pids(&["edge"]), "address-types": ["ipv4", "ipv6"]})),
            ),
        ];
        for (title, ask) in asks {
            tape.ask(&world.node, &format!("{view}: {title}"), ask)
                .await;
        }
    }
    let query = |body: &str| post(own("filtered-networkmap"), NETWORK_FILTER, body);
    let asks = [
        ("no JSON", query("{\"pids\":")),
        ("nothing", query("")),
        ("another thing than an object", query("[]")),
        ("a member twice", query(r#"{"pids":[],"pids":["core"]}"#)),
        ("a member that is missing", query("{}")),
        ("a member of another type", query(r#"{"pids":"core"}"#)),
        (
            "an element of another type",
            query(r#"{"pids":["core",7]}"#),
        ),
        (
            "a family that there is not",
            query(r#"{"pids":[],"address-types":["ipv5"]}"#),
        ),
        ("a name that is none", query(r#"{"pids":["a b"]}"#)),
        (
            "members that nobody knows",
            query(r#"{"x":{"y":[null]},"pids":["lab"]}"#),
        ),
        (
            "another type",
            post(own("filtered-networkmap"), JSON, r#"{"pids":[]}"#),
        ),
        (
            "without a type",
            ask(Method::POST, own("filtered-networkmap")),
        ),
        (
            "in a type that it is not of",
            query(r#"{"pids":[]}"#).with("accept", COST_MAP),
        ),
        (
            "packed",
            query(r#"{"pids":[]}"#).with("accept-encoding", "gzip"),
        ),
        ("by another method", get(own("filtered-networkmap"))),
        (
            "its methods",
            ask(Method::OPTIONS, own("filtered-networkmap")),
        ),
    ];
    tape.all(&world.node, asks).await;
    tape.is("filtered-network-maps.txt");
}

#[tokio::test]
async fn filtered_cost_maps() {
    let world = World::start().await;
    let mut tape = Tape::of(
        "RFC 7285 section 11.3.2, RFC 8189: filtered cost maps",
        &world.masks,
    );
    let pids = json!({"srcs": ["core", "edge", "none"], "dsts": ["lab", "core"]});
    let query = |body: Value| post(own("filtered-costmap"), COST_FILTER, body);
    let both = json!([rc(), hops()]);
    let asks = [
        (
            "some pairs",
            query(json!({"cost-type": rc(), "pids": pids})),
        ),
        ("all pairs", query(json!({"cost-type": rc()}))),
        (
            "from all",
            query(json!({"cost-type": hops(), "pids": {"srcs": [], "dsts": ["lab"]}})),
        ),
        ("ranks", query(json!({"cost-type": ranks(), "pids": pids}))),
        (
            "constraints",
            query(json!({"cost-type": rc(), "constraints": ["ge 1", "lt 5"]})),
        ),
        (
            "no pair fits",
            query(json!({"cost-type": rc(), "constraints": ["gt 1000"]})),
        ),
        ("several types", query(json!({"multi-cost-types": both}))),
        (
            "several types, one in ranks",
            query(json!({"multi-cost-types": [ranks(), hops(), rc()], "pids": pids})),
        ),
        (
            "a type alone in a list",
            query(json!({"multi-cost-types": [hops()]})),
        ),
        (
            "types that are tested only",
            query(json!({
                "cost-type": rc(), "testable-cost-types": [hops()], "constraints": ["[0] eq 2"],
            })),
        ),
        (
            "alternatives",
            query(json!({
                "multi-cost-types": both, "or-constraints": [["[0] le 1"], ["[0] ge 5", "[1] lt 3"]],
            })),
        ),
        (
            "large and small numbers",
            query(json!({"cost-type": cost_type("bw-available", "numerical")})),
        ),
    ];
    tape.all(&world.node, asks).await;
    let pids = json!({
        "srcs": ["isp-a:core", "isp-a:lab", "isp-c:core", "isp-d:a"],
        "dsts": ["isp-a:edge", "isp-b:core", "isp-b:edge", "isp-c:more", "isp-d:b", "isp-x:none"],
    });
    let query = |body: Value| post(merged("filtered-costmap"), COST_FILTER, body);
    let asks = [
        (
            "across borders",
            query(json!({"cost-type": rc(), "pids": pids})),
        ),
        (
            "across borders in ranks",
            query(json!({"cost-type": ranks(), "pids": pids})),
        ),
        (
            "across borders, several types",
            query(json!({"multi-cost-types": both, "pids": pids})),
        ),
        (
            "across borders, constraints",
            query(json!({
                "cost-type": rc(), "pids": pids, "constraints": ["lt 20"],
            })),
        ),
        (
            "across borders, alternatives",
            query(json!({
                "multi-cost-types": both, "pids": pids, "or-constraints": [["[0] lt 5"], ["[1] ge 2"]],
            })),
        ),
    ];
    tape.all(&world.node, asks).await;
    let query = |body: &str| post(own("filtered-costmap"), COST_FILTER, body);
    let rc = r#""cost-type":{"cost-metric":"routingcost","cost-mode":"numerical"}"#;
    let asks = [
        ("no JSON", query("{")),
        ("no cost type", query("{}")),
        (
            "no metric",
            query(r#"{"cost-type":{"cost-mode":"numerical"}}"#),
        ),
        (
            "a metric of another type",
            query(r#"{"cost-type":{"cost-metric":7,"cost-mode":"numerical"}}"#),
        ),
        (
            "a metric that there is not",
            query(r#"{"cost-type":{"cost-metric":"none","cost-mode":"numerical"}}"#),
        ),
        (
            "a mode that there is not",
            query(r#"{"cost-type":{"cost-metric":"routingcost","cost-mode":"x"}}"#),
        ),
        (
            "PIDs of another type",
            query(&format!(r#"{{{rc},"pids":[]}}"#)),
        ),
        (
            "PIDs without destinations",
            query(&format!(r#"{{{rc},"pids":{{"srcs":["core"]}}}}"#)),
        ),
        (
            "a name that is none",
            query(&format!(r#"{{{rc},"pids":{{"srcs":["a b"],"dsts":[]}}}}"#)),
        ),
        (
            "a constraint that is none",
            query(&format!(r#"{{{rc},"constraints":["about 5"]}}"#)),
        ),
        (
            "constraints of another type",
            query(&format!(r#"{{{rc},"constraints":"gt 5"}}"#)),
        ),
        (
            "a constraint on a type that is not asked",
            query(&format!(r#"{{{rc},"constraints":["[1] gt 5"]}}"#)),
        ),
        (
            "both kinds of constraints",
            query(&format!(
                r#"{{{rc},"constraints":["gt 5"],"or-constraints":[["gt 5"]]}}"#
            )),
        ),
        (
            "one type and several",
            query(&format!(r#"{{{rc},"multi-cost-types":[]}}"#)),
        ),
        ("another type", post(own("filtered-costmap"), JSON, "{}")),
        ("by another method", get(own("filtered-costmap"))),
    ];
    tape.all(&world.node, asks).await;
    tape.is("filtered-cost-maps.txt");
}
