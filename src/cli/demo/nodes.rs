//! The nodes of the demonstration: each has its own store, and they are joined as the networks
//! are.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use url::Url;

use crate::client::{Client, Options};
use crate::config::Config;
use crate::ident::to_hex;
use crate::node::{Node, StartError};
use crate::runtime::Clock;

use super::networks::{ASKER, HUB, NETWORKS, Network};

/// The node of a network.
pub(super) struct Member {
    /// The network.
    pub(super) network: &'static Network,
    /// Its node.
    pub(super) node: Node,
    /// The base of its URIs.
    pub(super) base: Url,
    /// A client that shows the operator's token.
    pub(super) client: Client,
    /// The operator's token.
    pub(super) secret: String,
    /// The token that it and the hub show each other.
    link_secret: String,
    data: PathBuf,
}

/// Starts a node for each network. The node that is asked listens at `listen` if that is free,
/// the others at free ports.
pub(super) async fn start(listen: SocketAddr, data: &Path) -> anyhow::Result<Vec<Member>> {
    let mut members = Vec::new();
    for network in &NETWORKS {
        let wanted = if network.label == ASKER {
            listen
        } else {
            SocketAddr::new(listen.ip(), 0)
        };
        members.push(Member::start(network, wanted, data).await?);
    }
    join(&mut members)?;
    Ok(members)
}

impl Member {
    async fn start(
        network: &'static Network,
        listen: SocketAddr,
        data: &Path,
    ) -> anyhow::Result<Self> {
        let data = data.join(network.label);
        let (secret, link_secret) = (secret()?, secret()?);
        let config = |listen| parse(&own_section(network, listen, &data, &secret));
        let node = match Node::start(config(listen)?, Clock::system()).await {
            Err(StartError::Listen(error)) => {
                println!("{error}; taking a free port instead.");
                let free = SocketAddr::new(listen.ip(), 0);
                Node::start(config(free)?, Clock::system()).await?
            }
            started => started?,
        };
        let base = Url::parse(&format!("{}/", node.base_url()))?;
        let options = Options {
            token: Some(secret.clone().into()),
            ..Options::default()
        };
        Ok(Self {
            network,
            client: Client::new(&base, &options, Clock::system())?,
            base,
            node,
            secret,
            link_secret,
            data,
        })
    }

    /// Returns the configuration of the running node, with the sections that join it to others
    /// and the policy for all domains.
    fn config(&self, joins: &str, policy: &str) -> anyhow::Result<Config> {
        let own = own_section(
            self.network,
            self.node.listens_at(),
            &self.data,
            &self.secret,
        );
        parse(&format!("{own}{joins}{policy}"))
    }
}

/// Makes every network a peer of the hub, and the hub a peer of every network. The hub passes on
/// everything, so that each learns of all others.
fn join(members: &mut [Member]) -> anyhow::Result<()> {
    let hub = members
        .iter()
        .position(|member| member.network.label == HUB);
    let hub = hub.context("the hub is one of the networks")?;
    let policy = policy()?;
    let mut at_hub = String::new();
    let hub_base = members[hub].base.clone();
    for member in members
        .iter_mut()
        .filter(|member| member.network.label != HUB)
    {
        let (label, secret) = (member.network.label, &member.link_secret);
        let joins = peer(HUB, &hub_base, secret, "*", "own");
        member.node.reload(member.config(&joins, &policy)?)?;
        at_hub += &peer(label, &member.base, secret, "own", "*");
    }
    let config = members[hub].config(&at_hub, &policy)?;
    Ok(members[hub].node.reload(config)?)
}

/// Returns the policy for all domains: which addresses each holds. Two that hold the same ones
/// share them.
fn policy() -> anyhow::Result<String> {
    let mut text = String::new();
    for network in &NETWORKS {
        let holds = network
            .holds()?
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let _ = writeln!(text, "[domain.{}]\nprefixes = {holds:?}", network.label);
    }
    Ok(text)
}

fn own_section(network: &Network, listen: SocketAddr, data: &Path, secret: &str) -> String {
    let Network {
        label, name, asn, ..
    } = network;
    format!(
        "[node]\ndomain = {label:?}\nname = {name:?}\nasns = [{asn}]\nlisten = \"{listen}\"\n\
         data_dir = {:?}\n\
         [[token]]\nname = \"noc\"\nsecret = {secret:?}\n\
         scopes = [\"ingest\", \"query\", \"operate\"]\n",
        data.join("store")
    )
}

/// Returns the sections that join a node to a peer.
fn peer(label: &str, base: &Url, secret: &str, import: &str, export: &str) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "[[token]]\nname = \"from-{label}\"\nsecret = {secret:?}\nscopes = [\"peer\"]\n\
         peer = {label:?}\n\
         [[peer]]\ndomain = {label:?}\ndirectory = \"{base}directory\"\ntoken = {secret:?}\n\
         allow_private_addresses = true\n\
         import.domains = [{import:?}]\nexport.domains = [{export:?}]\n"
    );
    text
}

fn parse(text: &str) -> anyhow::Result<Config> {
    Ok(Config::parse(text, Path::new("demo"))?)
}

/// Makes a random token.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(to_hex(&bytes))
}

/// Stops all nodes.
pub(super) async fn stop(members: Vec<Member>) -> anyhow::Result<()> {
    let ends = members.into_iter().map(|member| async move {
        let ended = member.node.shutdown(Duration::from_secs(5)).await;
        ended.with_context(|| format!("the store of {} could not be closed", member.network.name))
    });
    futures_util::future::try_join_all(ends).await.map(drop)
}
