//! Measures how long a change takes to reach the merged view of a peer's peer.

use std::time::Duration;

use crate::data::Random;
use crate::pairs::stopwatch;
use crate::stream::Base;
use crate::streams::runtime;

/// How many changes a run makes.
const CHANGES: u32 = 100;

/// Puts costs at one node again and again, waits each time until an update stream of the other
/// node's merged view reports it, and prints the median and the 99th percentile of the times in
/// milliseconds.
pub fn run(from: &str, to: &str, token: &str) {
    let mut seconds: Vec<f64> = runtime().block_on(async {
        let mut random = Random(7);
        let params = r#"{"add":{"costs":{"resource-id":"costmap-routingcost"}}}"#;
        let mut stream = Base(to).open("/views/merged/updates", params).await;
        let mut seconds = Vec::new();
        for change in 0..=CHANGES {
            // Every cost is different, and none begins like another.
            let cost = format!("{}.5", 10_000 + change);
            let costs = format!("{{\"cost-map\":{{\"core\":{{\"edge\":{cost}}}}}}}");
            let begun = stopwatch();
            let put = Base(from).put("cost-maps/routingcost", token, costs.as_bytes());
            let told = stream.until_text(&cost);
            tokio::join!(put, told);
            seconds.push(begun());
            // A node signs at most once a second. The pauses are random, so that no change is in
            // step with polling.
            pause(Duration::from_millis(1000 + random.below(1000))).await;
        }
        seconds
    });
    // The first change waited for the nodes to find each other.
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let rank = |share: f64| 1e3 * seconds[(share * seconds.len() as f64).ceil() as usize - 1];
    println!("{:.6} {:.6}", rank(0.5), rank(0.99));
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
