//! `altofed version`

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::say;

/// How the version is printed.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the name and the version of the program.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if options.json {
        say(json!({"name": name, "version": version}))?
    } else {
        say(format_args!("{name} {version}"))?
    }
    Ok(())
}
