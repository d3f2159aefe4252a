//! `altofed check`

use std::path::Path;

use serde_json::json;

use crate::config::Config;

use super::failure::Failure;
use super::options::ConfigOptions;
use super::output::say;

/// Reports whether a configuration can be used.
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
    let forwarded = forwarded(&config);
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
            "public-url": node.public_url.as_ref().map(|url| url.as_str()),
            "forward": forwarded,
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
    for line in forwarded {
        say(format_args!("  forward  {line}"))?;
    }
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

/// Returns what a proxy in front of the node has to forward according to the public URL; without
/// one, nothing.
fn forwarded(config: &Config) -> Vec<String> {
    let node = &config.node;
    let Some(url) = &node.public_url else {
        return Vec::new();
    };
    let scheme = if node.tls.is_some() { "https" } else { "http" };
    let to = format!("{scheme}://{}", node.listen);
    let public = config.base_url(node.listen);
    let path = url.path().trim_end_matches('/');
    let without = match path {
        "" => String::new(),
        path => format!(", with {path} removed"),
    };
    let root = url.origin().ascii_serialization();
    let well_known = "/.well-known/alto-federation";
    vec![
        format!("{public}/directory and {public}/views/ to {to}/{without}: clients and peers"),
        format!("{public}/s2s/v1/ to {to}/s2s/v1/: peers"),
        format!("{public}/n2s/v1/ to {to}/n2s/v1/: sources, if they write through the proxy"),
        format!(
            "{root}{well_known} to {to}{well_known}, if you can: else peers find the node by \
             its directory"
        ),
    ]
}

/// Loads the configuration, and checks that a node can run with it and with the files that it
/// names.
fn usable(file: &Path) -> Result<Config, String> {
    let config = Config::load(file).map_err(|error| error.to_string())?;
    config
        .check_files(true)
        .map_err(|error| error.to_string())?;
    Ok(config)
}
