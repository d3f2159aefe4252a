//! Sections 3 and 9: which patches are sent, and that they are correct.

use serde_json::{Value, json};

use super::{asking, cost, follow, of, patch, prefixes, text};
use crate::metro::{
    COSTS, ENDPOINTS, MAP_ID, NETWORK, PROPERTIES, Service, cost_type, delete, metro, rc,
};
use crate::support::events::JSON_PATCH;
use crate::support::{MERGE_PATCH, TestNode};

#[tokio::test]
async fn one_prefix_among_many_comes_and_goes_by_a_json_patch() {
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 200)).await;
    let mut events = follow(&node, json!({"map": of("networkmap")})).await;
    let first = events.next_of("map").await.text.len();
    for count in [201, 200] {
        prefixes(&node, "lab", &super::many(7, count)).await;
        let event = events.next_of("map").await;
        assert_eq!(event.media_type, JSON_PATCH);
        assert!(event.text.len() * 10 < first, "{}", event.text);
        assert_eq!(events.text_of("map"), text(&node, "networkmap").await);
    }
}

#[tokio::test]
async fn half_of_the_prefixes_of_a_pid_go_by_a_merge_patch() {
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 200)).await;
    let mut events = follow(&node, json!({"map": of("networkmap")})).await;
    events.next_of("map").await;
    prefixes(&node, "lab", &super::many(7, 100)).await;
    let event = events.next_of("map").await;
    assert_eq!(event.media_type, MERGE_PATCH);
    assert_eq!(events.text_of("map"), text(&node, "networkmap").await);
}

#[tokio::test]
async fn a_cost_is_told_when_it_passes_the_constraint_and_null_when_it_passes_no_more() {
    let node = metro().await;
    let input = json!({"cost-type": rc(), "constraints": ["le 6"]});
    let mut events = follow(&node, json!({"few": asking("filtered-costmap", &input)})).await;
    let first = events.next_of("few").await.json();
    assert_eq!(
        first["cost-map"],
        json!({"core": {"east": 4}, "east": {"lab": 6}})
    );
    for (src, dst, value, told) in [
        ("core", "lab", 5, json!({"core": {"lab": 5}})),
        ("core", "lab", 3, json!({"core": {"lab": 3}})),
        ("core", "lab", 7, json!({"core": {"lab": null}})),
    ] {
        cost(&node, src, dst, value).await;
        let event = events.next_of("few").await;
        assert_eq!(event.media_type, MERGE_PATCH);
        assert_eq!(
            event.json(),
            json!({"cost-map": told}),
            "{src} {dst} {value}"
        );
    }
    // From one cost that fails to another that does, there is nothing to send.
    cost(&node, "core", "lab", 8).await;
    cost(&node, "core", "east", 2).await;
    let event = events.next_of("few").await.json();
    assert_eq!(event, json!({"cost-map": {"core": {"east": 2}}}));
    // With the last cost of a row, the row is removed.
    cost(&node, "east", "lab", 9).await;
    let event = events.next_of("few").await.json();
    assert_eq!(event, json!({"cost-map": {"east": null}}));
    assert_eq!(events.text_of("few"), COSTS.ask(&node, &input).await.text());
}

#[tokio::test]
async fn several_costs_in_one_cell_are_replaced_together() {
    let node = metro().await;
    let hops = json!({"cost-map": {"core": {"east": 1}}});
    node.put("cost-maps/hopcount", &hops).await;
    let both = json!([rc(), cost_type("hopcount", "numerical")]);
    let input = json!({"multi-cost-types": both});
    let mut events = follow(&node, json!({"both": asking("filtered-costmap", &input)})).await;
    let first = events.next_of("both").await.json();
    assert_eq!(
        first["cost-map"]["core"],
        json!({"east": [4, 1], "lab": [9, null]})
    );
    // A null in an array is a value, which a merge patch keeps (RFC 7396 §1).
    cost(&node, "core", "lab", 8).await;
    let event = events.next_of("both").await.json();
    assert_eq!(event, json!({"cost-map": {"core": {"lab": [8, null]}}}));
    let hops = json!({"cost-map": {"core": {"lab": 2, "east": null}}});
    patch(&node, "cost-maps/hopcount", &hops).await;
    events.next_of("both").await;
    assert_eq!(
        events.documents["both"]["cost-map"]["core"],
        json!({"east": [4, null], "lab": [8, 2]})
    );
    assert_eq!(
        events.text_of("both"),
        COSTS.ask(&node, &input).await.text()
    );
}

#[tokio::test]
async fn one_cost_changes_the_ranks_of_others() {
    let node = metro().await;
    let mut events = follow(&node, json!({"ranks": of("ordinal-routingcost")})).await;
    let first = events.next_of("ranks").await.json();
    assert_eq!(
        first["cost-map"],
        json!({"core": {"east": 0, "lab": 2}, "east": {"lab": 1}})
    );
    cost(&node, "core", "lab", 1).await;
    let ranks = json!({"core": {"east": 1, "lab": 0}, "east": {"lab": 2}});
    events.next_of("ranks").await;
    assert_eq!(events.documents["ranks"]["cost-map"], ranks);
    assert_eq!(
        events.text_of("ranks"),
        text(&node, "ordinal-routingcost").await
    );
}

#[tokio::test]
async fn endpoint_costs_change_with_costs_and_with_pids() {
    let node = metro().await;
    let dsts = ["ipv4:10.20.0.9", "ipv4:10.20.30.9"];
    let input = json!({"cost-type": rc(), "endpoints": {"srcs": ["ipv4:192.0.2.1"], "dsts": dsts}});
    let mut events = follow(&node, json!({"ends": asking("endpointcost", &input)})).await;
    events.next_of("ends").await;
    cost(&node, "core", "lab", 10).await;
    let event = events.next_of("ends").await.json();
    let row = json!({"ipv4:10.20.30.9": 10});
    assert_eq!(event, json!({"endpoint-cost-map": {"ipv4:192.0.2.1": row}}));
    // The address now belongs to another PID.
    prefixes(&node, "lab", &[]).await;
    let event = events.next_of("ends").await.json();
    let row = json!({"ipv4:10.20.30.9": 4});
    assert_eq!(event, json!({"endpoint-cost-map": {"ipv4:192.0.2.1": row}}));
    assert_eq!(
        events.text_of("ends"),
        ENDPOINTS.ask(&node, &input).await.text()
    );
}

#[tokio::test]
async fn endpoint_properties_change_and_say_of_which_map_they_are() {
    let node = metro().await;
    let map =
        |access: Value| json!({"property-map": {"ipv4:10.20.30.0/24": {"priv:access": access}}});
    node.put("properties", &map(json!("fibre"))).await;
    let pid = format!("{MAP_ID}.pid");
    let endpoints = ["ipv4:10.20.30.9", "ipv4:10.20.0.9"];
    let input = json!({"properties": [pid, "priv:access"], "endpoints": endpoints});
    let mut events = follow(&node, json!({"ends": asking("endpointprop", &input)})).await;
    events.next_of("ends").await;
    node.put("properties", &map(json!("copper"))).await;
    let event = events.next_of("ends").await.json();
    let changed = json!({"ipv4:10.20.30.9": {"priv:access": "copper"}});
    assert_eq!(event, json!({"endpoint-properties": changed}));
    prefixes(&node, "lab", &["10.20.0.0/24".to_owned()]).await;
    let event = events.next_of("ends").await.json();
    let changed = json!({"ipv4:10.20.30.9": {&pid: "east"}, "ipv4:10.20.0.9": {&pid: "lab"}});
    assert_eq!(event["endpoint-properties"], changed);
    assert_eq!(event["meta"]["dependent-vtags"][0]["resource-id"], MAP_ID);
    assert_eq!(
        events.text_of("ends"),
        PROPERTIES.ask(&node, &input).await.text()
    );
}

#[tokio::test]
async fn a_filtered_network_map_changes_with_what_it_shows() {
    let node = metro().await;
    let input = json!({"pids": ["lab", "later"], "address-types": ["ipv4"]});
    let mut events = follow(&node, json!({"few": asking("filtered-networkmap", &input)})).await;
    events.next_of("few").await;
    for body in [
        json!({"later": {"ipv4": ["10.1.0.0/16"], "ipv6": ["2001:db8:7::/48"]}}),
        json!({"lab": {"ipv6": null}}),
        json!({"lab": null}),
        json!({"east": {"ipv4": ["10.20.0.0/17"]}}),
    ] {
        // Documents that refer to the PID are changed first.
        if body["lab"].is_null() && body.get("lab").is_some() {
            let costs = json!({"cost-map": {"core": {"lab": null}, "east": null}});
            patch(&node, "cost-maps/routingcost", &costs).await;
        }
        patch(&node, "network-map", &json!({"network-map": body})).await;
        let newest = NETWORK.ask(&node, &input).await;
        events.until_text("few", newest.text()).await;
    }
}

/// A patch has each family once, however often and in whatever order it was requested.
#[tokio::test]
async fn an_address_type_that_is_named_again_changes_nothing() {
    let node = metro().await;
    prefixes(&node, "lab", &super::many(7, 200)).await;
    let types: Vec<&str> = ["ipv6", "ipv4"].into_iter().cycle().take(10_000).collect();
    let input = json!({"pids": ["lab"], "address-types": types});
    let asked = asking("filtered-networkmap", &input);
    let mut events = follow(&node, json!({"few": asked})).await;
    events.next_of("few").await;
    for (count, media_type) in [(201, JSON_PATCH), (60, MERGE_PATCH)] {
        prefixes(&node, "lab", &super::many(7, count)).await;
        let event = events.next_of("few").await;
        assert_eq!(event.media_type, media_type);
        assert_eq!(event.text.matches("ipv4").count(), 1, "{}", event.text);
        let newest = NETWORK.ask(&node, &input).await;
        assert_eq!(events.text_of("few"), newest.text());
    }
}

/// The resources that the round trip follows.
struct Part {
    substream: &'static str,
    resource: &'static str,
    /// The service and its parameters, if it takes any.
    query: Option<(Service, Value)>,
}

impl Part {
    fn map(substream: &'static str, resource: &'static str) -> Self {
        Self {
            substream,
            resource,
            query: None,
        }
    }

    fn query(substream: &'static str, service: Service, input: Value) -> Self {
        let (_, resource) = service.path.rsplit_once('/').expect("a path");
        Self {
            substream,
            resource,
            query: Some((service, input)),
        }
    }

    fn added(&self) -> Value {
        match &self.query {
            None => of(self.resource),
            Some((_, input)) => asking(self.resource, input),
        }
    }

    /// Returns the answer to a request for it.
    async fn text(&self, node: &TestNode) -> String {
        match &self.query {
            None => text(node, self.resource).await,
            Some((service, input)) => service.ask(node, input).await.text().to_owned(),
        }
    }
}

fn everything() -> [Part; 7] {
    let ends = json!({"srcs": ["ipv4:10.0.1.1", "ipv6:2001:db8::1"], "dsts": ["ipv4:10.0.2.1"]});
    let some = json!({"srcs": ["a", "b"], "dsts": ["b", "c", "d"]});
    let few = json!({"cost-type": rc(), "pids": some, "constraints": ["le 5"]});
    let endpoints = json!(["ipv4:10.0.1.1", "ipv4:10.0.2.1"]);
    let pids = json!({"properties": [format!("{MAP_ID}.pid")], "endpoints": endpoints});
    [
        Part::map("map", "networkmap"),
        Part::map("costs", "costmap-routingcost"),
        Part::map("ranks", "ordinal-routingcost"),
        Part::query("some-map", NETWORK, json!({"pids": ["a", "c"]})),
        Part::query("some-costs", COSTS, few),
        Part::query(
            "ends",
            ENDPOINTS,
            json!({"cost-type": rc(), "endpoints": ends}),
        ),
        Part::query("pids", PROPERTIES, pids),
    ]
}

/// A generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from(self.0 >> 33).expect("31 bits") % sides
    }

    /// Draws one of some PIDs.
    fn pid(&mut self) -> &'static str {
        ["a", "b", "c", "d"][self.roll(4) as usize]
    }
}

#[tokio::test]
async fn all_events_applied_give_the_bytes_that_a_request_gets() {
    let node = TestNode::start().await;
    let group = |i: u8| json!({"ipv4": [format!("10.0.{i}.0/24")]});
    let map = json!({"a": group(1), "b": group(2), "c": group(3), "d": {"ipv6": ["::/0"]}});
    node.put("network-map", &json!({"network-map": map})).await;
    let costs = json!({"a": {"b": 1}, "b": {"c": 2}});
    node.put("cost-maps/routingcost", &json!({"cost-map": costs}))
        .await;
    let everything = everything();
    let add = everything
        .iter()
        .map(|part| (part.substream.to_owned(), part.added()));
    let mut events = follow(&node, Value::Object(add.collect())).await;
    let mut dice = Dice(8895);
    for round in 0..60 {
        match dice.roll(3) {
            0 => {
                // Each prefix in one PID at most.
                let own = dice.pid();
                let third = 16 * u32::from(own.as_bytes()[0] - b'a');
                let some = (0..dice.roll(12)).map(|i| format!("10.0.{}.0/24", third + i));
                prefixes(&node, own, &some.collect::<Vec<_>>()).await;
            }
            1 => cost(&node, dice.pid(), dice.pid(), Value::Null).await,
            _ => {
                let value = f64::from(dice.roll(80)) / 8.0;
                cost(&node, dice.pid(), dice.pid(), value).await;
            }
        }
        // It is read now and then, so that some changes come one by one and some together.
        if dice.roll(3) > 0 && round != 59 {
            continue;
        }
        for part in &everything {
            let newest = part.text(&node).await;
            events.until_text(part.substream, &newest).await;
        }
    }
    // A metric that is removed takes nothing else with it.
    node.put("cost-maps/hopcount", &json!({"cost-map": {"a": {"b": 1}}}))
        .await;
    delete(&node, "cost-maps/hopcount").await;
    cost(&node, "a", "b", 77).await;
    events
        .until_text("costs", &text(&node, "costmap-routingcost").await)
        .await;
}
