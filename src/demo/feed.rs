//! Feeding the node, as a provider's systems would: by the network-to-server API.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use url::Url;

use crate::client::Client;

/// DFN's documents (examples/research-networks), in the order in which they
/// can be put: costs and properties are of PIDs that must be there.
const DOCUMENTS: [(&str, &str); 6] = [
    (
        "network-map",
        include_str!("../../examples/research-networks/dfn/network-map.json"),
    ),
    (
        "cost-maps/routingcost",
        include_str!("../../examples/research-networks/dfn/routingcost.json"),
    ),
    (
        "cost-maps/hopcount",
        include_str!("../../examples/research-networks/dfn/hopcount.json"),
    ),
    (
        "cost-maps/delay-ow",
        include_str!("../../examples/research-networks/dfn/delay-ow.json"),
    ),
    (
        "properties",
        include_str!("../../examples/research-networks/dfn/properties.json"),
    ),
    (
        "interconnects",
        include_str!("../../examples/research-networks/dfn/interconnects.json"),
    ),
];

/// Puts every document, and says what the node made of it.
pub(super) async fn run(client: &Client, base: &Url) -> anyhow::Result<()> {
    let bytes: usize = DOCUMENTS.iter().map(|(_, text)| text.len()).sum();
    let bar = ProgressBar::new(bytes as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {bytes}/{total_bytes} {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(100));
    for (path, text) in DOCUMENTS {
        bar.set_message(path);
        let url = base.join(&format!("n2s/v1/{path}"))?;
        let answer: Value = serde_json::from_slice(&client.put(&url, text).await?)?;
        bar.inc(text.len() as u64);
        let line = format!(
            "PUT /n2s/v1/{path}: {} bytes, durable and published as revision {}",
            text.len(),
            answer["revision"]
        );
        // A bar that is not on a terminal prints nothing.
        match bar.is_hidden() {
            true => println!("{line}"),
            false => bar.println(line),
        }
    }
    bar.finish_and_clear();
    println!();
    Ok(())
}
