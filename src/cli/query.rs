//! `altofed query`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use url::Url;

use crate::alto::canonical::number_text;
use crate::client::{self, Client, Directory, Resource, Wanted};
use crate::runtime::Clock;

use super::failure::Failure;
use super::operator::token;
use super::output::say;
use super::watch;

/// What is asked of which server.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The URI of the server's directory.
    url: Url,
    #[command(subcommand)]
    question: Question,
    /// The environment variable that holds the bearer token to show.
    #[arg(long, global = true, value_name = "VARIABLE")]
    token_env: Option<String>,
    /// A PEM file of the certificate authorities to trust in place of the system's.
    #[arg(long, global = true, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The network map to use; without it, the server's default.
    #[arg(long, global = true, value_name = "ID")]
    map: Option<String>,
    /// The seconds a request may take.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What the server offers.
    Directory,
    /// The PIDs of a network map and their prefixes.
    Map,
    /// The costs between all PIDs.
    Costs {
        #[command(flatten)]
        cost_type: CostType,
    },
    /// The costs between addresses, cheapest first.
    Cost {
        /// Where from; without it, from here.
        #[arg(long, value_name = "ADDR")]
        src: Vec<IpAddr>,
        /// Where to.
        #[arg(long, value_name = "ADDR", required = true, num_args = 1..)]
        dst: Vec<IpAddr>,
        #[command(flatten)]
        cost_type: CostType,
    },
    /// The PIDs that addresses belong to.
    Pid {
        /// The addresses.
        #[arg(required = true, value_name = "ADDR")]
        addresses: Vec<IpAddr>,
    },
    /// What changes in resources, as it happens: by push where the server can.
    Watch(watch::Options),
}

#[derive(Debug, Args)]
struct CostType {
    /// The cost metric.
    #[arg(long, default_value = "routingcost")]
    metric: String,
    /// The cost mode, numerical or ordinal.
    #[arg(long, default_value = "numerical")]
    mode: String,
}

impl From<&CostType> for Wanted {
    fn from(stated: &CostType) -> Self {
        Self {
            metric: stated.metric.clone(),
            mode: stated.mode.clone(),
        }
    }
}

/// Asks the question and prints the answer.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let token = token(options.token_env.as_deref())?;
    let client = Client::new(
        &options.url,
        &client::Options {
            token,
            cacert: options.cacert.clone(),
            timeout: Duration::from_secs(options.timeout),
            ..client::Options::default()
        },
        Clock::system(),
    )?;
    let directory = client.directory(&options.url).await?;
    match &options.question {
        Question::Directory => list(options, &directory)?,
        Question::Map => map(options, &client, &directory).await?,
        Question::Costs { cost_type } => costs(options, &client, &directory, cost_type).await?,
        Question::Cost {
            src,
            dst,
            cost_type,
        } => cost(options, &client, &directory, src, dst, cost_type).await?,
        Question::Pid { addresses } => pid(options, &client, &directory, addresses).await?,
        Question::Watch(watched) => {
            watch::run(&client, &directory, &options.url, watched, options.json).await?;
        }
    }
    Ok(())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn list(options: &Options, directory: &Directory) -> Result<(), Failure> {
    if options.json {
        let entry = |resource: &Resource| {
            let mut entry = json!(resource.entry);
            entry["uri"] = json!(resource.url.as_str());
            (resource.id.clone(), entry)
        };
        let resources: serde_json::Map<String, Value> = directory.resources().map(entry).collect();
        let default = &directory.default_network_map;
        say(json!({"default-alto-network-map": default, "resources": resources}))?;
        return Ok(());
    }
    let mut table = table(&[
        "resource",
        "method",
        "type",
        "cost types, properties",
        "uri",
    ]);
    for resource in directory.resources() {
        let kind = resource
            .entry
            .media_type
            .trim_start_matches("application/alto-");
        let costs = resource
            .cost_types
            .iter()
            .map(|t| format!("{} {}", t.cost_metric, t.cost_mode));
        let properties = resource.entry.capabilities.prop_types.iter().cloned();
        table.add_row([
            resource.id.as_str(),
            if resource.entry.accepts.is_some() {
                "POST"
            } else {
                "GET"
            },
            kind.trim_end_matches("+json"),
            &costs.chain(properties).collect::<Vec<_>>().join("\n"),
            resource.url.as_str(),
        ]);
    }
    say(table)?;
    if let Some(default) = &directory.default_network_map {
        say(format_args!("The default network map is {default}."))?;
    }
    Ok(())
}

async fn map(options: &Options, client: &Client, directory: &Directory) -> Result<(), Failure> {
    let resource = directory.network_map(options.map.as_deref())?;
    let map = client.network_map(resource).await?;
    let prefixes = |group: &crate::alto::network::AddressGroup| {
        group
            .prefixes()
            .map(|net| net.to_string())
            .collect::<Vec<_>>()
    };
    if options.json {
        let pids: BTreeMap<&str, Vec<String>> = map
            .groups
            .iter()
            .map(|(pid, group)| (pid.as_str(), prefixes(group)))
            .collect();
        say(json!({"vtag": map.meta.vtag, "pids": pids}))?;
        return Ok(());
    }
    const SHOWN: usize = 4;
    let mut table = table(&["pid", "prefixes", ""]);
    for (pid, group) in &map.groups {
        let all = prefixes(group);
        let mut shown = all[..all.len().min(SHOWN)].join(" ");
        if all.len() > SHOWN {
            shown += " …";
        }
        table.add_row([pid.as_str(), &all.len().to_string(), &shown]);
    }
    align_right(&mut table, 1..2);
    say(table)?;
    if let Some(vtag) = &map.meta.vtag {
        say(format_args!("{} has tag {}.", vtag.resource_id, vtag.tag))?;
    }
    Ok(())
}

async fn costs(
    options: &Options,
    client: &Client,
    directory: &Directory,
    cost_type: &CostType,
) -> Result<(), Failure> {
    let network = directory.network_map(options.map.as_deref())?;
    let map = client
        .cost_map(directory, network, &cost_type.into())
        .await?;
    let names = |index: &crate::net::PidIndex| {
        index
            .names()
            .iter()
            .map(|pid| pid.to_string())
            .collect::<Vec<_>>()
    };
    let dsts = names(&map.costs.dsts);
    if options.json {
        let row = |(src, row): (&crate::ident::PidName, &crate::net::Row)| {
            let costs = row.costs().map(|(column, cost)| (&dsts[column], cost));
            (src.to_string(), costs.collect::<BTreeMap<_, _>>())
        };
        let rows: BTreeMap<String, _> = map.costs.rows().map(row).collect();
        say(json!({"dependent-vtags": map.meta.dependent_vtags, "costs": rows}))?;
        return Ok(());
    }
    let mut header = vec!["from \\ to"];
    header.extend(dsts.iter().map(String::as_str));
    let mut table = table(&header);
    for (src, row) in map.costs.rows() {
        let cell = |column| row.get(column).map_or_else(|| "-".into(), number_text);
        let cells = (0..dsts.len()).map(cell);
        table.add_row(std::iter::once(src.to_string()).chain(cells));
    }
    align_right(&mut table, 1..dsts.len() + 1);
    say(table)?;
    Ok(())
}

async fn cost(
    options: &Options,
    client: &Client,
    directory: &Directory,
    srcs: &[IpAddr],
    dsts: &[IpAddr],
    cost_type: &CostType,
) -> Result<(), Failure> {
    let answer = client
        .endpoint_costs(directory, &cost_type.into(), srcs, dsts)
        .await?;
    if options.json {
        say(json!(answer))?;
        return Ok(());
    }
    let mut table = table(&["from", "to", &cost_type.metric]);
    for (src, row) in &answer {
        let mut costs: Vec<(&String, &f64)> = row.iter().collect();
        costs.sort_by(|a, b| a.1.total_cmp(b.1));
        for (dst, cost) in costs {
            table.add_row([src.as_str(), dst.as_str(), &number_text(*cost)]);
        }
    }
    align_right(&mut table, 2..3);
    say(table)?;
    let answered: usize = answer.values().map(BTreeMap::len).sum();
    let asked = srcs.len().max(1) * dsts.len();
    if answered < asked {
        say(format_args!(
            "{} of {asked} pairs have no cost.",
            asked - answered
        ))?;
    }
    Ok(())
}

async fn pid(
    options: &Options,
    client: &Client,
    directory: &Directory,
    addresses: &[IpAddr],
) -> Result<(), Failure> {
    let network = directory.network_map(options.map.as_deref())?;
    let pids = client.pids(directory, network, addresses).await?;
    if options.json {
        say(json!(pids))?;
        return Ok(());
    }
    let mut table = table(&["address", "pid"]);
    for (address, pid) in &pids {
        table.add_row([address.as_str(), pid.as_deref().unwrap_or("-")]);
    }
    say(table)?;
    Ok(())
}
