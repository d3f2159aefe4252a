//! The answers of RFC 7285 and RFC 8189: endpoint services.

use reqwest::Method;
use serde_json::{Value, json};

use super::tape::{Tape, ask, get, post};
use super::world::World;
use super::{hops, merged, own, ranks};
use crate::metro::rc;
use crate::support::{COST_PARAMS, JSON, PROPERTY_PARAMS};

#[tokio::test]
async fn endpoint_services() {
    let world = World::start().await;
    let mut tape = Tape::of(
        "RFC 7285 sections 11.4 and 11.5: endpoint services",
        &world.masks,
    );
    let endpoints = json!([
        "ipv4:10.1.7.9",
        "ipv6:2001:db8:1::5",
        "ipv4:198.51.100.200",
        "ipv4:203.0.113.1",
        "ipv6:2001:db8:ffff::1",
    ]);
    let properties = |path: String, body: Value| post(path, PROPERTY_PARAMS, body);
    let asked = |pid: &str| {
        let names = [pid, "priv:access", "priv:shared"];
        json!({"properties": names, "endpoints": endpoints})
    };
    let asks = [
        (
            "properties",
            properties(own("endpointprop"), asked("isp-a:networkmap.pid")),
        ),
        (
            "properties in the merged view",
            properties(
                merged("endpointprop"),
                json!({
                    "properties": ["networkmap.pid", "priv:access"],
                    "endpoints": ["ipv4:10.1.7.9", "ipv4:10.2.0.1", "ipv4:10.3.200.1", "ipv4:192.0.2.200", "ipv4:8.8.8.8"],
                }),
            ),
        ),
        (
            "properties that depend on no map",
            properties(
                own("endpointprop"),
                json!({
                    "properties": ["priv:access"], "endpoints": ["ipv4:10.1.7.9"],
                }),
            ),
        ),
        (
            "a property that there is not",
            properties(own("endpointprop"), asked("priv:none")),
        ),
        (
            "no property",
            properties(
                own("endpointprop"),
                json!({"properties": [], "endpoints": endpoints}),
            ),
        ),
        (
            "properties of nothing",
            properties(own("endpointprop"), json!({"properties": ["priv:access"]})),
        ),
        (
            "of what is no endpoint",
            properties(
                own("endpointprop"),
                json!({
                    "properties": ["priv:access"], "endpoints": ["10.1.7.9"],
                }),
            ),
        ),
        (
            "of a number",
            properties(
                own("endpointprop"),
                json!({"properties": ["priv:access"], "endpoints": 7}),
            ),
        ),
        (
            "of broken JSON",
            post(own("endpointprop"), PROPERTY_PARAMS, "{\"properties\""),
        ),
        ("of another type", post(own("endpointprop"), JSON, "{}")),
        ("by another method", get(own("endpointprop"))),
    ];
    tape.all(&world.node, asks).await;
    let costs = |path: String, body: Value| post(path, COST_PARAMS, body);
    let pair = json!({
        "srcs": ["ipv4:10.1.0.1", "ipv6:2001:db8:1:7::1"],
        "dsts": ["ipv4:10.1.7.9", "ipv4:10.1.200.1", "ipv6:2001:db8:1::1", "ipv4:8.8.8.8"],
    });
    let across = json!({
        "srcs": ["ipv4:10.1.0.1", "ipv4:10.1.7.9", "ipv4:192.0.2.200"],
        "dsts": ["ipv4:10.2.0.1", "ipv4:10.2.200.1", "ipv4:10.3.0.1", "ipv4:192.0.2.201", "ipv4:100.64.0.1", "ipv4:8.8.8.8"],
    });
    let asks = [
        (
            "costs",
            costs(
                own("endpointcost"),
                json!({"cost-type": rc(), "endpoints": pair}),
            ),
        ),
        (
            "ranks",
            costs(
                own("endpointcost"),
                json!({"cost-type": ranks(), "endpoints": pair}),
            ),
        ),
        (
            "several types",
            costs(
                own("endpointcost"),
                json!({"multi-cost-types": [hops(), rc()], "endpoints": pair}),
            ),
        ),
        (
            "constraints",
            costs(
                own("endpointcost"),
                json!({
                    "cost-type": rc(), "endpoints": pair, "constraints": ["gt 0", "le 4.5"],
                }),
            ),
        ),
        (
            "alternatives",
            costs(
                own("endpointcost"),
                json!({
                    "multi-cost-types": [rc(), hops()], "endpoints": pair, "or-constraints": [["[0] eq 1"], ["[1] eq 2"]],
                }),
            ),
        ),
        (
            "across borders",
            costs(
                merged("endpointcost"),
                json!({"cost-type": rc(), "endpoints": across}),
            ),
        ),
        (
            "across borders in ranks",
            costs(
                merged("endpointcost"),
                json!({"cost-type": ranks(), "endpoints": across}),
            ),
        ),
        (
            "across borders, several types",
            costs(
                merged("endpointcost"),
                json!({
                    "multi-cost-types": [rc(), hops()], "endpoints": across,
                }),
            ),
        ),
        (
            "from who asks",
            costs(
                merged("endpointcost"),
                json!({
                    "cost-type": rc(), "endpoints": {"dsts": ["ipv4:10.1.7.9"]},
                }),
            ),
        ),
        (
            "no endpoints",
            costs(own("endpointcost"), json!({"cost-type": rc()})),
        ),
        (
            "no destinations",
            costs(
                own("endpointcost"),
                json!({"cost-type": rc(), "endpoints": {"srcs": []}}),
            ),
        ),
        (
            "what is no endpoint",
            costs(
                own("endpointcost"),
                json!({
                    "cost-type": rc(), "endpoints": {"srcs": ["ipv4:300.0.0.1"], "dsts": ["ipv4:10.1.7.9"]},
                }),
            ),
        ),
        (
            "endpoints of another type",
            costs(
                own("endpointcost"),
                json!({"cost-type": rc(), "endpoints": []}),
            ),
        ),
        ("broken JSON", post(own("endpointcost"), COST_PARAMS, "[")),
        ("another type", post(own("endpointcost"), JSON, "{}")),
        ("by another method", ask(Method::PUT, own("endpointcost"))),
    ];
    tape.all(&world.node, asks).await;
    tape.is("endpoints.txt");
}
