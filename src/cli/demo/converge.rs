//! Feeds the nodes, and waits until each knows what all networks state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::ident::{DomainLabel, MetricName};
use crate::publish::{Costs, Snapshot, View, ViewName};

use super::networks::Network;
use super::nodes::Member;

/// Feeds all nodes over HTTP at the same time.
pub(super) async fn feed(members: &[Member]) -> anyhow::Result<()> {
    let total: u64 = members.iter().map(|member| member.network.bytes()).sum();
    let bar = ProgressBar::new(total);
    bar.set_style(ProgressStyle::with_template(
        "fed {bar:30} {bytes}/{total_bytes}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(100));
    let fed = members.iter().map(|member| async {
        for (path, text) in member.network.documents {
            let url = member.base.join(&format!("n2s/v1/{path}"))?;
            member.client.put(&url, text).await?;
            bar.inc(text.len() as u64);
        }
        anyhow::Ok(())
    });
    try_join_all(fed).await?;
    bar.finish_and_clear();
    println!(
        "{} networks put {} documents, {} bytes: durable and published.",
        members.len(),
        members
            .iter()
            .map(|m| m.network.documents.len())
            .sum::<usize>(),
        total
    );
    Ok(())
}

/// The views of all networks, as their own nodes publish them.
type Stated = BTreeMap<DomainLabel, Arc<View>>;

/// Waits until every node has the same view of every network as that network's own node.
pub(super) async fn wait(members: &[Member]) -> anyhow::Result<()> {
    let mut stated = Stated::new();
    for member in members {
        let label = DomainLabel::new(member.network.label)?;
        let snapshot = member.node.snapshots().borrow().clone();
        let view = snapshot.view(&ViewName::Domain(label.clone()));
        let view = view.with_context(|| format!("{label} publishes nothing"))?;
        stated.insert(label, view.clone());
    }
    let progress = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:9} {bar:20} knows {pos} of {len} networks")?;
    let stated = &stated;
    let waits = members.iter().map(|member| {
        let bar = progress.add(ProgressBar::new(stated.len() as u64));
        bar.set_style(style.clone());
        bar.set_prefix(member.network.label);
        knows_all(member.network, member.node.snapshots(), stated, bar)
    });
    try_join_all(waits).await?;
    progress.clear()?;
    Ok(())
}

async fn knows_all(
    network: &Network,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    stated: &Stated,
    bar: ProgressBar,
) -> anyhow::Result<()> {
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        // The questions are asked of the merged view, so it must have this version too.
        let paths = snapshot.paths.as_ref();
        let merged = snapshot.view(&ViewName::Merged);
        let known = stated.iter().filter(|(label, view)| {
            let held = snapshot.view(&ViewName::Domain((*label).clone()));
            let joined = paths.and_then(|paths| paths.domain(label));
            held.zip(joined).is_some_and(|(held, joined)| {
                let origin = held.origin();
                (origin.serial, origin.received) == (joined.serial, joined.received)
                    && same(held, view)
                    && merged.is_some_and(|merged| reaches(merged, network.label, label.as_str()))
            })
        });
        let known = known.count();
        bar.set_position(known as u64);
        if known == stated.len() {
            bar.finish();
            if bar.is_hidden() {
                println!("{:9} knows {known} of {known} networks", network.label);
            }
            return Ok(());
        }
        snapshots.changed().await.context("a node ended")?;
    }
}

/// Whether there is a cost from a PID of one network to one of the other. The interconnects are
/// stated after the maps, and may arrive after them.
fn reaches(merged: &View, from: &str, to: &str) -> bool {
    let names = merged.network().pids().names();
    let of = |label: &str| -> Vec<u32> {
        let prefix = format!("{label}:");
        let places = (0..).zip(names);
        let own = places.filter(|(_, name)| name.as_str().starts_with(&prefix));
        own.map(|(place, _)| place).collect()
    };
    let mut costs = Vec::new();
    if let Some(routingcost) = merged.costs().get(&MetricName::routingcost()) {
        routingcost.gather(&of(from), &of(to), &mut costs);
    }
    costs.iter().any(|cost| !cost.is_nan())
}

/// Whether two views have the same content.
fn same(a: &View, b: &View) -> bool {
    let dense = |costs: &Costs| match costs {
        Costs::Dense(matrix) => Some(matrix.clone()),
        Costs::Composed(_) => None,
    };
    a.network().tag() == b.network().tag()
        && a.costs().len() == b.costs().len()
        && a.costs()
            .iter()
            .zip(b.costs())
            .all(|((m, a), (n, b))| m == n && dense(a).is_some() && dense(a) == dense(b))
}
