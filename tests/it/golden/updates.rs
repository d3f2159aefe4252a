//! The answers of RFC 8895: update streams.

use reqwest::Method;
use serde_json::{Value, json};

use super::tape::{Ask, Tape, ask, get, post};
use super::world::World;
use super::{merged, own, ranks};
use crate::metro::rc;
use crate::support::events::UPDATES;
use crate::support::{CDN, JSON, MERGE_PATCH, NOC};

/// Makes a substream of a resource of our own view.
fn of(resource: &str) -> Value {
    json!({"resource-id": format!("isp-a:{resource}")})
}

/// Makes a substream of a resource with parameters.
fn asking(resource: &str, input: &Value) -> Value {
    json!({"resource-id": format!("isp-a:{resource}"), "input": input})
}

/// Makes a request for a stream of our own view.
fn stream(body: impl std::fmt::Display) -> Ask {
    post(own("updates"), UPDATES, body)
}

fn patch(path: &str, body: Value) -> Ask {
    ask(Method::PATCH, format!("/n2s/v1/{path}"))
        .by(NOC)
        .typed(MERGE_PATCH, body)
}

/// Returns many prefixes of one PID, and this one.
fn prefixes(last: u8) -> Value {
    let mut prefixes: Vec<String> = (0..40).map(|n| format!("10.7.{n}.0/24")).collect();
    prefixes.push(format!("10.8.{last}.0/24"));
    json!({"network-map": {"many": {"ipv4": prefixes}}})
}

#[tokio::test]
async fn streams() {
    let world = World::start().await;
    let node = &world.node;
    let mut tape = Tape::of("RFC 8895: update streams", &world.masks);
    tape.ask(
        node,
        "a PID of many prefixes",
        patch("network-map", prefixes(1)),
    )
    .await;
    let pids = json!({"srcs": ["core"], "dsts": []});
    let pair = json!({"srcs": ["ipv4:10.1.0.1"], "dsts": ["ipv4:10.1.200.1", "ipv4:10.7.1.1"]});
    let whole = json!({"resource-id": "isp-a:costmap-routingcost", "incremental-changes": false});
    let properties = json!({
        "properties": ["isp-a:networkmap.pid", "priv:access"], "endpoints": ["ipv4:10.8.2.1"],
    });
    let add = json!({
        "costs": of("costmap-routingcost"),
        "endpoints": asking("endpointcost", &json!({"cost-type": rc(), "endpoints": pair})),
        "filtered": asking("filtered-costmap", &json!({"cost-type": ranks(), "pids": pids})),
        "map": of("networkmap"),
        "pids": asking("filtered-networkmap", &json!({"pids": ["lab"]})),
        "properties": asking("endpointprop", &properties),
        "ranks": of("ordinal-routingcost"),
        "tips": asking("tips", &json!({"resource-id": "isp-a:costmap-routingcost"})),
        "whole": whole,
    });
    let asked = stream(json!({"add": add}));
    let mut events = tape.open(node, "of several resources", asked).await;
    let all = [
        "",
        "costs",
        "endpoints",
        "filtered",
        "map",
        "pids",
        "properties",
        "ranks",
        "tips",
        "whole",
    ];
    tape.until(&mut events, &all).await;

    let cost = patch(
        "cost-maps/routingcost",
        json!({"cost-map": {"core": {"edge": 13.5, "lab": null}}}),
    );
    tape.ask(node, "costs change", cost).await;
    let changed = ["costs", "endpoints", "filtered", "ranks", "tips", "whole"];
    tape.until(&mut events, &changed).await;

    tape.ask(node, "a prefix changes", patch("network-map", prefixes(2)))
        .await;
    let changed = [
        "costs",
        "filtered",
        "map",
        "pids",
        "properties",
        "ranks",
        "tips",
        "whole",
    ];
    tape.until(&mut events, &changed).await;

    let renamed = json!({"network-map": {"void": null, "core": {"ipv6": null}}});
    tape.ask(node, "a PID goes", patch("network-map", renamed))
        .await;
    let changed = [
        "costs",
        "filtered",
        "map",
        "pids",
        "properties",
        "ranks",
        "tips",
        "whole",
    ];
    tape.until(&mut events, &changed).await;

    let control = events.control.clone();
    let ask_control = |body: Value| post(control.clone(), UPDATES, body);
    let asks = [
        (
            "control: what never was is removed",
            json!({"remove": ["none", "map"]}),
        ),
        (
            "control: what is there is added",
            json!({"add": {"map": of("networkmap")}}),
        ),
        (
            "control: what there is not is added",
            json!({"add": {"x": of("none")}}),
        ),
        ("control: nothing is asked", json!({})),
        (
            "control: what is removed is of another type",
            json!({"remove": "map"}),
        ),
    ];
    for (title, body) in asks {
        tape.ask(node, title, ask_control(body)).await;
    }
    tape.ask(
        node,
        "control: of another type",
        post(control.clone(), JSON, "{}"),
    )
    .await;
    tape.ask(node, "control: by another method", get(control.clone()))
        .await;
    let none = format!("/views/isp-a/updates/{}", "0".repeat(32));
    tape.ask(node, "control: of no stream", post(none, UPDATES, "{}"))
        .await;
    let both = json!({"add": {"hops": of("costmap-hopcount")}, "remove": ["whole", "costs"]});
    tape.ask(
        node,
        "control: one is added and others are removed",
        ask_control(both),
    )
    .await;
    tape.until(&mut events, &["hops"]).await;
    let last = json!({"remove": []});
    tape.ask(node, "control: all are removed", ask_control(last))
        .await;
    tape.end(events).await;
    let gone = json!({"remove": []});
    tape.ask(node, "control: of a stream that ended", ask_control(gone))
        .await;
    tape.is("updates.txt");
}

#[tokio::test]
async fn streams_of_the_merged_view() {
    let world = World::start().await;
    let node = &world.node;
    let mut tape = Tape::of("RFC 8895: update streams of the merged view", &world.masks);
    let pids = json!({"srcs": ["isp-a:lab"], "dsts": ["isp-b:core", "isp-c:edge"]});
    let filtered = json!({"cost-type": rc(), "pids": pids});
    let map = node.get("/views/merged/networkmap").await;
    let tag = &map.json()["meta"]["vtag"]["tag"];
    let add = json!({
        "costs": {"resource-id": "costmap-routingcost"},
        "filtered": {"resource-id": "filtered-costmap", "input": filtered},
        "map": {"resource-id": "networkmap", "tag": tag},
    });
    let asked = post(merged("updates"), UPDATES, json!({"add": add}));
    let mut events = tape
        .open(node, "of several resources, one of which is known", asked)
        .await;
    tape.until(&mut events, &["", "costs", "filtered"]).await;
    let cost = patch(
        "cost-maps/routingcost",
        json!({"cost-map": {"lab": {"core": 2}}}),
    );
    tape.ask(node, "costs change", cost).await;
    tape.until(&mut events, &["costs", "filtered"]).await;
    let void = json!({"network-map": {"void": {"ipv4": ["203.0.113.0/24"]}}});
    tape.ask(node, "a PID gets a prefix", patch("network-map", void))
        .await;
    tape.until(&mut events, &["costs", "filtered", "map"]).await;
    tape.is("updates-merged.txt");
}

#[tokio::test]
async fn mistakes() {
    let world = World::start().await;
    let mut tape = Tape::of("RFC 8895: requests that open no stream", &world.masks);
    let one = |substream: Value| json!({"add": {"a": substream}});
    let map = || stream(one(of("networkmap")));
    let asks = [
        ("nothing", stream("")),
        ("broken JSON", stream("{")),
        ("another thing than an object", stream("[]")),
        ("no substream", stream("{}")),
        ("no substream in what is added", stream(r#"{"add":{}}"#)),
        ("what is added is of another type", stream(r#"{"add":[]}"#)),
        ("a substream of another type", stream(one(json!([])))),
        ("no resource", stream(one(json!({})))),
        (
            "a resource of another type",
            stream(one(json!({"resource-id": 7}))),
        ),
        ("a resource that there is not", stream(one(of("none")))),
        ("a stream of a stream", stream(one(of("updates")))),
        (
            "a substream with another name",
            stream(json!({"add": {"a.b": of("networkmap")}})),
        ),
        (
            "a wish of another type",
            stream(one(json!({
                "resource-id": "isp-a:networkmap", "incremental-changes": "no",
            }))),
        ),
        ("no input", stream(one(of("filtered-costmap")))),
        (
            "an input with a mistake",
            stream(one(asking(
                "filtered-costmap",
                &json!({
                    "cost-type": rc(), "constraints": ["about 3"],
                }),
            ))),
        ),
        ("of another type", post(own("updates"), JSON, "{}")),
        ("in another type", map().with("accept", JSON)),
        ("by another method", get(own("updates"))),
        ("its methods", ask(Method::OPTIONS, own("updates"))),
        (
            "of a view that there is not",
            post("/views/isp-x/updates", UPDATES, "{}").by(CDN),
        ),
    ];
    tape.all(&world.node, asks).await;
    tape.is("updates-mistakes.txt");
}
