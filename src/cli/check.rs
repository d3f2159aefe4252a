//! `altofed check`

use std::path::Path;

use serde_json::json;

use crate::config::Config;
use crate::federation::Keyring;

use super::output::say;
use super::{ConfigOptions, Failure};

/// Says whether a configuration can be used.
pub(super) fn run(options: &ConfigOptions) -> Result<(), Failure> {
    let config = match usable(&options.config) {
        Ok(config) => config,
        Err(error) if options.json => {
            say(json!({"ok": false, "error": error}))?;
            return Err(Failure::Usage("the configuration cannot be used".into()));
        }
        Err(error) => return Err(Failure::Usage(error)),
    };
    let node = &config.node;
    let scheme = if node.tls.is_some() { "https" } else { "http" };
    if options.json {
        let tokens: Vec<&str> = config
            .tokens
            .iter()
            .map(|token| token.name.as_str())
            .collect();
        say(json!({
            "ok": true,
            "domain": node.domain,
            "name": node.name,
            "asns": node.asns,
            "listen": format!("{scheme}://{}", node.listen),
            "data-dir": node.data_dir,
            "tokens": tokens,
            "warnings": config.warnings(),
        }))?;
        return Ok(());
    }
    say(format_args!(
        "{}: a node can run with it",
        options.config.display()
    ))?;
    say(format_args!("  domain   {} ({})", node.domain, node.name))?;
    say(format_args!("  listen   {scheme}://{}", node.listen))?;
    say(format_args!("  data     {}", node.data_dir.display()))?;
    for token in &config.tokens {
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        say(format_args!(
            "  token    {}: {}",
            token.name,
            scopes.join(", ")
        ))?;
    }
    if config.tokens.is_empty() {
        say(format_args!(
            "  token    none: nobody can feed this node; add a [[token]] with scope ingest"
        ))?;
    }
    for warning in config.warnings() {
        say(format_args!("  warning  {warning}"))?;
    }
    Ok(())
}

/// The configuration, if a node can run with it and the files that it names.
fn usable(file: &Path) -> Result<Config, String> {
    let config = Config::load(file).map_err(|error| error.to_string())?;
    if let Some(files) = &config.node.tls {
        crate::http::Tls::load(files).map_err(|error| error.to_string())?;
    }
    let own = &config.federation.own;
    if !own.make_key || own.keys.key.exists() {
        Keyring::load(&own.keys).map_err(|error| error.to_string())?;
    }
    Ok(config)
}
