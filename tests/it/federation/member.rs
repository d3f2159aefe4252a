//! A node of one domain of a federation, in this process.

use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use altofed::config::Config;
use altofed::node::{Ground, Node};
use altofed::runtime::Clock;
use tempfile::TempDir;

use super::links::{Link, label};
use super::proxy::Proxy;
use super::site::Site;
use crate::support::{OPS, until_joined};

/// The secret of a token of scope `peer` that is bound to no peer.
pub const STRANGER: &str = "stranger-secret-0123456789";

/// Readings are so rare that whatever comes was pushed.
pub const SELDOM: &str = "refresh.interval = \"10h\"\nrefresh.stale_after = \"20h\"\n\
                          refresh.expire_after = \"30h\"\n";

/// How a node is joined to a peer.
#[derive(Clone, Copy)]
pub struct Join<'a> {
    /// The number of the peer's domain.
    pub peer: u8,
    /// The base of the peer's URIs.
    pub base: &'a str,
    /// The domains that are imported.
    pub import: &'a str,
    /// The domains that the peer gets.
    pub export: &'a str,
    /// Further keys of its section.
    pub more: &'a str,
}

impl<'a> Join<'a> {
    /// Imports all that the peer passes, and exports all to it.
    pub fn to(peer: u8, base: &'a str) -> Self {
        Self {
            peer,
            base,
            import: "*",
            export: "*",
            more: "refresh.interval = \"100ms\"\n",
        }
    }

    /// Returns the sections that join a node to the peer.
    pub fn text(&self, own: u8) -> String {
        let (peer, secret) = (label(self.peer), secret(own, self.peer));
        let Self {
            base,
            import,
            export,
            more,
            ..
        } = self;
        format!(
            "[[token]]\nname = \"from-{peer}\"\nsecret = {secret:?}\nscopes = [\"peer\"]\n\
             peer = {peer:?}\n\
             [[peer]]\ndomain = {peer:?}\ndirectory = \"{base}/directory\"\ntoken = {secret:?}\n\
             allow_private_addresses = true\nimport.domains = [{import:?}]\n\
             export.domains = [{export:?}]\n{more}\n"
        )
    }
}

/// Returns the secret that two domains show each other.
pub fn secret(a: u8, b: u8) -> String {
    format!("link-secret-{:02}-{:02}", a.min(b), a.max(b))
}

/// Returns the configuration of a node without peers. `more` may begin with further keys of
/// `[node]`.
pub fn own_section(number: u8, listen: SocketAddr, data: &Path, more: &str) -> String {
    let unlimited = if more.contains("[limits]") {
        ""
    } else {
        "[limits]\nrequests_per_second = 0\n"
    };
    let mut text = format!(
        "[node]\ndomain = {:?}\nlisten = \"{listen}\"\ndata_dir = {:?}\nthreads = 1\n{more}\n\
         {unlimited}",
        label(number),
        data.join("store"),
    );
    for (name, secret, scopes) in [
        ("ops", OPS, "\"ingest\", \"query\", \"operate\", \"peer\""),
        ("stranger", STRANGER, "\"peer\""),
    ] {
        let _ = write!(
            text,
            "[[token]]\nname = {name:?}\nsecret = {secret:?}\nscopes = [{scopes}]\n"
        );
    }
    text
}

/// A node of one domain, with its own data directory.
pub struct Member {
    site: Site,
    node: Option<Node>,
    data: TempDir,
    clock: Clock,
    listen: SocketAddr,
    more: String,
    joins: String,
}

impl Deref for Member {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Member {
    /// Starts a node without peers.
    pub async fn start(number: u8) -> Self {
        Self::with(number, Clock::system(), "").await
    }

    /// Starts a node whose URIs lead through a proxy.
    pub async fn behind(number: u8, proxy: &Proxy) -> Self {
        Self::behind_at(number, proxy, Clock::system()).await
    }

    /// Starts a node with a clock.
    pub async fn behind_at(number: u8, proxy: &Proxy, clock: Clock) -> Self {
        let more = format!("public_url = {:?}\n", proxy.url);
        let member = Self::with(number, clock, &more).await;
        proxy.lead_to(member.address());
        member
    }

    /// Starts a node with a clock and more configuration.
    pub async fn with(number: u8, clock: Clock, more: &str) -> Self {
        let data = TempDir::new().expect("a directory");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = parse(&own_section(number, listen, data.path(), more));
        let node = Node::start(config, clock.clone()).await.expect("a node");
        until_joined(&node).await;
        Self {
            site: Site::new(number, format!("http://{}", node.address())),
            node: Some(node),
            data,
            clock,
            listen,
            more: more.to_owned(),
            joins: String::new(),
        }
    }

    /// Starts a node with TLS, as `tls` of `[node]` configures it and this client trusts it.
    pub async fn secured(number: u8, tls: &str, http: reqwest::Client) -> Self {
        let mut member = Self::with(number, Clock::system(), tls).await;
        let url = format!("https://{}", member.address());
        member.site = Site::asked_by(http, number, url);
        member
    }

    /// Returns the address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.node().address()
    }

    /// Returns the directory of its store and key.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Returns the node itself.
    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    fn config(&self) -> Config {
        let own = own_section(self.number, self.listen, self.data(), &self.more);
        parse(&format!("{own}{}", self.joins))
    }

    /// Gives it these peers from now on, and no others.
    pub fn join<'a>(&mut self, joins: impl IntoIterator<Item = Join<'a>>) {
        self.join_under("", joins);
    }

    /// Gives it these peers, with further sections of policy.
    pub fn join_under<'a>(&mut self, policy: &str, joins: impl IntoIterator<Item = Join<'a>>) {
        let joins = joins.into_iter().map(|join| join.text(self.number));
        self.joins = format!("{policy}{}", joins.collect::<String>());
        self.nudge();
    }

    /// Gives it other configuration besides its peers from now on.
    pub fn change(&mut self, more: &str) {
        more.clone_into(&mut self.more);
        self.nudge();
    }

    /// Reloads its configuration if it runs, which makes it read all its peers at once.
    pub fn nudge(&mut self) {
        let config = self.config();
        if let Some(node) = &mut self.node {
            node.reload(config).expect("a sound configuration");
        }
    }

    /// Stops it, and starts it again with other configuration besides its peers.
    pub async fn restart_with(&mut self, more: &str) {
        self.stop().await;
        more.clone_into(&mut self.more);
        self.start_again().await;
    }

    /// Stops it properly.
    pub async fn stop(&mut self) {
        self.listen = self.address();
        let node = self.node.take().expect("it runs");
        node.shutdown(Duration::from_secs(10))
            .await
            .expect("a sound end");
    }

    /// Starts it again at the same address, with the data on its disk.
    pub async fn start_again(&mut self) {
        self.start_again_at(self.clock.clone()).await;
    }

    /// Starts it again with another clock.
    pub async fn start_again_at(&mut self, clock: Clock) {
        self.start_again_on(Ground::at(clock)).await;
        until_joined(self.node()).await;
    }

    /// Starts it again with another ground, and waits until it listens.
    pub async fn start_again_on(&mut self, ground: Ground) {
        self.clock = ground.clock.clone();
        let node = Node::start_on(self.config(), ground).await.expect("a node");
        self.node = Some(node);
    }
}

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("test.toml")).expect("a sound configuration")
}

/// Nodes and the links that join them.
pub struct Federation {
    pub members: Vec<Member>,
}

impl Federation {
    /// Starts a node for each domain that has a link, and joins them along the links.
    pub async fn along(links: &[Link]) -> Self {
        let most = links.iter().map(|link| link.0.max(link.1)).max();
        let starts = (1..=most.expect("a link")).map(Member::start);
        let members = futures_util::future::join_all(starts).await;
        let mut federation = Self { members };
        let fed = federation.members.iter().map(|member| member.states(links));
        futures_util::future::join_all(fed).await;
        let urls: Vec<Arc<str>> = federation
            .members
            .iter()
            .map(|member| Arc::from(member.url.as_str()))
            .collect();
        for member in &mut federation.members {
            let number = member.number;
            let neighbours = links.iter().filter_map(|link| match *link {
                Link(a, b) if a == number => Some(b),
                Link(a, b) if b == number => Some(a),
                _ => None,
            });
            let joins: Vec<Join<'_>> = neighbours
                .map(|peer| Join::to(peer, &urls[usize::from(peer) - 1]))
                .collect();
            member.join(joins);
        }
        federation
    }

    /// Returns the node of a domain.
    pub fn at(&mut self, number: u8) -> &mut Member {
        let found = self.members.iter_mut().find(|m| m.number == number);
        found.expect("a member")
    }

    /// Removes the node of a domain and returns it.
    pub fn remove(&mut self, number: u8) -> Member {
        let place = self.members.iter().position(|m| m.number == number);
        self.members.remove(place.expect("a member"))
    }
}
