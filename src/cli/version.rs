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
    /// Print the licences of the program and of everything in it, and whom they ask to be named.
    #[arg(long, conflicts_with = "json")]
    notices: bool,
}

/// What is in the program: its title, and the file that has its notices.
const NOTICES: [(&str, &str); 3] = [
    (
        "altofed itself: MIT, as here, or Apache-2.0, as at the libraries below, as you like",
        include_str!("../../LICENSE-MIT"),
    ),
    (
        "The data of `altofed demo`",
        include_str!("../../examples/research-networks/NOTICE"),
    ),
    ("The libraries", include_str!("../../NOTICES")),
];

/// Prints the name and the version of the program.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if options.json {
        say(json!({"name": name, "version": version}))?;
        return Ok(());
    }
    say(format_args!("{name} {version}"))?;
    if options.notices {
        for (title, text) in NOTICES {
            say(format_args!(
                "\n\n{title}\n{}\n\n{text}",
                "=".repeat(title.chars().count())
            ))?;
        }
    }
    Ok(())
}
