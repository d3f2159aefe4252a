//! The answers of RFC 9569: TIPS views.

use reqwest::Method;
use serde_json::{Value, json};

use super::tape::{Ask, Tape, ask, get, post};
use super::world::World;
use super::{own, ranks};
use crate::metro::COST_MAP;
use crate::peer::soon;
use crate::support::events::TIPS_PARAMS;
use crate::support::tips::Tips;
use crate::support::{Answer, JSON, MERGE_PATCH, NOC};

/// Makes a request for a TIPS view of our own view.
fn tips(body: impl std::fmt::Display) -> Ask {
    post(own("tips"), TIPS_PARAMS, body)
}

fn of(resource: &str) -> Value {
    json!({"resource-id": format!("isp-a:{resource}")})
}

/// Returns the path of a view, whatever its base is.
fn path(opened: &Answer) -> String {
    let uri = Tips::new(&opened.json()).uri;
    uri.strip_prefix("http://isp-a.example")
        .expect("a URI")
        .to_owned()
}

fn patch(path: &str, body: Value) -> Ask {
    ask(Method::PATCH, format!("/n2s/v1/{path}"))
        .by(NOC)
        .typed(MERGE_PATCH, body)
}

fn cost(cost: f64) -> Ask {
    patch(
        "cost-maps/routingcost",
        json!({"cost-map": {"core": {"edge": cost}}}),
    )
}

#[tokio::test]
async fn views() {
    let world = World::start().await;
    let node = &world.node;
    let mut tape = Tape::of("RFC 9569: TIPS views", &world.masks);
    let costs = tape
        .ask(node, "of costs", tips(of("costmap-routingcost")))
        .await;
    let costs = path(&costs);
    let map = tape
        .ask(node, "of a network map", tips(of("networkmap")))
        .await;
    let map = path(&map);
    let pids = json!({"srcs": ["core"], "dsts": []});
    let input = json!({"cost-type": ranks(), "pids": pids});
    let filtered = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
    let filtered = tape.ask(node, "of filtered costs", tips(filtered)).await;
    let filtered = path(&filtered);
    for (title, view) in [
        ("costs", &costs),
        ("the map", &map),
        ("filtered costs", &filtered),
    ] {
        let edge = get(format!("{view}/ug/0/1"));
        tape.ask(node, &format!("the snapshot of {title}"), edge)
            .await;
    }
    let known = node.get(&own("networkmap")).await.json()["meta"]["vtag"]["tag"].clone();
    // Each change is waited for: two that come at once may be one version.
    for (version, changed) in [(1, 13.5), (2, 14.0), (3, 0.25)] {
        tape.ask(node, "costs change", cost(changed)).await;
        let come = format!("{costs}/ug/{version}/{}", version + 1);
        assert_eq!(node.get(&come).await.status, 200);
    }
    let prefix =
        json!({"network-map": {"void": {"ipv4": ["203.0.113.0/24"]}, "lab": {"ipv6": null}}});
    tape.ask(node, "the map changes", patch("network-map", prefix))
        .await;
    // Ranks changed once.
    for (view, newest) in [(&costs, "4/5"), (&filtered, "2/3"), (&map, "1/2")] {
        let edge = get(format!("{view}/ug/{newest}"));
        tape.ask(node, "the edge to the newest version", edge).await;
    }
    let edge = |view: &str, edge: &str| get(format!("{view}/ug/{edge}"));
    let asks = [
        ("a patch of costs", edge(&costs, "1/2")),
        ("the next patch of costs", edge(&costs, "2/3")),
        ("a patch of filtered costs", edge(&filtered, "1/2")),
        (
            "without its body",
            ask(Method::HEAD, format!("{costs}/ug/1/2")),
        ),
        (
            "packed",
            edge(&costs, "0/1").with("accept-encoding", "gzip"),
        ),
        ("in its type", edge(&costs, "0/1").with("accept", COST_MAP)),
        (
            "in a type that it is not of",
            edge(&costs, "1/2").with("accept", COST_MAP),
        ),
        ("no shortcut", edge(&costs, "1/3")),
        ("far ahead", edge(&costs, "8/9")),
        ("back", edge(&costs, "3/2")),
        ("no numbers", edge(&costs, "x/y")),
        (
            "of no view",
            get(format!("/views/isp-a/tips/{}/ug/0/1", "0".repeat(32))),
        ),
        ("nothing of a view", get(costs.clone())),
        (
            "by another method",
            ask(Method::PUT, format!("{costs}/ug/0/1")),
        ),
        (
            "its methods",
            ask(Method::OPTIONS, format!("{costs}/ug/0/1")),
        ),
        ("costs again", tips(of("costmap-routingcost"))),
        (
            "the map, of which an older version is known",
            tips(json!({
                "resource-id": "isp-a:networkmap", "tag": known,
            })),
        ),
    ];
    tape.all(node, asks).await;
    let next = |view: &str, body: Value| post(format!("{view}/ug"), TIPS_PARAMS, body);
    let with_input = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
    let asks = [
        ("where to go on", next(&costs, of("costmap-routingcost"))),
        (
            "where to go on from an older version",
            next(
                &map,
                json!({
                    "resource-id": "isp-a:networkmap", "tag": known,
                }),
            ),
        ),
        (
            "where to go on from what nobody knows",
            next(
                &map,
                json!({
                    "resource-id": "isp-a:networkmap", "tag": "other",
                }),
            ),
        ),
        (
            "where to go on with filtered costs",
            next(&filtered, of("filtered-costmap")),
        ),
        ("where to go on with an input", next(&filtered, with_input)),
        (
            "where to go on with another resource",
            next(&costs, of("networkmap")),
        ),
        ("where to go on with nothing", next(&costs, json!({}))),
        (
            "where to go on in another type",
            post(format!("{costs}/ug"), JSON, "{}"),
        ),
        (
            "where to go on by another method",
            get(format!("{costs}/ug")),
        ),
        (
            "where to go on with no view",
            next(
                &format!("/views/isp-a/tips/{}", "0".repeat(32)),
                of("networkmap"),
            ),
        ),
    ];
    tape.all(node, asks).await;
    let waiting = edge(&map, "2/3");
    tape.asked("the next version is waited for", &waiting);
    let change = patch(
        "network-map",
        json!({"network-map": {"void": {"ipv4": null}}}),
    );
    let (came, changed) =
        soon(async { tokio::join!(waiting.request(node).send(), change.request(node).send()) })
            .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    tape.answered(&came);
    tape.is("tips.txt");
}

#[tokio::test]
async fn mistakes() {
    let world = World::start().await;
    let mut tape = Tape::of("RFC 9569: requests that open no TIPS view", &world.masks);
    let asks = [
        ("nothing", tips("")),
        ("broken JSON", tips("{")),
        ("another thing than an object", tips("[]")),
        ("no resource", tips("{}")),
        ("a resource of another type", tips(r#"{"resource-id":7}"#)),
        ("a resource that there is not", tips(of("none"))),
        ("a view of views", tips(of("tips"))),
        ("no input", tips(of("filtered-costmap"))),
        (
            "an input with a mistake",
            tips(json!({
                "resource-id": "isp-a:filtered-networkmap", "input": {"pids": ["a b"]},
            })),
        ),
        ("of another type", post(own("tips"), JSON, "{}")),
        (
            "in another type",
            tips(of("networkmap")).with("accept", COST_MAP),
        ),
        ("by another method", get(own("tips"))),
        (
            "of a view that there is not",
            post("/views/isp-x/tips", TIPS_PARAMS, "{}"),
        ),
    ];
    tape.all(&world.node, asks).await;
    tape.is("tips-mistakes.txt");
}
