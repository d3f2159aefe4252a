//! `altofed peers`, `altofed peer`

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;

use crate::api::difference::{CostsMoved, Difference, Lost};
use crate::api::s2s::{
    ConflictList, HeldStatus, Ignored, ImportStatus, PeerList, PeerState, PeerStatus, Reason,
};
use crate::ident::DomainLabel;

use super::failure::Failure;
use super::operator::{NodeOptions, Operated};
use super::output::say;

/// How all peers are shown.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    node: NodeOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which peer is shown, and what is done about it.
#[derive(Debug, Args)]
pub(super) struct PeerOptions {
    /// The label of its domain; our own shows what we said last.
    name: DomainLabel,
    #[command(flatten)]
    deed: Deed,
    #[command(flatten)]
    node: NodeOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is done about a peer before it is shown, if anything.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Deed {
    /// Read the peer now, whatever was read or refused before.
    #[arg(long)]
    retry: bool,
    /// Forget the key that the domain was first met with: its next one is taken.
    #[arg(long)]
    forget_key: bool,
    /// Take the change of the domain that is held, whoever passes it.
    #[arg(long)]
    accept: bool,
}

impl Deed {
    /// Carries out what was asked for, and returns the message about it, if there is one.
    async fn done(&self, node: &Operated, name: &DomainLabel) -> Result<Option<String>, Failure> {
        if self.retry {
            node.post(&format!("s2s/v1/peers/{name}/retry")).await?;
            return Ok(Some(format!("{name} is read now.")));
        }
        if self.forget_key {
            let path = format!("s2s/v1/domains/{name}/forget-key");
            node.post(&path).await?;
            let text =
                format!("The key of {name} is forgotten; the next one that it shows is taken.");
            return Ok(Some(text));
        }
        if self.accept {
            node.post(&format!("s2s/v1/domains/{name}/accept")).await?;
            let text =
                format!("The change of {name} is accepted; it is taken as soon as it is read.");
            return Ok(Some(text));
        }
        Ok(None)
    }
}

/// Shows all peers, and what the merged view could not take from them.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let node = options.node.node()?;
    let list: PeerList = node.get("s2s/v1/peers").await?;
    let conflicts: ConflictList = node.get("s2s/v1/conflicts").await?;
    if options.json {
        say(json!({"peers": list.peers, "conflicts": conflicts}))?;
        return Ok(());
    }
    if list.peers.is_empty() {
        say(format_args!(
            "There are no peers; add a [[peer]] to the configuration."
        ))?;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "peer", "speaks", "state", "domain", "state", "serial", "age", "pids", "prefixes", "path",
    ]);
    for peer in &list.peers {
        let shown = [
            peer.domain.to_string(),
            peer.protocol.map_or("-", |p| p.as_str()).to_owned(),
            peer.state.as_str().to_owned(),
        ];
        if peer.domains.is_empty() {
            table.add_row(shown);
            continue;
        }
        for (n, domain) in peer.domains.iter().enumerate() {
            let first = match n {
                0 => shown.clone(),
                _ => Default::default(),
            };
            table.add_row(first.into_iter().chain(columns(domain)));
        }
        let more = peer.domains_total.saturating_sub(peer.domains.len());
        if more > 0 {
            let text = format!("and {more} more");
            table.add_row(["".into(), "".into(), "".into(), text]);
        }
    }
    say(table)?;
    for peer in &list.peers {
        reasons(peer)?;
    }
    misfits(&conflicts)
}

/// Prints what the merged view could not take as it is.
fn misfits(conflicts: &ConflictList) -> Result<(), Failure> {
    const SHOWN: usize = 20;
    let totals = conflicts.totals.iter();
    let totals: Vec<_> = totals.filter(|(_, count)| **count > 0).collect();
    if totals.is_empty() {
        return Ok(());
    }
    say("\nWhat does not fit into the merged view:")?;
    for (kind, count) in &totals {
        say(format_args!("  {count} {kind}"))?;
    }
    let listed = &conflicts.conflicts;
    for conflict in listed.iter().take(SHOWN) {
        let (domain, subject, detail) = (&conflict.domain, &conflict.subject, &conflict.detail);
        say(format_args!("  {domain} {subject}: {detail}"))?;
    }
    if listed.len() > SHOWN {
        say("  … all of them: /s2s/v1/conflicts")?;
    }
    Ok(())
}

fn columns(domain: &ImportStatus) -> [String; 7] {
    let path: Vec<&str> = domain.path.iter().map(DomainLabel::as_str).collect();
    [
        domain.domain.to_string(),
        domain.state.as_str().to_owned(),
        domain
            .serial
            .map_or("-".into(), |serial| serial.to_string()),
        domain.age_seconds.map_or("-".into(), age),
        domain.pids.to_string(),
        domain.prefixes.to_string(),
        path.join(" > "),
    ]
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Prints why a peer or one of its domains is not simply synced.
fn reasons(peer: &PeerStatus) -> Result<(), Failure> {
    let told = |who: &str, state: PeerState, reason: &Option<Reason>| match reason {
        Some(Reason { code, detail }) => say(format_args!(
            "{who} is {} ({code}): {detail}",
            state.as_str()
        )),
        None => Ok(()),
    };
    told(peer.domain.as_str(), peer.state, &peer.reason)?;
    for domain in &peer.domains {
        let who = format!("{} from {}", domain.domain, peer.domain);
        told(&who, domain.state, &domain.reason)?;
        for Ignored { what, reason } in &domain.ignored {
            say(format_args!("{who}: {what} is left aside: {reason}"))?;
        }
        let more = domain.ignored_total.saturating_sub(domain.ignored.len());
        if more > 0 {
            say(format_args!("{who}: and {more} more"))?;
        }
    }
    Ok(())
}

/// Prints the extent of a held change.
fn difference(held: &HeldStatus) -> Result<(), Failure> {
    let until = match held.until {
        _ if held.accepted => "its peer is read: it is accepted".to_owned(),
        Some(until) => until.to_string(),
        None => "it is accepted".to_owned(),
    };
    let (serial, since) = (held.serial, held.since);
    say(format_args!(
        "    held change: serial {serial}, since {since} until {until}"
    ))?;
    let Difference {
        prefixes,
        pids,
        interconnects,
        costs,
        interconnect_costs,
    } = &held.difference;
    let lost = [
        (prefixes, "prefixes"),
        (pids, "PIDs"),
        (interconnects, "interconnects"),
    ];
    for (Lost { of, removed }, what) in lost {
        say(format_args!("      {removed} of {of} {what} go"))?;
    }
    let tables = [
        (costs, "costs"),
        (interconnect_costs, "costs across interconnects"),
    ];
    for (costs, what) in tables {
        for (
            metric,
            CostsMoved {
                of,
                removed,
                changed,
            },
        ) in costs
        {
            say(format_args!(
                "      of {of} {what} in {metric} {removed} go and {changed} move far"
            ))?;
        }
    }
    Ok(())
}

/// Shows all about a peer or our own domain, after carrying out what was asked for.
pub(super) async fn one(options: &PeerOptions) -> Result<(), Failure> {
    let node = options.node.node()?;
    let name = &options.name;
    if let Some(done) = options.deed.done(&node, name).await?
        && !options.json
    {
        say(done)?;
    }
    let mut list: PeerList = node.get("s2s/v1/peers").await?;
    let is_listed = |peer: &PeerStatus| peer.domains.iter().any(|d| d.domain == *name);
    let is_cut = |peer: &PeerStatus| peer.domains.len() < peer.domains_total;
    if list
        .peers
        .iter()
        .any(|peer| is_cut(peer) && !is_listed(peer))
    {
        list = node.get(&format!("s2s/v1/peers?domain={name}")).await?;
    }
    let peer = list.peers.iter().find(|peer| peer.domain == *name);
    let carried = || {
        let from = |peer: &PeerStatus| peer.domains.iter().any(|d| d.domain == *name);
        list.peers.iter().filter(move |peer| from(peer))
    };
    let own = list.own.as_ref().filter(|own| own.domain == *name);
    if peer.is_none() && own.is_none() && carried().next().is_none() {
        let known: Vec<&str> = list.peers.iter().map(|p| p.domain.as_str()).collect();
        return Err(Failure::Usage(format!(
            "there is no peer {name}; there are {}",
            known.join(", ")
        )));
    }
    if options.json {
        match own {
            Some(own) => say(json!(own))?,
            None => say(json!(peer))?,
        }
        return Ok(());
    }
    if let Some(own) = own {
        say(format_args!("{name}, our own: serial {}", own.serial))?;
        say(format_args!("    fingerprint {}", own.fingerprint))?;
    }
    if let Some(peer) = peer {
        say(format_args!("{} at {}", peer.domain, peer.directory))?;
        say(format_args!(
            "  speaks        {}",
            peer.protocol.map_or("-", |p| p.as_str())
        ))?;
        say(format_args!(
            "  state         {} since {}",
            peer.state.as_str(),
            peer.since
        ))?;
        let time = |time: Option<jiff::Timestamp>| time.map_or("-".into(), |t| t.to_string());
        say(format_args!("  last sync     {}", time(peer.last_sync)))?;
        say(format_args!("  next attempt  {}", time(peer.next_attempt)))?;
        if peer.failures > 0 {
            say(format_args!("  failures      {} in a row", peer.failures))?;
        }
        if peer.domains.iter().all(|domain| domain.domain != *name) {
            reasons(peer)?;
        }
    }
    for peer in carried() {
        for domain in peer.domains.iter().filter(|domain| domain.domain == *name) {
            let [_, state, serial, age, pids, prefixes, path] = columns(domain);
            say(format_args!(
                "  domain {name} by {path}: {state}, serial {serial}, {age} old"
            ))?;
            say(format_args!("    {pids} PIDs, {prefixes} prefixes"))?;
            if let Some(fingerprint) = &domain.fingerprint {
                say(format_args!("    fingerprint {fingerprint}"))?;
            }
            if let Some(key) = &domain.key {
                say(format_args!("    {} key {}", key.trust.as_str(), key.key))?;
            }
            if let Some(held) = &domain.held {
                difference(held)?;
            }
        }
        reasons(peer)?;
    }
    Ok(())
}
