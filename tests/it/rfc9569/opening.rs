//! Sections 6.1 to 6.3: opening a view.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Method;
use serde_json::{Value, json};

use super::{COST_MAP_ID, MAP, node_with, of, set_cost, set_prefix};
use crate::metro::{COSTS, ENDPOINT_COSTS, ENDPOINTS, MISSING, SYNTAX, VALUE, fault, fill};
use crate::support::changes::Changes;
use crate::support::client_builder;
use crate::support::events::{TIPS, TIPS_PARAMS};
use crate::support::tips::{Tips, led_on};
use crate::support::{COST_PARAMS, TestNode};

fn filtered(pids: &Value) -> Value {
    let cost_type = json!({"cost-mode": "numerical", "cost-metric": "routingcost"});
    let input = json!({"cost-type": cost_type, "pids": pids});
    json!({"resource-id": "isp-a:filtered-costmap", "input": input})
}

#[tokio::test]
async fn a_view_has_an_absolute_uri_and_a_summary_and_is_kept_by_no_cache() {
    let node = node_with("").await;
    let answer = node.ask_tips(&of(MAP)).await;
    let opened = answer.ok(TIPS);
    let uri = opened["tips-view-uri"].as_str().expect("a URI");
    assert!(uri.starts_with(&format!("{}/", node.url)), "{uri}");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/:.-".contains(&b);
    assert!(uri.bytes().all(plain), "{uri}");
    assert_eq!(
        opened,
        json!({
            "tips-view-uri": uri,
            "tips-view-summary": {"updates-graph-summary": {
                "start-seq": 1, "end-seq": 1, "start-edge-rec": {"seq-i": 0, "seq-j": 1},
            }},
        })
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_view_has_the_scheme_and_host_that_the_node_is_known_by() {
    let node = TestNode::with("public_url = \"https://alto.example\"\n").await;
    fill(&node).await;
    let view = node.tips(&of(MAP)).await;
    let uri = view.uri.strip_prefix("https://alto.example/");
    let path = uri.expect("the URL that is known");
    assert_eq!(node.get(&format!("/{path}/ug/0/1")).await.status, 200);
}

#[tokio::test]
async fn equal_requests_share_a_view_however_their_input_is_spelt() {
    let node = node_with("").await;
    let path = "/views/isp-a/tips";
    let spellings = [
        r#"{"resource-id": "isp-a:filtered-costmap", "input": {"pids": {"srcs": ["core"], "dsts": []},
            "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"}}}"#,
        r#"{"input":{"cost-type":{"cost-mode":"numerical","cost-metric":"routingcost"},
            "pids":{"dsts":[],"srcs":["\u0063ore"]}},"tag":"no-such-tag","resource-id":"isp-a:filtered-costmap"}"#,
    ];
    let mut uris = Vec::new();
    for spelling in spellings {
        let opened = node.post(path, TIPS_PARAMS, spelling).await.ok(TIPS);
        uris.push(opened["tips-view-uri"].clone());
    }
    assert_eq!(uris[0], uris[1]);
}

#[tokio::test]
async fn another_resource_or_input_is_another_view() {
    let node = node_with("").await;
    let lists = [json!(["core"]), json!(["east"])];
    let mut uris = Vec::new();
    for srcs in lists {
        let params = filtered(&json!({"srcs": srcs, "dsts": []}));
        let view = node.tips(&params).await;
        let whole = view.edge(&node, 0, 1).await;
        assert_eq!(
            whole.text(),
            COSTS.ask(&node, &params["input"]).await.text()
        );
        uris.push(view.uri);
    }
    for resource in [MAP, COST_MAP_ID, "isp-a:ordinal-routingcost"] {
        uris.push(node.tips(&of(resource)).await.uri);
    }
    uris.sort();
    uris.dedup();
    assert_eq!(uris.len(), 5, "{uris:?}");
}

#[tokio::test]
async fn a_view_that_depends_on_who_asks_is_not_shared_with_others() {
    let node = node_with("").await;
    let input = json!({
        "cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
        "endpoints": {"dsts": ["ipv4:10.20.0.1"]},
    });
    let params = json!({"resource-id": "isp-a:endpointcost", "input": input}).to_string();
    let mut uris = Vec::new();
    for last in [2, 3] {
        let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        let client = client_builder().local_address(address).build();
        let client = client.expect("a client");
        let ask = |path: &str| node.request_by(&client, Method::POST, path);
        let opened = ask("/views/isp-a/tips").typed(TIPS_PARAMS, params.clone());
        let view = Tips::new(&opened.send().await.ok(TIPS));
        let whole = view.edge(&node, 0, 1).await;
        let own = ask(ENDPOINTS.path).typed(COST_PARAMS, input.to_string());
        assert_eq!(whole.ok(ENDPOINT_COSTS), own.send().await.json());
        assert!(whole.text().contains(&address.to_string()), "{whole:?}");
        uris.push(view.uri);
    }
    assert_ne!(uris[0], uris[1]);
}

#[tokio::test]
async fn without_a_tag_the_edge_is_that_of_the_latest_snapshot() {
    let node = node_with("").await;
    let view = node.tips(&of(COST_MAP_ID)).await;
    for version in 2..=10 {
        set_cost(&node, 100 + version).await;
        view.arrived(&node, version).await;
        let now = node.tips(&of(COST_MAP_ID)).await;
        assert_eq!((now.start(), now.end()), (1, version));
        let latest = if version < 8 { 1 } else { 8 };
        assert_eq!(now.recommended(), (0, latest), "{version}");
    }
}

#[tokio::test]
async fn a_tag_leads_on_from_its_version_to_what_get_gives() {
    let node = TestNode::start().await;
    let mut changes = Changes::begin(&node, 7, 20).await;
    let path = "/views/isp-a/networkmap";
    let view = node.tips(&of(MAP)).await;
    let mut known = vec![node.get(path).await.json()];
    while known.len() < 12 {
        changes.make(&node).await;
        let now = node.get(path).await.json();
        if Some(&now) != known.last() {
            known.push(now);
            view.arrived(&node, known.len() as u64).await;
        }
    }
    let newest = known.last().cloned().expect("versions");
    let mut led = 0;
    for (version, document) in (1..).zip(&known) {
        let tag = &document["meta"]["vtag"]["tag"];
        let now = node.tips(&json!({"resource-id": MAP, "tag": tag})).await;
        let (mut from, mut to) = now.recommended();
        assert!(from == version || (from, to) == (0, 8), "{:?}", now.summary);
        led += u64::from(from == version);
        let mut document = document.clone();
        while to <= now.end() {
            let edge = now.edge(&node, from, to).await;
            assert_eq!(edge.status, 200, "{from} {to}");
            document = led_on(document, &edge);
            (from, to) = (to, to + 1);
        }
        assert_eq!(document, newest, "from {version}");
    }
    assert!(led >= 6, "patches are recommended to {led} only");
}

#[tokio::test]
async fn the_newest_tag_leads_to_the_edge_that_will_come() {
    let node = node_with("").await;
    let tag = node.get("/views/isp-a/networkmap").await.json()["meta"]["vtag"]["tag"].clone();
    let view = node.tips(&json!({"resource-id": MAP, "tag": tag})).await;
    assert_eq!(view.recommended(), (1, 2));
    // Costs have the tag that their map is served with.
    let costs = node.get("/views/isp-a/costmap-routingcost").await;
    let tag = costs.header("etag").trim_matches('"').to_owned();
    let params = json!({"resource-id": COST_MAP_ID, "tag": tag});
    assert_eq!(node.tips(&params).await.recommended(), (1, 2));
}

#[tokio::test]
async fn a_tag_of_nothing_that_is_kept_leads_to_a_snapshot() {
    let node = node_with("").await;
    let view = node.tips(&of(MAP)).await;
    set_prefix(&node, 1).await;
    view.arrived(&node, 2).await;
    let params = json!({"resource-id": MAP, "tag": "of-yesterday"});
    assert_eq!(node.tips(&params).await.recommended(), (0, 1));
    // A tag belongs to one resource only.
    let tag = node.get("/views/isp-a/networkmap").await.json()["meta"]["vtag"]["tag"].clone();
    let params = json!({"resource-id": COST_MAP_ID, "tag": tag});
    assert_eq!(node.tips(&params).await.recommended().0, 0);
}

#[tokio::test]
async fn what_cannot_be_followed_is_an_error_and_makes_no_view() {
    let node = node_with("[updates]\nmax_followed = 1\n").await;
    let error = async |params: &Value| fault(&node.ask_tips(params).await);
    let told = |code: &str, field: &str, value: &str| (code.into(), field.into(), value.into());
    assert_eq!(
        error(&json!({})).await,
        told(MISSING, "resource-id", ""),
        "nothing is asked for"
    );
    for unknown in ["isp-a:none", "isp-a:tips", "isp-a:updates", ""] {
        let wanted = told(VALUE, "resource-id", unknown);
        assert_eq!(error(&of(unknown)).await, wanted);
    }
    let text = node.post("/views/isp-a/tips", TIPS_PARAMS, "{").await;
    assert_eq!(fault(&text).0, SYNTAX);
    // The error of the resource itself for such an input, or for none.
    for input in [
        json!({"pids": {"srcs": [], "dsts": []}}),
        json!({"cost-type": {"cost-metric": "none", "cost-mode": "numerical"}}),
        json!({"cost-type": {"cost-metric": "routingcost", "cost-mode": "numerical"},
            "pids": {"srcs": ["a b"], "dsts": []}}),
        json!([]),
    ] {
        let params = json!({"resource-id": "isp-a:filtered-costmap", "input": input});
        let itself = COSTS.ask(&node, &input).await;
        assert_eq!(error(&params).await, fault(&itself), "{input}");
    }
    let absent = error(&of("isp-a:filtered-costmap")).await;
    assert_eq!(absent, fault(&COSTS.ask(&node, "").await));
    // There is room for one more, and no other.
    node.tips(&of(MAP)).await;
    node.tips(&of(MAP)).await;
    let full = node.ask_tips(&of(COST_MAP_ID)).await;
    assert_eq!(full.status, 429, "{full:?}");
    let seconds: u64 = full.header("retry-after").parse().expect("seconds");
    assert!(seconds > 0);
}

#[tokio::test]
async fn a_request_of_another_type_or_method_opens_nothing() {
    let node = node_with("").await;
    let path = "/views/isp-a/tips";
    let body = of(MAP).to_string();
    let other = node.post(path, "application/json", body.clone()).await;
    assert_eq!(other.status, 415);
    let request = node.request(Method::POST, path).typed(TIPS_PARAMS, body);
    let unwanted = request.header("accept", ENDPOINT_COSTS).send().await;
    assert_eq!(unwanted.status, 406);
    assert_eq!(node.get(path).await.status, 405);
}
