//! `altofed serve`

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::node::{Node, StartError};
use crate::runtime::Clock;

use super::failure::Failure;
use super::options::ConfigOptions;
use super::output::say;

/// How long requests in progress may take when the node is told to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs a node until it is told to stop, or its store fails.
pub(super) async fn run(options: &ConfigOptions) -> Result<(), Failure> {
    let config =
        Config::load(&options.config).map_err(|error| Failure::Usage(error.to_string()))?;
    warn(&config);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (domain, name, asns) = (
        config.node.domain.clone(),
        config.node.name.clone(),
        config.node.asns.clone(),
    );
    let mut node = Node::start(config, Clock::system())
        .await
        .map_err(|error| match error {
            StartError::Store(error) => Failure::Store(error.to_string()),
            error => Failure::Failed(error.into()),
        })?;
    if let Some(quarantine) = node.quarantine() {
        tracing::error!(message = %quarantine);
    }
    let revision = node.snapshots().borrow().revision;
    tracing::info!(node = %domain, name, ?asns, address = %node.address(), revision, "listening");
    if options.json {
        say(format_args!(
            "{}",
            serde_json::json!({"listening": node.base_url()})
        ))?
    } else {
        say(format_args!("{} listens at {}", domain, node.base_url()))?
    }
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(&mut node, options),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            error = node.failed() => {
                tracing::error!(%error, "the store failed; the node ends");
                return Err(Failure::Store(error.to_string()));
            }
        }
    }
    tracing::info!("stopping");
    node.shutdown(DRAIN)
        .await
        .context("the store could not be closed")?;
    Ok(())
}

/// Logs the warnings about a configuration that can be used.
fn warn(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// Applies the configuration as it is now. If it cannot be used, the running one stays in force.
fn reload(node: &mut Node, options: &ConfigOptions) {
    let loaded = Config::load(&options.config).map_err(|error| error.to_string());
    match loaded.and_then(|config| {
        warn(&config);
        node.reload(config).map_err(|error| error.to_string())
    }) {
        Ok(()) => tracing::info!("the configuration was reloaded"),
        Err(error) => {
            tracing::error!(%error, "the configuration was not reloaded; the former stays in force")
        }
    }
}
