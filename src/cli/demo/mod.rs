//! `altofed demo`: ten research networks, each with a node, federated over HTTP along their real
//! interconnects, and the questions that an operator of caches asks one of them.

mod converge;
mod networks;
mod nodes;
mod questions;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use networks::{ASKER, HUB};
use nodes::Member;

/// How the demonstration is run.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// End after the questions instead of leaving the nodes running.
    #[arg(long)]
    once: bool,
    /// Where the node that is asked listens; a free port is taken if this one is in use.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
}

/// Runs the demonstration.
///
/// # Errors
/// A node did not start, or did not answer.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let directory = Directory::create()?;
    println!("Ten research networks, each with a node and a store of its own:\n");
    let members = nodes::start(options.listen, &directory.0).await?;
    for member in &members {
        let (network, base) = (member.network, &member.base);
        println!("  {:9} AS{:<6} {base}directory", network.name, network.asn);
    }
    println!();
    converge::feed(&members).await?;
    let begun = crate::runtime::Clock::system();
    let start = begun.now();
    converge::wait(&members).await?;
    println!(
        "Each node knows what all networks state, {:.1} s later: GÉANT passes on what it gets.\n",
        begun.now().since(start).as_secs_f64()
    );
    let member = |label: &str| {
        let found = members.iter().find(|member| member.network.label == label);
        found.context("it is one of the networks")
    };
    let (asker, hub) = (member(ASKER)?, member(HUB)?);
    questions::run(asker, hub).await?;
    println!(
        "Data: Internet Topology Zoo, Route Views, NRO and DB-IP (https://db-ip.com), CC BY 4.0;"
    );
    println!(
        "`altofed version --notices` has the whole notice. The topologies are of 2005 to 2012,"
    );
    println!("the costs are estimates.");
    if !options.once {
        stay(asker, &members).await?;
    }
    nodes::stop(members).await
}

/// Leaves the nodes running until the user ends them.
async fn stay(asker: &Member, members: &[Member]) -> anyhow::Result<()> {
    let (base, secret) = (&asker.base, &asker.secret);
    println!("\nThe nodes stay. Try, in another terminal:");
    println!("  curl {base}directory");
    println!(
        "  altofed query {base}directory cost --metric delay-ow --src 130.149.1.1 --dst 130.37.1.1 129.194.1.1 64.57.16.1"
    );
    println!("  altofed explain 130.149.1.1 64.57.16.1 --url {base}");
    println!("  TOKEN={secret} altofed peers --url {base} --token-env TOKEN");
    println!("Ctrl-C ends them and removes their data.");
    let failed = members.iter().map(|member| Box::pin(member.node.failed()));
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        (error, ..) = futures_util::future::select_all(failed) => Err(error.into()),
    }
}

/// A directory for the nodes' data, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("altofed-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the demonstration's data was not removed");
        }
    }
}
