//! Answers equal those of a second, plain computation from the served documents and the text of
//! the RFCs, for the research networks and for random ones.

mod dice;
mod networks;
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::metro::{COST_MAP, COSTS, ENDPOINTS, NETWORK, NETWORK_MAP, PROPERTIES, Service, sound};
use crate::support::{JSON, NOC, TestNode};

use dice::Dice;
use networks::Documents;
use world::World;

/// Puts documents in one transaction, replacing those put before.
async fn put(node: &TestNode, documents: &Documents, before: Option<&Documents>) {
    let gone = before
        .map(|before| before.costs.keys())
        .into_iter()
        .flatten();
    let gone = gone.filter(|metric| !documents.costs.contains_key(*metric));
    let mut operations: Vec<Value> = gone
        .map(|metric| json!({"op": "delete", "path": format!("cost-maps/{metric}")}))
        .collect();
    let mut put = |path: String, value: Value| {
        operations.push(json!({"op": "put", "path": path, "value": value}));
    };
    put(
        "network-map".into(),
        json!({"network-map": documents.network}),
    );
    for (metric, costs) in &documents.costs {
        put(format!("cost-maps/{metric}"), json!({"cost-map": costs}));
    }
    put(
        "properties".into(),
        json!({"property-map": documents.properties}),
    );
    let body = json!({"operations": operations}).to_string();
    let request = node.request(Method::POST, "/n2s/v1/transaction").token(NOC);
    let answer = request.typed(JSON, body).send().await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// Returns the world as a view serves it, after checking that it is what was put.
async fn served(node: &TestNode, view: &str, documents: &Documents) -> World {
    let get = async |resource: String, media_type: &str| {
        let answer = node.get(&format!("/views/{view}/{resource}")).await;
        sound(&answer, media_type)
    };
    let map = get("networkmap".into(), NETWORK_MAP).await;
    let merged = view == "merged";
    let expected = if merged {
        documents.merged("isp-a")
    } else {
        documents.completed()
    };
    assert_eq!(map["network-map"], expected.network, "{view}");
    let mut costs = BTreeMap::new();
    for (metric, stated) in &expected.costs {
        let suffix = metric.replace('.', "_");
        let map = get(format!("costmap-{suffix}"), COST_MAP).await;
        assert!(world::same(&map["cost-map"], stated), "{view} {metric}");
        costs.insert(metric.clone(), map["cost-map"].clone());
    }
    let world = World::new(&map, costs, documents.properties.clone());
    if !merged {
        for metric in documents.costs.keys() {
            let suffix = metric.replace('.', "_");
            let map = get(format!("ordinal-{suffix}"), COST_MAP).await;
            let ordinal = json!({"cost-type": {"cost-metric": metric, "cost-mode": "ordinal"}});
            let expected = world.filtered_costs(&ordinal);
            assert!(world::same(&map["cost-map"], &expected), "ordinal {metric}");
        }
    }
    world
}

/// Asks random queries of a view's services and compares each answer.
async fn compare(node: &TestNode, view: &str, world: &World, dice: &mut Dice, rounds: usize) {
    let at = |service: Service| service.path.replace("isp-a", view);
    for _ in 0..rounds {
        let asked = [
            (NETWORK, "network-map", dice.network_query(world)),
            (COSTS, "cost-map", dice.cost_query(world)),
            (
                PROPERTIES,
                "endpoint-properties",
                dice.property_query(world),
            ),
            (ENDPOINTS, "endpoint-cost-map", dice.endpoint_query(world)),
        ];
        for (service, member, query) in asked {
            let answer = node
                .post(&at(service), service.accepts, query.to_string())
                .await;
            let answer = sound(&answer, service.media_type);
            let expected = match member {
                "network-map" => world.filtered_network(&query),
                "cost-map" => world.filtered_costs(&query),
                "endpoint-properties" => world.endpoint_properties(&query),
                _ => world.endpoint_costs(&query),
            };
            assert!(
                world::same(&answer[member], &expected),
                "{view}: to {query}\nthe node answers {}\nand it should be {expected}",
                answer[member]
            );
        }
    }
}

#[tokio::test]
async fn the_ten_research_networks_are_answered_as_worked_out_by_hand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/research-networks");
    let node = TestNode::start().await;
    let mut dice = Dice::new(1);
    let mut former = None;
    for network in networks::RESEARCH {
        let mut documents = Documents::read(&root.join(network));
        documents.properties = dice.properties(&documents.network);
        put(&node, &documents, former.as_ref()).await;
        for view in ["isp-a", "merged"] {
            let world = served(&node, view, &documents).await;
            compare(&node, view, &world, &mut dice, 8).await;
        }
        former = Some(documents);
    }
}

#[tokio::test]
async fn random_networks_are_answered_as_worked_out_by_hand() {
    let count = match std::env::var_os("ALTOFED_HEAVY") {
        Some(_) => 200,
        None => 25,
    };
    let node = TestNode::start().await;
    let mut former = None;
    for seed in 0..count {
        let mut dice = Dice::new(seed);
        let documents = dice.documents();
        put(&node, &documents, former.as_ref()).await;
        for view in ["isp-a", "merged"] {
            let world = served(&node, view, &documents).await;
            compare(&node, view, &world, &mut dice, 6).await;
        }
        former = Some(documents);
    }
}
