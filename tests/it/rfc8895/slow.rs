//! A client that reads slowly costs the node no more than one that reads at once.

use serde_json::json;

use super::{cost, follow, mesh, of, text};
use crate::support::TestNode;

#[tokio::test]
async fn a_client_that_stops_reading_goes_on_with_the_newest() {
    const CHANGES: usize = 100;
    // However slow the machine is, the client is not disconnected.
    let node = TestNode::with("[http]\nwrite_timeout = \"10h\"\n").await;
    mesh(&node, 220).await;
    let mut whole = of("costmap-routingcost");
    whole["incremental-changes"] = json!(false);
    let mut slow = follow(&node, json!({"costs": whole})).await;
    slow.next().await.expect("the control event");
    for change in 0..CHANGES {
        cost(&node, "p000", "p001", change).await;
    }
    let newest = text(&node, "costmap-routingcost").await;
    // All of them together would be far more than sockets hold.
    assert!(newest.len() * CHANGES > 40_000_000, "{}", newest.len());
    slow.until_text("costs", &newest).await;
    assert!(slow.count < CHANGES / 2, "{} events came", slow.count);
}
