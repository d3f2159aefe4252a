//! Section 6.5: what a stream is asked for.

use serde_json::json;

use super::{cost, follow, mesh, of};
use crate::support::TestNode;

#[tokio::test]
async fn a_stream_begins_with_what_was_written_before_it_was_opened() {
    let node = TestNode::start().await;
    mesh(&node, 40).await;
    // Somebody follows it, so that each change is to be worked out.
    let _others = follow(&node, json!({"costs": of("costmap-routingcost")})).await;
    for round in 0..20 {
        cost(&node, "p000", "p001", round).await;
        let mut events = follow(&node, json!({"costs": of("costmap-routingcost")})).await;
        let first = events.next_of("costs").await.json();
        assert_eq!(first["cost-map"]["p000"]["p001"], round);
    }
}
