//! What an operator of caches asks.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use url::Url;

use crate::alto::canonical::number_text;
use crate::alto::media;
use crate::client::Client;

/// Caches, by the city that they are in.
const CACHES: [(&str, &str); 5] = [
    ("Leipzig", "ipv4:139.18.1.1"),
    ("Berlin", "ipv4:130.149.1.1"),
    ("Erlangen", "ipv4:131.188.1.1"),
    ("Hamburg", "ipv4:134.100.1.1"),
    ("Münster", "ipv4:128.176.1.1"),
];

/// Clients, by the university that they are at.
const CLIENTS: [(&str, &str); 3] = [
    ("TU Dresden", "ipv4:141.30.0.10"),
    ("Uni Kiel", "ipv4:134.245.7.7"),
    ("Uni Erlangen, by IPv6", "ipv6:2001:638:a000::77"),
];

/// Asks five questions and prints the answers, each with its request.
pub(super) async fn run(client: &Client, base: &Url) -> anyhow::Result<()> {
    let asker = Asker { client, base };
    asker.nearest().await?;
    asker.each_client().await?;
    asker.bounded().await?;
    asker.whereabouts().await?;
    asker.neighbours().await
}

struct Asker<'a> {
    client: &'a Client,
    base: &'a Url,
}

impl Asker<'_> {
    async fn nearest(&self) -> anyhow::Result<()> {
        let (name, address) = CLIENTS[0];
        println!("1. Which cache is nearest to a client at {name}, by one-way delay?\n");
        let answer = self
            .costs(json!({
                "cost-type": {"cost-metric": "delay-ow", "cost-mode": "numerical"},
                "endpoints": {"srcs": [address], "dsts": addresses(&CACHES)},
            }))
            .await?;
        let mut ranked: Vec<(f64, &str)> = row(&answer, address)
            .map(|(cache, cost)| (cost.as_f64().unwrap_or(f64::NAN), city(cache)))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut table = table(&["cache", "µs"], 1);
        for (delay, city) in &ranked {
            table.add_row([(*city).to_owned(), number_text(*delay)]);
        }
        println!("{table}");
        if let Some((_, best)) = ranked.first() {
            println!("\n   {best}.\n");
        }
        Ok(())
    }

    async fn each_client(&self) -> anyhow::Result<()> {
        println!("2. Which cache should serve each of three clients, by routing cost? (ordinal:");
        println!("   the lower the rank over all pairs, the better)\n");
        let answer = self
            .costs(json!({
                "cost-type": {"cost-metric": "routingcost", "cost-mode": "ordinal"},
                "endpoints": {"srcs": addresses(&CLIENTS), "dsts": addresses(&CACHES)},
            }))
            .await?;
        let mut table = table(&["client", "best cache", "rank"], 2);
        for (name, address) in CLIENTS {
            let rank = |cost: &Value| cost.as_u64().unwrap_or(u64::MAX);
            let best = row(&answer, address).min_by_key(|(_, cost)| rank(cost));
            let (cache, cost) = best.unwrap_or(("", &Value::Null));
            table.add_row([name.to_owned(), city(cache).to_owned(), cost.to_string()]);
        }
        println!("{table}\n");
        Ok(())
    }

    async fn bounded(&self) -> anyhow::Result<()> {
        let (name, address) = CLIENTS[1];
        println!(
            "3. Which caches are within 3.3 ms and four hops of {name}? (several metrics in one"
        );
        println!("   answer, RFC 8189)\n");
        let metric = |name: &str| json!({"cost-metric": name, "cost-mode": "numerical"});
        let answer = self
            .costs(json!({
                "multi-cost-types": [metric("delay-ow"), metric("hopcount"), metric("routingcost")],
                "constraints": ["[0] le 3300", "[1] le 4"],
                "endpoints": {"srcs": [address], "dsts": addresses(&CACHES)},
            }))
            .await?;
        let mut table = table(&["cache", "µs", "hops", "routing cost"], 1);
        for (cache, costs) in row(&answer, address) {
            let cells = costs.as_array().into_iter().flatten().map(Value::to_string);
            table.add_row(std::iter::once(city(cache).to_owned()).chain(cells));
        }
        println!("{table}\n");
        Ok(())
    }

    async fn whereabouts(&self) -> anyhow::Result<()> {
        println!("4. Where are these addresses? (the last is not DFN's)\n");
        let outside = "ipv4:8.8.8.8";
        let asked: Vec<&str> = addresses(&CLIENTS).into_iter().chain([outside]).collect();
        let query = json!({"properties": ["networkmap.pid"], "endpoints": asked});
        let answer = self
            .ask(
                "views/merged/endpointprop",
                media::ENDPOINT_PROPERTY_PARAMS,
                media::ENDPOINT_PROPERTIES,
                query,
            )
            .await?;
        let mut table = table(&["address", "PID"], 2);
        for address in asked {
            let pid = &answer["endpoint-properties"][address]["networkmap.pid"];
            table.add_row([address, pid.as_str().unwrap_or("none")]);
        }
        println!("{table}\n");
        Ok(())
    }

    async fn neighbours(&self) -> anyhow::Result<()> {
        println!("5. Leipzig's cache is full. Which PoPs are one hop from it, for a second one?\n");
        let query = json!({
            "cost-type": {"cost-metric": "hopcount", "cost-mode": "numerical"},
            "pids": {"srcs": ["dfn:leipzig"], "dsts": []},
            "constraints": ["eq 1"],
        });
        let answer = self
            .ask(
                "views/merged/filtered-costmap",
                media::COST_MAP_FILTER,
                media::COST_MAP,
                query,
            )
            .await?;
        let pops = answer["cost-map"]["dfn:leipzig"].as_object();
        let names: Vec<&str> = pops
            .into_iter()
            .flatten()
            .map(|(pid, _)| pid.as_str())
            .collect();
        println!("   {}.\n", names.join(", "));
        Ok(())
    }

    async fn costs(&self, query: Value) -> anyhow::Result<Value> {
        self.ask(
            "views/merged/endpointcost",
            media::ENDPOINT_COST_PARAMS,
            media::ENDPOINT_COSTS,
            query,
        )
        .await
    }

    /// Puts a question, and prints the request.
    async fn ask(
        &self,
        path: &str,
        sent: &'static str,
        wanted: &'static str,
        query: Value,
    ) -> anyhow::Result<Value> {
        let url = self.base.join(path)?;
        println!("   POST {url}");
        println!("   Content-Type: {sent}");
        println!("   {query}\n");
        let body = self.client.post(&url, sent, &query, wanted).await?;
        Ok(serde_json::from_slice(&body)?)
    }
}

fn addresses(named: &[(&str, &'static str)]) -> Vec<&'static str> {
    named.iter().map(|(_, address)| *address).collect()
}

/// The costs from a source, by destination.
fn row<'a>(answer: &'a Value, src: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let costs = answer["endpoint-cost-map"][src].as_object();
    let sorted: BTreeMap<&str, &Value> = costs
        .into_iter()
        .flatten()
        .map(|(dst, cost)| (dst.as_str(), cost))
        .collect();
    sorted.into_iter()
}

/// The city of a cache, by its address.
fn city(address: &str) -> &str {
    let known = CACHES.iter().find(|(_, known)| *known == address);
    known.map_or(address, |(city, _)| city)
}

/// A table whose columns from `numbers` on hold numbers.
fn table(header: &[&str], numbers: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for index in numbers..header.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
