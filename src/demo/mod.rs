//! `altofed demo`: a node with a real research network, fed and asked over HTTP.

mod feed;
mod questions;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use url::Url;

use crate::client::{Client, Options as ClientOptions};
use crate::config::Config;
use crate::ident::to_hex;
use crate::node::{Node, StartError};
use crate::runtime::Clock;

/// How the demonstration is run.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// End after the questions instead of leaving the node running.
    #[arg(long)]
    once: bool,
    /// Where the node listens; a free port is taken if this one is in use.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
}

/// Runs the demonstration.
///
/// # Errors
/// The node did not start, or gave no answer.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let directory = Directory::create()?;
    let secret = secret()?;
    let node = start(options.listen, &directory.0, &secret).await?;
    let base = Url::parse(node.base_url())?;
    println!("A node of the domain \"dfn\" runs at {base}. It knows nothing yet.\n");
    let client_options = ClientOptions {
        token: Some(secret.clone()),
        ..ClientOptions::default()
    };
    let client = Client::new(&base, &client_options)?;
    feed::run(&client, &base).await?;
    questions::run(&client, &base).await?;
    println!("Data: Topology Zoo, Route Views and DB-IP (https://db-ip.com), CC BY 4.0;");
    println!(
        "see examples/research-networks. The topology is of about 2011, the costs are estimates."
    );
    if !options.once {
        println!("\nThe node stays. Try, in another terminal:");
        println!("  curl {base}directory");
        println!(
            "  altofed query {base}directory cost --metric delay-ow --src 141.30.0.10 --dst 139.18.1.1 130.149.1.1"
        );
        println!("  curl -H 'Authorization: Bearer {secret}' {base}n2s/v1/revisions");
        println!("Ctrl-C ends it and removes its data.");
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            error = node.failed() => return Err(error.into()),
        }
    }
    node.shutdown(Duration::from_secs(5))
        .await
        .context("the store could not be closed")
}

/// A directory for the node's data, removed in the end.
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

/// A token that nobody else knows.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(to_hex(&bytes))
}

async fn start(listen: SocketAddr, data: &Path, secret: &str) -> anyhow::Result<Node> {
    let config = |listen: SocketAddr| {
        let text = format!(
            "[node]\ndomain = \"dfn\"\nname = \"DFN\"\nasns = [680]\nlisten = \"{listen}\"\n\
             data_dir = {:?}\n[[token]]\nname = \"noc\"\nsecret = \"{secret}\"\n\
             scopes = [\"ingest\", \"query\"]\n",
            data.join("store")
        );
        Config::parse(&text, Path::new("demo"))
    };
    match Node::start(config(listen)?, Clock::system()).await {
        Err(StartError::Listen(error)) => {
            println!("{error}; taking a free port instead.");
            let free = SocketAddr::new(listen.ip(), 0);
            Ok(Node::start(config(free)?, Clock::system()).await?)
        }
        started => Ok(started?),
    }
}
