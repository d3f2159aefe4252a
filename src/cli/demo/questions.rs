//! The questions that an operator of caches asks, across borders.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::alto::media;
use crate::api::explain::Explanation;
use crate::api::s2s::ConflictList;
use crate::cli::difference::difference_lines;
use crate::cli::path::path_text;
use crate::client::{FollowSettings, Followed, Follower, Mode, News};
use crate::runtime::{Clock, Pool};

use super::nodes::Member;

/// The client: its place and its address.
const CLIENT: (&str, &str) = ("TU Berlin", "ipv4:130.149.1.1");

/// The caches: city, network and address.
const CACHES: [(&str, &str, &str); 3] = [
    ("Amsterdam", "surf", "ipv4:130.37.1.1"),
    ("Geneva", "switch", "ipv4:129.194.1.1"),
    ("Chicago", "internet2", "ipv4:64.57.16.1"),
];

/// An address that two networks hold.
const CERN: &str = "ipv4:188.184.1.1";

/// The link whose cost changes, and the change.
const LINK: &str = "internet2-new-york-geant-amsterdam";
const CHANGE: &str = r#"{"interconnects":{"internet2-new-york-geant-amsterdam":{"costs":{"routingcost":5000,"delay-ow":90000}}}}"#;

/// How long the change may take to be seen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the questions of one network's node, and changes a cost at another in between.
pub(super) async fn run(asker: &Member, other: &Member) -> anyhow::Result<()> {
    let (place, client) = CLIENT;
    let name = asker.network.name;
    println!("1. {name}'s node is asked: which of three caches in other networks is best for a");
    println!("   client at {place}? (several metrics in one answer, RFC 8189)\n");
    let query = query();
    println!("   POST {}views/merged/endpointcost", asker.base);
    println!("   Content-Type: {}", media::ENDPOINT_COST_PARAMS);
    println!("   {query}\n");
    let before = costs(asker, &query).await?;
    println!("{}\n", table(&before));

    let (_, _, far) = CACHES[2];
    println!("2. Why does Chicago cost that much?\n");
    println!("   altofed explain {client} {far} --url {}\n", asker.base);
    println!("{}\n", explain(asker, client, far).await?);

    println!(
        "3. {} says by N2S that the link {LINK} is worse now:\n",
        other.network.name
    );
    let url = other.base.join("n2s/v1/interconnects")?;
    println!("   PATCH {url}");
    println!("   Content-Type: {}", media::MERGE_PATCH);
    println!("   {CHANGE}\n");
    let clock = Clock::system();
    let mut watching = Watching::start(asker, &query).await?;
    let begun = clock.now();
    other.client.patch(&url, CHANGE).await?;
    let (after, mode) = watching.until_changed(far).await?;
    println!(
        "   {} ms later a client that watches the answer at {name}'s node is told ({}):\n",
        clock.now().since(begun).as_millis(),
        mode.as_str()
    );
    for line in difference_lines(&watching.before, &after)? {
        println!("   {line}");
    }
    println!("\n{}\n", table(&costs(asker, &query).await?));
    println!("{}\n", explain(asker, client, far).await?);

    println!("4. CERN has a link to SWITCH and one to RENATER. Which way does the client take?\n");
    println!("   altofed explain {client} {CERN} --url {}\n", asker.base);
    println!("{}\n", explain(asker, client, CERN).await?);
    let url = asker.base.join("s2s/v1/conflicts")?;
    let list: ConflictList = serde_json::from_slice(&asker.client.get(&url, media::JSON).await?)?;
    let misfits: u64 = list.totals.values().sum();
    println!("   Of all that the ten networks state, {misfits} statements do not fit together.\n");
    Ok(())
}

/// A client that is told when the answer changes.
struct Watching {
    follower: Follower,
    /// The answer before the change.
    before: Bytes,
}

impl Watching {
    /// Follows the answer to a query of the endpoint cost service.
    async fn start(asker: &Member, query: &Value) -> anyhow::Result<Self> {
        let wanted = Followed {
            resource_id: "endpointcost".to_owned(),
            input: Some(query.clone()),
        };
        let mut follower = Follower::new(
            asker.client.connection(),
            Pool::new(1)?,
            asker.base.join("views/merged/directory")?,
            vec![wanted],
            FollowSettings::default(),
        );
        let before = next(&mut follower).await?.0;
        Ok(Self { follower, before })
    }

    /// Waits for the answer with another cost to a cache; returns it and how it came.
    async fn until_changed(&mut self, cache: &str) -> anyhow::Result<(Bytes, Mode)> {
        let cost = |answer: &Bytes| -> anyhow::Result<Value> {
            let mut answer: Value = serde_json::from_slice(answer)?;
            Ok(answer["endpoint-cost-map"][CLIENT.1][cache].take())
        };
        let before = cost(&self.before)?;
        let changed = async {
            loop {
                let (answer, mode) = next(&mut self.follower).await?;
                if cost(&answer)? != before {
                    return anyhow::Ok((answer, mode));
                }
            }
        };
        let changed = tokio::time::timeout(PATIENCE, changed).await;
        changed.with_context(|| format!("the change was not seen in {} s", PATIENCE.as_secs()))?
    }
}

/// Returns the next answer that the follower reports.
async fn next(follower: &mut Follower) -> anyhow::Result<(Bytes, Mode)> {
    loop {
        match follower.next().await? {
            News::Changed(updates) => {
                let last = updates.into_iter().next_back();
                let last = last.context("a change is of something")?;
                return Ok((last.body, last.mode));
            }
            News::Following(_) => {}
            News::Interrupted { error, .. } => return Err(error.into()),
        }
    }
}

fn query() -> Value {
    let metric = |name: &str| json!({"cost-metric": name, "cost-mode": "numerical"});
    let caches: Vec<&str> = CACHES.iter().map(|(_, _, address)| *address).collect();
    json!({
        "multi-cost-types": [metric("routingcost"), metric("delay-ow"), metric("hopcount")],
        "endpoints": {"srcs": [CLIENT.1], "dsts": caches},
    })
}

/// Returns the costs from the client, by the address of the cache.
async fn costs(asker: &Member, query: &Value) -> anyhow::Result<BTreeMap<String, Value>> {
    let url = asker.base.join("views/merged/endpointcost")?;
    let (sent, wanted) = (media::ENDPOINT_COST_PARAMS, media::ENDPOINT_COSTS);
    let body = asker.client.post(&url, sent, query, wanted).await?;
    let mut answer: Value = serde_json::from_slice(&body)?;
    let row = answer["endpoint-cost-map"][CLIENT.1].take();
    let row: BTreeMap<String, Value> = serde_json::from_value(row)?;
    let missing = CACHES
        .iter()
        .find(|(_, _, address)| !row.contains_key(*address));
    match missing {
        Some((city, ..)) => bail!("the answer has no cost to {city}"),
        None => Ok(row),
    }
}

async fn explain(asker: &Member, src: &str, dst: &str) -> anyhow::Result<String> {
    let mut url = asker.base.join("views/merged/explain")?;
    url.query_pairs_mut()
        .append_pair("src", src)
        .append_pair("dst", dst);
    let body = asker.client.get(&url, media::JSON).await?;
    let explanation: Explanation =
        serde_json::from_slice(&body).context("the path cannot be read")?;
    Ok(path_text(&explanation))
}

fn table(costs: &BTreeMap<String, Value>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "cache in",
        "network",
        "routing cost",
        "µs",
        "hops",
    ]);
    for (city, network, address) in CACHES {
        let cells = costs[address].as_array().into_iter().flatten();
        let named = [city.to_owned(), network.to_owned()].into_iter();
        table.add_row(named.chain(cells.map(Value::to_string)));
    }
    for index in 2..5 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
